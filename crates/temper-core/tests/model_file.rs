//! Model files: exact round trips, determinism, and what is refused.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use temper_core::Tensor;
use temper_core::data::{Layout, Preprocessing};
use temper_core::network::{GraphDescription, Model, ModelError, NetworkError};

const GRAPH: &str = r#"{"input":[1,6,6],"node":[
    {"name":"conv","op":{"kind":"conv2d","in_channels":1,"out_channels":2,"kernel":3}},
    {"name":"bn","op":{"kind":"batch-norm","num_features":2,"eps":0.001}},
    {"name":"clip","op":{"kind":"clip","min":"-inf","max":"inf"}},
    {"name":"leaky","op":{"kind":"leaky-relu","negative_slope":0.1}},
    {"name":"pool","op":{"kind":"max-pool2d","kernel":2,"stride":[2,1]}},
    {"name":"flat","op":{"kind":"flatten"}},
    {"name":"fc","op":{"kind":"linear","in_features":12,"out_features":3,"bias":false}},
    {"name":"shift","op":{"kind":"constant","shape":[3]}},
    {"name":"sum","inputs":["fc","shift"],"op":{"kind":"add"}}]}"#;

fn model_with(values: impl Fn(usize) -> f32) -> Model {
    let network = serde_json::from_str::<GraphDescription>(GRAPH).unwrap().build().unwrap();
    let mut at = 0;
    let mut fill = |tensor: &Tensor| {
        let mut tensor = tensor.clone();
        for value in tensor.data_mut() {
            *value = values(at);
            at += 1;
        }
        tensor
    };
    let parameters: BTreeMap<_, _> =
        network.tensors().iter().map(|(name, tensor)| (name.clone(), fill(tensor))).collect();
    let network = network.with_parameters(parameters).unwrap();
    let preprocessing = Preprocessing { mean: vec![0.1307], std: vec![0.3081], layout: Layout::Nchw };
    Model { network, preprocessing }
}

fn model() -> Model {
    model_with(|i| i as f32 / 7.0 - 1.0)
}

/// The file of a model with its header changed as text, and the length put right.
fn with_header(change: impl Fn(&str) -> String) -> Vec<u8> {
    let bytes = model().to_bytes().unwrap();
    let end = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header = change(std::str::from_utf8(&bytes[8..end]).unwrap());
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &bytes[end..]].concat()
}

#[test]
fn a_model_survives_the_round_trip_and_its_bytes_are_always_the_same() {
    let bytes = model().to_bytes().unwrap();
    let read = Model::from_bytes(&bytes).unwrap();
    assert_eq!(read, model());
    assert_eq!(read.to_bytes().unwrap(), bytes);
}

#[test]
fn the_layout_is_the_specified_one() {
    let bytes = model().to_bytes().unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    assert!(length.is_multiple_of(8));
    let header = std::str::from_utf8(&bytes[8..8 + length]).unwrap();
    assert!(header.starts_with(r#"{"__metadata__":{"graph":"{\"input\":[1,6,6],\"node\":["#), "{header}");
    assert!(
        header.contains(r#""temper_format":"1"},"bn.bias":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}"#)
    );
    let values = model().network.tensors().values().map(|tensor| tensor.data().len()).sum::<usize>();
    assert_eq!(bytes.len(), 8 + length + 4 * values);
    // Another program's reader agrees.
    let other = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let first = f32::from_le_bytes(other.tensor("conv.weight").unwrap().data()[..4].try_into().unwrap());
    assert_eq!(first, model().network.tensors()["conv.weight"].data()[0]);
}

#[test]
fn parameters_keep_every_bit_even_of_nan() {
    let patterns = [0x7fc0_0001u32, 0xff80_0000, 0x7f80_0000, 0x8000_0000, 0x0000_0001, 0xffc1_2345];
    let original = model_with(|i| f32::from_bits(patterns[i % patterns.len()]));
    let read = Model::from_bytes(&original.to_bytes().unwrap()).unwrap();
    let bits = |model: &Model| -> Vec<u32> {
        model.network.tensors().values().flat_map(Tensor::data).map(|value| value.to_bits()).collect()
    };
    assert_eq!(bits(&read), bits(&original));
}

#[test]
fn saving_replaces_a_file_and_leaves_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    std::fs::write(&path, "old").unwrap();
    model().save(&path).unwrap();
    assert_eq!(Model::load(&path).unwrap(), model());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    let absent = folder.path().join("absent/model.safetensors");
    assert!(model().save(&absent).unwrap_err().to_string().contains("absent"));
    assert!(Model::load(&absent).unwrap_err().to_string().contains("absent"));
}

#[test]
fn what_is_no_model_file_is_refused_with_a_reason() {
    use ModelError as E;
    let error = |change: &dyn Fn(&str) -> String| Model::from_bytes(&with_header(change)).unwrap_err();
    let plain =
        b"\x40\0\0\0\0\0\0\0{\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}             ";
    let plain = [&plain[..72], &[0; 4]].concat();
    assert!(matches!(Model::from_bytes(&plain), Err(E::PlainWeights)));
    assert!(matches!(error(&|h| h.replace("temper_format", "format")), E::PlainWeights));
    let newer = error(&|h| h.replace(r#""temper_format":"1""#, r#""temper_format":"2""#));
    assert!(matches!(newer, E::FormatVersion { found } if found == "2"));
    assert!(matches!(error(&|h| h.replace(r#""graph""#, r#""grape""#)), E::Missing { key: "graph" }));
    assert!(matches!(error(&|h| h.replace("conv2d", "conv9d")), E::Json { key: "graph", .. }));
    assert!(matches!(error(&|h| h.replace("0.3081", "null")), E::Json { key: "preprocessing", .. }));
    assert!(matches!(error(&|h| h.replace("0.3081", "-1.0")), E::Preprocessing(_)));
    assert!(matches!(error(&|h| h.replacen(r#""F32""#, r#""I32""#, 1)), E::ElementType { .. }));
    let renamed = error(&|h| h.replace(r#""fc.weight""#, r#""fd.weight""#));
    assert!(
        matches!(renamed, E::Network(NetworkError::MissingParameter { path, .. }) if path == "fc.weight")
    );
    let unused = error(&|h| h.replace(r#"\"bias\":true"#, r#"\"bias\":false"#));
    assert!(matches!(unused, E::Network(NetworkError::UnusedParameter { path }) if path == "conv.bias"));
}

#[test]
fn a_graph_that_claims_huge_parameters_allocates_none() {
    let claim = |h: &str| {
        h.replace(r#"in_channels\":1,"#, r#"in_channels\":7000000,"#).replace("[1,6,6]", "[7000000,6,6]")
    };
    let error = Model::from_bytes(&with_header(claim)).unwrap_err();
    assert!(matches!(error, ModelError::Network(NetworkError::ParameterShape { .. })), "{error:?}");
}

#[test]
fn every_truncation_is_an_error() {
    let bytes = model().to_bytes().unwrap();
    for length in 0..bytes.len() {
        assert!(Model::from_bytes(&bytes[..length]).is_err(), "{length}");
    }
}

proptest! {
    #[test]
    fn floats_in_the_header_survive_exactly(eps in 0u32..0x7f80_0000, slope: u32, limit: u32) {
        let (eps, slope, limit) = (f32::from_bits(eps), f32::from_bits(slope), f32::from_bits(limit));
        prop_assume!(slope.is_finite() && !limit.is_nan());
        let model = model();
        let mut graph = GraphDescription::from(&model.network);
        for node in &mut graph.nodes {
            use temper_core::network::Op;
            match &mut node.op {
                Op::BatchNorm { eps: old, .. } => *old = eps,
                Op::LeakyRelu { negative_slope } => *negative_slope = slope,
                Op::Clip { max, .. } => *max = limit,
                _ => {}
            }
        }
        let network = graph.build_with(model.network.tensors().clone()).unwrap();
        let model = Model { network, preprocessing: model.preprocessing };
        prop_assert_eq!(Model::from_bytes(&model.to_bytes().unwrap()).unwrap(), model);
    }

    #[test]
    fn a_damaged_file_never_panics(at in 0usize..2000, byte: u8) {
        let mut bytes = model().to_bytes().unwrap();
        let at = at % bytes.len();
        bytes[at] = byte;
        let _ = Model::from_bytes(&bytes);
    }
}

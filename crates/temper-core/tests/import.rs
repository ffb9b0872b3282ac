//! Weights read from checkpoints that torch wrote, against what torch itself reads from them (`fixtures/import/make.py`).

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use temper_core::network::import::{ImportError, StateDict, TorchError, read_weights};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/import").join(name)
}

fn golden<T: serde::de::DeserializeOwned>(name: &str) -> BTreeMap<String, T> {
    serde_json::from_slice(&std::fs::read(fixture(name)).unwrap()).unwrap()
}

fn names(dict: &StateDict) -> Vec<&str> {
    dict.entries().iter().map(|(name, _)| name.as_str()).collect()
}

fn torch_error(name: &str) -> TorchError {
    match read_weights(&fixture(name), None) {
        Err(ImportError::Torch { source, .. }) => source,
        other => panic!("{name}: {other:?}"),
    }
}

#[derive(Deserialize)]
struct Golden {
    key: Option<String>,
    names: Vec<String>,
    entries: BTreeMap<String, GoldenTensor>,
    ignored: Vec<String>,
}

#[derive(Deserialize)]
struct GoldenTensor {
    shape: Vec<usize>,
    values: Vec<f32>,
}

#[test]
fn every_variant_reads_as_torch_reads_it() {
    let golden = golden::<Golden>("golden.json");
    assert!(golden.len() > 25);
    for (file, expected) in golden {
        let dict = read_weights(&fixture(&file), expected.key.as_deref()).unwrap_or_else(|error| {
            panic!("{file}: {error}: {}", std::error::Error::source(&error).unwrap());
        });
        assert_eq!(names(&dict), expected.names, "{file}");
        for (name, tensor) in dict.entries() {
            let golden = &expected.entries[name];
            assert_eq!(tensor.shape(), golden.shape, "{file}: {name}");
            assert_eq!(tensor.data(), golden.values, "{file}: {name}");
        }
        let mut ignored: Vec<&str> = dict.ignored().iter().map(|ignored| ignored.name.as_str()).collect();
        let mut expected: Vec<&str> = expected.ignored.iter().map(String::as_str).collect();
        ignored.sort_unstable();
        expected.sort_unstable();
        assert_eq!(ignored, expected, "{file}");
    }
}

#[test]
fn what_was_left_out_or_changed_is_said() {
    let plain = read_weights(&fixture("plain.pt"), None).unwrap();
    let reasons: Vec<&str> = plain.ignored().iter().map(|ignored| ignored.reason.as_str()).collect();
    assert_eq!(reasons, ["int64 tensor", "bool tensor"]);
    assert!(plain.notes().is_empty());
    let types = read_weights(&fixture("element-types.pt"), None).unwrap();
    assert_eq!(types.notes(), ["tensors stored in f64 were rounded to the nearest f32: \"double\""]);
    let module = read_weights(&fixture("module.pt"), None).unwrap();
    assert!(module.ignored().iter().any(|ignored| ignored.reason == "buffer that the module does not save"));
}

#[test]
fn wrapper_prefixes_are_removed_on_request() {
    let prefixed = read_weights(&fixture("prefixed.pt"), None).unwrap();
    let plain = read_weights(&fixture("plain.pt"), None).unwrap();
    assert_eq!(prefixed.entries()[0].0, "module._orig_mod.conv.weight");
    let stripped = prefixed.strip_prefix();
    assert_eq!(stripped.entries(), plain.entries());
    assert_eq!(stripped.ignored(), plain.ignored());
}

#[test]
fn what_cannot_become_weights_says_why() {
    let reason = |file: &str| match torch_error(file) {
        TorchError::Tensor { name, reason } if name == "w" => reason,
        other => panic!("{file}: {other:?}"),
    };
    assert!(reason("bad-complex.pt").contains("complex64"));
    assert!(reason("bad-sparse.pt").contains("to_dense"));
    assert!(reason("bad-quantised.pt").contains("dequantize"));
    assert!(reason("bad-float8.pt").contains("float8_e4m3fn"));
    assert!(reason("bad-meta.pt").contains("meta device"));
    assert!(matches!(torch_error("bad-script.pt"), TorchError::TorchScript));
    assert!(
        matches!(torch_error("bad-encrypted.pt"), TorchError::Encrypted { entry } if entry == "data.pkl")
    );
    assert!(matches!(torch_error("bad-tensor.pt"), TorchError::NoStateDict { found } if found == "a tensor"));
    assert!(
        matches!(torch_error("bad-no-tensors.pt"), TorchError::NoStateDict { found } if found == "a dict")
    );
}

#[test]
fn an_ambiguous_checkpoint_names_its_keys() {
    let TorchError::Ambiguous { candidates } = torch_error("bad-ambiguous.pt") else { panic!() };
    assert_eq!(candidates, ["generator", "discriminator"]);
    let error = |key| match read_weights(&fixture("bad-ambiguous.pt"), Some(key)) {
        Err(ImportError::Torch { source, .. }) => source,
        other => panic!("{other:?}"),
    };
    let TorchError::UnknownKey { key, found } = error("model") else { panic!() };
    assert_eq!((key.as_str(), found), ("model", candidates));
    assert!(matches!(error(""), TorchError::NoStateDict { .. }));
    let chosen = read_weights(&fixture("nested.pt"), Some("state_dict")).unwrap();
    assert_eq!(chosen, read_weights(&fixture("nested.pt"), None).unwrap());
    assert_eq!(chosen.len(), 4);
    let averaged = read_weights(&fixture("averaged.pt"), None).unwrap();
    assert_eq!(
        averaged.notes(),
        ["the weights under \"model\" were read; the checkpoint also has tensors under \"ema\""]
    );
}

#[test]
fn errors_name_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let message = |path: &Path, key| {
        let message = read_weights(path, key).unwrap_err().to_string();
        assert!(message.contains(path.to_str().unwrap()), "{message}");
        message
    };
    assert!(message(&folder.path().join("absent.pt"), None).starts_with("cannot read"));
    assert!(message(&write("page.pt", b"<!DOCTYPE html>"), None).contains("web page"));
    assert!(message(&write("empty.pt", b""), None).contains("empty file"));
    assert!(message(&write("no.safetensors", b"\x02\0\0\0\0\0\0\0{}"), None).contains("no tensor of floats"));
    assert!(message(&write("plain.pkl", b"\x80\x02}."), None).contains("PyTorch checkpoint"));
    assert!(message(&fixture("plain.safetensors"), Some("model")).contains("has no keys"));
    assert!(message(&fixture("golden.json"), None).contains("no known format"));
}

#[derive(Deserialize)]
struct Summary {
    ordered: bool,
    tensors: BTreeMap<String, TensorSummary>,
    ignored: usize,
    names: Vec<String>,
}

#[derive(Deserialize)]
struct TensorSummary {
    shape: Vec<usize>,
    ends: [f32; 2],
    sum: String,
}

#[test]
fn real_checkpoints_read_as_torch_reads_them() {
    let Some(data) = std::env::var_os("TEMPER_DATA") else {
        // Straight to standard error, past the test runner, which hides what tests print.
        let _ = writeln!(std::io::stderr(), "skipped: TEMPER_DATA is not set");
        return;
    };
    let golden = golden::<Summary>("golden-models.json");
    assert_eq!(golden.len(), 7);
    for (file, expected) in golden {
        let dict = read_weights(&Path::new(&data).join("models").join(&file), None).unwrap();
        if expected.ordered {
            assert_eq!(names(&dict), expected.names, "{file}");
        }
        assert_eq!((dict.len(), dict.ignored().len()), (expected.tensors.len(), expected.ignored), "{file}");
        for (name, tensor) in dict.entries() {
            let golden = &expected.tensors[name];
            let values = tensor.data();
            assert_eq!(tensor.shape(), golden.shape, "{file}: {name}");
            assert_eq!([values[0], values[values.len() - 1]], golden.ends, "{file}: {name}");
            let weighted =
                (1u64..).zip(values).map(|(place, value)| place.wrapping_mul(value.to_bits().into()));
            assert_eq!(weighted.fold(0, u64::wrapping_add).to_string(), golden.sum, "{file}: {name}");
        }
    }
    let onnx = read_weights(&Path::new(&data).join("models/lltfi-mnist-cnn.onnx"), None);
    assert!(matches!(onnx, Err(ImportError::Format { seems, .. }) if seems.contains("ONNX")));
}

//! Valid messages with hostile contents: numbers, operators and wiring changed at random in the models of the fixture folder.

use std::path::PathBuf;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use prost::Message;

use super::proto::{GraphProto, ModelProto, NodeProto};
use super::read;

/// Numbers at the edges of what dimensions, axes, paddings and steps may be.
const NUMBERS: [i64; 18] = [
    i64::MIN,
    i64::MIN + 1,
    -(1 << 31),
    -4,
    -1,
    0,
    1,
    2,
    3,
    5,
    48,
    65,
    1 << 16,
    1 << 31,
    1 << 32,
    1 << 62,
    i64::MAX - 1,
    i64::MAX,
];

/// Operators that take each other's arguments, or nearly.
const OPERATORS: [&str; 20] = [
    "Add",
    "AveragePool",
    "Cast",
    "Clip",
    "Concat",
    "ConstantOfShape",
    "Conv",
    "Div",
    "Gather",
    "Gemm",
    "MatMul",
    "MaxPool",
    "Mul",
    "Pad",
    "ReduceMean",
    "Reshape",
    "Shape",
    "Slice",
    "Squeeze",
    "Unsqueeze",
];

fn models() -> Vec<ModelProto> {
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "..", "fixtures", "onnx"].iter().collect();
    let entries = std::fs::read_dir(folder).expect("the fixtures exist");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "onnx"));
    paths.sort();
    let decode = |path| {
        let bytes: Vec<u8> = std::fs::read(path).expect("a readable fixture");
        ModelProto::decode(bytes.as_slice()).expect("an ONNX model")
    };
    paths.into_iter().map(decode).collect()
}

/// A change of kind `kind`, at a place and to a value that `at` and `to` choose among those there are.
#[derive(Debug, Clone)]
struct Change {
    kind: u8,
    at: usize,
    to: usize,
}

fn change() -> impl Strategy<Value = Change> {
    (0..9u8, any::<usize>(), any::<usize>()).prop_map(|(kind, at, to)| Change { kind, at, to })
}

/// The element of `list` that `choice` means, if there is one.
fn choose<T>(list: &mut [T], choice: usize) -> Option<&mut T> {
    let index = choice.checked_rem(list.len())?;
    list.get_mut(index)
}

fn apply(model: &mut ModelProto, &Change { kind, at, to }: &Change) {
    let Some(graph) = &mut model.graph else {
        return;
    };
    let number = NUMBERS[to % NUMBERS.len()];
    match kind {
        0 => model.opset_import[0].version = 7 + (to % 22) as i64,
        1 => change_attribute(graph, at, number),
        2 | 3 => change_tensor(graph, at, number, kind == 2),
        4 => {
            if let Some(node) = choose(&mut graph.node, at) {
                OPERATORS[to % OPERATORS.len()].clone_into(&mut node.op_type);
            }
        }
        5 => {
            let names: Vec<String> = graph.node.iter().flat_map(|node| node.output.clone()).collect();
            if let Some(input) = choose(&mut graph.node, at).and_then(|node| choose(&mut node.input, to)) {
                names[at % names.len()].clone_into(input);
            }
        }
        6 => {
            if let Some(node) = choose(&mut graph.node, at) {
                node.input.truncate(to % (node.input.len() + 1));
            }
        }
        7 => {
            if let Some(node) = choose(&mut graph.node, at) {
                let dropped = to.checked_rem(node.attribute.len());
                dropped.map(|index| node.attribute.remove(index));
            }
        }
        _ => change_input(graph, to, number),
    }
}

fn change_attribute(graph: &mut GraphProto, at: usize, number: i64) {
    let mut attributes: Vec<_> = graph.node.iter_mut().flat_map(|node| &mut node.attribute).collect();
    if let Some(attribute) = choose(&mut attributes, at) {
        attribute.i = number;
        if let Some(element) = choose(&mut attribute.ints, at / 7) {
            *element = number;
        }
    }
}

/// Changes the dimensions or the integers of a stored tensor.
fn change_tensor(graph: &mut GraphProto, at: usize, number: i64, dims: bool) {
    let in_nodes = graph.node.iter_mut().flat_map(|node: &mut NodeProto| &mut node.attribute);
    let tensors = in_nodes.filter_map(|attribute| attribute.t.as_mut()).chain(&mut graph.initializer);
    let mut tensors: Vec<_> = tensors.collect();
    let Some(tensor) = choose(&mut tensors, at) else {
        return;
    };
    if dims {
        if let Some(extent) = choose(&mut tensor.dims, at / 7) {
            *extent = number;
        }
    } else if tensor.data_type == 7
        && let Some(bytes) = choose(tensor.raw_data.as_chunks_mut::<8>().0, at / 7)
    {
        *bytes = number.to_le_bytes();
    }
}

fn change_input(graph: &mut GraphProto, to: usize, number: i64) {
    let shape = graph.input[0].r#type.as_mut().and_then(|kind| kind.tensor_type.as_mut()?.shape.as_mut());
    if let Some(dim) = shape.and_then(|shape| choose(&mut shape.dim, to / 19)) {
        dim.value = Some(super::proto::Extent::Value(number));
    }
}

/// Reads `cases` changed models, the same ones in every run; returns how many of them made networks.
fn read_changed(cases: u32) -> usize {
    let models = models();
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let accepted = std::cell::Cell::new(0);
    let strategy = (0..models.len(), prop::collection::vec(change(), 1..4));
    let outcome = runner.run(&strategy, |(model, changes)| {
        let mut model = models[model].clone();
        for change in &changes {
            apply(&mut model, change);
        }
        accepted.set(accepted.get() + usize::from(read(&model.encode_to_vec()).is_ok()));
        Ok(())
    });
    assert!(outcome.is_ok(), "{outcome:?}");
    accepted.get()
}

#[test]
fn changed_models_do_not_panic() {
    let accepted = read_changed(3000);
    // Neither are all changes harmless, nor do they all end at the door.
    assert!((300..2700).contains(&accepted), "{accepted} of 3000 make networks");
}

#[test]
#[ignore = "minutes long: run by hand"]
fn many_changed_models_do_not_panic() {
    read_changed(1_000_000);
}

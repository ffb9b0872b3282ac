//! Networks read from ONNX files compute what onnxruntime computes.
//!
//! The models and onnxruntime's answers are written by `fixtures/onnx/make.py`.

use std::io::Write as _;
use std::path::PathBuf;

use safetensors::SafeTensors;
use temper_core::network::import::onnx;

pub mod reference;

fn fixture(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "..", "fixtures", "onnx", name].iter().collect()
}

/// The values of a stored tensor and its first dimension.
fn tensor(file: &SafeTensors<'_>, name: &str) -> (usize, Vec<f32>) {
    let view = file.tensor(name).expect("the fixture holds the tensor");
    let values = view.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
    (view.shape()[0], values.collect())
}

/// Reads `model` and compares its outputs, each passed through `f`, with the answers in the fixture `name`; returns the notes.
fn compare(name: &str, model: &[u8], f: impl Fn(f64) -> f64) -> Vec<String> {
    let import = onnx::read(model).unwrap_or_else(|error| panic!("{name}: {error}"));
    let file = std::fs::read(fixture(&format!("{name}.safetensors"))).expect("the fixture exists");
    let file = SafeTensors::deserialize(&file).expect("the fixture is a safetensors file");
    let (batch, input) = tensor(&file, "input");
    let (_, expected) = tensor(&file, "output");
    let outputs = reference::evaluate(&import.network, &input, batch);
    let found = &outputs[import.network.output().0];
    assert_eq!(found.len(), expected.len(), "{name}");
    let scale = expected.iter().fold(0f64, |max, &x| max.max(f64::from(x).abs()));
    let worst = found
        .iter()
        .zip(&expected)
        .map(|(&found, &expected)| (f(found) - f64::from(expected)).abs() / scale)
        .fold(0f64, |worst, error| if error <= worst { worst } else { error });
    println!("{name}: {worst:.1e}");
    assert!(worst < 2e-6, "{name}: outputs differ by {worst:e} of the largest");
    import.notes
}

fn compare_fixture(name: &str) -> Vec<String> {
    let model = std::fs::read(fixture(&format!("{name}.onnx"))).expect("the fixture exists");
    compare(name, &model, |x| x)
}

#[test]
fn exported_networks_compute_what_onnxruntime_computes() {
    let exact = [
        "mlp",
        "lenet",
        "resnet_a_fused",
        "resnet_a",
        "resnet_b",
        "resnet_unfolded",
        "mobile_block",
        "tokens",
        "tokens_unfolded",
        "view",
        "view_fixed",
        "pads_and_pools",
    ];
    for name in exact {
        assert_eq!(compare_fixture(name), [""; 0], "{name}");
    }
}

#[test]
fn notes_tell_where_a_network_differs_from_the_file() {
    let notes = compare_fixture("nhwc");
    assert!(matches!(&notes[..], [note] if note.contains("Model/block/truediv")), "{notes:?}");
    let notes = compare_fixture("old_operators");
    assert!(matches!(&notes[..], [note] if note.contains("alpha 0.5 and beta 2")), "{notes:?}");
}

#[test]
fn a_final_log_softmax_becomes_a_softmax() {
    let model = std::fs::read(fixture("inception.onnx")).expect("the fixture exists");
    let notes = compare("inception", &model, f64::ln);
    assert!(matches!(&notes[..], [note] if note.contains("/LogSoftmax")), "{notes:?}");
}

#[test]
fn a_network_of_tf2onnx_computes_what_onnxruntime_computes() {
    let Some(folder) = std::env::var_os("TEMPER_DATA") else {
        // Straight to standard error, past the test runner, which hides what tests print.
        let _ = writeln!(std::io::stderr(), "skipped: TEMPER_DATA is not set");
        return;
    };
    let model =
        std::fs::read(PathBuf::from(folder).join("models/lltfi-mnist-cnn.onnx")).expect("the model exists");
    assert_eq!(compare("lltfi-mnist-cnn", &model, |x| x), [""; 0]);
}

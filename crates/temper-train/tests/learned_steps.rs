//! Activations of few bits, with steps that are averaged or learned.

#[path = "support/run.rs"]
pub mod run;

use std::path::Path;

use run::{StopAfter, prepare, train};
use serde_json::Value;

/// A network trained in `f32`, and then with three-bit activations.
const RECIPE: &str = r#"
seed = 3

[data]
set = "digits"

[network]
architecture = "mlp"
widths = [32]

[[phase]]
epochs = 10
batch_size = 50
optimizer = { kind = "sgd", lr = 0.1, momentum = 0.9 }

[[phase]]
epochs = 3
batch_size = 50
optimizer = { kind = "sgd", lr = 0.02, momentum = 0.9 }
storage = [{ target = "activation", place = "activated", format = "uint3" }]
activation_ranges = { kind = "learned-step" }
"#;

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).expect("readable")).expect("JSON")
}

/// The result of a run, and the largest value that its storage reaches.
fn train_by(text: &str) -> (Value, f64) {
    let dir = tempfile::tempdir().expect("a folder");
    train(&prepare(text).expect("sound"), dir.path(), &StopAfter::never()).expect("trains");
    let storage = std::fs::read_to_string(dir.path().join("last.storage.toml")).expect("readable");
    let storage: toml::Table = storage.parse().expect("TOML");
    let found = storage["storage"].as_array().expect("entries").last().expect("the range found");
    (
        json(&dir.path().join("result.json")),
        found["range"]["interval"]["high"].as_float().expect("an interval"),
    )
}

#[test]
fn steps_move_and_the_network_learns_with_them() {
    let (result, high) = train_by(RECIPE);
    let best = |phase: usize| result["phases"][phase]["best_accuracy"].as_f64().expect("a number");
    let start = result["phases"][1]["start_accuracy"].as_f64().expect("a number");
    assert!(best(0) > 0.9, "{result}");
    // Three bits cost something, not everything: the ranges are known before the first step.
    assert!(start > 0.85, "{result}");
    assert!(best(1) > 0.88, "{result}");
    let still = RECIPE.replace("lr = 0.02, momentum = 0.9", "lr = 0.0");
    let (_, first) = train_by(&still);
    assert!((high - first).abs() > 1e-4 * first, "from {first} to {high}");
}

//! Trainings run by the program.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A recipe of a moment on the embedded data.
pub const RECIPE: &str = r#"seed = 7

[data]
set = "digits"
train_limit = 200
test_limit = 100

[network]
architecture = "mlp"
widths = [16]

[[phase]]
epochs = 2
batch_size = 50
optimizer = { kind = "sgd", lr = 0.1 }
"#;

/// Writes a recipe; returns its path.
pub fn recipe(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    fs::write(&path, text).expect("written");
    path.to_string_lossy().into_owned()
}

/// What a finished training leaves, but for the times: networks as they are, texts as JSON.
pub fn outcome(run: &Path) -> BTreeMap<&'static str, Vec<u8>> {
    let timeless = |bytes: Vec<u8>| {
        let values = serde_json::Deserializer::from_slice(&bytes).into_iter::<Value>();
        let strip = |value: Result<Value, _>| without_seconds(value.expect("JSON")).to_string();
        values.map(strip).collect::<String>().into_bytes()
    };
    let read = |name: &'static str| {
        let bytes = fs::read(run.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        (name, if name.contains(".json") { timeless(bytes) } else { bytes })
    };
    let names = [
        "model.safetensors",
        "last.safetensors",
        "models/phase-1-best.safetensors",
        "history.jsonl",
        "result.json",
    ];
    names.map(read).into()
}

fn without_seconds(value: Value) -> Value {
    match value {
        Value::Object(map) => map
            .into_iter()
            .filter(|(key, _)| key != "seconds")
            .map(|(key, value)| (key, without_seconds(value)))
            .collect(),
        Value::Array(values) => values.into_iter().map(without_seconds).collect(),
        other => other,
    }
}

/// Starts a training and waits until its history has so many lines.
fn start_and_wait(arguments: &[&str], run: &Path, epochs: usize) -> Child {
    let done = || fs::read_to_string(run.join("history.jsonl")).map_or(0, |history| history.lines().count());
    let mut child = Command::new(env!("CARGO_BIN_EXE_temper"))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let began = Instant::now();
    while done() < epochs
        && began.elapsed() < Duration::from_mins(1)
        && child.try_wait().expect("a status").is_none()
    {
        std::thread::sleep(Duration::from_millis(1));
    }
    child
}

/// Starts a training and kills it after so many epochs; whether it was still running.
pub fn kill_when_epochs_are_done(arguments: &[&str], run: &Path, epochs: usize) -> bool {
    let mut child = start_and_wait(arguments, run, epochs);
    let running = child.try_wait().expect("a status").is_none();
    child.kill().expect("killed");
    child.wait().expect("ended");
    running
}

/// Starts a training and sends it a signal after so many epochs; its exit code and standard error.
pub fn signal_when_epochs_are_done(
    signal: &str,
    arguments: &[&str],
    run: &Path,
    epochs: usize,
) -> (Option<i32>, String) {
    let child = start_and_wait(arguments, run, epochs);
    // It may have ended by itself meanwhile; then there is nothing to send it to.
    let _ = Command::new("kill")
        .args([&format!("-{signal}"), &child.id().to_string()])
        .stderr(Stdio::null())
        .status();
    let output = child.wait_with_output().expect("ended");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

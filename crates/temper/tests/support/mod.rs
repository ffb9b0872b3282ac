//! Running the program.

pub mod training;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The embedded network, as a file.
pub const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/digits/digits-cnn.safetensors");

/// A campaign of a moment on the embedded data.
pub const CAMPAIGN: &str = r#"seed = 1
[model]
file = "digits-cnn.safetensors"
[data]
set = "digits"
limit = 100

[[fault]]
target = "weight"
layers = "*"
format = "f32"
model = "zeroing"
[sweep]
count = [0, 50, 500]
[trials]
count = 4
"#;

/// What a run of the program came to.
pub struct Run {
    /// Exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Run {
    /// Standard output as JSON.
    pub fn json(&self) -> serde_json::Value {
        assert_eq!(self.code, 0, "{}", self.err);
        serde_json::from_str(&self.out).expect("JSON on standard output")
    }
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_temper"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs the program.
pub fn temper(arguments: &[&str]) -> Run {
    let output = command(arguments).output().expect("the program starts");
    Run {
        code: output.status.code().expect("an exit code"),
        out: String::from_utf8(output.stdout).expect("text"),
        err: String::from_utf8(output.stderr).expect("text"),
    }
}

/// Starts the program, silently.
pub fn start(arguments: &[&str]) -> Child {
    command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts")
}

/// The first example of a page of the documentation.
pub fn example(page: &str) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page);
    let page = fs::read_to_string(page).expect("the page is part of the repository");
    page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example").to_owned()
}

/// Writes a specification beside the network it names; returns its path.
pub fn write_campaign(dir: &Path, name: &str, spec: &str) -> String {
    fs::copy(MODEL, dir.join("digits-cnn.safetensors")).expect("copied");
    let path = dir.join(name);
    fs::write(&path, spec).expect("written");
    path.to_string_lossy().into_owned()
}

/// Writes a specification; returns its path and that of a folder for its records.
pub fn digits_campaign(dir: &Path, spec: &str) -> (String, String) {
    (write_campaign(dir, "campaign.toml", spec), dir.join("records").to_string_lossy().into_owned())
}

/// Starts a campaign and kills it as soon as it has written more records than there were; whether it was still running.
pub fn kill_while_running(arguments: &[&str], records: &str) -> bool {
    let written = || {
        let logs = fs::read_dir(Path::new(records).join("shards/0001-of-1")).into_iter().flatten().flatten();
        logs.filter_map(|log| log.metadata().ok()).map(|metadata| metadata.len()).sum::<u64>()
    };
    let before = written();
    let mut child = start(arguments);
    let began = Instant::now();
    while written() == before && began.elapsed() < Duration::from_mins(1) {
        if child.try_wait().expect("a status").is_some() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let running = child.try_wait().expect("a status").is_none();
    child.kill().expect("killed");
    child.wait().expect("ended");
    running
}

/// The log of a campaign that one process ran.
pub fn only_log(records: &Path) -> std::path::PathBuf {
    let folder = fs::read_dir(records.join("shards/0001-of-1")).expect("a shard");
    let logs: Vec<_> = folder.map(|entry| entry.expect("an entry").path()).collect();
    assert_eq!(logs.len(), 1);
    logs.into_iter().next().expect("one log")
}

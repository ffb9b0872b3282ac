//! What an experiment's directory says of its runs.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use serde::Serialize;

/// The runs' file.
const RUNS: &str = "runs.jsonl";
/// Held by the process that works in a directory.
const LOCK: &str = ".lock";

/// A run begins.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) struct Run<'a> {
    event: &'static str,
    unix_s: u64,
    version: &'static str,
    host: String,
    os: &'static str,
    architecture: &'static str,
    cores: usize,
    threads: usize,
    jobs: usize,
    only: &'a [String],
}

/// A training or a campaign ended.
#[derive(Debug, Serialize)]
pub(super) struct StageEnded<'a> {
    event: &'static str,
    unix_s: u64,
    folder: &'a Path,
    outcome: &'a str,
    seconds: f64,
}

/// A directory that no other process works in.
pub(super) struct Log {
    runs: File,
    path: PathBuf,
    /// Given back when the process ends, however it ends.
    _lock: File,
}

impl Log {
    /// Takes an experiment's directory.
    pub(super) fn open(dir: &Path) -> Result<Self> {
        let path = dir.join(LOCK);
        let lock = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        if lock.try_lock().is_err() {
            bail!("another run is at work in {}; wait for it, or give another folder with -o", dir.display());
        }
        let path = dir.join(RUNS);
        let runs = OpenOptions::new().create(true).append(true).open(&path);
        let runs = runs.with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { runs, path, _lock: lock })
    }

    /// Notes that a run begins.
    pub(super) fn begin(&mut self, threads: usize, jobs: usize, only: &[String]) -> Result<()> {
        self.put(&Run {
            event: "run",
            unix_s: now(),
            version: env!("CARGO_PKG_VERSION"),
            host: gethostname::gethostname().to_string_lossy().into_owned(),
            os: std::env::consts::OS,
            architecture: std::env::consts::ARCH,
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            threads,
            jobs,
            only,
        })
    }

    /// Notes that a stage ended.
    pub(super) fn end(&mut self, folder: &Path, outcome: &str, seconds: f64) -> Result<()> {
        self.put(&StageEnded { event: "stage", unix_s: now(), folder, outcome, seconds })
    }

    fn put(&mut self, line: &impl Serialize) -> Result<()> {
        let line = serde_json::to_string(line)? + "\n";
        self.runs.write_all(line.as_bytes()).with_context(|| format!("cannot write {}", self.path.display()))
    }
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

//! A campaign of a million trials. Run it alone, in release: `cargo test --release -p temper-report --test many -- --ignored --nocapture`.

pub mod support;

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::time::Instant;

use serde_json::json;
use support::{Made, log_of};
use temper_report::{read, write};

#[test]
#[ignore = "writes 300 MB, and takes minutes without optimisation"]
fn a_million_trials_take_seconds_and_little_memory() {
    let dir = tempfile::tempdir().expect("a folder");
    let values = |count: usize, name: &str| (0..count).map(|i| json!(format!("{name}{i}"))).collect();
    let made = Made {
        axes: vec![
            ("layer".to_owned(), values(20, "layer")),
            ("bit_error_rate".to_owned(), (0..10).map(|i| json!(10f64.powi(i - 12))).collect()),
        ],
        ..Made::rates(&[], 5000)
    };
    let conditions = made.describe(dir.path());
    let mut log = BufWriter::new(File::create(log_of(dir.path())).expect("a file"));
    for draw in 0..made.draws {
        for condition in 0..conditions {
            let lost = (draw * 7 + condition as u64) % (1 + condition as u64 % 10 * 8);
            let record = made.record(conditions, condition, draw, [90 - lost.min(90), lost.min(90), 0]);
            log.write_all(record.to_line().as_bytes()).expect("written");
        }
    }
    drop(log);
    let before = peak();
    let began = Instant::now();
    let report = read(dir.path()).expect("sound");
    let reading = began.elapsed();
    write(&report, &dir.path().join("report")).expect("written");
    let all = began.elapsed();
    let grown = peak() - before;
    println!(
        "1 000 000 trials: read in {reading:.1?}, all in {all:.1?}, {grown} MiB more memory at the most"
    );
    assert!(grown < 300, "{grown} MiB");
}

/// The most memory that this process has had, in MiB; 0 where the system does not say.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).map_or(0, |kib| kib / 1024)
}

//! A million trials. Run it alone, in release: `cargo test --release -p temper-report --test many -- --ignored --nocapture --test-threads 1`.

pub mod support;

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;

use serde_json::json;
use support::experiment::{base, planned, run};
use support::{Made, log_of};
use temper_report::{read, write};

#[test]
#[ignore = "writes 600 MB"]
fn a_million_trials_take_seconds_and_little_memory() {
    let axes = vec![
        ("layer".to_owned(), (0..20).map(|i| json!(format!("layer{i}"))).collect()),
        ("bit_error_rate".to_owned(), (0..10).map(|i| json!(10f64.powi(i - 12))).collect()),
    ];
    measure(&Made { axes, ..Made::rates(&[], 5000) }, 300);
    // All under one condition: then all are whole at a time.
    measure(&Made::rates(&[1e-6], 1_000_000), 1000);
}

#[test]
#[ignore = "writes 600 MB"]
fn an_experiment_of_a_million_trials_takes_seconds_and_little_memory() {
    let dir = tempfile::tempdir().expect("a folder");
    let variants = (0..10).map(|i| format!("[[variant]]\nname = \"variant {i}\"\ntrain.seed = {}\n", i + 1));
    let experiment = planned(dir.path(), &(base() + &variants.collect::<String>()));
    let rates: Vec<f64> = (0..20).map(|i| 10f64.powi(i - 21)).collect();
    run(&experiment, &Made::rates(&rates, 5000), |variant, condition, draw| {
        90 - (draw * 7 + variant.len() as u64) % (1 + condition as u64 % 10 * 8)
    });
    told("an experiment of ten campaigns", dir.path(), 500);
}

/// Reports a campaign; fails if it takes more memory than so many MiB.
fn measure(made: &Made, most: u64) {
    let dir = tempfile::tempdir().expect("a folder");
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
    told(&format!("{conditions} conditions"), dir.path(), most);
}

/// Reports a directory; fails if it takes more memory than so many MiB.
fn told(what: &str, dir: &Path, most: u64) {
    let before = peak();
    let began = Instant::now();
    let report = read(dir).expect("sound");
    let reading = began.elapsed();
    write(&report, &dir.join("report")).expect("written");
    let all = began.elapsed();
    let grown = peak() - before;
    println!(
        "1 000 000 trials, {what}: read in {reading:.1?}, all in {all:.1?}, {grown} MiB more at the most"
    );
    assert!(grown < most, "{grown} MiB");
}

/// The most memory that this process has had, in MiB; 0 where the system does not say.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).map_or(0, |kib| kib / 1024)
}

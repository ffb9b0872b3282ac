//! What cannot be written is an error that names the file, and nothing is left half-written.
#![cfg(target_os = "linux")]

pub mod support;

use std::fs::{self, OpenOptions};
use std::process::{Command, Stdio};

use support::training::{RECIPE, outcome, recipe};
use support::{CAMPAIGN, digits_campaign, temper};

#[test]
fn an_export_that_fails_leaves_the_old_file() {
    let dir = tempfile::tempdir().expect("a folder");
    let (spec, records) = digits_campaign(dir.path(), CAMPAIGN);
    assert_eq!(temper(&["campaign", "run", &spec, "-o", &records]).code, 0);
    let refused = |file: &str, reason: &str| {
        let run = temper(&["campaign", "export", &records, "-o", file]);
        assert_eq!(run.code, 3, "{}", run.err);
        assert!(run.err.contains(&format!("cannot write {file}")) && run.err.contains(reason), "{}", run.err);
    };
    refused("/dev/full", "No space left");
    assert!(!fs::metadata("/dev/full").expect("still there").is_file(), "a device is no file to be replaced");
    refused(&dir.path().to_string_lossy(), "Is a directory");
    refused("/proc/records.csv", "");

    // Larger than a file may become: the old one stays, and no temporary one.
    let old = dir.path().join("old.json");
    fs::write(&old, "years of work").expect("written");
    let arguments = ["campaign", "export", &records, "--format", "json", "-o", &old.to_string_lossy()];
    let (code, err) = limited(1, &arguments);
    assert_eq!(code, Some(3), "{err}");
    assert!(err.contains("old.json") && err.contains("File too large"), "{err}");
    assert_eq!(fs::read_to_string(&old).expect("still there"), "years of work");
    let hidden = |entry: fs::DirEntry| entry.file_name().to_string_lossy().starts_with('.');
    assert!(!fs::read_dir(dir.path()).expect("readable").any(|entry| hidden(entry.expect("readable"))));
}

#[test]
fn standard_output_that_is_full_is_an_error() {
    let dir = tempfile::tempdir().expect("a folder");
    let (spec, records) = digits_campaign(dir.path(), CAMPAIGN);
    assert_eq!(temper(&["campaign", "run", &spec, "-o", &records]).code, 0);
    for format in ["csv", "json"] {
        let full = OpenOptions::new().write(true).open("/dev/full").expect("a device");
        let run = Command::new(env!("CARGO_BIN_EXE_temper"))
            .args(["campaign", "export", &records, "--format", format])
            .stdout(full)
            .output()
            .expect("the program starts");
        let err = String::from_utf8_lossy(&run.stderr);
        assert_eq!(run.status.code(), Some(3), "{err}");
        assert!(err.contains("No space left"), "{err}");
    }
}

#[test]
fn records_that_cannot_be_written_stop_the_run_which_then_goes_on() {
    let dir = tempfile::tempdir().expect("a folder");
    let long = CAMPAIGN.replace("count = 4", "count = 200");
    let (spec, records) = digits_campaign(dir.path(), &long);
    let whole = dir.path().join("whole").to_string_lossy().into_owned();
    assert_eq!(temper(&["campaign", "run", &spec, "-o", &whole]).code, 0);
    // A log may grow to 64 KiB: some two hundred records.
    let (code, err) = limited(64, &["campaign", "run", &spec, "-o", &records]);
    assert_eq!(code, Some(3), "{err}");
    assert!(err.contains("cannot write ") && err.contains(".jsonl"), "{err}");
    let status = temper(&["campaign", "status", &records, "--json"]).json();
    let recorded = status["recorded"].as_u64().expect("a number");
    assert!((1..600).contains(&recorded), "{recorded}");
    // Merging has no room either, and leaves nothing.
    let merged = dir.path().join("merged");
    let (code, err) = limited(64, &["campaign", "merge", &whole, "-o", &merged.to_string_lossy()]);
    assert_eq!(code, Some(3), "{err}");
    assert!(err.contains("merged") && !merged.exists(), "{err}");
    assert_eq!(fs::read_dir(dir.path()).expect("readable").count(), 4, "nothing unfinished is left");

    let run = temper(&["campaign", "run", &spec, "-o", &records]);
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(run.err.contains("unfinished record") && run.err.contains("recorded already"), "{}", run.err);
    let export = |dir: &str| temper(&["campaign", "export", dir]).out;
    assert_eq!(export(&records), export(&whole));
}

#[test]
fn a_training_that_cannot_write_stops_and_goes_on_once_there_is_room() {
    let dir = tempfile::tempdir().expect("a folder");
    let good = recipe(dir.path(), "good.toml", &RECIPE.replace("epochs = 2", "epochs = 40"));
    let (whole, run) = (dir.path().join("whole"), dir.path().join("run"));
    let (to_whole, to_run) = (whole.to_string_lossy().into_owned(), run.to_string_lossy().into_owned());
    assert_eq!(temper(&["train", &good, "-o", &to_whole]).code, 0);
    // A checkpoint of 5 KiB of parameters has room for the records of some epochs.
    let (code, err) = limited(16, &["train", &good, "-o", &to_run]);
    assert_eq!(code, Some(3), "{err}");
    assert!(err.contains("cannot write") && err.contains("File too large"), "{err}");
    assert!(!run.join("result.json").exists());
    let hidden = |entry: fs::DirEntry| entry.file_name().to_string_lossy().starts_with('.');
    assert!(!fs::read_dir(&run).expect("readable").any(|entry| hidden(entry.expect("readable"))));

    let again = temper(&["train", &good, "-o", &to_run, "--resume"]);
    assert_eq!(again.code, 0, "{}", again.err);
    assert!(again.err.contains("of 40 epochs are done already"), "{}", again.err);
    assert!(outcome(&run) == outcome(&whole));
}

/// Runs the program where no file may grow beyond so many KiB; its exit code and standard error.
fn limited(kib: u32, arguments: &[&str]) -> (Option<i32>, String) {
    // `bash` counts in KiB, other shells in halves of it. With the signal ignored, writing fails instead of ending the process.
    let script = format!("trap '' XFSZ; ulimit -f {kib}; exec \"$@\"");
    let run = Command::new("bash")
        .args(["-c", &script, "bash", env!("CARGO_BIN_EXE_temper")])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the program starts");
    (run.status.code(), String::from_utf8_lossy(&run.stderr).into_owned())
}

//! `temper data`, from arguments to output.

use std::fs;
use std::path::Path;

use clap::Parser;
use serde_json::{Value, json};

use super::{DataArgs, NotWhole, run};

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    data: DataArgs,
}

/// What the command prints, and its error.
fn temper_data(words: &[&str], data_dir: &Path) -> (String, Option<anyhow::Error>) {
    let words = ["data"].iter().chain(words).copied();
    let mut line = Line::parse_from(words);
    line.data.data_dir = Some(data_dir.to_owned());
    let mut out = Vec::new();
    let error = run(&line.data, &mut out).err();
    (String::from_utf8(out).unwrap(), error)
}

/// A data directory in which MNIST has one file, and that a wrong one.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("mnist")).unwrap();
    fs::write(dir.path().join("mnist/train-labels-idx1-ubyte.gz"), "abc").unwrap();
    dir
}

#[test]
fn list_tells_what_is_here() {
    let dir = folder();
    let (text, error) = temper_data(&["list"], dir.path());
    assert!(error.is_none());
    let line = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap();
    assert_eq!(line("mnist"), "mnist           60000  10000  1x28x28    11.6 MB  1 of 4 files here");
    assert!(line("digits").ends_with("built in") && line("svhn").ends_with("not here"), "{text}");
    let (text, _) = temper_data(&["list", "--json"], dir.path());
    let listed: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(listed[1]["name"], "mnist");
    assert_eq!(listed[1]["files_there"], 1);
    assert_eq!(listed[3]["shape"], json!([3, 32, 32]));
}

#[test]
fn verify_fails_on_what_is_not_whole() {
    let dir = folder();
    let (text, error) = temper_data(&["verify"], dir.path());
    assert_eq!(error.unwrap().downcast::<NotWhole>().unwrap(), NotWhole { count: 4 });
    assert_eq!(text.lines().filter(|line| line.starts_with("missing ")).count(), 3, "{text}");
    let sha256_abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let differs = text.lines().find(|line| line.starts_with("differs ")).unwrap();
    assert!(differs.contains(&format!("sha256 {sha256_abc}, expected 3552534a")), "{differs}");

    let (text, error) = temper_data(&["verify", "mnist", "--json"], dir.path());
    assert!(error.is_some());
    let verified: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(verified[0]["files"][1]["status"], "differs");
    assert_eq!(verified[0]["files"][1]["found"], sha256_abc);
    assert_eq!(verified[0]["files"][0]["status"], "missing");
}

#[test]
fn verify_without_a_name_leaves_out_what_is_not_here() {
    let dir = tempfile::tempdir().unwrap();
    let (text, error) = temper_data(&["verify"], dir.path());
    assert!(error.is_none() && text.starts_with("no data set is in "), "{text}");
    let (text, error) = temper_data(&["verify", "digits"], dir.path());
    assert!(error.is_none() && text == "built in    digits\n", "{text}");
    let (text, error) = temper_data(&["verify", "svhn"], dir.path());
    assert_eq!(error.unwrap().downcast::<NotWhole>().unwrap(), NotWhole { count: 2 }, "{text}");
}

#[test]
fn fetch_passes_errors_on() {
    let dir = tempfile::tempdir().unwrap();
    let (text, error) = temper_data(&["fetch", "digits"], dir.path());
    assert!(error.is_none() && text.contains("digits"), "{text}");
    let (_, error) = temper_data(&["fetch", "mnist", "--mirror", "http://127.0.0.1:1"], dir.path());
    let error = format!("{:#}", error.unwrap());
    assert!(error.starts_with("cannot get http://127.0.0.1:1/train-images-idx3-ubyte.gz; see"), "{error}");
    let (_, error) = temper_data(&["fetch", "emnist"], dir.path());
    assert!(error.unwrap().to_string().contains("the known ones are digits, mnist"));
}

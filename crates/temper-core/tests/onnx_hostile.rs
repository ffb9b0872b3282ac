//! Damaged ONNX files: an error, or another valid network, but never a panic and never more memory than the file backs.

use std::path::PathBuf;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use temper_core::network::import::onnx;

/// All models of the fixture folder, in the order of their names.
fn models() -> Vec<Vec<u8>> {
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "..", "fixtures", "onnx"].iter().collect();
    let entries = std::fs::read_dir(folder).expect("the fixtures exist");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "onnx"));
    paths.sort();
    assert!(paths.len() >= 15, "fixtures are missing");
    paths.iter().map(|path| std::fs::read(path).expect("a readable fixture")).collect()
}

/// Reads bytes, and if they make a network, checks that it is no larger than documented.
fn read(bytes: &[u8]) {
    match onnx::read(bytes) {
        Ok(import) => {
            let values: usize = import.network.tensors().values().map(|tensor| tensor.data().len()).sum();
            assert!(values <= bytes.len().max(1 << 20), "{values} values from {} bytes", bytes.len());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

#[test]
fn every_truncation_is_an_error() {
    for model in models().iter().filter(|model| model.len() < 3000) {
        for length in 0..model.len() {
            assert!(onnx::read(&model[..length]).is_err(), "the first {length} bytes are accepted");
        }
    }
}

#[test]
fn claims_of_enormous_lengths_are_errors() {
    // Field and wire type, then a length of 2^60 and little else: the graph, and inside it a node, a tensor, raw data.
    let length = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10];
    let claim = |prefix: &[u8], tag: u8| [prefix, &[tag], &length, &[0; 8]].concat();
    for bytes in [
        claim(&[], 0x3a),
        claim(&[0x3a, 18], 0x0a),
        claim(&[0x3a, 18], 0x2a),
        claim(&[0x3a, 20, 0x2a, 18], 0x4a),
        claim(&[0x3a, 20, 0x2a, 18], 0x22),
    ] {
        assert!(matches!(onnx::read(&bytes), Err(onnx::OnnxError::Decode(_))), "{bytes:?}");
    }
}

#[test]
fn other_files_are_errors() {
    for bytes in [&b"\x89PNG\r\n\x1a\n"[..], b"PK\x03\x04", b"\x80\x02}q\x00.", &[0; 64], &[0xff; 64], b"{}"]
    {
        assert!(onnx::read(bytes).is_err());
    }
}

/// One change to a file; places are fractions of its length.
#[derive(Debug, Clone)]
enum Damage {
    Set(f64, u8),
    Flip(f64, u8),
    /// A byte that protobuf or a dimension reads as a large or negative number.
    Varint(f64, u64),
    Remove(f64, usize),
    Repeat(f64, usize),
    Copy(f64, f64, usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let place = || 0.0..1.0;
    prop_oneof![
        (place(), any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        (place(), 0..8u8).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        (place(), prop_oneof![Just(u64::MAX), Just(1 << 60), Just(1 << 31), Just(0), any::<u64>()])
            .prop_map(|(at, value)| Damage::Varint(at, value)),
        (place(), 1..40usize).prop_map(|(at, count)| Damage::Remove(at, count)),
        (place(), 1..80usize).prop_map(|(at, count)| Damage::Repeat(at, count)),
        (place(), place(), 1..40usize).prop_map(|(from, to, count)| Damage::Copy(from, to, count)),
    ]
}

fn apply(bytes: &mut Vec<u8>, damage: &Damage) {
    if bytes.is_empty() {
        return;
    }
    let length = bytes.len();
    let place = |at: f64| ((at * length as f64) as usize).min(length - 1);
    let span = |at: f64, count: usize| place(at)..(place(at) + count).min(length);
    match *damage {
        Damage::Set(at, byte) => bytes[place(at)] = byte,
        Damage::Flip(at, bit) => bytes[place(at)] ^= 1 << bit,
        Damage::Varint(at, mut value) => {
            let mut encoded = Vec::new();
            while value > 0x7f {
                encoded.push(value as u8 | 0x80);
                value >>= 7;
            }
            encoded.push(value as u8);
            // In place of one byte, so that most of what follows keeps its meaning.
            bytes.splice(span(at, 1), encoded);
        }
        Damage::Remove(at, count) => drop(bytes.drain(span(at, count))),
        Damage::Repeat(at, count) => {
            let repeated = bytes[span(at, count)].to_vec();
            bytes.splice(place(at)..place(at), repeated);
        }
        Damage::Copy(from, to, count) => {
            let copied = bytes[span(from, count)].to_vec();
            let end = (place(to) + copied.len()).min(length);
            bytes[place(to)..end].copy_from_slice(&copied[..end - place(to)]);
        }
    }
}

/// Reads `cases` damaged files, the same ones in every run.
fn read_damaged(cases: u32) {
    let models = models();
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let strategy = (0..models.len(), prop::collection::vec(damage(), 1..5));
    let outcome = runner.run(&strategy, |(model, damages)| {
        let mut bytes = models[model].clone();
        for damage in &damages {
            apply(&mut bytes, damage);
        }
        read(&bytes);
        Ok(())
    });
    assert!(outcome.is_ok(), "{outcome:?}");
}

#[test]
fn damaged_files_do_not_panic() {
    read_damaged(3000);
}

#[test]
#[ignore = "minutes long: run by hand"]
fn many_damaged_files_do_not_panic() {
    read_damaged(5_000_000);
}

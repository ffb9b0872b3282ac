//! The SVHN reader on the files that `fixtures/svhn/make.py` writes, and on hostile ones.

use proptest::prelude::*;

use super::chain;
use crate::data::{DataError, Dataset, MatError, Split, read_svhn};

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../../fixtures/svhn/{name}.mat", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn read(file: &[u8]) -> Result<Dataset, DataError> {
    read_svhn(Split::Train, file)
}

/// The formula in `make.py`.
fn pixel(image: usize, channel: usize, row: usize, column: usize) -> u8 {
    ((7 * row + 3 * column + 50 * channel + 11 * image) % 256) as u8
}

#[test]
fn images_and_labels_in_every_form() {
    for name in ["plain", "compressed", "big-endian"] {
        let data = read(&fixture(name)).unwrap();
        assert_eq!((data.name(), data.shape(), data.classes()), ("svhn", [3, 32, 32], 10), "{name}");
        assert_eq!(data.labels(), [1, 0, 5], "{name}");
        for (image, channel, row) in (0..3).flat_map(|n| (0..96).map(move |cr| (n, cr / 32, cr % 32))) {
            let found = &data.image(image)[(channel * 32 + row) * 32..][..32];
            let expected: Vec<u8> = (0..32).map(|column| pixel(image, channel, row, column)).collect();
            assert_eq!(found, expected, "{name}: image {image}, channel {channel}, row {row}");
        }
    }
}

#[test]
fn what_is_wrong_is_said() {
    for (name, expected) in [
        ("wrong-shape", "variable X has shape [16, 32, 3, 3]; expected [32, 32, 3, N]"),
        ("wrong-label", "image 0 has label 0; expected a whole number from 1 to 10"),
        (
            "wrong-class",
            "variable X is an array of class 7 (complex: false); expected 9 (uint8), not complex",
        ),
        ("no-labels", "there is no variable y"),
        ("too-few-labels", "there are 3 images and 2 labels"),
    ] {
        let error = chain(&read(&fixture(name)).unwrap_err());
        assert!(error.contains(expected), "{name}: {error}");
    }
}

#[test]
fn a_variable_may_stand_only_once() {
    let plain = fixture("plain");
    let twice = [&plain[..], &plain[128..]].concat();
    let error = read(&twice).unwrap_err();
    assert!(matches!(error, DataError::Mat(MatError::RepeatedVariable { name: "X" })), "{error}");
}

#[test]
fn another_version_is_refused_with_advice() {
    let mut file = fixture("plain");
    file[124..126].copy_from_slice(&[0x00, 0x02]);
    let error = chain(&read(&file).unwrap_err());
    assert!(error.contains("found [00, 02, 49, 4d]") && error.contains("-v7"), "{error}");
}

#[test]
fn every_cut_is_an_error() {
    for name in ["compressed", "big-endian"] {
        let file = fixture(name);
        for length in 0..file.len() {
            assert!(read(&file[..length]).is_err(), "{name} cut at {length}");
        }
    }
}

/// The sizes of a compressed variable and of its values, each claimed to be 4 GiB.
#[test]
fn sizes_are_not_believed() {
    let mut outer = fixture("plain");
    outer[132..136].copy_from_slice(&u32::MAX.to_le_bytes());
    let error = read(&outer).unwrap_err();
    assert!(matches!(error, DataError::Mat(MatError::Truncated { what: "element", .. })), "{error}");

    // The values' tag: after the header, the variable's tag, flags, dimensions and the name in its small form.
    let values = 128 + 8 + 16 + 24 + 8;
    let mut inner = fixture("plain");
    assert_eq!(inner[values..values + 8], [2, 0, 0, 0, 0, 0x24, 0, 0], "3 × 3 072 bytes");
    inner[values + 4..values + 8].copy_from_slice(&u32::MAX.to_le_bytes());
    let error = read(&inner).unwrap_err();
    assert!(matches!(error, DataError::Mat(MatError::TooLarge { claimed: 0xffff_ffff, .. })), "{error}");
    inner[values + 4..values + 8].copy_from_slice(&(1u32 << 30).to_le_bytes());
    let error = read(&inner).unwrap_err();
    assert!(matches!(error, DataError::Mat(MatError::Truncated { expected: 0x4000_0000, .. })), "{error}");
}

#[test]
fn damage_to_a_compressed_variable_is_noticed() {
    let file = fixture("compressed");
    let good = read(&file).unwrap();
    let mut unnoticed = Vec::new();
    for at in 136..file.len() {
        let mut damaged = file.clone();
        damaged[at] ^= 0x10;
        match read(&damaged) {
            Ok(data) if data != good => panic!("byte {at} changed the data unnoticed"),
            Ok(_) => unnoticed.push(at),
            Err(_) => {}
        }
    }
    assert!(
        unnoticed.len() < 8,
        "only bits without meaning may be changed, but {unnoticed:?} went unnoticed"
    );
}

proptest! {
    #[test]
    fn any_damage_is_refused_or_read(
        changes in prop::collection::vec((0usize..4096, any::<u8>()), 1..8),
        which in 0usize..3,
    ) {
        let mut file = fixture(["plain", "compressed", "big-endian"][which]);
        for (at, value) in changes {
            let at = at % file.len().min(512);
            file[at] = value;
        }
        let _ = read(&file);
    }
}

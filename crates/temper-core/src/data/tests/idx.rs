//! The idx reader on small and hostile files.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;

use crate::data::{DataError, DatasetError, Split, read_idx};

const IMAGES: &[u8] =
    &[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6, 10, 20, 30, 40, 50, 60];
const LABELS: &[u8] = &[0, 0, 8, 1, 0, 0, 0, 2, 9, 0];

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn read(images: &[u8], labels: &[u8]) -> Result<crate::data::Dataset, DataError> {
    read_idx("small", Split::Test, images, labels)
}

#[test]
fn a_small_file_compressed_or_not() {
    let data = read(IMAGES, LABELS).unwrap();
    assert_eq!((data.name(), data.split(), data.shape()), ("small", Split::Test, [1, 2, 3]));
    assert_eq!((data.labels(), data.classes(), data.pixel_max()), (&[9, 0][..], 10, 255));
    assert_eq!(data.image(0), [1, 2, 3, 4, 5, 6]);
    assert_eq!(data.image(1), [10, 20, 30, 40, 50, 60]);
    assert_eq!(read(&gzip(IMAGES), LABELS).unwrap(), data);
    assert_eq!(read(IMAGES, &gzip(LABELS)).unwrap(), data);
}

#[test]
fn every_cut_is_an_error() {
    let compressed = gzip(IMAGES);
    for length in 0..compressed.len() {
        assert!(read(&compressed[..length], LABELS).is_err(), "compressed images cut at {length}");
    }
    for length in 0..IMAGES.len() {
        assert!(read(&IMAGES[..length], LABELS).is_err(), "images cut at {length}");
    }
    for length in 0..LABELS.len() {
        assert!(read(IMAGES, &LABELS[..length]).is_err(), "labels cut at {length}");
    }
}

#[test]
fn bytes_after_the_end_are_an_error() {
    let longer = [IMAGES, &[7]].concat();
    assert!(matches!(read(&longer, LABELS), Err(DataError::Trailing { what: "images", expected: 12 })));
    assert!(matches!(read(&gzip(&longer), LABELS), Err(DataError::Trailing { .. })));
    let after_stream = [gzip(IMAGES), vec![7]].concat();
    assert!(matches!(read(&after_stream, LABELS), Err(DataError::Trailing { .. })));
}

#[test]
fn a_damaged_checksum_is_an_error() {
    let mut compressed = gzip(IMAGES);
    let at = compressed.len() - 8;
    compressed[at] ^= 1;
    assert!(matches!(read(&compressed, LABELS), Err(DataError::Decompress { what: "images", .. })));
}

#[test]
fn a_header_may_not_claim_more_than_is_sane() {
    let huge = [&[0, 0, 8, 3][..], &[0xff; 12]].concat();
    for file in [huge.clone(), gzip(&huge)] {
        let error = read(&file, LABELS).unwrap_err();
        assert!(matches!(error, DataError::TooLarge { claimed: u64::MAX, .. }), "{error}");
    }
}

#[test]
fn a_bomb_is_not_inflated_past_what_its_header_promises() {
    let bomb = gzip(&[IMAGES, &vec![0; 64 << 20]].concat());
    assert!(bomb.len() < 100_000);
    assert!(matches!(read(&bomb, LABELS), Err(DataError::Trailing { expected: 12, .. })));
}

#[test]
fn files_of_another_kind_or_pair_are_named() {
    let swapped = read(LABELS, IMAGES).unwrap_err().to_string();
    let expected =
        "expected an idx file, which starts with the bytes [00, 00, 08, 03]; found [00, 00, 08, 01]";
    assert_eq!(swapped, expected);
    let three = [0, 0, 8, 1, 0, 0, 0, 3, 1, 2, 3];
    assert!(matches!(read(IMAGES, &three), Err(DataError::Counts { images: 2, labels: 3 })));
    let label_10 = [0, 0, 8, 1, 0, 0, 0, 2, 1, 10];
    let error = read(IMAGES, &label_10).unwrap_err();
    assert!(matches!(error, DataError::Dataset(DatasetError::Label { index: 1, label: 10, .. })));
    let none = [0, 0, 8, 3, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 3];
    let error = read(&none, &[0, 0, 8, 1, 0, 0, 0, 0]).unwrap_err();
    assert!(matches!(error, DataError::Dataset(DatasetError::Empty)));
}

proptest! {
    /// A flipped bit either changes only content that is free, or is noticed; in a compressed file it is always noticed, unless
    /// it lies in the gzip header's unchecked fields.
    #[test]
    fn a_flipped_bit_never_panics_and_rarely_passes(at in 10usize..40, bit in 0u8..8) {
        let mut compressed = gzip(IMAGES);
        let at = at.min(compressed.len() - 1);
        compressed[at] ^= 1 << bit;
        if let Ok(data) = read(&compressed, LABELS) {
            prop_assert_eq!(data, read(IMAGES, LABELS).unwrap());
        }
    }

    #[test]
    fn any_bytes_are_refused_or_read(images in prop::collection::vec(any::<u8>(), 0..64)) {
        let mut file = vec![0, 0, 8, 3];
        file.extend(images);
        let _ = read(&file, LABELS);
        let _ = read(&file[4..], LABELS);
    }
}

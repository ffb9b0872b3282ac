//! The CIFAR-10 reader on small files.

use crate::data::{DataError, DatasetError, Split, read_cifar10};

const RECORD: usize = 3073;

/// `labels.len()` records; every pixel of record `i` is `i`, but the first of each plane is 100, 101, 102.
fn batch(labels: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (i, &label) in labels.iter().enumerate() {
        bytes.push(label);
        for plane in 0..3 {
            bytes.push(100 + plane);
            bytes.extend([i as u8; 1023]);
        }
    }
    bytes
}

#[test]
fn batches_follow_one_another() {
    let (first, second) = (batch(&[3, 9]), batch(&[0]));
    let data = read_cifar10(Split::Train, [&first[..], &second]).unwrap();
    assert_eq!((data.name(), data.split(), data.shape()), ("cifar-10", Split::Train, [3, 32, 32]));
    assert_eq!((data.labels(), data.len()), (&[3, 9, 0][..], 3));
    assert_eq!([0, 1, 1024, 2048, 3071].map(|at| data.image(1)[at]), [100, 1, 101, 102, 1]);
}

#[test]
fn every_cut_inside_a_record_is_an_error() {
    let whole = batch(&[1, 2]);
    for length in (0..whole.len()).filter(|&length| length != RECORD) {
        let error = read_cifar10(Split::Test, [&whole[..length]]).unwrap_err();
        assert!(matches!(error, DataError::Records { found, record: RECORD } if found == length));
    }
}

#[test]
fn a_label_of_ten_and_no_batch_are_errors() {
    let error = read_cifar10(Split::Test, [&batch(&[1, 10])[..]]).unwrap_err();
    assert!(matches!(error, DataError::Dataset(DatasetError::Label { index: 1, label: 10, classes: 10 })));
    let error = read_cifar10(Split::Test, []).unwrap_err();
    assert!(matches!(error, DataError::Dataset(DatasetError::Empty)));
}

//! Loading and verifying by name.

use std::fs;

use super::{chain, histogram};
use crate::data::{DataError, FileStatus, Source, Split, catalog, digits, find, load, verify};

#[test]
fn the_embedded_digits() {
    let (train, test) = (digits(Split::Train), digits(Split::Test));
    assert_eq!((train.len(), test.len(), train.shape(), train.pixel_max()), (1297, 500, [1, 8, 8], 16));
    // As counted with scikit-learn's load_digits.
    assert_eq!(histogram(&train), [128, 131, 128, 132, 130, 131, 130, 129, 128, 130]);
    assert_eq!(histogram(&test), [50, 51, 49, 51, 51, 51, 51, 50, 46, 50]);
    assert_eq!(train.image(0)[..16], [0, 0, 5, 13, 9, 1, 0, 0, 0, 0, 13, 15, 10, 15, 5, 0]);
    assert_eq!(test.image(0)[..8], [0, 0, 0, 14, 12, 1, 0, 0]);
    assert_eq!(test.labels()[..5], [0, 1, 2, 3, 4]);
    let sum = |data: &crate::data::Dataset| -> u32 {
        (0..data.len()).flat_map(|i| data.image(i)).map(|&pixel| u32::from(pixel)).sum()
    };
    assert_eq!((sum(&train), sum(&test)), (406_262, 155_456));
    assert_eq!(load("digits", Split::Test, None, "nowhere".as_ref()).unwrap(), test);
}

#[test]
fn the_catalog_is_consistent() {
    for entry in catalog() {
        assert_eq!(find(entry.name).unwrap(), entry);
        assert_eq!(entry.files.is_empty(), entry.source == Source::Embedded);
        for file in entry.files {
            assert!(file.path.starts_with(&format!("{}/", entry.name)), "{}", file.path);
            let digits = if entry.name == "cifar-10" { 32 } else { 64 };
            assert_eq!(file.checksum.hex.len(), digits, "{}", file.path);
            let plain = file.plain.map(|plain| plain.checksum);
            for checksum in plain.into_iter().chain([file.checksum]) {
                assert!(checksum.hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')));
            }
        }
    }
    assert_eq!(find("mnist").unwrap().download_bytes(), 11_594_722);
    // Each batch holds 10 000 records of 3 073 bytes, which loading the first images relies on.
    let cifar = find("cifar-10").unwrap();
    assert!(cifar.files.iter().all(|file| file.bytes == 10_000 * 3073));
    for (split, batches) in [(Split::Train, 5), (Split::Test, 1)] {
        assert_eq!(cifar.files.iter().filter(|file| file.split == split).count(), batches);
        assert_eq!(cifar.images(split), batches * 10_000);
    }
}

#[test]
fn an_unknown_name_is_answered_with_the_known_ones() {
    let error = load("emnist", Split::Test, None, "nowhere".as_ref()).unwrap_err().to_string();
    let expected =
        "there is no data set \"emnist\"; the known ones are digits, mnist, fashion-mnist, cifar-10, svhn";
    assert_eq!(error, expected);
}

#[test]
fn missing_files_are_named_all_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let batches = dir.path().join("cifar-10/cifar-10-batches-bin");
    fs::create_dir_all(&batches).unwrap();
    for batch in [1, 2, 4] {
        fs::write(batches.join(format!("data_batch_{batch}.bin")), [0; 3073]).unwrap();
    }
    let error = load("cifar-10", Split::Train, None, dir.path()).unwrap_err();
    let DataError::Missing { name, paths } = &error else { panic!("{error}") };
    assert_eq!(name, "cifar-10");
    assert_eq!(*paths, [3, 5].map(|batch| batches.join(format!("data_batch_{batch}.bin"))));
    assert!(error.to_string().ends_with("`temper data fetch cifar-10` gets it"), "{error}");
}

#[test]
fn too_few_images_are_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let batch = dir.path().join("cifar-10/cifar-10-batches-bin/test_batch.bin");
    fs::create_dir_all(batch.parent().unwrap()).unwrap();
    fs::write(&batch, [0; 3 * 3073]).unwrap();
    let error = chain(&load("cifar-10", Split::Test, None, dir.path()).unwrap_err());
    assert!(error.starts_with(&format!("{} does not hold what cifar-10 should", batch.display())), "{error}");
    assert!(error.ends_with("the files hold 3 images of the test split; expected 10000"), "{error}");
}

/// A batch of blank images, all of this label.
fn cifar_batch(label: u8, images: usize) -> Vec<u8> {
    let mut record = vec![0; 3073];
    record[0] = label;
    record.repeat(images)
}

#[test]
fn a_limit_needs_only_the_batches_that_hold_its_images() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("cifar-10/cifar-10-batches-bin");
    fs::create_dir_all(&folder).unwrap();
    let batch = |number: u8| folder.join(format!("data_batch_{number}.bin"));
    let train = |limit| load("cifar-10", Split::Train, limit, dir.path());
    for number in [1, 2] {
        fs::write(batch(number), cifar_batch(number, 10_000)).unwrap();
    }
    for (limit, of_second) in [(1, 0), (512, 0), (10_000, 0), (10_001, 1), (20_000, 10_000)] {
        let data = train(Some(limit)).unwrap();
        assert_eq!(data.len(), limit);
        assert_eq!(histogram(&data)[1..3], [limit - of_second, of_second]);
    }
    let missing = |limit| match train(limit) {
        Err(DataError::Missing { paths, .. }) => paths,
        other => panic!("{other:?}"),
    };
    assert_eq!(missing(Some(20_001)), [batch(3)]);
    assert_eq!(missing(None), [3, 4, 5].map(batch));
    // A batch cut after a whole record, though it still holds the images wanted.
    fs::write(batch(1), cifar_batch(1, 9_999)).unwrap();
    let error = chain(&train(Some(5)).unwrap_err());
    assert!(error.ends_with("the files hold 9999 images of the train split; expected 10000"), "{error}");
}

#[test]
fn a_limit_cuts_other_data_sets_after_reading() {
    let load = |limit| load("digits", Split::Test, limit, "nowhere".as_ref());
    assert_eq!(load(Some(7)).unwrap(), digits(Split::Test).take(7).unwrap());
    assert_eq!(load(Some(500)).unwrap(), digits(Split::Test));
    for limit in [0, 501, usize::MAX] {
        let error = load(Some(limit)).unwrap_err().to_string();
        let expected =
            format!("limit: {limit} images are wanted, but digits (test) has 500; expected 1 to 500");
        assert_eq!(error, expected);
    }
}

#[test]
fn a_damaged_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("svhn")).unwrap();
    fs::write(dir.path().join("svhn/test_32x32.mat"), "not found").unwrap();
    let error = chain(&load("svhn", Split::Test, None, dir.path()).unwrap_err());
    assert!(error.contains("test_32x32.mat") && error.contains("level 5"), "{error}");
}

#[test]
fn verify_tells_every_case_apart() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("mnist");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("train-images-idx3-ubyte.gz"), "something else").unwrap();
    fs::create_dir(folder.join("t10k-images-idx3-ubyte")).unwrap();
    let reports = verify("mnist", dir.path()).unwrap();
    assert_eq!(reports.len(), 4);
    assert_eq!(reports[0].path, folder.join("train-images-idx3-ubyte.gz"));
    let FileStatus::Differs { expected, found, .. } = &reports[0].status else { panic!("{:?}", reports[0]) };
    assert!(expected.starts_with("440fcabf") && found.len() == 64 && expected != found);
    assert_eq!(reports[1].status, FileStatus::Missing);
    assert_eq!(reports[2].path, folder.join("t10k-images-idx3-ubyte"));
    assert!(matches!(reports[2].status, FileStatus::Unreadable { .. }));
    assert!(verify("digits", dir.path()).unwrap().is_empty());
    assert!(verify("emnist", dir.path()).is_err());
}

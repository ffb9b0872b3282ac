//! The readers on the real files below `TEMPER_DATA`; a data set that is not there is skipped by name.

use std::fs;
use std::io::Read;
use std::io::Write as _;
use std::path::PathBuf;

use flate2::read::GzDecoder;

use super::histogram;
use crate::data::{DataError, Dataset, FileStatus, Split, load, verify};

fn data_dir() -> Option<PathBuf> {
    let dir = std::env::var_os("TEMPER_DATA").map(PathBuf::from);
    if dir.is_none() {
        // Straight to standard error, past the test runner, which hides what tests print.
        let _ = writeln!(std::io::stderr(), "skipped: TEMPER_DATA is not set");
    }
    dir
}

/// The split, or nothing where its files are missing.
fn loaded(name: &str, split: Split) -> Option<Dataset> {
    match load(name, split, None, &data_dir()?) {
        Err(DataError::Missing { .. }) => {
            // Straight to standard error, past the test runner, which hides what tests print.
            let _ = writeln!(std::io::stderr(), "skipped: {name} is not below TEMPER_DATA");
            None
        }
        other => Some(other.unwrap()),
    }
}

fn pixel_sum(data: &Dataset) -> u64 {
    (0..data.len()).flat_map(|i| data.image(i)).map(|&pixel| u64::from(pixel)).sum()
}

#[test]
fn mnist() {
    let Some(train) = loaded("mnist", Split::Train) else { return };
    assert_eq!((train.len(), train.shape()), (60_000, [1, 28, 28]));
    assert_eq!(train.labels()[..10], [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]);
    assert_eq!(histogram(&train), [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]);
    let row_5 = [3, 18, 18, 18, 126, 136, 175, 26, 166, 255, 247, 127];
    assert_eq!(train.image(0)[5 * 28 + 12..][..12], row_5);
    assert_eq!(pixel_sum(&train), 1_567_298_545);
    let test = loaded("mnist", Split::Test).unwrap();
    assert_eq!(test.labels()[..10], [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]);
    assert_eq!(histogram(&test), [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]);
    assert_eq!((test.len(), pixel_sum(&test)), (10_000, 264_923_200));
}

#[test]
fn fashion_mnist() {
    let Some(train) = loaded("fashion-mnist", Split::Train) else { return };
    assert_eq!(train.labels()[..10], [9, 0, 0, 3, 0, 2, 7, 2, 5, 5]);
    assert_eq!(histogram(&train), [6000; 10]);
    let row_5 = [6, 0, 102, 204, 176, 134, 144, 123, 23];
    assert_eq!(train.image(0)[5 * 28 + 12..][..9], row_5);
    assert_eq!(pixel_sum(&train), 3_431_114_169);
    let test = loaded("fashion-mnist", Split::Test).unwrap();
    assert_eq!(test.labels()[..10], [9, 2, 1, 1, 6, 1, 4, 6, 5, 7]);
    assert_eq!((histogram(&test), pixel_sum(&test)), (vec![1000; 10], 573_469_082));
}

#[test]
fn cifar_10_test_batch() {
    let Some(test) = loaded("cifar-10", Split::Test) else { return };
    assert_eq!((test.len(), test.shape()), (10_000, [3, 32, 32]));
    assert_eq!(test.labels()[..10], [3, 8, 8, 0, 6, 6, 1, 6, 3, 1]);
    assert_eq!(histogram(&test), [1000; 10]);
    let image = test.image(0);
    assert_eq!(image[..8], [158, 159, 165, 166, 160, 156, 162, 159]);
    assert_eq!((&image[1024..1028], &image[2048..2052]), (&[112, 111, 116, 118][..], &[49, 47, 51, 53][..]));
}

#[test]
fn svhn() {
    for (split, count) in [(Split::Train, 73_257), (Split::Test, 26_032)] {
        let Some(data) = loaded("svhn", split) else { return };
        assert_eq!((data.len(), data.shape()), (count, [3, 32, 32]));
    }
}

/// The official files have their checksums, and so has their decompressed content; the reader takes both.
#[test]
fn idx_files_verify_compressed_and_plain() {
    let Some(dir) = data_dir() else { return };
    let plain = tempfile::tempdir().unwrap();
    for name in ["mnist", "fashion-mnist"] {
        let reports = verify(name, &dir).unwrap();
        assert!(reports.iter().all(|report| report.status.is_ok()), "{reports:?}");
        fs::create_dir(plain.path().join(name)).unwrap();
        for report in reports {
            let mut content = Vec::new();
            GzDecoder::new(fs::File::open(&report.path).unwrap()).read_to_end(&mut content).unwrap();
            let file = report.path.file_stem().unwrap();
            fs::write(plain.path().join(name).join(file), content).unwrap();
        }
        let reports = verify(name, plain.path()).unwrap();
        assert!(reports.iter().all(|report| report.status.is_ok()), "{reports:?}");
        let [packed, unpacked] = [&*dir, plain.path()].map(|dir| load(name, Split::Test, None, dir).unwrap());
        assert_eq!(packed, unpacked);
    }
}

/// A batch that is not the official one, or not there, is never called whole.
#[test]
fn cifar_10_batches_are_told_from_official_ones() {
    let Some(dir) = data_dir() else { return };
    for report in verify("cifar-10", &dir).unwrap() {
        let Ok(mut bytes) = fs::read(&report.path) else {
            assert_eq!(report.status, FileStatus::Missing);
            continue;
        };
        bytes[5000] ^= 1;
        let copy = tempfile::tempdir().unwrap();
        let folder = copy.path().join("cifar-10/cifar-10-batches-bin");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(report.path.file_name().unwrap()), bytes).unwrap();
        let reports = verify("cifar-10", copy.path()).unwrap();
        assert!(reports.iter().all(|report| !report.status.is_ok()), "{reports:?}");
    }
}

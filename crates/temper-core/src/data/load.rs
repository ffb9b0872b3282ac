//! Data sets by name, from a data directory.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::catalog::{CatalogEntry, CatalogFile, find};
use super::dataset::{Dataset, Split};
use super::error::DataError;
use super::{cifar, digits, idx, svhn};

/// Loads a split of the data set called `name` from its files below `data_dir` (see [`catalog`](super::catalog())), or its first
/// `limit` images.
///
/// With a limit, only the files that hold these images need be there: of CIFAR-10, the first batches. A file of the idx format
/// may be there with or without `.gz`. The checksums are not compared; that is what [`verify`](super::verify()) does.
///
/// # Errors
/// When there is no such data set, the limit is zero or more than the split has, a file that is needed is missing or cannot be
/// read, or its content is not what it should be, down to the number of images.
pub fn load(name: &str, split: Split, limit: Option<usize>, data_dir: &Path) -> Result<Dataset, DataError> {
    let entry = find(name)?;
    let images = entry.images(split);
    let wanted = limit.unwrap_or(images);
    if wanted == 0 || wanted > images {
        return Err(DataError::Limit { name: name.to_owned(), split, limit: wanted, images });
    }
    let (files, expected) = needed(entry, split, wanted);
    let paths = present(entry, files, data_dir)?;
    let dataset = read(entry.name, split, &paths)?;
    if dataset.len() == expected {
        return Ok(dataset.take(wanted)?);
    }
    let found = dataset.len();
    Err(within(entry.name, paths, DataError::ImageCount { split, found, expected }))
}

/// The files that hold the first `wanted` images of a split, and how many images they hold.
fn needed(entry: &CatalogEntry, split: Split, wanted: usize) -> (Vec<&CatalogFile>, usize) {
    let files = entry.files.iter().filter(|file| file.split == split);
    if entry.name == cifar::NAME {
        let batches = wanted.div_ceil(cifar::BATCH_IMAGES);
        (files.take(batches).collect(), batches * cifar::BATCH_IMAGES)
    } else {
        (files.collect(), entry.images(split))
    }
}

/// The paths of files, all of which are there.
fn present(
    entry: &CatalogEntry,
    files: Vec<&CatalogFile>,
    data_dir: &Path,
) -> Result<Vec<PathBuf>, DataError> {
    let (mut there, mut missing) = (Vec::new(), Vec::new());
    for file in files {
        match file.locate(data_dir) {
            Some((path, _)) => there.push(path),
            None => missing.push(data_dir.join(file.path)),
        }
    }
    if missing.is_empty() {
        return Ok(there);
    }
    Err(DataError::Missing { name: entry.name.to_owned(), paths: missing })
}

impl CatalogFile {
    /// Whether this file, or its decompressed form, lies below `data_dir`; whether it is whole is for
    /// [`verify_file`](super::verify_file) to say.
    pub fn is_there(&self, data_dir: &Path) -> bool {
        self.locate(data_dir).is_some()
    }

    /// Where this file, or its decompressed form, lies below `data_dir`, and the checksum it should have there.
    pub(super) fn locate(&self, data_dir: &Path) -> Option<(PathBuf, super::Checksum)> {
        let compressed = (data_dir.join(self.path), self.checksum);
        let plain = self.plain.map(|plain| (data_dir.join(plain.path), plain.checksum));
        [Some(compressed), plain].into_iter().flatten().find(|(path, _)| path.exists())
    }
}

fn read(name: &'static str, split: Split, paths: &[PathBuf]) -> Result<Dataset, DataError> {
    let in_files = |error| within(name, paths.to_vec(), error);
    match (name, paths) {
        (digits::NAME, _) => Ok(digits::digits(split)),
        (svhn::NAME, [path]) => svhn::read_svhn(split, &bytes(path)?).map_err(in_files),
        (cifar::NAME, batches) => {
            let mut records = cifar::Records::default();
            for path in batches {
                records.push(&bytes(path)?).map_err(|error| within(name, vec![path.clone()], error))?;
            }
            records.into_dataset(split).map_err(in_files)
        }
        (_, [images, labels]) => {
            idx::read_idx(name, split, &bytes(images)?, &bytes(labels)?).map_err(in_files)
        }
        _ => unreachable!("the catalog lists one file for svhn and two for each idx data set"),
    }
}

fn bytes(path: &Path) -> Result<Vec<u8>, DataError> {
    fs::read(path).map_err(|source: io::Error| DataError::Io { path: path.to_owned(), source })
}

fn within(name: &str, paths: Vec<PathBuf>, source: DataError) -> DataError {
    DataError::Content { name: name.to_owned(), paths, source: Box::new(source) }
}

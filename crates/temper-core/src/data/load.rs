//! Data sets by name, from a data directory.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::catalog::{CatalogEntry, CatalogFile, find};
use super::dataset::{Dataset, Split};
use super::error::DataError;
use super::{cifar, digits, idx, svhn};

/// Loads a split of the data set called `name` from its files below `data_dir` (see [`catalog`](super::catalog())).
///
/// A file of the idx format may be there with or without `.gz`. The checksums are not compared; that is what
/// [`verify`](super::verify()) does.
///
/// # Errors
/// When there is no such data set, a file of the split is missing or cannot be read, or its content is not what it should be,
/// down to the number of images.
pub fn load(name: &str, split: Split, data_dir: &Path) -> Result<Dataset, DataError> {
    let entry = find(name)?;
    let paths = present(entry, split, data_dir)?;
    let dataset = read(entry.name, split, &paths)?;
    if dataset.len() == entry.images(split) {
        return Ok(dataset);
    }
    let (found, expected) = (dataset.len(), entry.images(split));
    Err(within(entry.name, paths, DataError::ImageCount { split, found, expected }))
}

/// The paths of a split's files, all of which are there.
fn present(entry: &CatalogEntry, split: Split, data_dir: &Path) -> Result<Vec<PathBuf>, DataError> {
    let (mut there, mut missing) = (Vec::new(), Vec::new());
    for file in entry.files.iter().filter(|file| file.split == split) {
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

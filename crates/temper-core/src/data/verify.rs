//! Comparing the files of a data set with their checksums.

use std::fs::File;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::catalog::{CatalogFile, find};
use super::checksum::Algorithm;
use super::error::DataError;

/// What became of checking one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileReport {
    /// The file, below the data directory.
    pub path: PathBuf,
    /// How it is.
    #[serde(flatten)]
    pub status: FileStatus,
}

/// How a file of a data set is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "kebab-case")]
pub enum FileStatus {
    /// It has its checksum.
    Ok {
        /// How the checksum is computed.
        algorithm: Algorithm,
    },
    /// It is not there.
    Missing,
    /// It has another checksum.
    Differs {
        /// How the checksum is computed.
        algorithm: Algorithm,
        /// The checksum it should have.
        expected: &'static str,
        /// The checksum it has.
        found: String,
    },
    /// It cannot be read.
    Unreadable {
        /// Why.
        reason: String,
    },
}

impl FileStatus {
    /// Whether the file is there and has its checksum.
    pub fn is_ok(&self) -> bool {
        matches!(self, Self::Ok { .. })
    }
}

/// Compares each file of the data set called `name` below `data_dir` with its checksum; nothing for one that has no files.
///
/// # Errors
/// When there is no such data set. What is wrong with a file is in its report.
pub fn verify(name: &str, data_dir: &Path) -> Result<Vec<FileReport>, DataError> {
    Ok(find(name)?.files.iter().map(|file| verify_file(file, data_dir)).collect())
}

/// Compares one file below `data_dir` with its checksum; where it is missing, its decompressed form.
pub fn verify_file(file: &CatalogFile, data_dir: &Path) -> FileReport {
    let Some((path, checksum)) = file.locate(data_dir) else {
        return FileReport { path: data_dir.join(file.path), status: FileStatus::Missing };
    };
    let algorithm = checksum.algorithm;
    let status = match File::open(&path).and_then(|file| algorithm.of(file)) {
        Ok(found) if found == checksum.hex => FileStatus::Ok { algorithm },
        Ok(found) => FileStatus::Differs { algorithm, expected: checksum.hex, found },
        Err(error) => FileStatus::Unreadable { reason: error.to_string() },
    };
    FileReport { path, status }
}

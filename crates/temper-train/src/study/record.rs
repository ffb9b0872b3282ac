//! What is recorded of a study.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::RECORDS;
use super::error::StudyError;
use super::spec::Repair;
use crate::training::TrainError;

/// One line of `records.jsonl`: the accuracy of the network on one chip, with or without a repair.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudyRecord {
    /// The condition, from 0.
    pub condition: usize,
    /// The chip's seed.
    pub chip: u64,
    /// What was done.
    pub repair: Repair,
    /// Accuracy on the test images; after retraining that of the best epoch.
    pub accuracy: f64,
    /// The best epoch of retraining, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<usize>,
    /// Accuracy after the last epoch of retraining.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_accuracy: Option<f64>,
    /// Time that the repair took.
    pub seconds: f64,
}

impl StudyRecord {
    /// All records in a study's folder, so far.
    ///
    /// # Errors
    /// When they cannot be read, or a line is damaged.
    pub fn read_all(folder: &Path) -> Result<Vec<Self>, StudyError> {
        Ok(read(&folder.join(RECORDS))?.0)
    }

    /// What it is of.
    pub(super) fn key(&self) -> (usize, u64, Repair) {
        (self.condition, self.chip, self.repair)
    }
}

/// The records of a file, and its length up to its last whole line.
fn read(path: &Path) -> Result<(Vec<StudyRecord>, usize), StudyError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(source) => return Err(StudyError::from(TrainError::Read { path: path.to_owned(), source })),
    };
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    let line = |(i, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error: serde_json::Error| StudyError::Record {
            path: path.to_owned(),
            line: i + 1,
            reason: error.to_string(),
        })
    };
    let records = text[..whole].lines().enumerate().map(line).collect::<Result<_, _>>()?;
    Ok((records, whole))
}

/// The records of a study, of which more are written.
#[derive(Debug)]
pub(super) struct Records {
    path: PathBuf,
    file: Mutex<File>,
    known: Vec<StudyRecord>,
}

impl Records {
    /// Opens them; a last line that was not finished is taken away.
    pub(super) fn open(path: &Path) -> Result<Self, StudyError> {
        let (known, whole) = read(path)?;
        let write = |source| StudyError::from(TrainError::Write { path: path.to_owned(), source });
        let file = OpenOptions::new().create(true).append(true).open(path).map_err(write)?;
        file.set_len(whole as u64).map_err(write)?;
        Ok(Self { path: path.to_owned(), file: Mutex::new(file), known })
    }

    /// Those that were there when it was opened.
    pub(super) fn known(&self) -> &[StudyRecord] {
        &self.known
    }

    /// Adds one, and waits for the disk.
    pub(super) fn add(&self, record: &StudyRecord) -> Result<(), StudyError> {
        let mut line = serde_json::to_string(record).expect("plain data");
        line.push('\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let written = file.write_all(line.as_bytes()).and_then(|()| file.sync_data());
        written.map_err(|source| StudyError::from(TrainError::Write { path: self.path.clone(), source }))
    }
}

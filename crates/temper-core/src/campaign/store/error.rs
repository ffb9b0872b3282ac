//! What can be wrong with a campaign's directory.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::super::record::RecordError;
use super::{FORMAT_VERSION, INFO};

/// What went wrong with a campaign's directory.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The operating system refused.
    #[error("cannot {action} {path}", path = path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no campaign here.
    #[error("{path} holds no campaign: there is no {INFO} in it", path = path.display())]
    NoCampaign {
        /// The directory.
        path: PathBuf,
    },
    /// The directory has content of another kind.
    #[error("{path} is not empty and holds no campaign; choose another directory", path = path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
    },
    /// `campaign.json` cannot be understood.
    #[error("{path} is not a campaign description", path = path.display())]
    Info {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// Another version of the format.
    #[error("{path} has format version {found}; this program reads version {FORMAT_VERSION}", path = path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The version it has.
        found: u64,
    },
    /// Another campaign.
    #[error("{path} holds another campaign: {differs} changed; choose another directory, or restore what was", path = path.display())]
    Differs {
        /// The directory.
        path: PathBuf,
        /// The parts that differ.
        differs: String,
    },
    /// The golden run came out otherwise than recorded.
    #[error("the golden run gives {found} correct images, but {path} records {recorded}; records of both cannot be mixed", path = path.display())]
    Golden {
        /// The directory.
        path: PathBuf,
        /// Correct images now.
        found: u64,
        /// Correct images as recorded.
        recorded: u64,
    },
    /// A damaged line that is not the last one.
    #[error(
        "{path}, line {line}, is damaged; restore the file, or remove it to run its trials again",
        path = path.display()
    )]
    Damaged {
        /// The log.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        source: RecordError,
    },
    /// A damaged line of golden answers.
    #[error(
        "{path}, line {line}, is damaged; restore the file, or remove it and run the campaign again to have it written again",
        path = path.display()
    )]
    GoldenAnswers {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        source: RecordError,
    },
    /// Golden answers of another campaign.
    #[error(
        "{path}, line {line}: these answers are not those of this campaign's images; remove the file and run the campaign again",
        path = path.display()
    )]
    StrayAnswers {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// A record of another campaign, or of a trial, condition or draw that the campaign does not have.
    #[error(
        "{path}, line {line}: trial {trial} does not belong to this campaign; remove the file if it comes from another",
        path = path.display()
    )]
    Stray {
        /// The log.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The trial it names.
        trial: u64,
    },
    /// A record on another number of images than its trial has.
    #[error(
        "{path}, line {line}: trial {trial} ran on {images} images, which is not what the plan or its pilot says; \
         remove the file to run its trials again",
        path = path.display()
    )]
    Images {
        /// The log.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The trial.
        trial: u64,
        /// The images it ran.
        images: u64,
    },
    /// Two records of one trial that contradict each other.
    #[error(
        "two records of trial {trial} disagree: {first_path}, line {first_line}, and {path}, line {line}; \
         find out which is wrong and remove its file to run its trials again",
        first_path = first_path.display(),
        path = path.display()
    )]
    Disagree {
        /// The trial.
        trial: u64,
        /// The log with the first record.
        first_path: PathBuf,
        /// Its line, from 1.
        first_line: usize,
        /// The log with the second record.
        path: PathBuf,
        /// Its line, from 1.
        line: usize,
    },
    /// Directories of several campaigns are to be merged.
    #[error(
        "{path} and {first} hold different campaigns: they differ in {differs}; merge directories of one campaign only",
        path = path.display(),
        first = first.display()
    )]
    Mixed {
        /// The directory that differs.
        path: PathBuf,
        /// The first directory.
        first: PathBuf,
        /// The parts that differ.
        differs: String,
    },
    /// The output of a merge exists.
    #[error("{path} is not empty; choose a new directory for the merged campaign", path = path.display())]
    Occupied {
        /// The directory.
        path: PathBuf,
    },
}

/// Makes an error of the operating system's.
pub(super) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Io { action, path, source }
}

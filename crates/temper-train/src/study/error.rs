//! Why a study cannot begin or go on.

use std::path::PathBuf;

use thiserror::Error;

use crate::recipe::RecipeError;
use crate::training::TrainError;

/// Why a study cannot begin or go on.
#[derive(Debug, Error)]
pub enum StudyError {
    /// The text is not TOML, or not a study.
    #[error(transparent)]
    Toml(#[from] Box<toml::de::Error>),
    /// A value makes no sense.
    #[error("{place}: {reason}")]
    Value {
        /// The field.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The recipe of the golden network.
    #[error("[golden]")]
    Golden(#[source] RecipeError),
    /// The phase of a repair.
    #[error("repair {number}")]
    Phase {
        /// The repair, from 1.
        number: usize,
        /// What is wrong with it.
        source: RecipeError,
    },
    /// A training cannot begin or go on.
    #[error("{what}")]
    Training {
        /// Which.
        what: String,
        /// Why.
        source: Box<TrainError>,
    },
    /// A file of the study cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file of the study cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The folder holds something else.
    #[error("{}: {reason}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What is in the way.
        reason: String,
    },
    /// A line of the records is damaged.
    #[error("{}, line {line}: {reason}; remove the line, and the same command measures that again", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
}

impl StudyError {
    pub(super) fn value(place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Value { place: place.into(), reason: reason.into() }
    }

    pub(super) fn training(what: impl Into<String>) -> impl FnOnce(TrainError) -> Self {
        let what = what.into();
        |source| Self::Training { what, source: Box::new(source) }
    }
}

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
    /// A file of the study cannot be read or written, or its folder holds something else: as of a training's.
    #[error(transparent)]
    File(Box<TrainError>),
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

impl From<TrainError> for StudyError {
    fn from(error: TrainError) -> Self {
        Self::File(Box::new(error))
    }
}

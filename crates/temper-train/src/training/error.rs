//! Why a training cannot begin or go on.

use std::path::PathBuf;

use temper_core::data::{DataError, DatasetError, PreprocessingError};
use temper_core::execution::ClassesError;
use temper_core::memory::SelectorError;
use temper_core::network::zoo::ArchitectureError;
use temper_core::network::{ModelError, NetworkError};
use thiserror::Error;

use super::checkpoint::CheckpointError;
use crate::optimizer::RestoreError;
use crate::recipe::RecipeError;
use crate::stored::StoredError;

/// Why a training cannot begin or go on.
#[derive(Debug, Error)]
pub enum TrainError {
    /// The recipe makes no sense by itself or with this data.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// The data cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Images cannot be chosen.
    #[error("[data]")]
    Dataset(#[from] DatasetError),
    /// The preprocessing does not fit.
    #[error("[preprocessing]")]
    Preprocessing(#[from] PreprocessingError),
    /// The network cannot be read.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The architecture's options do not make a network.
    #[error("[network]")]
    Architecture(#[from] ArchitectureError),
    /// The description does not make a network.
    #[error("[network] description")]
    Network(#[from] NetworkError),
    /// The network does not tell as many classes apart as the data has.
    #[error("[network]")]
    Classes(#[from] ClassesError),
    /// Selectors of a phase choose nothing.
    #[error("phase {number}, {field}")]
    Layers {
        /// The phase, from 1.
        number: usize,
        /// The field.
        field: &'static str,
        /// Why.
        source: SelectorError,
    },
    /// A phase's storage or faults do not fit the network.
    #[error("phase {number}")]
    Stored {
        /// The phase, from 1.
        number: usize,
        /// Why.
        source: StoredError,
    },
    /// The checkpoint cannot be used.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The checkpoint's optimiser is not this recipe's.
    #[error("the checkpoint's optimiser")]
    Restore(#[from] RestoreError),
    /// A file of the run cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file of the run cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The folder holds results of another kind, or a run that was not asked to go on.
    #[error("{}: {reason}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What is in the way.
        reason: String,
    },
}

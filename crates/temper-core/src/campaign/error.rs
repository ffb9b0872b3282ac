//! Why a campaign cannot run.

use thiserror::Error;

use super::spec::{SpecError, SpecPath};
use crate::data::PreprocessingError;
use crate::execution::ClassesError;
use crate::fault::{FaultError, ListError};
use crate::hardware::HardwareError;
use crate::memory::{IntegerError, MemoryError};

/// Why a campaign cannot run.
#[derive(Debug, Error)]
pub enum CampaignError {
    /// The specification makes no sense by itself.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// A fault does not fit the network.
    #[error("fault {number}{}", under(condition))]
    Fault {
        /// Which `[[fault]]`, from 1.
        number: usize,
        /// Which condition, such as `count = 27`; empty without a sweep.
        condition: String,
        /// What is wrong.
        source: FaultError,
    },
    /// A listed fault does not fit the network.
    #[error("fault {number}")]
    List {
        /// Which `[[fault]]`, from 1.
        number: usize,
        /// What is wrong.
        source: ListError,
    },
    /// The network cannot be stored as wanted.
    #[error("storage {number}{}", under(condition))]
    Storage {
        /// Which `[[storage]]`, from 1.
        number: usize,
        /// Which condition; empty without a sweep.
        condition: String,
        /// What is wrong.
        source: MemoryError,
    },
    /// Layers cannot lie on hardware as wanted.
    #[error("hardware {number}{}", under(condition))]
    Hardware {
        /// Which `[[hardware]]`, from 1.
        number: usize,
        /// Which condition; empty without a sweep.
        condition: String,
        /// What is wrong.
        source: HardwareError,
    },
    /// The network as stored cannot be computed in integers.
    #[error("arithmetic = \"integer\"{}", under(condition))]
    Integer {
        /// Which condition; empty without a sweep.
        condition: String,
        /// Why not.
        source: IntegerError,
    },
    /// Activations are quantised, but there are no images to find their ranges.
    #[error("activations are quantised: their ranges need the images of [calibration]")]
    NoCalibration,
    /// The images do not fit the network.
    #[error(transparent)]
    Data(#[from] PreprocessingError),
    /// The network has another number of outputs than the data has classes.
    #[error(transparent)]
    Classes(#[from] ClassesError),
}

fn under(condition: &str) -> String {
    if condition.is_empty() { String::new() } else { format!(", {condition}") }
}

impl CampaignError {
    /// Where in the specification the error is, as far as it is in it.
    pub fn path(&self) -> Option<SpecPath> {
        let path = |keys: &[&str]| Some(keys.iter().map(|&key| key.to_owned()).collect());
        match self {
            Self::Spec(SpecError::Value { path, .. }) => Some(path.clone()),
            Self::Fault { number, source, .. } => {
                let number = number.to_string();
                match source.field() {
                    Some(field) => path(&["fault", &number, field]),
                    None => path(&["fault", &number]),
                }
            }
            Self::List { number, .. } => path(&["fault", &number.to_string(), "list"]),
            Self::Storage { number, source, .. } => path(&["storage", &number.to_string(), source.field()]),
            Self::Hardware { number, source, .. } => path(&["hardware", &number.to_string(), source.field()]),
            Self::Integer { .. } => path(&["arithmetic"]),
            Self::Spec(SpecError::Toml(_)) | Self::NoCalibration | Self::Data(_) | Self::Classes(_) => None,
        }
    }
}

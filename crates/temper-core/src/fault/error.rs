//! Why a fault does not fit a network.

use thiserror::Error;

use crate::memory::{MemoryError, Target};
use crate::number::NumberFormat;

/// Why a specification does not fit.
#[derive(Debug, Error, PartialEq)]
pub enum FaultError {
    /// What is struck cannot be chosen.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// Scales or zero points of tensors that have none.
    #[error(
        "target: {layer} stores its {target} in {format}, which has none; choose a quantised format in [[storage]]"
    )]
    NoMetadata {
        /// A layer that was selected.
        layer: String,
        /// What was to be struck.
        target: Target,
        /// The format it is stored in.
        format: NumberFormat,
    },
    /// Another format than that in which the target is stored.
    #[error(
        "format: {layer} stores its {target} in {stored}, not in {wanted}; leave format out, or change what says so"
    )]
    Format {
        /// A layer that was selected.
        layer: String,
        /// What was to be struck.
        target: Target,
        /// The format it is stored in.
        stored: NumberFormat,
        /// The format the fault names.
        wanted: NumberFormat,
    },
    /// Values of a layer that is computed in integers may become something that no code stands for.
    #[error(
        "model: with arithmetic = \"integer\", {layer} computes with the codes of its {target}, which this fault can make values that are no codes; expected a model of bits, random-word or zeroing, of the values as stored, or arithmetic = \"float\""
    )]
    OffGrid {
        /// The layer that is struck.
        layer: String,
        /// What is struck.
        target: Target,
    },
    /// Weights on a chip that would be others in every image.
    #[error(
        "lifetime: the weights of {layer} lie on a chip, which is programmed once and not for every image; expected \"permanent\""
    )]
    ChipAnew {
        /// The layer that is struck.
        layer: String,
    },
    /// Values of a layer on a device that holds and reads codes may become something that no code stands for.
    #[error(
        "model: {layer} lies on a device that computes with the codes of its {target}, which this fault can make values that are no codes; expected a model of bits or random-word, of the values as stored"
    )]
    OffDevice {
        /// The layer that is struck.
        layer: String,
        /// What is struck.
        target: Target,
    },
    /// A field that is absent and needed, or present and meaningless.
    #[error("{field}: {reason}")]
    Field {
        /// The field.
        field: &'static str,
        /// What was found and expected.
        reason: String,
    },
    /// Not exactly one way to say how many.
    #[error(
        "expected exactly one of count, bit_error_rate, value_fault_rate and shape_fault_rate, here or in [sweep]; found {found}"
    )]
    Amount {
        /// What was given.
        found: String,
    },
    /// A probability outside 0..=1.
    #[error("{field}: {value} is not a probability; expected 0 to 1")]
    Rate {
        /// Which rate.
        field: &'static str,
        /// Its value.
        value: f64,
    },
    /// More faults than sites.
    #[error("count: {count} faults do not fit: there are only {sites} different sites")]
    Count {
        /// Faults wanted.
        count: u64,
        /// Sites there are.
        sites: u64,
    },
}

impl FaultError {
    /// The field of the specification that is wrong, where it is one.
    pub fn field(&self) -> Option<&'static str> {
        match self {
            Self::Memory(error) => Some(error.field()),
            Self::NoMetadata { .. } => Some("target"),
            Self::Format { .. } => Some("format"),
            Self::Field { field, .. } | Self::Rate { field, .. } => Some(field),
            Self::OffGrid { .. } | Self::OffDevice { .. } => Some("model"),
            Self::ChipAnew { .. } => Some("lifetime"),
            Self::Count { .. } => Some("count"),
            Self::Amount { .. } => None,
        }
    }
}

pub(super) fn field<T>(field: &'static str, reason: impl Into<String>) -> Result<T, FaultError> {
    Err(FaultError::Field { field, reason: reason.into() })
}

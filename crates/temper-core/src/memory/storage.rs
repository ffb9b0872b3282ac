//! How values are stored, as the user writes it.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::selector::{Layers, SelectorError};
use super::target::Target;
use crate::number::{Granularity, NumberFormat, Quantisation, QuantisationError, RangeRule, Scheme};

/// One `[[storage]]` of a campaign specification: the format in which some tensors are stored. Of several entries that choose the
/// same tensor the last counts; what none chooses is stored in `f32`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StorageSpec {
    /// What is stored.
    pub target: Target,
    /// Of which layers.
    #[serde(default)]
    pub layers: Layers,
    /// Where at these layers, for activations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// In which format.
    pub format: NumberFormat,
    /// Whether the range of a quantised tensor is symmetric about zero.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheme: Option<Scheme>,
    /// How many values share a scale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub granularity: Option<Granularity>,
    /// What the largest code words stand for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<RangeRule>,
}

impl StorageSpec {
    /// Everything of a target, in a format with its usual quantisation.
    pub fn new(target: Target, layers: Layers, place: Option<Place>, format: NumberFormat) -> Self {
        Self { target, layers, place, format, scheme: None, granularity: None, range: None }
    }

    /// How its format quantises.
    pub(super) fn quantisation(&self) -> Quantisation {
        let usual = Quantisation::default();
        Quantisation {
            scheme: self.scheme,
            granularity: self.granularity.unwrap_or(usual.granularity),
            range: self.range.or(usual.range),
        }
    }
}

/// Where at a layer activations are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// What the layer itself computes, before any batch norm and activation function.
    #[default]
    Output,
    /// What leaves the layer's batch norm, residual addition and activation function, where they follow it.
    Activated,
    /// What the layer reads; other readers of the same value are not affected.
    Input,
}

impl Place {
    /// The name as written in a specification.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Output => "output",
            Self::Activated => "activated",
            Self::Input => "input",
        }
    }
}

/// An entry of the storage that does not fit the network.
#[derive(Debug, Error, PartialEq)]
#[error("storage {number}")]
pub struct StorageError {
    /// Which entry, from 1.
    pub number: usize,
    /// What is wrong with it.
    pub source: MemoryError,
}

/// Why values cannot be stored or chosen.
#[derive(Debug, Error, PartialEq)]
pub enum MemoryError {
    /// A selector that is malformed or chooses nothing.
    #[error("layers: {0}")]
    Layers(SelectorError),
    /// The network has no such target at all.
    #[error("target: no layer of the network has {target}")]
    NoTarget {
        /// What was to be chosen.
        target: Target,
    },
    /// A field that makes no sense here.
    #[error("{field}: {reason}")]
    Field {
        /// The field.
        field: &'static str,
        /// What was found and expected.
        reason: String,
    },
    /// The format cannot hold the values.
    #[error("{layer}, {target}")]
    Quantisation {
        /// The layer.
        layer: String,
        /// What is stored.
        target: Target,
        /// Why not.
        source: QuantisationError,
    },
}

// No `#[from]`: the message holds the selector's own, which a chain of causes would repeat.
impl From<SelectorError> for MemoryError {
    fn from(error: SelectorError) -> Self {
        Self::Layers(error)
    }
}

impl MemoryError {
    /// The field of the specification that is wrong.
    pub fn field(&self) -> &'static str {
        match self {
            Self::Layers(_) => "layers",
            Self::NoTarget { .. } => "target",
            Self::Field { field, .. } => field,
            Self::Quantisation { source, .. } => source.field(),
        }
    }
}

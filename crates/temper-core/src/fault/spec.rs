//! A fault as the user writes it.

use serde::{Deserialize, Serialize};

use super::error_model::ErrorModel;
use crate::number::{BitField, NumberFormat};

/// One `[[fault]]` of a campaign specification.
///
/// How many faults there are is given by exactly one of `count`, `bit_error_rate` and `value_fault_rate`, here or by a sweep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultSpec {
    /// What is struck.
    #[serde(default)]
    pub target: Target,
    /// Which layers, by globs over their dotted names.
    #[serde(default)]
    pub layers: Layers,
    /// The memory image in which the fault acts.
    #[serde(default)]
    pub format: NumberFormat,
    /// What the fault does.
    pub model: ErrorModel,
    /// Which bits may be struck; all, if absent. Only for models that strike bits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bits: Option<BitSelection>,
    /// Exactly this many sites, all different.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Each stored bit that may be struck is struck with this probability, independently of all others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bit_error_rate: Option<f64>,
    /// Each value is struck with this probability, independently of all others (a model that strikes bits strikes one of its
    /// bits, each with the same probability).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_fault_rate: Option<f64>,
}

/// What a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// Weights of convolutions and linear layers.
    #[default]
    Weight,
    /// Biases of convolutions and linear layers.
    Bias,
}

impl Target {
    /// The name as written in a specification.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Weight => "weight",
            Self::Bias => "bias",
        }
    }
}

/// Globs over dotted layer names, such as `*`, `conv1` or `["layer1.*", "fc"]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a glob or a list of globs over layer names")]
pub enum Layers {
    /// One glob.
    One(String),
    /// Several; a layer is chosen if any matches.
    Many(Vec<String>),
}

impl Default for Layers {
    fn default() -> Self {
        Self::One("*".to_owned())
    }
}

impl Layers {
    /// The globs.
    pub fn globs(&self) -> &[String] {
        match self {
            Self::One(glob) => std::slice::from_ref(glob),
            Self::Many(globs) => globs,
        }
    }
}

/// Which bits of a value may be struck.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "expected \"all\", \"sign\", \"exponent\", \"mantissa\" or a list of bits such as [30, 31]"
)]
pub enum BitSelection {
    /// These bits; 0 is the least significant.
    List(Vec<u32>),
    /// A field of a floating-point format.
    Field(BitField),
    /// `"all"`.
    All(All),
}

/// The word `all`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum All {
    /// Every bit.
    All,
}

/// How many faults a draw has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Amount {
    /// Exactly so many sites.
    Count(u64),
    /// Each stored bit with this probability.
    BitErrorRate(f64),
    /// Each value with this probability.
    ValueFaultRate(f64),
}

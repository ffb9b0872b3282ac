//! A fault as the user writes it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::error_model::{ErrorModel, Mode, RelativeTo};
use super::list::FaultList;
use crate::memory::{Layers, Place, Target};
use crate::number::{BitField, NumberFormat};

/// One `[[fault]]` of a campaign specification: target × format × error model × lifetime, and how many.
///
/// How many faults there are is given by exactly one of `count`, `bit_error_rate`, `value_fault_rate` and `shape_fault_rate`, here
/// or by a sweep; or the faults are listed one by one in a file (`list`), and nothing else is given.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultSpec {
    /// A file that lists every fault; a relative path starts at the specification's folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<PathBuf>,
    /// The faults themselves: written here, or read from that file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listed: Option<FaultList>,
    /// What is struck.
    #[serde(default)]
    pub target: Target,
    /// Which layers.
    #[serde(default)]
    pub layers: Layers,
    /// Where at these layers, for activations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// The memory image in which the fault acts: the network's whole target is stored in it. As `[[storage]]` says, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<NumberFormat>,
    /// What the fault does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ErrorModel>,
    /// Which bits may be struck; all, if absent. Only for models that strike bits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bits: Option<BitSelection>,
    /// Adjacent bits struck together, from the chosen bit upwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst_bits: Option<u32>,
    /// Which values one fault strikes together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<Shape>,
    /// Adjacent values struck together, in memory order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst_words: Option<usize>,
    /// How long a fault lasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<Lifetime>,
    /// What `set-value` makes a value.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "super::float_text")]
    pub value: Option<f64>,
    /// The smallest value of `random-value` and `uniform`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// The largest value of `random-value` and `uniform`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    /// The mean of `gaussian` and of the exponent of `lognormal`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean: Option<f64>,
    /// The standard deviation of `gaussian` and of the exponent of `lognormal`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sigma: Option<f64>,
    /// Whether noise is added or multiplied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// The unit of additive noise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relative_to: Option<RelativeTo>,
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
    /// Each channel, row, column or burst is struck with this probability, independently of all others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape_fault_rate: Option<f64>,
}

impl FaultSpec {
    /// Whether its faults are listed one by one, not drawn.
    pub fn is_listed(&self) -> bool {
        self.list.is_some() || self.listed.is_some()
    }
}

/// Which values of a tensor one fault strikes together.
///
/// A weight `[out, …]` is a matrix of `out` rows; an activation `[C, H, W]` is `C` images of `H` rows, and `[F]` is `F` channels of
/// one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// A single value.
    #[default]
    Value,
    /// All values of an output channel (the leading dimension).
    Channel,
    /// A row: of a parameter all values of an output channel, of an activation one row of one channel.
    Row,
    /// A column: of a parameter the same place in every output channel, of an activation one column of one channel.
    Column,
}

/// How long a fault lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lifetime {
    /// Drawn once for a chip: the same damage meets every image.
    #[default]
    Permanent,
    /// Drawn anew for every inference.
    Transient,
}

/// Which bits of a value may be struck.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "expected \"all\", \"sign\", \"exponent\", \"mantissa\", a list of bits such as [30, 31] or a range { from = 23, to = 30 }"
)]
pub enum BitSelection {
    /// These bits; 0 is the least significant.
    List(Vec<u32>),
    /// A range of bits.
    Range(BitRange),
    /// A field of the format.
    Field(BitField),
    /// `"all"`.
    All(All),
}

/// A range of bits, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BitRange {
    /// The lowest bit.
    pub from: u32,
    /// The highest bit.
    pub to: u32,
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
    /// Each value, or each shape, with this probability.
    UnitFaultRate(f64),
}

//! A campaign as the user writes it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::plan::{Condition, SweptValue};
use crate::data::Split;
use crate::fault::{BitSelection, FaultSpec};

/// A campaign specification: the whole of a `campaign.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CampaignSpec {
    /// From which all randomness follows.
    pub seed: u64,
    /// The network.
    pub model: ModelSpec,
    /// The images.
    pub data: DataSpec,
    /// What is struck; several entries act together, in order.
    #[serde(rename = "fault")]
    pub faults: Vec<FaultSpec>,
    /// One field of the faults taken through several values; a single condition if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sweep: Option<SweepSpec>,
    /// How many draws.
    pub trials: TrialsSpec,
}

/// `[model]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSpec {
    /// A model file; a relative path starts at the specification's folder.
    pub file: PathBuf,
}

/// `[data]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSpec {
    /// Name of the data set.
    pub set: String,
    /// Which part of it.
    #[serde(default = "test_split")]
    pub split: Split,
    /// Only the first so many images; all, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

const fn test_split() -> Split {
    Split::Test
}

/// `[sweep]`: exactly one of its fields. The swept field replaces that field in every `[[fault]]`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SweepSpec {
    /// Numbers of faults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<Vec<u64>>,
    /// Probabilities of a stored bit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bit_error_rate: Option<Vec<f64>>,
    /// Probabilities of a value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_fault_rate: Option<Vec<f64>>,
    /// Bits, one at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bit: Option<Vec<u32>>,
}

/// `[trials]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrialsSpec {
    /// Draws for each condition.
    pub count: u64,
}

/// A field that can be swept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Axis {
    /// Number of faults.
    Count,
    /// Probability of a stored bit.
    BitErrorRate,
    /// Probability of a value.
    ValueFaultRate,
    /// Bit that is struck.
    Bit,
}

impl Axis {
    /// Its name in a specification and in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::BitErrorRate => "bit_error_rate",
            Self::ValueFaultRate => "value_fault_rate",
            Self::Bit => "bit",
        }
    }
}

/// Why a specification makes no sense by itself.
#[derive(Debug, Error)]
pub enum SpecError {
    /// Not TOML, an unknown or missing key, or a value of the wrong type. The message points at the place.
    #[error(transparent)]
    Toml(#[from] Box<toml::de::Error>),
    /// A list without entries, or a count of zero.
    #[error("{field}: expected at least one, found none")]
    Empty {
        /// The field.
        field: &'static str,
    },
    /// No axis or several.
    #[error(
        "[sweep]: expected exactly one of count, bit_error_rate, value_fault_rate and bit, found {found}"
    )]
    Axes {
        /// What was found.
        found: String,
    },
    /// The same value twice.
    #[error("[sweep] {axis}: {value} occurs twice")]
    Repeated {
        /// The axis.
        axis: &'static str,
        /// The value.
        value: SweptValue,
    },
    /// More trials than can be numbered.
    #[error("[trials] count: {conditions} conditions of {count} draws are more trials than can be numbered")]
    TooMany {
        /// Number of conditions.
        conditions: usize,
        /// Draws for each.
        count: u64,
    },
}

impl CampaignSpec {
    /// Reads a specification from TOML.
    ///
    /// # Errors
    /// When the text is not such a specification, or an amount of anything is zero.
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        let spec: Self = toml::from_str(text).map_err(Box::new)?;
        spec.conditions()?;
        Ok(spec)
    }

    /// The conditions, in the order of the sweep.
    pub(super) fn conditions(&self) -> Result<Vec<Condition>, SpecError> {
        if self.faults.is_empty() {
            return Err(SpecError::Empty { field: "[[fault]]" });
        }
        if self.trials.count == 0 {
            return Err(SpecError::Empty { field: "[trials] count" });
        }
        if self.data.limit == Some(0) {
            return Err(SpecError::Empty { field: "[data] limit" });
        }
        let conditions = match &self.sweep {
            None => vec![Condition { id: 0, swept: None }],
            Some(sweep) => sweep.conditions()?,
        };
        let count = self.trials.count;
        match count.checked_mul(conditions.len() as u64) {
            Some(_) => Ok(conditions),
            None => Err(SpecError::TooMany { conditions: conditions.len(), count }),
        }
    }

    /// The faults of one condition.
    pub(super) fn faults_of(&self, condition: &Condition) -> Vec<FaultSpec> {
        let mut faults = self.faults.clone();
        if let Some((axis, value)) = condition.swept {
            for fault in &mut faults {
                match (axis, value) {
                    (Axis::Count, SweptValue::Integer(count)) => fault.count = Some(count),
                    (Axis::Bit, SweptValue::Integer(bit)) => {
                        fault.bits = Some(BitSelection::List(vec![bit as u32]));
                    }
                    (Axis::BitErrorRate, SweptValue::Real(rate)) => fault.bit_error_rate = Some(rate),
                    (Axis::ValueFaultRate, SweptValue::Real(rate)) => fault.value_fault_rate = Some(rate),
                    _ => unreachable!("conditions are made with the axis's own type"),
                }
            }
        }
        faults
    }
}

impl SweepSpec {
    fn conditions(&self) -> Result<Vec<Condition>, SpecError> {
        let integers =
            |values: &Vec<u64>| values.iter().copied().map(SweptValue::Integer).collect::<Vec<_>>();
        let reals = |values: &Vec<f64>| values.iter().copied().map(SweptValue::Real).collect::<Vec<_>>();
        let bits = |values: &Vec<u32>| values.iter().map(|&bit| SweptValue::Integer(bit.into())).collect();
        let given: Vec<(Axis, Vec<SweptValue>)> = [
            (Axis::Count, self.count.as_ref().map(integers)),
            (Axis::BitErrorRate, self.bit_error_rate.as_ref().map(reals)),
            (Axis::ValueFaultRate, self.value_fault_rate.as_ref().map(reals)),
            (Axis::Bit, self.bit.as_ref().map(bits)),
        ]
        .into_iter()
        .filter_map(|(axis, values)| Some((axis, values?)))
        .collect();
        let [(axis, values)] = given.as_slice() else {
            let names: Vec<_> = given.iter().map(|(axis, _)| axis.name()).collect();
            let found = if names.is_empty() { "none".to_owned() } else { names.join(" and ") };
            return Err(SpecError::Axes { found });
        };
        if values.is_empty() {
            return Err(SpecError::Empty { field: axis.name() });
        }
        if let Some((_, &value)) = values.iter().enumerate().find(|(i, value)| values[..*i].contains(value)) {
            return Err(SpecError::Repeated { axis: axis.name(), value });
        }
        let condition = |(id, &value)| Condition { id, swept: Some((*axis, value)) };
        Ok(values.iter().enumerate().map(condition).collect())
    }
}

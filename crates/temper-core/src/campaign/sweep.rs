//! Axes of a sweep: any field of the faults, of the storage and of the hardware, taken through several values.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::combination::{Combination, Owner};
use super::spec::{CampaignSpec, SpecError};
use crate::fault::float_text;

/// `[sweep]`: axes in the order written. The conditions are all combinations of their values, the last axis running fastest.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SweepSpec {
    /// Each axis's name and values.
    pub axes: Vec<(String, AxisValues)>,
}

/// The values of an axis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a list of values, or \"each\"")]
pub enum AxisValues {
    /// These, in this order.
    List(Vec<SweptValue>),
    /// `"each"`: every layer or every bit that the faults may strike, or every layer that may lie on the hardware.
    Each(Each),
}

/// The word `each`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Each {
    /// Every one there is.
    Each,
}

/// The value of a swept field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub enum SweptValue {
    /// A count or a bit.
    Integer(i64),
    /// A rate or another real number.
    Real(f64),
    /// A word: a format, a layer.
    Text(String),
}

impl fmt::Display for SweptValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(value) => value.fmt(f),
            Self::Real(value) if *value != 0.0 && !(1e-2..1e6).contains(&value.abs()) => {
                write!(f, "{value:e}")
            }
            Self::Real(value) => value.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

/// A [`SweptValue`] in a file: JSON has words for what is no number.
#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a number or a word")]
enum Written {
    Integer(i64),
    Real(f64),
    Text(String),
}

impl From<SweptValue> for Written {
    fn from(value: SweptValue) -> Self {
        match value {
            SweptValue::Integer(value) => Self::Integer(value),
            SweptValue::Real(value) => match float_text::word(value) {
                Some(word) => Self::Text(word.to_owned()),
                None => Self::Real(value),
            },
            SweptValue::Text(text) => Self::Text(text),
        }
    }
}

impl From<Written> for SweptValue {
    fn from(written: Written) -> Self {
        match written {
            Written::Integer(value) => Self::Integer(value),
            Written::Real(value) => Self::Real(value),
            Written::Text(text) => match float_text::number(&text) {
                Some(value) => Self::Real(value),
                None => Self::Text(text),
            },
        }
    }
}

impl SweptValue {
    /// Whether both mean the same: `0`, `0.0` and `-0.0` do, and so do two NaNs.
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => a == b,
            (Self::Text(a), Self::Text(b)) => a == b,
            _ => match (self.real(), other.real()) {
                (Some(a), Some(b)) => a == b || a.is_nan() && b.is_nan(),
                _ => false,
            },
        }
    }

    fn real(&self) -> Option<f64> {
        match self {
            Self::Integer(value) => Some(*value as f64),
            Self::Real(value) => Some(*value),
            Self::Text(_) => None,
        }
    }
}

impl AxisValues {
    /// Checks the values of an axis one by one.
    fn check(&self, axis: &str, spec: &CampaignSpec) -> Result<(), String> {
        let values = match self {
            Self::Each(_) if Combination::unswept(spec).has_each(axis) => return Ok(()),
            Self::Each(_) => {
                let reason = "only layer, bit and hardware.N.layers have an \"each\"; expected a list";
                return Err(reason.to_owned());
            }
            Self::List(values) => values,
        };
        if values.is_empty() {
            return Err("expected at least one, found none".to_owned());
        }
        for (i, value) in values.iter().enumerate() {
            if values[..i].iter().any(|earlier| earlier.is_same(value)) {
                return Err(format!("{value} occurs twice"));
            }
            Combination::unswept(spec).set(axis, value)?;
        }
        Ok(())
    }
}

/// A swept field with one of its values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Swept {
    /// The axis.
    pub axis: String,
    /// The value.
    pub value: SweptValue,
}

/// Swept fields and their values, as `format = int8, bit = 3`.
pub fn label(swept: &[Swept]) -> String {
    let pairs: Vec<_> = swept.iter().map(|Swept { axis, value }| format!("{axis} = {value}")).collect();
    pairs.join(", ")
}

/// More conditions than anyone wants.
const MOST_CONDITIONS: usize = 1_000_000;

impl SweepSpec {
    /// Whether there is no axis.
    pub fn is_empty(&self) -> bool {
        self.axes.is_empty()
    }

    /// Checks every axis and every one of its values by itself.
    pub(super) fn check(&self, spec: &CampaignSpec) -> Result<(), SpecError> {
        let mut taken: Vec<(Owner, &str)> = Vec::new();
        for (axis, values) in &self.axes {
            let error = |reason: String| SpecError::value(&["sweep", axis], reason);
            let (owners, field) = Combination::unswept(spec).fields(axis).map_err(error)?;
            for owner in owners {
                if taken.contains(&(owner, field)) {
                    return Err(error(format!("another axis gives {owner} its {field} already")));
                }
                taken.push((owner, field));
            }
            values.check(axis, spec).map_err(error)?;
        }
        Ok(())
    }

    /// All combinations, in order; axes that go through `each` layer or bit ask `each` for their values.
    pub(super) fn expand<E: From<SpecError>>(
        &self,
        spec: &CampaignSpec,
        each: impl Fn(&str, &Combination) -> Result<Vec<SweptValue>, E>,
    ) -> Result<Vec<Combination>, E> {
        let mut combinations = vec![Combination::unswept(spec)];
        let too_many = || {
            let reason = format!("more than {MOST_CONDITIONS} conditions; sweep fewer values");
            SpecError::value(&["sweep"], reason)
        };
        for (axis, values) in &self.axes {
            if matches!(values, AxisValues::List(values) if combinations.len() * values.len() > MOST_CONDITIONS)
            {
                return Err(too_many().into());
            }
            let mut next = Vec::new();
            for combination in combinations {
                let values = match values {
                    AxisValues::List(values) => values.clone(),
                    AxisValues::Each(_) => each(axis, &combination)?,
                };
                for value in values {
                    let mut combination = combination.clone();
                    let error = |reason| SpecError::value(&["sweep", axis], reason);
                    combination.set(axis, &value).map_err(error)?;
                    next.push(combination);
                }
                if next.len() > MOST_CONDITIONS {
                    return Err(too_many().into());
                }
            }
            combinations = next;
        }
        Ok(combinations)
    }

    /// All combinations; an axis that goes through `each` layer or bit is left out.
    pub(super) fn combinations(&self, spec: &CampaignSpec) -> Vec<Combination> {
        let listed = |(_, values): &&(String, AxisValues)| matches!(values, AxisValues::List(_));
        let axes = Self { axes: self.axes.iter().filter(listed).cloned().collect() };
        let none = |_: &str, _: &Combination| Ok::<_, SpecError>(Vec::new());
        axes.expand(spec, none).unwrap_or_default()
    }
}

impl Serialize for SweepSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.axes.len()))?;
        for (axis, values) in &self.axes {
            map.serialize_entry(axis, values)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for SweepSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Axes;

        /// In TOML, `fault.1.sigma` without quotes is a table in a table.
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected a list of values, or \"each\"")]
        enum Axis {
            Values(AxisValues),
            Below(SweepSpec),
        }

        impl<'de> Visitor<'de> for Axes {
            type Value = SweepSpec;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table of axes, each with a list of values")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SweepSpec, A::Error> {
                let mut axes = Vec::new();
                while let Some((axis, written)) = map.next_entry::<String, Axis>()? {
                    match written {
                        Axis::Values(values) => axes.push((axis, values)),
                        Axis::Below(below) => axes.extend(
                            below.axes.into_iter().map(|(field, values)| (format!("{axis}.{field}"), values)),
                        ),
                    }
                }
                Ok(SweepSpec { axes })
            }
        }

        deserializer.deserialize_map(Axes)
    }
}

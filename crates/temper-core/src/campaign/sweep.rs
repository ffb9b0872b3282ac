//! Axes of a sweep: any field of the faults and of the storage, taken through several values.

use std::fmt;

use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::spec::{CampaignSpec, SpecError};
use crate::fault::FaultSpec;
use crate::memory::StorageSpec;

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
    /// `"each"`: every layer or every bit that the faults may strike.
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
#[serde(untagged, expecting = "expected a number or a word")]
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
            Self::Real(value) if *value != 0.0 && value.abs() < 1e-2 => write!(f, "{value:e}"),
            Self::Real(value) => value.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
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

/// A combination of the axes' values, with what it makes of the specification.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Combination {
    pub(super) swept: Vec<Swept>,
    pub(super) storage: Vec<StorageSpec>,
    pub(super) faults: Vec<FaultSpec>,
}

/// More conditions than anyone wants.
const MOST_CONDITIONS: usize = 1_000_000;

/// The axis of one bit at a time.
pub(super) const BIT: &str = "bit";
/// The axis of one layer at a time.
pub(super) const LAYER: &str = "layer";

impl SweepSpec {
    /// Whether there is no axis.
    pub fn is_empty(&self) -> bool {
        self.axes.is_empty()
    }

    /// Checks every axis and every one of its values by itself.
    pub(super) fn check(&self, spec: &CampaignSpec) -> Result<(), SpecError> {
        for (axis, values) in &self.axes {
            let error = |reason: String| Err(SpecError::value(&["sweep", axis], reason));
            let values = match values {
                AxisValues::Each(_) if axis == BIT || axis == LAYER => continue,
                AxisValues::Each(_) => {
                    return error("only layer and bit have an \"each\"; expected a list".to_owned());
                }
                AxisValues::List(values) => values,
            };
            if values.is_empty() {
                return error("expected at least one, found none".to_owned());
            }
            for (i, value) in values.iter().enumerate() {
                if values[..i].contains(value) {
                    return error(format!("{value} occurs twice"));
                }
                let mut combination = Combination::unswept(spec);
                if let Err(reason) = combination.set(axis, value) {
                    return error(reason);
                }
            }
        }
        Ok(())
    }

    /// All combinations, in order; axes that go through `each` layer or bit ask `each` for their values.
    pub(super) fn expand<E: From<SpecError>>(
        &self,
        spec: &CampaignSpec,
        each: &mut dyn FnMut(&str, &Combination) -> Result<Vec<SweptValue>, E>,
    ) -> Result<Vec<Combination>, E> {
        let mut combinations = vec![Combination::unswept(spec)];
        for (axis, values) in &self.axes {
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
                    let reason = format!("more than {MOST_CONDITIONS} conditions; sweep fewer values");
                    return Err(SpecError::value(&["sweep"], reason).into());
                }
            }
            combinations = next;
        }
        Ok(combinations)
    }

    /// Storage and faults of all combinations; an axis that goes through `each` layer or bit leaves them as they are.
    pub(super) fn combinations(&self, spec: &CampaignSpec) -> Vec<(Vec<StorageSpec>, Vec<FaultSpec>)> {
        let listed = |(_, values): &&(String, AxisValues)| matches!(values, AxisValues::List(_));
        let axes = Self { axes: self.axes.iter().filter(listed).cloned().collect() };
        let none = &mut |_: &str, _: &Combination| Ok::<_, SpecError>(Vec::new());
        let combinations = axes.expand(spec, none).unwrap_or_default();
        combinations.into_iter().map(|combination| (combination.storage, combination.faults)).collect()
    }
}

impl Combination {
    fn unswept(spec: &CampaignSpec) -> Self {
        Self { swept: Vec::new(), storage: spec.storage.clone(), faults: spec.faults.clone() }
    }

    /// Gives a field a value: `sigma` in every fault that is drawn, `fault.2.sigma` in the second, `storage.1.format` in the first
    /// entry of the storage.
    fn set(&mut self, axis: &str, value: &SweptValue) -> Result<(), String> {
        self.swept.push(Swept { axis: axis.to_owned(), value: value.clone() });
        let parts: Vec<&str> = axis.split('.').collect();
        let entry = |number: &str, entries: usize| match number.parse::<usize>() {
            Ok(number) if (1..=entries).contains(&number) => Ok(number - 1),
            _ => Err(format!("there is no entry {number}; expected 1 to {entries}")),
        };
        match parts.as_slice() {
            [name] => {
                for fault in self.faults.iter_mut().filter(|fault| fault.list.is_none()) {
                    *fault = with_field(fault, name, value)?;
                }
            }
            ["fault", number, name] => {
                let number = entry(number, self.faults.len())?;
                let fault = &mut self.faults[number];
                *fault = with_field(fault, name, value)?;
            }
            ["storage", number, name] => {
                let number = entry(number, self.storage.len())?;
                let storage = &mut self.storage[number];
                *storage = with_field(storage, name, value)?;
            }
            _ => {
                return Err("expected a field of the faults, fault.N.FIELD or storage.N.FIELD".to_owned());
            }
        }
        Ok(())
    }
}

/// The same entry with one field replaced.
fn with_field<T: Serialize + DeserializeOwned>(
    entry: &T,
    name: &str,
    value: &SweptValue,
) -> Result<T, String> {
    let mut table = toml::Table::try_from(entry).map_err(|error| error.to_string())?;
    let value = match value {
        SweptValue::Integer(value) => toml::Value::Integer(*value),
        SweptValue::Real(value) => toml::Value::Float(*value),
        SweptValue::Text(text) => toml::Value::String(text.clone()),
    };
    let (name, value) = match name {
        BIT => ("bits", toml::Value::Array(vec![value])),
        LAYER => ("layers", value),
        name => (name, value),
    };
    table.insert(name.to_owned(), value);
    table.try_into().map_err(|error: toml::de::Error| error.message().to_owned())
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

        impl<'de> Visitor<'de> for Axes {
            type Value = SweepSpec;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table of axes, each with a list of values")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SweepSpec, A::Error> {
                let mut axes = Vec::new();
                while let Some((axis, values)) = map.next_entry::<String, AxisValues>()? {
                    axes.push((axis, values));
                }
                Ok(SweepSpec { axes })
            }
        }

        deserializer.deserialize_map(Axes)
    }
}

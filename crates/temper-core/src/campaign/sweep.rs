//! Axes of a sweep: any field of the faults and of the storage, taken through several values.

use std::fmt;

use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::spec::{CampaignSpec, SpecError};
use crate::fault::{FaultSpec, float_text};
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
            Self::Each(_) if axis == BIT || axis == LAYER => return Ok(()),
            Self::Each(_) => return Err("only layer and bit have an \"each\"; expected a list".to_owned()),
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

/// A combination of the axes' values, with what it makes of the specification.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Combination {
    pub(super) swept: Vec<Swept>,
    pub(super) storage: Vec<StorageSpec>,
    pub(super) faults: Vec<FaultSpec>,
}

/// Whose field is swept: an entry's place, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    Fault(usize),
    Storage(usize),
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault(i) => write!(f, "fault {}", i + 1),
            Self::Storage(i) => write!(f, "storage {}", i + 1),
        }
    }
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

    /// Storage and faults of all combinations; an axis that goes through `each` layer or bit leaves them as they are.
    pub(super) fn combinations(&self, spec: &CampaignSpec) -> Vec<(Vec<StorageSpec>, Vec<FaultSpec>)> {
        let listed = |(_, values): &&(String, AxisValues)| matches!(values, AxisValues::List(_));
        let axes = Self { axes: self.axes.iter().filter(listed).cloned().collect() };
        let none = |_: &str, _: &Combination| Ok::<_, SpecError>(Vec::new());
        let combinations = axes.expand(spec, none).unwrap_or_default();
        combinations.into_iter().map(|combination| (combination.storage, combination.faults)).collect()
    }
}

impl Combination {
    fn unswept(spec: &CampaignSpec) -> Self {
        Self { swept: Vec::new(), storage: spec.storage.clone(), faults: spec.faults.clone() }
    }

    /// Whose field an axis takes through its values, and which: `sigma` that of every fault that is drawn, `fault.2.sigma` that of the
    /// second, `storage.1.format` that of the first entry of the storage.
    fn fields<'a>(&self, axis: &'a str) -> Result<(Vec<Owner>, &'a str), String> {
        let entry = |number: &str, entries: usize| match number.parse::<usize>() {
            Ok(number) if (1..=entries).contains(&number) => Ok(number - 1),
            _ if entries == 0 => Err(format!("there is no entry {number}, nor any other")),
            _ => Err(format!("there is no entry {number}; expected 1 to {entries}")),
        };
        let parts: Vec<&str> = axis.split('.').collect();
        let (owners, name) = match parts.as_slice() {
            [name] => {
                let drawn = (0..self.faults.len()).filter(|&i| !self.faults[i].is_listed());
                (drawn.map(Owner::Fault).collect(), *name)
            }
            ["fault", number, name] => (vec![Owner::Fault(entry(number, self.faults.len())?)], *name),
            ["storage", number, name] => (vec![Owner::Storage(entry(number, self.storage.len())?)], *name),
            _ => return Err("expected a field of the faults, fault.N.FIELD or storage.N.FIELD".to_owned()),
        };
        let is_list = |owner: &Owner| matches!(owner, Owner::Fault(i) if self.faults[*i].is_listed());
        if owners.is_empty() || owners.iter().any(is_list) || matches!(name, "list" | "listed") {
            return Err(
                "the faults of a list cannot be swept; expected a field of a fault that is drawn".to_owned()
            );
        }
        Ok((
            owners,
            match name {
                BIT => "bits",
                LAYER => "layers",
                name => name,
            },
        ))
    }

    /// Gives a swept field a value.
    fn set(&mut self, axis: &str, value: &SweptValue) -> Result<(), String> {
        let (owners, field) = self.fields(axis)?;
        let value_of_field = match value {
            SweptValue::Integer(value) => toml::Value::Integer(*value),
            SweptValue::Real(value) => toml::Value::Float(*value),
            SweptValue::Text(text) => toml::Value::String(text.clone()),
        };
        // One bit is a list of bits; a word such as `sign` is what it is.
        let value_of_field = match value_of_field {
            value @ toml::Value::Integer(_) if field == "bits" => toml::Value::Array(vec![value]),
            value => value,
        };
        for owner in owners {
            match owner {
                Owner::Fault(i) => self.faults[i] = with_field(&self.faults[i], field, &value_of_field)?,
                Owner::Storage(i) => self.storage[i] = with_field(&self.storage[i], field, &value_of_field)?,
            }
        }
        self.swept.push(Swept { axis: axis.to_owned(), value: value.clone() });
        Ok(())
    }
}

/// The same entry with one field replaced.
fn with_field<T: Serialize + DeserializeOwned>(
    entry: &T,
    name: &str,
    value: &toml::Value,
) -> Result<T, String> {
    let mut table = toml::Table::try_from(entry).map_err(|error| error.to_string())?;
    table.insert(name.to_owned(), value.clone());
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

//! A combination of swept values, and what it makes of a specification.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::spec::CampaignSpec;
use super::sweep::{Swept, SweptValue};
use crate::fault::FaultSpec;
use crate::hardware::HardwareSpec;
use crate::memory::StorageSpec;

/// The axis of one bit at a time.
pub(super) const BIT: &str = "bit";
/// The axis of one layer at a time.
const LAYER: &str = "layer";
/// The field of layers.
const LAYERS: &str = "layers";

/// A combination of the axes' values, with what it makes of the specification.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Combination {
    pub(super) swept: Vec<Swept>,
    pub(super) storage: Vec<StorageSpec>,
    pub(super) faults: Vec<FaultSpec>,
    pub(super) hardware: Vec<HardwareSpec>,
}

/// Whose field is swept: an entry's place, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    Fault(usize),
    Storage(usize),
    Hardware(usize),
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault(i) => write!(f, "fault {}", i + 1),
            Self::Storage(i) => write!(f, "storage {}", i + 1),
            Self::Hardware(i) => write!(f, "hardware {}", i + 1),
        }
    }
}

impl Combination {
    pub(super) fn unswept(spec: &CampaignSpec) -> Self {
        let (storage, faults) = (spec.storage.clone(), spec.faults.clone());
        Self { swept: Vec::new(), storage, faults, hardware: spec.hardware.clone() }
    }

    /// Whose field an axis takes through its values, and which: `sigma` that of every fault that is drawn, `fault.2.sigma` that of the
    /// second, `storage.1.format` that of the first entry of the storage, `hardware.1.model.rows` that of the first one's model.
    pub(super) fn fields<'a>(&self, axis: &'a str) -> Result<(Vec<Owner>, &'a str), String> {
        let entry = |number: &str, entries: usize| match number.parse::<usize>() {
            Ok(number) if (1..=entries).contains(&number) => Ok(number - 1),
            _ if entries == 0 => Err(format!("there is no entry {number}, nor any other")),
            _ => Err(format!("there is no entry {number}; expected 1 to {entries}")),
        };
        let expected =
            "expected a field of the faults, fault.N.FIELD, storage.N.FIELD or hardware.N.FIELD".to_owned();
        let parts: Vec<&str> = axis.splitn(3, '.').collect();
        let (owners, name) = match parts.as_slice() {
            [name] => {
                let drawn = (0..self.faults.len()).filter(|&i| !self.faults[i].is_listed());
                (drawn.map(Owner::Fault).collect(), *name)
            }
            ["hardware", number, path] => {
                return Ok((vec![Owner::Hardware(entry(number, self.hardware.len())?)], path));
            }
            [_, _, path] if path.contains('.') => return Err(expected),
            ["fault", number, name] => (vec![Owner::Fault(entry(number, self.faults.len())?)], *name),
            ["storage", number, name] => (vec![Owner::Storage(entry(number, self.storage.len())?)], *name),
            _ => return Err(expected),
        };
        if owners.is_empty() && self.faults.is_empty() {
            return Err(format!("there is no [[fault]] with {name}; {expected}"));
        }
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
                LAYER => LAYERS,
                name => name,
            },
        ))
    }

    /// The place of the `[[hardware]]` whose layers an axis chooses, from 0.
    pub(super) fn hardware_of(&self, axis: &str) -> Option<usize> {
        let (owners, field) = self.fields(axis).ok()?;
        match owners.as_slice() {
            [Owner::Hardware(i)] if field == LAYERS => Some(*i),
            _ => None,
        }
    }

    /// Whether an axis can go through each value there is.
    pub(super) fn has_each(&self, axis: &str) -> bool {
        axis == BIT || axis == LAYER || self.hardware_of(axis).is_some()
    }

    /// Gives a swept field a value.
    pub(super) fn set(&mut self, axis: &str, value: &SweptValue) -> Result<(), String> {
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
                Owner::Hardware(i) => {
                    self.hardware[i] = with_field(&self.hardware[i], field, &value_of_field)?;
                }
            }
        }
        self.swept.push(Swept { axis: axis.to_owned(), value: value.clone() });
        Ok(())
    }
}

/// The same entry with one field replaced; dots lead into tables.
fn with_field<T: Serialize + DeserializeOwned>(
    entry: &T,
    path: &str,
    value: &toml::Value,
) -> Result<T, String> {
    let mut table = toml::Table::try_from(entry).map_err(|error| error.to_string())?;
    let mut keys: Vec<&str> = path.split('.').collect();
    let name = keys.pop().unwrap_or_default();
    let mut inner = &mut table;
    for key in keys {
        let below = inner.entry(key).or_insert_with(|| toml::Table::new().into());
        inner = below.as_table_mut().ok_or_else(|| format!("{key} has no fields"))?;
    }
    inner.insert(name.to_owned(), value.clone());
    table.try_into().map_err(|error: toml::de::Error| error.message().to_owned())
}

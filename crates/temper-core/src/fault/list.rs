//! Faults listed one by one, as a user writes them or a campaign exports them.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::draw::FaultSite;
use super::error_model::Damage;
use crate::memory::{Class, Layers, Memory, MemoryError, Place, Target};

/// A list of faults.
pub type FaultList = Vec<ListedFault>;

/// One fault: a row of a CSV file, or an object of a JSON array.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListedFault {
    /// The draw that has this fault; every draw, if absent.
    #[serde(default)]
    pub draw: Option<u64>,
    /// The only image (its place among the campaign's images) that it strikes; every image, if absent.
    #[serde(default)]
    pub image: Option<u64>,
    /// The layer's exact name.
    pub layer: String,
    /// What is struck.
    #[serde(default)]
    pub target: Target,
    /// Where at the layer, for activations.
    #[serde(default)]
    pub place: Option<Place>,
    /// The first struck value, row-major.
    pub index: usize,
    /// How many values are struck; 1, if absent.
    #[serde(default)]
    pub count: Option<usize>,
    /// Distance between two of them; 1, if absent.
    #[serde(default)]
    pub step: Option<usize>,
    /// What is done.
    pub model: ListedModel,
    /// The struck bits, separated by spaces, for models of bits.
    #[serde(default, alias = "bit", deserialize_with = "text_or_number")]
    pub bits: Option<String>,
    /// The number set, added or multiplied, for `set-value`, `add` and `scale`.
    #[serde(default)]
    pub value: Option<f32>,
}

/// What a listed fault does: an error model after everything random is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ListedModel {
    /// The bits are inverted.
    BitFlip,
    /// The bits read zero.
    #[serde(rename = "stuck-at-0")]
    StuckAt0,
    /// The bits read one.
    #[serde(rename = "stuck-at-1")]
    StuckAt1,
    /// The value reads zero.
    Zeroing,
    /// The value reads `value`.
    SetValue,
    /// The sign is inverted.
    SignReversal,
    /// `value` is added.
    Add,
    /// The value is multiplied by `value`.
    Scale,
}

impl ListedModel {
    /// The name as written in a list.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BitFlip => "bit-flip",
            Self::StuckAt0 => "stuck-at-0",
            Self::StuckAt1 => "stuck-at-1",
            Self::Zeroing => "zeroing",
            Self::SetValue => "set-value",
            Self::SignReversal => "sign-reversal",
            Self::Add => "add",
            Self::Scale => "scale",
        }
    }
}

/// A bit may be written as a number.
fn text_or_number<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a bit, or several separated by spaces")]
    enum TextOrNumber {
        Number(u32),
        Text(String),
    }
    Ok(Option::deserialize(deserializer)?.map(|bits| match bits {
        TextOrNumber::Number(bit) => bit.to_string(),
        TextOrNumber::Text(text) => text,
    }))
}

/// Why a list cannot be used.
#[derive(Debug, Error)]
pub enum ListError {
    /// Not CSV with these columns.
    #[error("not a list of faults")]
    Csv(#[from] csv::Error),
    /// Not a JSON array of these objects.
    #[error("not a list of faults")]
    Json(#[from] serde_json::Error),
    /// No fault at all.
    #[error("the list has no fault")]
    Empty,
    /// A fault that does not fit the network.
    #[error("fault {number} of the list, {field}: {reason}")]
    Row {
        /// Which one, from 1.
        number: usize,
        /// The column.
        field: &'static str,
        /// What was found and expected.
        reason: String,
    },
}

/// Reads a list: JSON if it begins with `[`, else CSV with a header.
///
/// # Errors
/// When it is neither, has unknown columns, or no fault.
pub fn read_list(bytes: &[u8]) -> Result<FaultList, ListError> {
    let json = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    let list: FaultList = if json {
        serde_json::from_slice(bytes)?
    } else {
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
        reader.deserialize().collect::<Result<_, _>>()?
    };
    if list.is_empty() { Err(ListError::Empty) } else { Ok(list) }
}

impl fmt::Display for ListedFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.layer, self.target)?;
        if let Some(place) = self.place {
            write!(f, " ({})", place.name())?;
        }
        write!(f, " [{}]", self.index)?;
        if let Some(count) = self.count.filter(|count| *count > 1) {
            write!(f, " and {} more at distance {}", count - 1, self.step.unwrap_or(1))?;
        }
        write!(f, ": {}", self.model.name())?;
        if let Some(bits) = &self.bits {
            write!(f, " of bit {bits}")?;
        }
        if let Some(value) = self.value {
            write!(f, " {value:e}")?;
        }
        self.image.map_or(Ok(()), |image| write!(f, ", in image {image}"))
    }
}

/// A listed fault with its place in a memory.
#[derive(Debug, Clone, PartialEq)]
pub struct ListedSite {
    /// The draw that has it; every draw, if absent.
    pub draw: Option<u64>,
    /// The only image it strikes; every image, if absent.
    pub image: Option<u64>,
    /// The site.
    pub site: FaultSite,
}

impl ListedFault {
    /// A site of a memory as a row.
    pub fn of_site(memory: &Memory, draw: Option<u64>, image: Option<u64>, site: &FaultSite) -> Self {
        let tensor = memory.tensor(site.tensor);
        let bits = |mask: u64| {
            let bits: Vec<_> =
                (0..64).filter(|bit| mask >> bit & 1 == 1).map(|bit| bit.to_string()).collect();
            Some(bits.join(" "))
        };
        let (model, bits, value) = match site.damage {
            Damage::Flip(mask) => (ListedModel::BitFlip, bits(mask), None),
            Damage::StuckAt0(mask) => (ListedModel::StuckAt0, bits(mask), None),
            Damage::StuckAt1(mask) => (ListedModel::StuckAt1, bits(mask), None),
            Damage::Set(value) => (ListedModel::SetValue, None, Some(value)),
            Damage::Negate => (ListedModel::SignReversal, None, None),
            Damage::Add(noise) => (ListedModel::Add, None, Some(noise)),
            Damage::Scale(factor) => (ListedModel::Scale, None, Some(factor)),
        };
        Self {
            draw,
            image,
            layer: tensor.layer.clone(),
            target: Target { class: tensor.class, part: site.part },
            place: tensor.place,
            index: site.start,
            count: Some(site.count),
            step: Some(site.step),
            model,
            bits,
            value,
        }
    }

    /// The selector of its layer.
    pub fn layers(&self) -> Layers {
        if self.target.class == Class::Input { Layers::default() } else { Layers::One(self.layer.clone()) }
    }

    /// The site it means in a memory.
    fn resolve(&self, memory: &Memory) -> Result<ListedSite, (&'static str, String)> {
        let tensors = memory
            .select(self.target, &self.layers(), self.place)
            .map_err(|error: MemoryError| (error.field(), error.to_string()))?;
        let [tensor] = tensors.as_slice() else {
            let reason = format!(
                "\"{}\" of \"{}\" is not one tensor; name one vector, such as batch-norm-weight",
                self.target, self.layer
            );
            return Err(("target", reason));
        };
        let stored = memory.tensor(*tensor);
        let Some(format) = stored.word_format(self.target.part) else {
            return Err(("target", format!("{} in {} has no {}", self.layer, stored.format, self.target)));
        };
        let (count, step) = (self.count.unwrap_or(1).max(1), self.step.unwrap_or(1));
        let last = (count - 1).checked_mul(step).and_then(|offset| offset.checked_add(self.index));
        let words = stored.words(self.target.part);
        if last.is_none_or(|last| last >= words) {
            let reason = format!(
                "{} (with {count} values at distance {step}) lies outside the {words} there are",
                self.index
            );
            return Err(("index", reason));
        }
        let damage = self.damage(format.bit_width())?;
        let site =
            FaultSite { tensor: *tensor, part: self.target.part, start: self.index, step, count, damage };
        Ok(ListedSite { draw: self.draw, image: self.image, site })
    }

    fn damage(&self, width: u32) -> Result<Damage, (&'static str, String)> {
        let mask = || {
            let bits = self.bits.as_deref().unwrap_or_default();
            let mut mask = 0;
            for bit in bits.split_whitespace() {
                match bit.parse::<u32>() {
                    Ok(bit) if bit < width => mask |= 1u64 << bit,
                    _ => return Err(("bits", format!("expected bits 0 to {}, found \"{bit}\"", width - 1))),
                }
            }
            Ok(mask)
        };
        let value = || self.value.ok_or(("value", "expected a number, found none".to_owned()));
        match self.model {
            ListedModel::BitFlip | ListedModel::StuckAt0 | ListedModel::StuckAt1 if self.bits.is_none() => {
                Err(("bits", "expected at least one bit, found none".to_owned()))
            }
            ListedModel::BitFlip => Ok(Damage::Flip(mask()?)),
            ListedModel::StuckAt0 => Ok(Damage::StuckAt0(mask()?)),
            ListedModel::StuckAt1 => Ok(Damage::StuckAt1(mask()?)),
            _ if self.bits.as_deref().is_some_and(|bits| !bits.trim().is_empty()) => {
                Err(("bits", "only models of bits have them; leave this out".to_owned()))
            }
            ListedModel::Zeroing => Ok(Damage::Set(0.0)),
            ListedModel::SetValue => Ok(Damage::Set(value()?)),
            ListedModel::SignReversal => Ok(Damage::Negate),
            ListedModel::Add => Ok(Damage::Add(value()?)),
            ListedModel::Scale => Ok(Damage::Scale(value()?)),
        }
    }
}

/// The sites that a list means in a memory.
///
/// # Errors
/// When a fault does not fit; the error names it.
pub fn resolve_list(list: &[ListedFault], memory: &Memory) -> Result<Vec<ListedSite>, ListError> {
    let resolve = |(i, fault): (usize, &ListedFault)| {
        let row = |(field, reason)| ListError::Row { number: i + 1, field, reason };
        fault.resolve(memory).map_err(row)
    };
    list.iter().enumerate().map(resolve).collect()
}

//! Faults listed one by one, as a user writes them or a campaign exports them.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::draw::FaultSite;
use super::error_model::Damage;
use crate::memory::{Class, Layers, Memory, MemoryError, Place, Target};
use crate::network::INPUT;

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
    /// How many values are struck, at least 1; 1, if absent.
    #[serde(default)]
    pub count: Option<usize>,
    /// Distance between two of them, at least 1; 1, if absent.
    #[serde(default)]
    pub step: Option<usize>,
    /// What is done.
    pub model: ListedModel,
    /// The struck bits, separated by spaces, or `none`, for models of bits.
    #[serde(default, alias = "bit", deserialize_with = "text_or_number")]
    pub bits: Option<String>,
    /// The number set, added or multiplied, for `set-value`, `add` and `scale`.
    #[serde(default, with = "super::float_text")]
    pub value: Option<f64>,
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

/// Written for no bit at all.
const NO_BIT: &str = "none";

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

/// Reads a list: JSON if it begins with `[` (or, in error, with `{`), else CSV with a header.
///
/// # Errors
/// When it is neither, has unknown columns, or no fault.
pub fn read_list(bytes: &[u8]) -> Result<FaultList, ListError> {
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    let json = matches!(first, Some(b'[' | b'{'));
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
            // A random word may be the stored one.
            if mask == 0 {
                return Some(NO_BIT.to_owned());
            }
            let bits: Vec<_> =
                (0..64).filter(|bit| mask >> bit & 1 == 1).map(|bit| bit.to_string()).collect();
            Some(bits.join(" "))
        };
        let (model, bits, value) = match site.damage {
            Damage::Flip(mask) => (ListedModel::BitFlip, bits(mask), None),
            Damage::StuckAt0(mask) => (ListedModel::StuckAt0, bits(mask), None),
            Damage::StuckAt1(mask) => (ListedModel::StuckAt1, bits(mask), None),
            Damage::Set(value) => (ListedModel::SetValue, None, Some(value.into())),
            Damage::Negate => (ListedModel::SignReversal, None, None),
            Damage::Add(noise) => (ListedModel::Add, None, Some(noise.into())),
            Damage::Scale(factor) => (ListedModel::Scale, None, Some(factor.into())),
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
    fn layers(&self) -> Result<Layers, Wrong> {
        match (self.target.class, self.layer.as_str()) {
            (Class::Input, INPUT) => Ok(Layers::default()),
            (Class::Input, other) => {
                Err(("layer", format!("the network's input is called \"{INPUT}\", not \"{other}\"")))
            }
            (_, name) => Ok(Layers::One(format!("name:{name}"))),
        }
    }

    /// The site it means in a memory.
    fn resolve(&self, memory: &Memory) -> Result<ListedSite, Wrong> {
        let tensors = memory.select(self.target, &self.layers()?, self.place).map_err(wrong)?;
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
        let (count, step) = (self.count.unwrap_or(1), self.step.unwrap_or(1));
        for (name, number) in [("count", count), ("step", step)] {
            if number == 0 {
                return Err((name, "expected at least 1, found 0".to_owned()));
            }
        }
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

    /// The bits struck in a word of `width` bits.
    fn mask(&self, width: u32) -> Result<u64, Wrong> {
        let bits = self.bits.as_deref().unwrap_or_default();
        if bits.trim() == NO_BIT {
            return Ok(0);
        }
        let mut mask = 0;
        for bit in bits.split_whitespace() {
            match bit.parse::<u32>() {
                Ok(bit) if bit < width && mask >> bit & 1 == 0 => mask |= 1u64 << bit,
                Ok(bit) if bit < width => return Err(("bits", format!("bit {bit} is named twice"))),
                _ => return Err(("bits", format!("expected bits 0 to {}, found \"{bit}\"", width - 1))),
            }
        }
        if mask == 0 {
            return Err(("bits", "expected at least one bit, found none".to_owned()));
        }
        Ok(mask)
    }

    fn damage(&self, width: u32) -> Result<Damage, Wrong> {
        let takes_bits =
            matches!(self.model, ListedModel::BitFlip | ListedModel::StuckAt0 | ListedModel::StuckAt1);
        if !takes_bits && self.bits.as_deref().is_some_and(|bits| !bits.trim().is_empty()) {
            return Err(("bits", "only models of bits have them; leave this out".to_owned()));
        }
        let takes_value = matches!(self.model, ListedModel::SetValue | ListedModel::Add | ListedModel::Scale);
        let value = match (self.value, takes_value) {
            (Some(_), false) => {
                let reason = "only set-value, add and scale have one; leave this out".to_owned();
                return Err(("value", reason));
            }
            (None, true) => return Err(("value", "expected a number, found none".to_owned())),
            (Some(value), _) if value.is_finite() && (value as f32).is_infinite() => {
                return Err(("value", format!("{value:e} is too large for a 32-bit float")));
            }
            (value, _) => value.unwrap_or_default() as f32,
        };
        Ok(match self.model {
            ListedModel::BitFlip => Damage::Flip(self.mask(width)?),
            ListedModel::StuckAt0 => Damage::StuckAt0(self.mask(width)?),
            ListedModel::StuckAt1 => Damage::StuckAt1(self.mask(width)?),
            ListedModel::Zeroing => Damage::Set(0.0),
            ListedModel::SetValue => Damage::Set(value),
            ListedModel::SignReversal => Damage::Negate,
            ListedModel::Add => Damage::Add(value),
            ListedModel::Scale => Damage::Scale(value),
        })
    }
}

/// The column that is wrong, and what was found and expected.
type Wrong = (&'static str, String);

fn wrong(error: MemoryError) -> Wrong {
    match error {
        MemoryError::Layers(source) => ("layer", source.to_string()),
        MemoryError::Field { field, reason } => (field, reason),
        other => ("target", other.to_string()),
    }
}

/// Gives taps to the activations that a list strikes.
///
/// # Errors
/// When a fault does not fit; the error names it.
pub fn tap_list(list: &[ListedFault], memory: &mut Memory) -> Result<(), ListError> {
    for (i, fault) in list.iter().enumerate() {
        let layers = fault.layers();
        let tapped =
            layers.and_then(|layers| memory.add_taps(fault.target, &layers, fault.place).map_err(wrong));
        tapped.map_err(|(field, reason)| ListError::Row { number: i + 1, field, reason })?;
    }
    Ok(())
}

/// Checks that the draws and images that listed faults name are there.
///
/// # Errors
/// When one is not; the error names the fault.
pub fn check_list(sites: &[ListedSite], draws: u64, images: u64) -> Result<(), ListError> {
    for (i, site) in sites.iter().enumerate() {
        for (field, named, there) in [("draw", site.draw, draws), ("image", site.image, images)] {
            if let Some(named) = named.filter(|named| *named >= there) {
                let reason = format!("expected 0 to {}, found {named}", there.saturating_sub(1));
                return Err(ListError::Row { number: i + 1, field, reason });
            }
        }
    }
    Ok(())
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

//! A campaign as the user writes it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::arithmetic::Arithmetic;
use super::combination::Combination;
use super::sweep::SweepSpec;
use super::trials::{Sampling, TrialsSpec};
use crate::data::Split;
use crate::fault::FaultSpec;
use crate::hardware::HardwareSpec;
use crate::memory::{Layers, StorageSpec};

/// A campaign specification: the whole of a `campaign.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CampaignSpec {
    /// From which all randomness follows.
    pub seed: u64,
    /// In which numbers layers compute.
    #[serde(default, skip_serializing_if = "Arithmetic::is_default")]
    pub arithmetic: Arithmetic,
    /// The network.
    pub model: ModelSpec,
    /// The images.
    pub data: DataSpec,
    /// The images from which the ranges of quantised activations are found.
    #[serde(default, skip_serializing_if = "CalibrationSpec::is_default")]
    pub calibration: CalibrationSpec,
    /// In which formats the network is stored.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub storage: Vec<StorageSpec>,
    /// What is struck; several entries act together, in order.
    #[serde(rename = "fault", default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<FaultSpec>,
    /// Which layers lie on analog hardware; each draw is a chip.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hardware: Vec<HardwareSpec>,
    /// Fields of the faults, the storage and the hardware taken through several values; a single condition if absent.
    #[serde(default, skip_serializing_if = "SweepSpec::is_empty")]
    pub sweep: SweepSpec,
    /// How many draws.
    pub trials: TrialsSpec,
    /// What is recorded of a trial beside its counts.
    #[serde(default, skip_serializing_if = "RecordSpec::is_default")]
    pub record: RecordSpec,
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
    /// Only so many images; all, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Chooses the `limit` images at random; the first ones, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selection_seed: Option<u64>,
}

const fn test_split() -> Split {
    Split::Test
}

/// `[calibration]`: images of the data set of `[data]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CalibrationSpec {
    /// Which part of the data set.
    pub split: Split,
    /// Only the first so many images.
    pub limit: usize,
}

impl Default for CalibrationSpec {
    fn default() -> Self {
        Self { split: Split::Train, limit: 512 }
    }
}

impl CalibrationSpec {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// `[record]`: what is kept of a trial beside its counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RecordSpec {
    /// The top class of every image.
    pub predictions: bool,
    /// Bits and confidences: `masked_exact`, `sdc10` and `sdc20`. Every output is then computed, which takes longer.
    pub confidence: bool,
}

impl RecordSpec {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Where in a specification something is: keys, and numbers of array entries.
pub type SpecPath = Vec<String>;

/// Why a specification makes no sense by itself.
#[derive(Debug, Error)]
pub enum SpecError {
    /// Not TOML, an unknown or missing key, or a value of the wrong type. The message points at the place.
    #[error(transparent)]
    Toml(#[from] Box<toml::de::Error>),
    /// A value that makes no sense.
    #[error("{}: {reason}", written(path))]
    Value {
        /// Where it is.
        path: SpecPath,
        /// What was found and expected.
        reason: String,
    },
}

/// A path as a user would write it: `fault 2, layers` or `[trials] count`.
fn written(path: &[String]) -> String {
    let is_array = |key: &str| matches!(key, "fault" | "storage" | "hardware");
    match path {
        [] => String::new(),
        [array] if is_array(array) => format!("[[{array}]]"),
        [table] => format!("[{table}]"),
        [array, number, rest @ ..] if is_array(array) => {
            [format!("{array} {number}")].iter().chain(rest).cloned().collect::<Vec<_>>().join(", ")
        }
        [table, keys @ ..] => format!("[{table}] {}", keys.join(".")),
    }
}

impl SpecError {
    pub(super) fn value(path: &[&str], reason: impl Into<String>) -> Self {
        Self::Value { path: path.iter().map(|&key| key.to_owned()).collect(), reason: reason.into() }
    }
}

impl CampaignSpec {
    /// Reads a specification from TOML.
    ///
    /// # Errors
    /// When the text is not such a specification, or an amount of anything is zero. The message shows the place.
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        toml::from_str::<Self>(text).map_err(Box::new)?.checked()
    }

    /// The same of a table that was put together otherwise.
    ///
    /// # Errors
    /// As for [`parse`](Self::parse).
    pub fn from_table(table: toml::Table) -> Result<Self, SpecError> {
        table.try_into::<Self>().map_err(Box::new)?.checked()
    }

    /// Checks what a user wrote.
    fn checked(self) -> Result<Self, SpecError> {
        if let Some(i) = self.faults.iter().position(|fault| fault.list.is_some() && fault.listed.is_some()) {
            let number = (i + 1).to_string();
            return Err(SpecError::value(
                &["fault", &number, "listed"],
                "the faults are in a file already; leave list or listed out",
            ));
        }
        self.check()?;
        Ok(self)
    }

    /// Checks what can be checked without a network.
    pub(super) fn check(&self) -> Result<(), SpecError> {
        if self.faults.is_empty() && self.hardware.is_empty() {
            return Err(SpecError::value(&["fault"], "expected at least one, or [[hardware]]; found none"));
        }
        if !self.hardware.is_empty() && self.trials.sampling() != Sampling::Independent {
            let reason = "a statistical or exhaustive campaign counts faults, but every draw is another chip; with [[hardware]] give count or precision";
            return Err(SpecError::value(&["trials"], reason));
        }
        if self.data.limit == Some(0) {
            return Err(SpecError::value(&["data", "limit"], "expected at least 1, found 0"));
        }
        if self.data.selection_seed.is_some() && self.data.limit.is_none() {
            return Err(SpecError::value(
                &["data", "selection_seed"],
                "all images are used; give a limit to choose some of them",
            ));
        }
        if self.calibration.limit == 0 {
            return Err(SpecError::value(&["calibration", "limit"], "expected at least 1, found 0"));
        }
        self.trials.check()?;
        for (i, fault) in self.faults.iter().enumerate() {
            let alone =
                FaultSpec { list: fault.list.clone(), listed: fault.listed.clone(), ..FaultSpec::default() };
            if fault.is_listed() && *fault != alone {
                let number = (i + 1).to_string();
                return Err(SpecError::value(
                    &["fault", &number, "list"],
                    "a list says all there is of its faults; leave every other field out",
                ));
            }
        }
        self.sweep.check(self)
    }

    /// Whether activations are ever quantised, so that images are needed to find their ranges.
    pub fn needs_calibration(&self) -> bool {
        self.sweep.combinations(self).iter().any(|Combination { storage, faults, .. }| {
            let storage = storage_with(storage, faults);
            storage.iter().any(|(_, spec)| spec.target.class.is_activation() && spec.format.needs_range())
        })
    }
}

/// An entry of a specification that says how values are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    /// This `[[fault]]`, from 1, with its `format`.
    Fault(usize),
    /// This `[[storage]]`, from 1.
    Storage(usize),
}

/// How values are stored when these are the faults: what a fault's `format` says of its whole target, then `[[storage]]`.
pub(super) fn storage_with(storage: &[StorageSpec], faults: &[FaultSpec]) -> Vec<(Entry, StorageSpec)> {
    let mut all: Vec<(Entry, StorageSpec)> = Vec::new();
    for (i, fault) in faults.iter().enumerate() {
        if let Some(format) = fault.format {
            let target = fault.target.class.into();
            let ordinary = StorageSpec::new(target, Layers::default(), fault.place, format);
            // Nodes that only their own name reaches.
            let own = StorageSpec { layers: fault.layers.clone(), ..ordinary.clone() };
            for spec in [ordinary, own] {
                if all.iter().all(|(_, known)| *known != spec) {
                    all.push((Entry::Fault(i + 1), spec));
                }
            }
        }
    }
    all.extend((1..).map(Entry::Storage).zip(storage.iter().cloned()));
    all
}

/// Points at the place of an error in the text of a specification: `line 12: layers = "conv9"`.
pub fn place_of(text: &str, path: &[String]) -> Option<String> {
    let table = toml::de::DeTable::parse(text).ok()?;
    let mut place = None;
    'path: for key in path {
        // A swept field such as `fault.1.sigma` may be one quoted key or three.
        let keys =
            if below(&table, place, key).is_some() { vec![key.as_str()] } else { key.split('.').collect() };
        for key in keys {
            // As near as the text goes: the field may be absent.
            let Some(next) = below(&table, place, key) else { break 'path };
            place = Some(next);
        }
    }
    let before = text.get(..place?.span().start)?;
    let line = before.matches('\n').count() + 1;
    let content = text.lines().nth(line - 1)?.trim();
    Some(format!("line {line}: {content}"))
}

/// A value in a parsed specification, with its place in the text.
type Spanned<'t> = toml::Spanned<toml::de::DeValue<'t>>;

/// What lies under a key of a value, or of the whole specification.
fn below<'v, 't>(
    table: &'v toml::Spanned<toml::de::DeTable<'t>>,
    value: Option<&'v Spanned<'t>>,
    key: &str,
) -> Option<&'v Spanned<'t>> {
    match value.map(toml::Spanned::get_ref) {
        None => table.get_ref().get(key),
        Some(toml::de::DeValue::Table(table)) => table.get(key),
        Some(toml::de::DeValue::Array(array)) => array.get(key.parse::<usize>().ok()?.checked_sub(1)?),
        Some(_) => None,
    }
}

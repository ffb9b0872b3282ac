//! A study as the user writes it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use temper_core::hardware::{HardwareModel, HardwareSpec, RowOffset};

use super::error::StudyError;
use crate::recipe::{PhaseSpec, RecipeSpec};

/// A study: the whole of a `study.toml`. A network is trained, put on chips, and repaired on each of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudySpec {
    /// Which chips there are.
    #[serde(default)]
    pub chips: ChipsSpec,
    /// What is done about what a chip costs.
    #[serde(default, rename = "repair", skip_serializing_if = "Vec::is_empty")]
    pub repairs: Vec<RepairSpec>,
    /// Fields of every device's model taken through several values; a single condition if absent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sweep: BTreeMap<String, Vec<toml::Value>>,
    /// Which layers lie on which device.
    pub hardware: Vec<HardwareSpec>,
    /// How the network is trained, without a device; the best network of the last phase goes on the chips.
    pub golden: RecipeSpec,
}

/// `[chips]`: which chips there are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChipsSpec {
    /// The seed of the first chip; the others follow.
    pub first: u64,
    /// How many, at least 1.
    pub count: u64,
    /// A chip counts towards the yield if it loses so much accuracy at most, 0 to 1.
    pub tolerance: f64,
}

impl Default for ChipsSpec {
    fn default() -> Self {
        Self { first: 1, count: 20, tolerance: 0.01 }
    }
}

impl ChipsSpec {
    /// The seeds.
    pub fn seeds(self) -> impl Iterator<Item = u64> {
        (0..self.count).map(move |number| self.first.wrapping_add(number))
    }
}

/// What is done about what a chip costs; each starts from the stricken network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum RepairSpec {
    /// What each row of a Sandwich-RAM reads without features is measured and subtracted digitally.
    OffsetCalibration,
    /// Batch norms' running statistics are found again, on the chip: the mean over batches of training images.
    BatchNorm {
        /// Images.
        images: usize,
        /// Images of one batch.
        #[serde(default = "batch_size")]
        batch_size: usize,
    },
    /// The network is trained further, on the chip.
    Retraining {
        /// How; storage and hardware are those of the study. Recipes of phases that train on chips have no chip of their own.
        phase: Box<PhaseSpec>,
    },
    /// The network is trained further, once and for all chips: every batch on a new chip.
    ManyChips {
        /// How.
        phase: Box<PhaseSpec>,
    },
}

const fn batch_size() -> usize {
    128
}

/// A repair, as records and tables call it; also what was measured without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Repair {
    /// None.
    Nothing,
    /// [`RepairSpec::OffsetCalibration`].
    OffsetCalibration,
    /// [`RepairSpec::BatchNorm`].
    BatchNorm,
    /// [`RepairSpec::Retraining`].
    Retraining,
    /// [`RepairSpec::ManyChips`].
    ManyChips,
    /// A network retrained on one chip, on the next one.
    OtherChip,
}

impl fmt::Display for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Nothing => "nothing",
            Self::OffsetCalibration => "offset calibration",
            Self::BatchNorm => "batch norm",
            Self::Retraining => "retraining",
            Self::ManyChips => "retraining, many chips",
            Self::OtherChip => "retraining, other chip",
        })
    }
}

impl RepairSpec {
    /// What it is called.
    pub fn repair(&self) -> Repair {
        match self {
            Self::OffsetCalibration => Repair::OffsetCalibration,
            Self::BatchNorm { .. } => Repair::BatchNorm,
            Self::Retraining { .. } => Repair::Retraining,
            Self::ManyChips { .. } => Repair::ManyChips,
        }
    }

    fn phase(&self) -> Option<&PhaseSpec> {
        match self {
            Self::Retraining { phase } | Self::ManyChips { phase } => Some(phase),
            Self::OffsetCalibration | Self::BatchNorm { .. } => None,
        }
    }
}

/// A combination of the swept values.
#[derive(Debug, Clone, PartialEq)]
pub struct StudyCondition {
    /// The swept fields with their values, as `mapping = unrolled, row_offset = raw`; empty without a sweep.
    pub label: String,
    /// The devices.
    pub hardware: Vec<HardwareSpec>,
}

impl StudySpec {
    /// Reads a study from TOML.
    ///
    /// # Errors
    /// When the text is not a study, or a value makes no sense by itself. The message shows the place.
    pub fn parse(text: &str) -> Result<Self, StudyError> {
        let spec: Self = toml::from_str(text).map_err(Box::new)?;
        spec.check()?;
        Ok(spec)
    }

    fn check(&self) -> Result<(), StudyError> {
        self.golden.check().map_err(StudyError::Golden)?;
        if self.hardware.is_empty() {
            return Err(StudyError::value("[[hardware]]", "expected at least one, found none"));
        }
        if self.chips.count == 0 {
            return Err(StudyError::value("[chips] count", "expected at least 1, found 0"));
        }
        if !(0.0..=1.0).contains(&self.chips.tolerance) {
            let reason = format!("expected a number from 0 to 1, found {}", self.chips.tolerance);
            return Err(StudyError::value("[chips] tolerance", reason));
        }
        for (i, repair) in self.repairs.iter().enumerate() {
            let place = |field: &str| format!("repair {}{field}", i + 1);
            if self.repairs[..i].iter().any(|other| other.repair() == repair.repair()) {
                return Err(StudyError::value(place(""), format!("a second {}", repair.repair())));
            }
            if let RepairSpec::BatchNorm { images, batch_size } = repair
                && (*images < *batch_size || *batch_size < 2)
            {
                let reason = format!(
                    "expected batches of at least 2 of as many images or more, found {batch_size} of {images}"
                );
                return Err(StudyError::value(place(", batch_size"), reason));
            }
            let Some(phase) = repair.phase() else { continue };
            phase.check(1).map_err(|source| StudyError::Phase { number: i + 1, source })?;
            for (field, is_given) in [
                ("storage", !phase.storage.is_empty()),
                ("hardware", !phase.hardware.is_empty()),
                ("chip", phase.chip.is_some()),
            ] {
                if is_given {
                    let reason = "is the study's; leave it out";
                    return Err(StudyError::value(place(&format!(", phase.{field}")), reason));
                }
            }
        }
        Ok(())
    }

    /// Records that a finished study of so many conditions has: of each condition and chip without a repair and with each; a network retrained on
    /// one chip is also measured on the next, if there is another.
    pub fn records(&self, conditions: usize) -> usize {
        let chips = self.chips.count as usize;
        let retrained = self.repairs.iter().any(|repair| repair.repair() == Repair::Retraining);
        let other = usize::from(retrained && chips > 1);
        conditions * chips * (1 + self.repairs.len() + other)
    }

    /// All combinations of the swept values, the last axis fastest.
    ///
    /// # Errors
    /// When an axis is no field of a model, or a value none of the field's.
    pub fn conditions(&self) -> Result<Vec<StudyCondition>, StudyError> {
        let mut conditions = vec![StudyCondition { label: String::new(), hardware: self.hardware.clone() }];
        for (axis, values) in &self.sweep {
            if values.is_empty() {
                return Err(StudyError::value(format!("[sweep] {axis}"), "expected at least one value"));
            }
            let combined = conditions
                .iter()
                .flat_map(|condition| values.iter().map(move |value| condition.with(axis, value)));
            conditions = combined.collect::<Result<_, _>>()?;
        }
        Ok(conditions)
    }
}

impl StudyCondition {
    fn with(&self, axis: &str, value: &toml::Value) -> Result<Self, StudyError> {
        let error = |reason: String| StudyError::value(format!("[sweep] {axis}"), reason);
        let set = |entry: &HardwareSpec| {
            let mut table =
                toml::Table::try_from(&entry.model).map_err(|source| error(source.to_string()))?;
            table.insert(axis.to_owned(), value.clone());
            let model: HardwareModel =
                table.try_into().map_err(|source: toml::de::Error| error(source.message().to_owned()))?;
            Ok(HardwareSpec { model, ..entry.clone() })
        };
        let shown = match value {
            toml::Value::String(text) => text.clone(),
            value => value.to_string(),
        };
        let separator = if self.label.is_empty() { "" } else { ", " };
        Ok(Self {
            label: format!("{}{separator}{axis} = {shown}", self.label),
            hardware: self.hardware.iter().map(set).collect::<Result<_, StudyError>>()?,
        })
    }

    /// The devices with the offsets of their rows calibrated.
    pub(super) fn calibrated(&self) -> Vec<HardwareSpec> {
        let calibrate = |entry: &HardwareSpec| {
            let mut entry = entry.clone();
            if let HardwareModel::SandwichRam(spec) = &mut entry.model {
                spec.row_offset = RowOffset::Calibrated;
            }
            entry
        };
        self.hardware.iter().map(calibrate).collect()
    }
}

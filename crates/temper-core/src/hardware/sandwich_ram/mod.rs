//! Sandwich-RAM: an array that adds up products of 8-bit features and one-bit weights by the width of a pulse.
//!
//! A row's generator starts a pulse of the reserve's width; each of its cells makes it longer or shorter by its feature, as its
//! weight's sign says; a quantiser turns the width into a number, from which the reserve is subtracted. Rows are added up digitally.
//! (Yang et al., "Sandwich-RAM: an energy-efficient in-memory BWN architecture with pulse-width modulation", ISSCC 2019; the model with
//! its deviations: "ACIMS: analog CIM simulator for DNN resilience", Electronics 2022, eq. 3 to 6.)
//!
//! Of row *i* with cells *j*:
//!
//! ```text
//! Y_i = round((Pre · G_i + Σ_j M_ij · sign(W_ij) · X_ij · n_ij) / Q_i) − Pre
//! ```
//!
//! `G`, `M` and `Q` are drawn once for a chip, `n` anew for every operation.

mod adders;
mod array;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::deviation::{Deviation, DeviationError};

pub use adders::{AdderBuffers, Adders};
pub use array::SandwichRam;

/// The largest feature: 8 bits without a sign.
const LARGEST_FEATURE: u32 = 255;

/// An array, as the user describes it. Whatever is left out is as in the ACIMS paper.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SandwichRamSpec {
    /// Cells of a row, *N*; at least 1.
    pub cells: usize,
    /// Rows of the array, which a layer with more inputs uses again; at least 1. Without meaning where
    /// [`mapping`](Self::mapping) is unrolled.
    pub rows: usize,
    /// *Pre*, the width that a pulse begins with, in steps of the feature: at least 0. A row whose cells all subtract the largest feature needs
    /// 255 for each.
    pub reserve: f64,
    /// *G*, the pulse-width generators': one factor for each row.
    pub generator: Deviation,
    /// *M*, the pulse-width modulators': one factor for each cell.
    pub modulator: Deviation,
    /// *Q*, the pulse-width quantisers': one factor for each row.
    pub quantiser: Deviation,
    /// *n*, of every cell in every operation; limits are none, since what a row adds up is drawn in one.
    pub noise: Deviation,
    /// Which cell serves which weight.
    pub mapping: Mapping,
    /// What is done about the offset that a row's generator and quantiser leave.
    pub row_offset: RowOffset,
    /// Features are rounded down to multiples of so many codes, 1 to 255; 1 keeps them as they are, 8 is eq. 6 to the letter.
    pub feature_step: u32,
    /// How the quantiser rounds.
    pub rounding: Rounding,
}

/// Which cell serves which weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mapping {
    /// The outputs of a layer are computed one after another on the same rows: weight *k* of every output lies in cell *k* mod *N* of
    /// row ⌊*k* / *N*⌋ mod *rows*.
    #[default]
    TimeMultiplexed,
    /// Every weight has a cell of its own, and every output rows of its own.
    Unrolled,
}

/// What is done about the offset `Pre · (G / Q − 1)` of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RowOffset {
    /// Nothing: eq. 6 to the letter.
    #[default]
    Raw,
    /// A row's generator and quantiser share their deviation: *Q* = *G*.
    Matched,
    /// What a row reads without features is measured once, without noise, and subtracted digitally.
    Calibrated,
}

/// How the quantiser rounds a pulse's width.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rounding {
    /// To the next lower whole number, as a counter does.
    #[default]
    Floor,
    /// To the nearest whole number, ties to the even one.
    Nearest,
    /// Not at all.
    None,
}

impl Default for SandwichRamSpec {
    fn default() -> Self {
        let of_components = Deviation::of(1.0 / 6.0);
        Self {
            cells: 28,
            rows: 28,
            reserve: 7140.0,
            generator: of_components,
            modulator: of_components,
            quantiser: of_components,
            noise: Deviation::of(1.0 / 12.0),
            mapping: Mapping::default(),
            row_offset: RowOffset::default(),
            feature_step: 1,
            rounding: Rounding::default(),
        }
    }
}

/// An array that cannot be.
#[derive(Debug, Error, PartialEq)]
pub enum SandwichRamError {
    /// A number out of its range.
    #[error("{field}: expected {expected}, found {found}")]
    Value {
        /// The field.
        field: &'static str,
        /// What it may be.
        expected: &'static str,
        /// What it is.
        found: f64,
    },
    /// A deviation that none can be drawn from.
    #[error("{field}")]
    Deviation {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        source: DeviationError,
    },
    /// Limits where there can be none.
    #[error("noise: limits do not go with noise that is drawn for a whole row; remove them")]
    NoiseLimits,
}

impl SandwichRamSpec {
    /// An array without deviations and noise: it computes what a digital one would.
    #[must_use]
    pub fn ideal(self) -> Self {
        let none = Deviation::NONE;
        Self { generator: none, modulator: none, quantiser: none, noise: none, ..self }
    }

    /// Checks the numbers.
    ///
    /// # Errors
    /// When one of them is out of its range.
    pub fn check(&self) -> Result<(), SandwichRamError> {
        let value = |field, expected, found| Err(SandwichRamError::Value { field, expected, found });
        for (field, count) in [("cells", self.cells), ("rows", self.rows)] {
            if count == 0 {
                return value(field, "at least 1", 0.0);
            }
        }
        if !(self.reserve.is_finite() && self.reserve >= 0.0) {
            return value("reserve", "a finite number of at least 0", self.reserve);
        }
        if !(1..=LARGEST_FEATURE).contains(&self.feature_step) {
            return value("feature_step", "1 to 255", self.feature_step.into());
        }
        let deviations = [
            ("generator", self.generator),
            ("modulator", self.modulator),
            ("quantiser", self.quantiser),
            ("noise", self.noise),
        ];
        for (field, deviation) in deviations {
            deviation.check().map_err(|source| SandwichRamError::Deviation { field, source })?;
        }
        if self.noise.limits.is_some() {
            return Err(SandwichRamError::NoiseLimits);
        }
        Ok(())
    }

    /// The least reserve with which no pulse of an ideal row vanishes: what its cells can take away.
    pub fn needed_reserve(&self) -> f64 {
        f64::from(LARGEST_FEATURE) * self.cells as f64
    }

    /// Rows that a layer's output needs: its inputs, `cells` at a time.
    pub(super) fn rows_of(&self, inputs: usize) -> usize {
        inputs.div_ceil(self.cells)
    }
}

//! Yield: the share of chips that are good enough.

use serde::Serialize;

use super::error::AnalysisError;
use super::sample::Sample;
use crate::campaign::GoldenInfo;
use crate::statistics::{Proportion, StatisticsError};

/// The accuracy that a good chip has at least.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccuracyFloor {
    /// This accuracy, 0..=1.
    AtLeast(f64),
    /// So much below the condition's golden accuracy, 0..=1.
    BelowGolden(f64),
}

impl AccuracyFloor {
    /// Whether a draw with so many correct images is good. Counted in images, so that a chip at the floor is good however the floor was
    /// rounded.
    fn is_met(self, correct: u64, golden: GoldenInfo) -> bool {
        /// Parts of an image that rounding of a fraction may come to.
        const ROUNDING: f64 = 1e-6;
        let images = golden.images as f64;
        let needed = match self {
            Self::AtLeast(accuracy) => accuracy * images,
            Self::BelowGolden(drop) => golden.correct as f64 - drop * images,
        };
        correct as f64 >= needed - ROUNDING
    }

    /// Itself, if it lies in its range.
    fn check(self) -> Result<Self, StatisticsError> {
        let (Self::AtLeast(found) | Self::BelowGolden(found)) = self;
        if (0.0..=1.0).contains(&found) {
            return Ok(self);
        }
        let name = "the accuracy of a good chip";
        Err(StatisticsError::OutOfRange { name, found, expected: "a fraction from 0 to 1" })
    }
}

/// The share of a condition's draws with an accuracy of at least the floor; the interval to quote is Clopper and Pearson's (see
/// [`yield_at_least`](crate::statistics::yield_at_least)).
///
/// `confidence` is that of the intervals; where draws stop by precision they are computed at [`Sample::level`].
///
/// # Errors
/// If there is no draw, they are the first of an exhaustive campaign or ran part of the images only, or a number is out of its range.
pub fn yield_of(
    sample: &Sample<'_>,
    floor: AccuracyFloor,
    confidence: f64,
) -> Result<Proportion, AnalysisError> {
    let floor = floor.check()?;
    sample.check(1)?;
    sample.check_all_images()?;
    let good = |record: &crate::campaign::TrialRecord| floor.is_met(record.outcomes.correct, sample.golden);
    Ok(sample.share(sample.level(confidence), good)?)
}

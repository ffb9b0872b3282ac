//! What numbers no statistic can be computed of.

use thiserror::Error;

/// Why there is no estimate.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
pub enum StatisticsError {
    /// A confidence level outside 0..1.
    #[error("the confidence level is {found}; expected more than 0 and less than 1, such as 0.95")]
    Confidence {
        /// What was given.
        found: f64,
    },
    /// A number that must lie in a range and does not, or is not a number.
    #[error("{name} is {found}; expected {expected}")]
    OutOfRange {
        /// What the number is.
        name: &'static str,
        /// What was given.
        found: f64,
        /// The range, in words.
        expected: &'static str,
    },
    /// Too few values.
    #[error("found {found} {name}, expected at least {needed}; take more")]
    TooFew {
        /// What there is too little of.
        name: &'static str,
        /// How many there are.
        found: u64,
        /// How many there have to be.
        needed: u64,
    },
    /// A part larger than its whole.
    #[error("found {part} {part_name} of {whole} {whole_name}; expected no more than there are")]
    PartExceedsWhole {
        /// What is counted.
        part_name: &'static str,
        /// How many there are.
        part: u64,
        /// What it is counted among.
        whole_name: &'static str,
        /// How many of them there are.
        whole: u64,
    },
    /// Pairs whose samples differ in length.
    #[error(
        "the first sample has {first} values and the second {second}; pair each with one, or compare them as unpaired"
    )]
    UnequalLengths {
        /// Values in the first sample.
        first: usize,
        /// Values in the second sample.
        second: usize,
    },
}

/// The level itself if it lies strictly between 0 and 1.
pub(super) fn check_confidence(confidence: f64) -> Result<f64, StatisticsError> {
    if confidence > 0.0 && confidence < 1.0 {
        Ok(confidence)
    } else {
        Err(StatisticsError::Confidence { found: confidence })
    }
}

/// Nothing if every value is finite.
pub(super) fn check_finite(name: &'static str, values: &[f64]) -> Result<(), StatisticsError> {
    match values.iter().find(|value| !value.is_finite()) {
        Some(&found) => Err(StatisticsError::OutOfRange { name, found, expected: "a finite number" }),
        None => Ok(()),
    }
}

/// The value itself if it lies in 0..=1.
pub(super) fn check_fraction(name: &'static str, value: f64) -> Result<f64, StatisticsError> {
    if (0.0..=1.0).contains(&value) {
        Ok(value)
    } else {
        Err(StatisticsError::OutOfRange { name, found: value, expected: "a fraction from 0 to 1" })
    }
}

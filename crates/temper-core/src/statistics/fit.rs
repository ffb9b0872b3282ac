//! Failures in time of a device, summed over its memories.

use serde::Serialize;

use super::error::{StatisticsError, check_fraction};

/// Bits of the megabit that [`FitPart::raw_fit_per_megabit`] is stated for: 10⁶, as SI has it. Few sources say which they mean;
/// for one that counts 2²⁰, divide its figure by 1.048576 first.
pub const BITS_PER_MEGABIT: f64 = 1e6;

/// One memory (the weights of a layer, a buffer) and how likely an upset in it is to become a failure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct FitPart {
    /// Bits exposed.
    pub bits: u64,
    /// Upsets in 10⁹ hours in every [`BITS_PER_MEGABIT`] bits, 0 or more; taken as known.
    pub raw_fit_per_megabit: f64,
    /// The probability that an upset becomes a failure (silent data corruption, say), 0..=1.
    pub failure_probability: f64,
    /// Its confidence interval, 0..=1, such as [`Proportion::wilson`](super::Proportion::wilson).
    pub interval: (f64, f64),
}

/// Failures in 10⁹ hours of operation, with bounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct FitEstimate {
    /// Failures in 10⁹ hours.
    pub fit: f64,
    /// Their confidence interval, at the level of the parts' intervals.
    pub interval: (f64, f64),
}

impl FitPart {
    /// The failures in time of this part alone: `raw FIT/Mbit · bits / 10⁶ · P(failure)`; its bounds are those of the
    /// probability, scaled.
    ///
    /// # Errors
    /// If the raw rate is negative or not finite, a probability does not lie in 0..=1, or the interval does not hold
    /// the estimate.
    pub fn fit(&self) -> Result<FitEstimate, StatisticsError> {
        let raw = self.raw_fit_per_megabit;
        if !(raw >= 0.0 && raw.is_finite()) {
            let name = "the raw failures in time of a megabit";
            return Err(StatisticsError::OutOfRange { name, found: raw, expected: "a finite number from 0" });
        }
        let scale = raw * (self.bits as f64 / BITS_PER_MEGABIT);
        let probability = check_fraction("the probability of a failure", self.failure_probability)?;
        let low = check_fraction("the lower bound of a probability", self.interval.0)?;
        let high = check_fraction("the upper bound of a probability", self.interval.1)?;
        if !(low <= probability && probability <= high) {
            let name = "the probability of a failure";
            return Err(StatisticsError::OutOfRange {
                name,
                found: probability,
                expected: "a number within its interval",
            });
        }
        Ok(FitEstimate { fit: scale * probability, interval: (scale * low, scale * high) })
    }
}

/// The failures in time of all parts: their sum (Li et al., "Understanding error propagation in deep learning neural network
/// (DNN) accelerators and applications", SC 2017).
///
/// The interval recovers each part's variance from its bounds (MOVER; Zou and Donner, "Construction of confidence limits about
/// effect measures: a general approach", *Statistics in Medicine* 27, 2008): `Σf − √Σ(f − l)²` and `Σf + √Σ(u − f)²`. It
/// assumes that the parts were estimated from independent faults and that their intervals share one confidence level, which is
/// then that of the sum. The raw rates' own uncertainty, often larger, is not in it. No part gives 0.
///
/// # Errors
/// As [`FitPart::fit`].
pub fn fit_total(parts: &[FitPart]) -> Result<FitEstimate, StatisticsError> {
    let (mut fit, mut below, mut above) = (0.0, 0.0, 0.0);
    for part in parts {
        let part = part.fit()?;
        fit += part.fit;
        below += (part.fit - part.interval.0).powi(2);
        above += (part.interval.1 - part.fit).powi(2);
    }
    Ok(FitEstimate { fit, interval: (fit - f64::sqrt(below), fit + f64::sqrt(above)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PART: FitPart = FitPart {
        bits: 2_000_000,
        raw_fit_per_megabit: 20.0,
        failure_probability: 0.25,
        interval: (0.2, 0.35),
    };

    #[test]
    fn by_hand() {
        assert_eq!(PART.fit(), Ok(FitEstimate { fit: 10.0, interval: (8.0, 14.0) }));
        let other = FitPart { bits: 500_000, failure_probability: 1.0, interval: (0.85, 1.0), ..PART };
        // Arms 2 and 4, 1.5 and 0: √(4 + 2.25), √16.
        let total = fit_total(&[PART, other]).expect("valid");
        assert_eq!(total.fit, 20.0);
        assert!(
            (total.interval.0 - 17.5).abs() < 1e-12 && (total.interval.1 - 24.0).abs() < 1e-12,
            "{total:?}"
        );
        assert_eq!(fit_total(&[]), Ok(FitEstimate { fit: 0.0, interval: (0.0, 0.0) }));
        assert_eq!(fit_total(&[PART]), PART.fit());
    }

    #[test]
    fn what_is_no_part_is_refused() {
        for part in [
            FitPart { raw_fit_per_megabit: -1.0, ..PART },
            FitPart { raw_fit_per_megabit: f64::NAN, ..PART },
            FitPart { failure_probability: 25.0, ..PART },
            FitPart { failure_probability: 0.1, ..PART },
            FitPart { interval: (0.2, 1.1), ..PART },
            FitPart { interval: (0.35, 0.2), ..PART },
        ] {
            assert!(fit_total(&[PART, part]).is_err(), "{part:?}");
        }
    }
}

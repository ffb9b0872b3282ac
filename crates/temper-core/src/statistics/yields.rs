//! Yield: the share of chips that are good enough.

use super::error::{StatisticsError, check_fraction};
use super::proportion::Proportion;

/// The share of chips whose accuracy is at least `threshold`, with its intervals, from one accuracy (0..=1) for each chip
/// drawn.
///
/// Chips are independent draws, so there is no finite population; Clopper and Pearson's interval is the one to quote, since it
/// never covers less often than it says, however few chips fail.
///
/// # Errors
/// If there is no draw, an accuracy or the threshold does not lie in 0..=1, or the confidence level not between 0 and 1.
pub fn yield_at_least(
    accuracies: &[f64],
    threshold: f64,
    confidence: f64,
) -> Result<Proportion, StatisticsError> {
    check_fraction("the accuracy a good chip has at least", threshold)?;
    let mut good = 0;
    for &accuracy in accuracies {
        good += u64::from(check_fraction("an accuracy", accuracy)? >= threshold);
    }
    Proportion::new(good, accuracies.len() as u64, confidence, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chip_at_the_threshold_is_good() {
        let found = yield_at_least(&[0.9, 0.85, 0.1, 0.95, 0.85], 0.85, 0.95).expect("valid");
        assert_eq!((found.successes, found.trials, found.estimate), (4, 5, 0.8));
        // 4 of 5 in tables of Clopper and Pearson: 0.284, 0.995.
        assert!(
            (found.clopper_pearson.0 - 0.2836).abs() < 1e-4
                && (found.clopper_pearson.1 - 0.9949).abs() < 1e-4
        );
        assert_eq!(yield_at_least(&[0.3, 0.4], 0.0, 0.95).expect("valid").estimate, 1.0);
    }

    #[test]
    fn percent_and_nothing_are_refused() {
        let message = |accuracies: &[f64], threshold| {
            yield_at_least(accuracies, threshold, 0.95).expect_err("no fractions").to_string()
        };
        assert_eq!(message(&[91.0], 0.5), "an accuracy is 91; expected a fraction from 0 to 1");
        assert!(message(&[0.91], 90.0).contains("is 90;"));
        assert!(message(&[f64::NAN], 0.9).contains("NaN"));
        assert!(message(&[], 0.9).contains("0 trials"));
    }
}

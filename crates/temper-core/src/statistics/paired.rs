//! Comparing the means of two samples.

use serde::Serialize;

use super::error::{StatisticsError, check_confidence, check_finite};
use super::student;
use super::wilcoxon::{SignedRank, signed_rank};

/// The difference of two means, first minus second, with its t interval and test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MeanDifference {
    /// The difference, in the unit of the values.
    pub difference: f64,
    /// Its standard error, in the same unit.
    pub standard_error: f64,
    /// Degrees of freedom of the t distribution, whole for pairs; `None` if the standard error is 0.
    pub degrees_of_freedom: Option<f64>,
    /// Two-sided p-value of "the means are equal"; `None` if the standard error is 0, which leaves nothing to test against.
    pub p_value: Option<f64>,
    /// Bounds of the difference; both the difference itself if the standard error is 0.
    pub interval: (f64, f64),
    /// The interval's confidence level.
    pub confidence: f64,
}

/// Two samples compared pair by pair.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PairedComparison {
    /// Number of pairs.
    pub pairs: usize,
    /// The mean difference; its t test assumes differences that are about normal, or many.
    pub mean: MeanDifference,
    /// Wilcoxon's signed-rank test, which assumes only that they are symmetric.
    pub signed_rank: SignedRank,
}

/// Compares values that belong together in pairs (the same draw, the same images): the mean of the differences with Student's t
/// interval and test at n − 1 degrees of freedom ("The probable error of a mean", *Biometrika* 6, 1908), and Wilcoxon's test.
///
/// # Errors
/// If the samples differ in length, have fewer than two values or one that is not finite, or if the confidence level does not lie
/// between 0 and 1.
pub fn paired(first: &[f64], second: &[f64], confidence: f64) -> Result<PairedComparison, StatisticsError> {
    if first.len() != second.len() {
        return Err(StatisticsError::UnequalLengths { first: first.len(), second: second.len() });
    }
    check_sample("pairs", first)?;
    check_sample("pairs", second)?;
    let pairs = || first.iter().copied().zip(second.iter().copied());
    let differences: Vec<f64> = pairs().map(|(first, second)| first - second).collect();
    let (mean, variance) = mean_and_variance(&differences);
    let n = differences.len() as f64;
    let mean = test(mean, (variance / n).sqrt(), n - 1.0, confidence)?;
    Ok(PairedComparison { pairs: differences.len(), mean, signed_rank: signed_rank(pairs()) })
}

/// Compares two samples whose values do not belong together, of any two lengths and variances: Welch, "The generalization of
/// 'Student's' problem when several different population variances are involved", *Biometrika* 34, 1947, with Satterthwaite's
/// degrees of freedom (*Biometrics Bulletin* 2, 1946): `(u + v)² / (u²/(n − 1) + v²/(m − 1))` for `u = s²/n`, `v = r²/m`.
///
/// # Errors
/// If a sample has fewer than two values or one that is not finite, or if the confidence level does not lie between 0 and 1.
pub fn unpaired(first: &[f64], second: &[f64], confidence: f64) -> Result<MeanDifference, StatisticsError> {
    check_sample("values in the first sample", first)?;
    check_sample("values in the second sample", second)?;
    let part = |values: &[f64]| {
        let (mean, variance) = mean_and_variance(values);
        (mean, variance / values.len() as f64, (values.len() - 1) as f64)
    };
    let ((mean, u, free), (other_mean, v, other_free)) = (part(first), part(second));
    // As shares of the sum, so that tiny variances do not underflow when squared.
    let sum = u + v;
    let degrees_of_freedom = 1.0 / ((u / sum).powi(2) / free + (v / sum).powi(2) / other_free);
    test(mean - other_mean, sum.sqrt(), degrees_of_freedom, confidence)
}

/// Nothing if there are two values and all are finite.
/// A difference that is known, not estimated: as of samples in which nothing varies.
///
/// # Errors
/// If the confidence level does not lie between 0 and 1.
pub fn known_difference(difference: f64, confidence: f64) -> Result<MeanDifference, StatisticsError> {
    // Without a standard error no degree of freedom counts.
    test(difference, 0.0, 1.0, confidence)
}

fn check_sample(name: &'static str, values: &[f64]) -> Result<(), StatisticsError> {
    if values.len() < 2 {
        return Err(StatisticsError::TooFew { name, found: values.len() as u64, needed: 2 });
    }
    check_finite("a value", values)
}

/// Mean, and variance with n − 1 in the divisor. Equal values have a variance of exactly 0.
pub(super) fn mean_and_variance(values: &[f64]) -> (f64, f64) {
    if values.iter().all(|value| *value == values[0]) {
        return (values[0], 0.0);
    }
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, squares / (n - 1.0))
}

/// Interval and test of a difference.
fn test(
    difference: f64,
    standard_error: f64,
    degrees_of_freedom: f64,
    confidence: f64,
) -> Result<MeanDifference, StatisticsError> {
    check_confidence(confidence)?;
    let quantile = student::two_sided_quantile_real(degrees_of_freedom, confidence);
    let varies = standard_error > 0.0;
    let half_width = quantile.filter(|_| varies).map_or(0.0, |quantile| quantile * standard_error);
    Ok(MeanDifference {
        difference,
        standard_error,
        degrees_of_freedom: varies.then_some(degrees_of_freedom),
        p_value: varies.then(|| student::two_sided_p(difference / standard_error, degrees_of_freedom)),
        interval: (difference - half_width, difference + half_width),
        confidence,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        // Differences 1, 2, 3: mean 2, standard error 1/√3, t quantile c √(2 / (1 − c²)) = 4.3027.
        let found = paired(&[2.0, 4.0, 6.0], &[1.0, 2.0, 3.0], 0.95).expect("valid");
        assert_eq!((found.pairs, found.mean.difference, found.mean.degrees_of_freedom), (3, 2.0, Some(2.0)));
        let half_width = 0.95 * (2.0 / (1.0 - 0.95f64.powi(2))).sqrt() / 3f64.sqrt();
        assert!((found.mean.interval.0 - (2.0 - half_width)).abs() < 1e-12, "{found:?}");
        // Two degrees of freedom: p = 1 − t/√(2 + t²) with t = 2√3.
        let p = 1.0 - (12.0f64 / 14.0).sqrt();
        assert!((found.mean.p_value.expect("a test") - p).abs() < 1e-14, "{found:?}");
        // Three positive differences: both signs of all, 2 of 8.
        assert_eq!(found.signed_rank.p_value, 0.25);
    }

    #[test]
    fn without_spread_there_is_no_test() {
        let found = paired(&[0.5, 0.75], &[0.25, 0.5], 0.95).expect("valid").mean;
        assert_eq!((found.difference, found.interval, found.p_value), (0.25, (0.25, 0.25), None));
        let found = unpaired(&[0.1; 3], &[0.1; 4], 0.95).expect("valid");
        assert_eq!((found.difference, found.degrees_of_freedom, found.p_value), (0.0, None, None));
        // One of two without spread: its own degrees of freedom do not matter.
        let found = unpaired(&[0.1; 3], &[0.1, 0.2, 0.3, 0.4], 0.95).expect("valid");
        assert_eq!(found.degrees_of_freedom, Some(3.0));
    }

    #[test]
    fn what_cannot_be_compared_is_refused() {
        let message = paired(&[1.0, 2.0], &[1.0], 0.95).expect_err("unequal").to_string();
        assert!(message.starts_with("the first sample has 2 values and the second 1;"), "{message}");
        assert!(matches!(paired(&[1.0], &[1.0], 0.95), Err(StatisticsError::TooFew { found: 1, .. })));
        assert!(unpaired(&[1.0, 2.0], &[f64::NAN, 1.0], 0.95).is_err());
        assert!(unpaired(&[1.0, 2.0], &[], 0.95).is_err());
        assert!(paired(&[1.0, 2.0], &[2.0, 5.0], 1.0).is_err());
    }

    /// Swapping the samples turns the sign and nothing else.
    #[test]
    fn antisymmetric() {
        let (a, b) = ([0.9, 0.8, 0.85, 0.2], [0.7, 0.75, 0.1, 0.3]);
        for (found, swapped) in [
            (paired(&a, &b, 0.9).expect("valid").mean, paired(&b, &a, 0.9).expect("valid").mean),
            (unpaired(&a, &b[..3], 0.9).expect("valid"), unpaired(&b[..3], &a, 0.9).expect("valid")),
        ] {
            assert_eq!((found.difference, found.p_value), (-swapped.difference, swapped.p_value));
            assert_eq!(found.interval, (-swapped.interval.1, -swapped.interval.0));
        }
    }
}

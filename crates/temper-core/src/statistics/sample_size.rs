//! How many faults a campaign has to inject for a share of them to be known so precisely.

use super::error::{StatisticsError, check_fraction};
use super::{normal, proportion::check_part};

/// What rounding may add to a sample size, relative to it: 16 641 must not become 16 642 because it was computed as
/// 16 641.000000001.
const ROUNDING: f64 = 1e-12;

/// The z with `P(|Z| ≤ z) = confidence` for a standard normal Z; `None` if the level does not lie between 0 and 1.
pub fn normal_quantile(confidence: f64) -> Option<f64> {
    (confidence > 0.0 && confidence < 1.0).then(|| normal::quantile(0.5 + confidence / 2.0))
}

/// [`normal_quantile`] rounded to two decimals, as printed tables have it: 1.96 for 95 %, 2.58 for 99 %, 3.09 for 99.8 %.
/// Published sample sizes rest on these.
pub fn table_quantile(confidence: f64) -> Option<f64> {
    normal_quantile(confidence).map(|quantile| (quantile * 100.0).round() / 100.0)
}

/// The sample size for estimating a share, before rounding: `n = N / (1 + e² (N − 1) / (t² p (1 − p)))`, and `t² p (1 − p) /
/// e²` for an infinite population (Leveugle, Calvez, Maistri and Vanhauwaert, "Statistical fault injection: quantified error
/// and confidence", DATE 2009; Cochran, 1977, ch. 4).
///
/// - `population`: N, the faults there are; `None` if infinitely many.
/// - `margin`: e, the wanted half-width of the interval, 0..1 and not 0.
/// - `t`: the quantile of the confidence level, from [`normal_quantile`] or, for published numbers, [`table_quantile`].
/// - `proportion`: p, the share expected, 0..=1; 0.5 asks for the most and is right for any share.
///
/// It rests on the normal approximation: for shares whose expected count `n p` is below about ten, the interval of
/// [`Proportion`](super::Proportion) is wider than asked for.
///
/// # Errors
/// If the population is empty or a number is out of its range.
pub fn unrounded_sample_size(
    population: Option<u64>,
    margin: f64,
    t: f64,
    proportion: f64,
) -> Result<f64, StatisticsError> {
    if !(margin > 0.0 && margin < 1.0) {
        return Err(StatisticsError::OutOfRange {
            name: "the margin",
            found: margin,
            expected: "a fraction above 0 and below 1",
        });
    }
    let spread = check_spread(population, t, proportion)?;
    let infinite = spread / margin / margin;
    Ok(match population {
        None => infinite,
        // The formula with numerator and denominator divided by the sample size for an infinite population.
        Some(population) => {
            let size = population as f64;
            if infinite == 0.0 { 0.0 } else { size / (1.0 + (size - 1.0) / infinite) }
        }
    })
}

/// [`unrounded_sample_size`] rounded up to whole faults: at least 1, never more than there are.
///
/// # Errors
/// As [`unrounded_sample_size`].
pub fn sample_size(
    population: Option<u64>,
    margin: f64,
    t: f64,
    proportion: f64,
) -> Result<u64, StatisticsError> {
    let size = unrounded_sample_size(population, margin, t, proportion)?;
    let whole = (size * (1.0 - ROUNDING)).ceil() as u64;
    Ok(whole.clamp(1, population.unwrap_or(u64::MAX)))
}

/// The margin that a sample achieves, the inverse of [`unrounded_sample_size`]: `e = t √(p (1 − p) / n · (N − n) / (N − 1))`; 0
/// if the whole population is the sample.
///
/// # Errors
/// If the sample is empty or larger than the population, or a number is out of its range.
pub fn margin(sample: u64, population: Option<u64>, t: f64, proportion: f64) -> Result<f64, StatisticsError> {
    let spread = check_spread(population, t, proportion)?;
    if sample == 0 {
        return Err(StatisticsError::TooFew { name: "faults in the sample", found: 0, needed: 1 });
    }
    let left = match population {
        None => 1.0,
        Some(population) => {
            check_part(("faults in the sample", sample), ("in the population", population))?;
            if sample == population { 0.0 } else { (population - sample) as f64 / (population - 1) as f64 }
        }
    };
    Ok((spread / sample as f64 * left).sqrt())
}

/// `t² p (1 − p)`, once the numbers have been checked.
fn check_spread(population: Option<u64>, t: f64, proportion: f64) -> Result<f64, StatisticsError> {
    if population == Some(0) {
        return Err(StatisticsError::TooFew { name: "faults in the population", found: 0, needed: 1 });
    }
    if !(t > 0.0 && t.is_finite()) {
        return Err(StatisticsError::OutOfRange {
            name: "the quantile t",
            found: t,
            expected: "a number above 0, such as 1.96",
        });
    }
    let proportion = check_fraction("the proportion", proportion)?;
    Ok(t * t * (proportion * (1.0 - proportion)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_answers() {
        let unrounded =
            |population, margin, t| unrounded_sample_size(population, margin, t, 0.5).expect("valid");
        assert!((unrounded(Some(1000), 0.05, 1.96) - 277.74).abs() < 0.005);
        assert_eq!(sample_size(Some(1000), 0.05, 1.96, 0.5), Ok(278));
        assert_eq!(sample_size(None, 0.01, 2.58, 0.5), Ok(16_641));
        // Every stuck-at fault in the weights of ResNet-20 for CIFAR-10: 268 336 weights × 32 bits × 2.
        assert_eq!(sample_size(Some(268_336 * 64), 0.01, 2.58, 0.5), Ok(16_625));
        // 1.96² · 0.25 / 0.05² = 384.16, the number of every textbook.
        assert_eq!(sample_size(None, 0.05, 1.96, 0.5), Ok(385));
    }

    #[test]
    fn table_quantiles() {
        let found =
            [0.9, 0.95, 0.99, 0.998, 0.999].map(|confidence| table_quantile(confidence).expect("a level"));
        assert_eq!(found, [1.64, 1.96, 2.58, 3.09, 3.29]);
        assert!((normal_quantile(0.95).expect("a level") - 1.959_963_984_540_054).abs() < 1e-14);
        for confidence in [0.0, 1.0, -1.0, f64::NAN] {
            assert_eq!((normal_quantile(confidence), table_quantile(confidence)), (None, None));
        }
    }

    #[test]
    fn edges() {
        assert_eq!(sample_size(Some(1), 0.01, 2.58, 0.5), Ok(1));
        assert_eq!(sample_size(Some(7), 1e-300, 2.58, 0.5), Ok(7));
        assert_eq!(sample_size(None, 1e-300, 2.58, 0.5), Ok(u64::MAX));
        assert_eq!(sample_size(Some(u64::MAX), 0.01, 2.58, 0.5), Ok(16_641));
        // A share known to be 0 needs no sample, but one is taken.
        assert_eq!(sample_size(Some(100), 0.01, 2.58, 0.0), Ok(1));
        assert_eq!(sample_size(None, 0.01, 2.58, 1.0), Ok(1));
        assert_eq!(margin(50, Some(50), 2.58, 0.5), Ok(0.0));
        assert_eq!(margin(1, Some(1), 2.58, 0.5), Ok(0.0));
        for refused in [
            sample_size(Some(0), 0.01, 2.58, 0.5),
            sample_size(None, 0.0, 2.58, 0.5),
            sample_size(None, 1.0, 2.58, 0.5),
            sample_size(None, f64::NAN, 2.58, 0.5),
            sample_size(None, 0.01, 0.0, 0.5),
            sample_size(None, 0.01, f64::INFINITY, 0.5),
            sample_size(None, 0.01, 2.58, 1.5),
        ] {
            assert!(refused.is_err(), "{refused:?}");
        }
        assert!(margin(0, None, 2.58, 0.5).is_err() && margin(8, Some(7), 2.58, 0.5).is_err());
    }

    proptest! {
        #[test]
        fn margin_is_the_inverse(population in prop::option::of(2u64..1 << 40), wanted in 0.001..0.5, proportion in 0.01..0.99) {
            let t = 1.96;
            let n = sample_size(population, wanted, t, proportion).expect("valid");
            prop_assert!(population.is_none_or(|population| n <= population));
            prop_assert!(margin(n, population, t, proportion).expect("valid") <= wanted * (1.0 + 1e-9));
            if n > 1 {
                prop_assert!(margin(n - 1, population, t, proportion).expect("valid") >= wanted * (1.0 - 1e-9));
            }
        }
    }
}

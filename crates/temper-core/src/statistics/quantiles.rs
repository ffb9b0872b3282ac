//! Sample quantiles.

use super::error::{StatisticsError, check_finite, check_fraction};

/// The sample quantile at each of `probabilities` (0..=1; 0 is the smallest value, 0.5 the median, 1 the largest), in their
/// order.
///
/// Type 7 of Hyndman and Fan, "Sample quantiles in statistical packages", *The American Statistician* 50, 1996, which NumPy and
/// R use by default: linear between the order statistics on either side of position `(n − 1) p`.
///
/// # Errors
/// If there is no value, one is not finite, or a probability does not lie in 0..=1.
pub fn quantiles(values: &[f64], probabilities: &[f64]) -> Result<Vec<f64>, StatisticsError> {
    if values.is_empty() {
        return Err(StatisticsError::TooFew { name: "values", found: 0, needed: 1 });
    }
    check_finite("a value", values)?;
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    probabilities
        .iter()
        .map(|&probability| {
            check_fraction("the probability of a quantile", probability)?;
            Ok(of_sorted(&sorted, probability))
        })
        .collect()
}

/// [`quantiles`] of values that are sorted, at least one, at a probability in 0..=1.
pub(super) fn of_sorted(sorted: &[f64], probability: f64) -> f64 {
    let position = (sorted.len() - 1) as f64 * probability;
    let below = position as usize;
    let (low, high) = (sorted[below], sorted[(below + 1).min(sorted.len() - 1)]);
    let weight = position - below as f64;
    // From the nearer end, so that each end and equal values come out exactly.
    if weight < 0.5 { low + (high - low) * weight } else { high - (high - low) * (1.0 - weight) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn by_hand() {
        let found = quantiles(&[4.0, 1.0, 3.0, 2.0], &[0.0, 0.1, 0.25, 0.5, 0.75, 1.0]).expect("valid");
        let expected = [1.0, 1.3, 1.75, 2.5, 3.25, 4.0];
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-15), "{found:?}");
        assert_eq!(quantiles(&[0.7], &[0.0, 0.3, 1.0]), Ok(vec![0.7; 3]));
        assert_eq!(quantiles(&[0.1; 5], &[0.33, 0.9]), Ok(vec![0.1; 2]));
    }

    #[test]
    fn what_has_no_quantile_is_refused() {
        assert!(matches!(quantiles(&[], &[0.5]), Err(StatisticsError::TooFew { .. })));
        for value in [f64::NAN, f64::INFINITY] {
            assert!(matches!(quantiles(&[1.0, value], &[0.5]), Err(StatisticsError::OutOfRange { .. })));
        }
        for probability in [-0.1, 1.1, f64::NAN] {
            assert!(quantiles(&[1.0], &[probability]).is_err());
        }
    }

    proptest! {
        #[test]
        fn rise_with_the_probability(
            values in prop::collection::vec(-1e3..1e3, 1..50),
            mut at in prop::collection::vec(0.0..=1.0, 2..20),
        ) {
            at.sort_unstable_by(f64::total_cmp);
            let found = quantiles(&values, &at).expect("valid");
            prop_assert!(found.windows(2).all(|pair| pair[0] <= pair[1] + 1e-12));
            let negated: Vec<f64> = values.iter().map(|value| -value).collect();
            let mirrored: Vec<f64> = at.iter().map(|at| 1.0 - at).collect();
            let mirrored = quantiles(&negated, &mirrored).expect("valid");
            prop_assert!(found.iter().zip(mirrored).all(|(a, b)| (a + b).abs() < 1e-9));
        }
    }
}

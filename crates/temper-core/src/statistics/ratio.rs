//! The ratio of two means over the same draws.

use serde::Serialize;

use super::student;

/// A ratio of two means, with its interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Ratio {
    /// Number of draws.
    pub draws: usize,
    /// Mean of the numerators over mean of the denominators.
    pub ratio: f64,
    /// Bounds of the interval; `None` for a single draw, or if the confidence level does not lie between 0 and 1.
    pub interval: Option<(f64, f64)>,
}

/// The mean of `numerators` over the mean of `denominators` of the same draws, with the interval `R ± t(1 − α/2, n − 1) · s_d / (√n · x̄)`,
/// where `s_d` is the standard deviation of the residuals `d = y − R·x` (Cochran, *Sampling Techniques*, 3rd ed., 1977, §2.11). It is
/// approximate: good where the mean of the denominators is known to some percent. Unlike a mean of single ratios it does not break down
/// when a denominator is near zero. `None` without a draw, or if the denominators' mean is zero.
///
/// # Panics
/// When there are not as many of both.
pub fn ratio_of_means(numerators: &[f64], denominators: &[f64], confidence: f64) -> Option<Ratio> {
    assert_eq!(numerators.len(), denominators.len(), "a numerator and a denominator for each draw");
    let draws = numerators.len();
    let n = draws as f64;
    let mean = |values: &[f64]| values.iter().sum::<f64>() / n;
    let (y, x) = (mean(numerators), mean(denominators));
    if draws == 0 || x == 0.0 {
        return None;
    }
    let ratio = y / x;
    let interval = student::two_sided_quantile(draws - 1, confidence).filter(|_| draws > 1).map(|t| {
        let residuals = numerators.iter().zip(denominators).map(|(y, x)| (y - ratio * x).powi(2));
        let spread = (residuals.sum::<f64>() / (n - 1.0)).sqrt();
        let half_width = t * spread / (n.sqrt() * x.abs());
        (ratio - half_width, ratio + half_width)
    });
    Some(Ratio { draws, ratio, interval })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_by_hand() {
        // Means 5 and 10; residuals y − x/2: 0, −1, 1; s_d = 1; t(0.975, 2) = 4.302653; half-width 4.302653 / (√3 · 10).
        let found = ratio_of_means(&[4.0, 4.0, 7.0], &[8.0, 10.0, 12.0], 0.95).expect("sound");
        assert_eq!((found.draws, found.ratio), (3, 0.5));
        let (low, high) = found.interval.expect("three draws");
        assert!((low - (0.5 - 0.248_413_8)).abs() < 1e-6 && (high - (0.5 + 0.248_413_8)).abs() < 1e-6);
        assert_eq!(
            ratio_of_means(&[1.0], &[2.0], 0.95),
            Some(Ratio { draws: 1, ratio: 0.5, interval: None })
        );
        assert_eq!(ratio_of_means(&[1.0, 2.0], &[1.0, -1.0], 0.95), None);
        assert_eq!(ratio_of_means(&[], &[], 0.95), None);
    }
}

//! The standard normal distribution.

use std::f64::consts::FRAC_1_SQRT_2;

use statrs::distribution::{ContinuousCDF, Normal};

/// `P(Z ≤ z)`, without cancellation in either tail.
pub(super) fn cdf(z: f64) -> f64 {
    0.5 * libm::erfc(-z * FRAC_1_SQRT_2)
}

/// `P(|Z| ≥ |z|)`.
pub(super) fn two_sided_p(z: f64) -> f64 {
    libm::erfc(z.abs() * FRAC_1_SQRT_2)
}

/// The `z` with `P(Z ≤ z) = probability`; ±∞ at 1 and 0.
///
/// # Panics
/// If `probability` is not in 0..=1.
pub(super) fn quantile(probability: f64) -> f64 {
    Normal::standard().inverse_cdf(probability)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_and_quantiles_are_each_others_inverse() {
        for probability in [1e-300, 1e-20, 1e-9, 0.001, 0.025, 0.5, 0.8, 0.975, 0.999_999] {
            let back = cdf(quantile(probability));
            assert!((back / probability - 1.0).abs() < 1e-10, "{probability}: {back}");
        }
        assert_eq!((quantile(0.0), quantile(1.0)), (f64::NEG_INFINITY, f64::INFINITY));
        assert_eq!((cdf(0.0), two_sided_p(0.0)), (0.5, 1.0));
        // Abramowitz and Stegun (1964), table 26.1: Q(3) = 0.00134 98980 31630.
        assert!((two_sided_p(-3.0) - 2.0 * 0.001_349_898_031_630).abs() < 1e-15);
    }
}

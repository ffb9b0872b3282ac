//! Quantiles of Student's t distribution.

use std::f64::consts::{FRAC_2_PI, FRAC_PI_2};

use super::beta::{last_where, regularised_beta};
use super::normal;

/// Degrees of freedom from which the expansion about the normal distribution is used: it is then off by less than 1e-12
/// (relative) up to a confidence of 0.9999.
const MANY: usize = 1000;

/// No quantile sought is larger; its square is still finite.
const LARGEST: f64 = 1e150;

/// Halvings of the range in which the quantile's angle lies: more than a double has bits.
const HALVINGS: usize = 64;

/// The `t` with `P(|T| ≤ t) = confidence`, where `T` has Student's distribution; `None` unless there is a degree of freedom and
/// `confidence` lies between 0 and 1.
pub(super) fn two_sided_quantile(degrees_of_freedom: usize, confidence: f64) -> Option<f64> {
    if degrees_of_freedom == 0 || !(confidence > 0.0 && confidence < 1.0) {
        return None;
    }
    if degrees_of_freedom >= MANY {
        let normal = normal::quantile(0.5 + confidence / 2.0);
        return Some(expand(normal, degrees_of_freedom as f64));
    }
    let (mut low, mut high) = (0.0, FRAC_PI_2);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if probability_within(degrees_of_freedom, middle) < confidence {
            low = middle;
        } else {
            high = middle;
        }
    }
    Some((degrees_of_freedom as f64).sqrt() * low.tan())
}

/// As [`two_sided_quantile`], for any positive number of degrees of freedom, whole or not.
pub(super) fn two_sided_quantile_real(degrees_of_freedom: f64, confidence: f64) -> Option<f64> {
    if !(degrees_of_freedom > 0.0 && confidence > 0.0 && confidence < 1.0) {
        return None;
    }
    if degrees_of_freedom >= MANY as f64 {
        let normal = normal::quantile(0.5 + confidence / 2.0);
        return Some(expand(normal, degrees_of_freedom));
    }
    Some(last_where(0.0, LARGEST, |t| two_sided_p(t, degrees_of_freedom) >= 1.0 - confidence))
}

/// `P(|T| ≥ |t|) = I_x(ν/2, ½)` with `x = ν / (ν + t²)` (Abramowitz and Stegun, 1964, 26.7.1), for ν > 0.
pub(super) fn two_sided_p(t: f64, degrees_of_freedom: f64) -> f64 {
    let square = t.abs().min(LARGEST).powi(2);
    let sum = degrees_of_freedom + square;
    regularised_beta(degrees_of_freedom / 2.0, 0.5, degrees_of_freedom / sum, square / sum)
}

/// `P(|T| ≤ √ν · tan θ)` for ν degrees of freedom, a finite sum since ν is whole (Abramowitz and Stegun, 1964, 26.7.3, 26.7.4).
fn probability_within(degrees_of_freedom: usize, angle: f64) -> f64 {
    let (sin, cos) = angle.sin_cos();
    let odd = degrees_of_freedom % 2;
    let mut term = if odd == 1 { cos } else { 1.0 };
    let mut sum = 0.0;
    for power in (odd..degrees_of_freedom - 1).step_by(2) {
        sum += term;
        term *= cos * cos * (power + 1) as f64 / (power + 2) as f64;
    }
    if odd == 1 { FRAC_2_PI * (angle + sin * sum) } else { sin * sum }
}

/// The t quantile for ν degrees of freedom to the normal quantile `z` of the same probability (Abramowitz and Stegun, 1964,
/// 26.7.5).
fn expand(z: f64, degrees_of_freedom: f64) -> f64 {
    let square = z * z;
    let terms = [
        (square + 1.0) / 4.0,
        ((5.0 * square + 16.0) * square + 3.0) / 96.0,
        (((3.0 * square + 19.0) * square + 17.0) * square - 15.0) / 384.0,
        ((((79.0 * square + 776.0) * square + 1482.0) * square - 1920.0) * square - 945.0) / 92160.0,
    ];
    z * terms.iter().rev().fold(0.0, |sum, term| (sum + term) / degrees_of_freedom) + z
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Known in closed form: tan(π/2 · c) for one degree of freedom, c·√(2 / (1 − c²)) for two.
    #[test]
    fn one_and_two_degrees_of_freedom() {
        for confidence in [1e-6, 0.01, 0.5, 0.95, 0.999, 0.99999] {
            let one = (FRAC_PI_2 * confidence).tan();
            let two = confidence * (2.0 / ((1.0 - confidence) * (1.0 + confidence))).sqrt();
            for (degrees_of_freedom, expected) in [(1, one), (2, two)] {
                let found = two_sided_quantile(degrees_of_freedom, confidence).expect("a quantile");
                let off = (found - expected).abs() / expected;
                assert!(off < 1e-9, "{degrees_of_freedom}, {confidence}: {found}, expected {expected}");
            }
        }
    }

    #[test]
    fn sum_and_expansion_meet() {
        for confidence in [0.001, 0.1, 0.5, 0.9, 0.95, 0.99, 0.999, 0.9999] {
            let quantile = |n| two_sided_quantile(n, confidence).expect("a quantile");
            let normal = normal::quantile(0.5 + confidence / 2.0);
            let off = (quantile(MANY - 1) - expand(normal, (MANY - 1) as f64)).abs() / normal;
            assert!(off < 1e-11, "{confidence}: {off:e}");
            let falling = [1, 2, 3, 10, 999, 1000, 1001, 1_000_000, usize::MAX].map(quantile);
            assert!(falling.is_sorted_by(|a, b| a >= b), "{confidence}: {falling:?}");
        }
    }

    /// The finite sum for whole numbers and the incomplete beta function are two ways to the same quantile.
    #[test]
    fn whole_and_real_degrees_of_freedom_agree() {
        for n in [1, 2, 3, 10, 101, 999, 1000, 100_000] {
            for confidence in [0.001, 0.5, 0.95, 0.9999] {
                let whole = two_sided_quantile(n, confidence).expect("a quantile");
                let real = two_sided_quantile_real(n as f64, confidence).expect("a quantile");
                assert!((whole / real - 1.0).abs() < 1e-11, "{n}, {confidence}: {whole}, {real}");
                let p = two_sided_p(-real, n as f64);
                assert!((p / (1.0 - confidence) - 1.0).abs() < 1e-9, "{n}, {confidence}: {p}");
            }
        }
        assert_eq!(two_sided_p(f64::INFINITY, 3.5), 0.0);
        assert_eq!(two_sided_p(0.0, 3.5), 1.0);
        assert_eq!(two_sided_quantile_real(0.0, 0.95), None);
        assert_eq!(two_sided_quantile_real(f64::NAN, 0.95), None);
    }

    #[derive(serde::Deserialize)]
    struct Golden {
        t_quantiles: Vec<Quantile>,
    }

    #[derive(serde::Deserialize)]
    struct Quantile {
        degrees_of_freedom: f64,
        confidence: f64,
        #[serde(rename = "quantile")]
        value: f64,
    }

    #[test]
    fn fractional_degrees_of_freedom_are_scipys() {
        let json = include_str!("../../../../fixtures/statistics/comparisons.json");
        let golden: Golden = serde_json::from_str(json).expect("the fixture is JSON");
        for entry in golden.t_quantiles {
            let found =
                two_sided_quantile_real(entry.degrees_of_freedom, entry.confidence).expect("a quantile");
            let off = (found / entry.value - 1.0).abs();
            assert!(off < 1e-11, "{}, {}: off by {off:e}", entry.degrees_of_freedom, entry.confidence);
        }
    }

    #[test]
    fn what_is_no_confidence_has_no_quantile() {
        for confidence in [0.0, 1.0, -0.5, 1.5, f64::NAN, f64::INFINITY] {
            assert_eq!(two_sided_quantile(5, confidence), None);
            assert_eq!(two_sided_quantile(5000, confidence), None);
        }
        assert_eq!(two_sided_quantile(0, 0.95), None);
    }
}

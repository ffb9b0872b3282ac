//! Binomial probabilities and the regularised incomplete beta function, right for large counts too.
//!
//! Sums and differences of `ln Γ` lose all digits there: `ln Γ(2⁴⁰)` is 3·10¹³, of which a double leaves 0.004. Loader's form
//! has no such large terms.

use std::f64::consts::TAU;

/// From here on, Stirling's series with five terms is off by less than 1e-15.
const STIRLING_FROM: f64 = 15.0;

/// `½ ln 2π`.
const HALF_LN_TAU: f64 = 0.918_938_533_204_672_7;

/// Steps of the continued fraction at most; it takes about √max(a, b).
const MOST_STEPS: u32 = 4_000_000;

/// `C(n, x) pˣ qⁿ⁻ˣ` with `q = 1 − p`, for real `0 ≤ x ≤ n` (Loader, "Fast and accurate computation of binomial probabilities",
/// 2000: `√(n / 2πx(n−x)) · exp(δ(n) − δ(x) − δ(n−x) − D(x; np) − D(n−x; nq))`).
pub(super) fn binomial_probability(x: f64, n: f64, p: f64, q: f64) -> f64 {
    let all =
        |chance: f64, other: f64| n * if chance < 0.5 { libm::log(chance) } else { libm::log1p(-other) };
    if n == 0.0 {
        1.0
    } else if x == 0.0 {
        libm::exp(all(q, p))
    } else if x == n {
        libm::exp(all(p, q))
    } else if p == 0.0 || q == 0.0 {
        0.0
    } else {
        let rest = n - x;
        let errors = stirling_error(n) - stirling_error(x) - stirling_error(rest);
        let exponent = errors - deviance(x, n * p) - deviance(rest, n * q);
        (n / (TAU * x * rest)).sqrt() * libm::exp(exponent)
    }
}

/// `δ(n) = ln n! − ln(√(2πn) (n/e)ⁿ)`, by its definition where that loses nothing, else by Stirling's series (Abramowitz and
/// Stegun, 1964, 6.1.41).
fn stirling_error(n: f64) -> f64 {
    if n < STIRLING_FROM {
        return libm::lgamma(n + 1.0) - (n + 0.5) * libm::log(n) + n - HALF_LN_TAU;
    }
    let square = 1.0 / (n * n);
    let terms = [1.0 / 12.0, -1.0 / 360.0, 1.0 / 1260.0, -1.0 / 1680.0, 1.0 / 1188.0];
    terms.iter().rev().fold(0.0, |sum, term| sum * square + term) / n
}

/// `D(x; m) = x ln(x/m) + m − x`, by a series where x is close to m (Loader, 2000): with `v = (x − m)/(x + m)`,
/// `(x − m)v + 2x(v³/3 + v⁵/5 + …)`.
fn deviance(x: f64, mean: f64) -> f64 {
    let v = (x - mean) / (x + mean);
    if v.abs() >= 0.1 {
        return x * libm::log(x / mean) + mean - x;
    }
    let mut sum = (x - mean) * v;
    let mut power = 2.0 * x * v;
    for odd in (3..).step_by(2) {
        power *= v * v;
        let next = sum + power / f64::from(odd);
        if next == sum {
            break;
        }
        sum = next;
    }
    sum
}

/// `I_x(a, b)`, the regularised incomplete beta function, for positive `a`, `b` and `y = 1 − x` (both are taken so that neither
/// is rounded); its complement is `I_y(b, a)`.
///
/// Continued fraction DLMF 8.17.22, evaluated by Lentz's method, on the side of the mean where it converges fast.
pub(super) fn regularised_beta(a: f64, b: f64, x: f64, y: f64) -> f64 {
    if x <= 0.0 {
        0.0
    } else if y <= 0.0 {
        1.0
    } else if x > (a + 1.0) / (a + b + 2.0) {
        1.0 - regularised_beta_left(b, a, y, x)
    } else {
        regularised_beta_left(a, b, x, y)
    }
}

/// [`regularised_beta`] for x left of about the mean.
fn regularised_beta_left(a: f64, b: f64, x: f64, y: f64) -> f64 {
    // x^a y^b / (a B(a, b)).
    let front = binomial_probability(a, a + b, x, y) * b / (a + b);
    let away_from_zero = |value: f64| if value.abs() < 1e-300 { 1e-300 } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / away_from_zero(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = d;
    for step in 1..=MOST_STEPS {
        let m = f64::from(step);
        let at = a + 2.0 * m;
        let even = m * (b - m) * x / ((at - 1.0) * at);
        let odd = -(a + m) * (a + b + m) * x / (at * (at + 1.0));
        let mut change = 1.0;
        for coefficient in [even, odd] {
            d = 1.0 / away_from_zero(1.0 + coefficient * d);
            c = away_from_zero(1.0 + coefficient / c);
            change = c * d;
            fraction *= change;
        }
        if (change - 1.0).abs() <= f64::EPSILON {
            break;
        }
    }
    front * fraction
}

/// The largest double of `low..high` at which `holds`, which must hold at `low` and, once it does not, never again. Neither
/// bound may be negative. The bit patterns are halved, so that small numbers are found as precisely as large ones.
pub(super) fn last_where(low: f64, high: f64, holds: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (low.to_bits(), high.to_bits());
    while high - low > 1 {
        let middle = u64::midpoint(low, high);
        if holds(f64::from_bits(middle)) {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::from_bits(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_close(found: f64, expected: f64, tolerance: f64, what: &str) {
        // Below that, a double has fewer digits.
        let off = (found - expected).abs() / expected.max(1e-290);
        assert!(off <= tolerance, "{what}: {found:e}, expected {expected:e}, off by {off:e}");
    }

    /// Against products of small whole numbers, which a double holds exactly.
    #[test]
    fn binomial_probabilities_by_hand() {
        for n in 0..30u32 {
            let mut ways = 1f64;
            for x in 0..=n {
                for p in [0.0, 1e-12, 0.25, 0.5, 0.875, 1.0] {
                    let expected = ways * f64::powi(p, x as i32) * f64::powi(1.0 - p, (n - x) as i32);
                    let found = binomial_probability(x.into(), n.into(), p, 1.0 - p);
                    assert_close(found, expected, 2e-13, &format!("{x} of {n}, {p}"));
                }
                ways = ways * f64::from(n - x) / f64::from(x + 1);
            }
        }
    }

    /// The sum of binomial tails that the function stands for, and closed forms.
    #[test]
    fn incomplete_beta_is_a_binomial_tail() {
        for n in [1u32, 2, 7, 40] {
            for k in 1..=n {
                for p in [1e-9, 0.1, 0.5, 0.9] {
                    let expected: f64 =
                        (k..=n).map(|x| binomial_probability(x.into(), n.into(), p, 1.0 - p)).sum();
                    let found = regularised_beta(k.into(), (n - k + 1).into(), p, 1.0 - p);
                    assert_close(found, expected, 1e-12, &format!("{k} of {n}, {p}"));
                }
            }
        }
        // I_x(1, b) = 1 − (1 − x)^b and I_x(a, 1) = x^a, for large parameters too.
        for b in [0.5f64, 3.0, 1e3, 1e6, 1e9] {
            let x = 1.0 / b.max(2.0);
            let expected = -libm::expm1(b * libm::log1p(-x));
            assert_close(regularised_beta(1.0, b, x, 1.0 - x), expected, 1e-13, "first parameter 1");
            assert_close(regularised_beta(b, 1.0, 1.0 - x, x), 1.0 - expected, 1e-13, "second parameter 1");
        }
        // Symmetric: one half in the middle, where the fraction takes most steps and each is rounded.
        for a in [0.5, 1.0, 77.0, 1e6, 1e10f64] {
            let tolerance = 1e-13 + 1e-15 * a.sqrt();
            assert_close(regularised_beta(a, a, 0.5, 0.5), 0.5, tolerance, "symmetric");
        }
    }

    #[test]
    fn last_where_finds_the_very_double() {
        for wanted in [0.0, 1e-310, 1e-12, 0.3, 0.999_999_999] {
            assert_eq!(last_where(0.0, 1.0, |x| x <= wanted), wanted);
        }
    }
}

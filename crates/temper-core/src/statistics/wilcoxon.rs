//! Wilcoxon's signed-rank test.

use serde::Serialize;

use super::normal;

/// Differences up to which the distribution of ranks is enumerated; 2⁵⁰ sums are counted exactly in a double.
const EXACT_UP_TO: usize = 50;

/// Absolute differences count as equal if they are no further apart than this times the size of the paired values: fractions
/// such as 0.91 − 0.90 and 0.81 − 0.80 are equal but for rounding.
const ROUNDING: f64 = 8.0 * f64::EPSILON;

/// Of what distribution a p-value was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NullDistribution {
    /// All signs of the ranks, equally likely.
    Exact,
    /// The normal approximation with the variance corrected for ties, without continuity correction.
    Normal,
}

/// Wilcoxon's test of whether paired differences lie symmetrically about 0 ("Individual comparisons by ranking methods",
/// *Biometrics Bulletin* 1, 1945).
///
/// Differences of 0 are dropped, as Wilcoxon did; equal ones get the mean of their ranks. The p-value is exact for up to 50
/// differences without ties or zeros, else from the normal approximation (Hollander and Wolfe, *Nonparametric Statistical
/// Methods*, 2nd ed., 1999, §3.1), which is rough below about ten differences.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SignedRank {
    /// Differences other than 0.
    pub differences: usize,
    /// Differences of 0.
    pub zeros: usize,
    /// Sum of the ranks of positive differences, W⁺.
    pub positive_ranks: f64,
    /// Sum of the ranks of negative differences, W⁻.
    pub negative_ranks: f64,
    /// Two-sided p-value; 1 if all differences are 0.
    pub p_value: f64,
    /// The distribution it was taken of.
    pub distribution: NullDistribution,
}

/// The test for pairs of finite values, first minus second.
pub(super) fn signed_rank(pairs: impl Iterator<Item = (f64, f64)>) -> SignedRank {
    let (mut differences, mut zeros, mut scale) = (Vec::new(), 0, 0f64);
    for (first, second) in pairs {
        scale = scale.max(first.abs()).max(second.abs());
        if first == second {
            zeros += 1;
        } else {
            differences.push(first - second);
        }
    }
    differences.sort_unstable_by(|a, b| a.abs().total_cmp(&b.abs()));
    let equal = |pair: &[f64]| pair[1].abs() - pair[0].abs() <= ROUNDING * scale;
    let (mut positive_ranks, mut negative_ranks) = (0.0, 0.0);
    let (mut before, mut tie_term) = (0, 0.0);
    for group in differences.chunk_by(|a, b| equal(&[*a, *b])) {
        let size = group.len();
        let rank = before as f64 + (size + 1) as f64 / 2.0;
        let positive = group.iter().filter(|difference| **difference > 0.0).count();
        positive_ranks += rank * positive as f64;
        negative_ranks += rank * (size - positive) as f64;
        tie_term += (size as f64).powi(3) - size as f64;
        before += size;
    }
    let n = differences.len();
    let smaller = f64::min(positive_ranks, negative_ranks);
    let (p_value, distribution) = if n == 0 || n <= EXACT_UP_TO && zeros == 0 && tie_term == 0.0 {
        (exact_p(n, smaller), NullDistribution::Exact)
    } else {
        (normal_p(n, smaller, tie_term), NullDistribution::Normal)
    };
    SignedRank { differences: n, zeros, positive_ranks, negative_ranks, p_value, distribution }
}

/// Twice the chance of a rank sum of at most `smaller`: among all 2ⁿ sets of the ranks 1..=n, counted by their sums.
fn exact_p(n: usize, smaller: f64) -> f64 {
    let most = n * (n + 1) / 2;
    let mut sets = vec![0.0; most + 1];
    sets[0] = 1.0;
    for rank in 1..=n {
        for sum in (rank..=most).rev() {
            sets[sum] += sets[sum - rank];
        }
    }
    let below: f64 = sets[..=smaller as usize].iter().sum();
    (2.0 * below / f64::powi(2.0, n as i32)).min(1.0)
}

/// The normal approximation: mean n(n+1)/4, variance n(n+1)(2n+1)/24 − Σ(t³ − t)/48 over groups of t ties.
fn normal_p(n: usize, smaller: f64, tie_term: f64) -> f64 {
    let n = n as f64;
    let variance = n * (n + 1.0) * (2.0 * n + 1.0) / 24.0 - tie_term / 48.0;
    normal::two_sided_p((smaller - n * (n + 1.0) / 4.0) / variance.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(differences: &[f64]) -> SignedRank {
        signed_rank(differences.iter().map(|&difference| (difference, 0.0)))
    }

    /// All signs of up to ten ranks: the p-value is the share of signs whose smaller sum is no larger.
    #[test]
    fn exact_is_counting() {
        for n in 0..=10u32 {
            let smaller_sum = |signs: u32| {
                let positive: u32 = (0..n).filter(|i| signs >> i & 1 == 1).map(|i| i + 1).sum();
                positive.min(n * (n + 1) / 2 - positive)
            };
            for signs in 0..1u32 << n {
                let sign = |i| if signs >> i & 1 == 1 { 1.0 } else { -1.0 };
                let differences: Vec<f64> = (0..n).map(|i| sign(i) * f64::from(i + 1)).collect();
                let found = test(&differences);
                let as_extreme =
                    (0..1u32 << n).filter(|&other| smaller_sum(other) <= smaller_sum(signs)).count();
                let expected = as_extreme as f64 / f64::from(1u32 << n);
                assert_eq!(
                    (found.p_value, found.distribution),
                    (expected, NullDistribution::Exact),
                    "{differences:?}"
                );
                assert_eq!(found.positive_ranks + found.negative_ranks, f64::from(n * (n + 1) / 2));
            }
        }
    }

    #[test]
    fn zeros_are_dropped_and_ties_share_ranks() {
        let found = test(&[0.0, 2.0, -2.0, 0.0, 5.0, 1.0]);
        assert_eq!((found.differences, found.zeros), (4, 2));
        assert_eq!((found.positive_ranks, found.negative_ranks), (1.0 + 2.5 + 4.0, 2.5));
        assert_eq!(found.distribution, NullDistribution::Normal);
        // z = (2.5 − 5) / √(7.5 − 6/48).
        assert!((found.p_value - normal::two_sided_p(-2.5 / 7.375f64.sqrt())).abs() < 1e-15);
        let none = test(&[0.0; 4]);
        assert_eq!((none.zeros, none.p_value, none.distribution), (4, 1.0, NullDistribution::Exact));
    }

    #[test]
    fn differences_equal_but_for_rounding_are_ties() {
        let pairs = [(0.91, 0.90), (0.81, 0.80), (0.20, 0.21), (0.5, 0.1)];
        let found = signed_rank(pairs.into_iter());
        assert_eq!((found.positive_ranks, found.negative_ranks), (2.0 + 2.0 + 4.0, 2.0));
    }
}

//! The bootstrap interval of a mean.

use rand::{Rng, RngExt};
use rand_distr::{Binomial, Distribution};

use super::{normal, quantiles};

/// Resamples that are enough for a 95 % interval: bounds of `BCa` intervals from 2 000 resamples vary little more than the
/// sample itself makes them vary (Efron and Tibshirani, *An Introduction to the Bootstrap*, 1993, ch. 14 and 19).
pub const RESAMPLES: usize = 2_000;

/// The bias-corrected and accelerated (`BCa`) bootstrap interval of the mean of independent draws.
///
/// Efron, "Better bootstrap confidence intervals", *JASA* 82, 1987; Efron and Tibshirani, 1993, ch. 14.
/// The bounds are the sample quantiles (type 7) of the resampled means at `Φ(z₀ + (z₀ + z) / (1 − a (z₀ + z)))`, where z is
/// `±Φ⁻¹((1 + confidence) / 2)`. The bias correction `z₀` is Φ⁻¹ of the share of resampled means below the mean, those equal to it
/// (but for rounding) counted half, and at least half a resample from 0 and 1. The acceleration is that of the jackknife, for a
/// mean
/// `a = Σd³ / 6(Σd²)^1.5` with the deviations d from it.
///
/// Resamples are drawn from `rng`: the same stream gives the same interval. Of many draws of few values, how often a resample holds
/// each of these is drawn (multinomial), so that they cost no more than few draws. Equal draws have the point as their interval; it
/// knows nothing of outcomes that have not been drawn. `None` if there are fewer than two draws or one is not finite, if there is no
/// resample, or if the confidence level does not lie between 0 and 1.
pub fn bca_interval(
    draws: &[f64],
    confidence: f64,
    resamples: usize,
    rng: &mut impl Rng,
) -> Option<(f64, f64)> {
    let n = draws.len();
    let valid = n > 1 && resamples > 0 && confidence > 0.0 && confidence < 1.0;
    if !valid || draws.iter().any(|draw| !draw.is_finite()) {
        return None;
    }
    if draws.iter().all(|draw| *draw == draws[0]) {
        return Some((draws[0], draws[0]));
    }
    let mean = draws.iter().sum::<f64>() / n as f64;
    let deviations: Vec<f64> = draws.iter().map(|draw| draw - mean).collect();
    let values = distinct(&deviations);
    let mut sums: Vec<f64> = if values.len() * COUNT_COST < n {
        (0..resamples).map(|_| resampled_sum(&values, n as u64, rng)).collect()
    } else {
        (0..resamples).map(|_| (0..n).map(|_| deviations[rng.random_range(0..n)]).sum()).collect()
    };
    sums.sort_unstable_by(f64::total_cmp);
    let bias = bias_correction(&sums, &deviations);
    let acceleration = acceleration(&deviations);
    let z = normal::quantile(0.5 + confidence / 2.0);
    let bound = |z: f64| {
        mean + quantiles::of_sorted(&sums, adjusted_probability(bias + z, bias, acceleration)) / n as f64
    };
    Some((bound(-z), bound(z)))
}

/// How many times as long it takes to draw how often a value is in a resample as to draw one value of it.
const COUNT_COST: usize = 8;

/// A value that draws have.
struct Value {
    value: f64,
    /// The share of the draws that have it, among those that have it or a larger one.
    share: f64,
}

/// The distinct values of some draws, ascending.
fn distinct(draws: &[f64]) -> Vec<Value> {
    let mut sorted = draws.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let mut left = sorted.len();
    let runs = sorted.chunk_by(|a, b| a == b);
    runs.map(|run| {
        let share = run.len() as f64 / left as f64;
        left -= run.len();
        Value { value: run[0], share }
    })
    .collect()
}

/// The sum of `n` draws with replacement. How often each value is among them is binomial, given how often the smaller ones are.
fn resampled_sum(values: &[Value], n: u64, rng: &mut impl Rng) -> f64 {
    let (mut left, mut sum) = (n, 0.0);
    for Value { value, share } in values {
        // The last one's share is 1: it takes what is left.
        let times = Binomial::new(left, *share).expect("a share is at most 1").sample(rng);
        sum += value * times as f64;
        left -= times;
    }
    sum
}

/// `Φ(z₀ + s / (1 − a s))` of the shifted quantile `s = z₀ + z`; where the fraction has passed its pole, the end it went to.
fn adjusted_probability(shifted: f64, bias: f64, acceleration: f64) -> f64 {
    let denominator = 1.0 - acceleration * shifted;
    if denominator > 0.0 {
        normal::cdf(bias + shifted / denominator)
    } else if shifted > 0.0 {
        1.0
    } else {
        0.0
    }
}

/// `z₀` from sorted sums of resampled deviations, whose own sum is 0 up to rounding.
fn bias_correction(sums: &[f64], deviations: &[f64]) -> f64 {
    let largest = deviations.iter().fold(0.0, |largest: f64, deviation| largest.max(deviation.abs()));
    let rounding = f64::EPSILON * largest * deviations.len() as f64;
    let below = sums.partition_point(|sum| *sum < -rounding);
    let not_above = sums.partition_point(|sum| *sum <= rounding);
    let count = (below + not_above) as f64 / 2.0;
    let all = sums.len() as f64;
    normal::quantile(count.clamp(0.5, all - 0.5) / all)
}

/// The jackknife's acceleration of a mean.
fn acceleration(deviations: &[f64]) -> f64 {
    // Scaled, so that neither power under- or overflows.
    let scale = deviations.iter().fold(0.0, |scale: f64, deviation| scale.max(deviation.abs()));
    let power = |exponent| deviations.iter().map(|deviation| (deviation / scale).powi(exponent)).sum::<f64>();
    power(3) / (6.0 * power(2).powf(1.5))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::trial_stream;

    fn interval(draws: &[f64], resamples: usize) -> Option<(f64, f64)> {
        bca_interval(draws, 0.95, resamples, &mut trial_stream(1, 0))
    }

    #[test]
    fn acceleration_by_hand() {
        // Deviations −1, −1, 2: 6 / (6 · 6^1.5).
        assert!((acceleration(&[-1.0, -1.0, 2.0]) - 6f64.powf(-1.5)).abs() < 1e-16);
        assert!((acceleration(&[-1e-200, -1e-200, 2e-200]) - 6f64.powf(-1.5)).abs() < 1e-16);
        assert_eq!(acceleration(&[-2.0, -1.0, 1.0, 2.0]), 0.0);
    }

    #[test]
    fn ties_count_half_in_the_bias() {
        let bias = |sums: &[f64]| bias_correction(sums, &[-0.1, 0.1]);
        assert_eq!(bias(&[-0.1, 0.0, 0.0, 0.1]), 0.0);
        assert_eq!(bias(&[-0.1, -1e-17, 1e-17, 0.1]), 0.0);
        // Two of four below: Φ⁻¹(½ + ½ · ¼).
        assert!((bias(&[-0.1, -0.1, 0.0, 0.1]) - normal::quantile(0.625)).abs() < 1e-15);
        assert!(bias(&[0.1; 4]).is_finite() && bias(&[-0.1; 4]).is_finite());
    }

    #[test]
    fn beyond_the_pole_is_the_end() {
        assert_eq!(adjusted_probability(10.0, 0.0, 0.2), 1.0);
        assert_eq!(adjusted_probability(-10.0, 0.0, -0.2), 0.0);
        assert!((adjusted_probability(1.0, 0.5, 0.1) - normal::cdf(0.5 + 1.0 / 0.9)).abs() < 1e-16);
    }

    #[test]
    fn one_draw_and_equal_draws() {
        assert_eq!(interval(&[], 100), None);
        assert_eq!(interval(&[0.5], 100), None);
        assert_eq!(interval(&[0.1; 7], 100), Some((0.1, 0.1)));
        assert_eq!(interval(&[0.1, f64::NAN], 100), None);
        assert_eq!(interval(&[0.1, 0.2], 0), None);
        for confidence in [0.0, 1.0, f64::NAN] {
            assert_eq!(bca_interval(&[0.1, 0.2], confidence, 100, &mut trial_stream(1, 0)), None);
        }
        let (low, high) = interval(&[0.1, 0.2], 1).expect("two draws");
        assert!((0.1..=0.2).contains(&low) && low == high);
    }

    #[test]
    fn resamples_hold_each_value_as_often_as_drawing_it_would() {
        let draws = [3.0, 1.0, 3.0, 0.25, 3.0, 1.0];
        let values = distinct(&draws);
        let shares: Vec<(f64, f64)> = values.iter().map(|value| (value.value, value.share)).collect();
        assert_eq!(shares, [(0.25, 1.0 / 6.0), (1.0, 2.0 / 5.0), (3.0, 1.0)]);
        // Sums of six draws: mean 6 · 11.25 / 6, variance 6 · (29.0625 / 6 − (11.25 / 6)²).
        let (count, mut stream) = (40_000, trial_stream(5, 0));
        let sums: Vec<f64> = (0..count).map(|_| resampled_sum(&values, 6, &mut stream)).collect();
        let mean = sums.iter().sum::<f64>() / f64::from(count);
        let variance = sums.iter().map(|sum| (sum - mean).powi(2)).sum::<f64>() / f64::from(count);
        let expected = 29.0625 - 11.25 * 11.25 / 6.0;
        // Four standard errors; the sums' fourth central moment is that of a normal distribution but for 15 %.
        assert!((mean - 11.25).abs() < 4.0 * (expected / f64::from(count)).sqrt(), "{mean}");
        let error = expected * (2.3 / f64::from(count)).sqrt();
        assert!((variance - expected).abs() < 4.0 * error, "{variance}, expected {expected}");
    }

    /// Within the range of the draws, about their mean, the same for the same stream, and the mirror image for mirrored draws.
    #[test]
    fn skewed_draws_have_a_skewed_interval() {
        let draws = [0.9, 0.91, 0.9, 0.89, 0.9, 0.2, 0.9, 0.91, 0.5, 0.88];
        let mean = draws.iter().sum::<f64>() / 10.0;
        let (low, high) = interval(&draws, RESAMPLES).expect("ten draws");
        assert_eq!(interval(&draws, RESAMPLES), Some((low, high)));
        assert!(0.2 < low && low < mean && mean < high && high < 0.91, "{low}, {high}");
        assert!(mean - low > 1.5 * (high - mean), "{low}, {high}");
        let mirrored = interval(&draws.map(|draw| -draw), RESAMPLES).expect("ten draws");
        assert!((mirrored.0 + high).abs() < 1e-12 && (mirrored.1 + low).abs() < 1e-12, "{mirrored:?}");
    }

    /// Ten draws repeated a hundred times are resampled by counts; the same with a hair between them one by one.
    #[test]
    fn both_ways_to_resample_give_the_same_interval_but_for_chance() {
        let value = |i: usize| [0.9, 0.91, 0.9, 0.89, 0.9, 0.2, 0.9, 0.91, 0.5, 0.88][i % 10];
        let few: Vec<f64> = (0..1000).map(value).collect();
        let many: Vec<f64> = (0..1000).map(|i| value(i) + i as f64 * 1e-12).collect();
        let [(low, high), other] = [&few, &many].map(|draws| interval(draws, 20_000).expect("draws"));
        // A bound from 20 000 resamples has a standard error of about a hundredth of the width.
        let tolerance = 0.05 * (high - low);
        assert!(
            (low - other.0).abs() < tolerance && (high - other.1).abs() < tolerance,
            "{low}, {high}, {other:?}"
        );
    }
}

//! The t interval against SciPy's (`fixtures/statistics`), at its edges, and in simulation.

pub mod support;

use rand::RngExt;
use serde::Deserialize;
use temper_core::fault::trial_stream;
use temper_core::statistics::{Estimate, t_interval};

#[derive(Deserialize)]
struct Golden {
    t_intervals: Vec<Sample>,
    t_quantiles: Vec<Quantile>,
}

#[derive(Deserialize)]
struct Sample {
    values: Vec<f64>,
    mean: f64,
    sd: f64,
    intervals: Vec<Interval>,
}

#[derive(Deserialize)]
struct Interval {
    confidence: f64,
    low: f64,
    high: f64,
}

#[derive(Deserialize)]
struct Quantile {
    degrees_of_freedom: usize,
    probability: f64,
    #[serde(rename = "quantile")]
    value: f64,
}

fn golden() -> Golden {
    let json = std::fs::read(support::fixture("statistics/t_interval.json")).expect("the fixture exists");
    serde_json::from_slice(&json).expect("the fixture is JSON")
}

fn estimate(draws: &[f64], confidence: f64) -> Estimate {
    t_interval(draws, confidence).expect("there are draws")
}

/// Relative difference.
fn difference(found: f64, expected: f64) -> f64 {
    (found - expected).abs() / expected.abs()
}

#[test]
fn intervals_are_scipys() {
    let mut worst = [0f64; 2];
    for Sample { values, mean, sd, intervals } in golden().t_intervals {
        for Interval { confidence, low, high } in intervals {
            let found = estimate(&values, confidence);
            assert_eq!((found.draws, found.confidence), (values.len(), confidence));
            let std = found.std.expect("several draws");
            assert!(difference(found.mean, mean) < 1e-14 && difference(std, sd) < 1e-13, "{found:?}");
            let (found_low, found_high) = found.interval.expect("several draws");
            worst[0] = worst[0].max(difference(found_low, low)).max(difference(found_high, high));
            // The width alone, which the mean does not hide.
            worst[1] = worst[1].max(difference(found_high - found_low, high - low));
            assert_eq!(found.min, values.iter().copied().fold(f64::NAN, f64::min));
            assert_eq!(found.max, values.iter().copied().fold(f64::NAN, f64::max));
        }
    }
    println!("bounds off by {:.1e}, widths by {:.1e}", worst[0], worst[1]);
    assert!(worst[0] < 1e-13 && worst[1] < 1e-11, "{worst:?}");
}

/// Draws of mean 0 whose half-width is the quantile: √n·(1, −1, 1, −1, …) scaled to a standard deviation of √n.
fn half_width(n: usize, confidence: f64) -> f64 {
    let mut draws: Vec<f64> = (0..n).map(|i| if i % 2 == 0 { 1.0 } else { -1.0 }).collect();
    if n % 2 == 1 {
        draws[n - 1] = 0.0;
    }
    let sum_of_squares = (n - n % 2) as f64;
    let scale = (n as f64 * (n - 1) as f64 / sum_of_squares).sqrt();
    for draw in &mut draws {
        *draw *= scale;
    }
    estimate(&draws, confidence).interval.expect("several draws").1
}

#[test]
fn quantiles_are_scipys() {
    let mut worst = 0f64;
    let mut checked = 0;
    for Quantile { degrees_of_freedom, probability, value } in golden().t_quantiles {
        if probability <= 0.5 {
            continue;
        }
        let found = half_width(degrees_of_freedom + 1, 2.0 * probability - 1.0);
        let off = difference(found, value);
        worst = worst.max(off);
        checked += 1;
    }
    println!("{checked} quantiles off by {worst:.1e}");
    assert!(checked > 100 && worst < 1e-11, "{worst:e}");
}

#[test]
fn few_or_equal_draws_are_no_trap() {
    assert_eq!(t_interval(&[], 0.95), None);
    let one = estimate(&[0.25], 0.95);
    assert_eq!((one.draws, one.mean, one.min, one.max), (1, 0.25, 0.25, 0.25));
    assert_eq!((one.std, one.interval), (None, None));
    for n in [2, 3, 1000] {
        let equal = estimate(&vec![0.5; n], 0.95);
        assert_eq!((equal.mean, equal.std, equal.interval), (0.5, Some(0.0), Some((0.5, 0.5))));
    }
    // Where the mean is rounded, no more than that is left.
    let equal = estimate(&[0.1; 3], 0.95);
    assert!(equal.std.is_some_and(|std| std < 1e-16) && (equal.mean - 0.1).abs() < 1e-16, "{equal:?}");
    // The interval is not cut at 0 or 1.
    let (low, high) = estimate(&[0.0, 1.0], 0.95).interval.expect("two draws");
    assert!(low < -5.0 && high > 6.0);
    for confidence in [0.0, 1.0, -1.0, 2.0, f64::NAN] {
        assert_eq!(estimate(&[0.0, 1.0], confidence).interval, None);
    }
    // The wider the surer; symmetric about the mean.
    let widths = [0.5, 0.9, 0.95, 0.99, 0.999].map(|confidence| {
        let estimate = estimate(&[0.1, 0.4, 0.2], confidence);
        let (low, high) = estimate.interval.expect("three draws");
        assert!((low + high - 2.0 * estimate.mean).abs() < 1e-12);
        high - low
    });
    assert!(widths.is_sorted(), "{widths:?}");
}

/// Normal draws by the method of Box and Muller (1958).
fn normal(rng: &mut impl rand::Rng) -> f64 {
    let (radius, angle): (f64, f64) = (rng.random(), rng.random());
    (-2.0 * (1.0 - radius).ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}

#[test]
fn intervals_cover_the_mean_as_often_as_they_say() {
    const REPETITIONS: u32 = 20_000;
    for (stream, (n, confidence)) in
        [(2, 0.95), (3, 0.95), (10, 0.95), (30, 0.95), (5, 0.5), (5, 0.99)].into_iter().enumerate()
    {
        let mut rng = trial_stream(2024, stream as u64);
        let covers = |_: &u32| {
            let draws: Vec<f64> = (0..n).map(|_| 0.9 + 0.01 * normal(&mut rng)).collect();
            let (low, high) = estimate(&draws, confidence).interval.expect("several draws");
            low <= 0.9 && 0.9 <= high
        };
        let covered = (0..REPETITIONS).filter(covers).count() as f64 / f64::from(REPETITIONS);
        let standard_error = (confidence * (1.0 - confidence) / f64::from(REPETITIONS)).sqrt();
        let off = (covered - confidence) / standard_error;
        println!("n = {n}: covered {covered:.4} for {confidence}, {off:.2} standard errors off");
        assert!(off.abs() < 3.0, "n = {n}: {covered} for {confidence}");
    }
}

//! How often intervals cover what they estimate: by adding up probabilities where there are few outcomes, else in simulation
//! with fixed seeds. The figures printed stand in `docs/statistics.md`.

pub mod populations;

use std::ops::RangeInclusive;

use populations::{Population, assert_coverage, covers};
use rand::seq::index;
use rand::{Rng, RngExt};
use temper_core::fault::trial_stream;
use temper_core::statistics::{
    FitPart, Proportion, Stratum, bca_interval, fit_total, stratified_mean, t_interval,
};

/// `ln C(n, k)`, by its definition.
fn ln_choose(n: u64, k: u64) -> f64 {
    (1..=k).map(|i| ((n - k + i) as f64 / i as f64).ln()).sum()
}

/// Coverage at each share of a list, without chance: the probability of the outcomes whose interval covers it. Gives the mean
/// and the least over the shares.
fn coverage(
    found: &[Proportion],
    interval: fn(&Proportion) -> (f64, f64),
    shares: &[(f64, Vec<f64>)],
) -> (f64, f64) {
    let at = |(share, chances): &(f64, Vec<f64>)| -> f64 {
        let outcomes = found.iter().zip(chances);
        outcomes.filter(|(found, _)| covers(interval(found), *share)).map(|(_, chance)| chance).sum()
    };
    let each: Vec<f64> = shares.iter().map(at).collect();
    (each.iter().sum::<f64>() / each.len() as f64, each.iter().copied().fold(1.0, f64::min))
}

fn intervals(n: u64, population: Option<u64>) -> Vec<Proportion> {
    (0..=n).map(|k| Proportion::new(k, n, 0.95, population).expect("valid")).collect()
}

#[test]
fn shares_of_independent_trials() {
    for n in [20, 100] {
        let binomial = |share: f64| -> Vec<f64> {
            let ln = |k| ln_choose(n, k) + k as f64 * share.ln() + (n - k) as f64 * (-share).ln_1p();
            (0..=n).map(|k| ln(k).exp()).collect()
        };
        let shares: Vec<_> =
            (1..1000).map(|step| f64::from(step) / 1000.0).map(|share| (share, binomial(share))).collect();
        let found = intervals(n, None);
        let wilson = coverage(&found, |found| found.wilson, &shares);
        let exact = coverage(&found, |found| found.clopper_pearson, &shares);
        println!("n = {n}, mean and least coverage: Wilson {wilson:.4?}, Clopper-Pearson {exact:.4?}");
        assert!((wilson.0 - 0.95).abs() < 0.01 && wilson.1 > 0.8, "{wilson:?}");
        assert!(exact.0 > 0.955 && exact.1 >= 0.95, "{exact:?}");
    }
}

/// Half a population drawn without replacement, at every number of marked units; and what ignoring the population would cost.
#[test]
fn shares_of_a_finite_population() {
    let (n, population) = (100, 200);
    let hypergeometric = |marked: u64| -> Vec<f64> {
        let possible = |k: &u64| *k <= marked && n - k <= population - marked;
        let ln = |k| ln_choose(marked, k) + ln_choose(population - marked, n - k) - ln_choose(population, n);
        (0..=n).map(|k| if possible(&k) { ln(k).exp() } else { 0.0 }).collect()
    };
    let shares: Vec<_> =
        (0..=population).map(|marked| (marked as f64 / population as f64, hypergeometric(marked))).collect();
    let (found, uncorrected) = (intervals(n, Some(population)), intervals(n, None));
    let wilson = coverage(&found, |found| found.wilson, &shares);
    let exact = coverage(&found, |found| found.clopper_pearson, &shares);
    let without = coverage(&uncorrected, |found| found.wilson, &shares);
    println!("{n} of {population}, mean and least coverage: Wilson {wilson:.4?}, exact {exact:.4?}");
    println!("Wilson without the correction: {without:.4?}");
    assert!((wilson.0 - 0.95).abs() < 0.015 && wilson.1 > 0.8, "{wilson:?}");
    assert!(exact.0 > 0.955 && exact.1 >= 0.95, "{exact:?}");
    assert!(without.0 > 0.98, "{without:?}");
}

/// Coverages that must come out between bounds: t, then `BCa`.
type Expected = [RangeInclusive<f64>; 2];

/// At the level for normal draws (t always, `BCa` with many), below it for skewed ones, far below where many samples hold no
/// ruined chip.
#[test]
fn means() {
    let cases: [(Population, usize, Expected); 7] = [
        (Population::Normal, 10, [0.95..=0.95, 0.88..=0.93]),
        (Population::Normal, 50, [0.95..=0.95, 0.93..=0.95]),
        (Population::Skewed, 10, [0.89..=0.94, 0.88..=0.93]),
        (Population::Skewed, 50, [0.93..=0.95, 0.93..=0.95]),
        (Population::Mixture { ruined: 0.1 }, 10, [0.55..=0.7, 0.55..=0.75]),
        (Population::Mixture { ruined: 0.1 }, 50, [0.85..=0.95, 0.9..=0.97]),
        (Population::Mixture { ruined: 0.02 }, 50, [0.55..=0.7, 0.55..=0.7]),
    ];
    for (stream, (population, n, [t, bca])) in (0u64..).zip(cases) {
        let draws = |repetition: u64| -> Vec<f64> {
            let mut rng = trial_stream(100 + stream, repetition);
            (0..n).map(|_| population.draw(&mut rng)).collect()
        };
        assert_coverage(&format!("t, {population:?}, n = {n}"), 10_000, t, |repetition| {
            let found = t_interval(&draws(repetition), 0.95).expect("draws");
            covers(found.interval.expect("several draws"), population.mean())
        });
        assert_coverage(&format!("BCa, {population:?}, n = {n}"), 1_000, bca, |repetition| {
            let mut rng = trial_stream(200 + stream, repetition);
            let found = bca_interval(&draws(repetition), 0.95, 1_000, &mut rng);
            covers(found.expect("several draws"), population.mean())
        });
    }
}

/// Three layers of different sizes, means and spreads, sampled without replacement and not in proportion; one of them is drawn
/// whole.
#[test]
fn strata() {
    let mut rng = trial_stream(300, 0);
    let layers: Vec<(Vec<f64>, usize)> = [(60, 0.9, 0.05, 30), (300, 0.6, 0.3, 20), (10, 0.2, 0.1, 10)]
        .into_iter()
        .map(|(size, centre, spread, draws)| {
            let values = (0..size).map(|_| centre + spread * (rng.random::<f64>() - 0.5)).collect();
            (values, draws)
        })
        .collect();
    let all: Vec<f64> = layers.iter().flat_map(|(values, _)| values.clone()).collect();
    let truth = all.iter().sum::<f64>() / all.len() as f64;
    let mut sums = (0.0, 0.0, 0.0);
    let repetitions = 10_000;
    assert_coverage("strata", repetitions, 0.945..=0.955, |_| {
        let strata: Vec<Stratum> = layers
            .iter()
            .map(|(values, draws)| {
                let chosen = index::sample(&mut rng, values.len(), *draws);
                let drawn: Vec<f64> = chosen.into_iter().map(|at| values[at]).collect();
                Stratum::from_draws(values.len() as u64, &drawn).expect("valid")
            })
            .collect();
        let found = stratified_mean(&strata, 0.95).expect("valid");
        let error = found.mean - truth;
        let variance = found.standard_error.expect("several draws").powi(2);
        sums = (sums.0 + error, sums.1 + error * error, sums.2 + variance);
        covers(found.interval.expect("several draws"), truth)
    });
    let [error, square, variance] = [sums.0, sums.1, sums.2].map(|sum| sum / repetitions as f64);
    println!("mean error {error:.1e}, its variance {square:.3e}, estimated as {variance:.3e}");
    // Unbiased in the mean and in the variance.
    assert!(error.abs() < 4.0 * (square / repetitions as f64).sqrt(), "{error}");
    assert!((variance / square - 1.0).abs() < 0.06, "{variance} for {square}");
}

/// Layers of different sizes with shares from rare to common.
#[test]
fn failures_in_time() {
    let layers = [(2_000_000, 0.01), (500_000, 0.2), (8_000_000, 0.003), (100_000, 0.6)];
    let truth: f64 = layers.iter().map(|(bits, share)| 50.0 * *bits as f64 / 1e6 * share).sum();
    let trials = 1000;
    let successes =
        |rng: &mut dyn Rng, share: f64| (0..trials).filter(|_| rng.random_bool(share)).count() as u64;
    assert_coverage("failures in time", 5_000, 0.94..=0.965, |repetition| {
        let mut rng = trial_stream(400, repetition);
        let parts = layers.map(|(bits, share)| {
            let count = successes(&mut rng, share);
            let found = Proportion::new(count, trials, 0.95, None).expect("valid");
            let (failure_probability, interval) = (found.estimate, found.wilson);
            FitPart { bits, raw_fit_per_megabit: 50.0, failure_probability, interval }
        });
        covers(fit_total(&parts).expect("valid").interval, truth)
    });
}

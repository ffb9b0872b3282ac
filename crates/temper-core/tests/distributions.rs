//! Distributions of what is drawn, with fixed seeds: numbers of faults, polarities, noise, random words; transient draws; samples
//! of statistical campaigns.

pub mod support;

use std::collections::HashSet;

use support::{bind, campaign, digits_images, digits_model, noise, resolve, with_values};
use temper_core::campaign::CampaignSpec;
use temper_core::fault::{Damage, Fault, FaultSite, trial_stream};
use temper_core::memory::{Memory, TensorId};
use temper_core::network::Network;
use temper_core::network::zoo::{Architecture, Family};

/// 48·20, 20·12 and 12·10 weights: 1 320, with values of all sizes.
fn small() -> Network {
    let architecture =
        Architecture { input: vec![3, 4, 4], widths: vec![20, 12], ..Architecture::new(Family::Mlp) };
    let mut noise = noise(3);
    with_values(architecture.build().expect("a sound architecture"), |_| 0.2 + noise())
}

fn sound(network: &Network, toml: &str) -> Fault {
    resolve(network, toml).unwrap_or_else(|error| panic!("{toml}: {error}"))
}

fn draws(fault: &Fault, trials: u64) -> impl Iterator<Item = Vec<FaultSite>> + '_ {
    (0..trials).map(|trial| fault.draw(&mut trial_stream(42, trial)))
}

/// Mean and variance of `values` against those expected, in standard errors; the variance of a sample variance is
/// σ⁴ (2 + excess kurtosis) / n.
fn check_moments(what: &str, values: &[f64], mean: f64, variance: f64, kurtosis: f64) {
    let n = values.len() as f64;
    let found_mean = values.iter().sum::<f64>() / n;
    let found = values.iter().map(|value| (value - found_mean).powi(2)).sum::<f64>() / (n - 1.0);
    let mean_error = (found_mean - mean) / (variance / n).sqrt();
    let variance_error = (found - variance) / (variance * ((2.0 + kurtosis) / n).sqrt());
    println!("{what}: off by {mean_error:.2} and {variance_error:.2} standard errors of {n} values");
    assert!(mean_error.abs() < 4.0, "{what}: mean {found_mean}, expected {mean}");
    assert!(variance_error.abs() < 4.0, "{what}: variance {found}, expected {variance}");
}

/// The share of `true` among independent fair coins, in standard errors.
fn check_fair(what: &str, coins: impl Iterator<Item = bool>) {
    let (mut n, mut heads) = (0.0, 0.0);
    for coin in coins {
        n += 1.0;
        heads += f64::from(coin);
    }
    let error = (heads / n - 0.5) / (0.25 / n).sqrt();
    println!("{what}: off by {error:.2} standard errors of {n} coins");
    assert!(n > 10_000.0 && error.abs() < 4.0, "{what}: {heads} of {n}");
}

/// The Kolmogorov–Smirnov distance to a continuous distribution, held against its 99.9 % quantile for large n: 1.95 / √n.
fn check_distribution(what: &str, values: &[f64], cumulative: impl Fn(f64) -> f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len() as f64;
    let distance = sorted.iter().enumerate().fold(0.0f64, |most, (i, &value)| {
        let expected = cumulative(value);
        most.max(expected - i as f64 / n).max((i + 1) as f64 / n - expected)
    });
    println!("{what}: Kolmogorov–Smirnov {:.2} of 1.95", distance * n.sqrt());
    assert!(distance * n.sqrt() < 1.95, "{what}: {distance}");
}

fn normal(x: f64) -> f64 {
    0.5 * libm::erfc(-x / std::f64::consts::SQRT_2)
}

#[test]
fn numbers_of_struck_shapes_are_binomial() {
    let network = small();
    // Rows 20 + 12 + 10, columns 48 + 20 + 12, bursts of 4 words 957 + 237 + 117.
    for (shape, units) in [
        ("shape = 'row'", 42),
        ("shape = 'channel'", 42),
        ("shape = 'column'", 80),
        ("burst_words = 4", 1311),
    ] {
        for rate in [0.02, 0.4] {
            for model in ["zeroing", "bit-flip"] {
                let fault =
                    sound(&network, &format!("model = '{model}'\n{shape}\nshape_fault_rate = {rate}"));
                assert_eq!(fault.units(), units, "{shape}");
                let counts: Vec<f64> = draws(&fault, 3000).map(|sites| sites.len() as f64).collect();
                let (n, variance) = (units as f64, units as f64 * rate * (1.0 - rate));
                check_moments(
                    &format!("{model}, {shape}, {rate}"),
                    &counts,
                    n * rate,
                    variance,
                    (1.0 - 6.0 * rate * (1.0 - rate)) / variance,
                );
            }
        }
    }
}

#[test]
fn stuck_bits_have_both_polarities_equally_often() {
    let network = small();
    for amount in ["count = 60", "bit_error_rate = 1e-3", "value_fault_rate = 0.04"] {
        let fault = sound(&network, &format!("model = 'stuck-at'\n{amount}"));
        // Each bit has two faults.
        assert_eq!(fault.sites(), 1320 * 64);
        let polarity = |site: FaultSite| match site.damage {
            Damage::StuckAt0(mask) if mask.is_power_of_two() => false,
            Damage::StuckAt1(mask) if mask.is_power_of_two() => true,
            other => panic!("{other:?}"),
        };
        check_fair(amount, draws(&fault, 400).flatten().map(polarity));
    }
}

/// What is added or multiplied at every site of many draws.
fn noises(fault: &Fault, trials: u64) -> Vec<(TensorId, f64)> {
    let noise = |site: FaultSite| match site.damage {
        Damage::Add(noise) | Damage::Scale(noise) | Damage::Set(noise) => (site.tensor, f64::from(noise)),
        other => panic!("{other:?}"),
    };
    draws(fault, trials).flatten().map(noise).collect()
}

#[test]
fn noise_has_the_moments_and_the_shape_of_its_distribution() {
    let network = small();
    let values = |toml: &str| -> Vec<f64> {
        let fault = sound(&network, &format!("{toml}\nvalue_fault_rate = 1"));
        noises(&fault, 20).into_iter().map(|(_, noise)| noise).collect()
    };
    let gaussian = |mean: f64, sigma: f64| move |x: f64| normal((x - mean) / sigma);
    let flat = |low: f64, high: f64| move |x: f64| ((x - low) / (high - low)).clamp(0.0, 1.0);

    let added = values("model = 'gaussian'\nsigma = 0.3\nmean = -0.1");
    assert_eq!(added.len(), 26_400);
    check_moments("gaussian", &added, -0.1, 0.09, 0.0);
    check_distribution("gaussian", &added, gaussian(-0.1, 0.3));
    let factors = values("model = 'gaussian'\nsigma = 0.05\nmode = 'multiplicative'");
    check_moments("multiplied gaussian", &factors, 1.0, 0.0025, 0.0);
    check_distribution("multiplied gaussian", &factors, gaussian(1.0, 0.05));

    let exponents: Vec<f64> =
        values("model = 'lognormal'\nsigma = 0.7\nmean = 0.2").iter().map(|factor| factor.ln()).collect();
    check_moments("lognormal", &exponents, 0.2, 0.49, 0.0);
    check_distribution("lognormal", &exponents, gaussian(0.2, 0.7));

    let added = values("model = 'uniform'\nlow = -2.0\nhigh = 1.0");
    check_moments("uniform", &added, -0.5, 9.0 / 12.0, -1.2);
    check_distribution("uniform", &added, flat(-2.0, 1.0));
    let factors = values("model = 'uniform'\nlow = -0.5\nhigh = 0.5\nmode = 'multiplicative'");
    check_moments("multiplied uniform", &factors, 1.0, 1.0 / 12.0, -1.2);
    let set = values("model = 'random-value'\nlow = 3\nhigh = 7");
    check_moments("random value", &set, 5.0, 16.0 / 12.0, -1.2);
    check_distribution("random value", &set, flat(3.0, 7.0));
    assert!(set.iter().all(|value| (3.0..=7.0).contains(value)));
}

#[test]
fn relative_noise_is_measured_in_each_tensors_own_values() {
    let network = small();
    let memory = Memory::new(&network, &[]).expect("nothing is stored in another format");
    for relative_to in ["max-abs", "std", "one"] {
        let toml = format!(
            "model = 'gaussian'\nsigma = 0.1\nmean = 0.3\nrelative_to = '{relative_to}'\nvalue_fault_rate = 1"
        );
        let all = noises(&sound(&network, &toml), 60);
        for tensor in [0, 2, 4].map(TensorId) {
            let stored: Vec<f64> =
                memory.stored_values(tensor).expect("a weight").iter().map(|&v| f64::from(v)).collect();
            let n = stored.len() as f64;
            let mean = stored.iter().sum::<f64>() / n;
            let unit = match relative_to {
                "max-abs" => stored.iter().fold(0.0, |most: f64, value| most.max(value.abs())),
                "std" => (stored.iter().map(|value| value * value).sum::<f64>() / n - mean * mean).sqrt(),
                _ => 1.0,
            };
            let own: Vec<f64> =
                all.iter().filter(|(id, _)| *id == tensor).map(|(_, noise)| noise / unit).collect();
            assert_eq!(own.len(), 60 * stored.len());
            check_moments(&format!("{relative_to} of {tensor:?}"), &own, 0.3, 0.01, 0.0);
            check_distribution(relative_to, &own, |x| normal((x - 0.3) / 0.1));
        }
    }
}

#[test]
fn random_words_have_uniform_independent_bits() {
    let network = small();
    let fault = sound(&network, "model = 'random-word'\nvalue_fault_rate = 1");
    let mask = |site: FaultSite| match site.damage {
        Damage::Flip(mask) => mask,
        other => panic!("{other:?}"),
    };
    let masks: Vec<u64> = draws(&fault, 20).flatten().map(mask).collect();
    assert!(masks.iter().all(|mask| mask >> 32 == 0), "words of f32 have 32 bits");
    for bit in 0..32 {
        check_fair(&format!("bit {bit}"), masks.iter().map(|mask| mask >> bit & 1 == 1));
    }
    // Of 32 independent bits 16 are set, with variance 8.
    let ones: Vec<f64> = masks.iter().map(|mask| f64::from(mask.count_ones())).collect();
    check_moments("set bits", &ones, 16.0, 8.0, -1.0 / 16.0);
    assert!(masks.iter().collect::<HashSet<_>>().len() > 26_390, "{} words", masks.len());
}

#[test]
fn transient_draws_differ_between_images_and_trials_and_come_again() {
    let (model, data) = (digits_model(), digits_images(20));
    let toml = "trials.count = 30\nsweep.value_fault_rate = [0.001, 0.01]\n[[fault]]\nmodel = 'bit-flip'\nlifetime = 'transient'\n\
                [[fault]]\nmodel = 'zeroing'\nlayers = 'fc2'";
    let campaign = bind(&campaign(toml), &model, &data).expect("it fits");
    let mut seen = HashSet::new();
    let (mut counts, mut neighbours) = (Vec::new(), Vec::new());
    for trial in campaign.plan().trials().filter(|trial| trial.condition == 1) {
        let permanent = campaign.permanent_sites(trial);
        assert!(permanent.iter().all(|site| site.damage == Damage::Set(0.0)));
        let mut before = None;
        for image in 0..20 {
            let sites = campaign.transient_sites(trial, image).expect("drawn anew");
            assert_eq!(campaign.transient_sites(trial, image).as_ref(), Some(&sites));
            assert!(seen.insert(format!("{sites:?}")), "trial {trial:?}, image {image}: drawn before");
            // The faults act in the order written; the permanent ones are those of every image.
            let own = sites.len() - permanent.len();
            assert_eq!(sites[own..], permanent);
            counts.push(own as f64);
            if let Some(before) = before.replace(own as f64) {
                neighbours.push((before - 135.84) * (own as f64 - 135.84));
            }
        }
    }
    // 13 584 weights, each struck with probability 0.01.
    let variance = 13_584.0 * 0.01 * 0.99;
    check_moments("sites of an image", &counts, 135.84, variance, 1.0 / variance);
    // The numbers of neighbouring images are not correlated: their products have mean 0 and variance σ⁴.
    let correlation = neighbours.iter().sum::<f64>() / variance / (neighbours.len() as f64).sqrt();
    assert!(correlation.abs() < 4.0, "{correlation} standard errors");
}

/// Pearson's statistic of counts that should be equal.
fn chi_square(counts: &[f64]) -> f64 {
    let share = counts.iter().sum::<f64>() / counts.len() as f64;
    counts.iter().map(|count| (count - share).powi(2) / share).sum()
}

const STATISTICAL: &str = "trials.statistical = { margin = 0.02, confidence = 0.95 }\nsweep.layer = 'each'\n[[fault]]\nmodel = 'stuck-at'";

#[test]
fn a_statistical_sample_is_distinct_and_uniform_over_its_stratum() {
    let (model, data) = (digits_model(), digits_images(1));
    let layers = [144, 4608, 8192, 640];
    let seeds = 30;
    // For each layer, over all seeds: the statistics of bits with polarities, and of eighths of the tensor.
    let mut found = [[0.0; 2]; 4];
    for seed in 0..seeds {
        let spec = CampaignSpec { seed, ..campaign(STATISTICAL) };
        let campaign = bind(&spec, &model, &data).expect("it fits");
        let plan = campaign.plan();
        for (condition, weights) in plan.conditions.iter().zip(layers) {
            // 1.96² · 0.25 / 0.02² = 2 401 for an infinite population.
            let n = (weights * 64) as f64;
            let size = (n / (1.0 + (n - 1.0) / 2401.0)).ceil() as u64;
            assert_eq!(
                (condition.sites, condition.draws),
                (weights as u64 * 64, size),
                "{}",
                condition.label()
            );
            let (mut bits, mut eighths) = ([0.0; 64], [0.0; 8]);
            let mut distinct = HashSet::new();
            for trial in plan.trials().filter(|trial| trial.condition == condition.id) {
                let sites = campaign.permanent_sites(trial);
                let [site] = sites.as_slice() else { panic!("{sites:?}") };
                let bit = match site.damage {
                    Damage::StuckAt0(mask) => mask.trailing_zeros(),
                    Damage::StuckAt1(mask) => 32 + mask.trailing_zeros(),
                    other => panic!("{other:?}"),
                };
                assert!(distinct.insert((site.start, bit)), "no site twice");
                bits[bit as usize] += 1.0;
                eighths[site.start * 8 / weights] += 1.0;
            }
            // Sampling without replacement spreads more evenly than independent draws, by this factor of the variance.
            let spread = 1.0 - size as f64 / n;
            found[condition.id][0] += chi_square(&bits) / spread;
            found[condition.id][1] += chi_square(&eighths) / spread;
        }
    }
    println!("{found:.1?}");
    for [bits, eighths] in found {
        // Sums of so many statistics are nearly normal, with the degrees of freedom as mean and twice as many as variance.
        for (found, freedom) in [(bits, 63.0), (eighths, 7.0)] {
            let freedom = freedom * seeds as f64;
            assert!((found - freedom).abs() < 4.0 * (2.0 * freedom).sqrt(), "{found}, expected {freedom}");
        }
    }
}

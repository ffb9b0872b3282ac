//! Mean and variance of what is drawn, against closed forms.

use std::iter::repeat_n;

use temper_core::hardware::{
    Crossbar, CrossbarSpec, ProgrammedCrossbar, Programming, ProgrammingModel, ReadNoise, ReadNoiseModel,
    Stuck,
};

use crate::{dot, ideal, largest, numbers, pixels, program, quiet, stream};

/// Asserts that mean and variance of values are what is expected, within four standard errors; `kurtosis` is that of their
/// distribution, 3 for a normal one.
fn assert_moments(values: &[f64], mean: f64, variance: f64, kurtosis: f64) {
    let n = values.len() as f64;
    let found = values.iter().sum::<f64>() / n;
    let spread = values.iter().map(|x| (x - found).powi(2)).sum::<f64>() / (n - 1.0);
    let deviations =
        [(found - mean) / (variance / n).sqrt(), (spread / variance - 1.0) / ((kurtosis - 1.0) / n).sqrt()];
    for deviation in deviations {
        assert!(deviation.abs() < 4.0, "{deviations:?}: {found} for {mean}, {spread} for {variance}");
    }
}

/// Rounding errors of a fine converter are uniform in ±half a step: mean 0, variance step² / 12, kurtosis 9 / 5.
#[test]
fn quantisation_noise_is_that_of_uniform_errors() {
    let (inputs, positions) = (64, 4000);
    let rng = &mut stream(11);
    let weights = numbers(inputs, rng);
    let x: Vec<f32> = numbers(positions * inputs, rng);
    let exact: Vec<f64> = x.chunks_exact(inputs).map(|x| dot(&weights, x)[0]).collect();
    let errors = |spec: &CrossbarSpec| -> Vec<f64> {
        let (found, saturated) = quiet(spec, [1, inputs], &weights, &x);
        assert_eq!(saturated, 0);
        found.iter().zip(&exact).map(|(found, exact)| f64::from(*found) - exact).collect()
    };
    let m = largest(&weights);
    let outgoing = CrossbarSpec { adc_bits: Some(10), adc_range: 20.0, input_range: Some(1.0), ..ideal() };
    let step = 20.0 * m / 511.0;
    assert_moments(&errors(&outgoing), 0.0, step * step / 12.0, 1.8);
    let incoming = CrossbarSpec { dac_bits: Some(6), input_range: Some(1.0), ..ideal() };
    let step: f64 = 1.0 / 31.0;
    let power: f64 = weights.iter().map(|w| f64::from(*w).powi(2)).sum();
    assert_moments(&errors(&incoming), 0.0, step * step / 12.0 * power, 3.0);
}

/// The outputs of many chips, each with one output: independent draws of what one weight matrix becomes.
fn chips(spec: &CrossbarSpec, weights: &[f32], x: &[f32], count: usize) -> Vec<f64> {
    let inputs = weights.len();
    // Outputs have devices of their own: one layer with the same weights for every output is so many chips.
    let (found, _) = quiet(spec, [count, inputs], &weights.repeat(count), x);
    found.iter().map(|&output| f64::from(output)).collect()
}

/// Conductances in µS of the pair of every weight; `m` is the largest magnitude.
fn pairs(weights: &[f32], g_min: f64, g_max: f64) -> Vec<[f64; 2]> {
    let m = largest(weights);
    let pair = |w: &f32| {
        let share = f64::from(*w) / m;
        [g_min + share.max(0.0) * (g_max - g_min), g_min + (-share).max(0.0) * (g_max - g_min)]
    };
    weights.iter().map(pair).collect()
}

/// Deviations far from the clipping at 0 (8 σ for the smallest conductance) have the moments of their distributions.
#[test]
fn programming_has_the_moments_of_its_distribution() {
    let (g_min, g_max) = (20.0, 50.0);
    let rng = &mut stream(21);
    let (weights, x) = (numbers(40, rng), numbers(40, rng));
    let m = largest(&weights);
    let unit = m / (g_max - g_min);
    let pairs = pairs(&weights, g_min, g_max);
    // Mean and variance of the output, by those of a device of conductance g.
    let expected = |mean: &dyn Fn(f64) -> f64, variance: &dyn Fn(f64) -> f64| {
        let of = pairs.iter().zip(&x).map(|(pair, x)| (pair, f64::from(*x) * unit));
        let [mut sum, mut spread] = [0.0, 0.0];
        for ([plus, minus], x) in of {
            sum += x * (mean(*plus) - mean(*minus));
            spread += x * x * (variance(*plus) + variance(*minus));
        }
        [sum, spread]
    };
    let check = |model, sigma, [mean, variance]: [f64; 2], kurtosis| {
        let spec = CrossbarSpec { g_min, g_max, programming: Programming { model, sigma }, ..ideal() };
        assert_moments(&chips(&spec, &weights, &x, 6000), mean, variance, kurtosis);
    };
    check(ProgrammingModel::Relative, 0.12, expected(&|g| g, &|g| (0.12 * g).powi(2)), 3.0);
    check(ProgrammingModel::Absolute, 0.05, expected(&|g| g, &|_| (0.05 * g_max).powi(2)), 3.0);
    // e^θ has the mean e^(σ²/2) and the variance (e^(σ²) − 1) e^(σ²).
    let square = 0.3f64.powi(2);
    let mean = |g: f64| g * (square / 2.0).exp();
    let variance = |g: f64| g * g * square.exp_m1() * square.exp();
    check(ProgrammingModel::Lognormal, 0.3, expected(&mean, &variance), 3.3);
}

/// A device at rest of mean 0 keeps the upper half of its deviations: mean σ / √(2π), and σ² (1/2 − 1/(2π)) about it.
#[test]
fn no_conductance_is_below_zero() {
    let programming = Programming { model: ProgrammingModel::Absolute, sigma: 0.1 };
    let spec = CrossbarSpec { g_min: 0.0, programming, ..ideal() };
    let effective = program(&spec, [10_000, 1], &vec![1.0; 10_000], 3).effective_weights();
    let values: Vec<f64> = effective.iter().map(|&weight| f64::from(weight)).collect();
    // The device at 1 is ten deviations from 0; the other's mean and variance are subtracted and added.
    let [mean, variance] =
        [1.0 - 0.1 / std::f64::consts::TAU.sqrt(), 0.01 + 0.01 * (0.5 - 1.0 / std::f64::consts::TAU)];
    assert_moments(&values, mean, variance, 3.2);
}

#[test]
fn devices_are_stuck_as_often_as_said() {
    let (outputs, inputs) = (100, 200);
    let spec = CrossbarSpec { device_stuck_at_gmin_rate: 0.09, device_stuck_at_gmax_rate: 0.02, ..ideal() };
    let crossbar = Crossbar::draw(&spec, [outputs, inputs], &mut stream(2));
    let devices = (outputs * inputs * 2) as f64;
    for (at, rate) in [(Stuck::GMin, 0.09), (Stuck::GMax, 0.02)] {
        let found = crossbar.stuck().iter().filter(|device| device.at == at).count() as f64;
        let deviation = (found - devices * rate) / (devices * rate * (1.0 - rate)).sqrt();
        assert!(deviation.abs() < 4.0, "{at:?}: {found}");
    }
    // Of a weight w ≥ 0 with the pair (w, 0): E = (1 − p − q) w + q for G⁺, less q for G⁻, so (1 − p − q) w; the second moments likewise.
    let weights = vec![0.5; outputs * inputs];
    let mut scaled = weights.clone();
    scaled[0] = 1.0;
    let effective = ProgrammedCrossbar::new(crossbar.clone(), &scaled).effective_weights();
    let values: Vec<f64> = effective[1..].iter().map(|&weight| f64::from(weight)).collect();
    let (alive, high) = (0.89, 0.02);
    let plus = [alive * 0.5 + high, alive * 0.25 + high];
    let variance = plus[1] - plus[0] * plus[0] + high - high * high;
    let fourth = {
        // Values and chances of G⁺ − G⁻, for the kurtosis.
        let plus = [(0.5, alive), (0.0, 0.09), (1.0, high)];
        let minus = [(0.0, 1.0 - high), (1.0, high)];
        let mean: f64 = alive * 0.5;
        let terms = plus.iter().flat_map(|p| minus.map(|m| p.1 * m.1 * (p.0 - m.0 - mean).powi(4)));
        terms.sum::<f64>()
    };
    assert_moments(&values, alive * 0.5, variance, fourth / (variance * variance));
    // Every effective weight is one of those that stuck devices can make.
    let possible = [0.5, 0.0, 1.0, -0.5, -1.0];
    assert!(values.iter().all(|value| possible.iter().any(|weight| (value - weight).abs() < 1e-6)));
}

/// A column's noise has mean 0 and the variance of the sum of its devices' noises, and is fresh in every product.
#[test]
fn read_noise_is_that_of_every_device_in_every_product() {
    let (inputs, positions, sigma) = (48, 6000, 0.03);
    let rng = &mut stream(31);
    let (weights, x) = (numbers(inputs, rng), numbers(inputs, rng));
    let m = largest(&weights);
    let (g_min, g_max) = (5.0, 50.0);
    for (model, dac_bits) in [
        (ReadNoiseModel::Relative, None),
        (ReadNoiseModel::Absolute, None),
        (ReadNoiseModel::Absolute, Some(2)),
    ] {
        let read_noise = ReadNoise { model, sigma };
        let spec = CrossbarSpec { g_min, g_max, read_noise, dac_bits, rows: 20, ..ideal() };
        let without = CrossbarSpec { read_noise: ReadNoise { model, sigma: 0.0 }, ..spec.clone() };
        let mean = f64::from(quiet(&without, [1, inputs], &weights, &x).0[0]);
        let mut variance = 0.0;
        for array in 0..3 {
            let x = &x[array * 16..][..16];
            let range = x.iter().fold(0.0f32, |range, x| range.max(x.abs()));
            // Two bits: −range, 0, range.
            let converted = x.iter().map(|x| match dac_bits {
                None => *x,
                Some(_) => (x / range).round() * range,
            });
            for (pair, x) in pairs(&weights, g_min, g_max)[array * 16..].iter().zip(converted) {
                let device = |g: f64| match model {
                    ReadNoiseModel::Relative => (sigma * g).powi(2),
                    ReadNoiseModel::Absolute => (sigma * g_max).powi(2),
                };
                variance +=
                    (f64::from(x) * m / (g_max - g_min)).powi(2) * (device(pair[0]) + device(pair[1]));
            }
        }
        let layer = program(&spec, [1, inputs], &weights, 8);
        let run = |seed: u64| {
            let image: Vec<f32> = x.iter().flat_map(|&x| repeat_n(x, positions)).collect();
            let windows = pixels(inputs, positions);
            super::run(&layer, [1, inputs], &windows, &image, &mut [stream(seed)]).0
        };
        let values: Vec<f64> = run(1).iter().map(|&output| f64::from(output)).collect();
        assert_moments(&values, mean, variance, 3.0);
        let neighbours = values.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)).sum::<f64>();
        assert!((neighbours / variance / positions as f64).abs() < 4.0 / (positions as f64).sqrt());
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
    }
}

#[test]
fn noise_of_different_outputs_is_independent() {
    let spec =
        CrossbarSpec { read_noise: ReadNoise { model: ReadNoiseModel::Absolute, sigma: 0.1 }, ..ideal() };
    let layer = program(&spec, [2, 1], &[1.0, 1.0], 8);
    let streams = &mut [stream(1), stream(2)];
    let (outputs, _) = super::run(&layer, [2, 1], &pixels(1, 2000), &[1.0; 4000], streams);
    let variance = 2.0 * (0.1f64 * 40.0 / 39.0).powi(2);
    let product = |pair: &[f32]| f64::from(pair[0] - 1.0) * f64::from(pair[1] - 1.0) / variance;
    let of_images = outputs.chunks_exact(4000);
    let pairs =
        of_images.flat_map(|image| (0..2000).map(|position| [image[position], image[2000 + position]]));
    let correlation = pairs.map(|pair| product(&pair)).sum::<f64>() / 4000.0;
    assert!(correlation.abs() < 4.0 / 4000.0f64.sqrt(), "{correlation}");
}

/// A chip is its seed: whatever it is programmed to, and for any size of its deviations.
#[test]
fn a_chip_is_drawn_before_its_weights() {
    let spec = CrossbarSpec { device_stuck_at_gmin_rate: 0.1, ..CrossbarSpec::default() };
    let crossbar = Crossbar::draw(&spec, [20, 30], &mut stream(5));
    assert_eq!(Crossbar::draw(&spec, [20, 30], &mut stream(5)), crossbar);
    assert_ne!(Crossbar::draw(&spec, [20, 30], &mut stream(6)), crossbar);
    let deviates: Vec<f64> = crossbar.deviates().iter().map(|&deviate| f64::from(deviate)).collect();
    assert_moments(&deviates, 0.0, 1.0, 3.0);
    let weights = numbers(600, &mut stream(1));
    let programmed = ProgrammedCrossbar::new(crossbar.clone(), &weights);
    let before = programmed.effective_weights();
    let again = ProgrammedCrossbar::new(programmed.into_crossbar(), &[1.0; 600]).into_crossbar();
    assert_eq!(again, crossbar);
    assert_eq!(ProgrammedCrossbar::new(again, &weights).effective_weights(), before);
    let worse = CrossbarSpec {
        device_stuck_at_gmin_rate: 0.2,
        device_stuck_at_gmax_rate: 0.1,
        programming: Programming { model: ProgrammingModel::Lognormal, sigma: 1.0 },
        ..spec
    };
    let worse = Crossbar::draw(&worse, [20, 30], &mut stream(5));
    assert_eq!(worse.deviates(), crossbar.deviates());
    assert!(crossbar.stuck().iter().all(|device| worse.stuck().contains(device)));
    assert!(worse.stuck().len() > crossbar.stuck().len());
}

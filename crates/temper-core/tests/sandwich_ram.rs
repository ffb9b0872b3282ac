//! The Sandwich-RAM array: against eq. 6 evaluated directly, against closed forms of its distributions, and by hand.

use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use temper_core::hardware::{
    AdderBuffers, Adders, Deviation, Mapping, Rounding, RowOffset, SandwichRam, SandwichRamSpec,
};
use temper_kernels::Windows;

type Stream = ChaCha12Rng;

fn stream(seed: u64) -> Stream {
    ChaCha12Rng::seed_from_u64(seed)
}

fn draw(spec: &SandwichRamSpec, shape: [usize; 2], seed: u64) -> SandwichRam {
    spec.check().expect("a sound array");
    SandwichRam::draw(spec, shape, &mut stream(seed))
}

/// The sums of an array without noise, and how many pulses had vanished.
fn quiet(
    array: &SandwichRam,
    weights: &[f32],
    features: &[f32],
    outputs: usize,
    inputs: usize,
) -> (Vec<f32>, u64) {
    let mut sums = vec![f32::NAN; features.len() / inputs * outputs];
    let adders = Adders::new(array.clone(), weights);
    let vanished = adders.run::<Stream>(
        &Windows::of_rows(inputs),
        &mut features.to_vec(),
        &mut sums,
        &mut [],
        &mut AdderBuffers::default(),
    );
    (sums, vanished)
}

fn signs(count: usize, rng: &mut Stream) -> Vec<f32> {
    (0..count).map(|_| rng.random_range(-1.0..1.0f32)).collect()
}

fn features(count: usize, rng: &mut Stream) -> Vec<f32> {
    (0..count).map(|_| f32::from(rng.random::<u8>())).collect()
}

/// Eq. 6 for one output, in `f64`, one cell after another.
fn by_definition(
    array: &SandwichRam,
    spec: &SandwichRamSpec,
    weights: &[f32],
    features: &[f32],
    output: usize,
) -> f64 {
    let [generator, quantiser, modulator] = array.components();
    let parts = features.len().div_ceil(spec.cells);
    let mut sum = 0.0;
    for part in 0..parts {
        let row = match spec.mapping {
            Mapping::TimeMultiplexed => part % spec.rows,
            Mapping::Unrolled => output * parts + part,
        };
        let mut width = spec.reserve * f64::from(generator[row]);
        for cell in 0..spec.cells.min(features.len() - part * spec.cells) {
            let input = part * spec.cells + cell;
            let sign = if weights[input] < 0.0 { -1.0 } else { 1.0 };
            width += f64::from(modulator[row * spec.cells + cell]) * sign * f64::from(features[input]);
        }
        sum += width.max(0.0) / f64::from(quantiser[row]) - spec.reserve;
    }
    sum
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// With all factors one, both mappings make the sums of an ideal quantised layer, to the last bit.
    #[test]
    fn an_ideal_array_is_a_binary_layer(inputs in 1..200usize, outputs in 1..9usize, positions in 1..5usize, seed: u64) {
        let rng = &mut stream(seed);
        let (weights, x) = (signs(outputs * inputs, rng), features(positions * inputs, rng));
        let dot = |place: usize| -> f32 {
            let (position, output) = (place / outputs, place % outputs);
            (0..inputs).map(|i| weights[output * inputs + i].signum() * x[position * inputs + i]).sum()
        };
        let expected: Vec<f32> = (0..positions * outputs).map(dot).collect();
        for mapping in [Mapping::TimeMultiplexed, Mapping::Unrolled] {
            for rounding in [Rounding::Floor, Rounding::Nearest, Rounding::None] {
                for row_offset in [RowOffset::Raw, RowOffset::Matched, RowOffset::Calibrated] {
                    let spec = SandwichRamSpec { mapping, rounding, row_offset, ..SandwichRamSpec::default().ideal() };
                    let found = quiet(&draw(&spec, [outputs, inputs], seed), &weights, &x, outputs, inputs);
                    prop_assert_eq!(&found, &(expected.clone(), 0));
                }
            }
        }
    }

    #[test]
    fn a_chip_computes_what_the_equation_says(inputs in 1..150usize, outputs in 1..6usize, seed: u64) {
        let rng = &mut stream(seed);
        let (weights, x) = (signs(outputs * inputs, rng), features(inputs, rng));
        for mapping in [Mapping::TimeMultiplexed, Mapping::Unrolled] {
            // Three rows of seven: used again from 22 inputs on.
            let spec = SandwichRamSpec { mapping, rows: 3, cells: 7, reserve: 1785.0, rounding: Rounding::None, ..Default::default() };
            let array = draw(&spec, [outputs, inputs], seed);
            let (sums, _) = quiet(&array, &weights, &x, outputs, inputs);
            for (output, sum) in sums.iter().enumerate() {
                let expected = by_definition(&array, &spec, &weights[output * inputs..][..inputs], &x, output);
                prop_assert!((f64::from(*sum) - expected).abs() < 0.05 + 1e-5 * expected.abs(), "{} {}", sum, expected);
            }
            let rounded = SandwichRamSpec { rounding: Rounding::Floor, ..spec.clone() };
            let (lower, _) = quiet(&draw(&rounded, [outputs, inputs], seed), &weights, &x, outputs, inputs);
            let parts = inputs.div_ceil(7) as f32;
            for (sum, lower) in sums.iter().zip(&lower) {
                prop_assert!(*lower <= sum + 0.01 && sum - lower < parts + 0.01, "{} {}", sum, lower);
                prop_assert_eq!(lower.fract(), 0.0);
            }
        }
    }
}

/// A row of 28 cells with the largest features: what the ACIMS paper verifies its model by, at the corners it gives for
/// modulators (−35.1 %, nominal, +63.0 %).
#[test]
fn a_row_at_the_corners_of_the_process() {
    let x = [255.0; 28];
    // By hand: 7140 · 0.649 = 4633.86, and 7140 − 4633.86 = 2506.14; 7140 · 1.63 = 11638.2, which no pulse of 7140 can lose.
    for (factor, weight, expected, vanished) in [
        (1.0, 1.0, 7140.0, 0),
        (1.0, -1.0, -7140.0, 0),
        (0.649, 1.0, 4633.0, 0),
        (0.649, -1.0, 2506.0 - 7140.0, 0),
        (1.63, 1.0, 11638.0, 0),
        (1.63, -1.0, -7140.0, 1),
    ] {
        let modulator = Deviation { mean: factor, ..Deviation::NONE };
        let spec = SandwichRamSpec { modulator, ..SandwichRamSpec::default().ideal() };
        let found = quiet(&draw(&spec, [1, 28], 1), &[weight; 28], &x, 1, 28);
        assert_eq!(found, (vec![expected], vanished), "{factor} {weight}");
    }
}

#[test]
fn features_are_rounded_down_to_steps() {
    let spec = SandwichRamSpec { feature_step: 8, ..SandwichRamSpec::default().ideal() };
    let (sums, _) = quiet(&draw(&spec, [1, 4], 1), &[1.0; 4], &[7.0, 8.0, 20.0, 255.0], 1, 4);
    assert_eq!(sums, [0.0 + 8.0 + 16.0 + 248.0]);
}

#[test]
fn row_offsets_are_left_shared_or_subtracted() {
    let (inputs, zeros) = (28 * 5, vec![0.0; 28 * 5]);
    let weights = signs(inputs, &mut stream(4));
    let with = |row_offset| SandwichRamSpec { row_offset, ..SandwichRamSpec::default() };
    let array = draw(&with(RowOffset::Raw), [1, inputs], 9);
    let [generator, quantiser, _] = array.components();
    let offsets = generator.iter().zip(quantiser).map(|(g, q)| (7140.0 * g / q).floor() - 7140.0);
    let expected: f32 = offsets.sum();
    assert!(expected.abs() > 100.0, "{expected}");
    assert_eq!(quiet(&array, &weights, &zeros, 1, inputs).0, [expected]);
    let calibrated = draw(&with(RowOffset::Calibrated), [1, inputs], 9);
    assert_eq!(calibrated.components(), array.components());
    assert_eq!(quiet(&calibrated, &weights, &zeros, 1, inputs).0, [0.0]);
    let matched = draw(&with(RowOffset::Matched), [1, inputs], 9);
    let [own, shared, _] = matched.components();
    assert_eq!((own, shared), (generator, generator));
}

/// Mean and variance of values, with the number of standard errors that each lies from what is expected.
fn moments(values: impl Iterator<Item = f64>, mean: f64, variance: f64) -> [f64; 2] {
    let values: Vec<f64> = values.collect();
    let n = values.len() as f64;
    let found = values.iter().sum::<f64>() / n;
    let spread = values.iter().map(|x| (x - found).powi(2)).sum::<f64>() / (n - 1.0);
    [(found - mean) / (variance / n).sqrt(), (spread / variance - 1.0) / (2.0 / (n - 1.0)).sqrt()]
}

#[test]
fn components_are_normal_and_independent() {
    let spec = SandwichRamSpec { mapping: Mapping::Unrolled, ..SandwichRamSpec::default() };
    let array = draw(&spec, [200, 280], 5);
    let [generator, quantiser, modulator] = array.components();
    assert_eq!((generator.len(), modulator.len()), (2000, 56_000));
    let variance = 1.0 / 36.0;
    for factors in [generator, quantiser, modulator] {
        for deviation in moments(factors.iter().copied().map(f64::from), 1.0, variance) {
            assert!(deviation.abs() < 4.0, "{deviation}");
        }
    }
    let product = |(a, b): (&f32, &f32)| (f64::from(*a) - 1.0) * (f64::from(*b) - 1.0) / variance;
    let correlation: f64 = generator.iter().zip(quantiser).map(product).sum::<f64>() / 2000.0;
    assert!(correlation.abs() < 4.0 / 2000.0f64.sqrt(), "{correlation}");
    assert_eq!(draw(&spec, [200, 280], 5), array, "a chip is its seed");
    assert_ne!(draw(&spec, [200, 280], 6), array);
}

#[test]
fn limits_hold() {
    let deviation = Deviation { limits: Some([0.9, 1.2]), ..Deviation::of(0.5) };
    let factors = deviation.draw(1000, &mut stream(1));
    assert!(factors.iter().all(|factor| (0.9..=1.2).contains(factor)));
    assert!(factors.contains(&0.9) && factors.contains(&1.2));
}

/// A row's noise has the mean and the variance of the sum of its cells' noises, in both mappings, and is fresh in every operation.
#[test]
fn noise_is_that_of_every_cell_in_every_operation() {
    let (inputs, positions) = (28 * 2, 4000);
    let rng = &mut stream(3);
    let (weights, x) = (signs(inputs, rng), features(inputs, rng));
    for mapping in [Mapping::TimeMultiplexed, Mapping::Unrolled] {
        let noise = Deviation { mean: 1.1, ..Deviation::of(1.0 / 12.0) };
        let spec = SandwichRamSpec { mapping, noise, rounding: Rounding::None, ..SandwichRamSpec::default() };
        let array = draw(&spec, [1, inputs], 8);
        let adders = Adders::new(array.clone(), &weights);
        let run = |seed: u64| {
            let mut sums = vec![0.0; positions];
            let mut streams: Vec<Stream> =
                (0..positions).map(|position| stream(seed << 32 | position as u64)).collect();
            let windows = Windows::of_rows(inputs);
            adders.run(
                &windows,
                &mut x.repeat(positions),
                &mut sums,
                &mut streams,
                &mut AdderBuffers::default(),
            );
            sums
        };
        let [generator, quantiser, modulator] = array.components();
        let (mut mean, mut variance) = (0.0, 0.0);
        for row in 0..2 {
            let q = f64::from(quantiser[row]);
            let change = |i: usize| {
                f64::from(modulator[row * 28 + i] * weights[row * 28 + i].signum() * x[row * 28 + i])
            };
            let changes: f64 = (0..28).map(change).sum();
            mean += (7140.0 * f64::from(generator[row]) + 1.1 * changes) / q - 7140.0;
            variance += (0..28).map(|i| change(i).powi(2)).sum::<f64>() / 144.0 / q.powi(2);
        }
        let sums = run(1);
        for deviation in moments(sums.iter().copied().map(f64::from), mean, variance) {
            assert!(deviation.abs() < 4.0, "{mapping:?}: {deviation}");
        }
        assert_eq!(run(1), sums);
        assert_ne!(run(2), sums);
    }
}

#[test]
fn impossible_arrays_are_refused() {
    let good = SandwichRamSpec::default;
    let bad = Deviation { sigma: -1.0, ..Deviation::NONE };
    for (spec, message) in [
        (SandwichRamSpec { cells: 0, ..good() }, "cells: expected at least 1, found 0"),
        (SandwichRamSpec { rows: 0, ..good() }, "rows: expected at least 1, found 0"),
        (
            SandwichRamSpec { reserve: -1.0, ..good() },
            "reserve: expected a finite number of at least 0, found -1",
        ),
        (SandwichRamSpec { feature_step: 256, ..good() }, "feature_step: expected 1 to 255, found 256"),
        (SandwichRamSpec { modulator: bad, ..good() }, "modulator"),
        (
            SandwichRamSpec { noise: Deviation { limits: Some([0.0, 2.0]), ..Deviation::NONE }, ..good() },
            "noise: limits do not go with noise that is drawn for a whole row; remove them",
        ),
    ] {
        assert_eq!(spec.check().expect_err("refused").to_string(), message);
    }
    let limits = Deviation { limits: Some([2.0, 1.0]), ..Deviation::NONE };
    assert_eq!(
        limits.check().expect_err("refused").to_string(),
        "limits 2 to 1; expected finite numbers, the smaller one first"
    );
}

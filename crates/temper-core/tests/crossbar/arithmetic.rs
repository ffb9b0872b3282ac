//! What a crossbar computes, without chance or by hand.

use proptest::prelude::*;
use temper_core::hardware::{
    CrossbarSpec, Programming, ProgrammingModel, ReadNoise, ReadNoiseModel, WeightScaling,
};

use crate::{dot, ideal, numbers, pixels, program, quiet, run, stream};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]

    #[test]
    fn an_ideal_crossbar_is_a_linear_layer(
        inputs in 1..200usize, outputs in 1..9usize, positions in 0..5usize, rows in 1..90usize,
        g_min in 0.0..30.0f64, seed: u64,
    ) {
        let rng = &mut stream(seed);
        let (weights, x) = (numbers(outputs * inputs, rng), numbers(positions * inputs, rng));
        for scaling in [WeightScaling::Layer, WeightScaling::Output] {
            let spec = CrossbarSpec { rows, scaling, g_min, ..CrossbarSpec::default() }.ideal();
            let (found, saturated) = quiet(&spec, [outputs, inputs], &weights, &x);
            prop_assert_eq!(saturated, 0);
            for (place, found) in found.iter().enumerate() {
                let (position, output) = (place / outputs, place % outputs);
                let [sum, magnitude] = dot(&weights[output * inputs..][..inputs], &x[position * inputs..][..inputs]);
                prop_assert!((f64::from(*found) - sum).abs() <= 1e-6 * (1.0 + magnitude), "{} {}", found, sum);
            }
        }
    }

    /// Whatever the deviations, a crossbar without noise and converters multiplies with its effective weights.
    #[test]
    fn effective_weights_are_what_inputs_are_multiplied_with(inputs in 1..60usize, outputs in 1..6usize, seed: u64) {
        let rng = &mut stream(seed);
        let (weights, x) = (numbers(outputs * inputs, rng), numbers(inputs, rng));
        let spec = CrossbarSpec { rows: 17, device_stuck_at_gmax_rate: 0.1, ..CrossbarSpec::default() };
        let effective = program(&spec, [outputs, inputs], &weights, 1).effective_weights();
        prop_assert_ne!(&effective, &weights);
        let (found, _) = quiet(&spec, [outputs, inputs], &weights, &x);
        for (output, found) in found.iter().enumerate() {
            let [sum, magnitude] = dot(&effective[output * inputs..][..inputs], &x);
            prop_assert!((f64::from(*found) - sum).abs() <= 1e-6 * (1.0 + magnitude), "{} {}", found, sum);
        }
    }

    /// How images are put together for a run changes nothing, with all the deviations there are.
    #[test]
    fn a_batch_is_its_images(images in 1..5usize, positions in 1..4usize, relative: bool, seed: u64) {
        let shape @ [outputs, inputs] = [5, 37];
        let rng = &mut stream(seed);
        let (weights, x) = (numbers(outputs * inputs, rng), numbers(images * positions * inputs, rng));
        let model = if relative { ReadNoiseModel::Relative } else { ReadNoiseModel::Absolute };
        let spec = CrossbarSpec {
            read_noise: ReadNoise { model, sigma: 0.05 },
            dac_bits: Some(7),
            adc_bits: Some(9),
            rows: 10,
            ..CrossbarSpec::default()
        };
        let layer = program(&spec, shape, &weights, seed);
        let (windows, mut streams) = (pixels(inputs, positions), (0..images as u64).map(stream).collect::<Vec<_>>());
        let (together, mut saturated) = run(&layer, shape, &windows, &x, &mut streams);
        let of_images = x.chunks_exact(positions * inputs).zip(together.chunks_exact(positions * outputs));
        for (image, (x, together)) in of_images.enumerate() {
            let (alone, own) = run(&layer, shape, &windows, x, &mut [stream(image as u64)]);
            saturated -= own;
            prop_assert_eq!(&alone, together);
        }
        prop_assert_eq!(saturated, 0);
    }
}

/// Four levels: shares 0, 1/3, 2/3 and 1 of the largest weight.
#[test]
fn weights_lie_on_levels() {
    let spec = CrossbarSpec { g_min: 4.0, levels: Some(4), ..ideal() };
    // Shares 1, −1/2, 0.16, −0.17, 0, 0.34, 5/6 of 3 steps: 3, −1.5 to the even 2, 0.48, −0.51, 0, 1.02, 2.5 to the even 2.
    let weights = [6.0, -3.0, 0.96, -1.02, 0.0, 2.04, 5.0];
    let found = program(&spec, [1, 7], &weights, 1).effective_weights();
    for (found, expected) in found.iter().zip([6.0, -4.0, 0.0, -2.0, 0.0, 2.0, 4.0]) {
        assert!((found - expected).abs() < 1e-6, "{found} {expected}");
    }
    let binary = CrossbarSpec { levels: Some(2), scaling: WeightScaling::Output, ..spec };
    let found = program(&binary, [2, 2], &[6.0, -2.9, 0.5, 0.3], 1).effective_weights();
    for (found, expected) in found.iter().zip([6.0, 0.0, 0.5, 0.5]) {
        assert!((found - expected).abs() < 1e-6, "{found} {expected}");
    }
}

#[test]
fn inputs_pass_through_their_converters() {
    // 3 bits: codes −3 to 3. Of the largest magnitude 6, a code is 2: 6 → 3, −3 → −1.5 to the even −2, 1 → 0.5 to the even 0, 3.1 → 2.
    let spec = CrossbarSpec { dac_bits: Some(3), ..ideal() };
    let x = [6.0, -3.0, 1.0, 3.1];
    let eye: Vec<f32> = (0..16).map(|place| f32::from(u8::from(place % 5 == 0))).collect();
    assert_eq!(quiet(&spec, [4, 4], &eye, &x).0, [6.0, -4.0, 0.0, 4.0]);
    // A range of 1.5 is given: a code is 0.5, and larger inputs saturate.
    let given = CrossbarSpec { input_range: Some(1.5), ..spec.clone() };
    assert_eq!(quiet(&given, [4, 4], &eye, &[6.0, -0.2, -0.3, -9.0]).0, [1.5, 0.0, -0.5, -1.5]);
    // Arrays of two inputs have ranges of their own: codes of 2 and of 1.
    let split = CrossbarSpec { rows: 2, ..spec.clone() };
    assert_eq!(quiet(&split, [4, 4], &eye, &[6.0, 2.9, 1.4, -3.0]).0, [6.0, 2.0, 1.0, -3.0]);
    // Vectors have ranges of their own, and zeros none.
    let vectors = [3.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 30.0, 4.0, 6.0];
    let expected = [3.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 30.0, 0.0, 10.0];
    assert_eq!(quiet(&spec, [4, 4], &eye, &vectors).0, expected);
}

#[test]
fn sums_pass_through_their_converters() {
    // Weights up to 2, inputs up to 3, a range of 1.5 such products: 9 is code 3 of 3 bits, and a code is 3.
    let spec = CrossbarSpec { adc_bits: Some(3), adc_range: 1.5, ..ideal() };
    let weights = [2.0, 0.4, -0.8, -2.0, 2.0, 2.0];
    // Sums: 6 + 0.4 = 6.4 → 6, −2.4 − 2 = −4.4 → −3, 6 + 2 = 8 → 9.
    assert_eq!(quiet(&spec, [3, 2], &weights, &[3.0, 1.0]), (vec![6.0, -3.0, 9.0], 0));
    // 7.2, −8.4, 12: the last is beyond code 3 and half a step.
    assert_eq!(quiet(&spec, [3, 2], &weights, &[3.0, 3.0]), (vec![6.0, -9.0, 9.0], 1));
    // Of every output its own largest weight: ranges of 9, 9, 2.25, codes of 3, 3, 0.75.
    let columns = CrossbarSpec { scaling: WeightScaling::Output, ..spec.clone() };
    let weights = [2.0, 0.4, -0.8, -2.0, 0.5, 0.5];
    assert_eq!(quiet(&columns, [3, 2], &weights, &[3.0, 1.0]), (vec![6.0, -3.0, 2.25], 0));
    // An input range that is given counts, converter or not: 18 is code 3, a code is 6.
    let given = CrossbarSpec { input_range: Some(6.0), ..spec.clone() };
    assert_eq!(quiet(&given, [3, 2], &weights, &[3.0, 1.0]).0, [6.0, -6.0, 0.0]);
    // Three arrays of one input: every product is read alone, with codes of 1.5 · 2 / 3 = 1 times its input, 8, −1 and −1.2 → 0.
    let split = CrossbarSpec { rows: 1, ..spec };
    assert_eq!(quiet(&split, [1, 3], &[2.0, 1.0, -0.4], &[4.0, -1.0, 3.0]), (vec![8.0 - 1.0 + 0.0], 0));
}

/// All devices stuck: what is programmed has no influence.
#[test]
fn stuck_devices_cannot_be_programmed() {
    for [low, high] in [[1.0, 0.0], [0.0, 1.0], [0.4, 0.6]] {
        let spec = CrossbarSpec {
            device_stuck_at_gmin_rate: low,
            device_stuck_at_gmax_rate: high,
            programming: Programming { model: ProgrammingModel::Lognormal, sigma: 0.5 },
            ..ideal()
        };
        let one = program(&spec, [1, 50], &[1.0; 50], 4).effective_weights();
        let other = program(&spec, [1, 50], &[-1.0; 50], 4).effective_weights();
        assert_eq!(one, other);
        let differ = low > 0.0 && high > 0.0;
        assert_eq!(one.iter().any(|weight| *weight != 0.0), differ);
    }
}

#[test]
fn what_is_not_finite_is_not_lost() {
    let converters = CrossbarSpec { dac_bits: Some(7), adc_bits: Some(9), ..CrossbarSpec::default() };
    for spec in [ideal(), CrossbarSpec::default(), converters] {
        let run = |weights: &[f32], x: &[f32]| quiet(&spec, [2, 2], weights, x).0;
        let nan = run(&[1.0, f32::NAN, 0.5, 0.25], &[1.0, 1.0]);
        assert!(nan[0].is_nan() && nan[1].is_finite(), "{nan:?}");
        for (weights, x) in [
            ([1.0, f32::INFINITY, 0.5, 0.25], [1.0, 1.0]),
            ([1.0, 0.5, 0.5, 0.25], [1.0, f32::NAN]),
            ([1.0, 0.5, 0.5, 0.25], [1.0, f32::NEG_INFINITY]),
        ] {
            let found = run(&weights, &x);
            assert!(found.iter().all(|output| !output.is_finite()), "{weights:?} {x:?} {found:?}");
        }
        assert_eq!(run(&[0.0; 4], &[1.0, -2.0]), [0.0, 0.0]);
        assert_eq!(run(&[1.0, 2.0, 3.0, 4.0], &[0.0, 0.0]), [0.0, 0.0]);
    }
}

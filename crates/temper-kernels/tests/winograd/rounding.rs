//! Bounds on the rounding of Winograd's algorithm: that they are as documented, and that errors keep them.

use proptest::prelude::*;
use temper_kernels::{Epilogue, Isa, PackedWeights, Scratch, conv2d_partial_sums};

use crate::plain::{Layer, both, input_line, shape, shapes, weights_of};
use crate::values::values;

/// `|M| d |M|ᵀ`.
fn magnitudes<const N: usize>(matrix: [[f64; 6]; N], d: &[[f64; 6]; 6]) -> [[f64; N]; N] {
    let times =
        |line: [f64; 6]| matrix.map(|row| row.iter().zip(line).map(|(a, b)| a.abs() * b).sum::<f64>());
    let columns: [[f64; N]; 6] = std::array::from_fn(|x| times(d.map(|row| row[x])));
    std::array::from_fn(|y| times(columns.map(|column| column[y])))
}

const INPUT: [[f64; 6]; 6] = [
    [4.0, 0.0, -5.0, 0.0, 1.0, 0.0],
    [0.0, -4.0, -4.0, 1.0, 1.0, 0.0],
    [0.0, 4.0, -4.0, -1.0, 1.0, 0.0],
    [0.0, -2.0, -1.0, 2.0, 1.0, 0.0],
    [0.0, 2.0, -1.0, -2.0, 1.0, 0.0],
    [0.0, 4.0, 0.0, -5.0, 0.0, 1.0],
];

const OUTPUT: [[f64; 6]; 4] = [
    [1.0, 1.0, 1.0, 1.0, 1.0, 0.0],
    [0.0, 1.0, -1.0, 2.0, -2.0, 0.0],
    [0.0, 1.0, 1.0, 4.0, 4.0, 0.0],
    [0.0, 1.0, -1.0, 8.0, -8.0, 1.0],
];

/// The documented bound on the rounding of the outputs of one tile and channel, in roundoffs.
fn rounding(layer: &Layer<'_>, out: usize, [top, left]: [usize; 2]) -> [[f64; 4]; 4] {
    let (mut sums, mut bounds) = ([[0.0f64; 6]; 6], [[0.0f64; 6]; 6]);
    for c in 0..layer.shape.input[0] {
        let seen: [[f32; 6]; 6] =
            std::array::from_fn(|i| std::array::from_fn(|j| layer.at(0, c, top + i, left + j)));
        let input = both(seen, input_line);
        let errors = magnitudes(INPUT, &seen.map(|row| row.map(|x| f64::from(x).abs())));
        let weights = weights_of(layer.kernel(out, c));
        for (i, j) in (0..6).flat_map(|i| (0..6).map(move |j| (i, j))) {
            sums[i][j] += f64::from(weights[i][j]) * f64::from(input[i][j]);
            bounds[i][j] += sums[i][j].abs()
                + f64::from(weights[i][j]).abs() * (f64::from(input[i][j]).abs() + 4.0 * errors[i][j]);
        }
    }
    let all = std::array::from_fn(|i| std::array::from_fn(|j| bounds[i][j] + 6.0 * sums[i][j].abs()));
    magnitudes(OUTPUT, &all)
}

/// Bounds on the rounding of all outputs, in roundoffs, whichever algorithm computes them.
fn bounds(layer: &Layer<'_>, packed: &PackedWeights) -> Vec<f32> {
    let [height, width] = layer.shape.output();
    let len = layer.shape.out_channels * height * width;
    let (mut sums, mut bounds) = (vec![0.0; len], vec![0.0; len]);
    let mut scratch = Scratch::default();
    conv2d_partial_sums(&layer.shape, layer.input, packed, &mut sums, &mut bounds, &mut scratch);
    bounds
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn rounding_is_bounded_as_documented(shape in shapes(), seed in 0..1000usize, offset in prop_oneof![Just(0.0f32), Just(200.0)]) {
        let [channels, h, w] = shape.input;
        let mut input = values(channels * h * w, seed as u64, false);
        for x in &mut input {
            *x += offset;
        }
        let weights = values(shape.out_channels * channels * 9, (seed + 1) as u64, false);
        let layer = Layer { shape, images: 1, input: &input, weights: &weights };
        let [height, width] = shape.output();
        for isa in Isa::available() {
            let packed = layer.packed(isa);
            let bounds = bounds(&layer, &packed);
            let directly = PackedWeights::new(isa, &weights, 1, shape.out_channels, channels * 9);
            let of_direct = self::bounds(&layer, &directly);
            let by_winograd = layer.run(&packed, &Epilogue::default());
            let directly = layer.run(&directly, &Epilogue::default());
            for out in 0..shape.out_channels {
                for (top, left) in (0..height).step_by(4).flat_map(|y| (0..width).step_by(4).map(move |x| (y, x))) {
                    let expected = rounding(&layer, out, [top, left]);
                    for (y, x) in (0..4.min(height - top)).flat_map(|y| (0..4.min(width - left)).map(move |x| (y, x))) {
                        let at = (out * height + top + y) * width + left + x;
                        let bound = f64::from(bounds[at]);
                        let expected = expected[y][x].max(f64::from(of_direct[at]));
                        prop_assert!((bound - expected).abs() <= 1e-4 * expected, "{} is not {}", bound, expected);
                        let exact = layer.exact(out, top + y, left + x);
                        for found in [by_winograd[at], directly[at]] {
                            let error = (f64::from(found) - exact).abs();
                            let most = 1.01 * bound * f64::from(f32::EPSILON) / 2.0;
                            prop_assert!(error <= most, "{} of {}", error, most);
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn bounds_of_what_is_no_number_are_none() {
    let shape = shape(16, [8, 8], 16, [1; 4]);
    let mut input = values(16 * 64, 7, false);
    let weights = values(16 * 144, 8, false);
    input[5 * 64 + 3 * 8 + 3] = f32::NAN;
    let layer = Layer { shape, images: 1, input: &input, weights: &weights };
    let found = bounds(&layer, &layer.packed(Isa::detect()));
    for (place, bound) in found.iter().enumerate() {
        let (y, x) = (place / 8 % 8, place % 8);
        if y.abs_diff(3) <= 1 && x.abs_diff(3) <= 1 {
            assert!(bound.is_nan(), "{place}: {bound}");
        }
    }
}

/// Root mean squares of the errors of Winograd's algorithm and of a direct convolution, and the largest of the former.
fn errors(channels: usize, input: &[f32], weights: &[f32]) -> [f64; 3] {
    let shape = shape(channels, [12, 12], 16, [1; 4]);
    let layer = Layer { shape, images: 1, input, weights };
    let isa = Isa::detect();
    let direct = PackedWeights::new(isa, weights, 1, 16, channels * 9);
    let [fast, direct] = [layer.packed(isa), direct].map(|packed| layer.run(&packed, &Epilogue::default()));
    let (mut squares, mut most) = ([0.0; 2], 0.0f64);
    for place in 0..fast.len() {
        let (out, y, x) = (place / 144, place / 12 % 12, place % 12);
        let exact = layer.exact(out, y, x);
        let error = |found: &[f32]| (f64::from(found[place]) - exact).abs();
        most = most.max(error(&fast));
        squares[0] += error(&fast).powi(2);
        squares[1] += error(&direct).powi(2);
    }
    let mean = |square: f64| (square / fast.len() as f64).sqrt();
    [mean(squares[0]), mean(squares[1]), most]
}

#[test]
fn errors_are_bounded_as_documented_and_some_times_those_of_a_direct_convolution() {
    for channels in [1, 16, 64] {
        let (input, weights) = (values(channels * 144, 3, false), values(16 * channels * 9, 4, false));
        let [fast, direct, most] = errors(channels, &input, &weights);
        let depth = channels as f64;
        let bound = 2304.0 * (depth + 16.0) * f64::from(f32::EPSILON) / 2.0 * depth * 2.0 * 2.0;
        assert!(most <= bound, "{channels} channels: {most:e} of {bound:e}");
        let ratio = fast / direct;
        println!("{channels} channels: {ratio:.1} times; the largest is {:.5} of the bound", most / bound);
        assert!((1.0..15.0).contains(&ratio), "{channels} channels: {ratio}");
    }
}

//! Convolution and linear layers against plain loops, bit for bit, on every instruction set this processor has.

mod support;

use proptest::prelude::*;
use support::{bits, conv_shapes, values};
use temper_kernels::{
    Activation, ConvShape, Epilogue, Isa, PackedWeights, Scratch, conv2d, linear, linear_once,
};

/// Direct convolution: one chain of fused multiply-adds an output, over channels, kernel rows and kernel columns.
fn reference_conv(shape: &ConvShape, images: usize, input: &[f32], weights: &[f32]) -> Vec<f32> {
    let [channels, h, w] = shape.input;
    let [oh, ow] = shape.output();
    let (in_group, out_group) = (channels / shape.groups, shape.out_channels / shape.groups);
    let mut output = Vec::new();
    for image in 0..images {
        for m in 0..shape.out_channels {
            for (y, x) in (0..oh).flat_map(|y| (0..ow).map(move |x| (y, x))) {
                let mut sum = 0.0f32;
                let mut weight = weights[m * in_group * shape.kernel[0] * shape.kernel[1]..].iter();
                for c in (m / out_group) * in_group..(m / out_group + 1) * in_group {
                    for ky in 0..shape.kernel[0] {
                        for kx in 0..shape.kernel[1] {
                            let row =
                                (y * shape.stride[0] + ky * shape.dilation[0]).checked_sub(shape.padding[0]);
                            let column =
                                (x * shape.stride[1] + kx * shape.dilation[1]).checked_sub(shape.padding[1]);
                            let value = match (row, column) {
                                (Some(row), Some(column)) if row < h && column < w => {
                                    input[((image * channels + c) * h + row) * w + column]
                                }
                                _ => 0.0,
                            };
                            sum = weight.next().expect("one weight a tap").mul_add(value, sum);
                        }
                    }
                }
                output.push(sum);
            }
        }
    }
    output
}

fn check_conv(shape: &ConvShape, images: usize, seed: u64, wild: bool) {
    let [channels, h, w] = shape.input;
    let columns = channels / shape.groups * shape.kernel[0] * shape.kernel[1];
    let rows = shape.out_channels / shape.groups;
    let input = values(images * channels * h * w, seed, wild);
    let weights = values(shape.out_channels * columns, seed + 1, wild);
    let sums = reference_conv(shape, images, &input, &weights);
    let [bias, scale, shift] = [2, 3, 4].map(|i| values(shape.out_channels, seed + i, false));
    let residual = values(sums.len(), seed + 5, wild);
    let activations = [Activation::Identity, Activation::Relu, Activation::Clip { min: -1.0, max: 1.0 }];
    let plain = Epilogue::default();
    let full = Epilogue {
        bias: Some(&bias),
        affine: seed.is_multiple_of(3).then_some((&scale, &shift)),
        residual: seed.is_multiple_of(2).then_some(&residual),
        activation: activations[usize::from(seed.is_multiple_of(5)) + usize::from(!wild)],
    };
    for epilogue in [plain, full] {
        let expected = bits(&finish(shape, &sums, &epilogue));
        for isa in Isa::available() {
            let packed = PackedWeights::new(isa, &weights, shape.groups, rows, columns);
            let mut output = vec![f32::NAN; expected.len()];
            conv2d(shape, images, &input, &packed, &epilogue, &mut output, &mut Scratch::default());
            assert_eq!(bits(&output), expected, "{isa:?} {shape:?}");
        }
    }
}

/// The epilogue, value by value.
fn finish(shape: &ConvShape, sums: &[f32], epilogue: &Epilogue<'_>) -> Vec<f32> {
    let [oh, ow] = shape.output();
    let each = |(at, &sum): (usize, &f32)| {
        let channel = at / (oh * ow) % shape.out_channels;
        // No bias is a bias of zero, which turns -0.0 into 0.0.
        let mut x = sum + epilogue.bias.map_or(0.0, |bias| bias[channel]);
        if let Some((scale, shift)) = epilogue.affine {
            x = x.mul_add(scale[channel], shift[channel]);
        }
        if let Some(residual) = epilogue.residual {
            x += residual[at];
        }
        epilogue.activation.apply(x)
    };
    sums.iter().enumerate().map(each).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn convolution_equals_plain_loops((shape, images) in conv_shapes(), seed in 0..1000u64, wild: bool) {
        check_conv(&shape, images, seed, wild);
    }

    #[test]
    fn linear_equals_plain_loops(rows in 1..70usize, features in 1..90usize, out in 1..90usize, seed in 0..1000u64, wild: bool) {
        let input = values(rows * features, seed, wild);
        let weights = values(out * features, seed + 1, wild);
        let bias = values(out, seed + 2, false);
        let expected: Vec<f32> = (0..rows * out)
            .map(|i| {
                let (row, neuron) = (i / out, i % out);
                let pairs = weights[neuron * features..][..features].iter().zip(&input[row * features..]);
                (pairs.fold(0.0f32, |sum, (w, x)| w.mul_add(*x, sum)) + bias[neuron]).max(0.0)
            })
            .collect();
        for isa in Isa::available() {
            let packed = PackedWeights::new(isa, &weights, 1, out, features);
            let mut output = vec![0.0; rows * out];
            let epilogue = Epilogue { bias: Some(&bias), activation: Activation::Relu, ..Epilogue::default() };
            linear(&input, &packed, &epilogue, &mut output, &mut Scratch::default());
            for (found, expected) in output.iter().zip(&expected) {
                // `f32::max` drops NaN where ReLU keeps it.
                prop_assert!(found.is_nan() || found.to_bits() == expected.to_bits(), "{isa:?}: {found} {expected}");
            }
            let mut once = vec![0.0; rows * out];
            linear_once(isa, [features, out], &input, &weights, &epilogue, &mut once, &mut Scratch::default());
            prop_assert!(once.iter().zip(&output).all(|(once, output)| once.to_bits() == output.to_bits()));
        }
    }

    #[test]
    fn packed_weights_are_read_and_replaced_in_place(groups in 1..4usize, rows in 1..20usize, columns in 1..20usize, at in 0..10_000usize) {
        let weights = values(groups * rows * columns, 5, false);
        for isa in Isa::available() {
            let mut packed = PackedWeights::new(isa, &weights, groups, rows, columns);
            let at = at % weights.len();
            packed.set(at, 77.0);
            for (i, &weight) in weights.iter().enumerate() {
                prop_assert_eq!(packed.get(i), if i == at { 77.0 } else { weight });
            }
        }
    }
}

#[test]
fn the_shapes_of_real_layers() {
    let conv = |input, out_channels, kernel: usize, stride: usize, padding: usize| ConvShape {
        input,
        out_channels,
        kernel: [kernel; 2],
        stride: [stride; 2],
        padding: [padding; 4],
        dilation: [1; 2],
        groups: 1,
    };
    let layers = [
        conv([3, 32, 32], 16, 3, 1, 1),
        conv([16, 32, 32], 32, 3, 2, 1),
        conv([16, 32, 32], 32, 1, 2, 0),
        conv([64, 8, 8], 64, 3, 1, 1),
        conv([1, 28, 28], 6, 5, 1, 2),
        conv([128, 4, 4], 96, 3, 1, 1),
    ];
    for (seed, shape) in layers.iter().enumerate() {
        check_conv(shape, 3, seed as u64, false);
    }
}

#[test]
fn the_epilogue_adds_scales_shifts_adds_and_activates_in_this_order() {
    // One output: 3 · 2 = 6; (6 + 1) · 10 − 100 = −30; −30 + 25 = −5.
    let (bias, scale, shift, residual) = ([1.0], [10.0], [-100.0], [25.0]);
    let run = |activation| {
        let epilogue = Epilogue {
            bias: Some(&bias),
            affine: Some((&scale, &shift)),
            residual: Some(&residual),
            activation,
        };
        let packed = PackedWeights::new(Isa::detect(), &[2.0], 1, 1, 1);
        let mut output = [0.0];
        linear(&[3.0], &packed, &epilogue, &mut output, &mut Scratch::default());
        output[0]
    };
    assert_eq!(run(Activation::Identity), -5.0);
    assert_eq!(run(Activation::Relu), 0.0);
    assert_eq!(run(Activation::LeakyRelu(0.5)), -2.5);
    assert_eq!(run(Activation::Clip { min: -3.0, max: 6.0 }), -3.0);
    assert!((run(Activation::Sigmoid) - 0.006_692_851).abs() < 1e-8);
    assert!((run(Activation::Tanh) + 0.999_909_2).abs() < 1e-6);
}

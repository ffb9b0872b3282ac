//! Gradients of convolutions and linear layers against their definitions in double precision, on every instruction set this processor
//! has.

mod support;

use proptest::prelude::*;
use support::{bits, conv_shapes, values};
use temper_kernels::{
    ConvGradientWeights, ConvShape, Epilogue, Isa, PackedWeights, Scratch, conv2d, conv2d_input_gradient,
    conv2d_weight_gradient, linear, linear_weight_gradient,
};

/// A sum and the sum of its terms' magnitudes, by which errors are measured.
type Sum = (f64, f64);

fn add(sum: &mut Sum, a: f32, b: f32) {
    let product = f64::from(a) * f64::from(b);
    *sum = (sum.0 + product, sum.1 + product.abs());
}

/// Gradients of `Σ output · output_gradient` by the definition of convolution: of the input and of the weights.
fn reference(
    shape: &ConvShape,
    images: usize,
    input: &[f32],
    weights: &[f32],
    output_gradient: &[f32],
) -> (Vec<Sum>, Vec<Sum>) {
    let ConvShape {
        input: [channels, h, w],
        out_channels,
        kernel: [kh, kw],
        stride,
        padding,
        dilation,
        groups,
    } = *shape;
    let [oh, ow] = shape.output();
    let (in_group, out_group) = (channels / groups, out_channels / groups);
    let (mut dx, mut dw) = (vec![(0.0, 0.0); input.len()], vec![(0.0, 0.0); weights.len()]);
    for (at, &dy) in output_gradient.iter().enumerate() {
        let (image, out, y, x) =
            (at / (ow * oh * out_channels), at / (ow * oh) % out_channels, at / ow % oh, at % ow);
        assert!(image < images);
        for tap in 0..in_group * kh * kw {
            let (c, ky, kx) = (tap / (kh * kw), tap / kw % kh, tap % kw);
            let row = (y * stride[0] + ky * dilation[0]).wrapping_sub(padding[0]);
            let column = (x * stride[1] + kx * dilation[1]).wrapping_sub(padding[1]);
            if row < h && column < w {
                let place = ((image * channels + out / out_group * in_group + c) * h + row) * w + column;
                let weight = out * in_group * kh * kw + tap;
                add(&mut dx[place], weights[weight], dy);
                add(&mut dw[weight], input[place], dy);
            }
        }
    }
    (dx, dw)
}

/// Every value within a few roundings of its sum; NaN where the definition says so.
fn close(found: &[f32], expected: &[Sum], what: &str) {
    for (i, (&found, &(sum, magnitude))) in found.iter().zip(expected).enumerate() {
        if sum.is_nan() || sum.is_infinite() {
            assert!(!found.is_finite(), "{what}, {i}: {found}, not {sum}");
        } else if magnitude < 1e30 {
            // Of chains of at most 256 multiply-adds.
            let error = (f64::from(found) - sum).abs();
            assert!(error <= 1e-5 * magnitude + 1e-38, "{what}, {i}: {found}, not {sum}");
        }
    }
}

/// Computes both gradients on every instruction set and returns them.
fn check_conv(shape: &ConvShape, images: usize, seed: u64) {
    let [channels, h, w] = shape.input;
    let [oh, ow] = shape.output();
    let taps = channels / shape.groups * shape.kernel[0] * shape.kernel[1];
    let input = values(images * channels * h * w, seed, false);
    let weights = values(shape.out_channels * taps, seed + 1, false);
    let output_gradient = values(images * shape.out_channels * oh * ow, seed + 2, false);
    let before = values(weights.len(), seed + 3, false);
    let (dx, mut dw) = reference(shape, images, &input, &weights, &output_gradient);
    for (sum, &before) in dw.iter_mut().zip(&before) {
        add(sum, before, 1.0);
    }
    let mut first = None;
    for isa in Isa::available() {
        let mut scratch = Scratch::default();
        let packed = ConvGradientWeights::new(isa, shape, &weights);
        let mut input_gradient = vec![f32::NAN; input.len()];
        conv2d_input_gradient(images, &output_gradient, &packed, &mut input_gradient, &mut scratch);
        close(&input_gradient, &dx, &format!("input gradient, {isa:?}, {shape:?}"));
        let mut weight_gradient = before.clone();
        conv2d_weight_gradient(
            isa,
            shape,
            images,
            &input,
            &output_gradient,
            &mut weight_gradient,
            &mut scratch,
        );
        close(&weight_gradient, &dw, &format!("weight gradient, {isa:?}, {shape:?}"));
        let found = (bits(&input_gradient), bits(&weight_gradient));
        assert_eq!(first.get_or_insert_with(|| found.clone()), &found, "{isa:?}, {shape:?}");
    }
}

fn dot(a: &[f32], b: &[f32]) -> Sum {
    let mut sum = (0.0, 0.0);
    a.iter().zip(b).for_each(|(&a, &b)| add(&mut sum, a, b));
    sum
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn convolution_gradients_follow_the_definition((shape, images) in conv_shapes(), seed in 0..1000u64) {
        check_conv(&shape, images, seed);
    }

    /// ⟨dY, conv(X)⟩ = ⟨dX, X⟩ = ⟨dW, W⟩: the gradients are the adjoints of the forward pass.
    #[test]
    fn convolution_gradients_are_adjoint_to_the_forward_pass((shape, images) in conv_shapes(), seed in 0..1000u64) {
        let isa = Isa::detect();
        let mut scratch = Scratch::default();
        let columns = shape.input[0] / shape.groups * shape.kernel[0] * shape.kernel[1];
        let input = values(images * shape.input.iter().product::<usize>(), seed, false);
        let weights = values(shape.out_channels * columns, seed + 1, false);
        let packed = PackedWeights::new(isa, &weights, shape.groups, shape.out_channels / shape.groups, columns);
        let mut output = vec![0.0; images * shape.out_channels * shape.output().iter().product::<usize>()];
        conv2d(&shape, images, &input, &packed, &Epilogue::default(), &mut output, &mut scratch);
        let dy = values(output.len(), seed + 2, false);
        let (mut dx, mut dw) = (vec![0.0; input.len()], vec![0.0; weights.len()]);
        conv2d_input_gradient(images, &dy, &ConvGradientWeights::new(isa, &shape, &weights), &mut dx, &mut scratch);
        conv2d_weight_gradient(isa, &shape, images, &input, &dy, &mut dw, &mut scratch);
        let forward = dot(&dy, &output);
        for backward in [dot(&dx, &input), dot(&dw, &weights)] {
            let magnitude = forward.1.max(backward.1);
            prop_assert!((forward.0 - backward.0).abs() <= 1e-5 * magnitude, "{forward:?} {backward:?}");
        }
    }

    #[test]
    fn linear_gradients_follow_the_definition(rows in 1..600usize, features in 1..70usize, out in 1..40usize, seed in 0..1000u64) {
        let input = values(rows * features, seed, false);
        let weights = values(out * features, seed + 1, false);
        let output_gradient = values(rows * out, seed + 2, false);
        let before = values(weights.len(), seed + 3, false);
        let mut dw: Vec<Sum> = before.iter().map(|&x| (x.into(), x.abs().into())).collect();
        let mut dx = vec![(0.0, 0.0); input.len()];
        for (row, (o, i)) in (0..rows).flat_map(|row| (0..out * features).map(move |at| (row, (at / features, at % features)))) {
            add(&mut dw[o * features + i], output_gradient[row * out + o], input[row * features + i]);
            add(&mut dx[row * features + i], output_gradient[row * out + o], weights[o * features + i]);
        }
        let mut first = None;
        for isa in Isa::available() {
            let mut scratch = Scratch::default();
            let mut weight_gradient = before.clone();
            // In two parts of the outputs, cut anywhere.
            let cut = rows % (out + 1);
            let (low, high) = weight_gradient.split_at_mut(cut * features);
            for (outputs, part) in [(0..cut, low), (cut..out, high)] {
                linear_weight_gradient(isa, [features, out], outputs, &input, &output_gradient, part, &mut scratch);
            }
            close(&weight_gradient, &dw, &format!("{isa:?}"));
            let mut input_gradient = vec![f32::NAN; input.len()];
            let transposed = PackedWeights::transposed(isa, &weights, out, features);
            linear(&output_gradient, &transposed, &Epilogue::default(), &mut input_gradient, &mut scratch);
            close(&input_gradient, &dx, &format!("{isa:?}"));
            let found = bits(&weight_gradient);
            prop_assert_eq!(first.get_or_insert_with(|| found.clone()), &found);
        }
    }

    #[test]
    fn transposed_weights_are_packed_and_found(rows in 1..40usize, columns in 1..40usize) {
        let weights = values(rows * columns, 5, false);
        for isa in Isa::available() {
            let packed = PackedWeights::transposed(isa, &weights, rows, columns);
            prop_assert_eq!((packed.rows(), packed.columns()), (columns, rows));
            for (i, &weight) in weights.iter().enumerate() {
                prop_assert_eq!(packed.get(i % columns * rows + i / columns), weight);
            }
        }
    }
}

fn conv(input: [usize; 3], out_channels: usize, kernel: usize, stride: usize, padding: usize) -> ConvShape {
    let (kernel, stride, padding) = ([kernel; 2], [stride; 2], [padding; 4]);
    ConvShape { input, out_channels, kernel, stride, padding, dilation: [1; 2], groups: 1 }
}

#[test]
fn the_shapes_of_real_layers() {
    let layers = [
        (conv([3, 32, 32], 64, 3, 1, 1), 3),
        (conv([16, 32, 32], 32, 3, 2, 1), 3),
        (conv([16, 32, 32], 32, 1, 2, 0), 3),
        (conv([64, 8, 8], 80, 3, 1, 1), 2),
        (conv([1, 28, 28], 6, 5, 1, 2), 7),
        (conv([6, 14, 14], 16, 5, 1, 0), 30),
        (conv([40, 4, 4], 48, 3, 1, 1), 140),
        // The stem of networks for ImageNet.
        (conv([3, 40, 40], 8, 7, 2, 3), 1),
        (ConvShape { groups: 20, ..conv([20, 16, 16], 40, 3, 1, 1) }, 9),
        (ConvShape { groups: 20, ..conv([20, 15, 15], 20, 3, 2, 1) }, 9),
    ];
    for (seed, (shape, images)) in layers.iter().enumerate() {
        check_conv(shape, *images, seed as u64);
    }
}

#[test]
fn padding_beyond_the_kernel_and_dilated_strides() {
    for (seed, (padding, dilation, stride)) in
        [([3, 0, 0, 4], 1, 1), ([5; 4], 2, 3), ([0; 4], 2, 2), ([0, 4, 4, 0], 1, 2)].into_iter().enumerate()
    {
        let shape =
            ConvShape { padding, dilation: [dilation; 2], groups: 2, ..conv([4, 9, 8], 6, 2, stride, 0) };
        check_conv(&shape, 3, seed as u64);
    }
}

#[test]
fn nan_and_infinity_reach_exactly_what_they_touch() {
    // One value of the output gradient, far from the edges, of a convolution in two groups.
    let shape = ConvShape { groups: 2, ..conv([4, 9, 9], 4, 3, 1, 1) };
    let (input, weights) = (values(4 * 81, 1, false), values(4 * 2 * 9, 2, false));
    for wild in [f32::NAN, f32::INFINITY] {
        let mut dy = values(4 * 81, 3, false);
        dy[81 + 4 * 9 + 4] = wild;
        for isa in Isa::available() {
            let mut scratch = Scratch::default();
            let (mut dx, mut dw) = (vec![0.0; input.len()], vec![0.0; weights.len()]);
            conv2d_input_gradient(
                1,
                &dy,
                &ConvGradientWeights::new(isa, &shape, &weights),
                &mut dx,
                &mut scratch,
            );
            conv2d_weight_gradient(isa, &shape, 1, &input, &dy, &mut dw, &mut scratch);
            for (i, x) in dx.iter().enumerate() {
                let touched = i / 81 < 2 && (3..6).contains(&(i / 9 % 9)) && (3..6).contains(&(i % 9));
                assert_eq!(!x.is_finite(), touched, "{isa:?}: {x} at {i}");
            }
            for (i, x) in dw.iter().enumerate() {
                assert_eq!(!x.is_finite(), i / 18 == 1, "{isa:?}: {x} at {i}");
            }
        }
    }
}

#[test]
fn a_nan_input_reaches_only_weights_whose_window_meets_it() {
    // The last column, which taps of the first two kernel columns never see.
    let shape = conv([2, 6, 20], 3, 3, 1, 0);
    let mut input = values(2 * 120, 1, false);
    input[120 + 19] = f32::NAN;
    let dy = values(3 * 4 * 18, 2, false);
    for isa in Isa::available() {
        let mut dw = vec![0.0; 54];
        conv2d_weight_gradient(isa, &shape, 1, &input, &dy, &mut dw, &mut Scratch::default());
        for (i, x) in dw.iter().enumerate() {
            assert_eq!(x.is_nan(), i / 9 % 2 == 1 && i % 9 == 2, "{isa:?}: {x} at {i}");
        }
    }
}

//! Gradients of pooling, batch normalisation, ReLU and the loss against their definitions in double precision.

#[path = "support/values.rs"]
mod support;

use proptest::prelude::*;
use support::values;
use temper_kernels::{
    Moments, PoolShape, avg_pool2d, avg_pool2d_gradient, batch_norm, batch_norm_gradient_sums,
    batch_norm_input_gradient, channel_moments, channel_sums, cross_entropy, max_pool2d_gradient,
    relu_gradient,
};

fn near(found: f64, expected: f64, scale: f64) -> bool {
    (found - expected).abs() <= 2e-6 * scale
}

/// Pooling of all kinds, floor mode, and a number of planes.
fn pool_shapes() -> impl Strategy<Value = (PoolShape, usize)> {
    let pair = |low: usize, high: usize| [low..high, low..high];
    let parts = (pair(1, 12), pair(1, 4), pair(1, 4), [0..2usize, 0..2, 0..2, 0..2], pair(1, 3), 1..4usize);
    parts.prop_filter_map("the window must fit", |(input, kernel, stride, padding, dilation, planes)| {
        let mut output = [0; 2];
        for i in 0..2 {
            let padded = input[i] + padding[i] + padding[i + 2];
            output[i] = padded.checked_sub(dilation[i] * (kernel[i] - 1) + 1)? / stride[i] + 1;
        }
        Some((PoolShape { input, output, kernel, stride, padding, dilation }, planes))
    })
}

/// Places of the input under each output's window, in row-major order.
fn windows(shape: &PoolShape) -> Vec<Vec<usize>> {
    let [h, w] = shape.input;
    let place = |y: usize, x: usize, ky: usize, kx: usize| {
        let row = (y * shape.stride[0] + ky * shape.dilation[0]).wrapping_sub(shape.padding[0]);
        let column = (x * shape.stride[1] + kx * shape.dilation[1]).wrapping_sub(shape.padding[1]);
        (row < h && column < w).then(|| row * w + column)
    };
    let [kh, kw] = shape.kernel;
    let outputs = (0..shape.output[0]).flat_map(|y| (0..shape.output[1]).map(move |x| (y, x)));
    outputs.map(|(y, x)| (0..kh * kw).filter_map(|k| place(y, x, k / kw, k % kw)).collect()).collect()
}

fn check_max(shape: &PoolShape, planes: usize, seed: u64) {
    // Few different values, so that there are ties.
    let input: Vec<f32> = values(planes * shape.input.iter().product::<usize>(), seed, true)
        .into_iter()
        .map(|x| if x.abs() < 2.5 { x.round() } else { x })
        .collect();
    let gradient = values(planes * shape.output.iter().product::<usize>(), seed + 1, false);
    let mut expected = vec![0.0f32; input.len()];
    let (plane, windows) = (input.len() / planes, windows(shape));
    for (at, &gradient) in gradient.iter().enumerate() {
        let start = at / windows.len() * plane;
        let value = |place: &usize| input[start + *place];
        let window = &windows[at % windows.len()];
        let nan = window.iter().copied().rfind(|place| value(place).is_nan());
        let largest = window.iter().map(value).fold(f32::NEG_INFINITY, f32::max);
        let winner = nan.or_else(|| window.iter().copied().find(|place| value(place) == largest));
        if let Some(winner) = winner {
            expected[start + winner] += gradient;
        }
    }
    let mut found = vec![f32::NAN; input.len()];
    max_pool2d_gradient(shape, &input, &gradient, &mut found);
    assert_eq!(found, expected, "{shape:?}");
}

fn check_average(shape: &PoolShape, planes: usize, count_padding: bool, seed: u64) {
    let inputs = shape.input.iter().product::<usize>();
    let gradient = values(planes * shape.output.iter().product::<usize>(), seed, false);
    let mut found = vec![f32::NAN; planes * inputs];
    avg_pool2d_gradient(shape, count_padding, &gradient, &mut found);
    // Average pooling is linear: its gradient is its transpose, which unit vectors read out.
    let mut output = vec![0.0; shape.output.iter().product()];
    for place in 0..inputs {
        let mut unit = vec![0.0; inputs];
        unit[place] = 1.0;
        avg_pool2d(shape, count_padding, &unit, &mut output);
        for (found, gradient) in found.chunks(inputs).zip(gradient.chunks(output.len())) {
            let pairs = || output.iter().zip(gradient).filter(|(part, _)| !part.is_nan());
            let expected: f64 = pairs().map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
            assert!(near(found[place].into(), expected, 9.0), "{shape:?}: {} {expected}", found[place]);
        }
    }
}

fn halving(input: [usize; 2]) -> PoolShape {
    let output = input.map(|extent| extent / 2);
    PoolShape { input, output, kernel: [2; 2], stride: [2; 2], padding: [0; 4], dilation: [1; 2] }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn pooling_gradients_follow_the_definition((shape, planes) in pool_shapes(), count_padding: bool, seed in 0..1000u64) {
        check_max(&shape, planes, seed);
        check_average(&shape, planes, count_padding, seed);
    }

    #[test]
    fn halving_follows_the_definition(h in 2..20usize, w in 2..70usize, seed in 0..1000u64) {
        check_max(&halving([h, w]), 3, seed);
        check_average(&halving([h, w]), 3, true, seed);
    }

    #[test]
    fn moments_are_those_of_all_values(channels in 1..5usize, plane in 1..200usize, images in 1..6usize, mean in -1e4..1e4f32, seed in 0..1000u64) {
        let all: Vec<f32> = values(images * channels * plane, seed, false).iter().map(|x| x + mean).collect();
        let mut moments = vec![Moments::default(); channels];
        let mut sums = vec![0.5; channels];
        // In two blocks.
        let (first, second) = all.split_at(images / 2 * channels * plane);
        for block in [first, second] {
            channel_moments(plane, block, &mut moments);
            channel_sums(plane, block, &mut sums);
        }
        for (channel, (moments, sum)) in moments.iter().zip(sums).enumerate() {
            let places = (0..images).flat_map(|i| (0..plane).map(move |p| (i * channels + channel) * plane + p));
            let own: Vec<f64> = places.map(|at| all[at].into()).collect();
            let (count, total) = (own.len() as f64, own.iter().sum::<f64>());
            let squares: f64 = own.iter().map(|x| (x - total / count).powi(2)).sum();
            prop_assert_eq!(moments.count, count);
            prop_assert!((moments.mean - total / count).abs() <= 1e-6, "{} {}", moments.mean, total / count);
            prop_assert!(near(moments.squares, squares, squares + 1e-9), "{} {squares}", moments.squares);
            prop_assert!(near(sum, total + 0.5, own.iter().map(|x| x.abs()).sum::<f64>() + 1.0));
        }
    }

    #[test]
    fn batch_norm_gradients_follow_the_definition(channels in 1..4usize, plane in 1..70usize, images in 2..5usize, fused: bool, seed in 0..1000u64) {
        check_batch_norm(channels, plane, images, fused, seed);
    }

    #[test]
    fn cross_entropy_follows_the_definition(rows in 1..6usize, classes in 1..12usize, smoothing in prop_oneof![Just(0.0f32), 0.0..0.9f32], seed in 0..1000usize) {
        let logits: Vec<f32> = values(rows * classes, seed as u64, false).iter().map(|x| 10.0 * x).collect();
        let labels: Vec<usize> = (0..rows).map(|row| (row * 7 + seed) % classes).collect();
        let mut gradient = vec![f32::NAN; logits.len()];
        let loss = cross_entropy(&labels, smoothing, 0.25, &logits, &mut gradient);
        let mut expected = 0.0;
        for (row, logits) in logits.chunks(classes).enumerate() {
            let log = logits.iter().map(|&x| f64::from(x).exp()).sum::<f64>().ln();
            for (class, &x) in logits.iter().enumerate() {
                let mut target = f64::from(smoothing) / classes as f64;
                if class == labels[row] {
                    target += 1.0 - f64::from(smoothing);
                }
                expected -= target * (f64::from(x) - log);
                let slope = 0.25 * ((f64::from(x) - log).exp() - target);
                prop_assert!(near(gradient[row * classes + class].into(), slope, 1.0));
            }
        }
        prop_assert!(near(loss, expected, 50.0), "{loss} {expected}");
    }
}

#[expect(clippy::cast_possible_truncation, reason = "as training rounds them")]
fn rounded(values: impl Iterator<Item = f64>) -> Vec<f32> {
    values.map(|x| x as f32).collect()
}

/// Batch norm with weight and bias, and a residual and ReLU on request, against formulas in double precision.
fn check_batch_norm(channels: usize, plane: usize, images: usize, fused: bool, seed: u64) {
    let len = images * channels * plane;
    let (input, dy) = (values(len, seed, false), values(len, seed + 1, false));
    let residual = fused.then(|| values(len, seed + 2, false));
    let [weight, bias] = [3, 4].map(|i| values(channels, seed + i, false));
    let mut moments = vec![Moments::default(); channels];
    channel_moments(plane, &input, &mut moments);
    let mean = rounded(moments.iter().map(|m| m.mean));
    let inv_std = rounded(moments.iter().map(|m| 1.0 / (m.variance() + 1e-2).sqrt()));
    let scale: Vec<f32> = inv_std.iter().zip(&weight).map(|(a, b)| a * b).collect();
    let mut output = vec![f32::NAN; len];
    batch_norm(plane, &mean, &scale, &bias, residual.as_deref(), fused, &input, &mut output);
    let (mut dz, mut sums, mut dx) = (dy.clone(), vec![[0.0; 2]; channels], vec![f32::NAN; len]);
    batch_norm_gradient_sums(plane, &mean, &inv_std, &input, fused.then_some(&output), &mut dz, &mut sums);
    let count = (images * plane) as f64;
    batch_norm_input_gradient(plane, &mean, &inv_std, &weight, count, &sums, &input, &dz, &mut dx);
    for channel in 0..channels {
        let (mean, inv) = (moments[channel].mean, 1.0 / (moments[channel].variance() + 1e-2).sqrt());
        let (weight, bias) = (f64::from(weight[channel]), f64::from(bias[channel]));
        let own = || (0..len).filter(|at| at / plane % channels == channel);
        let hat = |at: usize| (f64::from(input[at]) - mean) * inv;
        let (mut sum, mut product) = (0.0, 0.0);
        for at in own() {
            let mut z = hat(at) * weight + bias;
            z += residual.as_ref().map_or(0.0, |residual| residual[at].into());
            let y = if fused { z.max(0.0) } else { z };
            assert!(near(output[at].into(), y, 40.0), "{} {y}", output[at]);
            let expected = if fused && output[at] <= 0.0 { 0.0 } else { dy[at] };
            assert_eq!(dz[at], expected);
            sum += f64::from(dz[at]);
            product += f64::from(dz[at]) * hat(at);
        }
        assert!(near(sums[channel][0], sum, 2.0 * count) && near(sums[channel][1], product, 20.0 * count));
        for at in own() {
            let expected = weight * inv * (f64::from(dz[at]) - sum / count - hat(at) * product / count);
            assert!(near(dx[at].into(), expected, 400.0), "{} {expected}", dx[at]);
        }
    }
}

#[test]
fn ties_go_to_the_first_and_nan_to_the_last() {
    // As PyTorch answers, window by window.
    let input = [
        [1.0, f32::NAN, 2.0, 3.0],
        [f32::NAN, 1.0, f32::NAN, 2.0],
        [f32::NEG_INFINITY; 4],
        [3.0, 3.0, 1.0, 3.0],
        [0.0, -0.0, 0.0, -0.0],
    ]
    .concat();
    let mut gradient = [f32::NAN; 20];
    max_pool2d_gradient(&halving([2, 2]), &input, &[1.0; 5], &mut gradient);
    let winners = [1, 2, 0, 0, 0];
    for (window, winner) in gradient.chunks(4).zip(winners) {
        let expected: Vec<f32> = (0..4).map(|i| f32::from(u8::from(i == winner))).collect();
        assert_eq!(window, expected);
    }
}

#[test]
fn a_global_average_spreads_evenly() {
    let shape = PoolShape { output: [1, 1], kernel: [3, 5], ..halving([3, 5]) };
    check_average(&shape, 4, false, 1);
}

#[test]
fn rectified_gradients_stop_at_zero_and_pass_nan() {
    let mut gradient = [1.0, 2.0, 3.0, 4.0, f32::NAN];
    relu_gradient(&[0.0, -0.0, 5.0, f32::NAN, 1.0], &mut gradient);
    assert_eq!(gradient[..4], [0.0, 0.0, 3.0, 4.0]);
    assert!(gradient[4].is_nan());
}

#[test]
fn combining_with_nothing_changes_nothing() {
    let some = Moments { count: 3.0, mean: 2.0, squares: 5.0 };
    let mut left = some;
    left.combine(&Moments::default());
    let mut right = Moments::default();
    right.combine(&some);
    assert_eq!([left, right], [some; 2]);
    let mut empty = Moments::default();
    empty.combine(&Moments::default());
    assert_eq!(empty, Moments::default());
    // {1, 3} and {5}: mean 3, squares 4 + 0 + 4.
    let mut pair = Moments { count: 2.0, mean: 2.0, squares: 2.0 };
    pair.combine(&Moments { count: 1.0, mean: 5.0, squares: 0.0 });
    assert_eq!(
        (pair.mean, pair.squares, pair.variance(), pair.unbiased_variance()),
        (3.0, 8.0, 8.0 / 3.0, 4.0)
    );
}

#[test]
fn nan_reaches_its_channel_and_its_row_only() {
    let mut values = vec![1.0; 2 * 3 * 40];
    values[3 * 40 + 45] = f32::NAN;
    let (mut moments, mut sums) = ([Moments::default(); 3], [0.0; 3]);
    channel_moments(40, &values, &mut moments);
    channel_sums(40, &values, &mut sums);
    for channel in 0..3 {
        assert_eq!(moments[channel].mean.is_nan(), channel == 1);
        assert_eq!(sums[channel].is_nan(), channel == 1);
    }
    let mut gradient = [0.0; 4];
    assert!(cross_entropy(&[0, 1], 0.0, 1.0, &[f32::NAN, 1.0, 0.0, 0.0], &mut gradient).is_nan());
    assert!(gradient[..2].iter().all(|x| x.is_nan()));
    assert_eq!(gradient[2..], [0.5, -0.5]);
    // Far beyond what exponentials can hold.
    let loss = cross_entropy(&[1], 0.0, 1.0, &[1e30, 0.0], &mut gradient[..2]);
    assert!((loss / 1e30 - 1.0).abs() < 1e-6);
    assert_eq!(gradient[..2], [1.0, -1.0]);
}

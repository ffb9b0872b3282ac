//! Known answers for pooling, activations, channel-wise affine maps and softmax.

use temper_kernels::{
    Activation, PoolShape, Region, activate, affine, avg_pool2d, max_pool2d, max_pool2d_regions, softmax,
};

fn pool(
    input: [usize; 2],
    output: [usize; 2],
    kernel: usize,
    stride: usize,
    padding: [usize; 4],
) -> PoolShape {
    PoolShape { input, output, kernel: [kernel; 2], stride: [stride; 2], padding, dilation: [1; 2] }
}

#[test]
fn max_pooling_takes_the_largest_and_lets_nan_win() {
    let input = [1.0, 2.0, -1.0, -2.0, 3.0, 0.0, f32::NAN, -5.0, 9.0, 9.0, 9.0, 9.0];
    let mut output = [0.0; 2];
    max_pool2d(&pool([3, 4], [1, 2], 2, 2, [0; 4]), &input, &mut output);
    assert_eq!(output[0], 3.0);
    assert!(output[1].is_nan());
    // The general path, with a window that starts with NaN and one of nothing but minus infinity.
    let input = [f32::NAN, 1.0, 2.0, f32::NEG_INFINITY];
    let mut output = [0.0; 4];
    max_pool2d(&pool([1, 4], [1, 4], 1, 1, [0; 4]), &input, &mut output);
    assert!(output[0].is_nan());
    assert_eq!(output[1..], [1.0, 2.0, f32::NEG_INFINITY]);
}

#[test]
fn rows_of_any_length_are_halved_as_windows_are() {
    let special = [f32::NAN, -f32::NAN, 0.0, -0.0, f32::NEG_INFINITY, f32::INFINITY, 1e-42, -1.5, 2.5];
    for width in 2..72 {
        let shape = pool([5, width], [2, width / 2], 2, 2, [0; 4]);
        let value = |i: usize| if i % 5 < 2 { special[i * 7 % 9] } else { (i * 37 % 101) as f32 - 50.0 };
        let input: Vec<f32> = (0..3 * 5 * width).map(value).collect();
        let outputs = 3 * 2 * (width / 2);
        let (mut halved, mut windows) = (vec![0.0; outputs], vec![0.0; outputs]);
        max_pool2d(&shape, &input, &mut halved);
        max_pool2d_regions(&shape, 3, &input, &mut windows, &[Region::whole(0, [3, 2, width / 2])]);
        let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&halved), bits(&windows), "width {width}");
    }
}

#[test]
fn padding_never_wins_a_max_and_counts_in_a_mean_only_on_request() {
    let input = [-1.0, -2.0, -3.0, -4.0];
    let shape = pool([2, 2], [2, 2], 2, 2, [1; 4]);
    let mut output = [0.0; 4];
    max_pool2d(&shape, &input, &mut output);
    assert_eq!(output, input);
    avg_pool2d(&shape, true, &input, &mut output);
    assert_eq!(output, [-0.25, -0.5, -0.75, -1.0]);
    avg_pool2d(&shape, false, &input, &mut output);
    assert_eq!(output, input);
}

#[test]
fn a_partial_last_window_divides_by_what_it_covers() {
    // One row of five, windows of two in steps of two, the last one reaching beyond the input (ceil mode).
    let shape = PoolShape {
        input: [1, 5],
        output: [1, 3],
        kernel: [1, 2],
        stride: [1, 2],
        padding: [0; 4],
        dilation: [1; 2],
    };
    let mut output = [0.0; 3];
    avg_pool2d(&shape, true, &[1.0, 2.0, 3.0, 4.0, 5.0], &mut output);
    assert_eq!(output, [1.5, 3.5, 5.0]);
}

#[test]
fn dilated_windows_skip_values() {
    let shape = PoolShape {
        input: [1, 5],
        output: [1, 3],
        kernel: [1, 2],
        stride: [1, 1],
        padding: [0; 4],
        dilation: [1, 2],
    };
    let mut output = [0.0; 3];
    max_pool2d(&shape, &[5.0, 9.0, 1.0, 2.0, 3.0], &mut output);
    assert_eq!(output, [5.0, 9.0, 3.0]);
}

#[test]
fn every_activation_keeps_nan_and_meets_infinities() {
    for activation in [
        Activation::Identity,
        Activation::Relu,
        Activation::LeakyRelu(0.1),
        Activation::Clip { min: 0.0, max: 6.0 },
        Activation::Sigmoid,
        Activation::Tanh,
    ] {
        assert!(activation.apply(f32::NAN).is_nan(), "{activation:?}");
    }
    let mut values = [f32::NEG_INFINITY, -1.0, 7.0, f32::INFINITY];
    activate(Activation::Clip { min: 0.0, max: 6.0 }, &mut values);
    assert_eq!(values, [0.0, 0.0, 6.0, 6.0]);
    assert_eq!(Activation::Sigmoid.apply(f32::NEG_INFINITY), 0.0);
    assert_eq!(Activation::Sigmoid.apply(f32::INFINITY), 1.0);
    assert_eq!(Activation::Relu.apply(f32::INFINITY), f32::INFINITY);
}

#[test]
fn affine_maps_each_channel() {
    let mut values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
    affine(2, &[2.0, 3.0], &[1.0, -1.0], &mut values);
    assert_eq!(values, [3.0, 5.0, 8.0, 11.0, 11.0, 13.0, 20.0, 23.0]);
}

#[test]
fn softmax_sums_to_one_and_spreads_nan_over_its_row_only() {
    let mut values = [1000.0, 1000.0, 0.0, f32::NAN, 1.0, 2.0];
    softmax(3, 1, &mut values);
    assert_eq!(values[..3], [0.5, 0.5, 0.0]);
    assert!(values[3..].iter().all(|v| v.is_nan()));
    // Along an outer dimension: columns (0, ln 3) and (0, 0).
    let mut values = [0.0, 0.0, 3.0f32.ln(), 0.0];
    softmax(2, 2, &mut values);
    for (found, expected) in values.iter().zip([0.25, 0.5, 0.75, 0.5]) {
        assert!((found - expected).abs() < 1e-6);
    }
}

#[test]
fn whole_planes_are_averaged_in_the_order_of_memory() {
    // Nineteen planes of 7 × 5, whose sums depend on the order.
    let input: Vec<f32> =
        (0..19 * 35).map(|i| (i * 7919 % 1000) as f32 * 10f32.powi(i % 9 - 4) - 5.0).collect();
    let mut output = [0.0; 19];
    let shape = PoolShape { kernel: [7, 5], ..pool([7, 5], [1, 1], 1, 1, [0; 4]) };
    avg_pool2d(&shape, false, &input, &mut output);
    for (plane, mean) in input.chunks_exact(35).zip(output) {
        assert_eq!(plane.iter().fold(0.0, |sum, x| sum + x) / 35.0, mean);
    }
    avg_pool2d(&shape, true, &[-0.0; 35], &mut output[..1]);
    assert_eq!(output[0].to_bits(), (-0.0f32).to_bits());
}

#[test]
fn halving_keeps_what_it_meets_first_of_equal_zeros() {
    // Wide enough for every vector, with an odd column and row left over.
    let mut input = vec![-0.0f32; 3 * 39];
    input[39] = 0.0;
    input[3] = 0.0;
    let mut output = [1.0; 19];
    max_pool2d(&pool([3, 39], [1, 19], 2, 2, [0; 4]), &input, &mut output);
    assert_eq!(output.map(f32::to_bits)[..3], [0x8000_0000, 0x8000_0000, 0x8000_0000]);
}

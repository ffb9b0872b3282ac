//! What the tests of products share.

use proptest::prelude::*;
use temper_kernels::ConvShape;

/// Bit patterns to compare.
pub(crate) fn bits(values: &[f32]) -> Vec<u32> {
    // All NaN alike: which payload survives an addition is the processor's choice.
    values.iter().map(|v| if v.is_nan() { f32::NAN.to_bits() } else { v.to_bits() }).collect()
}

/// Values as faulty networks meet them: mostly ordinary, some zero, infinite, NaN, subnormal or huge.
pub(crate) fn values(count: usize, seed: u64, wild: bool) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let special = [
        0.0,
        -0.0,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
        1e-40,
        -3e-42,
        1e38,
        -3e38,
        f32::MIN_POSITIVE,
    ];
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            if wild && state.is_multiple_of(37) {
                special[(state >> 32) as usize % special.len()]
            } else {
                ((state >> 40) as f32 / (1u64 << 24) as f32 - 0.5) * 4.0
            }
        })
        .collect()
}

/// Small convolutions of all kinds, and a number of images.
pub(crate) fn conv_shapes() -> impl Strategy<Value = (ConvShape, usize)> {
    let pair = |low: usize, high: usize| [low..high, low..high];
    (
        1..4usize,
        1..6usize,
        // Up to three of the widest vectors of channels.
        prop_oneof![1..12usize, 12..50usize],
        pair(1, 12),
        pair(1, 5),
        pair(1, 4),
        [0..4usize, 0..4, 0..4, 0..4],
        pair(1, 3),
        1..6usize,
    )
        .prop_filter_map(
            "the kernel must fit",
            |(groups, in_group, out_group, size, kernel, stride, padding, dilation, images)| {
                let fits =
                    (0..2).all(|i| size[i] + padding[i] + padding[i + 2] > dilation[i] * (kernel[i] - 1));
                let input = [groups * in_group, size[0], size[1]];
                let out_channels = groups * out_group;
                let shape = ConvShape { input, out_channels, kernel, stride, padding, dilation, groups };
                fits.then_some((shape, images))
            },
        )
}

//! What the tests of products share.

mod bits;
mod values;

pub(crate) use bits::bits;
use proptest::prelude::*;
use temper_kernels::ConvShape;
pub(crate) use values::values;

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

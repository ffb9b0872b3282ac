//! Parts of outputs against the whole, bit for bit, on every instruction set this processor has.

mod support;

use proptest::prelude::*;
use support::{bits, conv_shapes, values};
use temper_kernels::{
    Activation, ConvShape, Epilogue, Isa, PackedWeights, PoolShape, Region, Scratch, avg_pool2d,
    avg_pool2d_regions, conv2d, conv2d_regions, linear, linear_regions, max_pool2d, max_pool2d_regions,
};

/// Boxes somewhere in a batch, given in 256ths of each extent; some are empty, some alike, some overlap.
fn boxes() -> impl Strategy<Value = Vec<([usize; 7], bool)>> {
    prop::collection::vec(
        ([0..256usize, 0..256, 0..257, 0..256, 0..257, 0..256, 0..257], any::<bool>()),
        0..9,
    )
}

fn regions(
    boxes: &[([usize; 7], bool)],
    images: usize,
    [channels, height, width]: [usize; 3],
) -> Vec<Region> {
    let range = |a: usize, b: usize, extent: usize| {
        let (a, b) = (a * extent / 256, b * extent / 256);
        a.min(b)..a.max(b)
    };
    let mut regions: Vec<Region> = Vec::new();
    for &([image, c0, c1, y0, y1, x0, x1], same) in boxes {
        let mut region = Region {
            image: image * images / 256,
            channels: range(c0, c1, channels),
            rows: range(y0, y1, height),
            columns: range(x0, x1, width),
        };
        if let Some(last) = regions.last().filter(|_| same) {
            region.channels = last.channels.clone();
        }
        regions.push(region);
    }
    regions
}

/// The whole output where regions are, `untouched` elsewhere.
fn expected(
    whole: &[f32],
    untouched: f32,
    regions: &[Region],
    [_, height, width]: [usize; 3],
    channels: usize,
) -> Vec<f32> {
    let mut expected = vec![untouched; whole.len()];
    for region in regions {
        for c in region.channels.clone() {
            for y in region.rows.clone() {
                for x in region.columns.clone() {
                    let at = ((region.image * channels + c) * height + y) * width + x;
                    expected[at] = whole[at];
                }
            }
        }
    }
    expected
}

fn check_conv(shape: &ConvShape, images: usize, regions: &[Region], seed: u64, wild: bool) {
    let [channels, h, w] = shape.input;
    let [height, width] = shape.output();
    let columns = channels / shape.groups * shape.kernel[0] * shape.kernel[1];
    let input = values(images * channels * h * w, seed, wild);
    let weights = values(shape.out_channels * columns, seed + 1, wild);
    let per_channel: Vec<_> = (2..5).map(|i| values(shape.out_channels, seed + i, false)).collect();
    let len = images * shape.out_channels * height * width;
    let residual = values(len, seed + 5, wild);
    let epilogue = Epilogue {
        bias: Some(&per_channel[0]),
        affine: seed.is_multiple_of(2).then_some((&per_channel[1], &per_channel[2])),
        residual: seed.is_multiple_of(3).then_some(&residual),
        activation: [Activation::Relu, Activation::Identity, Activation::LeakyRelu(0.1)]
            [usize::from(seed.is_multiple_of(5)) + usize::from(seed.is_multiple_of(7))],
    };
    for isa in Isa::available() {
        let rows = shape.out_channels / shape.groups;
        let packed = PackedWeights::new(isa, &weights, shape.groups, rows, columns);
        let mut whole = vec![0.0; len];
        let mut scratch = Scratch::default();
        conv2d(shape, images, &input, &packed, &epilogue, &mut whole, &mut scratch);
        let mut found = vec![123.0; len];
        conv2d_regions(shape, images, &input, &packed, &epilogue, &mut found, regions, &mut scratch);
        let expected = expected(&whole, 123.0, regions, [0, height, width], shape.out_channels);
        assert_eq!(bits(&found), bits(&expected), "{isa:?} {shape:?} {regions:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_convolutions_regions_equal_the_whole((shape, images) in conv_shapes(), boxes in boxes(), seed in 0..1000u64, wild: bool) {
        let [height, width] = shape.output();
        let regions = regions(&boxes, images, [shape.out_channels, height, width]);
        check_conv(&shape, images, &regions, seed, wild);
    }

    #[test]
    fn a_linear_layers_regions_equal_the_whole(rows in 1..30usize, features in 1..50usize, out in 1..60usize, boxes in boxes(), seed in 0..1000u64, wild: bool) {
        let input = values(rows * features, seed, wild);
        let weights = values(out * features, seed + 1, wild);
        let bias = values(out, seed + 2, false);
        let residual = values(rows * out, seed + 3, wild);
        let regions = regions(&boxes, rows, [out, 1, 1]);
        let epilogue = Epilogue { bias: Some(&bias), residual: Some(&residual), activation: Activation::Relu, ..Epilogue::default() };
        for isa in Isa::available() {
            let packed = PackedWeights::new(isa, &weights, 1, out, features);
            let mut scratch = Scratch::default();
            let mut whole = vec![0.0; rows * out];
            linear(&input, &packed, &epilogue, &mut whole, &mut scratch);
            let mut found = vec![123.0; rows * out];
            linear_regions(&input, &packed, &epilogue, &mut found, &regions, &mut scratch);
            prop_assert_eq!(bits(&found), bits(&expected(&whole, 123.0, &regions, [0, 1, 1], out)), "{:?}", isa);
        }
    }

    #[test]
    fn pooled_regions_equal_the_whole(channels in 1..5usize, images in 1..4usize, size in [4..12usize, 4..12], kernel in 1..4usize, stride in 1..4usize, padding in 0..2usize, boxes in boxes(), seed in 0..1000u64) {
        let padding = padding.min(kernel / 2);
        let output = size.map(|size| (size + 2 * padding - kernel) / stride + 1);
        let shape = PoolShape { input: size, output, kernel: [kernel; 2], stride: [stride; 2], padding: [padding; 4], dilation: [1; 2] };
        let input = values(images * channels * size[0] * size[1], seed, true);
        let len = images * channels * output[0] * output[1];
        let all = [channels, output[0], output[1]];
        let regions = regions(&boxes, images, all);
        let (mut whole, mut found) = (vec![0.0; len], vec![123.0; len]);
        max_pool2d(&shape, &input, &mut whole);
        max_pool2d_regions(&shape, channels, &input, &mut found, &regions);
        prop_assert_eq!(bits(&found), bits(&expected(&whole, 123.0, &regions, all, channels)));
        found.fill(123.0);
        avg_pool2d(&shape, false, &input, &mut whole);
        avg_pool2d_regions(&shape, false, channels, &input, &mut found, &regions);
        prop_assert_eq!(bits(&found), bits(&expected(&whole, 123.0, &regions, all, channels)));
    }

    #[test]
    fn spans_are_the_places_of_a_region(shape in [1..5usize, 1..5, 1..5], boxes in boxes()) {
        let images = 3;
        let [channels, height, width] = shape;
        let places: Vec<f32> = (0..images * channels * height * width).map(|i| i as f32).collect();
        for region in regions(&boxes, images, shape) {
            let mut found = vec![-1.0; places.len()];
            let mut count = 0;
            for (channel, span) in region.spans(shape) {
                prop_assert_eq!(span.start / (height * width) % channels, channel);
                count += span.len();
                found[span.clone()].copy_from_slice(&places[span]);
            }
            prop_assert_eq!(count, region.len());
            prop_assert_eq!(found, expected(&places, -1.0, &[region], shape, channels));
        }
    }
}

#[test]
fn regions_of_real_layers() {
    let conv = |input: [usize; 3], out_channels, stride, groups| ConvShape {
        input,
        out_channels,
        kernel: [3; 2],
        stride: [stride; 2],
        padding: [1; 4],
        dilation: [1; 2],
        groups,
    };
    for shape in [
        conv([16, 32, 32], 16, 1, 1),
        conv([32, 16, 16], 64, 2, 1),
        conv([48, 8, 8], 48, 1, 48),
        conv([40, 4, 4], 80, 1, 2),
    ] {
        let [height, width] = shape.output();
        let all = [shape.out_channels, height, width];
        // A struck weight: one channel of every image.
        let channel: Vec<_> =
            (0..4).map(|image| Region { channels: 5..6, ..Region::whole(image, all) }).collect();
        // Struck activations: windows at different places.
        let windows: Vec<_> = (0..4)
            .map(|image| Region {
                rows: image..height.min(image + 3),
                columns: 0..2,
                ..Region::whole(image, all)
            })
            .collect();
        // Some images.
        let images = [Region::whole(1, all), Region::whole(3, all)];
        for regions in [&channel[..], &windows, &images, &[]] {
            check_conv(&shape, 4, regions, 6, false);
        }
    }
}

#[test]
#[should_panic(expected = "leaves a batch of 2 images of [3, 1, 1]")]
fn a_region_beyond_the_output_is_refused() {
    let packed = PackedWeights::new(Isa::detect(), &[1.0; 6], 1, 3, 2);
    let region = Region { channels: 2..4, ..Region::whole(1, [3, 1, 1]) };
    linear_regions(
        &[1.0; 4],
        &packed,
        &Epilogue::default(),
        &mut [0.0; 6],
        &[region],
        &mut Scratch::default(),
    );
}

//! Outputs bit for bit, on every instruction set this processor has.

use proptest::prelude::*;
use temper_kernels::{Activation, ConvShape, Epilogue, Isa, Region, Scratch, conv2d_regions};

use crate::bits::bits;
use crate::plain::{Layer, shape, shapes};
use crate::values::values;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn outputs_are_those_of_plain_loops(shape in shapes(), images in 1..4usize, seed in 0..1000usize, wild: bool) {
        let [channels, h, w] = shape.input;
        // Wild values are rare, so that not every tile has one.
        let input = values(images * channels * h * w, seed as u64, wild && seed.is_multiple_of(2));
        let mut weights = values(shape.out_channels * channels * 9, (seed + 1) as u64, false);
        if wild {
            let index = seed * 7919 % weights.len();
            weights[index] = [1e30, f32::NAN, -16.5, f32::INFINITY][seed % 4];
        }
        let layer = Layer { shape, images, input: &input, weights: &weights };
        let sums = layer.expected();
        let [bias, scale, shift] = [2, 3, 4].map(|i| values(shape.out_channels, (seed + i) as u64, false));
        let residual = values(sums.len(), (seed + 5) as u64, wild);
        let epilogue = Epilogue {
            bias: seed.is_multiple_of(5).then_some(&bias),
            affine: seed.is_multiple_of(3).then_some((&scale, &shift)),
            residual: (seed % 4 < 2).then_some(&residual),
            activation: [Activation::Identity, Activation::Relu, Activation::LeakyRelu(0.1)][seed % 3],
        };
        let [height, width] = shape.output();
        let channel = |place: usize| place / (height * width) % shape.out_channels;
        let expected: Vec<f32> = sums.iter().enumerate().map(|(place, &sum)| {
            let mut x = sum + epilogue.bias.map_or(0.0, |bias| bias[channel(place)]);
            if let Some((scale, shift)) = epilogue.affine {
                x = x.mul_add(scale[channel(place)], shift[channel(place)]);
            }
            epilogue.activation.apply(epilogue.residual.map_or(x, |residual| x + residual[place]))
        }).collect();
        for isa in Isa::available() {
            let found = layer.run(&layer.packed(isa), &epilogue);
            prop_assert_eq!(bits(&found), bits(&expected), "{:?} {:?}", isa, shape);
        }
    }

    #[test]
    fn regions_equal_the_whole(shape in shapes(), seed in 0..1000usize, wild: bool, boxes in prop::collection::vec([0..256usize, 0..256, 0..257, 0..256, 0..257, 0..256, 0..257], 1..6)) {
        let [channels, h, w] = shape.input;
        let images = 2;
        let input = values(images * channels * h * w, seed as u64, wild);
        let mut weights = values(shape.out_channels * channels * 9, (seed + 1) as u64, false);
        if seed.is_multiple_of(3) {
            weights[seed % channels * 9] = f32::NEG_INFINITY;
        }
        let layer = Layer { shape, images, input: &input, weights: &weights };
        let [height, width] = shape.output();
        let range = |a: usize, b: usize, size: usize| {
            let (a, b) = (a * size / 256, b * size / 256);
            a.min(b)..a.max(b)
        };
        let regions: Vec<Region> = boxes.iter().map(|&[image, c0, c1, y0, y1, x0, x1]| Region {
            image: image * images / 256,
            channels: range(c0, c1, shape.out_channels),
            rows: range(y0, y1, height),
            columns: range(x0, x1, width),
        }).collect();
        for isa in Isa::available() {
            let (packed, epilogue) = (layer.packed(isa), Epilogue::default());
            let whole = layer.run(&packed, &epilogue);
            let mut expected = vec![123.0; whole.len()];
            for region in &regions {
                for (_, span) in region.spans([shape.out_channels, height, width]) {
                    expected[span.clone()].copy_from_slice(&whole[span]);
                }
            }
            let mut found = vec![123.0; whole.len()];
            let mut scratch = Scratch::default();
            conv2d_regions(&shape, images, &input, &packed, &epilogue, &mut found, &regions, &mut scratch);
            prop_assert_eq!(bits(&found), bits(&expected), "{:?} {:?}", isa, shape);
        }
    }

    #[test]
    fn replaced_weights_are_those_of_a_new_packing(channels in 1..20usize, out in 1..20usize, seed in 0..1000usize, changes in prop::collection::vec((any::<prop::sample::Index>(), 0..6usize), 1..12)) {
        let shape = shape(channels, [6, 6], out, [1; 4]);
        let input = values(channels * 36, seed as u64, false);
        let mut weights = values(out * channels * 9, (seed + 1) as u64, false);
        for isa in Isa::available() {
            let mut packed = Layer { shape, images: 1, input: &input, weights: &weights }.packed(isa);
            for (index, value) in &changes {
                let index = index.index(weights.len());
                weights[index] = [0.5, 1e30, f32::NAN, -0.0, 16.0, -16.1][*value];
                packed.set(index, weights[index]);
                prop_assert_eq!(packed.get(index).to_bits(), weights[index].to_bits());
            }
            let layer = Layer { shape, images: 1, input: &input, weights: &weights };
            let fresh = layer.run(&layer.packed(isa), &Epilogue::default());
            prop_assert_eq!(bits(&layer.run(&packed, &Epilogue::default())), bits(&fresh));
        }
    }
}

#[test]
fn a_huge_input_or_weight_leaves_its_neighbours_alone() {
    let shape = shape(16, [12, 12], 16, [1; 4]);
    let (mut input, mut weights) = (values(16 * 144, 5, false), values(16 * 144, 6, false));
    let before = Layer { shape, images: 1, input: &input, weights: &weights };
    let before = before.run(&before.packed(Isa::detect()), &Epilogue::default());
    // Row 5, column 6 of channel 2; and all weights between channels 3 and 4.
    input[2 * 144 + 5 * 12 + 6] = 1e30;
    weights[(4 * 16 + 3) * 9] = -1e30;
    let after = Layer { shape, images: 1, input: &input, weights: &weights };
    let after = after.run(&after.packed(Isa::detect()), &Epilogue::default());
    for (place, (before, after)) in before.iter().zip(&after).enumerate() {
        let (out, y, x) = (place / 144, place / 12 % 12, place % 12);
        if out != 4 && (y.abs_diff(5) > 1 || x.abs_diff(6) > 1) {
            assert!((before - after).abs() < 1e-3, "{out} {y} {x}: {before} has become {after}");
        } else if out != 4 {
            assert!(after.abs() > 1e25, "{out} {y} {x}: {after}");
        }
    }
}

#[test]
fn it_is_used_where_it_is_faster() {
    let tile = |shape: ConvShape| shape.winograd_tile();
    for (channels, size, out, expected) in [
        (64, 32, 64, Some(4)),
        (16, 12, 16, Some(4)),
        (3, 32, 64, None),
        (64, 32, 10, None),
        (64, 7, 64, Some(4)),
        (512, 4, 512, None),
    ] {
        assert_eq!(tile(shape(channels, [size; 2], out, [1; 4])), expected, "{channels} {size} {out}");
    }
    let plain = shape(64, [32; 2], 64, [1; 4]);
    assert_eq!(tile(ConvShape { stride: [2, 1], ..plain }), None);
    assert_eq!(tile(ConvShape { dilation: [1, 2], ..plain }), None);
    assert_eq!(tile(ConvShape { kernel: [3, 1], ..plain }), None);
    assert_eq!(tile(ConvShape { groups: 2, ..plain }), None);
    assert_eq!(tile(ConvShape { padding: [1, 1, 1, 3], ..plain }), None);
}

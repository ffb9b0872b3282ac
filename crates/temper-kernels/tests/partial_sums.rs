//! Partial sums against chains computed value by value, on every instruction set this processor has.

mod support;

use proptest::prelude::*;
use support::{bits, conv_shapes, values};
use temper_kernels::{ConvShape, Isa, PackedWeights, Scratch, conv2d_partial_sums};

/// The magnitudes of one output's sum and, added up, of its partial sums.
fn chain(shape: &ConvShape, input: &[f32], weights: &[f32], [out, y, x]: [usize; 3]) -> [f32; 2] {
    let [channels, h, w] = shape.input;
    let per_group = channels / shape.groups;
    let first = out / (shape.out_channels / shape.groups) * per_group;
    let (mut sum, mut partial, mut at) = (0.0f32, 0.0f32, 0);
    for channel in first..first + per_group {
        for (ky, kx) in (0..shape.kernel[0]).flat_map(|ky| (0..shape.kernel[1]).map(move |kx| (ky, kx))) {
            let place = |axis: usize, at: usize, tap: usize| {
                (at * shape.stride[axis] + tap * shape.dilation[axis]).checked_sub(shape.padding[axis])
            };
            let inside = place(0, y, ky).filter(|&y| y < h).zip(place(1, x, kx).filter(|&x| x < w));
            let value = inside.map_or(0.0, |(y, x)| input[(channel * h + y) * w + x]);
            sum = weights[out * per_group * shape.kernel[0] * shape.kernel[1] + at].mul_add(value, sum);
            partial += sum.abs();
            at += 1;
        }
    }
    [sum.abs(), partial]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn they_are_those_of_the_chains((shape, _) in conv_shapes(), seed in 0..1000u64) {
        let columns = shape.input[0] / shape.groups * shape.kernel[0] * shape.kernel[1];
        let input = values(shape.input.iter().product(), seed, false);
        let weights = values(shape.out_channels * columns, seed + 1, false);
        let [height, width] = shape.output();
        let places = (0..shape.out_channels * height * width)
            .map(|i| [i / (height * width), i / width % height, i % width]);
        let [expected_sums, expected_partial] = [0, 1].map(|which| {
            let value = |place| chain(&shape, &input, &weights, place)[which];
            places.clone().map(value).collect::<Vec<f32>>()
        });
        for isa in Isa::available() {
            let packed = PackedWeights::new(isa, &weights, shape.groups, shape.out_channels / shape.groups, columns);
            let (mut sums, mut partial) = (vec![1.0; expected_sums.len()], vec![1.0; expected_sums.len()]);
            conv2d_partial_sums(&shape, &input, &packed, &mut sums, &mut partial, &mut Scratch::default());
            prop_assert_eq!(bits(&sums), bits(&expected_sums), "{:?} {:?}", isa, shape);
            prop_assert_eq!(bits(&partial), bits(&expected_partial), "{:?} {:?}", isa, shape);
        }
    }
}

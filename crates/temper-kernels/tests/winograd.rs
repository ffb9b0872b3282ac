//! Winograd's algorithm against plain loops, bit for bit on every instruction set this processor has, and against exact sums.

#[path = "support/bits.rs"]
mod bits;
#[path = "support/values.rs"]
mod values;

use bits::bits;
use proptest::prelude::*;
use temper_kernels::{
    Activation, ConvShape, Epilogue, Isa, PackedWeights, Region, Scratch, conv2d, conv2d_regions,
};
use values::values;

const LARGEST_INPUT: f32 = 256.0;
const LARGEST_WEIGHT: f32 = 16.0;

fn shape(channels: usize, size: [usize; 2], out_channels: usize, padding: [usize; 4]) -> ConvShape {
    ConvShape {
        input: [channels, size[0], size[1]],
        out_channels,
        kernel: [3; 2],
        stride: [1; 2],
        padding,
        dilation: [1; 2],
        groups: 1,
    }
}

/// `Bᵀ d` in the documented order of operations.
fn input_line(d: [f32; 6]) -> [f32; 6] {
    let fma = f32::mul_add;
    let (even, odd) = (fma(-4.0, d[2], d[4]), fma(-4.0, d[1], d[3]));
    let (far, near) = (d[4] - d[2], d[3] - d[1]);
    [
        fma(4.0, d[0], fma(-5.0, d[2], d[4])),
        even + odd,
        even - odd,
        fma(2.0, near, far),
        fma(-2.0, near, far),
        fma(4.0, d[1], fma(-5.0, d[3], d[5])),
    ]
}

fn output_line(m: [f32; 6]) -> [f32; 4] {
    let fma = f32::mul_add;
    let (near, turned) = (m[1] + m[2], m[1] - m[2]);
    let (far, far_turned) = (m[3] + m[4], m[3] - m[4]);
    [
        m[0] + near + far,
        fma(2.0, far_turned, turned),
        fma(4.0, far, near),
        fma(8.0, far_turned, turned) + m[5],
    ]
}

/// Applies a line's transform to columns, then to rows.
fn both<const N: usize, const M: usize>(
    values: [[f32; N]; N],
    line: impl Fn([f32; N]) -> [f32; M],
) -> [[f32; M]; M] {
    let columns: [[f32; M]; N] = std::array::from_fn(|x| line(values.map(|row| row[x])));
    std::array::from_fn(|y| line(columns.map(|column| column[y])))
}

/// `G g Gᵀ`, by the matrix itself.
#[expect(clippy::cast_possible_truncation, reason = "each value is rounded once")]
fn weights_of(g: &[f32]) -> [[f32; 6]; 6] {
    let matrix: [([f64; 3], f64); 6] = [
        ([1.0, 0.0, 0.0], 4.0),
        ([-1.0, -1.0, -1.0], 6.0),
        ([-1.0, 1.0, -1.0], 6.0),
        ([1.0, 2.0, 4.0], 24.0),
        ([1.0, -2.0, 4.0], 24.0),
        ([0.0, 0.0, 1.0], 1.0),
    ];
    let entry = |(row, below): ([f64; 3], f64), (column, right): ([f64; 3], f64)| {
        let terms = (0..9).map(|i| row[i / 3] * f64::from(g[i]) * column[i % 3]);
        (terms.sum::<f64>() / (below * right)) as f32
    };
    matrix.map(|row| matrix.map(|column| entry(row, column)))
}

struct Layer<'a> {
    shape: ConvShape,
    images: usize,
    input: &'a [f32],
    weights: &'a [f32],
}

impl Layer<'_> {
    fn at(&self, image: usize, channel: usize, row: usize, column: usize) -> f32 {
        let [channels, h, w] = self.shape.input;
        let inside =
            |place: usize, before: usize, size: usize| place.checked_sub(before).filter(|&i| i < size);
        match (inside(row, self.shape.padding[0], h), inside(column, self.shape.padding[1], w)) {
            (Some(y), Some(x)) => self.input[((image * channels + channel) * h + y) * w + x],
            _ => 0.0,
        }
    }

    fn kernel(&self, out: usize, channel: usize) -> &[f32] {
        &self.weights[(out * self.shape.input[0] + channel) * 9..][..9]
    }

    /// A sum in the order of a direct convolution.
    fn direct(&self, image: usize, out: usize, y: usize, x: usize) -> f32 {
        let mut sum = 0.0f32;
        for channel in 0..self.shape.input[0] {
            for (tap, &weight) in self.kernel(out, channel).iter().enumerate() {
                sum = weight.mul_add(self.at(image, channel, y + tap / 3, x + tap % 3), sum);
            }
        }
        sum
    }

    /// What is documented: tiles with large inputs and channels with large weights directly, all others by the transforms. `transform` makes
    /// the transformed weights.
    fn expected(&self) -> Vec<f32> {
        let [height, width] = self.shape.output();
        let channels = self.shape.input[0];
        let is_large = |out: usize| {
            (0..channels).any(|c| self.kernel(out, c).iter().any(|w| w.is_nan() || w.abs() > LARGEST_WEIGHT))
        };
        let large: Vec<bool> = (0..self.shape.out_channels).map(is_large).collect();
        let transformed: Vec<_> = self.weights.chunks(9).map(weights_of).collect();
        let mut output = vec![0.0; self.images * self.shape.out_channels * height * width];
        for image in 0..self.images {
            for (top, left) in (0..height).step_by(4).flat_map(|y| (0..width).step_by(4).map(move |x| (y, x)))
            {
                let seen: Vec<[[f32; 6]; 6]> = (0..channels)
                    .map(|c| {
                        std::array::from_fn(|i| std::array::from_fn(|j| self.at(image, c, top + i, left + j)))
                    })
                    .collect();
                let direct =
                    seen.as_flattened().as_flattened().iter().any(|x| x.is_nan() || x.abs() > LARGEST_INPUT);
                let inputs: Vec<_> = seen.iter().map(|d| both(*d, input_line)).collect();
                for out in 0..self.shape.out_channels {
                    let mut sums = [[0.0f32; 6]; 6];
                    for (c, input) in inputs.iter().enumerate() {
                        let weights = transformed[out * channels + c];
                        for (point, sum) in sums.as_flattened_mut().iter_mut().enumerate() {
                            *sum = weights[point / 6][point % 6].mul_add(input[point / 6][point % 6], *sum);
                        }
                    }
                    let tile = both(sums, output_line);
                    for (y, x) in (0..4).flat_map(|y| (0..4).map(move |x| (y, x))) {
                        if top + y < height && left + x < width {
                            let at = ((image * self.shape.out_channels + out) * height + top + y) * width;
                            output[at + left + x] = if direct || large[out] {
                                self.direct(image, out, top + y, left + x)
                            } else {
                                tile[y][x]
                            };
                        }
                    }
                }
            }
        }
        output
    }

    fn run(&self, packed: &PackedWeights, epilogue: &Epilogue<'_>) -> Vec<f32> {
        let [height, width] = self.shape.output();
        let mut output = vec![0.0; self.images * self.shape.out_channels * height * width];
        let mut scratch = Scratch::default();
        conv2d(&self.shape, self.images, self.input, packed, epilogue, &mut output, &mut scratch);
        output
    }

    fn packed(&self, isa: Isa) -> PackedWeights {
        let columns = self.shape.input[0] * 9;
        PackedWeights::new(isa, self.weights, 1, self.shape.out_channels, columns).with_winograd()
    }
}

fn shapes() -> impl Strategy<Value = ConvShape> {
    let padding = [0..3usize, 0..3, 0..3, 0..3];
    (1..40usize, [3..19usize, 3..19], 1..40usize, padding)
        .prop_map(|(channels, size, out, padding)| shape(channels, size, out, padding))
}

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
        let mut exact = 0.0;
        for channel in 0..channels {
            for (tap, &weight) in layer.kernel(out, channel).iter().enumerate() {
                exact += f64::from(weight) * f64::from(layer.at(0, channel, y + tap / 3, x + tap % 3));
            }
        }
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
        (128, 8, 128, Some(4)),
        (3, 32, 64, None),
        (64, 32, 10, None),
        (64, 8, 64, None),
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

//! Integer convolution and linear layers against plain sums in 64 bits, on every instruction set this processor has.

use proptest::prelude::*;
use temper_kernels::{
    Activation, CodeGrid, ConvShape, Epilogue, IntegerIsa, IntegerScratch, IntegerWeights, SumError,
    check_sum, integer_product,
};

/// A layer with everything it is computed from.
#[derive(Debug, Clone)]
struct Layer {
    shape: ConvShape,
    images: usize,
    weights: Vec<i8>,
    zero_points: Vec<i32>,
    codes: Vec<u8>,
    grid: CodeGrid,
}

impl Layer {
    fn linear(rows: usize, in_features: usize, weights: Vec<i8>, codes: Vec<u8>, zero: u8) -> Self {
        let out_channels = weights.len() / in_features;
        let shape = ConvShape {
            input: [1, 1, in_features],
            out_channels,
            kernel: [1, in_features],
            stride: [1; 2],
            padding: [0; 4],
            dilation: [1; 2],
            groups: 1,
        };
        let grid = CodeGrid { scale: 1.0, zero };
        Self { shape, images: rows, weights, zero_points: vec![0; out_channels], codes, grid }
    }

    /// `Σ (w − z_w)(x − z_x)` of every output, in plain loops.
    fn sums(&self) -> Vec<i64> {
        let Self { shape, .. } = self;
        let [channels, h, w] = shape.input;
        let ([oh, ow], [kh, kw]) = (shape.output(), shape.kernel);
        let (in_group, out_group) = (channels / shape.groups, shape.out_channels / shape.groups);
        let mut sums = Vec::new();
        for image in 0..self.images {
            for m in 0..shape.out_channels {
                for (y, x) in (0..oh).flat_map(|y| (0..ow).map(move |x| (y, x))) {
                    let mut sum = 0;
                    for (tap, &weight) in
                        self.weights[m * in_group * kh * kw..][..in_group * kh * kw].iter().enumerate()
                    {
                        let (c, ky, kx) = (tap / (kh * kw), tap / kw % kh, tap % kw);
                        let row =
                            (y * shape.stride[0] + ky * shape.dilation[0]).checked_sub(shape.padding[0]);
                        let column =
                            (x * shape.stride[1] + kx * shape.dilation[1]).checked_sub(shape.padding[1]);
                        if let (Some(row), Some(column)) =
                            (row.filter(|row| *row < h), column.filter(|column| *column < w))
                        {
                            let c = m / out_group * in_group + c;
                            let code = self.codes[((image * channels + c) * h + row) * w + column];
                            let (weight, zero) = (i64::from(weight), i64::from(self.zero_points[m]));
                            sum += (weight - zero) * (i64::from(code) - i64::from(self.grid.zero));
                        }
                    }
                    sums.push(sum);
                }
            }
        }
        sums
    }

    fn input(&self) -> Vec<f32> {
        let value = |&code: &u8| (i32::from(code) - i32::from(self.grid.zero)) as f32 * self.grid.scale;
        self.codes.iter().map(value).collect()
    }

    fn run(&self, isa: IntegerIsa, scales: &[f32], epilogue: &Epilogue<'_>) -> Vec<f32> {
        let weights = IntegerWeights::conv(isa, &self.shape, &self.weights, &self.zero_points);
        let [oh, ow] = self.shape.output();
        let mut output = vec![f32::NAN; self.images * self.shape.out_channels * oh * ow];
        let scratch = &mut IntegerScratch::default();
        integer_product(&weights, &self.input(), self.grid, scales, epilogue, &mut output, scratch);
        output
    }

    /// Checks plain sums on every instruction set; `f32` rounds a whole number the same way from 32 and 64 bits.
    fn check(&self) {
        let expected: Vec<f32> = self.sums().into_iter().map(|sum| sum as f32).collect();
        for isa in IntegerIsa::available() {
            let found = self.run(isa, &vec![1.0; self.shape.out_channels], &Epilogue::default());
            assert_eq!(found, expected, "{isa:?}: {:?}", self.shape);
        }
    }
}

/// Reproducible bytes.
fn bytes(count: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[4]
    };
    (0..count).map(next).collect()
}

fn signed(bytes: Vec<u8>) -> Vec<i8> {
    bytes.into_iter().map(u8::cast_signed).collect()
}

#[test]
fn every_product_of_two_codes_is_exact() {
    // 256 rows of one input, each with its own weight, against 256 inputs, with three zero points.
    let weights: Vec<i8> = (-128..=127).collect();
    for zero in [0, 128, 255] {
        Layer::linear(256, 1, weights.clone(), (0..=255).collect(), zero).check();
    }
}

#[test]
fn the_most_extreme_sums_neither_saturate_nor_wrap() {
    // Also as many taps as are allowed: 65 793 · 255 · 128 is 2³¹ − 128.
    for (taps, weight) in [(1, -128), (4, -128), (63, -128), (4096, 127), (65_793, -128), (65_793, 127)] {
        for (code, zero) in [(255, 0), (0, 255), (255, 128)] {
            let layer = Layer::linear(2, taps, vec![weight; 17 * taps], vec![code; 2 * taps], zero);
            layer.check();
            assert_eq!(
                layer.sums()[0],
                i64::try_from(taps).expect("a small number")
                    * i64::from(weight)
                    * (i64::from(code) - i64::from(zero))
            );
        }
    }
    // Zero points of the weights at the other end: 33 025 · 255 · 255 is 2³¹ − 6 023.
    for (weight, zero_point) in [(-128, 127), (127, -128)] {
        let mut layer = Layer::linear(2, 33_025, vec![weight; 9 * 33_025], vec![255; 2 * 33_025], 0);
        layer.zero_points = vec![zero_point; 9];
        layer.check();
    }
}

#[test]
fn sums_that_could_exceed_32_bits_are_refused() {
    assert_eq!(check_sum(65_793, false), Ok(()));
    assert_eq!(check_sum(65_794, false), Err(SumError { taps: 65_794, most: 65_793 }));
    assert_eq!(check_sum(33_026, true), Err(SumError { taps: 33_026, most: 33_025 }));
    let message = check_sum(usize::MAX, true).unwrap_err().to_string();
    assert!(message.contains("at most 33025 inputs"), "{message}");
}

fn layers() -> impl Strategy<Value = Layer> {
    let pair = |low: usize, high: usize| [low..high, low..high];
    (
        (1..4usize, 1..11usize, 1..40usize, 1..4usize),
        pair(1, 12),
        pair(1, 6),
        pair(1, 4),
        [0..4usize, 0..4usize, 0..4usize, 0..4usize],
        pair(1, 3),
        (any::<u64>(), any::<bool>(), any::<u8>(), any::<bool>()),
    )
        .prop_filter_map(
            "a kernel that fits",
            |(counts, size, kernel, stride, padding, dilation, rest)| {
                let ((groups, in_group, out_group, images), (seed, narrow, zero, affine)) = (counts, rest);
                let reach = |i: usize| dilation[i] * (kernel[i] - 1) < size[i] + padding[i] + padding[i + 2];
                let [h, w] = size;
                let (channels, out_channels) =
                    (groups * in_group, groups * if narrow { out_group % 9 + 1 } else { out_group });
                let shape = ConvShape {
                    input: [channels, h, w],
                    out_channels,
                    kernel,
                    stride,
                    padding,
                    dilation,
                    groups,
                };
                let zero_points = bytes(out_channels, seed ^ 5)
                    .into_iter()
                    .map(|zero| i32::from(zero.cast_signed()) * i32::from(affine));
                (reach(0) && reach(1)).then(|| Layer {
                    shape,
                    images,
                    weights: signed(bytes(out_channels * in_group * kernel[0] * kernel[1], seed)),
                    zero_points: zero_points.collect(),
                    codes: bytes(images * channels * h * w, seed ^ 3),
                    // 0.1 and its multiples are no exact numbers.
                    grid: CodeGrid { scale: 0.1, zero },
                })
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn convolution_equals_plain_sums(layer in layers()) {
        layer.check();
    }

    #[test]
    fn linear_equals_plain_sums(rows in 1..130usize, features in 1..90usize, out in 1..70usize, seed: u64, zero: u8) {
        Layer::linear(rows, features, signed(bytes(out * features, seed)), bytes(rows * features, seed + 1), zero).check();
    }

    #[test]
    fn the_epilogue_scales_adds_normalises_adds_and_activates(layer in layers(), seed: u64) {
        let channels = layer.shape.out_channels;
        let numbers = |count, seed| -> Vec<f32> { bytes(count, seed).into_iter().map(|x| f32::from(x) / 64.0 - 2.0).collect() };
        let sums = layer.sums();
        let [scales, bias, scale, shift] = std::array::from_fn(|i| numbers(channels, seed.wrapping_add(i as u64)));
        let residual = numbers(sums.len(), seed ^ 9);
        let plane = sums.len() / layer.images / channels;
        for activation in [Activation::Identity, Activation::Relu, Activation::LeakyRelu(0.1)] {
            let full = Epilogue { bias: Some(&bias), affine: Some((&scale, &shift)), residual: Some(&residual), activation };
            let plain = Epilogue { activation, ..Epilogue::default() };
            for isa in IntegerIsa::available() {
                for (i, found) in layer.run(isa, &scales, &full).into_iter().enumerate() {
                    let channel = i / plane % channels;
                    let value = (sums[i] as f32 * scales[channel] + bias[channel]).mul_add(scale[channel], shift[channel]);
                    prop_assert_eq!(found, activation.apply(value + residual[i]), "{:?}", isa);
                }
                for (i, found) in layer.run(isa, &scales, &plain).into_iter().enumerate() {
                    prop_assert_eq!(found, activation.apply(sums[i] as f32 * scales[i / plane % channels]), "{:?}", isa);
                }
            }
        }
    }

    #[test]
    fn weights_are_read_and_replaced_in_place(layer in layers(), at: prop::sample::Index, code: i8) {
        let at = at.index(layer.weights.len());
        let mut struck = layer.clone();
        struck.weights[at] = code;
        for isa in IntegerIsa::available() {
            let mut packed = IntegerWeights::conv(isa, &layer.shape, &layer.weights, &layer.zero_points);
            packed.set(at, code);
            for (i, &weight) in struck.weights.iter().enumerate() {
                prop_assert_eq!(packed.get(i), weight);
            }
            let expected = struck.run(isa, &vec![1.0; layer.shape.out_channels], &Epilogue::default());
            let mut found = vec![f32::NAN; expected.len()];
            let scales = vec![1.0; layer.shape.out_channels];
            let scratch = &mut IntegerScratch::default();
            integer_product(&packed, &layer.input(), layer.grid, &scales, &Epilogue::default(), &mut found, scratch);
            prop_assert_eq!(found, expected, "{:?}", isa);
        }
    }
}

/// Planes of more places than are kept at a time, which begin and end within rows, in groups and with zero points; and more images than
/// are turned into codes at a time.
#[test]
fn large_planes_of_few_channels_equal_plain_sums() {
    let cases = [(1, 1, 5, 1, [2; 4], false), (1, 3, 6, 3, [0; 4], true), (2, 4, 3, 5, [0, 1, 3, 2], true)];
    for (seed, (groups, in_group, out_group, kernel, padding, affine)) in (0..).zip(cases) {
        for (size, images) in [([32, 37], 2), ([9, 83], 1), ([28, 28], 400 / (groups * in_group))] {
            let (channels, out_channels) = (groups * in_group, groups * out_group);
            let shape = ConvShape {
                input: [channels, size[0], size[1]],
                out_channels,
                kernel: [kernel; 2],
                stride: [1; 2],
                padding,
                dilation: [1; 2],
                groups,
            };
            let zero_points = (-2..).take(out_channels).map(|zero| if affine { zero } else { 0 });
            let layer = Layer {
                shape,
                images,
                weights: signed(bytes(out_channels * in_group * kernel * kernel, seed)),
                zero_points: zero_points.collect(),
                codes: bytes(images * channels * size[0] * size[1], seed + 7),
                grid: CodeGrid { scale: 0.1, zero: 77 },
            };
            layer.check();
        }
    }
}

/// A scratch that served a larger layer serves a smaller one, and the other way round.
#[test]
fn scratch_memory_carries_nothing_over() {
    let scratch = &mut IntegerScratch::default();
    for (features, out, rows) in [(300, 70, 40), (3, 2, 1), (784, 10, 97), (5, 33, 2)] {
        let mut layer =
            Layer::linear(rows, features, signed(bytes(out * features, 1)), bytes(rows * features, 2), 77);
        layer.zero_points.fill(if rows == 40 { 5 } else { 0 });
        let expected: Vec<f32> = layer.sums().into_iter().map(|sum| sum as f32).collect();
        for isa in IntegerIsa::available().into_iter().rev() {
            let weights = IntegerWeights::linear(isa, features, &layer.weights, &layer.zero_points);
            let mut output = vec![f32::NAN; expected.len()];
            let scales = vec![1.0; out];
            integer_product(
                &weights,
                &layer.input(),
                layer.grid,
                &scales,
                &Epilogue::default(),
                &mut output,
                scratch,
            );
            assert_eq!(output, expected, "{isa:?}");
        }
    }
}

/// Every code is recovered from its value, whatever the scale, down to the smallest and up to the largest that ranges allow.
#[test]
fn codes_are_recovered_exactly_for_every_scale() {
    let extremes =
        [f32::MIN_POSITIVE, 2f32.powi(-125), 1e-20, 0.003_921_569, 1.0 / 3.0, 1.0, 1e20, 2f32.powi(119)];
    let random = bytes(2000, 8)
        .chunks_exact(4)
        .map(|b| f32::from_bits(u32::from_le_bytes([b[0], b[1], b[2], b[3]]) & 0x3fff_ffff))
        .filter(|x| *x >= f32::MIN_POSITIVE)
        .collect::<Vec<_>>();
    for scale in extremes.into_iter().chain(random) {
        for zero in [0, 1, 100, 128, 255] {
            let mut layer = Layer::linear(256, 1, vec![1], (0..=255).collect(), zero);
            layer.grid.scale = scale;
            layer.check();
        }
    }
}

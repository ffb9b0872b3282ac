//! Winograd's algorithm in plain loops, in the documented order of operations.

use proptest::prelude::*;
use temper_kernels::{ConvShape, Epilogue, Isa, PackedWeights, Scratch, conv2d};

const LARGEST_INPUT: f32 = 256.0;
const LARGEST_WEIGHT: f32 = 16.0;

pub(crate) fn shape(
    channels: usize,
    size: [usize; 2],
    out_channels: usize,
    padding: [usize; 4],
) -> ConvShape {
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
pub(crate) fn input_line(d: [f32; 6]) -> [f32; 6] {
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

pub(crate) fn output_line(m: [f32; 6]) -> [f32; 4] {
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
pub(crate) fn both<const N: usize, const M: usize>(
    values: [[f32; N]; N],
    line: impl Fn([f32; N]) -> [f32; M],
) -> [[f32; M]; M] {
    let columns: [[f32; M]; N] = std::array::from_fn(|x| line(values.map(|row| row[x])));
    std::array::from_fn(|y| line(columns.map(|column| column[y])))
}

/// `G g Gᵀ`, by the matrix itself.
#[expect(clippy::cast_possible_truncation, reason = "each value is rounded once")]
pub(crate) fn weights_of(g: &[f32]) -> [[f32; 6]; 6] {
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

pub(crate) struct Layer<'a> {
    pub(crate) shape: ConvShape,
    pub(crate) images: usize,
    pub(crate) input: &'a [f32],
    pub(crate) weights: &'a [f32],
}

impl Layer<'_> {
    pub(crate) fn at(&self, image: usize, channel: usize, row: usize, column: usize) -> f32 {
        let [channels, h, w] = self.shape.input;
        let inside =
            |place: usize, before: usize, size: usize| place.checked_sub(before).filter(|&i| i < size);
        match (inside(row, self.shape.padding[0], h), inside(column, self.shape.padding[1], w)) {
            (Some(y), Some(x)) => self.input[((image * channels + channel) * h + y) * w + x],
            _ => 0.0,
        }
    }

    pub(crate) fn kernel(&self, out: usize, channel: usize) -> &[f32] {
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

    /// The sum of the first image's output, in double precision.
    pub(crate) fn exact(&self, out: usize, y: usize, x: usize) -> f64 {
        let of_channel = |channel: usize| -> f64 {
            let taps = self.kernel(out, channel).iter().enumerate();
            taps.map(|(tap, &w)| f64::from(w) * f64::from(self.at(0, channel, y + tap / 3, x + tap % 3)))
                .sum()
        };
        (0..self.shape.input[0]).map(of_channel).sum()
    }

    /// What is documented: tiles with large inputs and channels with large weights directly, all others by the transforms. `transform` makes
    /// the transformed weights.
    pub(crate) fn expected(&self) -> Vec<f32> {
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

    pub(crate) fn run(&self, packed: &PackedWeights, epilogue: &Epilogue<'_>) -> Vec<f32> {
        let [height, width] = self.shape.output();
        let mut output = vec![0.0; self.images * self.shape.out_channels * height * width];
        let mut scratch = Scratch::default();
        conv2d(&self.shape, self.images, self.input, packed, epilogue, &mut output, &mut scratch);
        output
    }

    pub(crate) fn packed(&self, isa: Isa) -> PackedWeights {
        let columns = self.shape.input[0] * 9;
        PackedWeights::new(isa, self.weights, 1, self.shape.out_channels, columns).with_winograd()
    }
}

pub(crate) fn shapes() -> impl Strategy<Value = ConvShape> {
    let padding = [0..3usize, 0..3, 0..3, 0..3];
    (1..40usize, [3..19usize, 3..19], 1..40usize, padding)
        .prop_map(|(channels, size, out, padding)| shape(channels, size, out, padding))
}

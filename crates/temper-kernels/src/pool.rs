//! Max and average pooling.

use crate::isa::{Isa, Work};
use crate::region::Region;
use crate::simd::Simd;

/// The geometry of a pooling operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolShape {
    /// Height and width of an input plane.
    pub input: [usize; 2],
    /// Height and width of an output plane.
    pub output: [usize; 2],
    /// Height and width of the window.
    pub kernel: [usize; 2],
    /// Vertical and horizontal step.
    pub stride: [usize; 2],
    /// Padding at the top, left, bottom and right.
    pub padding: [usize; 4],
    /// Vertical and horizontal distance between window taps.
    pub dilation: [usize; 2],
}

impl PoolShape {
    /// Rows (or columns) of the input under output row (or column) `at`.
    fn taps(&self, direction: usize, at: usize) -> impl Iterator<Item = usize> + use<> {
        let (stride, dilation, extent) =
            (self.stride[direction], self.dilation[direction], self.input[direction]);
        let before = self.padding[direction];
        (0..self.kernel[direction])
            .filter_map(move |tap| (at * stride + tap * dilation).checked_sub(before))
            .filter(move |&place| place < extent)
    }

    /// Places in the input plane under the window of the output at row `y` and column `x`, in row-major order.
    pub(crate) fn places(&self, y: usize, x: usize) -> impl Iterator<Item = usize> + use<'_> {
        let rows = self.taps(0, y);
        rows.flat_map(move |row| self.taps(1, x).map(move |column| row * self.input[1] + column))
    }

    /// Whether the windows are two by two, side by side, and all within the input.
    pub(crate) fn halves(&self) -> bool {
        let side_by_side = self.kernel == [2, 2] && self.stride == [2, 2] && self.dilation == [1, 1];
        side_by_side && self.padding == [0; 4] && (0..2).all(|i| 2 * self.output[i] <= self.input[i])
    }

    /// Whether the one window is the whole input.
    pub(crate) fn is_global(&self) -> bool {
        self.kernel == self.input
            && self.output == [1, 1]
            && self.padding == [0; 4]
            && self.dilation == [1, 1]
    }

    /// Whether every window is a single value of the input.
    fn is_subsampling(&self) -> bool {
        let is_inside =
            |axis: usize| self.output[axis].saturating_sub(1) * self.stride[axis] < self.input[axis];
        self.kernel == [1, 1] && self.padding == [0; 4] && is_inside(0) && is_inside(1)
    }

    /// What the sum under the window of the output at row `y` and column `x` is divided by in average pooling: what a window reaches
    /// beyond the padding never counts, padding only if `count_padding`.
    pub fn divisor(&self, count_padding: bool, y: usize, x: usize) -> usize {
        let span = |direction: usize, at: usize| {
            let [before, after] = [self.padding[direction], self.padding[direction + 2]];
            let start = at * self.stride[direction];
            self.kernel[direction].min(self.input[direction] + before + after - start)
        };
        if count_padding {
            span(0, y) * span(1, x)
        } else {
            self.taps(0, y).count() * self.taps(1, x).count()
        }
    }
}

/// The largest value under each window of each plane; NaN wins.
///
/// **Shapes**: `input` `[planes, H, W]`, `output` `[planes, H', W']`.
pub fn max_pool2d(shape: &PoolShape, input: &[f32], output: &mut [f32]) {
    if shape.halves() {
        Isa::detect().run(Halve { shape, input, output });
        return;
    }
    for_each_window(shape, input, output, |plane, y, x| largest(shape, plane, y, x));
}

/// Computes the outputs of [`max_pool2d`] that lie in `regions` and leaves all others of `output` as they are.
///
/// **Shapes**: `input` `[images, channels, H, W]`, `output` `[images, channels, H', W']`.
///
/// # Panics
/// When a region leaves the output.
pub fn max_pool2d_regions(
    shape: &PoolShape,
    channels: usize,
    input: &[f32],
    output: &mut [f32],
    regions: &[Region],
) {
    for_each_window_of(shape, channels, input, output, regions, |plane, y, x| largest(shape, plane, y, x));
}

/// [`max_pool2d`] of windows of two by two side by side.
struct Halve<'a> {
    shape: &'a PoolShape,
    input: &'a [f32],
    output: &'a mut [f32],
}

impl Work for Halve<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let ([h, w], [oh, ow]) = (self.shape.input, self.shape.output);
        let planes = self.input.chunks_exact(h * w).zip(self.output.chunks_exact_mut(oh * ow));
        for (plane, output) in planes {
            for (rows, output) in plane.chunks_exact(2 * w).zip(output.chunks_exact_mut(ow)) {
                let (upper, lower) = rows.split_at(w);
                let (upper, lower) = (&upper.as_chunks().0[..ow], &lower.as_chunks().0[..ow]);
                // Rows are short, and what is left over of a compiler's unrolled loop is slow.
                match ow {
                    0..4 => halve_row::<1>(upper, lower, output),
                    4..8 => halve_row::<4>(upper, lower, output),
                    8..16 => halve_row::<8>(upper, lower, output),
                    16.. => halve_row::<16>(upper, lower, output),
                }
            }
        }
    }
}

/// A row of at least `N` outputs, `N` at a time; where `N` does not divide the row, the last ones overlap those before.
#[inline(always)]
fn halve_row<const N: usize>(upper: &[[f32; 2]], lower: &[[f32; 2]], output: &mut [f32]) {
    for at in (0..output.len()).step_by(N) {
        let at = at.min(output.len() - N);
        let (mut above, mut below) = ([[0.0; 2]; N], [[0.0; 2]; N]);
        above.copy_from_slice(&upper[at..][..N]);
        below.copy_from_slice(&lower[at..][..N]);
        let mut largest = [0.0; N];
        for (largest, (u, l)) in largest.iter_mut().zip(above.iter().zip(&below)) {
            *largest = larger(larger(larger(u[0], u[1]), l[0]), l[1]);
        }
        output[at..][..N].copy_from_slice(&largest);
    }
}

/// The larger of two values, or NaN.
#[inline(always)]
fn larger(largest: f32, x: f32) -> f32 {
    // Two choices: the first is one instruction.
    let greater = if x > largest { x } else { largest };
    if x.is_nan() { x } else { greater }
}

/// The largest value of one window.
fn largest(shape: &PoolShape, plane: &[f32], y: usize, x: usize) -> f32 {
    shape.places(y, x).fold(f32::NEG_INFINITY, |largest, at| larger(largest, plane[at]))
}

/// The mean under each window of each plane. `count_padding` says whether padding counts in the divisor; what a window
/// reaches beyond the padding never does, as in PyTorch.
///
/// **Shapes**: `input` `[planes, H, W]`, `output` `[planes, H', W']`.
pub fn avg_pool2d(shape: &PoolShape, count_padding: bool, input: &[f32], output: &mut [f32]) {
    if shape.is_global() {
        average_planes(shape.input[0] * shape.input[1], input, output);
        return;
    }
    if shape.is_subsampling() {
        for_each_window(shape, input, output, |plane, y, x| single(shape, plane, y, x));
        return;
    }
    for_each_window(shape, input, output, |plane, y, x| mean(shape, count_padding, plane, y, x));
}

/// Computes the outputs of [`avg_pool2d`] that lie in `regions`, with the same bits, and leaves all others of `output` as they are.
///
/// **Shapes**: `input` `[images, channels, H, W]`, `output` `[images, channels, H', W']`.
///
/// # Panics
/// When a region leaves the output.
pub fn avg_pool2d_regions(
    shape: &PoolShape,
    count_padding: bool,
    channels: usize,
    input: &[f32],
    output: &mut [f32],
    regions: &[Region],
) {
    if shape.is_global() {
        let len = shape.input[0] * shape.input[1];
        for region in regions.iter().filter(|region| !region.is_empty()) {
            region.check(output.len() / channels, [channels, 1, 1]);
            let (first, count) = (region.image * channels + region.channels.start, region.channels.len());
            average_planes(len, &input[first * len..][..count * len], &mut output[first..][..count]);
        }
    } else if shape.is_subsampling() {
        let window = |plane: &[f32], y, x| single(shape, plane, y, x);
        for_each_window_of(shape, channels, input, output, regions, window);
    } else {
        let window = |plane: &[f32], y, x| mean(shape, count_padding, plane, y, x);
        for_each_window_of(shape, channels, input, output, regions, window);
    }
}

/// The means of whole planes of `len` values: each is the sum in the order of memory, eight planes at a time, which do not wait for
/// each other.
fn average_planes(len: usize, input: &[f32], output: &mut [f32]) {
    for (planes, means) in input.chunks(8 * len).zip(output.chunks_mut(8)) {
        // What an empty sum of the standard library is.
        let mut sums = [-0.0f32; 8];
        for i in 0..len {
            for (sum, plane) in sums.iter_mut().zip(planes.chunks_exact(len)) {
                *sum += plane[i];
            }
        }
        for (mean, sum) in means.iter_mut().zip(sums) {
            *mean = sum / len as f32;
        }
    }
}

/// The mean of one window of one value: as [`mean`], an empty sum and that value.
fn single(shape: &PoolShape, plane: &[f32], y: usize, x: usize) -> f32 {
    -0.0 + plane[y * shape.stride[0] * shape.input[1] + x * shape.stride[1]]
}

/// The mean of one window.
fn mean(shape: &PoolShape, count_padding: bool, plane: &[f32], y: usize, x: usize) -> f32 {
    let sum: f32 = shape.places(y, x).map(|at| plane[at]).sum();
    sum / shape.divisor(count_padding, y, x) as f32
}

fn for_each_window(
    shape: &PoolShape,
    input: &[f32],
    output: &mut [f32],
    window: impl Fn(&[f32], usize, usize) -> f32,
) {
    let [h, w] = shape.input;
    let [oh, ow] = shape.output;
    for (plane, output) in input.chunks_exact(h * w).zip(output.chunks_exact_mut(oh * ow)) {
        for (i, out) in output.iter_mut().enumerate() {
            *out = window(plane, i / ow, i % ow);
        }
    }
}

fn for_each_window_of(
    shape: &PoolShape,
    channels: usize,
    input: &[f32],
    output: &mut [f32],
    regions: &[Region],
    window: impl Fn(&[f32], usize, usize) -> f32,
) {
    let [h, w] = shape.input;
    let [oh, ow] = shape.output;
    let images = output.len() / (channels * oh * ow).max(1);
    for region in regions.iter().filter(|region| !region.is_empty()) {
        region.check(images, [channels, oh, ow]);
        for channel in region.channels.clone() {
            let plane = region.image * channels + channel;
            let (input, output) = (&input[plane * h * w..][..h * w], &mut output[plane * oh * ow..]);
            for y in region.rows.clone() {
                for x in region.columns.clone() {
                    output[y * ow + x] = window(input, y, x);
                }
            }
        }
    }
}

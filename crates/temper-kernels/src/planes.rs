//! The inputs that regions of a convolution's output need, laid out so that each kernel tap is at a constant distance.

use std::ops::Range;

use crate::conv::ConvShape;
use crate::isa::Work;
use crate::product::{Lanes, Spot};
use crate::region::Region;
use crate::simd::Simd;

/// Room for the inputs of one region: `[channels, height, phases, width]`, where column `x` of the region's window is value
/// `x / phases` of phase `x % phases`. Padding is zeros.
///
/// Where vectors hold neighbouring pixels, there are as many phases as the horizontal stride: outputs side by side have inputs
/// side by side. Elsewhere there is one, which is a plain copy; without padding even that is left out, and `height` and `width`
/// are those of the input.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Planes {
    shape: ConvShape,
    lanes: Lanes,
    /// Outputs listed together.
    spot: usize,
    phases: usize,
    height: usize,
    width: usize,
}

impl Planes {
    /// Room for the largest of `regions`, for vectors of `vector` values that lie as said.
    pub(crate) fn new(shape: &ConvShape, regions: &[Region], lanes: Lanes, vector: usize) -> Self {
        let most = |extent: fn(&Region) -> usize| regions.iter().map(extent).max().unwrap_or(0);
        let (rows, columns) = (most(|region| region.rows.len()), most(|region| region.columns.len()));
        let reach = |i: usize| shape.dilation[i] * (shape.kernel[i] - 1);
        let height = rows.saturating_sub(1) * shape.stride[0] + reach(0) + 1;
        let window = columns.saturating_sub(1) * shape.stride[1] + reach(1) + 1;
        if lanes == Lanes::Channels && shape.padding == [0; 4] {
            let [_, height, width] = shape.input;
            return Self { shape: *shape, lanes, spot: 1, phases: 1, height, width };
        }
        let (spot, phases) = if lanes == Lanes::Pixels { (vector, shape.stride[1]) } else { (1, 1) };
        Self { shape: *shape, lanes, spot, phases, height, width: window.div_ceil(phases) }
    }

    /// The convolution.
    pub(crate) fn shape(&self) -> &ConvShape {
        &self.shape
    }

    /// Where a region's inputs start in the input itself, if they need no copy, for channels from `channel` on.
    pub(crate) fn start_in_input(&self, region: &Region, channel: usize) -> Option<usize> {
        let ConvShape { input: [channels, h, w], stride, padding, .. } = self.shape;
        let row = (region.image * channels + channel) * h + region.rows.start * stride[0];
        (self.lanes == Lanes::Channels && padding == [0; 4])
            .then_some(row * w + region.columns.start * stride[1])
    }

    /// The way vectors lie.
    pub(crate) fn lanes(&self) -> Lanes {
        self.lanes
    }

    /// Values of one row: all phases.
    fn row(&self) -> usize {
        self.phases * self.width
    }

    /// Values of one channel.
    pub(crate) fn channel(&self) -> usize {
        self.height * self.row()
    }

    /// Lists the distances of a group's inputs from the first, in the order of the weights' memory.
    pub(crate) fn list_taps(&self, taps: &mut Vec<usize>) {
        let ConvShape { input, kernel, dilation, groups, .. } = self.shape;
        taps.clear();
        for channel in 0..input[0] / groups {
            for y in 0..kernel[0] {
                let row = channel * self.channel() + y * dilation[0] * self.row();
                taps.extend((0..kernel[1]).map(|x| {
                    let x = x * dilation[1];
                    row + x % self.phases * self.width + x / self.phases
                }));
            }
        }
    }

    /// Lists the outputs of `region`, whose inputs start at `start`.
    pub(crate) fn list_spots(&self, region: &Region, start: usize, spots: &mut Vec<Spot>) {
        let [height, width] = self.shape.output();
        let image = region.image * self.shape.out_channels * height * width;
        // Of outputs side by side.
        let distance = self.shape.stride[1] / self.phases;
        for (y, row) in region.rows.clone().enumerate() {
            let input = start + y * self.shape.stride[0] * self.row();
            let output = image + row * width + region.columns.start;
            let columns = region.columns.len();
            spots.extend((0..columns).step_by(self.spot).map(|x| Spot {
                input: input + x * distance,
                output: output + x,
                count: self.spot.min(columns - x),
            }));
        }
    }
}

/// Copies the inputs that regions need, of the given channels of their images, with zeros around them.
pub(crate) struct Fill<'a> {
    pub(crate) planes: &'a Planes,
    pub(crate) regions: &'a [Region],
    pub(crate) channels: Range<usize>,
    /// `[images, C, H, W]`.
    pub(crate) input: &'a [f32],
    /// `[regions that are not empty, channels, height, phases, width]`.
    pub(crate) output: &'a mut [f32],
}

impl Work for Fill<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let Self { planes, regions, channels, input, output } = self;
        let len = channels.len() * planes.channel();
        let regions = regions.iter().filter(|region| !region.is_empty());
        for (region, output) in regions.zip(output.chunks_exact_mut(len)) {
            planes.fill::<S>(region, channels.clone(), input, output);
        }
    }
}

impl Planes {
    #[inline(always)]
    fn fill<S: Simd>(&self, region: &Region, channels: Range<usize>, input: &[f32], planes: &mut [f32]) {
        let ConvShape { input: [all, h, w], kernel, stride, padding, dilation, .. } = self.shape;
        let window = |i: usize, outputs: usize| (outputs - 1) * stride[i] + dilation[i] * (kernel[i] - 1) + 1;
        let (top, left) = (region.rows.start * stride[0], region.columns.start * stride[1]);
        let (height, width) = (window(0, region.rows.len()), window(1, region.columns.len()));
        // Long strides pass over rows.
        let read = |row: usize| (0..kernel[0]).any(|tap| tap * dilation[0] % stride[0] == row % stride[0]);
        let all_read = (0..stride[0]).all(read);
        let inside = padding[0].saturating_sub(top)..height.min((h + padding[0]).saturating_sub(top));
        if inside != (0..height) || left < padding[1] || left + width > w + padding[1] {
            planes.fill(0.0);
        }
        for phase in 0..self.phases {
            // Columns of this phase before the input, and before its end.
            let before = |end: usize| (end + padding[1]).saturating_sub(left + phase).div_ceil(self.phases);
            let (first, end) = (before(0), before(w).min(width.saturating_sub(phase).div_ceil(self.phases)));
            if first >= end {
                continue;
            }
            let column = left + phase + first * self.phases - padding[1];
            for (c, plane) in channels.clone().zip(planes.chunks_exact_mut(self.channel())) {
                let from = &input[(region.image * all + c) * h * w..][..h * w];
                for row in inside.clone().filter(|&row| all_read || read(row)) {
                    let from = &from[(top + row - padding[0]) * w..][..w][column..];
                    let to = &mut plane[row * self.row() + phase * self.width..][first..end];
                    if self.phases == 1 {
                        copy::<S>(&from[..to.len()], to);
                    } else {
                        for (to, from) in to.iter_mut().zip(from.iter().step_by(self.phases)) {
                            *to = *from;
                        }
                    }
                }
            }
        }
    }
}

/// Copies a row. Rows are short: a call into the C library would take longer than the copying.
#[inline(always)]
#[expect(unsafe_code, reason = "vector loads and stores take pointers")]
fn copy<S: Simd>(from: &[f32], to: &mut [f32]) {
    assert_eq!(from.len(), to.len(), "rows of the same length");
    let mut at = 0;
    while at < to.len() {
        let count = S::LANES.min(to.len() - at);
        let (from, to) = (from[at..].as_ptr(), to[at..].as_mut_ptr());
        // SAFETY: both slices hold `count` more values.
        unsafe {
            if count == S::LANES {
                S::store(S::load(from), to);
            } else {
                S::store_first(S::load_first(from, count), to, count);
            }
        }
        at += count;
    }
}

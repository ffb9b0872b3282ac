//! The inputs that regions of a convolution's output need, laid out so that each kernel tap is at a constant distance.

use crate::conv::ConvShape;
use crate::product::{Lanes, Spot};
use crate::region::Region;

/// Room for the inputs of one region: `[channels, height, phases, width]`, where column `x` of the region's window is value
/// `x / phases` of phase `x % phases`, and there are as many phases as the horizontal stride. Outputs side by side thus have
/// inputs side by side. Padding is zeros.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Planes {
    shape: ConvShape,
    height: usize,
    width: usize,
}

impl Planes {
    /// Room for the largest of `regions`.
    pub(crate) fn new(shape: &ConvShape, regions: &[Region]) -> Self {
        let most = |extent: fn(&Region) -> usize| regions.iter().map(extent).max().unwrap_or(0);
        let (rows, columns) = (most(|region| region.rows.len()), most(|region| region.columns.len()));
        let reach = |i: usize| shape.dilation[i] * (shape.kernel[i] - 1);
        Self {
            shape: *shape,
            height: rows.saturating_sub(1) * shape.stride[0] + reach(0) + 1,
            width: columns + reach(1) / shape.stride[1],
        }
    }

    /// The convolution.
    pub(crate) fn shape(&self) -> &ConvShape {
        &self.shape
    }

    /// Values of one row: all phases.
    fn row(&self) -> usize {
        self.shape.stride[1] * self.width
    }

    /// Values of one channel.
    pub(crate) fn channel(&self) -> usize {
        self.height * self.row()
    }

    /// Lists the distances of a group's inputs from the first, in the order of the weights' memory.
    pub(crate) fn list_taps(&self, taps: &mut Vec<usize>) {
        let ConvShape { input, kernel, stride, dilation, groups, .. } = self.shape;
        taps.clear();
        for channel in 0..input[0] / groups {
            for y in 0..kernel[0] {
                let row = channel * self.channel() + y * dilation[0] * self.row();
                taps.extend((0..kernel[1]).map(|x| {
                    let x = x * dilation[1];
                    row + x % stride[1] * self.width + x / stride[1]
                }));
            }
        }
    }

    /// Lists the outputs of `region`, whose inputs start at `start`, by vectors of `lanes` or one by one.
    pub(crate) fn list_spots(
        &self,
        region: &Region,
        start: usize,
        lanes: (Lanes, usize),
        spots: &mut Vec<Spot>,
    ) {
        let [height, width] = self.shape.output();
        let image = region.image * self.shape.out_channels * height * width;
        let step = if lanes.0 == Lanes::Pixels { lanes.1 } else { 1 };
        for (y, row) in region.rows.clone().enumerate() {
            let input = start + y * self.shape.stride[0] * self.row();
            let output = image + row * width + region.columns.start;
            let columns = region.columns.len();
            spots.extend((0..columns).step_by(step).map(|x| Spot {
                input: input + x,
                output: output + x,
                count: step.min(columns - x),
            }));
        }
    }

    /// Copies the inputs that `region` needs, of the given channels of its image, with zeros around them.
    ///
    /// **Shapes**: `input` `[images, C, H, W]`, `planes` `[channels, height, phases, width]`.
    pub(crate) fn fill(
        &self,
        region: &Region,
        channels: std::ops::Range<usize>,
        input: &[f32],
        planes: &mut [f32],
    ) {
        let ConvShape { input: [all, h, w], kernel, stride, padding, dilation, .. } = self.shape;
        let needed =
            |i: usize, phase: usize| (0..kernel[i]).any(|tap| tap * dilation[i] % stride[i] == phase);
        let rows = (region.rows.len() - 1) * stride[0] + dilation[0] * (kernel[0] - 1) + 1;
        let length = region.columns.len() + dilation[1] * (kernel[1] - 1) / stride[1];
        let top = region.rows.start * stride[0];
        for phase in (0..stride[1]).filter(|&phase| needed(1, phase)) {
            // Value j is column `left + j · stride − padding` of the input, if there is one.
            let left = region.columns.start * stride[1] + phase;
            let inside = |end: usize| (end + padding[1]).saturating_sub(left).div_ceil(stride[1]).min(length);
            let (first, end) = (inside(0), inside(w));
            for (c, plane) in channels.clone().zip(planes.chunks_exact_mut(self.channel())) {
                let from = &input[(region.image * all + c) * h * w..][..h * w];
                for row in (0..rows).filter(|row| needed(0, row % stride[0])) {
                    let to = &mut plane[row * self.row() + phase * self.width..][..length];
                    match (top + row).checked_sub(padding[0]).filter(|&y| y < h) {
                        Some(y) if first < end => {
                            let from = &from[y * w + left + first * stride[1] - padding[1]..(y + 1) * w];
                            to[..first].fill(0.0);
                            copy(from, stride[1], &mut to[first..end]);
                            to[end..].fill(0.0);
                        }
                        _ => to.fill(0.0),
                    }
                }
            }
        }
    }
}

/// Copies every `step`-th value.
fn copy(from: &[f32], step: usize, to: &mut [f32]) {
    if step == 1 {
        to.copy_from_slice(&from[..to.len()]);
    } else {
        for (to, from) in to.iter_mut().zip(from.iter().step_by(step)) {
            *to = *from;
        }
    }
}

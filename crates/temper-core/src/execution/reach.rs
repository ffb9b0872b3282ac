//! Which outputs of a step a changed part of its input can change.

use std::ops::Range;

use temper_kernels::{ConvShape, PoolShape};

use super::extent::Extent;
use super::program::{Step, StepOp};

impl Step {
    /// Whether its output channels are those of the shape that its output is seen in: not so for a linear layer over several rows, nor for
    /// batch norms of more than three dimensions.
    pub(super) fn has_channels_of(&self, to: [usize; 3]) -> bool {
        match self.op {
            StepOp::Linear { rows, .. } => rows == 1,
            StepOp::BatchNorm { plane } => to[1] * to[2] == plane,
            _ => true,
        }
    }

    /// The outputs that may change when `changed` of input number `input` does, given the shapes of that input and of the output: a
    /// box around them, and all of the output where nothing better is known.
    pub(super) fn reach(&self, input: usize, changed: Extent, from: [usize; 3], to: [usize; 3]) -> Extent {
        let full = Extent::full(to);
        match &self.op {
            // The second input is the residual.
            StepOp::Conv { shape, tile, .. } if input == 0 && from == shape.input => {
                convolved(shape, changed, to).in_tiles(*tile, to)
            }
            StepOp::MaxPool(shape) | StepOp::AvgPool { shape, .. } if from[1..] == shape.input => {
                pooled(shape, changed, to)
            }
            StepOp::Pad(pad) => pad.corner(to).map_or(full, |corner| changed.moved(corner)),
            StepOp::Conv { .. } | StepOp::Linear { .. } if input == 1 && from == to => changed,
            StepOp::BatchNorm { .. }
            | StepOp::Activation(_)
            | StepOp::Add(None)
            | StepOp::Mul(None)
            | StepOp::Tap(_)
                if from == to =>
            {
                changed
            }
            _ => full,
        }
    }
}

/// Outputs of a convolution whose window meets `changed`.
fn convolved(shape: &ConvShape, changed: Extent, to: [usize; 3]) -> Extent {
    let per_group = shape.input[0] / shape.groups;
    let outputs = shape.out_channels / shape.groups;
    let channels = changed.axis(0);
    let groups = channels.start / per_group..(channels.end - 1) / per_group + 1;
    let ConvShape { kernel, stride, padding, dilation, .. } = *shape;
    let windows = Windows { kernel, stride, padding, dilation };
    windows.meeting(groups.start * outputs..groups.end * outputs, changed, to)
}

/// Outputs of a pooling whose window meets `changed`.
fn pooled(shape: &PoolShape, changed: Extent, to: [usize; 3]) -> Extent {
    let PoolShape { kernel, stride, padding, dilation, .. } = *shape;
    Windows { kernel, stride, padding, dilation }.meeting(changed.axis(0), changed, to)
}

/// The windows of a convolution or pooling, vertically and horizontally.
struct Windows {
    kernel: [usize; 2],
    stride: [usize; 2],
    /// At the top, left, bottom and right.
    padding: [usize; 4],
    dilation: [usize; 2],
}

impl Windows {
    /// The outputs in `channels` whose window meets `changed`.
    fn meeting(&self, channels: Range<usize>, changed: Extent, to: [usize; 3]) -> Extent {
        let along = |axis: usize| {
            let window = Window {
                taps: self.kernel[axis],
                stride: self.stride[axis],
                before: self.padding[axis],
                dilation: self.dilation[axis],
            };
            window.meets(changed.axis(axis + 1), to[axis + 1])
        };
        Extent::new([channels, along(0), along(1)])
    }
}

/// A sliding window along one direction.
struct Window {
    taps: usize,
    stride: usize,
    before: usize,
    dilation: usize,
}

impl Window {
    /// The positions, of `count`, whose window spans a place in `places`.
    fn meets(&self, places: Range<usize>, count: usize) -> Range<usize> {
        let reach = self.dilation * (self.taps - 1);
        let first = (places.start + self.before).saturating_sub(reach).div_ceil(self.stride);
        let last = (places.end - 1 + self.before) / self.stride;
        first..count.min(last + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_meet_what_they_span() {
        for taps in 1..4 {
            for stride in 1..4 {
                for before in 0..taps {
                    for dilation in 1..3 {
                        let window = Window { taps, stride, before, dilation };
                        let reach = dilation * (taps - 1);
                        let count = (9 + 2 * before).saturating_sub(reach + 1) / stride + 1;
                        for place in 0..9 {
                            let span = |at: usize| at * stride..=at * stride + reach;
                            let expected: Vec<usize> =
                                (0..count).filter(|&at| span(at).contains(&(place + before))).collect();
                            let found: Vec<usize> = window.meets(place..place + 1, count).collect();
                            assert_eq!(found, expected, "{taps} {stride} {before} {dilation} at {place}");
                        }
                    }
                }
            }
        }
    }
}

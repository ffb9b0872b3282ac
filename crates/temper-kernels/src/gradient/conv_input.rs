//! Gradients of a convolution's input.
//!
//! Input pixel `q` (counted with the padding) meets output pixel `y` in tap `k` where `q = y · stride + k`. Pixels of the same
//! remainder `q mod stride` therefore meet the same taps, every `stride`-th, and their gradients are a convolution with stride 1 of the
//! output gradient with those taps in reverse: no zeros are inserted and multiplied.

use crate::Scratch;
use crate::conv::{ConvShape, conv2d};
use crate::epilogue::Epilogue;
use crate::isa::{Isa, Work};
use crate::pack::PackedWeights;
use crate::simd::Simd;

/// Values of an input's gradient that are computed at once: they should stay in the second cache.
const BLOCK_VALUES: usize = 64 * 1024;

/// A convolution's weights laid out for [`conv2d_input_gradient`]; made once for a training step and shared between threads.
#[derive(Debug, Clone)]
pub struct ConvGradientWeights {
    isa: Isa,
    shape: ConvShape,
    way: Way,
}

/// How the gradient is computed.
#[derive(Debug, Clone)]
enum Way {
    /// Convolutions for the remainders of the input's rows and columns.
    Convolutions(Vec<Remainder>),
    /// Tap by tap with these weights, slowly: for dilation together with stride, and padding beyond the kernel.
    TapByTap(Vec<f32>),
}

/// Input pixels of one remainder in each direction.
#[derive(Debug, Clone)]
struct Remainder {
    /// From the output gradient to the gradients of these pixels.
    shape: ConvShape,
    /// First row and column in the input.
    first: [usize; 2],
    /// Number of rows and columns.
    size: [usize; 2],
    /// Missing where no tap meets these pixels.
    weights: Option<PackedWeights>,
}

/// Input rows (or columns) of one remainder.
#[derive(Debug, Clone, Copy)]
struct Line {
    /// First of them.
    first: usize,
    /// Number of them.
    count: usize,
    /// The first tap that meets them.
    tap: usize,
    /// Number of taps.
    taps: usize,
    /// Zeros before and after the output gradient.
    padding: [usize; 2],
}

impl ConvGradientWeights {
    /// Lays out `weights` for the instructions of `isa`.
    ///
    /// **Shapes**: `weights` `[out_channels, C / groups, kh, kw]`.
    ///
    /// # Panics
    /// When `weights` does not have that many values, or the processor does not have the instructions.
    pub fn new(isa: Isa, shape: &ConvShape, weights: &[f32]) -> Self {
        isa.check();
        let ConvShape { input, out_channels, kernel, groups, .. } = *shape;
        let expected = out_channels * (input[0] / groups) * kernel[0] * kernel[1];
        assert_eq!(weights.len(), expected, "weights must fill [out_channels, C / groups, kh, kw]");
        let way = match (lines(shape, 0), lines(shape, 1)) {
            (Some(rows), Some(columns)) => {
                let pairs = rows.iter().flat_map(|&row| columns.iter().map(move |&column| [row, column]));
                Way::Convolutions(pairs.map(|lines| Remainder::new(isa, shape, lines, weights)).collect())
            }
            _ => Way::TapByTap(weights.to_vec()),
        };
        Self { isa, shape: *shape, way }
    }

    /// The convolution.
    pub fn shape(&self) -> &ConvShape {
        &self.shape
    }
}

/// The remainders in one direction; nothing if they are no convolutions without dilated strides and cropping.
fn lines(shape: &ConvShape, direction: usize) -> Option<Vec<Line>> {
    let (stride, dilation) = (shape.stride[direction], shape.dilation[direction]);
    let (kernel, before) = (shape.kernel[direction], shape.padding[direction]);
    let (extent, outputs) = (shape.input[direction + 1], shape.output()[direction]);
    if stride > 1 && dilation > 1 && kernel > 1 {
        return None;
    }
    let mut found = Vec::new();
    for first in 0..stride.min(extent) {
        let tap = (first + before) % stride;
        let (count, taps) = ((extent - first).div_ceil(stride), kernel.saturating_sub(tap).div_ceil(stride));
        // The first pixel's place among those of its remainder, and how far back its last tap lies.
        let (place, reach) = ((first + before) / stride, dilation * taps.saturating_sub(1));
        let padding = if taps == 0 {
            [0; 2]
        } else {
            [reach.checked_sub(place)?, (place + count).checked_sub(outputs)?]
        };
        found.push(Line { first, count, tap, taps, padding });
    }
    Some(found)
}

impl Remainder {
    fn new(isa: Isa, shape: &ConvShape, lines: [Line; 2], weights: &[f32]) -> Self {
        let [height, width] = shape.output();
        let [rows, columns] = lines;
        let taps = [rows.taps, columns.taps];
        let backward = ConvShape {
            input: [shape.out_channels, height, width],
            out_channels: shape.input[0],
            kernel: taps,
            stride: [1; 2],
            padding: [rows.padding[0], columns.padding[0], rows.padding[1], columns.padding[1]],
            dilation: shape.dilation,
            groups: shape.groups,
        };
        let weights = (taps[0] > 0 && taps[1] > 0).then(|| pack(isa, shape, lines, weights));
        let (first, size) = ([rows.first, columns.first], [rows.count, columns.count]);
        Self { shape: backward, first, size, weights }
    }
}

/// Packs the taps of one remainder: rows are input channels, columns output channels and taps in reverse.
fn pack(isa: Isa, shape: &ConvShape, lines: [Line; 2], weights: &[f32]) -> PackedWeights {
    let (channels, outputs) = (shape.input[0] / shape.groups, shape.out_channels / shape.groups);
    let kernel = shape.kernel[0] * shape.kernel[1];
    let places = |line: Line, stride: usize| (0..line.taps).rev().map(move |tap| line.tap + tap * stride);
    let taps: Vec<_> = places(lines[0], shape.stride[0])
        .flat_map(|y| places(lines[1], shape.stride[1]).map(move |x| y * shape.kernel[1] + x))
        .collect();
    let mut packed = PackedWeights::zeros(isa, shape.groups, channels, outputs * taps.len());
    let lanes = isa.lanes();
    let panels = packed.values_mut().chunks_exact_mut(outputs * taps.len() * lanes);
    for (panel, to) in panels.take(shape.groups * channels.div_ceil(lanes)).enumerate() {
        let (group, first) = (panel / channels.div_ceil(lanes), panel % channels.div_ceil(lanes) * lanes);
        let live = lanes.min(channels - first);
        for (out, to) in to.chunks_exact_mut(taps.len() * lanes).enumerate() {
            let from = &weights[((group * outputs + out) * channels + first) * kernel..][..live * kernel];
            for (to, &tap) in to.chunks_exact_mut(lanes).zip(&taps) {
                for (to, from) in to.iter_mut().zip(from.chunks_exact(kernel)) {
                    *to = from[tap];
                }
            }
        }
    }
    packed
}

/// Computes the gradient of a convolution's input from that of its output.
///
/// Each value is a chain of fused multiply-adds over output channels and taps in reverse, and the same for all instruction sets.
/// Beyond the edges of the output gradient are zeros that are multiplied like any value. Only with dilated strides, or padding beyond
/// the kernel, is it slower, takes the taps in order and multiplies no zeros.
///
/// **Shapes**: `output_gradient` `[images, out_channels, H', W']`, `input_gradient` `[images, C, H, W]`.
///
/// # Panics
/// When the slices do not have these shapes.
pub fn conv2d_input_gradient(
    images: usize,
    output_gradient: &[f32],
    weights: &ConvGradientWeights,
    input_gradient: &mut [f32],
    scratch: &mut Scratch,
) {
    let shape = &weights.shape;
    let outputs = shape.out_channels * shape.output().iter().product::<usize>();
    let inputs: usize = shape.input.iter().product();
    assert_eq!(
        output_gradient.len(),
        images * outputs,
        "output gradient must be [images, out_channels, H', W']"
    );
    assert_eq!(input_gradient.len(), images * inputs, "input gradient must be [images, C, H, W]");
    let remainders = match &weights.way {
        Way::Convolutions(remainders) => remainders,
        Way::TapByTap(taps) => {
            input_gradient.fill(0.0);
            let batch = output_gradient.chunks_exact(outputs).zip(input_gradient.chunks_exact_mut(inputs));
            batch.for_each(|(from, to)| tap_by_tap(shape, taps, from, to));
            return;
        }
    };
    let plain = Epilogue::default();
    if let [Remainder { shape, weights: Some(weights), .. }] = &remainders[..] {
        conv2d(shape, images, output_gradient, weights, &plain, input_gradient, scratch);
        return;
    }
    let mut gradients = std::mem::take(&mut scratch.sums);
    let together = (BLOCK_VALUES / inputs).max(1);
    let batch = output_gradient.chunks(together * outputs).zip(input_gradient.chunks_mut(together * inputs));
    for (from, to) in batch {
        gradients.grow(to.len());
        let mut rest = &mut gradients.values_mut()[..to.len()];
        let images = from.len() / outputs;
        for Remainder { shape: backward, size, weights, .. } in remainders {
            let (values, others) = rest.split_at_mut(images * shape.input[0] * size[0] * size[1]);
            match weights {
                Some(weights) => conv2d(backward, images, from, weights, &plain, values, scratch),
                None => values.fill(0.0),
            }
            rest = others;
        }
        weights.isa.run(Spread { shape, remainders, from: &gradients.values()[..to.len()], to });
    }
    scratch.sums = gradients;
}

/// Puts the gradients of all remainders, `[planes, height, width]` one after the other, at their places in `[planes, H, W]`.
struct Spread<'a> {
    shape: &'a ConvShape,
    /// Column by column of each row's.
    remainders: &'a [Remainder],
    from: &'a [f32],
    to: &'a mut [f32],
}

impl Work for Spread<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let Self { shape: ConvShape { input: [_, h, w], stride, .. }, remainders, mut from, to } = self;
        let planes = to.len() / (h * w);
        for same_rows in remainders.chunk_by(|a, b| a.first[0] == b.first[0]) {
            let [first, count] = [same_rows[0].first[0], same_rows[0].size[0]];
            // All of them together are whole rows.
            let (values, rest) = from.split_at(planes * count * w);
            from = rest;
            for row in 0..planes * count {
                let (plane, y) = (row / count, first + row % count * stride[0]);
                let to = &mut to[(plane * h + y) * w..][..*w];
                let rows = same_rows.iter().enumerate().map(|(i, remainder)| {
                    let before: usize = same_rows[..i].iter().map(|remainder| remainder.size[1]).sum();
                    let width = remainder.size[1];
                    &values[planes * count * before + row * width..][..width]
                });
                place_row(rows, stride[1], to);
            }
        }
    }
}

/// Places the values of one row, remainder by remainder.
#[inline(always)]
fn place_row<'a>(rows: impl Iterator<Item = &'a [f32]> + Clone, stride: usize, to: &mut [f32]) {
    let mut pair = rows.clone();
    if let (2, Some(even), Some(odd)) = (stride, pair.next(), pair.next()) {
        let (pairs, last) = to.as_chunks_mut::<2>();
        for (to, (&even, &odd)) in pairs.iter_mut().zip(even.iter().zip(odd)) {
            *to = [even, odd];
        }
        if let ([last], Some(&value)) = (last, even.last()) {
            *last = value;
        }
        return;
    }
    for (first, row) in rows.enumerate() {
        for (to, &value) in to.iter_mut().skip(first).step_by(stride).zip(row) {
            *to = value;
        }
    }
}

/// Adds the products of each tap with the output gradient `from` `[out_channels, H', W']` to `to` `[C, H, W]`.
fn tap_by_tap(shape: &ConvShape, weights: &[f32], from: &[f32], to: &mut [f32]) {
    let ConvShape { input: [channels, h, w], kernel, stride, padding, dilation, .. } = *shape;
    let [height, width] = shape.output();
    let (in_group, out_group) = (channels / shape.groups, shape.out_channels / shape.groups);
    let taps = kernel[0] * kernel[1];
    for (at, &weight) in weights.iter().enumerate() {
        let (out, channel, tap) = (at / taps / in_group, at / taps % in_group, at % taps);
        let from = &from[out * height * width..][..height * width];
        let to = &mut to[(out / out_group * in_group + channel) * h * w..][..h * w];
        let [ky, kx] = [tap / kernel[1] * dilation[0], tap % kernel[1] * dilation[1]];
        for (y, from) in from.chunks_exact(width).enumerate() {
            let row = (y * stride[0] + ky).checked_sub(padding[0]).filter(|&row| row < h);
            let Some(row) = row else { continue };
            for (x, &gradient) in from.iter().enumerate() {
                let column = (x * stride[1] + kx).checked_sub(padding[1]).filter(|&column| column < w);
                if let Some(column) = column {
                    let sum = &mut to[row * w + column];
                    *sum = weight.mul_add(gradient, *sum);
                }
            }
        }
    }
}

//! Two-dimensional convolution.

use crate::Scratch;
use crate::columns::{Product, Run, Taps};
use crate::epilogue::Epilogue;
use crate::pack::PackedWeights;

/// The geometry of a convolution (cross-correlation, as in PyTorch).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvShape {
    /// Channels, height and width of an input image.
    pub input: [usize; 3],
    /// Channels of the output.
    pub out_channels: usize,
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Vertical and horizontal step.
    pub stride: [usize; 2],
    /// Zeros at the top, left, bottom and right.
    pub padding: [usize; 4],
    /// Vertical and horizontal distance between kernel taps.
    pub dilation: [usize; 2],
    /// Number of independent groups of channels.
    pub groups: usize,
}

impl ConvShape {
    /// Height and width of the output.
    ///
    /// # Panics
    /// When the kernel does not fit the padded input.
    pub fn output(&self) -> [usize; 2] {
        let padded = self.padded();
        std::array::from_fn(|i| {
            (padded[i] - self.dilation[i] * (self.kernel[i] - 1) - 1) / self.stride[i] + 1
        })
    }

    /// Height and width of the padded input.
    fn padded(&self) -> [usize; 2] {
        let [_, h, w] = self.input;
        let [top, left, bottom, right] = self.padding;
        [h + top + bottom, w + left + right]
    }
}

/// The taps of a convolution over padded images.
struct ConvTaps {
    shape: ConvShape,
    padded: [usize; 2],
    output: [usize; 2],
}

impl Taps for ConvTaps {
    #[inline(always)]
    fn step(&self) -> usize {
        self.shape.stride[1]
    }

    #[inline(always)]
    fn for_each(&self, group: usize, mut each: impl FnMut(usize)) {
        let [height, width] = self.padded;
        let channels = self.shape.input[0] / self.shape.groups;
        for channel in group * channels..(group + 1) * channels {
            for y in 0..self.shape.kernel[0] {
                let row = (channel * height + y * self.shape.dilation[0]) * width;
                for x in 0..self.shape.kernel[1] {
                    each(row + x * self.shape.dilation[1]);
                }
            }
        }
    }

    #[inline(always)]
    fn runs(&self, first: usize, count: usize, runs: &mut Vec<Run>) {
        let [height, width] = self.padded;
        let [out_height, out_width] = self.output;
        let plane = out_height * out_width;
        let mut column = 0;
        while column < count {
            let (image, pixel) = ((first + column) / plane, (first + column) % plane);
            let (y, x) = (pixel / out_width, pixel % out_width);
            let length = (out_width - x).min(count - column);
            let row = image * self.shape.input[0] * height + y * self.shape.stride[0];
            runs.push(Run { column, length, input: row * width + x * self.shape.stride[1], image, pixel });
            column += length;
        }
    }
}

/// Convolves a batch of images.
///
/// **Shapes**: `input` `[images, C, H, W]`, `weights` of `out_channels / groups` rows and `C / groups · kh · kw` columns a group,
/// `output` `[images, out_channels, H', W']`.
///
/// # Panics
/// When the slices do not have these shapes.
pub fn conv2d(
    shape: &ConvShape,
    images: usize,
    input: &[f32],
    weights: &PackedWeights,
    epilogue: &Epilogue<'_>,
    output: &mut [f32],
    scratch: &mut Scratch,
) {
    let [channels, h, w] = shape.input;
    let [oh, ow] = shape.output();
    assert_eq!(input.len(), images * channels * h * w, "input must be [images, C, H, W]");
    assert_eq!(
        output.len(),
        images * shape.out_channels * oh * ow,
        "output must be [images, out_channels, H', W']"
    );
    assert_eq!(
        weights.rows() * weights.groups(),
        shape.out_channels,
        "one row of weights for each output channel"
    );
    assert_eq!(
        weights.columns() * weights.groups(),
        channels * shape.kernel[0] * shape.kernel[1],
        "one column a tap"
    );
    let Scratch { padded, packed, runs } = scratch;
    let input = if shape.padding == [0; 4] { input } else { pad(shape, images, input, padded) };
    let taps = ConvTaps { shape: *shape, padded: shape.padded(), output: [oh, ow] };
    Product { weights, input, taps, count: images * oh * ow, plane: oh * ow, epilogue, output }
        .run(packed, runs);
}

/// Copies images into the middle of zeros.
fn pad<'a>(shape: &ConvShape, images: usize, input: &[f32], padded: &'a mut Vec<f32>) -> &'a [f32] {
    let [channels, h, w] = shape.input;
    let [top, left, ..] = shape.padding;
    let [height, width] = shape.padded();
    padded.clear();
    padded.resize(images * channels * height * width, 0.0);
    for (from, to) in input.chunks_exact(h * w).zip(padded.chunks_exact_mut(height * width)) {
        for (from, to) in from.chunks_exact(w).zip(to[top * width..].chunks_exact_mut(width)) {
            to[left..left + w].copy_from_slice(from);
        }
    }
    padded
}

//! Two-dimensional convolution.

use std::ops::Range;

use crate::Scratch;
use crate::aligned::Aligned;
use crate::epilogue::Epilogue;
use crate::pack::PackedWeights;
use crate::planes::{Fill, Planes};
use crate::product::{Lanes, Part, Product, Spot};
use crate::region::Region;
use crate::winograd;

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

    pub(crate) fn check(&self, images: usize, input: &[f32], weights: &PackedWeights, output: &[f32]) {
        let [channels, h, w] = self.input;
        let [oh, ow] = self.output();
        assert_eq!(input.len(), images * channels * h * w, "input must be [images, C, H, W]");
        let outputs = images * self.out_channels * oh * ow;
        assert_eq!(output.len(), outputs, "output must be [images, out_channels, H', W']");
        assert_eq!(weights.groups(), self.groups, "weights must be packed for as many groups");
        let rows = weights.rows() * weights.groups();
        assert_eq!(rows, self.out_channels, "one row of weights for each output channel");
        let columns = weights.columns() * weights.groups();
        assert_eq!(columns, channels * self.kernel[0] * self.kernel[1], "one column a tap");
    }

    /// Height and width of the padded input.
    fn padded(&self) -> [usize; 2] {
        let [_, h, w] = self.input;
        let [top, left, bottom, right] = self.padding;
        [h + top + bottom, w + left + right]
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
    let [height, width] = shape.output();
    let mut regions = std::mem::take(&mut scratch.regions);
    regions.clear();
    regions.extend((0..images).map(|image| Region::whole(image, [shape.out_channels, height, width])));
    conv2d_regions(shape, images, input, weights, epilogue, output, &regions, scratch);
    scratch.regions = regions;
}

/// Computes the outputs of [`conv2d`] that lie in `regions`, with the same bits, and leaves all others of `output` as they are.
///
/// Neighbours in the list that have the same channels are computed together, so lists should be ordered that way. Overlapping
/// regions are computed twice.
///
/// **Shapes**: as for [`conv2d`]; regions within `[out_channels, H', W']`.
///
/// # Panics
/// When the slices do not have these shapes or a region leaves the output.
#[expect(clippy::too_many_arguments, reason = "those of `conv2d`, and the regions")]
pub fn conv2d_regions(
    shape: &ConvShape,
    images: usize,
    input: &[f32],
    weights: &PackedWeights,
    epilogue: &Epilogue<'_>,
    output: &mut [f32],
    regions: &[Region],
    scratch: &mut Scratch,
) {
    shape.check(images, input, weights, output);
    let [height, width] = shape.output();
    for region in regions {
        region.check(images, [shape.out_channels, height, width]);
    }
    let left;
    let regions = match weights.winograd() {
        Some(transformed) => {
            left = winograd::conv2d_regions(shape, input, transformed, epilogue, output, regions, scratch);
            left.as_slice()
        }
        None => regions,
    };
    let Scratch { planes: inputs, taps, spots, .. } = scratch;
    let vector = weights.isa().lanes();
    // Neighbours often want the same.
    let mut listed = None;
    for same in regions.chunk_by(|a, b| a.channels == b.channels) {
        let lanes = choose_lanes(shape, same, same[0].channels.len().min(weights.rows()), vector);
        let planes = match listed {
            Some((listed, planes)) if listed == lanes => planes,
            _ => {
                let planes = Planes::new(shape, regions, lanes, vector);
                planes.list_taps(taps);
                planes
            }
        };
        listed = Some((lanes, planes));
        let groups = groups(&same[0].channels, weights.rows());
        let image = groups.len() * (shape.input[0] / shape.groups) * planes.channel();
        let mut product = Product::new(weights, epilogue, taps, height * width, output);
        for block in same.chunks((BLOCK_VALUES / image.max(1)).max(1)) {
            run_block(&planes, input, block, groups.clone(), &mut product, inputs, spots);
        }
    }
}

/// Values of padded input that are multiplied with all weights before the next: they should stay in the second cache.
const BLOCK_VALUES: usize = 64 * 1024;

/// The groups that have some of `channels`, where each has `rows` of them.
fn groups(channels: &Range<usize>, rows: usize) -> Range<usize> {
    if channels.is_empty() { 0..0 } else { channels.start / rows..channels.end.div_ceil(rows) }
}

/// Computes regions of the same channels.
fn run_block(
    planes: &Planes,
    input: &[f32],
    block: &[Region],
    groups: Range<usize>,
    product: &mut Product<'_>,
    inputs: &mut Aligned,
    spots: &mut Vec<Spot>,
) {
    let channels = planes.shape().input[0] / planes.shape().groups;
    let (group_len, rows) = (channels * planes.channel(), product.weights.rows());
    let needed = groups.start * channels..groups.end * channels;
    let isa = product.weights.isa();
    spots.clear();
    let mut copied = 0;
    for region in block.iter().filter(|region| !region.is_empty()) {
        let start = planes.start_in_input(region, needed.start).unwrap_or(copied * groups.len() * group_len);
        planes.list_spots(region, start, spots);
        copied += 1;
    }
    if spots.is_empty() {
        return;
    }
    let inputs = if planes.start_in_input(&block[0], 0).is_some() {
        input
    } else {
        let len = copied * groups.len() * group_len;
        // The last vectors of pixels read beyond the last plane.
        inputs.grow(len + isa.lanes());
        let output = &mut inputs.values_mut()[..len];
        isa.run(Fill { planes, regions: block, channels: needed, input, output });
        inputs.values()
    };
    let wanted = &block[0].channels;
    for group in groups.clone() {
        let first = group * rows;
        let input = &inputs[(group - groups.start) * group_len..];
        let rows = wanted.start.max(first) - first..wanted.end.min(first + rows) - first;
        product.run(&Part { group, rows, input, lanes: planes.lanes(), spots });
    }
}

/// The way for vectors to lie that probably takes less time, for `rows` channels of a group. The costs, in quarters of a
/// multiply-add, were measured on one x86-64 processor.
fn choose_lanes(shape: &ConvShape, block: &[Region], rows: usize, vector: usize) -> Lanes {
    let depth = shape.input[0] / shape.groups * shape.kernel[0] * shape.kernel[1];
    let sum = |extent: &dyn Fn(&Region) -> usize| block.iter().map(extent).sum::<usize>();
    let pixels = sum(&|region| region.rows.len() * region.columns.len());
    let vectors = sum(&|region| region.rows.len() * region.columns.len().div_ceil(vector));
    let panels = rows.div_ceil(vector);
    // Planes of whole pages lie in the same few places of the first cache, which writing many channels at once overflows.
    let store = if shape.output().iter().product::<usize>().is_multiple_of(1024) { 200 } else { 40 };
    // A lone panel of channels waits for loads, as does a lone row of pixels.
    let by_channels = panels * pixels * (depth * if panels == 1 { 5 } else { 4 } + store);
    let multiply = if rows < 4 { 8 } else { 4 + usize::from(vector == 8) + usize::from(shape.stride[1] > 1) };
    let by_pixels = rows * vectors * (depth * multiply + 80);
    if by_pixels <= by_channels { Lanes::Pixels } else { Lanes::Channels }
}

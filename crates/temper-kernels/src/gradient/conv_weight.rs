//! Gradients of a convolution's weights.

use super::accumulate::{chain_length, multiply};
use super::conv_weight_pixels;
use crate::Scratch;
use crate::aligned::Aligned;
use crate::conv::ConvShape;
use crate::isa::{Isa, Work};
use crate::panels::RowPanels;
use crate::planes::{Fill, Planes};
use crate::product::Lanes;
use crate::region::Region;
use crate::simd::Simd;
use crate::tile::{Operands, channel_vectors};

/// Output pixels that are summed before the weights' gradients are touched, as far as there are that many.
const PASS_PIXELS: usize = 2048;

/// Values of padded input that go through all output channels before the next: they should stay in the second cache.
const BLOCK_VALUES: usize = 128 * 1024;

/// Adds the gradient of a convolution's weights.
///
/// How the sum over all output pixels of the batch is divided follows from the geometry, and is the same for all instruction sets:
/// - Many output channels: into passes over as few whole images as have 2048 pixels, and those into chains of at most 256 pixels of
///   about equal length, in the order of memory. Chains are added up within a pass, and passes to `weight_gradient`.
/// - Few: into sixteen sums over every sixteenth pixel of the output's rows, image by image, which are added up last.
///
/// **Shapes**: `input` `[images, C, H, W]`, `output_gradient` `[images, out_channels, H', W']`, `weight_gradient`
/// `[out_channels, C / groups, kh, kw]`.
///
/// # Panics
/// When the slices do not have these shapes, or the processor does not have the instructions.
pub fn conv2d_weight_gradient(
    isa: Isa,
    shape: &ConvShape,
    images: usize,
    input: &[f32],
    output_gradient: &[f32],
    weight_gradient: &mut [f32],
    scratch: &mut Scratch,
) {
    isa.check();
    let ConvShape { input: [channels, h, w], out_channels, kernel, groups, .. } = *shape;
    let [height, width] = shape.output();
    assert_eq!(input.len(), images * channels * h * w, "input must be [images, C, H, W]");
    let outputs = images * out_channels * height * width;
    assert_eq!(output_gradient.len(), outputs, "output gradient must be [images, out_channels, H', W']");
    let weights = out_channels * channels / groups * kernel[0] * kernel[1];
    assert_eq!(weight_gradient.len(), weights, "weights are [out_channels, C / groups, kh, kw]");
    let regions: Vec<_> =
        (0..images).map(|image| Region::whole(image, [out_channels, height, width])).collect();
    if conv_weight_pixels::is_better(shape) {
        conv_weight_pixels::add(isa, shape, &regions, input, output_gradient, weight_gradient, scratch);
        return;
    }
    for regions in regions.chunks(PASS_PIXELS.div_ceil(height * width)) {
        add_pass(isa, shape, regions, input, output_gradient, weight_gradient, scratch);
    }
}

/// Adds the part of the sums over a few images.
fn add_pass(
    isa: Isa,
    shape: &ConvShape,
    images: &[Region],
    input: &[f32],
    output_gradient: &[f32],
    weight_gradient: &mut [f32],
    scratch: &mut Scratch,
) {
    let Scratch { planes: inputs, taps, spots, bases, panels, sums, .. } = scratch;
    let planes = Planes::new(shape, images, Lanes::Channels, isa.lanes());
    let channels = 0..shape.input[0];
    let image = channels.len() * planes.channel();
    planes.list_taps(bases);
    spots.clear();
    let padded = planes.start_in_input(&images[0], 0).is_none();
    for (i, region) in images.iter().enumerate() {
        planes.list_spots(region, planes.start_in_input(region, 0).unwrap_or(i * image), spots);
    }
    taps.clear();
    taps.extend(spots.iter().map(|spot| spot.input));
    let input = if padded {
        inputs.grow(images.len() * image);
        let output = &mut inputs.values_mut()[..images.len() * image];
        isa.run(Fill { planes: &planes, regions: images, channels, input, output });
        &*output
    } else {
        input
    };
    let (in_group, out_group) = (shape.input[0] / shape.groups, shape.out_channels / shape.groups);
    let weights = out_group * bases.len();
    let block = (BLOCK_VALUES / (images.len() * planes.channel())).clamp(1, in_group)
        * shape.kernel[0]
        * shape.kernel[1];
    let [height, width] = shape.output();
    let plane = height * width;
    for group in 0..shape.groups {
        let gradient = Transpose {
            images: images.len(),
            image: shape.out_channels * plane,
            plane,
            rows: out_group,
            chain: chain_length(taps.len()),
            from: &output_gradient[(images[0].image * shape.out_channels + group * out_group) * plane..],
            to: panels,
        };
        isa.run(gradient);
        isa.run(Pass {
            rows: out_group,
            panels: panels.values(),
            input: &input[group * in_group * planes.channel()..],
            taps,
            bases,
            block,
            sums,
            weight_gradient: &mut weight_gradient[group * weights..][..weights],
        });
    }
}

/// Lays out the output gradient of one group as `[chains, panels, pixels of the chain, LANES]`.
struct Transpose<'a> {
    images: usize,
    /// Distance between images.
    image: usize,
    /// Pixels of one image and channel.
    plane: usize,
    /// Output channels.
    rows: usize,
    /// Pixels of a chain.
    chain: usize,
    /// The group's channels of the first image and what follows.
    from: &'a [f32],
    to: &'a mut Aligned,
}

impl Work for Transpose<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let Self { images, image, plane, rows, chain, from, to } = self;
        let (pixels, padded) = (images * plane, rows.next_multiple_of(S::LANES));
        to.grow(pixels * padded);
        let mut pixel = 0;
        while pixel < pixels {
            let start = pixel - pixel % chain;
            let length = chain.min(pixels - start);
            let (i, within) = (pixel / plane, pixel % plane);
            // As far as neither the chain nor the image ends.
            let columns = (start + length - pixel).min(plane - within);
            let to = &mut to.values_mut()[start * padded + (pixel - start) * S::LANES..];
            let from = &from[i * image + within..];
            RowPanels { from, rows, columns, distance: plane, to, panel: length * S::LANES }.run::<S>();
            pixel += columns;
        }
    }
}

/// The products of one group.
struct Pass<'a> {
    /// Output channels.
    rows: usize,
    /// The output gradient as [`Transpose`] lays it out.
    panels: &'a [f32],
    /// The group's inputs.
    input: &'a [f32],
    /// Distance of each output pixel's inputs from the first's.
    taps: &'a [usize],
    /// Where each weight's inputs start.
    bases: &'a [usize],
    /// Weights of an output channel that go together.
    block: usize,
    sums: &'a mut Aligned,
    /// `[rows, bases]`.
    weight_gradient: &'a mut [f32],
}

impl Work for Pass<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let Self { rows, panels, input, taps, bases, block, sums, weight_gradient } = self;
        let (count, chain) = (rows.div_ceil(S::LANES), chain_length(taps.len()));
        for (b, together) in bases.chunks(block).enumerate() {
            let mut first = 0;
            while first < count {
                let vectors = channel_vectors::<S>(count - first);
                sums.grow(together.len() * vectors * S::LANES);
                let sums = &mut sums.values_mut()[..together.len() * vectors * S::LANES];
                sums.fill(0.0);
                for (c, taps) in taps.chunks(chain).enumerate() {
                    let start = c * chain * count + first * taps.len();
                    let weights = &panels[start * S::LANES..];
                    let reach = taps.iter().copied().max().unwrap_or(0);
                    let operands = Operands { weights, input, taps, reach };
                    multiply::<S>(operands, vectors, together, |base, live, products| {
                        add_sums::<S>(products, live, vectors, &mut sums[base * vectors * S::LANES..]);
                    });
                }
                for v in 0..vectors {
                    let row = (first + v) * S::LANES;
                    let live = S::LANES.min(rows - row);
                    let gradient = &mut weight_gradient[row * bases.len() + b * block..];
                    add_transposed::<S>(
                        &sums[v * S::LANES..],
                        vectors,
                        together.len(),
                        live,
                        bases.len(),
                        gradient,
                    );
                }
                first += vectors;
            }
        }
    }
}

/// Adds `products[vector · 8 + base]` to `sums[base, vector]`.
#[inline(always)]
#[expect(unsafe_code, reason = "vector loads and stores take pointers")]
fn add_sums<S: Simd>(products: &[S::Vector], bases: usize, vectors: usize, sums: &mut [f32]) {
    let sums = &mut sums[..bases * vectors * S::LANES];
    for (i, sum) in sums.chunks_exact_mut(S::LANES).enumerate() {
        let at = sum.as_mut_ptr();
        // SAFETY: the chunk is a vector.
        unsafe { S::store(S::add(S::load(at), products[i % vectors * 8 + i / vectors]), at) };
    }
}

/// Adds `from[column, lane]`, vectors `step` vectors apart, to `to[lane, column]`, rows `distance` apart, for the first `rows` lanes.
#[inline(always)]
#[expect(unsafe_code, reason = "vector loads and stores take pointers")]
fn add_transposed<S: Simd>(
    from: &[f32],
    step: usize,
    columns: usize,
    rows: usize,
    distance: usize,
    to: &mut [f32],
) {
    let mut transposed = [[0.0; 8]; 16];
    for start in (0..columns).step_by(8) {
        let count = 8.min(columns - start);
        let mut vectors = [S::splat(0.0); 8];
        for (i, vector) in vectors.iter_mut().enumerate().take(count) {
            let from = &from[(start + i) * step * S::LANES..][..S::LANES];
            // SAFETY: the slice is a vector.
            *vector = unsafe { S::load(from.as_ptr()) };
        }
        // SAFETY: no vector has more than sixteen lanes.
        unsafe { S::transpose(&vectors, transposed.as_mut_ptr().cast(), 8) };
        for (row, values) in transposed.iter().enumerate().take(rows) {
            let to = &mut to[row * distance + start..][..count];
            // SAFETY: `values` is eight values, and `to` holds `count`.
            unsafe {
                let values = S::Row::load(values.as_ptr());
                let at = to.as_mut_ptr();
                if count == S::Row::LANES {
                    S::Row::store(S::Row::add(S::Row::load(at), values), at);
                } else {
                    S::Row::store_first(S::Row::add(S::Row::load_first(at, count), values), at, count);
                }
            }
        }
    }
}

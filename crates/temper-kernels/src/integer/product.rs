//! The loop over images, blocks of pixels and panels of weights, and what is done to the sums.

use super::isa::IntegerIsa;
#[cfg(target_arch = "x86_64")]
use super::tile::{Avx2, Avx512Vnni, AvxVnni};
use super::tile::{BLOCK, PLACES, Portable, SLACK, Tile};
use super::weights::IntegerWeights;
use super::{CodeGrid, IntegerScratch};
use crate::epilogue::{Activation, Epilogue};

/// A layer to be computed on a batch.
pub(super) struct Product<'a> {
    pub(super) weights: &'a IntegerWeights,
    pub(super) input: &'a [f32],
    pub(super) grid: CodeGrid,
    pub(super) scales: &'a [f32],
    pub(super) epilogue: &'a Epilogue<'a>,
    pub(super) output: &'a mut [f32],
}

/// Some pixels of a batch with all channels of one group.
#[derive(Clone, Copy)]
struct Block {
    /// The first pixel, counted through all images.
    first: usize,
    pixels: usize,
    group: usize,
}

/// Neighbouring places of an image's padded plane.
#[derive(Clone, Copy)]
struct Places {
    image: usize,
    first: usize,
    count: usize,
}

/// The output channels of a panel.
struct Panel {
    /// The lanes they are in.
    lanes: std::ops::Range<usize>,
    /// The first of them among all sums of weights.
    sums: usize,
    /// The first of them among all output channels.
    channel: usize,
}

/// Bytes of codes that are made before they are multiplied: they should stay in the second cache.
const CODE_BYTES: usize = 256 * 1024;

impl Product<'_> {
    /// Computes the product with the instructions for which the weights were packed.
    #[expect(unsafe_code, reason = "the processor's features are known at run time only")]
    pub(super) fn run(&mut self, scratch: &mut IntegerScratch) {
        match self.weights.isa() {
            // SAFETY: `IntegerWeights::conv` checked that the processor has the features.
            #[cfg(target_arch = "x86_64")]
            IntegerIsa::Avx512Vnni => unsafe { run_avx512_vnni(self, scratch) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            IntegerIsa::AvxVnni => unsafe { run_avx_vnni(self, scratch) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            IntegerIsa::Avx2 => unsafe { run_avx2(self, scratch) },
            _ => self.run_tiles::<Portable, 8>(scratch),
        }
    }

    #[inline(always)]
    fn run_tiles<K: Tile<L>, const L: usize>(&mut self, scratch: &mut IntegerScratch) {
        let layout = self.weights.layout();
        let (shape, bytes) = (layout.shape(), layout.image_bytes());
        let plane: usize = shape.output().iter().product();
        let image_len: usize = shape.input.iter().product();
        let images = (CODE_BYTES / bytes.max(1)).max(1);
        // A unit may reach beyond the last code, and a vector of places beyond the last place.
        let all = images.min(self.input.len() / image_len) * bytes + 4 * PLACES + SLACK;
        scratch.codes.resize(all.max(scratch.codes.len()), 0);
        for (part, input) in self.input.chunks(images * image_len).enumerate() {
            for (image, codes) in input.chunks_exact(image_len).zip(scratch.codes.chunks_exact_mut(bytes)) {
                layout.encode(self.grid, image, codes);
            }
            if let Some(places) = layout.places().filter(|_| self.weights.by_places()) {
                for image in 0..input.len() / image_len {
                    for first in (0..places).step_by(PLACES) {
                        let count = PLACES.min(places - first);
                        let block = Places { image: part * images + image, first, count };
                        let codes = image * bytes + first * layout.cell();
                        (0..shape.groups).for_each(|group| {
                            let start = codes + group * layout.group_bytes();
                            self.places::<K, L>(block, group, start, scratch);
                        });
                    }
                }
                continue;
            }
            let (first, pixels) = (part * images * plane, input.len() / image_len * plane);
            for start in (0..pixels).step_by(BLOCK) {
                let count = BLOCK.min(pixels - start);
                scratch.bases.resize(count, 0);
                layout.bases(start, &mut scratch.bases);
                for group in 0..shape.groups {
                    self.block::<K, L>(Block { first: first + start, pixels: count, group }, plane, scratch);
                    scratch.bases.iter_mut().for_each(|base| *base += layout.group_bytes());
                }
            }
        }
    }

    /// Computes all channels of a group at some pixels.
    #[inline(always)]
    fn block<K: Tile<L>, const L: usize>(
        &mut self,
        block: Block,
        plane: usize,
        scratch: &mut IntegerScratch,
    ) {
        let IntegerScratch { codes, bases, sums, code_sums, turned, values } = scratch;
        let size = BLOCK * L;
        sums.resize(2 * size, 0);
        turned.resize(size, 0);
        values.resize(L, 0.0);
        let weights = self.weights;
        let (offsets, group_lanes) = (weights.offsets(), weights.group_lanes());
        for within in (0..group_lanes).step_by(2 * L) {
            let panels = ((group_lanes - within) / L).min(2);
            let packed = weights.panels(block.group * group_lanes + within, panels);
            let pixels = K::PIXELS[panels - 1];
            for (i, bases) in bases.chunks(pixels).enumerate() {
                K::multiply(packed, codes, offsets, bases, i * pixels, sums);
            }
            for (panel, sums) in sums.chunks_exact(size).take(panels).enumerate() {
                let within = within + panel * L;
                if within == 0 && weights.ones() == 1 {
                    self.sum_codes(sums.iter().step_by(L), code_sums);
                }
                let panel = self.panel::<L>(block.group, within);
                if plane == 1 {
                    self.store_pixels::<L>(block, &panel, sums, code_sums, values);
                } else {
                    K::turn(sums, turned);
                    self.store_planes(block, &panel, plane, turned, code_sums);
                }
            }
        }
    }

    /// Computes all channels of a group at some places, whose codes begin at `start`.
    #[inline(always)]
    fn places<K: Tile<L>, const L: usize>(
        &mut self,
        block: Places,
        group: usize,
        start: usize,
        scratch: &mut IntegerScratch,
    ) {
        let IntegerScratch { codes, code_sums, turned, .. } = scratch;
        turned.resize(PLACES * L, 0);
        let weights = self.weights;
        let ([channels, vectors], cell) = (K::PLANE, weights.layout().cell());
        for within in (0..weights.group_lanes()).step_by(L) {
            let packed = weights.panels(group * weights.group_lanes() + within, 1);
            let panel = self.panel::<L>(group, within);
            for lane in (0..panel.lanes.end).step_by(channels) {
                for place in (0..block.count).step_by(vectors * L) {
                    let (codes, sums) =
                        (&codes[start + place * cell..], &mut turned[lane * PLACES + place..]);
                    K::multiply_plane(&packed[lane..], codes, cell, weights.offsets(), sums);
                }
            }
            if within == 0 && weights.ones() == 1 {
                self.sum_codes(turned[..PLACES].iter(), code_sums);
            }
            self.store_places(block, &panel, turned, code_sums);
        }
    }

    /// From the sums of a channel whose weights are all ones to those of the inputs' codes beyond zero.
    #[inline(always)]
    fn sum_codes<'s>(&self, ones: impl Iterator<Item = &'s i32>, code_sums: &mut Vec<i32>) {
        let taps = i32::try_from(self.weights.layout().taps()).expect("as many as `check_sum` allows");
        let all = i32::from(self.grid.zero).wrapping_mul(taps);
        code_sums.clear();
        code_sums.extend(ones.map(|sum| sum.wrapping_sub(all)));
    }

    /// The output channels that a panel computes, by the place of its first lane within the group.
    #[inline(always)]
    fn panel<const L: usize>(&self, group: usize, within: usize) -> Panel {
        let (rows, ones) = (self.weights.rows(), self.weights.ones());
        let from = ones.saturating_sub(within);
        let to = (rows + ones - within).min(L);
        Panel {
            lanes: from..to,
            sums: group * self.weights.group_lanes() + within + from,
            channel: group * rows + within + from - ones,
        }
    }

    /// Stores the sums of pixels that are whole planes: outputs lie as the lanes do.
    ///
    /// **Shapes**: `sums` `[BLOCK, LANES]`, `code_sums` `[BLOCK]`, read only if weights have zero points.
    #[inline(always)]
    fn store_pixels<const L: usize>(
        &mut self,
        block: Block,
        panel: &Panel,
        sums: &[i32],
        code_sums: &[i32],
        values: &mut [f32],
    ) {
        let channels = self.weights.layout().shape().out_channels;
        let (first, count) = (panel.channel, panel.lanes.len());
        let zero = i32::from(self.grid.zero);
        let (scales, weight_sums) =
            (&self.scales[first..][..count], &self.weights.sums()[panel.sums..][..count]);
        let values = &mut values[..count];
        for (i, sums) in sums.chunks_exact(L).take(block.pixels).enumerate() {
            let sums = &sums[panel.lanes.clone()];
            let inputs = values.iter_mut().zip(sums).zip(weight_sums.iter().zip(scales));
            if self.weights.ones() == 1 {
                let zero_points = &self.weights.zero_points()[first..];
                for (((value, sum), (weight_sum, scale)), zero_point) in inputs.zip(zero_points) {
                    let exact = sum.wrapping_sub(zero.wrapping_mul(*weight_sum));
                    *value = exact.wrapping_sub(zero_point.wrapping_mul(code_sums[i])) as f32 * scale;
                }
            } else {
                for ((value, sum), (weight_sum, scale)) in inputs {
                    *value = sum.wrapping_sub(zero.wrapping_mul(*weight_sum)) as f32 * scale;
                }
            }
            match self.epilogue.bias {
                Some(bias) => values.iter_mut().zip(&bias[first..]).for_each(|(value, bias)| *value += bias),
                None => values.iter_mut().for_each(|value| *value += 0.0),
            }
            if let Some((scale, shift)) = self.epilogue.affine {
                for (value, (scale, shift)) in
                    values.iter_mut().zip(scale[first..].iter().zip(&shift[first..]))
                {
                    *value = value.mul_add(*scale, *shift);
                }
            }
            self.store(values, (block.first + i) * channels + first);
        }
    }

    /// Stores sums that lie as the planes do.
    ///
    /// **Shapes**: `sums` `[LANES, BLOCK]`, `code_sums` `[BLOCK]`, read only if weights have zero points.
    #[inline(always)]
    fn store_planes(&mut self, block: Block, panel: &Panel, plane: usize, sums: &[i32], code_sums: &[i32]) {
        let channels = self.weights.layout().shape().out_channels;
        for (i, sums) in sums.chunks_exact(BLOCK).skip(panel.lanes.start).take(panel.lanes.len()).enumerate()
        {
            let own = self.channel(panel, i);
            let (mut start, end) = (block.first, block.first + block.pixels);
            while start < end {
                let (image, pixel) = (start / plane, start % plane);
                let length = (plane - pixel).min(end - start);
                let within = start - block.first..start - block.first + length;
                let offset = (image * channels + panel.channel + i) * plane + pixel;
                self.store_row(&own, &sums[within.clone()], code_sums.get(within), offset);
                start += length;
            }
        }
    }

    /// Stores the outputs among some places.
    ///
    /// **Shapes**: `sums` `[LANES, PLACES]`, `code_sums` `[PLACES]`, read only if weights have zero points.
    #[inline(always)]
    fn store_places(&mut self, block: Places, panel: &Panel, sums: &[i32], code_sums: &[i32]) {
        let layout = self.weights.layout();
        let ([height, width], channels) = (layout.shape().output(), layout.shape().out_channels);
        let (step, end) = (layout.width(), block.first + block.count);
        let rows = block.first / step..height.min(end.div_ceil(step));
        for (i, sums) in sums.chunks_exact(PLACES).skip(panel.lanes.start).take(panel.lanes.len()).enumerate()
        {
            let own = self.channel(panel, i);
            let plane = (block.image * channels + panel.channel + i) * height * width;
            for y in rows.clone() {
                let (from, to) = (block.first.max(y * step), end.min(y * step + width));
                if from < to {
                    let within = from - block.first..to - block.first;
                    let offset = plane + y * width + from - y * step;
                    self.store_row(&own, &sums[within.clone()], code_sums.get(within), offset);
                }
            }
        }
    }

    /// What a panel's channel makes of its sums.
    #[inline(always)]
    fn channel(&self, panel: &Panel, number: usize) -> Channel {
        let channel = panel.channel + number;
        // Adding −0 changes nothing.
        let (factor, shift) =
            self.epilogue.affine.map_or((1.0, -0.0), |(scale, shift)| (scale[channel], shift[channel]));
        Channel {
            correction: i32::from(self.grid.zero).wrapping_mul(self.weights.sums()[panel.sums + number]),
            zero_point: self.weights.zero_points().get(channel).copied(),
            scale: self.scales[channel],
            bias: self.epilogue.bias.map_or(0.0, |bias| bias[channel]),
            factor,
            shift,
        }
    }

    /// Stores neighbouring outputs of a channel.
    #[inline(always)]
    fn store_row(&mut self, channel: &Channel, sums: &[i32], code_sums: Option<&[i32]>, offset: usize) {
        let output = &mut self.output[offset..][..sums.len()];
        let residual = self.epilogue.residual.map(|residual| &residual[offset..][..sums.len()]);
        let row =
            Row { channel, sums, code_sums: code_sums.filter(|_| channel.zero_point.is_some()), residual };
        match self.epilogue.activation {
            Activation::Identity => row.store(output, |x| x),
            Activation::Relu => row.store(output, |x| Activation::Relu.apply(x)),
            other => row.store(output, |x| other.apply(x)),
        }
    }

    /// The last two parts of the epilogue.
    #[inline(always)]
    fn store(&mut self, values: &[f32], offset: usize) {
        let output = &mut self.output[offset..][..values.len()];
        let residual = self.epilogue.residual.map(|residual| &residual[offset..][..values.len()]);
        match self.epilogue.activation {
            Activation::Identity => store(values, residual, output, |x| x),
            Activation::Relu => store(values, residual, output, |x| Activation::Relu.apply(x)),
            other => store(values, residual, output, |x| other.apply(x)),
        }
    }
}

#[inline(always)]
fn store(values: &[f32], residual: Option<&[f32]>, output: &mut [f32], activation: impl Fn(f32) -> f32) {
    match residual {
        Some(residual) => {
            for ((out, value), residual) in output.iter_mut().zip(values).zip(residual) {
                *out = activation(value + residual);
            }
        }
        None => {
            for (out, value) in output.iter_mut().zip(values) {
                *out = activation(*value);
            }
        }
    }
}

/// From a channel's sums to its values: `(sum − correction) · scale + bias`, times factor, plus shift.
struct Channel {
    /// Of the inputs' zero point.
    correction: i32,
    /// Of the weights.
    zero_point: Option<i32>,
    scale: f32,
    bias: f32,
    factor: f32,
    shift: f32,
}

/// Sums of neighbouring outputs of a channel.
#[derive(Clone, Copy)]
struct Row<'a> {
    channel: &'a Channel,
    sums: &'a [i32],
    code_sums: Option<&'a [i32]>,
    residual: Option<&'a [f32]>,
}

impl Row<'_> {
    /// Rows are short, and what is left over of a compiler's unrolled loop is slow.
    #[inline(always)]
    fn store(self, output: &mut [f32], activation: impl Fn(f32) -> f32) {
        match output.len() {
            0..8 => self.in_vectors::<1>(output, activation),
            8..16 => self.in_vectors::<8>(output, activation),
            16.. => self.in_vectors::<16>(output, activation),
        }
    }

    /// `N` at a time, the last ones again if that is none of theirs.
    #[inline(always)]
    fn in_vectors<const N: usize>(self, output: &mut [f32], activation: impl Fn(f32) -> f32) {
        let Channel { correction, scale, bias, factor, shift, .. } = *self.channel;
        // Loops over arrays: closures called from elsewhere are compiled without the processor's features.
        for at in (0..output.len()).step_by(N) {
            let at = at.min(output.len() - N);
            let mut sums = [0; N];
            sums.copy_from_slice(&self.sums[at..][..N]);
            for sum in &mut sums {
                *sum = sum.wrapping_sub(correction);
            }
            if let (Some(zero_point), Some(code_sums)) = (self.channel.zero_point, self.code_sums) {
                for (sum, code_sum) in sums.iter_mut().zip(&code_sums[at..][..N]) {
                    *sum = sum.wrapping_sub(zero_point.wrapping_mul(*code_sum));
                }
            }
            let mut values = [0.0; N];
            for (value, sum) in values.iter_mut().zip(sums) {
                *value = (sum as f32 * scale + bias).mul_add(factor, shift);
            }
            if let Some(residual) = self.residual {
                for (value, residual) in values.iter_mut().zip(&residual[at..][..N]) {
                    *value += residual;
                }
            }
            for (out, value) in output[at..][..N].iter_mut().zip(values) {
                *out = activation(value);
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni,fma")]
fn run_avx512_vnni(product: &mut Product<'_>, scratch: &mut IntegerScratch) {
    product.run_tiles::<Avx512Vnni, 16>(scratch);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,avxvnni")]
fn run_avx_vnni(product: &mut Product<'_>, scratch: &mut IntegerScratch) {
    product.run_tiles::<AvxVnni, 8>(scratch);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn run_avx2(product: &mut Product<'_>, scratch: &mut IntegerScratch) {
    product.run_tiles::<Avx2, 8>(scratch);
}

//! The loop over images, blocks of pixels and panels of weights, and what is done to the sums.

use super::isa::IntegerIsa;
#[cfg(target_arch = "x86_64")]
use super::tile::{Avx2, Avx512Vnni, AvxVnni};
use super::tile::{BLOCK, Portable, Tile};
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
        // A unit may reach beyond the last code.
        scratch
            .codes
            .resize((images.min(self.input.len() / image_len) * bytes + 4).max(scratch.codes.len()), 0);
        for (part, input) in self.input.chunks(images * image_len).enumerate() {
            for (image, codes) in input.chunks_exact(image_len).zip(scratch.codes.chunks_exact_mut(bytes)) {
                layout.encode(self.grid, image, codes);
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
        values.resize(BLOCK.max(L), 0.0);
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
                    let taps = i32::try_from(weights.layout().taps()).expect("as many as `check_sum` allows");
                    let all = i32::from(self.grid.zero).wrapping_mul(taps);
                    code_sums.clear();
                    code_sums.extend(sums.chunks_exact(L).map(|sums| sums[0].wrapping_sub(all)));
                }
                let panel = self.panel::<L>(block.group, within);
                if plane == 1 {
                    self.store_pixels::<L>(block, &panel, sums, code_sums, values);
                } else {
                    K::turn(sums, turned);
                    self.store_planes(block, &panel, plane, turned, code_sums, values);
                }
            }
        }
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
    fn store_planes(
        &mut self,
        block: Block,
        panel: &Panel,
        plane: usize,
        sums: &[i32],
        code_sums: &[i32],
        values: &mut [f32],
    ) {
        let channels = self.weights.layout().shape().out_channels;
        let values = &mut values[..block.pixels];
        for (i, sums) in sums.chunks_exact(BLOCK).skip(panel.lanes.start).take(panel.lanes.len()).enumerate()
        {
            let channel = panel.channel + i;
            self.finish(channel, self.weights.sums()[panel.sums + i], sums, code_sums, values);
            let (mut start, end) = (block.first, block.first + block.pixels);
            while start < end {
                let (image, pixel) = (start / plane, start % plane);
                let length = (plane - pixel).min(end - start);
                let offset = (image * channels + channel) * plane + pixel;
                self.store(&values[start - block.first..][..length], offset);
                start += length;
            }
        }
    }

    /// From the sums of one channel to values: zero points, scale and the first parts of the epilogue.
    #[inline(always)]
    fn finish(&self, channel: usize, weight_sum: i32, sums: &[i32], code_sums: &[i32], values: &mut [f32]) {
        let correction = i32::from(self.grid.zero).wrapping_mul(weight_sum);
        let scale = self.scales[channel];
        let bias = self.epilogue.bias.map_or(0.0, |bias| bias[channel]);
        match self.weights.zero_points().get(channel) {
            Some(zero_point) => {
                for ((value, sum), code_sum) in values.iter_mut().zip(sums).zip(code_sums) {
                    let exact = sum.wrapping_sub(correction).wrapping_sub(zero_point.wrapping_mul(*code_sum));
                    *value = exact as f32 * scale + bias;
                }
            }
            None => {
                for (value, sum) in values.iter_mut().zip(sums) {
                    *value = sum.wrapping_sub(correction) as f32 * scale + bias;
                }
            }
        }
        if let Some((scale, shift)) = self.epilogue.affine {
            let (scale, shift) = (scale[channel], shift[channel]);
            for value in values {
                *value = value.mul_add(scale, shift);
            }
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
        None => output.iter_mut().zip(values).for_each(|(out, value)| *out = activation(*value)),
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

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

/// What is done to the sums of each lane, lanes as in the packed weights.
#[derive(Debug, Default, Clone)]
pub(super) struct Lanes {
    /// Zero point of the inputs times the sum of the weights.
    correction: Vec<i32>,
    /// Zero points of the weights; empty if there are none.
    zero_points: Vec<i32>,
    scale: Vec<f32>,
    bias: Vec<f32>,
    /// Scale and shift of a batch norm; empty if there is none.
    affine: [Vec<f32>; 2],
}

/// Some pixels of a batch with all channels of one group.
#[derive(Clone, Copy)]
struct Block {
    /// The first pixel, counted through all images.
    first: usize,
    pixels: usize,
    group: usize,
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
            _ => self.run_tiles::<Portable>(scratch),
        }
    }

    #[inline(always)]
    fn run_tiles<K: Tile>(&mut self, scratch: &mut IntegerScratch) {
        let layout = self.weights.layout();
        let (shape, bytes) = (layout.shape(), layout.image_bytes());
        let plane: usize = shape.output().iter().product();
        let image_len: usize = shape.input.iter().product();
        let images = (CODE_BYTES / bytes.max(1)).max(1);
        self.fill_lanes::<K>(&mut scratch.lanes);
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
                    self.block::<K>(Block { first: first + start, pixels: count, group }, plane, scratch);
                    scratch.bases.iter_mut().for_each(|base| *base += layout.group_bytes());
                }
            }
        }
    }

    /// Computes all channels of a group at some pixels.
    #[inline(always)]
    fn block<K: Tile>(&mut self, block: Block, plane: usize, scratch: &mut IntegerScratch) {
        let IntegerScratch { codes, lanes, bases, sums, code_sums, values, turned } = scratch;
        let size = BLOCK * K::LANES;
        sums.resize(2 * size, 0);
        for buffer in [&mut *values, &mut *turned] {
            buffer.resize(size, 0.0);
        }
        let weights = self.weights;
        let (offsets, group_lanes) = (weights.offsets(), weights.group_lanes());
        for within in (0..group_lanes).step_by(2 * K::LANES) {
            let panels = ((group_lanes - within) / K::LANES).min(2);
            let lane = block.group * group_lanes + within;
            let packed = weights.panels(lane, panels);
            for (i, bases) in bases.chunks(K::PIXELS).enumerate() {
                K::multiply(packed, codes, offsets, bases, i * K::PIXELS, sums);
            }
            for (panel, sums) in sums.chunks_exact(size).take(panels).enumerate() {
                let within = within + panel * K::LANES;
                if within == 0 && weights.ones() == 1 {
                    let all = i32::from(self.grid.zero).wrapping_mul(weights.layout().taps() as i32);
                    code_sums.clear();
                    code_sums.extend(sums.chunks_exact(K::LANES).map(|sums| sums[0].wrapping_sub(all)));
                }
                lanes.finish::<K>(lane + panel * K::LANES, sums, code_sums, values);
                if plane == 1 {
                    self.store_rows::<K>(block, within, values);
                } else {
                    K::turn(values, turned);
                    self.store_planes::<K>(block, within, plane, turned);
                }
            }
        }
    }

    /// The output channels that a panel computes: the first one, within its group, and which lanes they are in.
    #[inline(always)]
    fn live<K: Tile>(&self, within: usize) -> (usize, std::ops::Range<usize>) {
        let ones = self.weights.ones();
        let from = ones.saturating_sub(within);
        let to = (self.weights.rows() + ones - within).min(K::LANES);
        (within + from - ones, from..to)
    }

    /// Stores values of pixels that are whole planes: outputs lie as the lanes do.
    #[inline(always)]
    fn store_rows<K: Tile>(&mut self, block: Block, within: usize, values: &[f32]) {
        let channels = self.weights.layout().shape().out_channels;
        let (first, lanes) = self.live::<K>(within);
        let channel = block.group * self.weights.rows() + first;
        for (i, values) in values.chunks_exact(K::LANES).take(block.pixels).enumerate() {
            self.store(&values[lanes.clone()], (block.first + i) * channels + channel);
        }
    }

    /// Stores rows of pixels, one for each lane.
    #[inline(always)]
    fn store_planes<K: Tile>(&mut self, block: Block, within: usize, plane: usize, turned: &[f32]) {
        let channels = self.weights.layout().shape().out_channels;
        let (first, lanes) = self.live::<K>(within);
        let channel = block.group * self.weights.rows() + first;
        let (mut start, end) = (block.first, block.first + block.pixels);
        while start < end {
            let (image, pixel) = (start / plane, start % plane);
            let length = (plane - pixel).min(end - start);
            let rows = turned.chunks_exact(BLOCK).skip(lanes.start).take(lanes.len());
            for (i, row) in rows.enumerate() {
                let offset = (image * channels + channel + i) * plane + pixel;
                self.store(&row[start - block.first..][..length], offset);
            }
            start += length;
        }
    }

    /// The last two parts of the epilogue.
    #[inline(always)]
    fn store(&mut self, values: &[f32], offset: usize) {
        let output = &mut self.output[offset..][..values.len()];
        match self.epilogue.residual {
            Some(residual) => {
                for ((out, value), residual) in output.iter_mut().zip(values).zip(&residual[offset..]) {
                    *out = value + residual;
                }
            }
            None => output.copy_from_slice(values),
        }
        match self.epilogue.activation {
            Activation::Identity => {}
            Activation::Relu => output.iter_mut().for_each(|x| *x = Activation::Relu.apply(*x)),
            other => output.iter_mut().for_each(|x| *x = other.apply(*x)),
        }
    }

    fn fill_lanes<K: Tile>(&self, lanes: &mut Lanes) {
        let weights = self.weights;
        let zero = i32::from(self.grid.zero);
        lanes.correction.clear();
        lanes.correction.extend(weights.sums().iter().map(|sum| sum.wrapping_mul(zero)));
        let (group_lanes, rows, ones) = (weights.group_lanes(), weights.rows(), weights.ones());
        let total = weights.sums().len();
        // Each channel's value in its lane; lanes without a channel are 0.
        fn spread<T: Copy + Default>(
            from: Option<&[T]>,
            to: &mut Vec<T>,
            total: usize,
            rows: usize,
            ones: usize,
            group_lanes: usize,
        ) {
            to.clear();
            let Some(from) = from else { return };
            to.resize(total, T::default());
            for (from, to) in from.chunks_exact(rows).zip(to.chunks_exact_mut(group_lanes)) {
                to[ones..ones + rows].copy_from_slice(from);
            }
        }
        let zero_points = (ones == 1).then_some(weights.zero_points());
        spread(zero_points, &mut lanes.zero_points, total, rows, ones, group_lanes);
        spread(Some(self.scales), &mut lanes.scale, total, rows, ones, group_lanes);
        spread(self.epilogue.bias, &mut lanes.bias, total, rows, ones, group_lanes);
        lanes.bias.resize(total, 0.0);
        let [scale, shift] = &mut lanes.affine;
        spread(self.epilogue.affine.map(|(scale, _)| scale), scale, total, rows, ones, group_lanes);
        spread(self.epilogue.affine.map(|(_, shift)| shift), shift, total, rows, ones, group_lanes);
    }
}

impl Lanes {
    /// From sums of codes to values: zero points, scales and the first parts of the epilogue.
    ///
    /// **Shapes**: `sums` and `values` `[BLOCK, LANES]`, those of the panel that begins at lane `first`; `code_sums` `[BLOCK]`.
    #[inline(always)]
    fn finish<K: Tile>(&self, first: usize, sums: &[i32], code_sums: &[i32], values: &mut [f32]) {
        let (correction, scale) = (&self.correction[first..][..K::LANES], &self.scale[first..][..K::LANES]);
        let bias = &self.bias[first..][..K::LANES];
        let pixels = sums.chunks_exact(K::LANES).zip(values.chunks_exact_mut(K::LANES));
        if self.zero_points.is_empty() {
            for (sums, values) in pixels {
                for i in 0..K::LANES {
                    values[i] = sums[i].wrapping_sub(correction[i]) as f32 * scale[i] + bias[i];
                }
            }
        } else {
            let zero_points = &self.zero_points[first..][..K::LANES];
            for ((sums, values), code_sum) in pixels.zip(code_sums) {
                for i in 0..K::LANES {
                    let exact = sums[i].wrapping_sub(correction[i]);
                    let exact = exact.wrapping_sub(zero_points[i].wrapping_mul(*code_sum));
                    values[i] = exact as f32 * scale[i] + bias[i];
                }
            }
        }
        let [scale, shift] = &self.affine;
        if !scale.is_empty() {
            let (scale, shift) = (&scale[first..][..K::LANES], &shift[first..][..K::LANES]);
            for values in values.chunks_exact_mut(K::LANES) {
                for i in 0..K::LANES {
                    values[i] = values[i].mul_add(scale[i], shift[i]);
                }
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni,fma")]
fn run_avx512_vnni(product: &mut Product<'_>, scratch: &mut IntegerScratch) {
    product.run_tiles::<Avx512Vnni>(scratch);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,avxvnni")]
fn run_avx_vnni(product: &mut Product<'_>, scratch: &mut IntegerScratch) {
    product.run_tiles::<AvxVnni>(scratch);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn run_avx2(product: &mut Product<'_>, scratch: &mut IntegerScratch) {
    product.run_tiles::<Avx2>(scratch);
}

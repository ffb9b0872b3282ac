//! The loops that convolution and linear layers share: tiles of weights times inputs, and what is done to the sums.

use std::ops::Range;

use crate::epilogue::{Activation, Epilogue};
use crate::isa::Isa;
use crate::pack::PackedWeights;
#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx2, Avx512};
use crate::simd::{Portable, Simd};
use crate::tile::{Operands, Sums, channel_tile, pixel_rows, pixel_tile, pixel_vectors};

/// Which way the vectors of a product lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lanes {
    /// A vector holds one pixel of many channels: no two inputs need lie side by side.
    Channels,
    /// A vector holds neighbouring pixels of one channel: little is wasted where there are few channels.
    Pixels,
}

/// Where outputs come from and go to: one with [`Lanes::Channels`], up to a vector of neighbours with [`Lanes::Pixels`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spot {
    /// Place of the first output's first input.
    pub(crate) input: usize,
    /// Place of the first output in channel 0.
    pub(crate) output: usize,
    /// Number of outputs.
    pub(crate) count: usize,
}

/// A product to be computed: `output = epilogue(weights · inputs)`.
pub(crate) struct Product<'a> {
    pub(crate) weights: &'a PackedWeights,
    epilogue: &'a Epilogue<'a>,
    /// Input `k` of a spot is at `spot.input + taps[k]`.
    taps: &'a [usize],
    /// The largest of them.
    reach: usize,
    /// Distance between channels in the output.
    plane: usize,
    output: &'a mut [f32],
}

/// A part of a product: some channels of one group at some spots.
#[derive(Debug, Clone)]
pub(crate) struct Part<'a> {
    pub(crate) group: usize,
    /// Channels, counted within the group.
    pub(crate) rows: Range<usize>,
    /// The inputs of the group.
    pub(crate) input: &'a [f32],
    pub(crate) lanes: Lanes,
    pub(crate) spots: &'a [Spot],
}

impl<'a> Product<'a> {
    /// A product whose output channels lie `plane` values apart.
    pub(crate) fn new(
        weights: &'a PackedWeights,
        epilogue: &'a Epilogue<'a>,
        taps: &'a [usize],
        plane: usize,
        output: &'a mut [f32],
    ) -> Self {
        let reach = taps.iter().copied().max().unwrap_or(0);
        Self { weights, epilogue, taps, reach, plane, output }
    }

    /// Computes one part with the instructions for which the weights were packed.
    #[expect(unsafe_code, reason = "the processor's features are known at run time only")]
    pub(crate) fn run(&mut self, part: &Part<'_>) {
        match self.weights.isa() {
            // SAFETY: `PackedWeights::new` checked that the processor has the features.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => unsafe { run_avx512(self, part) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => unsafe { run_avx2(self, part) },
            _ => self.run_with::<Portable>(part),
        }
    }

    #[inline(always)]
    fn run_with<S: Simd>(&mut self, part: &Part<'_>) {
        match part.lanes {
            Lanes::Channels => self.run_channels::<S>(part),
            Lanes::Pixels => self.run_pixels::<S>(part),
        }
    }

    fn operands<'b>(&'b self, part: &Part<'b>, panel: usize) -> Operands<'b> {
        let weights = self.weights.panels(part.group, panel);
        Operands { weights, input: part.input, taps: self.taps, reach: self.reach }
    }

    #[inline(always)]
    fn run_channels<S: Simd>(&mut self, part: &Part<'_>) {
        let end = part.rows.end.div_ceil(S::LANES);
        let mut panel = part.rows.start / S::LANES;
        let mut sums: Sums<S> = [S::splat(0.0); 24];
        while panel < end {
            // No panel should be left alone: it would wait for loads.
            let vectors = if end - panel == 4 { 2 } else { end - panel }.min(S::VECTORS);
            for spots in part.spots.chunks(S::PIXELS) {
                let mut bases = [0; 8];
                for (base, spot) in bases.iter_mut().zip(spots) {
                    *base = spot.input;
                }
                channel_tile::<S>(self.operands(part, panel), vectors, &bases[..spots.len()], &mut sums);
                for v in 0..vectors {
                    self.store_channels::<S>(part, panel + v, spots, &sums[v * S::PIXELS..][..S::PIXELS]);
                }
            }
            panel += vectors;
        }
    }

    /// Stores the sums of one panel of channels at `spots`.
    #[inline(always)]
    #[expect(unsafe_code, reason = "vector loads take pointers")]
    fn store_channels<S: Simd>(&mut self, part: &Part<'_>, panel: usize, spots: &[Spot], sums: &[S::Vector]) {
        let Epilogue { bias, affine, .. } = *self.epilogue;
        let first = part.group * self.weights.rows() + panel * S::LANES;
        let live = S::LANES.min(self.weights.rows() - panel * S::LANES);
        let load = |values: &[f32]| {
            let values = &values[first..][..live];
            // SAFETY: the slice holds that many.
            unsafe { S::load_first(values.as_ptr(), live) }
        };
        let bias = bias.map_or(S::splat(0.0), load);
        let mut columns = [S::splat(0.0); 8];
        for (column, &sum) in columns.iter_mut().zip(sums) {
            *column = S::add(sum, bias);
        }
        if let Some((scale, shift)) = affine {
            let (scale, shift) = (load(scale), load(shift));
            for column in &mut columns {
                *column = S::fma(*column, scale, shift);
            }
        }
        let lanes =
            part.rows.start.saturating_sub(panel * S::LANES)..live.min(part.rows.end - panel * S::LANES);
        if self.plane == 1 && lanes == (0..live) {
            for (&column, spot) in columns.iter().zip(spots) {
                self.finish::<S>(column, spot.output + first, live);
            }
            return;
        }
        let mut rows = [[0.0; 8]; 16];
        S::transpose(&columns, &mut rows);
        let together = spots.windows(2).all(|pair| pair[1].output == pair[0].output + 1);
        for lane in lanes {
            let channel = (first + lane) * self.plane;
            let row = &rows[lane];
            if together && spots.len() == S::PIXELS {
                self.finish_row(&row[..S::PIXELS], spots[0].output + channel);
            } else {
                for (spot, value) in spots.iter().zip(row) {
                    self.finish_row(&[*value], spot.output + channel);
                }
            }
        }
    }

    /// Adds the residual to `values`, activates and stores them.
    #[inline(always)]
    fn finish_row(&mut self, values: &[f32], at: usize) {
        let output = &mut self.output[at..][..values.len()];
        match self.epilogue.residual {
            Some(residual) => {
                for ((out, x), residual) in output.iter_mut().zip(values).zip(&residual[at..][..values.len()])
                {
                    *out = x + residual;
                }
            }
            None => output.copy_from_slice(values),
        }
        self.epilogue.activation.apply_all(output);
    }

    #[inline(always)]
    fn run_pixels<S: Simd>(&mut self, part: &Part<'_>) {
        let mut sums: Sums<S> = [S::splat(0.0); 24];
        let mut row = part.rows.start;
        while row < part.rows.end {
            let (panel, first) = (row / S::LANES, row % S::LANES);
            let height = pixel_rows::<S>(part.rows.end - row, S::LANES - first);
            let vectors = pixel_vectors::<S>(height);
            let live = height.min(part.rows.end - row);
            for spots in part.spots.chunks(vectors) {
                let mut bases = [0; 8];
                for (base, spot) in bases.iter_mut().zip(spots) {
                    *base = spot.input;
                }
                pixel_tile::<S>(self.operands(part, panel), first, height, &bases[..spots.len()], &mut sums);
                for r in 0..live {
                    let channel = part.group * self.weights.rows() + row + r;
                    self.store_pixels::<S>(channel, spots, &sums[r * vectors..][..vectors]);
                }
            }
            row += live;
        }
    }

    /// Stores the sums of one channel at `spots`.
    #[inline(always)]
    fn store_pixels<S: Simd>(&mut self, channel: usize, spots: &[Spot], sums: &[S::Vector]) {
        let Epilogue { bias, affine, .. } = *self.epilogue;
        let bias = S::splat(bias.map_or(0.0, |bias| bias[channel]));
        let affine = affine.map(|(scale, shift)| (S::splat(scale[channel]), S::splat(shift[channel])));
        for (spot, &sum) in spots.iter().zip(sums) {
            let mut x = S::add(sum, bias);
            if let Some((scale, shift)) = affine {
                x = S::fma(x, scale, shift);
            }
            self.finish::<S>(x, spot.output + channel * self.plane, spot.count);
        }
    }

    /// Adds the residual to the first `count` lanes, activates and stores them.
    #[inline(always)]
    #[expect(unsafe_code, reason = "vector loads and stores take pointers")]
    fn finish<S: Simd>(&mut self, mut x: S::Vector, at: usize, count: usize) {
        let output = &mut self.output[at..][..count];
        let full = count == S::LANES;
        if let Some(residual) = self.epilogue.residual {
            let from = residual[at..][..count].as_ptr();
            // SAFETY: the slice holds that many.
            let residual = unsafe { if full { S::load(from) } else { S::load_first(from, count) } };
            x = S::add(x, residual);
        }
        let activation = self.epilogue.activation;
        if activation == Activation::Relu {
            x = S::relu(x);
        }
        // SAFETY: the slice holds that many.
        unsafe {
            if full {
                S::store(x, output.as_mut_ptr());
            } else {
                S::store_first(x, output.as_mut_ptr(), count);
            }
        }
        if activation != Activation::Relu {
            activation.apply_all(output);
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn run_avx512(product: &mut Product<'_>, part: &Part<'_>) {
    product.run_with::<Avx512>(part);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn run_avx2(product: &mut Product<'_>, part: &Part<'_>) {
    product.run_with::<Avx2>(part);
}

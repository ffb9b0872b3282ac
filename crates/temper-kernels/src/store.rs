//! What is done to the sums of a tile, and where they go.

use std::ops::Range;

use crate::epilogue::{Activation, Epilogue};
use crate::product::Spot;
use crate::simd::Simd;

/// Applies the epilogue and stores.
pub(crate) struct Store<'a> {
    pub(crate) epilogue: Epilogue<'a>,
    /// Distance between channels in the output.
    pub(crate) plane: usize,
    pub(crate) output: &'a mut [f32],
}

impl Store<'_> {
    /// Stores the sums of one panel of channels at `spots`, one vector for each: the `wanted` of the panel's channels, which are
    /// `channels.1` from `channels.0` on.
    #[inline(always)]
    #[expect(unsafe_code, reason = "vector loads take pointers")]
    pub(crate) fn channels<S: Simd>(
        &mut self,
        channels: (usize, usize),
        wanted: Range<usize>,
        spots: &[Spot],
        sums: &[S::Vector],
    ) {
        let (first, live) = channels;
        let columns = self.scaled::<S>(channels, sums);
        if self.plane == 1 && wanted == (0..live) {
            for (&column, spot) in columns.iter().zip(spots) {
                self.finish::<S>(column, spot.output + first, live);
            }
            return;
        }
        let mut rows = [[0.0; 8]; 16];
        // SAFETY: no vector has more than sixteen lanes.
        unsafe { S::transpose(&columns, rows.as_mut_ptr().cast(), 8) };
        let together = spots.windows(2).all(|pair| pair[1].output == pair[0].output + 1);
        for (lane, row) in rows.iter().enumerate().take(wanted.end).skip(wanted.start) {
            let channel = (first + lane) * self.plane;
            if together {
                // SAFETY: a row is eight values.
                let row = unsafe { S::Row::load(row.as_ptr()) };
                self.finish::<S::Row>(row, spots[0].output + channel, spots.len());
            } else {
                self.scatter(row, channel, spots);
            }
        }
    }

    /// Stores the sums of one panel of channels at up to sixteen neighbouring places, the first at `start` in channel 0; channels as for
    /// [`channels`](Self::channels).
    #[inline(always)]
    #[expect(unsafe_code, reason = "vector loads take pointers")]
    pub(crate) fn row<S: Simd>(
        &mut self,
        channels: (usize, usize),
        wanted: Range<usize>,
        start: usize,
        sums: &[S::Vector],
    ) {
        let mut rows = [[[0.0f32; 8]; 2]; 16];
        for (half, sums) in sums.chunks(8).enumerate() {
            let columns = self.scaled::<S>(channels, sums);
            // SAFETY: no vector has more than sixteen lanes, and rows are of sixteen values.
            unsafe { S::transpose(&columns, rows.as_mut_ptr().cast::<f32>().add(8 * half), 16) };
        }
        for lane in wanted {
            let at = (channels.0 + lane) * self.plane + start;
            for (half, row) in rows[lane].iter().enumerate().take(sums.len().div_ceil(8)) {
                // SAFETY: a row is eight values.
                let row = unsafe { S::Row::load(row.as_ptr()) };
                self.finish::<S::Row>(row, at + 8 * half, 8.min(sums.len() - 8 * half));
            }
        }
    }

    /// Up to eight sums of one panel of channels with bias, scale and shift.
    #[inline(always)]
    #[expect(unsafe_code, reason = "vector loads take pointers")]
    fn scaled<S: Simd>(&self, (first, live): (usize, usize), sums: &[S::Vector]) -> [S::Vector; 8] {
        let load = |values: &[f32]| {
            let values = &values[first..][..live];
            // SAFETY: the slice holds that many.
            unsafe { S::load_first(values.as_ptr(), live) }
        };
        let bias = self.epilogue.bias.map_or(S::splat(0.0), load);
        let mut columns = [S::splat(0.0); 8];
        for (column, &sum) in columns.iter_mut().zip(sums) {
            *column = S::add(sum, bias);
        }
        if let Some((scale, shift)) = self.epilogue.affine {
            let (scale, shift) = (load(scale), load(shift));
            for column in &mut columns {
                *column = S::fma(*column, scale, shift);
            }
        }
        columns
    }

    /// Stores values of one channel that lie apart.
    #[inline(always)]
    fn scatter(&mut self, values: &[f32; 8], channel: usize, spots: &[Spot]) {
        for (&x, spot) in values.iter().zip(spots) {
            let at = spot.output + channel;
            let x = self.epilogue.residual.map_or(x, |residual| x + residual[at]);
            self.output[at] = match self.epilogue.activation {
                Activation::Identity => x,
                Activation::Relu => Activation::Relu.apply(x),
                other => other.apply(x),
            };
        }
    }

    /// Stores the sums of one channel at `spots`, one vector for each.
    #[inline(always)]
    pub(crate) fn pixels<S: Simd>(&mut self, channel: usize, spots: &[Spot], sums: &[S::Vector]) {
        let Epilogue { bias, affine, .. } = self.epilogue;
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
        let relu = matches!(self.epilogue.activation, Activation::Relu);
        if relu {
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
        if !relu {
            self.epilogue.activation.apply_all(output);
        }
    }
}

//! The loops that convolution and linear layers share: tiles of weights times inputs, and what is done to the sums.

use std::ops::Range;

use crate::epilogue::Epilogue;
use crate::isa::Work;
use crate::pack::PackedWeights;
use crate::simd::Simd;
use crate::store::Store;
use crate::tile::{
    Operands, Sums, channel_pixels, channel_tile, channel_vectors, pixel_rows, pixel_tile, pixel_vectors,
};

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
    pub(crate) fn run(&mut self, part: &Part<'_>) {
        self.weights.isa().run((self, part));
    }

    fn operands<'b>(&'b self, part: &Part<'b>, panel: usize) -> Operands<'b> {
        let weights = self.weights.panels(part.group, panel);
        Operands { weights, input: part.input, taps: self.taps, reach: self.reach }
    }

    fn store(&mut self) -> Store<'_> {
        Store { epilogue: *self.epilogue, plane: self.plane, output: self.output }
    }

    #[inline(always)]
    fn run_channels<S: Simd>(&mut self, part: &Part<'_>) {
        let end = part.rows.end.div_ceil(S::LANES);
        let mut panel = part.rows.start / S::LANES;
        let mut sums: Sums<S> = [S::splat(0.0); 24];
        while panel < end {
            let vectors = channel_vectors::<S>(end - panel);
            for spots in part.spots.chunks(channel_pixels::<S>(vectors)) {
                let mut bases = [0; 8];
                for (base, spot) in bases.iter_mut().zip(spots) {
                    *base = spot.input;
                }
                channel_tile::<S>(self.operands(part, panel), vectors, &bases[..spots.len()], &mut sums);
                for (v, sums) in sums.chunks_exact(8).take(vectors).enumerate() {
                    let before = (panel + v) * S::LANES;
                    let live = S::LANES.min(self.weights.rows() - before);
                    let wanted = part.rows.start.saturating_sub(before)..live.min(part.rows.end - before);
                    let channels = (part.group * self.weights.rows() + before, live);
                    self.store().channels::<S>(channels, wanted, spots, sums);
                }
            }
            panel += vectors;
        }
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
                let first = part.group * self.weights.rows() + row;
                let mut store = self.store();
                for (r, sums) in sums.chunks_exact(vectors).take(live).enumerate() {
                    store.pixels::<S>(first + r, spots, sums);
                }
            }
            row += live;
        }
    }
}

impl Work for (&mut Product<'_>, &Part<'_>) {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let (product, part) = self;
        match part.lanes {
            Lanes::Channels => product.run_channels::<S>(part),
            Lanes::Pixels => product.run_pixels::<S>(part),
        }
    }
}

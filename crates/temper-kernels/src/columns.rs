//! The loop that convolution and linear layers share: weights times columns of inputs, a panel of columns at a time.

use crate::epilogue::Epilogue;
use crate::isa::Isa;
use crate::pack::PackedWeights;
#[cfg(target_arch = "x86_64")]
use crate::tile::{Avx2, Avx512};
use crate::tile::{Portable, Tile};

/// Neighbouring columns of a panel whose inputs lie at a constant distance in memory and whose outputs lie side by side.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    /// First column, within the panel.
    pub(crate) column: usize,
    /// Number of columns.
    pub(crate) length: usize,
    /// Place of the first column's input for the first tap.
    pub(crate) input: usize,
    /// The image.
    pub(crate) image: usize,
    /// Place of the first output in a channel's plane.
    pub(crate) pixel: usize,
}

/// Where the columns' inputs are: column `j` of tap `k` is at `run.input + taps(k) + (j − run.column) · step`.
pub(crate) trait Taps {
    /// Distance between the inputs of neighbouring columns of a run.
    fn step(&self) -> usize;
    /// Calls `each` with every tap's offset, in the order of the weights' memory.
    fn for_each(&self, group: usize, each: impl FnMut(usize));
    /// Splits the columns `first .. first + count` into runs.
    fn runs(&self, first: usize, count: usize, runs: &mut Vec<Run>);
}

/// A product to be computed: `output = epilogue(weights · columns)`.
pub(crate) struct Product<'a, T: Taps> {
    pub(crate) weights: &'a PackedWeights,
    pub(crate) input: &'a [f32],
    pub(crate) taps: T,
    /// Number of columns in all.
    pub(crate) count: usize,
    /// Values of one channel of one image.
    pub(crate) plane: usize,
    pub(crate) epilogue: &'a Epilogue<'a>,
    pub(crate) output: &'a mut [f32],
}

/// Bytes of packed columns that are multiplied with all weights before the next are packed: they should stay in the second cache.
const PACKED_BYTES: usize = 256 * 1024;

impl<T: Taps> Product<'_, T> {
    /// Computes the product with the instructions for which the weights were packed.
    #[expect(unsafe_code, reason = "the processor's features are known at run time only")]
    pub(crate) fn run(&mut self, packed: &mut Vec<f32>, runs: &mut Vec<Run>) {
        match self.weights.isa() {
            // SAFETY: `PackedWeights::new` checked that the processor has the features.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => unsafe { run_avx512(self, packed, runs) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => unsafe { run_avx2(self, packed, runs) },
            _ => self.run_tiles::<Portable>(packed, runs),
        }
    }

    #[inline(always)]
    fn run_tiles<K: Tile>(&mut self, packed: &mut Vec<f32>, runs: &mut Vec<Run>) {
        let depth = self.weights.columns();
        let panel_size = depth * K::COLUMNS;
        let panels = (PACKED_BYTES / 4 / panel_size.max(1)).clamp(1, 8);
        packed.resize((panels * panel_size).max(packed.len()), 0.0);
        let (rows, channels) = (self.weights.rows(), self.weights.rows() * self.weights.groups());
        // Large enough for every tile.
        let mut sums = [0.0f32; 256];
        for first in (0..self.count).step_by(panels * K::COLUMNS) {
            let end = self.count.min(first + panels * K::COLUMNS);
            for group in 0..self.weights.groups() {
                for (start, panel) in
                    (first..end).step_by(K::COLUMNS).zip(packed.chunks_exact_mut(panel_size))
                {
                    runs.clear();
                    self.taps.runs(start, K::COLUMNS.min(end - start), runs);
                    pack(&self.taps, group, self.input, runs, panel, K::COLUMNS);
                }
                for (index, weights) in self.weights.panels(group).enumerate() {
                    let row = index * K::ROWS;
                    let live = K::ROWS.min(rows - row);
                    for (start, panel) in
                        (first..end).step_by(K::COLUMNS).zip(packed.chunks_exact(panel_size))
                    {
                        K::multiply(weights, panel, &mut sums[..K::ROWS * K::COLUMNS]);
                        runs.clear();
                        self.taps.runs(start, K::COLUMNS.min(end - start), runs);
                        for run in runs.iter() {
                            for (i, sums) in sums.chunks_exact(K::COLUMNS).take(live).enumerate() {
                                let channel = group * rows + row + i;
                                let offset = (run.image * channels + channel) * self.plane + run.pixel;
                                let sums = &sums[run.column..][..run.length];
                                self.epilogue.store(channel, sums, self.output, offset);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Lays the inputs of a panel's columns out as the tiles read them, `[taps, columns]`. Columns of no run keep what they hold:
/// their sums are not stored.
#[inline(always)]
fn pack(taps: &impl Taps, group: usize, input: &[f32], runs: &[Run], panel: &mut [f32], columns: usize) {
    let step = taps.step();
    let mut rows = panel.chunks_exact_mut(columns);
    taps.for_each(group, |tap| {
        let Some(row) = rows.next() else { return };
        for run in runs {
            let row = &mut row[run.column..][..run.length];
            let from = &input[run.input + tap..];
            if step == 1 {
                copy(&from[..run.length], row);
            } else {
                for (i, value) in row.iter_mut().enumerate() {
                    *value = from[i * step];
                }
            }
        }
    });
}

/// `copy_from_slice` for the short slices met here, without a call into the C library.
#[inline(always)]
fn copy(from: &[f32], to: &mut [f32]) {
    let (from_blocks, from_rest) = from.as_chunks::<8>();
    let (to_blocks, to_rest) = to.as_chunks_mut::<8>();
    for (to, from) in to_blocks.iter_mut().zip(from_blocks) {
        *to = *from;
    }
    for (to, from) in to_rest.iter_mut().zip(from_rest) {
        *to = *from;
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn run_avx512<T: Taps>(product: &mut Product<'_, T>, packed: &mut Vec<f32>, runs: &mut Vec<Run>) {
    product.run_tiles::<Avx512>(packed, runs);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn run_avx2<T: Taps>(product: &mut Product<'_, T>, packed: &mut Vec<f32>, runs: &mut Vec<Run>) {
    product.run_tiles::<Avx2>(packed, runs);
}

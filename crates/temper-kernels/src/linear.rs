//! Linear layers.

use std::mem;

use crate::Scratch;
use crate::epilogue::Epilogue;
use crate::isa::Isa;
use crate::pack::PackedWeights;
use crate::product::{Lanes, Part, Product, Spot};
use crate::region::Region;

/// Multiplies rows of inputs with the weights of a linear layer.
///
/// **Shapes**: `input` `[rows, in_features]`, `weights` of `out_features` rows and `in_features` columns, `output`
/// `[rows, out_features]`.
///
/// # Panics
/// When the slices do not have these shapes.
pub fn linear(
    input: &[f32],
    weights: &PackedWeights,
    epilogue: &Epilogue<'_>,
    output: &mut [f32],
    scratch: &mut Scratch,
) {
    let rows = check(input, weights, output);
    list_taps(weights, &mut scratch.taps);
    let every = 0..weights.rows();
    for first in (0..rows).step_by(BLOCK) {
        scratch.spots.clear();
        scratch.spots.extend((first..rows.min(first + BLOCK)).map(|row| spot(weights, row)));
        let part =
            Part { group: 0, rows: every.clone(), input, lanes: Lanes::Channels, spots: &scratch.spots };
        Product::new(weights, epilogue, &scratch.taps, 1, output).run(&part);
    }
}

/// [`linear`] with weights that serve this one time: they are packed a few outputs at a time, into memory that stays in a cache. The
/// same bits.
///
/// **Shapes**: `input` `[rows, in_features]`, `weights` `[out_features, in_features]`, `output` `[rows, out_features]`.
///
/// # Panics
/// When the slices do not have these shapes, or the processor does not have the instructions.
pub fn linear_once(
    isa: Isa,
    [in_features, out_features]: [usize; 2],
    input: &[f32],
    weights: &[f32],
    epilogue: &Epilogue<'_>,
    output: &mut [f32],
    scratch: &mut Scratch,
) {
    let rows = input.len() / in_features;
    assert_eq!(input.len(), rows * in_features, "input must be [rows, in_features]");
    assert_eq!(weights.len(), out_features * in_features, "weights must be [out_features, in_features]");
    assert_eq!(output.len(), rows * out_features, "output must be [rows, out_features]");
    let Scratch { taps, spots, panels, .. } = scratch;
    taps.clear();
    taps.extend(0..in_features);
    let mut first = 0;
    while first < out_features {
        // A single panel would wait for loads: see `channel_vectors`.
        let left = out_features - first;
        let count = if left <= 3 * isa.lanes() { left } else { 2 * isa.lanes() };
        let own = &weights[first * in_features..][..count * in_features];
        let packed = PackedWeights::within(mem::take(panels), isa, own, 1, count, in_features);
        spots.clear();
        let spot = |row| Spot { input: row * in_features, output: row * out_features + first, count: 1 };
        spots.extend((0..rows).map(spot));
        let epilogue = Epilogue {
            bias: epilogue.bias.map(|bias| &bias[first..]),
            affine: epilogue.affine.map(|(scale, shift)| (&scale[first..], &shift[first..])),
            ..*epilogue
        };
        let part = Part { group: 0, rows: 0..count, input, lanes: Lanes::Channels, spots };
        Product::new(&packed, &epilogue, taps, 1, output).run(&part);
        *panels = packed.into_memory();
        first += count;
    }
}

/// Computes the outputs of [`linear`] that lie in `regions`, with the same bits, and leaves all others of `output` as they are.
/// A region's image is a row of inputs, its channels are features; overlapping regions are computed twice.
///
/// **Shapes**: as for [`linear`]; regions within `[out_features, 1, 1]`.
///
/// # Panics
/// When the slices do not have these shapes or a region leaves the output.
pub fn linear_regions(
    input: &[f32],
    weights: &PackedWeights,
    epilogue: &Epilogue<'_>,
    output: &mut [f32],
    regions: &[Region],
    scratch: &mut Scratch,
) {
    let rows = check(input, weights, output);
    for region in regions {
        region.check(rows, [weights.rows(), 1, 1]);
    }
    list_taps(weights, &mut scratch.taps);
    let Scratch { taps, spots, .. } = scratch;
    for block in regions.chunk_by(|a, b| a.channels == b.channels) {
        for block in block.chunks(BLOCK) {
            spots.clear();
            let live = block.iter().filter(|region| !region.is_empty());
            spots.extend(live.map(|region| spot(weights, region.image)));
            let Some(Region { channels, .. }) = block.first().filter(|_| !spots.is_empty()) else { continue };
            let part =
                Part { group: 0, rows: channels.clone(), input, lanes: Lanes::Channels, spots: &*spots };
            Product::new(weights, epilogue, taps, 1, output).run(&part);
        }
    }
}

/// Rows of inputs that are multiplied with all weights before the next: they should stay in the second cache.
const BLOCK: usize = 64;

fn check(input: &[f32], weights: &PackedWeights, output: &[f32]) -> usize {
    let rows = input.len() / weights.columns();
    assert_eq!(weights.groups(), 1, "a linear layer has one group");
    assert_eq!(input.len(), rows * weights.columns(), "input must be [rows, in_features]");
    assert_eq!(output.len(), rows * weights.rows(), "output must be [rows, out_features]");
    rows
}

fn list_taps(weights: &PackedWeights, taps: &mut Vec<usize>) {
    taps.clear();
    taps.extend(0..weights.columns());
}

fn spot(weights: &PackedWeights, row: usize) -> Spot {
    Spot { input: row * weights.columns(), output: row * weights.rows(), count: 1 }
}

//! Linear layers.

use crate::Scratch;
use crate::epilogue::Epilogue;
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

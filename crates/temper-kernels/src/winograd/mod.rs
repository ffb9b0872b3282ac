//! Convolutions of 3 × 3 and stride 1 by Winograd's minimal filtering, F(4 × 4, 3 × 3).
//!
//! A tile of 4 × 4 outputs is `Aᵀ [Σ_c (G g_c Gᵀ) ⊙ (Bᵀ d_c B)] A`, where `d_c` are the 6 × 6 inputs of channel c that the tile sees
//! and `g_c` the weights (Lavin & Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016, with the points 0, ±1, ±2, ∞): 36
//! multiplications a channel in place of 144. Sums over channels are chains of fused multiply-adds from zero, in the channels' order; every
//! tile is computed alone. So this too has the same bits on every machine, and for parts of an output as for all of it.
//!
//! # Rounding
//! `|computed − exact| ≤ 2304 · (C + 16) · 2⁻²⁴ · C · max|d| · max|g|` to first order: 2304 = 48² is the largest sum
//! of magnitudes that the three matrices make of ones, 16 the roundings besides the chain's. (A direct convolution has 9 · C · 9 · C.) That
//! is the worst case; on random inputs errors are four to ten times those of a direct convolution, and bounds that look at the inputs
//! (`rounding`) about ten times.
//!
//! # Magnitudes
//! A tile mixes its inputs, so one faulty 10³⁰ would leave noise of 10²⁴ in outputs that never see it. Tiles with an input above
//! [`LARGEST_INPUT`] or that is not a number, and channels with such a weight ([`LARGEST_WEIGHT`]), are therefore computed directly, with the bits
//! of a direct convolution. What a tile's outputs are so follows from the tile's own inputs and weights, and from nothing else.

mod rounding;
mod tiles;
mod transform;
mod weights;

use std::ops::Range;

pub(crate) use self::rounding::{AMPLIFICATION, Rounding};
use self::tiles::Tiles;
pub(crate) use self::weights::TransformedWeights;
use crate::Scratch;
use crate::conv::ConvShape;
use crate::epilogue::Epilogue;
use crate::region::Region;
use crate::store::Store;

/// Rows and columns of a tile of outputs.
pub(crate) const TILE: usize = 4;

/// Rows and columns of the inputs that a tile sees.
const WINDOW: usize = TILE + 2;

/// Products of a tile and channel.
const POINTS: usize = WINDOW * WINDOW;

/// Tiles with larger inputs are computed directly. Activations of trained networks lie below; what a struck exponent makes lies above,
/// but for its lowest three bits.
const LARGEST_INPUT: f32 = 256.0;

/// Channels with larger weights are computed directly.
const LARGEST_WEIGHT: f32 = 16.0;

/// Computes those outputs of [`conv2d_regions`](crate::conv2d_regions) that are not to be computed directly; returns the parts that are.
pub(crate) fn conv2d_regions(
    shape: &ConvShape,
    input: &[f32],
    weights: &TransformedWeights,
    epilogue: &Epilogue<'_>,
    output: &mut [f32],
    regions: &[Region],
    scratch: &mut Scratch,
) -> Vec<Region> {
    let [height, width] = shape.output();
    let mut directly = Vec::new();
    for same in regions.chunk_by(|a, b| a.channels == b.channels) {
        let channels = same[0].channels.clone();
        let large: Vec<Range<usize>> = weights.large_channels(channels.clone()).collect();
        if large.first() != Some(&channels) {
            let store = Store { epilogue: *epilogue, plane: height * width, output };
            let directly = &mut directly;
            weights.isa().run(Tiles { shape, input, weights, regions: same, store, directly, scratch });
        }
        let of_channels = |channels: &Range<usize>| {
            let channels = channels.clone();
            same.iter().map(move |region| Region { channels: channels.clone(), ..region.clone() })
        };
        directly.extend(large.iter().flat_map(of_channels));
    }
    directly
}

impl ConvShape {
    /// Rows and columns of the tiles in which Winograd's algorithm computes the output, where it is to be used: for 3 × 3 kernels at
    /// stride 1, in planes and between channels that are large and many enough to gain by it. Smaller planes have few tiles to
    /// the weights, of which there are four times as many.
    pub fn winograd_tile(&self) -> Option<usize> {
        let is_plain = self.kernel == [3, 3]
            && self.stride == [1, 1]
            && self.dilation == [1, 1]
            && self.groups == 1
            && self.padding.iter().all(|&padding| padding < 3);
        let [height, width] = self.output();
        let is_large = height.min(width) >= 7 && self.input[0].min(self.out_channels) >= 16;
        (is_plain && is_large).then_some(TILE)
    }
}

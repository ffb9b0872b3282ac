//! The innermost loops of weight gradients: products summed over the pixels of a batch instead of the taps of a kernel.
//!
//! They are those of the forward pass with the roles swapped: a panel holds a vector of channels for each *pixel*, and the scalars that
//! it meets lie at a constant distance for each pixel, from a base for each *weight*.

use crate::simd::Simd;
use crate::tile::{Operands, Sums, channel_pixels, channel_tile};

/// The longest chain of multiply-adds; longer sums are sums of such chains, which round less. Two panels of so many pixels also
/// stay in the first cache while all weights go through them.
const CHAIN: usize = 256;

/// The lengths of the chains into which a sum over `pixels` is divided: all the same but the last.
pub(super) fn chain_length(pixels: usize) -> usize {
    pixels.div_ceil(pixels.div_ceil(CHAIN).max(1)).max(1)
}

/// Sums `panels · input` over the taps of `operands` for each of `bases`, and hands the sums to `each`, a few bases at a time: the
/// first base's index, and vectors `sums[vector · 8 + base]`.
#[inline(always)]
pub(super) fn multiply<S: Simd>(
    operands: Operands<'_>,
    vectors: usize,
    bases: &[usize],
    mut each: impl FnMut(usize, usize, &Sums<S>),
) {
    let mut sums: Sums<S> = [S::splat(0.0); 24];
    let together = channel_pixels::<S>(vectors);
    for (i, bases) in bases.chunks(together).enumerate() {
        channel_tile::<S>(operands, vectors, bases, &mut sums);
        each(i * together, bases.len(), &sums);
    }
}

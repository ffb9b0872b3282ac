//! The innermost integer product: a few pixels' inputs times one or two panels of weights, held in registers.

/// Pixels whose sums are kept before anything is done to them: a multiple of every tile's pixels and lanes.
pub(super) const BLOCK: usize = 96;

/// Places of a plane whose sums are kept before anything is done to them, where lanes are places: a multiple of every tile's.
pub(super) const PLACES: usize = 384;

/// For each unit of taps, its distance in bytes from the first one.
#[derive(Debug, Clone)]
pub(super) struct Offsets {
    each: Vec<usize>,
    /// The largest.
    most: usize,
}

impl Offsets {
    pub(super) fn new(each: Vec<usize>) -> Self {
        Self { most: each.iter().copied().max().unwrap_or(0), each }
    }
}

/// How one instruction set multiplies a tile. `LANES` is the number of output channels of a panel.
pub(super) trait Tile<const LANES: usize> {
    /// Pixels multiplied at once with one panel of weights, and with two; divisors of [`BLOCK`].
    const PIXELS: [usize; 2];

    /// The sums of a tile's pixels or less, exact modulo 2³²: for each panel, pixel and lane, of all products of the taps.
    ///
    /// **Shapes**: `weights` `[panels, units, LANES]`, one or two panels; `bases` `[pixels]`; `sums` `[panels, BLOCK, LANES]`,
    /// of which the pixels from `first` on are written, perhaps also some behind them.
    ///
    /// # Panics
    /// When a unit would lie outside `codes`.
    fn multiply(
        weights: &[u32],
        codes: &[u8],
        offsets: &Offsets,
        bases: &[usize],
        first: usize,
        sums: &mut [i32],
    );

    /// Turns `[BLOCK, LANES]` into `[LANES, BLOCK]`.
    fn turn(from: &[i32], to: &mut [i32]);

    /// Channels, and vectors of places, that are multiplied at once where lanes are places; divisors of `LANES` and of the vectors in
    /// [`PLACES`].
    const PLANE: [usize; 2];

    /// The sums of a few channels at neighbouring places of a plane, exact modulo 2³².
    ///
    /// **Shapes**: `weights` `[units, LANES]`, of which the first few lanes count; `codes` from the first place on, each of `cell` bytes;
    /// `sums` `[channels, PLACES]`, of which the first places are written.
    ///
    /// # Panics
    /// When `codes` ends less than [`SLACK`] behind what the last place reads.
    fn multiply_plane(weights: &[u32], codes: &[u8], cell: usize, offsets: &Offsets, sums: &mut [i32]);
}

/// Bytes behind the last code that a vector may reach over.
pub(super) const SLACK: usize = 64;

/// The path for processors without one of their own: two taps of 16 bits at once.
pub(super) struct Portable;

impl Tile<8> for Portable {
    const PIXELS: [usize; 2] = [4; 2];

    #[inline(always)]
    fn multiply(
        weights: &[u32],
        codes: &[u8],
        offsets: &Offsets,
        bases: &[usize],
        first: usize,
        sums: &mut [i32],
    ) {
        for (weights, sums) in
            weights.chunks_exact(offsets.each.len() * 8).zip(sums.chunks_exact_mut(BLOCK * 8))
        {
            for (&base, sums) in bases.iter().zip(sums.as_chunks_mut::<8>().0[first..].iter_mut()) {
                let mut exact = [0i32; 8];
                for (weights, offset) in weights.as_chunks::<8>().0.iter().zip(&offsets.each) {
                    let unit = &codes[base + offset..][..4];
                    let [a, b] = [i32::from(unit[0]), i32::from(unit[2])];
                    for (sum, &weight) in exact.iter_mut().zip(weights) {
                        let weight = weight.cast_signed();
                        let [low, high] = [weight << 16 >> 16, weight >> 16];
                        *sum = sum.wrapping_add(a * low + b * high);
                    }
                }
                *sums = exact;
            }
        }
    }

    #[inline(always)]
    fn turn(from: &[i32], to: &mut [i32]) {
        for (pixel, values) in from.chunks_exact(8).enumerate() {
            for (row, &value) in to.chunks_exact_mut(BLOCK).zip(values) {
                row[pixel] = value;
            }
        }
    }

    const PLANE: [usize; 2] = [1, 1];

    #[inline(always)]
    fn multiply_plane(weights: &[u32], codes: &[u8], cell: usize, offsets: &Offsets, sums: &mut [i32]) {
        let mut exact = [0i32; 8];
        for (weights, offset) in weights.chunks(8).zip(&offsets.each) {
            let weight = weights[0].cast_signed();
            let [low, high] = [weight << 16 >> 16, weight >> 16];
            for (place, sum) in exact.iter_mut().enumerate() {
                let unit = &codes[offset + place * cell..][..4];
                *sum = sum.wrapping_add(i32::from(unit[0]) * low + i32::from(unit[2]) * high);
            }
        }
        sums[..8].copy_from_slice(&exact);
    }
}

#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(target_arch = "x86_64")]
pub(super) use x86::{Avx2, Avx512Vnni, AvxVnni};

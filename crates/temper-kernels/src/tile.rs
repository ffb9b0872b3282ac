//! The innermost products: a few outputs of a few channels, their sums held in registers.
//!
//! Every sum is a chain of fused multiply-adds in the order of the taps, from zero, whichever way the tile lies.

use crate::simd::Simd;

/// Sums of a tile, as many as any instruction set's registers hold.
pub(crate) type Sums<S> = [<S as Simd>::Vector; 24];

/// What a tile multiplies: panels of weights, `[panels, taps, LANES]`, with the inputs at `base + tap`.
#[derive(Clone, Copy)]
pub(crate) struct Operands<'a> {
    /// Starts with the tile's first panel.
    pub(crate) weights: &'a [f32],
    pub(crate) input: &'a [f32],
    /// Distance of each tap's input from the first.
    pub(crate) taps: &'a [usize],
    /// The largest of them.
    pub(crate) reach: usize,
}

/// How many panels to multiply at once, of `left`. None should be left alone: it would wait for loads.
pub(crate) const fn channel_vectors<S: Simd>(left: usize) -> usize {
    if left == 3 && S::VECTORS >= 3 {
        3
    } else if left >= 2 && S::VECTORS >= 2 {
        2
    } else {
        1
    }
}

/// How many pixels go with so many panels.
pub(crate) const fn channel_pixels<S: Simd>(vectors: usize) -> usize {
    if vectors == 3 { 4 } else { S::PIXELS }
}

/// Multiplies `vectors` panels with single inputs: lanes are channels, `sums[vector · 8 + pixel]`.
#[inline(always)]
pub(crate) fn channel_tile<S: Simd>(
    operands: Operands<'_>,
    vectors: usize,
    bases: &[usize],
    sums: &mut Sums<S>,
) {
    macro_rules! choose {
        ($($vectors:literal: $($pixels:literal)+;)+) => {
            match (vectors, bases.len()) {
                $($(($vectors, ..=$pixels) if S::VECTORS >= $vectors && S::PIXELS >= $pixels => {
                    multiply_channels::<S, $vectors, $pixels>(operands, bases, sums);
                })+)+
                _ => unreachable!("a tile is at most VECTORS by PIXELS"),
            }
        };
    }
    choose! { 1: 1 2 4 6 8; 2: 1 2 4 6 8; 3: 1 2 4; }
}

/// Missing pixels are computed as copies of the last.
#[inline(always)]
#[expect(unsafe_code, reason = "bounds are checked once a tile, not once a tap")]
fn multiply_channels<S: Simd, const V: usize, const P: usize>(
    operands: Operands<'_>,
    bases: &[usize],
    sums: &mut Sums<S>,
) {
    let Operands { weights, input, taps, reach } = operands;
    let panel = taps.len() * S::LANES;
    assert!(weights.len() >= V * panel, "panels must be whole");
    let mut pixels = [input.as_ptr(); P];
    for (i, pixel) in pixels.iter_mut().enumerate() {
        let base = bases[i.min(bases.len() - 1)];
        assert!(base + reach < input.len(), "taps must lie in the input");
        *pixel = input[base..].as_ptr();
    }
    let mut local = [[S::splat(0.0); P]; V];
    let mut weights = weights.as_ptr();
    for &tap in taps {
        let mut w = [S::splat(0.0); V];
        for (v, w) in w.iter_mut().enumerate() {
            // SAFETY: the panel holds `LANES` weights for each tap.
            *w = unsafe { S::load(weights.add(v * panel)) };
        }
        // SAFETY: at most one past the end of the first panel.
        weights = unsafe { weights.add(S::LANES) };
        for (p, pixel) in pixels.iter().enumerate() {
            // SAFETY: no tap is beyond `reach`, and that lies in the input.
            let x = S::splat(unsafe { *pixel.add(tap) });
            for v in 0..V {
                local[v][p] = S::fma(w[v], x, local[v][p]);
            }
        }
    }
    for (v, local) in local.iter().enumerate() {
        sums[v * 8..][..P].copy_from_slice(local);
    }
}

/// Multiplies `rows` rows of one panel, from row `first` on, with vectors of neighbouring inputs: lanes are pixels,
/// `sums[row · vectors + vector]`. There are as many vectors as [`pixel_vectors`] says; missing ones are copies of the last.
#[inline(always)]
pub(crate) fn pixel_tile<S: Simd>(
    operands: Operands<'_>,
    first: usize,
    rows: usize,
    bases: &[usize],
    sums: &mut Sums<S>,
) {
    macro_rules! choose {
        ($lanes:literal: $($rows:literal x $vectors:literal)+) => {
            match rows {
                $($rows => multiply_pixels::<S, $rows, $vectors>(operands, first, bases, sums),)+
                _ => unreachable!("see pixel_rows"),
            }
        };
    }
    if S::LANES == 16 {
        choose! { 16: 1 x 8 2 x 8 4 x 6 6 x 4 8 x 3 }
    } else {
        choose! { 8: 1 x 8 2 x 4 3 x 3 4 x 2 5 x 2 6 x 2 }
    }
}

/// How many vectors of pixels go with so many rows.
pub(crate) const fn pixel_vectors<S: Simd>(rows: usize) -> usize {
    match (S::LANES, rows) {
        (_, 1) | (16, 2) => 8,
        (16, 4) => 6,
        (16, 6) | (_, 2) => 4,
        (16, _) | (_, 3) => 3,
        _ => 2,
    }
}

/// How many rows to multiply at once, of `left` that are wanted and `room` that the panel has.
pub(crate) fn pixel_rows<S: Simd>(left: usize, room: usize) -> usize {
    // Sixteen registers hold no eight rows: five and three are better than six and two.
    if S::LANES == 8 && left >= 7 && room == 8 {
        return 5;
    }
    let heights: &[usize] = if S::LANES == 16 { &[8, 6, 4, 2, 1] } else { &[6, 5, 4, 3, 2, 1] };
    let fitting = || heights.iter().copied().filter(|&rows| rows <= room);
    let enough = fitting().rfind(|&rows| rows >= left);
    enough.or_else(|| fitting().next()).expect("one row always fits")
}

#[inline(always)]
#[expect(unsafe_code, reason = "bounds are checked once a tile, not once a tap")]
fn multiply_pixels<S: Simd, const R: usize, const V: usize>(
    operands: Operands<'_>,
    first: usize,
    bases: &[usize],
    sums: &mut Sums<S>,
) {
    let Operands { weights, input, taps, reach } = operands;
    assert!(first + R <= S::LANES && weights.len() >= taps.len() * S::LANES, "the panel must be whole");
    let mut vectors = [input.as_ptr(); V];
    for (i, vector) in vectors.iter_mut().enumerate() {
        let base = bases[i.min(bases.len() - 1)];
        assert!(base + reach + S::LANES <= input.len(), "taps must lie in the input");
        *vector = input[base..].as_ptr();
    }
    let mut local = [[S::splat(0.0); V]; R];
    let mut weights = weights.as_ptr();
    for &tap in taps {
        let mut x = [S::splat(0.0); V];
        for (x, vector) in x.iter_mut().zip(&vectors) {
            // SAFETY: no tap is beyond `reach`, and behind that a vector lies in the input.
            *x = unsafe { S::load(vector.add(tap)) };
        }
        for (r, local) in local.iter_mut().enumerate() {
            // SAFETY: the panel holds `LANES` weights for each tap, and `first + R` is no more.
            let w = S::splat(unsafe { *weights.add(first + r) });
            for v in 0..V {
                local[v] = S::fma(w, x[v], local[v]);
            }
        }
        // SAFETY: at most one past the end of the panel.
        weights = unsafe { weights.add(S::LANES) };
    }
    for (r, local) in local.iter().enumerate() {
        sums[r * V..][..V].copy_from_slice(local);
    }
}

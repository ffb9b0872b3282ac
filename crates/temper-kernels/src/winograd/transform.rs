//! Transforms of inputs, sums and weights.

use super::{POINTS, TILE, WINDOW};
use crate::simd::Simd;

/// A matrix times six values in each lane.
pub(super) trait Line<const ROWS: usize> {
    fn times<S: Simd>(values: [S::Vector; WINDOW]) -> [S::Vector; ROWS];
}

/// `Bᵀ`.
pub(super) struct Input;

/// `|Bᵀ|`, of magnitudes.
pub(super) struct InputMagnitudes;

/// `Aᵀ`.
pub(super) struct Output;

/// `|Aᵀ|`, of magnitudes.
pub(super) struct OutputMagnitudes;

impl Line<WINDOW> for Input {
    #[inline(always)]
    fn times<S: Simd>(d: [S::Vector; WINDOW]) -> [S::Vector; WINDOW] {
        let [two, four] = [2.0, 4.0].map(S::splat);
        let [minus_two, minus_four, minus_five] = [-2.0, -4.0, -5.0].map(S::splat);
        let even = S::fma(minus_four, d[2], d[4]);
        let odd = S::fma(minus_four, d[1], d[3]);
        let (far, near) = (S::sub(d[4], d[2]), S::sub(d[3], d[1]));
        [
            S::fma(four, d[0], S::fma(minus_five, d[2], d[4])),
            S::add(even, odd),
            S::sub(even, odd),
            S::fma(two, near, far),
            S::fma(minus_two, near, far),
            S::fma(four, d[1], S::fma(minus_five, d[3], d[5])),
        ]
    }
}

impl Line<WINDOW> for InputMagnitudes {
    #[inline(always)]
    fn times<S: Simd>(mut d: [S::Vector; WINDOW]) -> [S::Vector; WINDOW] {
        for value in &mut d {
            *value = S::abs(*value);
        }
        let [two, four, five] = [2.0, 4.0, 5.0].map(S::splat);
        let middle = S::fma(four, S::add(d[1], d[2]), S::add(d[3], d[4]));
        let later = S::fma(two, S::add(d[1], d[3]), S::add(d[2], d[4]));
        [
            S::fma(four, d[0], S::fma(five, d[2], d[4])),
            middle,
            middle,
            later,
            later,
            S::fma(four, d[1], S::fma(five, d[3], d[5])),
        ]
    }
}

impl Line<TILE> for Output {
    #[inline(always)]
    fn times<S: Simd>(m: [S::Vector; WINDOW]) -> [S::Vector; TILE] {
        let [two, four, eight] = [2.0, 4.0, 8.0].map(S::splat);
        let (near, turned) = (S::add(m[1], m[2]), S::sub(m[1], m[2]));
        let (far, far_turned) = (S::add(m[3], m[4]), S::sub(m[3], m[4]));
        [
            S::add(S::add(m[0], near), far),
            S::fma(two, far_turned, turned),
            S::fma(four, far, near),
            S::add(S::fma(eight, far_turned, turned), m[5]),
        ]
    }
}

impl Line<TILE> for OutputMagnitudes {
    #[inline(always)]
    fn times<S: Simd>(mut m: [S::Vector; WINDOW]) -> [S::Vector; TILE] {
        for value in &mut m {
            *value = S::abs(*value);
        }
        let [two, four, eight] = [2.0, 4.0, 8.0].map(S::splat);
        let (near, far) = (S::add(m[1], m[2]), S::add(m[3], m[4]));
        [
            S::add(S::add(m[0], near), far),
            S::fma(two, far, near),
            S::fma(four, far, near),
            S::add(S::fma(eight, far, near), m[5]),
        ]
    }
}

/// `M d Mᵀ` for a window's values `d`, columns first. Rows of `d` are `row` values apart and its columns a vector.
///
/// # Safety
/// All values must be readable.
#[inline(always)]
#[expect(unsafe_code, reason = "vector loads take pointers")]
unsafe fn both<S: Simd, M: Line<ROWS>, const ROWS: usize>(
    d: *const f32,
    row: usize,
) -> [[S::Vector; ROWS]; ROWS] {
    let mut columns = [[S::splat(0.0); ROWS]; WINDOW];
    for (x, column) in columns.iter_mut().enumerate() {
        let mut line = [S::splat(0.0); WINDOW];
        for (y, value) in line.iter_mut().enumerate() {
            // SAFETY: as promised.
            *value = unsafe { S::load(d.add(y * row + x * S::LANES)) };
        }
        *column = M::times::<S>(line);
    }
    let mut rows = [[S::splat(0.0); ROWS]; ROWS];
    for (y, row) in rows.iter_mut().enumerate() {
        let mut line = [S::splat(0.0); WINDOW];
        for (value, column) in line.iter_mut().zip(&columns) {
            *value = column[y];
        }
        *row = M::times::<S>(line);
    }
    rows
}

/// Transforms what a tile sees: rows of `d` are `row` values apart and its columns a vector; points of the result are `point` values apart.
///
/// # Safety
/// All of them must be readable and writable.
#[inline(always)]
#[expect(unsafe_code, reason = "vector stores take pointers")]
pub(super) unsafe fn input<S: Simd, M: Line<WINDOW>>(d: *const f32, row: usize, to: *mut f32, point: usize) {
    // SAFETY: as promised.
    let rows = unsafe { both::<S, M, WINDOW>(d, row) };
    for (y, row) in rows.into_iter().enumerate() {
        for (x, value) in row.into_iter().enumerate() {
            // SAFETY: as promised.
            unsafe { S::store(value, to.add((y * WINDOW + x) * point)) };
        }
    }
}

/// Transforms the sums of all points, which are vectors one behind the other, to a tile of outputs.
///
/// # Safety
/// All of them must be readable.
#[inline(always)]
#[expect(unsafe_code, reason = "vector loads take pointers")]
pub(super) unsafe fn output<S: Simd, M: Line<TILE>>(sums: *const f32) -> [[S::Vector; TILE]; TILE] {
    // SAFETY: as promised.
    unsafe { both::<S, M, TILE>(sums, WINDOW * S::LANES) }
}

/// `G g Gᵀ`, each value rounded once: `G` is a matrix of whole numbers with its rows divided by these.
#[expect(clippy::cast_possible_truncation, reason = "that is what it is for")]
pub(super) fn weights(g: &[f32; 9]) -> [f32; POINTS] {
    const DIVISORS: [f64; WINDOW] = [4.0, 6.0, 6.0, 24.0, 24.0, 1.0];
    let line = |[a, b, c]: [f64; 3]| {
        let (near, far) = (a + c, a + 4.0 * c);
        [a, -(near + b), -(near - b), far + 2.0 * b, far - 2.0 * b, c]
    };
    let columns: [[f64; WINDOW]; 3] =
        std::array::from_fn(|column| line(std::array::from_fn(|row| f64::from(g[row * 3 + column]))));
    let mut transformed = [0.0; POINTS];
    for (row, to) in transformed.as_chunks_mut::<WINDOW>().0.iter_mut().enumerate() {
        let values = line(columns.map(|column| column[row]));
        for (column, to) in to.iter_mut().enumerate() {
            *to = (values[column] / (DIVISORS[row] * DIVISORS[column])) as f32;
        }
    }
    transformed
}

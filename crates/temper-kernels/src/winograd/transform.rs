//! Transforms of inputs, sums and weights.

use super::{POINTS, TILE, WINDOW};
use crate::simd::Simd;

/// `Bᵀ d` for six values in each lane.
#[inline(always)]
fn input_line<S: Simd>(d: [S::Vector; WINDOW]) -> [S::Vector; WINDOW] {
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

/// `Bᵀ d B`, columns first. Rows of `d` are `row` values apart, its columns a vector; values of the result, row-major, `point`.
///
/// # Safety
/// All of them must be readable and writable.
#[inline(always)]
#[expect(unsafe_code, reason = "vector loads and stores take pointers")]
pub(super) unsafe fn input<S: Simd>(d: *const f32, row: usize, to: *mut f32, point: usize) {
    let mut columns = [[S::splat(0.0); WINDOW]; WINDOW];
    for (x, column) in columns.iter_mut().enumerate() {
        for (y, value) in column.iter_mut().enumerate() {
            // SAFETY: as promised.
            *value = unsafe { S::load(d.add(y * row + x * S::LANES)) };
        }
        *column = input_line::<S>(*column);
    }
    for y in 0..WINDOW {
        let mut line = [S::splat(0.0); WINDOW];
        for (value, column) in line.iter_mut().zip(&columns) {
            *value = column[y];
        }
        for (x, value) in input_line::<S>(line).into_iter().enumerate() {
            // SAFETY: as promised.
            unsafe { S::store(value, to.add((y * WINDOW + x) * point)) };
        }
    }
}

/// `Aᵀ m` for six values in each lane.
#[inline(always)]
fn output_line<S: Simd>(m: [S::Vector; WINDOW]) -> [S::Vector; TILE] {
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

/// `Aᵀ m A`, columns first. Values are vectors, row-major.
///
/// # Safety
/// All of them must be readable.
#[inline(always)]
#[expect(unsafe_code, reason = "vector loads take pointers")]
pub(super) unsafe fn output<S: Simd>(m: *const f32) -> [[S::Vector; TILE]; TILE] {
    let mut columns = [[S::splat(0.0); TILE]; WINDOW];
    for (x, column) in columns.iter_mut().enumerate() {
        let mut line = [S::splat(0.0); WINDOW];
        for (y, value) in line.iter_mut().enumerate() {
            // SAFETY: as promised.
            *value = unsafe { S::load(m.add((y * WINDOW + x) * S::LANES)) };
        }
        *column = output_line::<S>(line);
    }
    let mut outputs = [[S::splat(0.0); TILE]; TILE];
    for (y, output) in outputs.iter_mut().enumerate() {
        let mut line = [S::splat(0.0); WINDOW];
        for (value, column) in line.iter_mut().zip(&columns) {
            *value = column[y];
        }
        *output = output_line::<S>(line);
    }
    outputs
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

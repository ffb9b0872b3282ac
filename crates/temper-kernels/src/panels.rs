//! Matrices laid out in panels: a few rows side by side in the lanes of a vector, column after column.

use crate::isa::Work;
use crate::simd::Simd;

/// Lays out rows as panels `[panels, columns, LANES]`, where the lanes of a panel are rows. Lanes beyond the last row are zero.
pub(crate) struct RowPanels<'a> {
    /// Rows of `columns` values, `distance` apart.
    pub(crate) from: &'a [f32],
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) distance: usize,
    pub(crate) to: &'a mut [f32],
    /// Distance between panels in `to`.
    pub(crate) panel: usize,
}

impl Work for RowPanels<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let Self { from, rows, columns, distance, to, panel } = self;
        for (p, first) in (0..rows).step_by(S::LANES).enumerate() {
            let to = &mut to[p * panel..][..columns * S::LANES];
            for start in (0..columns).step_by(S::LANES) {
                let count = S::LANES.min(columns - start);
                let to = &mut to[start * S::LANES..][..count * S::LANES];
                for half in (0..S::LANES).step_by(8) {
                    let row = first + half;
                    let live = 8.min(rows.saturating_sub(row));
                    let from = if live == 0 { &[] } else { &from[row * distance + start..] };
                    transpose_block::<S>(from, live, distance, &mut to[half..], count);
                }
            }
        }
    }
}

/// `to[column · LANES + row] = from[row · distance + column]` for `rows` of eight rows and `columns` of a vector's columns; the other
/// rows are zero.
#[inline(always)]
#[expect(unsafe_code, reason = "vector loads and stores take pointers")]
fn transpose_block<S: Simd>(from: &[f32], rows: usize, distance: usize, to: &mut [f32], columns: usize) {
    let mut vectors = [S::splat(0.0); 8];
    for (row, vector) in vectors.iter_mut().enumerate().take(rows) {
        let from = from[row * distance..][..columns].as_ptr();
        // SAFETY: the slice holds that many.
        *vector = unsafe { if columns == S::LANES { S::load(from) } else { S::load_first(from, columns) } };
    }
    if columns == S::LANES {
        assert!(to.len() >= (S::LANES - 1) * S::LANES + 8, "every column has its place");
        // SAFETY: the last of them lies in the slice.
        unsafe { S::transpose(&vectors, to.as_mut_ptr(), S::LANES) };
        return;
    }
    let mut transposed = [[0.0; 8]; 16];
    // SAFETY: no vector has more than sixteen lanes.
    unsafe { S::transpose(&vectors, transposed.as_mut_ptr().cast(), 8) };
    for (column, values) in transposed.iter().enumerate().take(columns) {
        let to = &mut to[column * S::LANES..][..8];
        // SAFETY: both hold eight values.
        unsafe { S::Row::store(S::Row::load(values.as_ptr()), to.as_mut_ptr()) };
    }
}

/// Lays out columns as panels `[panels, rows, LANES]`, where the lanes of a panel are columns. Lanes beyond the last column are zero.
pub(crate) struct ColumnPanels<'a> {
    /// Rows of `columns` values, `distance` apart.
    pub(crate) from: &'a [f32],
    pub(crate) columns: usize,
    pub(crate) distance: usize,
    pub(crate) to: &'a mut [f32],
}

impl Work for ColumnPanels<'_> {
    #[inline(always)]
    #[expect(unsafe_code, reason = "vector loads and stores take pointers")]
    fn run<S: Simd>(self) {
        let Self { from, columns, distance, to } = self;
        let panel = from.len().div_ceil(distance) * S::LANES;
        for (row, values) in from.chunks(distance).enumerate() {
            for (p, values) in values[..columns].chunks(S::LANES).enumerate() {
                let to = &mut to[p * panel + row * S::LANES..][..S::LANES];
                // SAFETY: `to` is a vector, and `values` holds as many as are loaded.
                unsafe {
                    let x = if values.len() == S::LANES {
                        S::load(values.as_ptr())
                    } else {
                        S::load_first(values.as_ptr(), values.len())
                    };
                    S::store(x, to.as_mut_ptr());
                }
            }
        }
    }
}

//! Gram matrices of complex matrices, in double precision.

use crate::isa::{Isa, Work};
use crate::simd::Simd;

/// Partial sums of each number: what the largest vector holds.
const LANES: usize = 8;

/// A complex matrix, row-major.
///
/// **Shapes**: both `[rows, columns]`.
#[derive(Debug, Clone, Copy)]
pub struct ComplexRows<'a> {
    /// Columns.
    pub columns: usize,
    /// Real parts.
    pub re: &'a [f64],
    /// Imaginary parts.
    pub im: &'a [f64],
}

/// A·A*: the real and the imaginary parts. Sums are those of eight partial ones, without fused operations: the same bits on every machine.
///
/// **Shapes**: `[rows, rows]` each.
///
/// # Panics
/// When the processor lacks the instructions, there are no columns, or the parts are no whole rows of equal number.
pub fn complex_gram(isa: Isa, matrix: ComplexRows<'_>) -> (Vec<f64>, Vec<f64>) {
    isa.check();
    let rows = matrix.re.len() / matrix.columns;
    assert_eq!(matrix.re.len(), rows * matrix.columns, "whole rows");
    assert_eq!(matrix.re.len(), matrix.im.len(), "as many imaginary parts as real ones");
    let (mut re, mut im) = (vec![0.0; rows * rows], vec![0.0; rows * rows]);
    isa.run(Gram { matrix, rows, re: &mut re, im: &mut im });
    (re, im)
}

struct Gram<'a> {
    matrix: ComplexRows<'a>,
    rows: usize,
    re: &'a mut [f64],
    im: &'a mut [f64],
}

impl Work for Gram<'_> {
    #[inline(always)]
    fn run<S: Simd>(mut self) {
        // The upper half, two rows by two at a time, so that each value that is loaded is used twice.
        let even = self.rows / 2 * 2;
        for i in (0..even).step_by(2) {
            for j in (i..even).step_by(2) {
                self.block([i, i + 1], [j, j + 1]);
            }
        }
        if even < self.rows {
            for i in 0..self.rows {
                self.block([i], [even]);
            }
        }
    }
}

impl Gram<'_> {
    #[inline(always)]
    fn row(&self, i: usize) -> (&[f64], &[f64]) {
        let ComplexRows { columns, re, im } = self.matrix;
        (&re[i * columns..][..columns], &im[i * columns..][..columns])
    }

    /// The products of some rows with some others, and their mirror images.
    #[inline(always)]
    fn block<const R: usize, const C: usize>(&mut self, left: [usize; R], right: [usize; C]) {
        let found = products(left.map(|i| self.row(i)), right.map(|j| self.row(j)), self.matrix.columns);
        for (i, found) in left.into_iter().zip(found) {
            for (j, (re, im)) in right.into_iter().zip(found) {
                let (here, there) = (i * self.rows + j, j * self.rows + i);
                // The mirror image first: on the diagonal both are one, and its imaginary part is 0.
                (self.re[there], self.im[there]) = (re, -im);
                (self.re[here], self.im[here]) = (re, im);
            }
        }
    }
}

/// Σ a·b̄ of each pair of rows.
#[inline(always)]
fn products<const R: usize, const C: usize>(
    left: [(&[f64], &[f64]); R],
    right: [(&[f64], &[f64]); C],
    columns: usize,
) -> [[(f64, f64); C]; R] {
    let mut re = [[[0.0; LANES]; C]; R];
    let mut im = [[[0.0; LANES]; C]; R];
    let mut from = 0;
    while from < columns {
        let some = LANES.min(columns - from);
        for r in 0..R {
            let (a_re, a_im) = (vector(left[r].0, from, some), vector(left[r].1, from, some));
            for c in 0..C {
                let (b_re, b_im) = (vector(right[c].0, from, some), vector(right[c].1, from, some));
                for lane in 0..LANES {
                    re[r][c][lane] += a_re[lane] * b_re[lane] + a_im[lane] * b_im[lane];
                    im[r][c][lane] += a_im[lane] * b_re[lane] - a_re[lane] * b_im[lane];
                }
            }
        }
        from += LANES;
    }
    let sums = |r: usize, c: usize| (re[r][c].iter().sum(), im[r][c].iter().sum());
    std::array::from_fn(|r| std::array::from_fn(|c| sums(r, c)))
}

/// Some values of a row; zeros behind its end.
#[inline(always)]
fn vector(row: &[f64], from: usize, some: usize) -> [f64; LANES] {
    let mut values = [0.0; LANES];
    if some == LANES {
        values.copy_from_slice(&row[from..from + LANES]);
    } else {
        values[..some].copy_from_slice(&row[from..from + some]);
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_of_rows_are_those_of_the_definition_on_every_path() {
        for (rows, columns) in [(1, 1), (2, 8), (3, 5), (4, 19), (7, 16), (5, 33)] {
            let value = |i: usize| ((i * 7919 + 13) % 101) as f64 / 50.0 - 1.0;
            let re: Vec<f64> = (0..rows * columns).map(value).collect();
            let im: Vec<f64> = (0..rows * columns).map(|i| value(i + 5000)).collect();
            let matrix = ComplexRows { columns, re: &re, im: &im };
            let first = complex_gram(Isa::detect(), matrix);
            for isa in Isa::available() {
                assert_eq!(complex_gram(isa, matrix), first, "{isa:?}");
            }
            for (i, j) in (0..rows).flat_map(|i| (0..rows).map(move |j| (i, j))) {
                let (mut sum_re, mut sum_im) = (0.0, 0.0);
                for k in 0..columns {
                    let (a, b) = (i * columns + k, j * columns + k);
                    sum_re += re[a] * re[b] + im[a] * im[b];
                    sum_im += im[a] * re[b] - re[a] * im[b];
                }
                let at = i * rows + j;
                assert!((first.0[at] - sum_re).abs() < 1e-12, "{rows} × {columns}, {i} {j}");
                assert!((first.1[at] - sum_im).abs() < 1e-12, "{rows} × {columns}, {i} {j}");
            }
        }
    }
}

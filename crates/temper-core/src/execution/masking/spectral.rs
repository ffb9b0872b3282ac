//! Upper bounds on how much a convolution or a matrix can lengthen a vector.

use std::f64::consts::TAU;

use rayon::prelude::*;
use temper_kernels::{ComplexRows, Isa, complex_gram};

/// The kernel of a convolution, weighted: `[out, in, kh, kw]`. A matrix is a kernel of one tap over images of one pixel.
pub(super) struct Kernel {
    pub(super) outputs: usize,
    pub(super) inputs: usize,
    pub(super) size: [usize; 2],
    pub(super) dilation: [usize; 2],
    /// Height and width of the input.
    pub(super) plane: [usize; 2],
    pub(super) values: Vec<f64>,
}

/// Bounds on the operator of a kernel.
pub(super) struct Gain {
    /// For each input channel, a bound on ‖K Δ‖₂ / ‖Δ‖₂ for differences Δ in that channel alone.
    pub(super) columns: Vec<f64>,
    /// A bound on ‖K diag(1/columns)‖₂.
    pub(super) whole: f64,
    /// The same of the kernel of absolute values.
    pub(super) absolute: f64,
}

/// Kernels with more channels than this on both sides are bounded by sums of magnitudes: eigenvalues would take too long.
const MOST_CHANNELS: usize = 192;

/// Squarings of the Gram matrix: the bound is at most `channels^(1/2^(SQUARINGS + 1))` too large, 7 % for 64.
const SQUARINGS: u32 = 4;

/// Covers the rounding of this computation in double precision: at most some `channels^1.5 · 2^−53` for each squaring.
const INFLATION: f64 = 1.0 + 1e-9;

/// A complex matrix, row-major.
struct Matrix {
    columns: usize,
    re: Vec<f64>,
    im: Vec<f64>,
}

impl Kernel {
    /// Bounds from the kernel's frequency response.
    ///
    /// A convolution of an `h × w` image padded with zeros is part of a circular convolution of size
    /// `(h + d(kh − 1)) × (w + d(kw − 1))`, in which nothing wraps around: its norm is at most the largest singular value of the
    /// response over that size's frequencies (Sedghi, Gupta and Long, "The singular values of convolutional layers", ICLR 2019). A
    /// stride only drops outputs.
    pub(super) fn gain(&self) -> Gain {
        let frequencies = frequencies([0, 1].map(|axis| self.plane[axis] + self.reach(axis)));
        let responses: Vec<Matrix> = frequencies.into_par_iter().map(|at| self.response(at)).collect();
        let columns = longest_columns(&responses);
        let absolute = self.schur(&columns);
        let whole = if self.outputs.min(self.inputs) > MOST_CHANNELS {
            absolute
        } else {
            largest_norm(responses, &columns).min(absolute)
        };
        Gain { columns, whole, absolute }
    }

    /// The operator of this kernel behind another one, with nothing cut off and nothing done to values between them: for each input
    /// channel as [`Gain::columns`], and the norm with inputs divided by `columns`. `None` with too many channels.
    pub(super) fn behind(&self, first: &Self, columns: &[f64]) -> Option<(Vec<f64>, f64)> {
        if self.outputs.max(self.inputs).max(first.inputs) > MOST_CHANNELS {
            return None;
        }
        let size = [0, 1].map(|axis| first.plane[axis] + first.reach(axis) + self.reach(axis));
        let response = |at| self.response(at).times(&first.response(at));
        let responses: Vec<Matrix> = frequencies(size).into_par_iter().map(response).collect();
        Some((longest_columns(&responses), largest_norm(responses, columns)))
    }

    /// How far the kernel's taps are apart.
    pub(super) fn reach(&self, axis: usize) -> usize {
        self.dilation[axis] * (self.size[axis] - 1)
    }

    fn response(&self, [fy, fx]: [f64; 2]) -> Matrix {
        let taps: Vec<(f64, f64)> = (0..self.size[0] * self.size[1])
            .map(|tap| {
                let (y, x) = (tap / self.size[1] * self.dilation[0], tap % self.size[1] * self.dilation[1]);
                let angle = fy * y as f64 + fx * x as f64;
                (libm::cos(angle), libm::sin(angle))
            })
            .collect();
        let sums = self.values.chunks_exact(taps.len()).map(|values| {
            values
                .iter()
                .zip(&taps)
                .fold((0.0, 0.0), |(re, im), (value, (cos, sin))| (re + value * cos, im - value * sin))
        });
        let (re, im) = sums.unzip();
        Matrix { columns: self.inputs, re, im }
    }

    /// Schur's test: the norm of a matrix is at most the root of its largest row sum times its largest column sum of magnitudes.
    fn schur(&self, columns: &[f64]) -> f64 {
        let taps = self.size[0] * self.size[1];
        let mut of_column = vec![0.0; self.inputs];
        let mut largest_row = 0.0f64;
        for row in self.values.chunks_exact(self.inputs * taps) {
            let mut of_row = 0.0;
            for ((values, sum), column) in row.chunks_exact(taps).zip(&mut of_column).zip(columns) {
                let magnitude: f64 = values.iter().map(|value| value.abs()).sum::<f64>() / column.max(TINY);
                of_row += magnitude;
                *sum += magnitude;
            }
            largest_row = larger(largest_row, of_row);
        }
        (largest_row * of_column.into_iter().fold(0.0, larger)).sqrt() * INFLATION
    }
}

/// One of each pair of conjugate frequencies of a circular convolution.
fn frequencies([height, width]: [usize; 2]) -> Vec<[f64; 2]> {
    let all = (0..height).flat_map(|y| (0..width).map(move |x| (y, x)));
    let half = all.filter(|&(y, x)| (y, x) <= ((height - y) % height, (width - x) % width));
    half.map(|(y, x)| [TAU * y as f64 / height as f64, TAU * x as f64 / width as f64]).collect()
}

/// For each column, its largest length in any of the matrices.
fn longest_columns(responses: &[Matrix]) -> Vec<f64> {
    let mut longest = vec![0.0f64; responses[0].columns];
    for response in responses {
        for (column, longest) in longest.iter_mut().enumerate() {
            let squares = (column..response.re.len()).step_by(response.columns);
            let square: f64 = squares.map(|i| response.re[i].powi(2) + response.im[i].powi(2)).sum();
            *longest = larger(*longest, square);
        }
    }
    longest.iter().map(|square| square.sqrt() * INFLATION).collect()
}

/// The largest singular value of any of the matrices, their columns divided by numbers.
fn largest_norm(responses: Vec<Matrix>, columns: &[f64]) -> f64 {
    responses.into_par_iter().map(|response| response.scaled(columns).norm()).reduce(|| 0.0, larger)
}

/// The larger of two, or NaN: a weight that is no number has no bound.
pub(super) fn larger(a: f64, b: f64) -> f64 {
    if b > a || b.is_nan() { b } else { a }
}

/// Stands for zero where something is divided by it.
pub(super) const TINY: f64 = 1e-150;

impl Matrix {
    /// With each column divided by a number.
    fn scaled(mut self, columns: &[f64]) -> Self {
        for (i, (re, im)) in self.re.iter_mut().zip(&mut self.im).enumerate() {
            let divisor = columns[i % self.columns].max(TINY);
            *re /= divisor;
            *im /= divisor;
        }
        self
    }

    /// A·B.
    fn times(&self, other: &Self) -> Self {
        let rows = self.re.len() / self.columns;
        let mut product = Self {
            columns: other.columns,
            re: vec![0.0; rows * other.columns],
            im: vec![0.0; rows * other.columns],
        };
        for row in 0..rows {
            let of_row = row * other.columns..(row + 1) * other.columns;
            let (out_re, out_im) = (&mut product.re[of_row.clone()], &mut product.im[of_row]);
            for k in 0..self.columns {
                let (re, im) = (self.re[row * self.columns + k], self.im[row * self.columns + k]);
                let from = k * other.columns..(k + 1) * other.columns;
                let (b_re, b_im) = (&other.re[from.clone()], &other.im[from]);
                for (i, (out_re, out_im)) in out_re.iter_mut().zip(out_im.iter_mut()).enumerate() {
                    *out_re += re * b_re[i] - im * b_im[i];
                    *out_im += re * b_im[i] + im * b_re[i];
                }
            }
        }
        product
    }

    /// An upper bound on the largest singular value: of the Gram matrix G, λ ≤ ‖G^n‖_F^(1/n) for any n (Delattre et al.,
    /// "Efficient bound of Lipschitz constant for convolutional layers by Gram iteration", ICML 2023).
    fn norm(&self) -> f64 {
        let rows = self.re.len() / self.columns;
        let mut gram = if rows < self.columns { self.gram_of_rows(rows) } else { self.gram_of_columns(rows) };
        // λ = (‖G_k‖ · Π scales)^(1/2^k), in logarithms.
        let mut logarithm = 0.0;
        for round in 0..=SQUARINGS {
            let norm = gram.frobenius();
            if norm == 0.0 {
                return 0.0;
            }
            logarithm += libm::log(norm) / f64::from(1u32 << round);
            if round == SQUARINGS {
                break;
            }
            gram.re.iter_mut().chain(&mut gram.im).for_each(|value| *value /= norm);
            // Hermitian: its rows are its columns, conjugated.
            gram = gram.gram_of_rows(gram.columns);
        }
        libm::exp(logarithm / 2.0) * INFLATION
    }

    fn frobenius(&self) -> f64 {
        self.re.iter().chain(&self.im).map(|value| value * value).sum::<f64>().sqrt()
    }

    /// A·A*.
    fn gram_of_rows(&self, rows: usize) -> Self {
        let matrix = ComplexRows { columns: self.columns, re: &self.re, im: &self.im };
        let (re, im) = complex_gram(Isa::detect(), matrix);
        Self { columns: rows, re, im }
    }

    /// The Gram matrix of the columns: A*·A up to conjugation, which changes no norm.
    fn gram_of_columns(&self, rows: usize) -> Self {
        let transposed = |values: &[f64]| -> Vec<f64> {
            let places =
                (0..self.columns).flat_map(|column| (0..rows).map(move |row| row * self.columns + column));
            places.map(|place| values[place]).collect()
        };
        Self { columns: rows, re: transposed(&self.re), im: transposed(&self.im) }.gram_of_rows(self.columns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernel(outputs: usize, inputs: usize, size: [usize; 2], plane: [usize; 2]) -> Kernel {
        let count = outputs * inputs * size[0] * size[1];
        let values = (0..count).map(|i| ((i * 7919 + 13) % 101) as f64 / 50.0 - 1.0).collect();
        Kernel { outputs, inputs, size, dilation: [1, 1], plane, values }
    }

    /// The operator as a matrix: zero padding of the kernel's reach on every side, so that every other padding is part of it.
    fn dense(kernel: &Kernel, absolute: bool, divisors: &[f64]) -> Vec<Vec<f64>> {
        let [h, w] = kernel.plane;
        let [kh, kw] = kernel.size;
        let mut rows = Vec::new();
        for out in 0..kernel.outputs {
            for (y, x) in (0..h + kh - 1).flat_map(|y| (0..w + kw - 1).map(move |x| (y, x))) {
                let mut row = vec![0.0; kernel.inputs * h * w];
                for input in 0..kernel.inputs {
                    for (ky, kx) in (0..kh).flat_map(|ky| (0..kw).map(move |kx| (ky, kx))) {
                        let (Some(iy), Some(ix)) =
                            ((y + ky).checked_sub(kh - 1), (x + kx).checked_sub(kw - 1))
                        else {
                            continue;
                        };
                        if iy < h && ix < w {
                            let value = kernel.values[((out * kernel.inputs + input) * kh + ky) * kw + kx];
                            let value = if absolute { value.abs() } else { value };
                            row[(input * h + iy) * w + ix] += value / divisors[input];
                        }
                    }
                }
                rows.push(row);
            }
        }
        rows
    }

    /// The largest singular value by power iteration: a lower bound that comes close.
    fn power_iteration(rows: &[Vec<f64>], only: Option<&std::ops::Range<usize>>) -> f64 {
        let n = rows[0].len();
        let inside = |i: usize| only.is_none_or(|range| range.contains(&i));
        let mut x: Vec<f64> = (0..n).map(|i| if inside(i) { 1.0 + (i % 5) as f64 } else { 0.0 }).collect();
        let mut gain = 0.0;
        for _ in 0..300 {
            let length = x.iter().map(|v| v * v).sum::<f64>().sqrt();
            for v in &mut x {
                *v /= length;
            }
            let y: Vec<f64> = rows.iter().map(|row| row.iter().zip(&x).map(|(a, b)| a * b).sum()).collect();
            gain = y.iter().map(|v: &f64| v * v).sum::<f64>().sqrt();
            for (i, x) in x.iter_mut().enumerate() {
                *x = if inside(i) { rows.iter().zip(&y).map(|(row, y)| row[i] * y).sum() } else { 0.0 };
            }
        }
        gain
    }

    #[test]
    fn bounds_hold_and_come_close() {
        for (outputs, inputs, size, plane) in
            [(3, 4, [3, 3], [5, 4]), (6, 2, [1, 1], [1, 1]), (2, 5, [2, 3], [4, 4]), (4, 4, [1, 1], [3, 2])]
        {
            let kernel = kernel(outputs, inputs, size, plane);
            let gain = kernel.gain();
            let ones = vec![1.0; inputs];
            let operator = dense(&kernel, false, &ones);
            for (channel, &bound) in gain.columns.iter().enumerate() {
                let span = plane[0] * plane[1];
                let found = power_iteration(&operator, Some(&(channel * span..(channel + 1) * span)));
                assert!(found <= bound && bound <= 1.6 * found, "channel {channel}: {found} <= {bound}");
            }
            let found = power_iteration(&dense(&kernel, false, &gain.columns), None);
            assert!(found <= gain.whole && gain.whole <= 1.6 * found, "{found} <= {}", gain.whole);
            let found = power_iteration(&dense(&kernel, true, &gain.columns), None);
            assert!(found <= gain.absolute, "{found} <= {}", gain.absolute);
        }
    }

    #[test]
    fn two_kernels_are_bounded_together() {
        let first = kernel(3, 4, [3, 3], [4, 5]);
        // Its input is all that the first makes, of the padding too.
        let second = Kernel { plane: [6, 7], ..kernel(2, 3, [3, 2], [0, 0]) };
        let (a, b) = (dense(&first, false, &[1.0; 4]), dense(&second, false, &[1.0; 3]));
        let times = |row: &Vec<f64>| -> Vec<f64> {
            (0..a[0].len()).map(|i| row.iter().zip(&a).map(|(b, a)| b * a[i]).sum()).collect()
        };
        let both: Vec<Vec<f64>> = b.iter().map(times).collect();
        let (columns, whole) = second.behind(&first, &[1.0; 4]).expect("few channels");
        let found = power_iteration(&both, None);
        assert!(found <= whole && whole <= 1.6 * found, "{found} <= {whole}");
        for (channel, &bound) in columns.iter().enumerate() {
            let found = power_iteration(&both, Some(&(channel * 20..(channel + 1) * 20)));
            assert!(found <= bound && bound <= 1.6 * found, "channel {channel}: {found} <= {bound}");
        }
    }

    #[test]
    fn known_answers() {
        let diagonal = Kernel {
            outputs: 2,
            inputs: 2,
            size: [1, 1],
            dilation: [1, 1],
            plane: [1, 1],
            values: vec![3.0, 0.0, 0.0, -4.0],
        };
        let gain = diagonal.gain();
        assert!((gain.columns[0] - 3.0).abs() < 1e-8 && (gain.columns[1] - 4.0).abs() < 1e-8);
        // Unit columns at right angles: the norm is 1, found up to 2^(1/32).
        assert!(gain.whole >= 1.0 && gain.whole <= 2.0f64.powf(1.0 / 32.0) * 1.001, "{}", gain.whole);
        let nothing = Kernel { values: vec![0.0; 4], ..diagonal };
        assert_eq!(nothing.gain().whole, 0.0);
    }
}

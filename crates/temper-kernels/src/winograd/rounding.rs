//! How much a convolution by Winograd's algorithm rounds, tile by tile.
//!
//! To first order, in units of the roundoff u (running error analysis; Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed.,
//! §3.3): a line of `Bᵀ d` takes two roundings of at most `|Bᵀ||d|` each, so transformed inputs V err by `E = 4 |Bᵀ||d||B|`;
//! transformed weights U are rounded once, after sums in double precision; a chain over channels errs by its partial sums, and by what
//! errors of its factors make of it; a line of `Aᵀ m` takes three roundings. Together:
//! `|Aᵀ| [Σ |partial sums| + Σ_c |U| (|V| + E) + 6 |m|] |A|`.

use super::{POINTS, TILE, TransformedWeights, WINDOW, transform};
use crate::Scratch;
use crate::conv::ConvShape;
use crate::isa::Work;
use crate::pack::PackedWeights;
use crate::simd::Simd;

/// What sums in double precision can err by at most in transformed weights, in roundoffs of the largest of nine weights: 8 · 2⁻⁵³ / 2⁻²⁴.
const DOUBLE: f32 = 1.0 / (1 << 26) as f32;

/// `2 ‖|Aᵀ| diag(ρ) |Bᵀ|‖²`, where ρ are the sums of magnitudes of the rows of G: a difference Δ in the inputs of one channel changes the
/// rounding errors of sums over C channels by at most `(C + 16) u` times this, times the largest magnitude of its nine weights, times
/// ‖Δ‖₂. (Bounds on rounding errors are sums of magnitudes, so those of d + Δ are at most those of d and those of Δ. Of a tile the latter are
/// at most `|Aᵀ| (ρ ρᵀ ⊙ |Bᵀ| |Δ| |B|) |A|` times the largest weight, and an input lies in four tiles.)
pub(crate) const AMPLIFICATION: f64 = 1859.0;

/// Raises bounds on rounding errors to those of Winograd's algorithm, where these are larger. One image.
pub(crate) struct Rounding<'a> {
    pub(crate) shape: &'a ConvShape,
    /// `[C, H, W]`.
    pub(crate) input: &'a [f32],
    pub(crate) weights: &'a PackedWeights,
    pub(crate) transformed: &'a TransformedWeights,
    /// `[out_channels, H', W']`.
    pub(crate) bounds: &'a mut [f32],
    /// `planes`: the inputs that a tile sees, of one panel of channels, `[POINTS, LANES]`. `panels`: transformed inputs, and with their
    /// errors, `[2, POINTS, C]`, C being whole panels. `sums`: errors of each weight `[panels, C, LANES]`, then of one panel's sums
    /// `[POINTS, LANES]`.
    pub(crate) scratch: &'a mut Scratch,
}

impl Work for Rounding<'_> {
    #[inline(always)]
    fn run<S: Simd>(mut self) {
        let [height, width] = self.shape.output();
        self.weigh::<S>();
        for y in (0..height).step_by(TILE) {
            for x in (0..width).step_by(TILE) {
                self.look::<S>([y, x]);
                for panel in 0..self.transformed.rows().div_ceil(S::LANES) {
                    self.raise::<S>([y, x], panel);
                }
            }
        }
    }
}

impl Rounding<'_> {
    /// Values of the errors of weights.
    fn of_weights<S: Simd>(&self) -> usize {
        self.transformed.rows().next_multiple_of(S::LANES) * self.transformed.inputs()
    }

    /// Finds the errors of transformed weights other than those of their last rounding.
    #[inline(always)]
    fn weigh<S: Simd>(&mut self) {
        let all = self.of_weights::<S>();
        self.scratch.sums.grow(all + POINTS * S::LANES);
        let panels = &self.weights.panels(0, 0)[..9 * all];
        let errors = self.scratch.sums.values_mut();
        for (weights, errors) in panels.chunks_exact(9 * S::LANES).zip(errors.chunks_exact_mut(S::LANES)) {
            for (lane, error) in errors.iter_mut().enumerate() {
                let magnitudes = weights.iter().skip(lane).step_by(S::LANES).map(|weight| weight.abs());
                *error = DOUBLE * magnitudes.fold(0.0, f32::max);
            }
        }
    }

    /// Transforms the inputs of the tile whose first output is at a row and column.
    #[inline(always)]
    #[expect(unsafe_code, reason = "vector loads and stores take pointers")]
    fn look<S: Simd>(&mut self, [y, x]: [usize; 2]) {
        let ConvShape { input: [channels, h, w], padding: [top, left, ..], .. } = *self.shape;
        let depth = channels.next_multiple_of(S::LANES);
        self.scratch.planes.grow(POINTS * S::LANES);
        self.scratch.panels.grow(2 * POINTS * depth);
        for first in (0..channels).step_by(S::LANES) {
            let seen = &mut self.scratch.planes.values_mut()[..POINTS * S::LANES];
            seen.fill(0.0);
            for (point, lanes) in seen.chunks_exact_mut(S::LANES).enumerate() {
                let row = (y + point / WINDOW).checked_sub(top).filter(|&row| row < h);
                let column = (x + point % WINDOW).checked_sub(left).filter(|&column| column < w);
                let Some((row, column)) = row.zip(column) else { continue };
                for (lane, channel) in lanes.iter_mut().zip(first..channels) {
                    *lane = self.input[(channel * h + row) * w + column];
                }
            }
            let (transformed, errors) =
                self.scratch.panels.values_mut()[..2 * POINTS * depth].split_at_mut(POINTS * depth);
            let (transformed, errors) = (&mut transformed[first..], &mut errors[first..]);
            // SAFETY: every point has a vector in each of the slices.
            unsafe {
                let (seen, row) = (seen.as_ptr(), WINDOW * S::LANES);
                transform::input::<S, transform::Input>(seen, row, transformed.as_mut_ptr(), depth);
                transform::input::<S, transform::InputMagnitudes>(seen, row, errors.as_mut_ptr(), depth);
            }
            for point in 0..POINTS {
                let (of, error) =
                    (transformed[point * depth..].as_ptr(), errors[point * depth..].as_mut_ptr());
                // SAFETY: as above.
                unsafe { S::store(S::fma(S::splat(4.0), S::load(error), S::abs(S::load(of))), error) };
            }
        }
    }

    /// Raises the bounds of a tile's outputs in one panel of channels.
    #[inline(always)]
    #[expect(unsafe_code, reason = "vector loads and stores take pointers")]
    fn raise<S: Simd>(&mut self, [y, x]: [usize; 2], panel: usize) {
        let channels = self.transformed.inputs();
        let depth = channels.next_multiple_of(S::LANES);
        let all = self.of_weights::<S>();
        let (of_weights, sums) = self.scratch.sums.values_mut().split_at_mut(all);
        let of_weights = &of_weights[panel * channels * S::LANES..][..channels * S::LANES];
        for (point, sum) in sums.chunks_exact_mut(S::LANES).take(POINTS).enumerate() {
            let weights = &self.transformed.panels(point, panel)[..channels * S::LANES];
            let inputs = &self.scratch.panels.values()[point * depth..][..channels];
            let magnitudes = &self.scratch.panels.values()[(POINTS + point) * depth..][..channels];
            let (mut chain, mut errors) = (S::splat(0.0), S::splat(0.0));
            for (channel, (&input, &magnitude)) in inputs.iter().zip(magnitudes).enumerate() {
                let at = channel * S::LANES;
                // SAFETY: a channel is a vector.
                let (weight, error) =
                    unsafe { (S::load(weights[at..].as_ptr()), S::load(of_weights[at..].as_ptr())) };
                chain = S::fma(weight, S::splat(input), chain);
                let of_factors = S::add(S::abs(weight), error);
                errors = S::fma(of_factors, S::splat(magnitude), S::add(errors, S::abs(chain)));
            }
            errors = S::fma(S::splat(6.0), S::abs(chain), errors);
            // SAFETY: the chunk is a vector.
            unsafe { S::store(errors, sum.as_mut_ptr()) };
        }
        // SAFETY: every point has its vector.
        let errors = unsafe { transform::output::<S, transform::OutputMagnitudes>(sums.as_ptr()) };
        let [height, width] = self.shape.output();
        let live = S::LANES.min(self.transformed.rows() - panel * S::LANES);
        for (row, errors) in errors.iter().enumerate().take(height - y) {
            for (column, &errors) in errors.iter().enumerate().take(width - x) {
                let mut lanes = [0.0; 16];
                // SAFETY: no vector holds more than sixteen values.
                unsafe { S::store(errors, lanes.as_mut_ptr()) };
                for (lane, &error) in lanes.iter().enumerate().take(live) {
                    let bound =
                        &mut self.bounds[((panel * S::LANES + lane) * height + y + row) * width + x + column];
                    if error.is_nan() || error > *bound {
                        *bound = error;
                    }
                }
            }
        }
    }
}

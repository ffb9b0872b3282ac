//! Sums and moments of channels.

use super::lanes::sum;
use crate::isa::{Isa, Work};
use crate::simd::Simd;

/// Adds the sum of each channel's values: the gradient of a bias.
///
/// Values of a plane are added in 32 chains of at most 128 additions; their sums, and planes, in double precision.
///
/// **Shapes**: `values` `[images, channels, plane]` (a linear layer: `plane` is 1), `sums` `[channels]`.
///
/// # Panics
/// When `values` is not a whole number of images.
pub fn channel_sums(plane: usize, values: &[f32], sums: &mut [f64]) {
    check(plane, values, sums.len());
    Isa::detect().run(AddSums { plane, values, sums });
}

fn check(plane: usize, values: &[f32], channels: usize) {
    let image = plane * channels;
    assert!(image > 0 && values.len().is_multiple_of(image), "values must be [images, channels, plane]");
}

struct AddSums<'a> {
    plane: usize,
    values: &'a [f32],
    sums: &'a mut [f64],
}

impl Work for AddSums<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let Self { plane, values, sums } = self;
        for image in values.chunks_exact(plane * sums.len()) {
            if plane == 1 {
                sums.iter_mut().zip(image).for_each(|(sum, &x)| *sum += f64::from(x));
                continue;
            }
            for (total, plane) in sums.iter_mut().zip(image.chunks_exact(plane)) {
                let [add] = sum(plane, plane, |x, _| [x]);
                *total += add;
            }
        }
    }
}

/// Count, mean and squared deviations of a set of values. The default is the empty set.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Moments {
    /// Number of values.
    pub count: f64,
    /// Their mean.
    pub mean: f64,
    /// Sum of their squared deviations from it.
    pub squares: f64,
}

impl Moments {
    /// Makes these the moments of both sets together (Chan, Golub and `LeVeque`, *Updating formulae and a pairwise algorithm for
    /// computing sample variances*, 1979, eq. 1.5).
    #[inline(always)]
    pub fn combine(&mut self, other: &Self) {
        let count = self.count + other.count;
        if count == 0.0 {
            return;
        }
        let (distance, share) = (other.mean - self.mean, other.count / count);
        self.squares += other.squares + distance * distance * self.count * share;
        self.mean += distance * share;
        self.count = count;
    }

    /// The mean squared deviation: what batch normalisation divides by in training. NaN for the empty set.
    pub fn variance(&self) -> f64 {
        self.squares / self.count
    }

    /// The unbiased estimate of the variance, with `count − 1`: what running averages are kept of. NaN for a single value.
    pub fn unbiased_variance(&self) -> f64 {
        self.squares / (self.count - 1.0)
    }
}

/// Combines the moments of each channel's values with `moments`, plane by plane, reading memory once. Sums within a plane are as in
/// [`channel_sums`].
///
/// **Shapes**: `values` `[images, channels, plane]`, `moments` `[channels]`.
///
/// # Panics
/// When `values` is not a whole number of images.
pub fn channel_moments(plane: usize, values: &[f32], moments: &mut [Moments]) {
    check(plane, values, moments.len());
    Isa::detect().run(AddMoments { plane, values, moments });
}

struct AddMoments<'a> {
    plane: usize,
    values: &'a [f32],
    moments: &'a mut [Moments],
}

impl Work for AddMoments<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let Self { plane, values, moments } = self;
        let count = plane as f64;
        for image in values.chunks_exact(plane * moments.len()) {
            if plane == 1 {
                // The same numbers as below: a value's deviation from itself is 0, or NaN.
                for (moments, &x) in moments.iter_mut().zip(image) {
                    let rest = if x.is_finite() { 0.0 } else { f64::NAN };
                    moments.combine(&Moments { count, mean: f64::from(x) + rest, squares: rest });
                }
                continue;
            }
            for (moments, values) in moments.iter_mut().zip(image.chunks_exact(plane)) {
                let [total] = sum(values, values, |x, _| [x]);
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "what rounding leaves out is added below"
                )]
                let near = (total / count) as f32;
                // Deviations from a mean that was rounded, and the correction for that (Chan et al., eq. 1.7).
                let [rest, squares] = sum(values, values, |x, _| [x - near, (x - near) * (x - near)]);
                let mean = f64::from(near) + rest / count;
                moments.combine(&Moments { count, mean, squares: squares - rest * rest / count });
            }
        }
    }
}

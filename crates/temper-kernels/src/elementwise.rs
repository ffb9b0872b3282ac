//! Operators on single values, channels and rows.

use crate::epilogue::Activation;
use crate::isa::{Isa, Work};
use crate::simd::Simd;

/// Applies `activation` to every value.
pub fn activate(activation: Activation, values: &mut [f32]) {
    activation.apply_all(values);
}

/// Every value becomes `x · scale + shift`, fused, with those of its channel.
///
/// **Shapes**: `values` `[images, channels, plane]`, `scale` and `shift` `[channels]`.
pub fn affine(plane: usize, scale: &[f32], shift: &[f32], values: &mut [f32]) {
    Isa::detect().run(Affine { plane, scale, shift, values });
}

struct Affine<'a> {
    plane: usize,
    scale: &'a [f32],
    shift: &'a [f32],
    values: &'a mut [f32],
}

impl Work for Affine<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let channels = self.scale.iter().zip(self.shift).cycle();
        for (plane, (&scale, &shift)) in self.values.chunks_exact_mut(self.plane).zip(channels) {
            for x in plane {
                *x = x.mul_add(scale, shift);
            }
        }
    }
}

/// `e^x / Σ e^x` along the middle dimension, from differences to the largest value.
///
/// **Shapes**: `values` `[outer, extent, inner]`.
pub fn softmax(extent: usize, inner: usize, values: &mut [f32]) {
    for block in values.chunks_exact_mut(extent * inner) {
        for i in 0..inner {
            let places = || (0..extent).map(|j| j * inner + i);
            let larger = |a: f32, b: f32| if b > a || b.is_nan() { b } else { a };
            let largest = places().map(|at| block[at]).fold(f32::NEG_INFINITY, larger);
            let mut sum = 0.0;
            for at in places() {
                block[at] = libm::expf(block[at] - largest);
                sum += block[at];
            }
            for at in places() {
                block[at] /= sum;
            }
        }
    }
}

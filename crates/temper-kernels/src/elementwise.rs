//! Operators on single values, channels and rows.

use crate::epilogue::Activation;

/// Applies `activation` to every value.
pub fn activate(activation: Activation, values: &mut [f32]) {
    activation.apply_all(values);
}

/// `x · scale + shift`, fused, for each channel.
///
/// **Shapes**: `input` and `output` `[images, channels, plane]`, `scale` and `shift` `[channels]`.
pub fn affine(plane: usize, scale: &[f32], shift: &[f32], input: &[f32], output: &mut [f32]) {
    let channels = scale.iter().zip(shift).cycle();
    let planes = input.chunks_exact(plane).zip(output.chunks_exact_mut(plane));
    for ((input, output), (&scale, &shift)) in planes.zip(channels) {
        for (out, &x) in output.iter_mut().zip(input) {
            *out = x.mul_add(scale, shift);
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

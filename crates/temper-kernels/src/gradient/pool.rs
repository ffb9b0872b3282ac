//! Gradients of max and average pooling.

use crate::isa::{Isa, Work};
use crate::pool::PoolShape;
use crate::simd::Simd;

/// Computes the gradient of a max pooling's input: each window's goes to its largest value, to the first of several in row-major
/// order, or to its last NaN, as in PyTorch. Overlapping windows are added in the order of the output.
///
/// **Shapes**: `input` and `input_gradient` `[planes, H, W]`, `output_gradient` `[planes, H', W']`.
///
/// # Panics
/// When the slices do not have these shapes.
pub fn max_pool2d_gradient(
    shape: &PoolShape,
    input: &[f32],
    output_gradient: &[f32],
    input_gradient: &mut [f32],
) {
    assert_eq!(input.len(), input_gradient.len(), "one gradient for each input");
    check(shape, output_gradient, input_gradient);
    if shape.halves() {
        Isa::detect().run(Halve { shape, input, output_gradient, input_gradient });
        return;
    }
    let plane = shape.input[0] * shape.input[1];
    for_each_window(shape, output_gradient, input_gradient, |i, y, x, gradient, to| {
        let input = &input[i * plane..][..plane];
        let mut places = shape.places(y, x);
        if let Some(first) = places.next() {
            let larger = |best: usize, at: usize| if beats(input[at], input[best]) { at } else { best };
            to[places.fold(first, larger)] += gradient;
        }
    });
}

/// Whether `x` is the maximum of it and of those before.
#[inline(always)]
fn beats(x: f32, before: f32) -> bool {
    x > before || x.is_nan()
}

fn check(shape: &PoolShape, output_gradient: &[f32], input_gradient: &[f32]) {
    let [inputs, outputs] = [shape.input, shape.output].map(|[h, w]| h * w);
    let planes = output_gradient.len() / outputs;
    assert_eq!(output_gradient.len(), planes * outputs, "output gradient must be [planes, H', W']");
    assert_eq!(input_gradient.len(), planes * inputs, "input gradient must be [planes, H, W]");
}

/// Calls `window` with the plane, row, column and gradient of every output, and the plane's input gradient, which is zero before.
fn for_each_window(
    shape: &PoolShape,
    output_gradient: &[f32],
    input_gradient: &mut [f32],
    window: impl Fn(usize, usize, usize, f32, &mut [f32]),
) {
    let [inputs, outputs] = [shape.input, shape.output].map(|[h, w]| h * w);
    let planes = output_gradient.chunks_exact(outputs).zip(input_gradient.chunks_exact_mut(inputs));
    for (i, (from, to)) in planes.enumerate() {
        to.fill(0.0);
        for (at, &gradient) in from.iter().enumerate() {
            window(i, at / shape.output[1], at % shape.output[1], gradient, to);
        }
    }
}

/// [`max_pool2d_gradient`] of windows of two by two side by side.
struct Halve<'a> {
    shape: &'a PoolShape,
    input: &'a [f32],
    output_gradient: &'a [f32],
    input_gradient: &'a mut [f32],
}

impl Work for Halve<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let ([h, w], [oh, ow]) = (self.shape.input, self.shape.output);
        let planes = self.input.chunks_exact(h * w).zip(self.output_gradient.chunks_exact(oh * ow));
        for ((input, from), to) in planes.zip(self.input_gradient.chunks_exact_mut(h * w)) {
            let rows = input.chunks_exact(2 * w).zip(from.chunks_exact(ow));
            for ((input, from), to) in rows.zip(to.chunks_exact_mut(2 * w)) {
                halve_rows(w, input, from, to);
            }
            clear_rest(self.shape, to);
        }
    }
}

/// One row of windows: two rows of `w` inputs.
#[inline(always)]
fn halve_rows(w: usize, input: &[f32], from: &[f32], to: &mut [f32]) {
    let ((upper, lower), (to_upper, to_lower)) = (input.split_at(w), to.split_at_mut(w));
    let input = upper.as_chunks::<2>().0.iter().zip(lower.as_chunks::<2>().0);
    let to = to_upper.as_chunks_mut::<2>().0.iter_mut().zip(to_lower.as_chunks_mut::<2>().0);
    for (((upper, lower), (to_upper, to_lower)), &gradient) in input.zip(to).zip(from) {
        let larger = |a: f32, b: f32| if beats(b, a) { b } else { a };
        let second = beats(upper[1], upper[0]);
        let top = larger(upper[0], upper[1]);
        let third = beats(lower[0], top);
        let fourth = beats(lower[1], larger(top, lower[0]));
        let keep = |condition: bool| if condition { gradient } else { 0.0 };
        *to_upper = [keep(!second && !third && !fourth), keep(second && !third && !fourth)];
        *to_lower = [keep(third && !fourth), keep(fourth)];
    }
}

/// Zeros where no window of two by two reaches.
#[inline(always)]
fn clear_rest(shape: &PoolShape, plane: &mut [f32]) {
    let (w, [oh, ow]) = (shape.input[1], shape.output);
    for row in plane.chunks_exact_mut(w).take(2 * oh) {
        row[2 * ow..].fill(0.0);
    }
    plane[2 * oh * w..].fill(0.0);
}

/// Computes the gradient of an average pooling's input: each window's, divided as by [`avg_pool2d`](crate::avg_pool2d), goes to all its
/// values. Overlapping windows are added in the order of the output.
///
/// **Shapes**: `output_gradient` `[planes, H', W']`, `input_gradient` `[planes, H, W]`.
///
/// # Panics
/// When the slices do not have these shapes.
pub fn avg_pool2d_gradient(
    shape: &PoolShape,
    count_padding: bool,
    output_gradient: &[f32],
    input_gradient: &mut [f32],
) {
    check(shape, output_gradient, input_gradient);
    if shape.is_global() {
        let plane = shape.input[0] * shape.input[1];
        for (&gradient, to) in output_gradient.iter().zip(input_gradient.chunks_exact_mut(plane)) {
            to.fill(gradient / plane as f32);
        }
    } else if shape.halves() {
        Isa::detect().run(Spread { shape, output_gradient, input_gradient });
    } else {
        for_each_window(shape, output_gradient, input_gradient, |_, y, x, gradient, to| {
            let part = gradient / shape.divisor(count_padding, y, x) as f32;
            shape.places(y, x).for_each(|at| to[at] += part);
        });
    }
}

/// [`avg_pool2d_gradient`] of windows of two by two side by side.
struct Spread<'a> {
    shape: &'a PoolShape,
    output_gradient: &'a [f32],
    input_gradient: &'a mut [f32],
}

impl Work for Spread<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let ([h, w], [oh, ow]) = (self.shape.input, self.shape.output);
        let planes = self.output_gradient.chunks_exact(oh * ow);
        for (from, to) in planes.zip(self.input_gradient.chunks_exact_mut(h * w)) {
            for (from, to) in from.chunks_exact(ow).zip(to.chunks_exact_mut(2 * w)) {
                for to in to.chunks_exact_mut(w) {
                    for (to, from) in to.as_chunks_mut::<2>().0.iter_mut().zip(from) {
                        *to = [from / 4.0; 2];
                    }
                }
            }
            clear_rest(self.shape, to);
        }
    }
}

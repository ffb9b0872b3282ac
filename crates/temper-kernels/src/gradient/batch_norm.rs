//! Batch normalisation in training, forward and backward (Ioffe and Szegedy, *Batch Normalization*, ICML 2015, alg. 1 and the
//! gradients of section 3).

use super::lanes::sum;
use crate::epilogue::Activation;
use crate::isa::{Isa, Work};
use crate::simd::Simd;

/// `(x − mean) · scale + bias [+ residual]`, and ReLU of it on request; `scale` is the weight divided by the standard deviation.
///
/// **Shapes**: `input`, `residual` and `output` `[images, channels, plane]`, the others `[channels]`.
///
/// # Panics
/// When the slices do not have these shapes.
#[expect(clippy::too_many_arguments, reason = "the operands of one operator")]
pub fn batch_norm(
    plane: usize,
    mean: &[f32],
    scale: &[f32],
    bias: &[f32],
    residual: Option<&[f32]>,
    relu: bool,
    input: &[f32],
    output: &mut [f32],
) {
    check(
        plane,
        [mean, scale, bias],
        [input.len(), residual.map_or(input.len(), <[f32]>::len), output.len()],
    );
    Isa::detect().run(Forward { plane, mean, scale, bias, residual, relu, input, output });
}

fn check(plane: usize, [first, channels @ ..]: [&[f32]; 3], [values, others @ ..]: [usize; 3]) {
    let image = plane * first.len();
    assert!(channels.iter().all(|values| values.len() == first.len()), "one value for each channel");
    assert!(image > 0 && values.is_multiple_of(image), "values must be [images, channels, plane]");
    assert!(others.iter().all(|&len| len == values), "as many outputs and gradients as inputs");
}

struct Forward<'a> {
    plane: usize,
    mean: &'a [f32],
    scale: &'a [f32],
    bias: &'a [f32],
    residual: Option<&'a [f32]>,
    relu: bool,
    input: &'a [f32],
    output: &'a mut [f32],
}

impl Work for Forward<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let Self { plane, mean, scale, bias, residual, relu, input, output } = self;
        if plane == 1 && residual.is_none() {
            let channels = mean.len();
            for (input, output) in input.chunks_exact(channels).zip(output.chunks_exact_mut(channels)) {
                let of_channels = mean.iter().zip(scale).zip(bias);
                for ((out, &x), ((&mean, &scale), &bias)) in output.iter_mut().zip(input).zip(of_channels) {
                    let normal = (x - mean).mul_add(scale, bias);
                    *out = if relu { Activation::Relu.apply(normal) } else { normal };
                }
            }
            return;
        }
        let planes = input.chunks_exact(plane).zip(output.chunks_exact_mut(plane));
        for (i, (input, output)) in planes.enumerate() {
            let channel = i % mean.len();
            let (mean, scale, bias) = (mean[channel], scale[channel], bias[channel]);
            let normalise = |x: f32| (x - mean).mul_add(scale, bias);
            let values = output.iter_mut().zip(input);
            match (residual.map(|residual| &residual[i * plane..][..plane]), relu) {
                (None, false) => values.for_each(|(out, &x)| *out = normalise(x)),
                (None, true) => values.for_each(|(out, &x)| *out = Activation::Relu.apply(normalise(x))),
                (Some(more), false) => values.zip(more).for_each(|((out, &x), r)| *out = normalise(x) + r),
                (Some(more), true) => {
                    values
                        .zip(more)
                        .for_each(|((out, &x), r)| *out = Activation::Relu.apply(normalise(x) + r));
                }
            }
        }
    }
}

/// Adds the two sums of each channel that a batch norm's gradients are made of: `Σ dz` (the bias's gradient) and
/// `Σ dz · (x − mean) · inv_std` (the weight's).
///
/// `dz` is the gradient before a ReLU that was fused with [`batch_norm`]: give its `output`, and the gradient of that is turned into
/// `dz` in place, which is also the gradient of the residual.
///
/// Sums within a plane are as in [`channel_sums`](crate::channel_sums).
///
/// **Shapes**: `input`, `output` and `gradient` `[images, channels, plane]`, the others `[channels]`.
///
/// # Panics
/// When the slices do not have these shapes.
pub fn batch_norm_gradient_sums(
    plane: usize,
    mean: &[f32],
    inv_std: &[f32],
    input: &[f32],
    output: Option<&[f32]>,
    gradient: &mut [f32],
    sums: &mut [[f64; 2]],
) {
    assert_eq!(sums.len(), mean.len(), "two sums for each channel");
    check(
        plane,
        [mean, inv_std, mean],
        [input.len(), output.map_or(input.len(), <[f32]>::len), gradient.len()],
    );
    Isa::detect().run(AddSums { plane, mean, inv_std, input, output, gradient, sums });
}

struct AddSums<'a> {
    plane: usize,
    mean: &'a [f32],
    inv_std: &'a [f32],
    input: &'a [f32],
    output: Option<&'a [f32]>,
    gradient: &'a mut [f32],
    sums: &'a mut [[f64; 2]],
}

impl Work for AddSums<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let Self { plane, mean, inv_std, input, output, gradient, sums } = self;
        if plane == 1 {
            if let Some(output) = output {
                mask(output, gradient);
            }
            let channels = mean.len();
            for (input, gradient) in input.chunks_exact(channels).zip(gradient.chunks_exact(channels)) {
                let of_channels = sums.iter_mut().zip(mean.iter().zip(inv_std));
                for ((sums, (&mean, &inv_std)), (&x, &dz)) in of_channels.zip(input.iter().zip(gradient)) {
                    sums[0] += f64::from(dz);
                    sums[1] += f64::from(dz * (x - mean)) * f64::from(inv_std);
                }
            }
            return;
        }
        let planes = input.chunks_exact(plane).zip(gradient.chunks_exact_mut(plane));
        for (i, (input, gradient)) in planes.enumerate() {
            let channel = i % mean.len();
            if let Some(output) = output {
                mask(&output[i * plane..][..plane], gradient);
            }
            let mean = mean[channel];
            let [dz, product] = sum(input, gradient, |x, dz| [dz, dz * (x - mean)]);
            sums[channel][0] += dz;
            sums[channel][1] += product * f64::from(inv_std[channel]);
        }
    }
}

/// Computes the gradient of a batch norm's input:
/// `weight · inv_std · (dz − Σ dz / m − (x − mean) · inv_std · Σ(dz · x̂) / m)` over the `m` values of a channel, where the sums are those
/// of [`batch_norm_gradient_sums`] over the whole batch.
///
/// **Shapes**: `input`, `gradient` (`dz`) and `input_gradient` `[images, channels, plane]`, the others `[channels]`.
///
/// # Panics
/// When the slices do not have these shapes.
#[expect(clippy::too_many_arguments, reason = "the operands of one operator")]
pub fn batch_norm_input_gradient(
    plane: usize,
    mean: &[f32],
    inv_std: &[f32],
    weight: &[f32],
    count: f64,
    sums: &[[f64; 2]],
    input: &[f32],
    gradient: &[f32],
    input_gradient: &mut [f32],
) {
    assert_eq!(sums.len(), mean.len(), "two sums for each channel");
    check(plane, [mean, inv_std, weight], [input.len(), gradient.len(), input_gradient.len()]);
    Isa::detect().run(Backward {
        plane,
        mean,
        inv_std,
        weight,
        count,
        sums,
        input,
        gradient,
        input_gradient,
    });
}

struct Backward<'a> {
    plane: usize,
    mean: &'a [f32],
    inv_std: &'a [f32],
    weight: &'a [f32],
    count: f64,
    sums: &'a [[f64; 2]],
    input: &'a [f32],
    gradient: &'a [f32],
    input_gradient: &'a mut [f32],
}

impl Work for Backward<'_> {
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "means of many values, rounded once")]
    fn run<S: Simd>(self) {
        let Self { plane, mean, inv_std, weight, count, sums, input, gradient, input_gradient } = self;
        let shift: Vec<f32> = sums.iter().map(|sums| (sums[0] / count) as f32).collect();
        let slope = |(sums, &inv_std): (&[f64; 2], &f32)| (-sums[1] / count * f64::from(inv_std)) as f32;
        let slope: Vec<f32> = sums.iter().zip(inv_std).map(slope).collect();
        let scale: Vec<f32> = weight.iter().zip(inv_std).map(|(weight, inv_std)| weight * inv_std).collect();
        let channels = mean.len();
        let operands = input.chunks_exact(plane * channels).zip(gradient.chunks_exact(plane * channels));
        for ((input, gradient), to) in operands.zip(input_gradient.chunks_exact_mut(plane * channels)) {
            if plane == 1 {
                for channel in 0..channels {
                    let (x, dz) = (input[channel] - mean[channel], gradient[channel] - shift[channel]);
                    to[channel] = scale[channel] * x.mul_add(slope[channel], dz);
                }
                continue;
            }
            let planes = input.chunks_exact(plane).zip(gradient.chunks_exact(plane));
            for (channel, ((input, gradient), to)) in planes.zip(to.chunks_exact_mut(plane)).enumerate() {
                let (mean, shift, slope, scale) =
                    (mean[channel], shift[channel], slope[channel], scale[channel]);
                for ((to, &x), &dz) in to.iter_mut().zip(input).zip(gradient) {
                    *to = scale * (x - mean).mul_add(slope, dz - shift);
                }
            }
        }
    }
}

/// Turns the gradient of a ReLU's output into that of its input, in place: zero where the output is not positive. Where the output is
/// NaN the gradient stays.
///
/// **Shapes**: both the same.
///
/// # Panics
/// When they are not.
pub fn relu_gradient(output: &[f32], gradient: &mut [f32]) {
    assert_eq!(output.len(), gradient.len(), "one gradient for each output");
    Isa::detect().run(Mask { output, gradient });
}

struct Mask<'a> {
    output: &'a [f32],
    gradient: &'a mut [f32],
}

impl Work for Mask<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        mask(self.output, self.gradient);
    }
}

#[inline(always)]
fn mask(output: &[f32], gradient: &mut [f32]) {
    for (gradient, &y) in gradient.iter_mut().zip(output) {
        *gradient = if y <= 0.0 { 0.0 } else { *gradient };
    }
}

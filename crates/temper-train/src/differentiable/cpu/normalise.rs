//! Batch norm by the batch's statistics, and ReLU.

use std::ops::Range;

use rayon::prelude::*;
use temper_kernels::{
    Activation, Moments, activate, batch_norm, batch_norm_gradient_sums, batch_norm_input_gradient,
    channel_moments, relu_gradient,
};

use super::bridge::{Operation, Recorded};
use super::{block, fill_images, of_images, sum_images, sum_parts};

/// A batch norm, with ReLU behind it on request: inputs, weight and bias.
#[derive(Debug, Clone)]
pub(super) struct BatchNorm {
    pub(super) channels: usize,
    pub(super) eps: f32,
    pub(super) relu: bool,
}

/// What the batch is normalised by.
#[derive(Debug, Clone)]
pub(super) struct BatchStatistics {
    pub(super) mean: Vec<f32>,
    /// Divided by the number of values.
    pub(super) variance: Vec<f32>,
    /// `1 / √(variance + eps)`.
    inverse_std: Vec<f32>,
}

impl BatchNorm {
    fn plane(&self, input: &[f32], images: usize) -> usize {
        input.len() / images.max(1) / self.channels
    }
}

impl Operation<3> for BatchNorm {
    type Saved = BatchStatistics;

    fn needs_output(&self) -> bool {
        self.relu
    }

    fn forward(&self, [input, weight, bias]: [&[f32]; 3], images: usize) -> (Vec<f32>, BatchStatistics) {
        let plane = self.plane(input, images);
        let contribute = |range: Range<usize>, moments: &mut [Moments]| {
            channel_moments(plane, &input[of_images(input, images, &range)], moments);
        };
        let moments = sum_images(images, self.channels, input.len(), contribute, Moments::combine);
        let variance = moments.iter().map(Moments::variance);
        let inverse_std: Vec<f32> =
            variance.clone().map(|variance| (1.0 / (variance + f64::from(self.eps)).sqrt()) as f32).collect();
        let statistics = BatchStatistics {
            mean: moments.iter().map(|moments| moments.mean as f32).collect(),
            variance: variance.map(|variance| variance as f32).collect(),
            inverse_std,
        };
        let scale: Vec<f32> =
            weight.iter().zip(&statistics.inverse_std).map(|(w, inverse)| w * inverse).collect();
        let mut output = vec![0.0; input.len()];
        fill_images(images, &mut output, |range, output| {
            let input = &input[of_images(input, images, &range)];
            batch_norm(plane, &statistics.mean, &scale, bias, None, self.relu, input, output);
        });
        (output, statistics)
    }

    fn backward(
        &self,
        recorded: Recorded<'_, 3, BatchStatistics>,
        mut gradient: Vec<f32>,
        wanted: [bool; 3],
    ) -> [Option<Vec<f32>>; 3] {
        let Recorded { inputs: [input, weight, _], images, output, saved } = recorded;
        let plane = self.plane(input, images);
        let BatchStatistics { mean, inverse_std, .. } = &saved;
        let len = block(images, self.channels) * self.channels * plane;
        let parts = gradient.par_chunks_mut(len).zip(input.par_chunks(len)).enumerate();
        let parts = parts.map(|(i, (gradient, input))| {
            let output = self.relu.then(|| &output[i * len..][..gradient.len()]);
            let mut sums = vec![[0.0; 2]; self.channels];
            batch_norm_gradient_sums(plane, mean, inverse_std, input, output, gradient, &mut sums);
            sums
        });
        let add = |sum: &mut [f64; 2], value: &[f64; 2]| *sum = [sum[0] + value[0], sum[1] + value[1]];
        let sums = sum_parts(parts.collect(), self.channels, add);
        let of_input = || {
            let count = (images * plane) as f64;
            let mut found = vec![0.0; input.len()];
            fill_images(images, &mut found, |range, found| {
                let places = of_images(input, images, &range);
                let (input, gradient) = (&input[places.clone()], &gradient[places]);
                batch_norm_input_gradient(
                    plane,
                    mean,
                    inverse_std,
                    weight,
                    count,
                    &sums,
                    input,
                    gradient,
                    found,
                );
            });
            found
        };
        let sums_of = |i: usize| sums.iter().map(|sum| sum[i] as f32).collect();
        [wanted[0].then(of_input), wanted[1].then(|| sums_of(1)), wanted[2].then(|| sums_of(0))]
    }
}

/// ReLU.
#[derive(Debug, Clone)]
pub(super) struct Relu;

impl Operation<1> for Relu {
    type Saved = ();

    fn needs_output(&self) -> bool {
        true
    }

    fn forward(&self, [input]: [&[f32]; 1], images: usize) -> (Vec<f32>, ()) {
        let mut output = vec![0.0; input.len()];
        fill_images(images, &mut output, |range, output| {
            output.copy_from_slice(&input[of_images(input, images, &range)]);
            activate(Activation::Relu, output);
        });
        (output, ())
    }

    fn backward(
        &self,
        recorded: Recorded<'_, 1, ()>,
        mut gradient: Vec<f32>,
        _: [bool; 1],
    ) -> [Option<Vec<f32>>; 1] {
        rectify(recorded.images, recorded.output, &mut gradient);
        [Some(gradient)]
    }
}

/// Sets the gradient of a ReLU's output to zero where the output is.
pub(super) fn rectify(images: usize, output: &[f32], gradient: &mut [f32]) {
    fill_images(images, gradient, |range, gradient| {
        relu_gradient(&output[of_images(output, images, &range)], gradient);
    });
}

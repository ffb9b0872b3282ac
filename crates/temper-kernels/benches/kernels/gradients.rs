//! The backward pass.

use temper_kernels::{
    ConvGradientWeights, ConvShape, Epilogue, Isa, PackedWeights, Scratch, conv2d_input_gradient,
    conv2d_weight_gradient, linear_weight_gradient,
};

use crate::layers::ordinary;
use crate::peak::best;

/// Of what the gradient is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gradient {
    Input,
    Weights,
}

/// GFLOP/s of a convolution's gradient over 64 images, without packing.
pub(crate) fn convolution(isa: Isa, shape: &ConvShape, gradient: Gradient) -> f64 {
    const IMAGES: usize = 64;
    let [channels, h, w] = shape.input;
    let outputs = shape.out_channels * shape.output().iter().product::<usize>();
    let taps = channels / shape.groups * shape.kernel[0] * shape.kernel[1];
    let input = ordinary(IMAGES * channels * h * w);
    let output_gradient = ordinary(IMAGES * outputs);
    let weights = ordinary(shape.out_channels * taps);
    let mut scratch = Scratch::default();
    let seconds = match gradient {
        Gradient::Input => {
            let weights = ConvGradientWeights::new(isa, shape, &weights);
            let mut found = vec![0.0; input.len()];
            best(|| conv2d_input_gradient(IMAGES, &output_gradient, &weights, &mut found, &mut scratch))
        }
        Gradient::Weights => {
            let mut found = vec![0.0; weights.len()];
            best(|| {
                conv2d_weight_gradient(
                    isa,
                    shape,
                    IMAGES,
                    &input,
                    &output_gradient,
                    &mut found,
                    &mut scratch,
                );
            })
        }
    };
    2e-9 * (IMAGES * outputs * taps) as f64 / seconds
}

/// GFLOP/s of a linear layer's gradient, without packing.
pub(crate) fn linear(isa: Isa, rows: usize, inputs: usize, outputs: usize, gradient: Gradient) -> f64 {
    let input = ordinary(rows * inputs);
    let output_gradient = ordinary(rows * outputs);
    let weights = ordinary(outputs * inputs);
    let mut scratch = Scratch::default();
    let seconds = match gradient {
        Gradient::Input => {
            let weights = PackedWeights::transposed(isa, &weights, outputs, inputs);
            let mut found = vec![0.0; input.len()];
            let plain = Epilogue::default();
            best(|| temper_kernels::linear(&output_gradient, &weights, &plain, &mut found, &mut scratch))
        }
        Gradient::Weights => {
            let mut found = vec![0.0; weights.len()];
            best(|| {
                let features = [inputs, outputs];
                linear_weight_gradient(
                    isa,
                    features,
                    0..outputs,
                    &input,
                    &output_gradient,
                    &mut found,
                    &mut scratch,
                );
            })
        }
    };
    2e-9 * (rows * inputs * outputs) as f64 / seconds
}

//! Convolution and linear layers.

use rayon::prelude::*;
use temper_kernels::{
    Activation, ConvGradientWeights, ConvShape, Epilogue, Isa, PackedWeights, Scratch, channel_sums, conv2d,
    conv2d_input_gradient, conv2d_weight_gradient, linear, linear_once, linear_weight_gradient,
};

use super::bridge::{Operation, Recorded};
use super::normalise::rectify;
use super::{GRAIN, fill_images_with, of_images, sum_images, zeros};

/// A convolution: inputs, weights, and perhaps a bias.
#[derive(Debug, Clone)]
pub(super) struct Convolution {
    pub(super) shape: ConvShape,
}

impl<const N: usize> Operation<N> for Convolution {
    type Saved = ();

    fn forward(&self, inputs: [&[f32]; N], images: usize) -> (Vec<f32>, ()) {
        let shape = &self.shape;
        let [height, width] = shape.output();
        let columns = shape.input[0] / shape.groups * shape.kernel[0] * shape.kernel[1];
        let rows = shape.out_channels / shape.groups;
        let weights = PackedWeights::new(Isa::detect(), inputs[1], shape.groups, rows, columns);
        let epilogue = Epilogue { bias: inputs.get(2).copied(), ..Epilogue::default() };
        let mut output = vec![0.0; images * shape.out_channels * height * width];
        fill_images_with(images, cost(columns), &mut output, |scratch, range, output| {
            let input = &inputs[0][of_images(inputs[0], images, &range)];
            conv2d(shape, range.len(), input, &weights, &epilogue, output, scratch);
        });
        (output, ())
    }

    fn backward(
        &self,
        recorded: Recorded<'_, N, ()>,
        gradient: Vec<f32>,
        wanted: [bool; N],
    ) -> [Option<Vec<f32>>; N] {
        let (shape, Recorded { inputs, images, .. }) = (&self.shape, recorded);
        let isa = Isa::detect();
        let products = gradient.len() * (inputs[1].len() / shape.out_channels);
        let of_input = || {
            let weights = ConvGradientWeights::new(isa, shape, inputs[1]);
            let mut found = vec![0.0; inputs[0].len()];
            let cost = cost(products / found.len().max(1));
            fill_images_with(images, cost, &mut found, |scratch, range, found| {
                let gradient = &gradient[of_images(&gradient, images, &range)];
                conv2d_input_gradient(range.len(), gradient, &weights, found, scratch);
            });
            found
        };
        let of_weights = || {
            let contribute = |range: std::ops::Range<usize>, part: &mut [f32]| {
                let input = &inputs[0][of_images(inputs[0], images, &range)];
                let gradient = &gradient[of_images(&gradient, images, &range)];
                conv2d_weight_gradient(
                    isa,
                    shape,
                    range.len(),
                    input,
                    gradient,
                    part,
                    &mut Scratch::default(),
                );
            };
            let work = products / PRODUCTS_OF_A_VALUE;
            sum_images(images, inputs[1].len(), work, contribute, |sum, value| *sum += value)
        };
        let plane = shape.output().iter().product();
        std::array::from_fn(|i| {
            wanted[i].then(|| match i {
                0 => of_input(),
                1 => of_weights(),
                _ => bias_gradient(plane, shape.out_channels, images, &gradient),
            })
        })
    }
}

/// A linear layer over the last dimension, with ReLU behind it on request: inputs, weights, and perhaps a bias.
#[derive(Debug, Clone)]
pub(super) struct Linear {
    pub(super) outputs: usize,
    pub(super) inputs: usize,
    pub(super) relu: bool,
}

impl Linear {
    /// Outputs that a thread takes at a time, in whole vectors, where the input has so many values.
    fn share(&self, input: usize) -> usize {
        let threads = (cost(input) * self.outputs / GRAIN).clamp(1, rayon::current_num_threads());
        self.outputs.div_ceil(threads).next_multiple_of(16)
    }

    /// The product divided between threads by outputs: each packs the weights that it reads, and finds them in its own cache again when it
    /// makes their gradient and updates them.
    fn by_outputs(&self, input: &[f32], weights: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
        let (share, rows) = (self.share(input.len()), input.len() / self.inputs);
        let parts = weights.par_chunks(share * self.inputs).enumerate().map(|(i, weights)| {
            let outputs = weights.len() / self.inputs;
            let epilogue = epilogue(bias.map(|bias| &bias[i * share..]), self.relu);
            let mut part = vec![0.0; rows * outputs];
            let features = [self.inputs, outputs];
            linear_once(
                Isa::detect(),
                features,
                input,
                weights,
                &epilogue,
                &mut part,
                &mut Scratch::default(),
            );
            part
        });
        let mut parts: Vec<Vec<f32>> = parts.collect();
        if parts.len() == 1 {
            return parts.remove(0);
        }
        let mut output = Vec::with_capacity(rows * self.outputs);
        for row in 0..rows {
            for part in &parts {
                let outputs = part.len() / rows;
                output.extend_from_slice(&part[row * outputs..][..outputs]);
            }
        }
        output
    }
}

impl<const N: usize> Operation<N> for Linear {
    type Saved = ();

    fn needs_output(&self) -> bool {
        self.relu
    }

    fn forward(&self, inputs: [&[f32]; N], images: usize) -> (Vec<f32>, ()) {
        let [input, weights] = [inputs[0], inputs[1]];
        if input.len() <= 2 * weights.len() {
            return (self.by_outputs(input, weights, inputs.get(2).copied()), ());
        }
        let weights = PackedWeights::new(Isa::detect(), weights, 1, self.outputs, self.inputs);
        let epilogue = epilogue(inputs.get(2).copied(), self.relu);
        let mut output = vec![0.0; input.len() / self.inputs * self.outputs];
        fill_images_with(images, cost(self.inputs), &mut output, |scratch, range, output| {
            linear(&input[of_images(input, images, &range)], &weights, &epilogue, output, scratch);
        });
        (output, ())
    }

    fn backward(
        &self,
        recorded: Recorded<'_, N, ()>,
        mut gradient: Vec<f32>,
        wanted: [bool; N],
    ) -> [Option<Vec<f32>>; N] {
        let Recorded { inputs, images, output, .. } = recorded;
        if self.relu {
            rectify(images, output, &mut gradient);
        }
        let isa = Isa::detect();
        let of_input = || {
            let weights = PackedWeights::transposed(isa, inputs[1], self.outputs, self.inputs);
            let mut found = vec![0.0; inputs[0].len()];
            let cost = cost(self.outputs);
            fill_images_with(images, cost, &mut found, |scratch, range, found| {
                let gradient = &gradient[of_images(&gradient, images, &range)];
                linear(gradient, &weights, &Epilogue::default(), found, scratch);
            });
            found
        };
        let of_weights = || {
            let features = [self.inputs, self.outputs];
            let mut found = zeros(inputs[1].len());
            // Divided by images, every part would be as large as the weights.
            let share = self.share(inputs[0].len());
            found.par_chunks_mut(share * self.inputs).enumerate().for_each(|(i, found)| {
                let outputs = i * share..i * share + found.len() / self.inputs;
                let mut scratch = Scratch::default();
                linear_weight_gradient(isa, features, outputs, inputs[0], &gradient, found, &mut scratch);
            });
            found
        };
        std::array::from_fn(|i| {
            wanted[i].then(|| match i {
                0 => of_input(),
                1 => of_weights(),
                _ => bias_gradient(1, self.outputs, images, &gradient),
            })
        })
    }
}

fn epilogue(bias: Option<&[f32]>, relu: bool) -> Epilogue<'_> {
    let activation = if relu { Activation::Relu } else { Activation::Identity };
    Epilogue { bias, activation, ..Epilogue::default() }
}

/// Products that are made and added up while one value is read and written.
const PRODUCTS_OF_A_VALUE: usize = 12;

/// What a value costs that is the sum of so many products.
fn cost(products: usize) -> usize {
    products.div_ceil(PRODUCTS_OF_A_VALUE)
}

/// The sums of each channel.
fn bias_gradient(plane: usize, channels: usize, images: usize, gradient: &[f32]) -> Vec<f32> {
    let contribute = |range: std::ops::Range<usize>, sums: &mut [f64]| {
        channel_sums(plane, &gradient[of_images(gradient, images, &range)], sums);
    };
    let sums = sum_images(images, channels, gradient.len(), contribute, |sum, value| *sum += value);
    sums.into_iter().map(|sum| sum as f32).collect()
}

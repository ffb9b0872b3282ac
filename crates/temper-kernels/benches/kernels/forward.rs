//! The forward pass.

use temper_kernels::{
    Activation, ConvShape, Epilogue, Isa, PackedWeights, Region, Scratch, conv2d, conv2d_regions, linear,
};

use crate::layers::ordinary;
use crate::peak::best;

/// Which outputs are computed.
#[derive(Clone, Copy)]
pub(crate) enum Part {
    All,
    Channel,
    Windows,
}

#[derive(Clone, Copy)]
pub(crate) enum Algorithm {
    Direct,
    Winograd,
}

#[derive(Clone, Copy)]
pub(crate) enum Values {
    Ordinary,
    OneSubnormalWeight,
    SubnormalInputs,
}

/// GFLOP/s of a convolution with bias, batch norm and ReLU: those of the direct convolution, whichever is computed.
pub(crate) fn convolve(isa: Isa, shape: &ConvShape, algorithm: Algorithm, part: Part, values: Values) -> f64 {
    let [channels, h, w] = shape.input;
    let [height, width] = shape.output();
    let (rows, taps) =
        (shape.out_channels / shape.groups, channels / shape.groups * shape.kernel[0] * shape.kernel[1]);
    // Short runs, so that some are never interrupted.
    let images = (100_000_000 / (shape.out_channels * height * width * taps)).clamp(4, 16);
    let mut input = ordinary(images * channels * h * w);
    if let Values::SubnormalInputs = values {
        for x in &mut input {
            *x *= f32::MIN_POSITIVE / 4.0;
        }
    }
    let mut weights = PackedWeights::new(isa, &ordinary(shape.out_channels * taps), shape.groups, rows, taps);
    if let Algorithm::Winograd = algorithm {
        weights = weights.with_winograd();
    }
    if let Values::OneSubnormalWeight = values {
        weights.set(taps, 1e-40);
    }
    let per_channel = ordinary(shape.out_channels);
    let epilogue = Epilogue {
        bias: None,
        affine: Some((&per_channel, &per_channel)),
        residual: None,
        activation: Activation::Relu,
    };
    let all = [shape.out_channels, height, width];
    let regions: Vec<_> = (0..images)
        .map(|image| match part {
            Part::All => Region::whole(image, all),
            Part::Channel => Region { channels: 3..4, ..Region::whole(image, all) },
            Part::Windows => {
                let (y, x) = (image * 5 % (height - 2), image * 7 % (width - 2));
                Region { rows: y..y + 3, columns: x..x + 3, ..Region::whole(image, all) }
            }
        })
        .collect();
    let outputs: usize = regions.iter().map(Region::len).sum();
    let mut output = vec![0.0; images * shape.out_channels * height * width];
    let mut scratch = Scratch::default();
    let seconds = best(|| match part {
        Part::All => conv2d(shape, images, &input, &weights, &epilogue, &mut output, &mut scratch),
        _ => {
            conv2d_regions(shape, images, &input, &weights, &epilogue, &mut output, &regions, &mut scratch);
        }
    });
    2e-9 * (outputs * taps) as f64 / seconds
}

/// GFLOP/s of a linear layer with bias and ReLU.
pub(crate) fn multiply(isa: Isa, rows: usize, inputs: usize, outputs: usize) -> f64 {
    let input = ordinary(rows * inputs);
    let weights = PackedWeights::new(isa, &ordinary(outputs * inputs), 1, outputs, inputs);
    let bias = ordinary(outputs);
    let epilogue = Epilogue { bias: Some(&bias), activation: Activation::Relu, ..Epilogue::default() };
    let mut output = vec![0.0; rows * outputs];
    let mut scratch = Scratch::default();
    let seconds = best(|| linear(&input, &weights, &epilogue, &mut output, &mut scratch));
    2e-9 * (rows * inputs * outputs) as f64 / seconds
}

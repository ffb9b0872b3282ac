//! A layer whose weights are on a chip, and what it makes of activations.

use rand::Rng;
use temper_kernels::ConvShape;

use super::chip::{Array, ChipLayer};
use super::crossbar::ProgrammedCrossbar;
use super::rounding;
use super::sandwich_ram::{AdderBuffers, Adders};
use crate::execution::ParameterId;
use crate::memory::Memory;
use crate::network::NodeId;
use crate::number::Grid;

/// Signed codes plus this are the unsigned ones.
const SIGNED_TO_UNSIGNED: i32 = 128;

/// The largest code of 8 bits.
const LARGEST_FEATURE: f32 = 255.0;

/// A layer's weights on its part of a chip.
#[derive(Debug, Clone)]
pub struct Mounted {
    /// The layer.
    pub node: NodeId,
    /// Its weights.
    pub parameter: ParameterId,
    product: Product,
    unfold: Unfold,
}

#[derive(Debug, Clone)]
enum Product {
    SandwichRam(Binary),
    Crossbar(ProgrammedCrossbar),
}

/// A layer's weights as gradients see them that go through a device's arithmetic.
///
/// **Shapes**: as the layer's parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum SeenWeights {
    /// The weights times these.
    Scaled(Vec<f32>),
    /// The weights plus these: what programming makes of a weight is left aside.
    Shifted(Vec<f32>),
}

/// Weights of one bit and unsigned features, around an array that adds features up by signs.
#[derive(Debug, Clone)]
struct Binary {
    adders: Adders,
    /// The grid of the features over unsigned codes.
    features: Grid,
    /// For each output, the value of one step of its sum.
    scales: Vec<f32>,
    /// For each output, what is subtracted from its sum digitally, because features are not 0 where values are.
    zeros: Vec<f32>,
}

/// Buffers of [`Mounted::run`], kept from one batch to the next.
#[derive(Debug, Clone, Default)]
pub struct HardwareScratch {
    inputs: Vec<f32>,
    unfolded: Vec<f32>,
    sums: Vec<f32>,
    adders: AdderBuffers,
}

impl Mounted {
    /// Puts the weights of a layer on a chip: as `memory` stores it, with the values `weights`.
    ///
    /// **Shapes**: `weights` as the layer's parameter.
    ///
    /// # Panics
    /// When [`Hardware::check_storage`](super::Hardware::check_storage) was not asked before, or the layer's inputs are not calibrated.
    pub fn new(on_chip: &ChipLayer, memory: &Memory, weights: &[f32]) -> Self {
        let network = memory.network();
        let node = network.find(&on_chip.layer).expect("a layer of the network the chip was drawn for");
        let unfold = match network.convolution(node) {
            Some(shape) => Unfold::Windows(shape),
            None => Unfold::Nothing,
        };
        let stored = memory.weights_of(&on_chip.layer);
        let product = match &on_chip.array {
            Array::SandwichRam(array) => {
                let grids = stored.codec().signed_grids().expect("binary weights are small integers");
                let inputs = memory.stored_inputs(node).expect("its inputs are stored as small integers");
                let features = memory.tensor(inputs.inputs).codec().signed_grids();
                let features = features.expect("unsigned integers are small integers")[0];
                let adders = Adders::new(array.clone(), weights);
                Product::SandwichRam(Binary::new(adders, weights, &grids, features))
            }
            Array::Crossbar(array) => Product::Crossbar(ProgrammedCrossbar::new(array.clone(), weights)),
        };
        let parameter = stored.parameter().expect("weights are a parameter");
        Self { node, parameter, product, unfold }
    }

    /// The sums of a batch as values, without what the layer adds to them, and how many readings were beyond what the device can read: of
    /// pulses that had vanished, by converters that were saturated. `streams` are the random streams of noise, one for each image; none for operations without noise.
    ///
    /// **Shapes**: `inputs` `[images, …]`, on the grid of the stored inputs; `outputs` `[images, outputs, …]`.
    pub fn run<R: Rng>(
        &self,
        images: usize,
        inputs: &[f32],
        outputs: &mut [f32],
        streams: &mut [R],
        scratch: &mut HardwareScratch,
    ) -> u64 {
        let shape = match &self.unfold {
            Unfold::Nothing => return self.product.run(inputs, outputs, streams, scratch),
            Unfold::Windows(shape) => shape,
        };
        let [rows, columns] = shape.output();
        let mut sums = std::mem::take(&mut scratch.sums);
        let mut unfolded = std::mem::take(&mut scratch.unfolded);
        sums.resize(shape.out_channels * rows * columns, 0.0);
        let per_image = inputs.len() / images;
        let mut beyond = 0;
        for (image, outputs) in outputs.chunks_exact_mut(sums.len()).enumerate() {
            unfold(shape, &inputs[image * per_image..][..per_image], &mut unfolded);
            let own = streams.get_mut(image..=image).unwrap_or_default();
            beyond += self.product.run(&unfolded, &mut sums, own, scratch);
            for (channel, plane) in outputs.chunks_exact_mut(rows * columns).enumerate() {
                let of_channel = sums[channel..].iter().step_by(shape.out_channels);
                plane.iter_mut().zip(of_channel).for_each(|(output, sum)| *output = *sum);
            }
        }
        (scratch.sums, scratch.unfolded) = (sums, unfolded);
        beyond
    }

    /// The layer's weights as gradients see them that go through the device's arithmetic; `weights` are those that were mounted.
    pub fn seen_weights(&self, weights: &[f32]) -> SeenWeights {
        match &self.product {
            Product::SandwichRam(binary) => SeenWeights::Scaled(binary.adders.factors()),
            Product::Crossbar(crossbar) => {
                let seen = crossbar.effective_weights();
                SeenWeights::Shifted(seen.iter().zip(weights).map(|(seen, weight)| seen - weight).collect())
            }
        }
    }
}

impl Product {
    /// **Shapes**: `inputs` `[positions, inputs]`, `outputs` `[positions, outputs]`.
    fn run<R: Rng>(
        &self,
        inputs: &[f32],
        outputs: &mut [f32],
        streams: &mut [R],
        scratch: &mut HardwareScratch,
    ) -> u64 {
        match self {
            Self::SandwichRam(binary) => binary.run(inputs, outputs, streams, scratch),
            Self::Crossbar(crossbar) => crossbar.run(inputs, outputs, streams),
        }
    }
}

impl Binary {
    fn new(adders: Adders, weights: &[f32], grids: &[Grid], features: Grid) -> Self {
        let outputs = adders.outputs();
        let zero = features.zero_point + SIGNED_TO_UNSIGNED;
        let of_output = |values: &[f32]| {
            let signs = values.iter().map(|value| if *value < 0.0 { -1.0 } else { 1.0 });
            zero as f32 * signs.sum::<f32>()
        };
        let zeros = weights.chunks_exact(weights.len() / outputs).map(of_output).collect();
        let scales = grids.iter().cycle().take(outputs).map(|grid| grid.scale * features.scale).collect();
        Self { adders, features: Grid { zero_point: zero, ..features }, scales, zeros }
    }

    /// **Shapes**: `inputs` `[positions, inputs]`, `outputs` `[positions, outputs]`.
    fn run<R: Rng>(
        &self,
        inputs: &[f32],
        outputs: &mut [f32],
        streams: &mut [R],
        scratch: &mut HardwareScratch,
    ) -> u64 {
        let (reciprocal, zero) = (1.0 / self.features.scale, self.features.zero_point as f32);
        scratch.inputs.clear();
        // The zero point is added first: codes are not negative. What a fault left between them becomes the nearest.
        let code = |value: &f32| rounding::nearest((value * reciprocal + zero).clamp(0.0, LARGEST_FEATURE));
        scratch.inputs.extend(inputs.iter().map(code));
        let vanished = self.adders.run(&scratch.inputs, outputs, streams, &mut scratch.adders);
        for outputs in outputs.chunks_exact_mut(self.scales.len()) {
            for ((output, scale), zero) in outputs.iter_mut().zip(&self.scales).zip(&self.zeros) {
                *output = (*output - zero) * scale;
            }
        }
        vanished
    }
}

/// How a layer's inputs become the inputs of a matrix.
#[derive(Debug, Clone)]
enum Unfold {
    /// They are.
    Nothing,
    /// By the windows of a convolution.
    Windows(ConvShape),
}

/// The windows of one image, `[positions, in_channels · kh · kw]`, in the order of the weights.
fn unfold(shape: &ConvShape, image: &[f32], windows: &mut Vec<f32>) {
    let [channels, height, width] = shape.input;
    let ([rows, columns], [kernel_rows, kernel_columns]) = (shape.output(), shape.kernel);
    let [top, left, ..] = shape.padding;
    // Where a tap of a window lies along one side of the image.
    let place = |window: usize, tap: usize, side: usize, before: usize, extent: usize| {
        let padded = window * shape.stride[side] + tap * shape.dilation[side];
        padded.checked_sub(before).filter(|place| *place < extent)
    };
    windows.clear();
    for window_row in 0..rows {
        for window_column in 0..columns {
            for plane in image.chunks_exact(height * width).take(channels) {
                for kernel_row in 0..kernel_rows {
                    let row = place(window_row, kernel_row, 0, top, height);
                    windows.extend((0..kernel_columns).map(|kernel_column| {
                        let column = place(window_column, kernel_column, 1, left, width);
                        row.zip(column).map_or(0.0, |(row, column)| plane[row * width + column])
                    }));
                }
            }
        }
    }
}

//! A layer whose weights are on a chip, and what it makes of activations.

use rand::Rng;
use temper_kernels::{Windows, round_ties_even};

use super::chip::{Array, ChipLayer};
use super::crossbar::{CrossbarBuffers, ProgrammedCrossbar};
use super::sandwich_ram::{AdderBuffers, Adders};
use crate::execution::ParameterId;
use crate::memory::Memory;
use crate::network::NodeId;
use crate::number::Grid;

/// Signed codes plus this are the unsigned ones.
const SIGNED_TO_UNSIGNED: i32 = 128;

/// The largest code of 8 bits.
const LARGEST_FEATURE: f32 = 255.0;

/// Images are computed together while their layer has no more output positions: what is drawn and placed for them should stay in a cache.
const POSITIONS_TOGETHER: usize = 24;

/// A layer's weights on its part of a chip.
#[derive(Debug, Clone)]
pub struct Mounted {
    /// The layer.
    pub node: NodeId,
    /// Its weights.
    pub parameter: ParameterId,
    product: Product,
    windows: Windows,
}

#[derive(Debug, Clone)]
enum Product {
    SandwichRam(Box<Binary>),
    Crossbar(Box<ProgrammedCrossbar>),
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
    /// Images with their padding.
    placed: Vec<f32>,
    adders: AdderBuffers,
    crossbar: CrossbarBuffers,
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
        let stored = memory.weights_of(&on_chip.layer);
        let product = match &on_chip.array {
            Array::SandwichRam(array) => {
                let grids = stored.codec().signed_grids().expect("binary weights are small integers");
                let inputs = memory.stored_inputs(node).expect("its inputs are stored as small integers");
                let features = memory.tensor(inputs.inputs).codec().signed_grids();
                let features = features.expect("unsigned integers are small integers")[0];
                let adders = Adders::new(array.clone(), weights);
                Product::SandwichRam(Box::new(Binary::new(adders, weights, &grids, features)))
            }
            Array::Crossbar(array) => {
                Product::Crossbar(Box::new(ProgrammedCrossbar::new(array.clone(), weights)))
            }
        };
        let windows = match network.convolution(node) {
            Some(shape) => Windows::of_convolution(&shape),
            None => Windows::of_rows(weights.len() / product.outputs()),
        };
        let parameter = stored.parameter().expect("weights are a parameter");
        Self { node, parameter, product, windows }
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
        let [of_input, of_output] = [inputs, &*outputs].map(|values| values.len() / images.max(1));
        let together = (POSITIONS_TOGETHER / self.windows.positions()).max(1);
        let mut beyond = 0;
        for first in (0..images).step_by(together) {
            let group = first..images.min(first + together);
            self.windows.place(&inputs[group.start * of_input..group.end * of_input], &mut scratch.placed);
            let outputs = &mut outputs[group.start * of_output..group.end * of_output];
            let streams = streams.get_mut(group).unwrap_or_default();
            beyond += self.product.run(&self.windows, outputs, streams, scratch);
        }
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
    /// Outputs of the layer.
    fn outputs(&self) -> usize {
        match self {
            Self::SandwichRam(binary) => binary.scales.len(),
            Self::Crossbar(crossbar) => crossbar.outputs(),
        }
    }

    /// Multiplies the images that were placed.
    ///
    /// **Shapes**: `outputs` `[images, outputs, positions]`.
    fn run<R: Rng>(
        &self,
        windows: &Windows,
        outputs: &mut [f32],
        streams: &mut [R],
        scratch: &mut HardwareScratch,
    ) -> u64 {
        match self {
            Self::SandwichRam(binary) => binary.run(windows, outputs, streams, scratch),
            Self::Crossbar(crossbar) => {
                crossbar.run(windows, &scratch.placed, outputs, streams, &mut scratch.crossbar)
            }
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

    fn run<R: Rng>(
        &self,
        windows: &Windows,
        outputs: &mut [f32],
        streams: &mut [R],
        scratch: &mut HardwareScratch,
    ) -> u64 {
        let HardwareScratch { placed, adders, .. } = scratch;
        let (reciprocal, zero) = (1.0 / self.features.scale, self.features.zero_point as f32);
        for value in placed.iter_mut() {
            // The zero point is added first: codes are not negative. What a fault left between them becomes the nearest.
            *value = round_ties_even((*value * reciprocal + zero).clamp(0.0, LARGEST_FEATURE));
        }
        let vanished = self.adders.run(windows, placed, outputs, streams, adders);
        let of_each = self.zeros.iter().zip(&self.scales).cycle();
        for (outputs, (zero, scale)) in outputs.chunks_exact_mut(windows.positions()).zip(of_each) {
            for output in outputs {
                *output = (*output - zero) * scale;
            }
        }
        vanished
    }
}

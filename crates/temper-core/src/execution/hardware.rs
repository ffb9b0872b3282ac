//! Layers computed by a chip.

use std::sync::Arc;

use super::program::{Program, StepOp};
use super::taps::Tap;
use super::weights::{StepWeights, Weights};
use crate::hardware::{HardwareScratch, Mounted, Noise, NoiseStream};
use crate::network::{Network, NodeId};

/// A layer of a program on a chip.
#[derive(Debug, Clone)]
pub(super) struct OnChip {
    layer: Arc<Mounted>,
    noise: Option<Noise>,
}

impl OnChip {
    /// Computes the layer, with its bias and nothing else, on a batch of images with these numbers.
    ///
    /// **Shapes**: `input` `[images, …]`.
    pub(super) fn run(
        &self,
        op: &StepOp,
        weights: &StepWeights,
        images: &[u64],
        input: &[f32],
        output: &mut [f32],
        scratch: &mut HardwareScratch,
    ) {
        let plane = match op {
            StepOp::Conv { shape, .. } => shape.output().iter().product(),
            StepOp::Linear { .. } => 1,
            _ => unreachable!("only convolutions and linear layers lie on hardware"),
        };
        let stream = |noise: Noise| images.iter().map(move |&image| noise.stream(self.layer.node, image));
        let mut streams: Vec<NoiseStream> = self.noise.into_iter().flat_map(stream).collect();
        self.layer.run(images.len(), input, output, &mut streams, scratch);
        if let Some(bias) = &weights.bias {
            for (plane, bias) in output.chunks_exact_mut(plane).zip(bias.iter().cycle()) {
                for value in plane {
                    *value += bias;
                }
            }
        }
    }
}

impl Program {
    /// [`Program::compile`], with some layers computed by a chip, whose operations have this noise, or none. What a layer adds to its sums
    /// — bias, batch norm, residual, activation — is computed digitally. Every value that such a layer reads must lie on the grid it was
    /// [mounted](Mounted::new) for; striking its weights has no effect.
    ///
    /// # Panics
    /// As [`Program::compile`]; also when a layer is none.
    pub fn compile_on_chip(
        network: &Network,
        observed: &[NodeId],
        taps: &[Tap],
        layers: Vec<Mounted>,
        noise: Option<Noise>,
    ) -> (Self, Weights) {
        let (program, mut weights) = Self::compile(network, observed, taps);
        let layers: Vec<Arc<Mounted>> = layers.into_iter().map(Arc::new).collect();
        weights.mount(&layers, noise);
        (program, weights)
    }
}

impl Weights {
    /// Lets a chip compute these layers until they are [unmounted](Self::unmount); its operations have this noise, or none.
    pub fn mount(&mut self, layers: &[Arc<Mounted>], noise: Option<Noise>) {
        for layer in layers {
            let step = self.places[layer.parameter.0].step;
            self.steps[step].on_chip = Some(OnChip { layer: Arc::clone(layer), noise });
        }
    }

    /// Takes every layer off its chip.
    pub fn unmount(&mut self) {
        self.steps.iter_mut().for_each(|step| step.on_chip = None);
    }
}

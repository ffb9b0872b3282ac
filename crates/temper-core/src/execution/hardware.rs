//! Layers computed by a chip.

use std::ops::Range;

use temper_kernels::{activate, affine};

use super::program::{Program, StepOp};
use super::taps::Tap;
use super::weights::{StepWeights, Weights};
use crate::hardware::{HardwareScratch, Mounted, Noise, NoiseStream};
use crate::network::{Network, NodeId};

/// A layer of a program on a chip.
#[derive(Debug, Clone)]
pub(super) struct OnChip {
    layer: Mounted,
    noise: Option<Noise>,
}

impl OnChip {
    /// Computes the layer's step on a batch, whose images have these numbers; `read` gives its inputs.
    pub(super) fn run<'a>(
        &self,
        op: &StepOp,
        weights: &StepWeights,
        images: Range<u64>,
        read: &dyn Fn(usize) -> &'a [f32],
        output: &mut [f32],
        scratch: &mut HardwareScratch,
    ) {
        let (plane, residual, activation) = match *op {
            StepOp::Conv { ref shape, residual, activation } => {
                (shape.output().iter().product(), residual, activation)
            }
            StepOp::Linear { residual, activation } => (1, residual, activation),
            _ => unreachable!("only convolutions and linear layers lie on hardware"),
        };
        let count = (images.end - images.start) as usize;
        let stream = |noise: Noise| images.clone().map(move |image| noise.stream(self.layer.node, image));
        let mut streams: Vec<NoiseStream> = self.noise.into_iter().flat_map(stream).collect();
        self.layer.run(count, read(0), output, &mut streams, scratch);
        if let Some(bias) = &weights.bias {
            for (plane, bias) in output.chunks_exact_mut(plane).zip(bias.iter().cycle()) {
                for value in plane {
                    *value += bias;
                }
            }
        }
        if let Some(norm) = &weights.batch_norm {
            let sums = output.to_vec();
            affine(plane, &norm.scale, &norm.shift, &sums, output);
        }
        if residual {
            output.iter_mut().zip(read(1)).for_each(|(value, residual)| *value += residual);
        }
        activate(activation, output);
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
        for layer in layers {
            let path = format!("{}.weight", network.node(layer.node).name);
            let parameter = network.parameters().position(|(other, _)| other == path);
            let step = program.places[parameter.expect("a layer with weights")].step;
            weights.steps[step].on_chip = Some(OnChip { layer, noise });
        }
        (program, weights)
    }
}

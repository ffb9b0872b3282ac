//! The layers of a phase that lie on analog hardware.

use std::sync::{Arc, OnceLock};

use rand::Rng;
use rayon::prelude::*;
use temper_core::fault::{Fault, FaultError};
use temper_core::hardware::{
    Chip, ChipLayer, Hardware, HardwareError, HardwareScratch, Mounted, Noise, NoiseStream,
};
use temper_core::memory::Memory;
use temper_core::network::{Network, NodeId, ParameterKind};

use super::{Moment, StoredError};
use crate::differentiable::Replacement;
use crate::recipe::{FaultDraws, FaultGradient, PhaseSpec};
use crate::stream::stream;

/// The hardware of a phase.
pub(super) struct PhaseHardware {
    /// From which chips and noise follow.
    seed: u64,
    /// The seed of the chip, if the recipe gives it.
    chip: Option<u64>,
    hardware: Hardware,
    nodes: Vec<NodeId>,
    /// For each node, the places of its weights and of its biases among the parameters.
    places: Vec<(usize, Option<usize>)>,
    draws: FaultDraws,
    gradient: FaultGradient,
    /// The chip, where a phase has one only.
    drawn: OnceLock<Arc<Chip>>,
}

/// The hardware of one step.
pub(super) struct StepHardware {
    chip: Arc<Chip>,
    noise: Noise,
    /// The batch's images, as places in the training data.
    images: Vec<u64>,
}

impl PhaseHardware {
    /// # Errors
    /// When an entry chooses nothing, or what cannot lie on its device as it is stored.
    pub(super) fn new(
        seed: u64,
        network: &Network,
        memory: &Memory,
        phase: &PhaseSpec,
    ) -> Result<Self, StoredError> {
        let error = |(number, source): (usize, HardwareError)| StoredError::Hardware { number, source };
        let hardware = Hardware::new(network, &phase.hardware).map_err(error)?;
        hardware.check_storage(memory).map_err(error)?;
        let nodes = hardware.nodes();
        let place = |node: NodeId, kind: ParameterKind| {
            network.parameters().position(|(_, parameter)| parameter.node == node && parameter.kind == kind)
        };
        let both = |&node: &NodeId| {
            let weights = place(node, ParameterKind::Weight).expect("a layer on hardware has weights");
            (weights, place(node, ParameterKind::Bias))
        };
        let places = nodes.iter().map(both).collect();
        let (chip, draws, gradient) = (phase.chip, phase.fault_draws, phase.fault_gradient);
        let drawn = OnceLock::new();
        Ok(Self { seed, chip, hardware, nodes, places, draws, gradient, drawn })
    }

    /// Checks that faults leave what the devices hold; the error has the fault's number, from 0.
    pub(super) fn check_faults(&self, memory: &Memory, faults: &[Fault]) -> Result<(), (usize, FaultError)> {
        self.hardware.check_faults(memory, faults)
    }

    /// The layers.
    pub(super) fn nodes(&self) -> &[NodeId] {
        &self.nodes
    }

    /// The chip of a step.
    fn chip(&self, moment: Moment) -> Arc<Chip> {
        let draw = || Arc::new(self.draw(moment));
        match self.draws {
            FaultDraws::Phase => Arc::clone(self.drawn.get_or_init(draw)),
            FaultDraws::Epoch | FaultDraws::Batch => draw(),
        }
    }

    fn draw(&self, moment: Moment) -> Chip {
        let Moment { phase, epoch, batch } = self.draws.of(moment);
        let seed = match (self.chip, self.draws) {
            (Some(chip), FaultDraws::Phase) => chip,
            (chip, _) => {
                let words = [phase as u64, (epoch as u64) << 32 | batch as u64];
                stream(*b"chip\0\0\0\0", chip.unwrap_or(self.seed), words, 0).next_u64()
            }
        };
        self.hardware.draw(seed)
    }

    /// The hardware of a step on these images.
    pub(super) fn step(&self, moment: Moment, images: &[usize]) -> StepHardware {
        let images = images.iter().map(|&image| image as u64).collect();
        StepHardware { chip: self.chip(moment), noise: self.noise(moment, *b"noise\0\0\0"), images }
    }

    /// The layers as inference computes them, with the noise of that inference.
    pub(super) fn deployed(
        &self,
        memory: &Memory,
        values: &[Vec<f32>],
        moment: Moment,
    ) -> (Vec<Mounted>, Noise) {
        let chip = self.chip(moment);
        let mount = |(layer, (weights, _)): (&ChipLayer, &(usize, Option<usize>))| {
            Mounted::new(layer, memory, &values[*weights])
        };
        let mounted = chip.layers.iter().zip(&self.places).map(mount).collect();
        (mounted, self.noise(moment, *b"measure\0"))
    }

    fn noise(&self, moment: Moment, purpose: [u8; 8]) -> Noise {
        let words = [moment.phase as u64, (moment.epoch as u64) << 32 | moment.batch as u64];
        Noise(stream(purpose, self.chip.unwrap_or(self.seed), words, 0).next_u64())
    }

    /// What a layer's outputs become on the chip of a step: `memory` is as stored, `values` are the parameters computed with.
    ///
    /// **Shapes**: `inputs` `[images, …]`.
    pub(super) fn replace<'v>(
        &self,
        step: &StepHardware,
        node: NodeId,
        memory: &Memory,
        value: impl Fn(usize) -> &'v [f32],
        inputs: &[f32],
    ) -> Replacement {
        let place = self.nodes.iter().position(|own| *own == node).expect("a layer on hardware");
        let (weights, bias) = self.places[place];
        let mounted = Mounted::new(&step.chip.layers[place], memory, value(weights));
        let len: usize = memory.network().shape(node).iter().product();
        let count = step.images.len();
        let mut outputs = vec![0.0; count * len];
        let share = count.div_ceil(rayon::current_num_threads()).max(1);
        let per_image = inputs.len() / count;
        outputs.par_chunks_mut(share * len).enumerate().for_each(|(part, outputs)| {
            let images = &step.images[part * share..][..outputs.len() / len];
            let inputs = &inputs[part * share * per_image..][..images.len() * per_image];
            let stream = |&image: &u64| step.noise.stream(node, image);
            let mut streams: Vec<NoiseStream> = images.iter().map(stream).collect();
            mounted.run(images.len(), inputs, outputs, &mut streams, &mut HardwareScratch::default());
        });
        if let Some(bias) = bias.map(&value) {
            let plane = len / bias.len();
            for (outputs, bias) in outputs.chunks_exact_mut(plane).zip(bias.iter().cycle()) {
                for output in outputs {
                    *output += bias;
                }
            }
        }
        let through_device = self.gradient == FaultGradient::Faulty;
        Replacement { outputs, weights: through_device.then(|| mounted.seen_weights(value(weights))) }
    }
}

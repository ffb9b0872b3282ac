//! A phase's network as inference sees it.

use temper_core::data::Inputs;
use temper_core::execution::{Program, TapId, Weights, Workspace, logits_with};
use temper_core::fault::{Change, FaultSite, changes, strike, strike_activations};
use temper_core::hardware::{Mounted, Noise};
use temper_core::memory::Memory;
use temper_core::network::{Network, NodeId};

use crate::differentiable::Parameters;

/// A network on one chip, ready to run.
pub struct Deployed {
    memory: Memory,
    program: Program,
    weights: Weights,
    changes: Vec<Change>,
    /// The layers on hardware, and the noise of their operations.
    hardware: (Vec<Mounted>, Noise),
    /// The struck activations.
    sites: Vec<FaultSite>,
}

impl Deployed {
    /// The network that lies in `memory`, struck at `sites`; `hardware` puts the layers with these parameters on a chip.
    pub(super) fn new(
        memory: Memory,
        sites: Vec<FaultSite>,
        hardware: impl FnOnce(&Memory, &[Vec<f32>]) -> (Vec<Mounted>, Noise),
    ) -> Self {
        let changes = changes(&memory, &sites);
        let mut values = Parameters::of(memory.network()).values;
        for change in &changes {
            values[change.parameter.0][change.index] = change.value;
        }
        let hardware = hardware(&memory, &values);
        let (program, weights) = compile(&memory, &[], &changes, &hardware);
        let is_activation = |site: &FaultSite| memory.tensor(site.tensor).tap().is_some();
        let sites = sites.into_iter().filter(is_activation).collect();
        Self { memory, program, weights, changes, hardware, sites }
    }

    /// The network's outputs for all inputs, computed on the current rayon pool. Faults that are drawn anew for every inference are
    /// left out.
    ///
    /// **Shapes**: `[images, classes]`.
    pub fn logits(&self, inputs: &Inputs<'_>) -> Vec<f32> {
        let touch = |_: std::ops::Range<usize>, tap: TapId, values: &mut [f32]| self.touch(tap, values);
        logits_with(&self.program, &self.weights, inputs, &touch, &|_| {})
    }

    /// The share of exact zeros in the outputs of nodes, over the first `images` inputs.
    pub fn zero_shares(&self, inputs: &Inputs<'_>, images: usize, nodes: &[NodeId]) -> Vec<f64> {
        let (program, weights) = compile(&self.memory, nodes, &self.changes, &self.hardware);
        let mut workspace = Workspace::recording(&program);
        inputs.fill(0..images, workspace.input_mut(&program, images));
        program.run_with(&weights, &mut workspace, &mut |tap, values| self.touch(tap, values));
        let share = |node: &NodeId| {
            let values = workspace.activation(&program, *node).expect("observed nodes are kept");
            values.iter().filter(|value| **value == 0.0).count() as f64 / values.len().max(1) as f64
        };
        nodes.iter().map(share).collect()
    }

    /// Stores and strikes the activations of a batch at a tap.
    fn touch(&self, tap: TapId, values: &mut [f32]) {
        let id = self.memory.at_tap(tap);
        let tensor = self.memory.tensor(id);
        let sites: Vec<&FaultSite> = self.sites.iter().filter(|site| site.tensor == id).collect();
        for image in values.chunks_exact_mut(tensor.values()) {
            tensor.codec().store(image);
            strike_activations(&self.memory, id, &sites, image);
        }
    }

    /// The network as stored, without faults.
    pub fn network(&self) -> &Network {
        self.memory.network()
    }
}

/// The network that lies in `memory`, with changed parameters, and layers on hardware.
fn compile(
    memory: &Memory,
    observed: &[NodeId],
    changes: &[Change],
    (mounted, noise): &(Vec<Mounted>, Noise),
) -> (Program, Weights) {
    let (mounted, noise) = (mounted.clone(), Some(*noise));
    let (program, mut weights) =
        Program::compile_on_chip(memory.network(), observed, memory.taps(), mounted, noise);
    strike(changes, &mut weights);
    (program, weights)
}

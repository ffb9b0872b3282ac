//! The network as a phase stores and strikes it: what the forward pass computes with, in the code words of `temper-core`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use rand::Rng;
use temper_core::data::Inputs;
use temper_core::execution::{Program, Tap, TapId, Weights, Workspace, logits_with};
use temper_core::fault::{
    Change, Damage, Fault, FaultError, FaultSite, Lifetime, Number, changes, strike, strike_activations,
};
use temper_core::memory::{Layers, Memory, Part, StorageError, StorageSpec, TensorId};
use temper_core::network::{Network, NodeId};
use temper_core::number::{Codec, NumberFormat, RangeRule, Scheme};
use thiserror::Error;

use crate::differentiable::Parameters;
use crate::recipe::{ActivationRanges, FaultDraws, FaultGradient, PhaseSpec};
use crate::stream::stream;

/// Why a phase's storage or faults do not fit the network.
#[derive(Debug, Error)]
pub enum StoredError {
    /// An entry of the storage.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// An entry of the faults.
    #[error("fault {number}")]
    Fault {
        /// Which entry, from 1.
        number: usize,
        /// What is wrong with it.
        source: FaultError,
    },
}

/// A step's place in a training: what its random draws depend on, beside the seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Phase, from 0.
    pub phase: usize,
    /// Epoch of the phase, from 0.
    pub epoch: usize,
    /// Batch of the epoch, from 0.
    pub batch: usize,
}

/// How a phase stores and strikes the network.
pub struct Stored {
    seed: u64,
    memory: Memory,
    faults: Vec<Fault>,
    draws: FaultDraws,
    gradient: FaultGradient,
    /// Share of a new batch in the ranges of activations.
    momentum: f32,
    /// The range of each tap's values so far, if it has to be found.
    ranges: Vec<Option<(f32, f32)>>,
}

/// What the forward pass of one step computes with.
pub struct Held {
    /// The parameters that the backward pass goes through.
    pub values: Vec<Vec<f32>>,
    /// Those that the forward pass reads instead.
    pub hooked: BTreeMap<usize, Vec<f32>>,
    /// The memory as the parameters lie in it.
    memory: Mutex<Memory>,
    /// The struck activations: the same of all images, or those of each.
    sites: Vec<Vec<FaultSite>>,
}

impl Stored {
    /// How `phase` stores and strikes `network`; no range of an activation is known yet.
    ///
    /// # Errors
    /// When an entry chooses nothing or makes no sense.
    pub fn new(seed: u64, network: &Network, phase: &PhaseSpec) -> Result<Self, StoredError> {
        let storage: Vec<StorageSpec> =
            formats_of_faults(phase).chain(phase.storage.iter().cloned()).collect();
        let mut memory = Memory::new(network, &storage)?;
        let mut faults = Vec::new();
        for (i, spec) in phase.faults.iter().enumerate() {
            let error = |source: FaultError| StoredError::Fault { number: i + 1, source };
            memory.add_taps(spec.target, &spec.layers, spec.place).map_err(|source| error(source.into()))?;
        }
        for (i, spec) in phase.faults.iter().enumerate() {
            let fault = spec.resolve(&memory, Number::Specified);
            faults.push(fault.map_err(|source| StoredError::Fault { number: i + 1, source })?);
        }
        let ActivationRanges::MovingAverage { momentum } = phase.activation_ranges;
        let ranges = vec![None; memory.taps().len()];
        let (draws, gradient) = (phase.fault_draws, phase.fault_gradient);
        Ok(Self { seed, memory, faults, draws, gradient, momentum: momentum as f32, ranges })
    }

    /// Where activations are stored or struck.
    pub fn taps(&self) -> &[Tap] {
        self.memory.taps()
    }

    /// The ranges of activations found so far, by tap.
    pub fn ranges(&self) -> &[Option<(f32, f32)>] {
        &self.ranges
    }

    /// Takes ranges that were found before, as [`ranges`](Self::ranges) gave them; of another number of taps, none.
    pub fn set_ranges(&mut self, ranges: &[Option<(f32, f32)>]) {
        if ranges.len() == self.ranges.len() {
            self.ranges.copy_from_slice(ranges);
        }
    }

    /// The network with these parameters as it lies in memory, without faults.
    fn memory_of(&self, network: Network) -> Memory {
        let mut memory = self.memory.restored(network);
        for (tap, range) in self.ranges.iter().enumerate() {
            let id = memory.at_tap(TapId(tap));
            memory.set_range(id, range.unwrap_or((0.0, 0.0)));
        }
        memory
    }

    /// What the forward pass of a step computes with; `images` are the places of the batch's images in the training data.
    pub fn hold(&self, network: &Network, parameters: &Parameters, moment: Moment, images: &[usize]) -> Held {
        let memory = self.memory_of(parameters.clone().into_network(network.clone()));
        let mut stored = Parameters::of(memory.network()).values;
        let permanent = self.permanent(moment);
        let mut hooked = BTreeMap::new();
        for change in changes(&memory, &permanent) {
            let values = match self.gradient {
                FaultGradient::Faulty => &mut stored[change.parameter.0],
                FaultGradient::Clean => {
                    hooked.entry(change.parameter.0).or_insert_with(|| stored[change.parameter.0].clone())
                }
            };
            values[change.index] = change.value;
        }
        let sites = self.activation_sites(&permanent, moment, images);
        Held { values: stored, hooked, memory: Mutex::new(memory), sites }
    }

    /// The sites that stay for the whole step: those of the chip, and what is drawn anew in parameters, once a batch.
    fn permanent(&self, moment: Moment) -> Vec<FaultSite> {
        let (epoch, batch) = match self.draws {
            FaultDraws::Phase => (0, 0),
            FaultDraws::Epoch => (moment.epoch, 0),
            FaultDraws::Batch => (moment.epoch, moment.batch),
        };
        let chip = Moment { epoch, batch, ..moment };
        let mut sites = Vec::new();
        for (i, fault) in self.faults.iter().enumerate() {
            let lasts = fault.lifetime() == Lifetime::Permanent;
            let at = if lasts { chip } else { moment };
            let drawn = fault.draw(&mut stream_of(self.seed, at, i, None));
            let stays = |site: &FaultSite| lasts || self.memory.tensor(site.tensor).tap().is_none();
            sites.extend(drawn.into_iter().filter(stays));
        }
        sites
    }

    /// The struck activations of each image; one list for all images if nothing is drawn anew for each.
    fn activation_sites(
        &self,
        permanent: &[FaultSite],
        moment: Moment,
        images: &[usize],
    ) -> Vec<Vec<FaultSite>> {
        let is_activation = |site: &FaultSite| self.memory.tensor(site.tensor).tap().is_some();
        let lasting: Vec<FaultSite> = permanent.iter().copied().filter(is_activation).collect();
        let anew = |fault: &&(usize, &Fault)| {
            let strikes = |id: TensorId| self.memory.tensor(id).tap().is_some();
            fault.1.lifetime() != Lifetime::Permanent && fault.1.tensors().any(strikes)
        };
        let numbered: Vec<(usize, &Fault)> = self.faults.iter().enumerate().collect();
        let anew: Vec<&(usize, &Fault)> = numbered.iter().filter(anew).collect();
        if anew.is_empty() {
            return vec![lasting];
        }
        let of_image = |&image: &usize| {
            let mut sites = lasting.clone();
            for (number, fault) in &anew {
                sites.extend(fault.draw(&mut stream_of(self.seed, moment, *number, Some(image))));
            }
            sites
        };
        images.iter().map(of_image).collect()
    }

    /// What an activation tap does to a batch in training: its range follows, values become what their code words mean, faults strike.
    /// Returns the factors of gradients: zero where a value is beyond its range, and, where gradients go through faults, what these
    /// leave of a small change.
    ///
    /// **Shapes**: values `[images, …shape]`.
    pub fn touch(
        &self,
        held: &Held,
        tap: usize,
        values: &mut [f32],
    ) -> (Option<(f32, f32)>, Option<Vec<f32>>) {
        let mut memory = held.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let id = memory.at_tap(TapId(tap));
        let format = memory.tensor(id).format;
        let found = format.needs_range().then(|| self.follow(tap, values));
        if let Some(range) = found {
            memory.set_range(id, range);
        }
        let tensor = memory.tensor(id);
        let len = tensor.values();
        let mut factors =
            if format == NumberFormat::F32 { None } else { Some(Vec::with_capacity(values.len())) };
        for image in values.chunks_exact_mut(len) {
            let before = factors.as_ref().map(|_| image.to_vec());
            tensor.codec().store(image);
            if let (Some(factors), Some(before)) = (&mut factors, before) {
                factors.extend(straight_through(tensor.codec(), &before, image));
            }
        }
        let strikes = held.sites.iter().any(|sites| sites.iter().any(|site| site.tensor == id));
        if strikes {
            let faulty = self.gradient == FaultGradient::Faulty;
            let factors =
                if faulty { Some(factors.get_or_insert_with(|| vec![1.0; values.len()])) } else { None };
            strike_images(&memory, id, &held.sites, values, factors);
        }
        (found, factors)
    }

    /// The range of a tap once it has seen a batch.
    fn follow(&self, tap: usize, values: &[f32]) -> (f32, f32) {
        let finite = values.iter().copied().filter(|value| value.is_finite());
        let (low, high) = finite.fold((0.0f32, 0.0f32), |(low, high), x| (low.min(x), high.max(x)));
        let Some((old_low, old_high)) = self.ranges[tap] else { return (low, high) };
        let follow = |old: f32, new: f32| old + (new - old) * self.momentum;
        (follow(old_low, low), follow(old_high, high))
    }

    /// Keeps the ranges that a step has found, by tap.
    pub fn keep_ranges(&mut self, found: &[Option<(f32, f32)>]) {
        for (range, found) in self.ranges.iter_mut().zip(found) {
            *range = found.or(*range);
        }
    }

    /// The network as this phase's chip holds it, ready to run without training: the chip of `moment`.
    pub fn chip(&self, network: Network, moment: Moment) -> Chip {
        let memory = self.memory_of(network);
        let permanent = self.permanent(moment);
        let (program, mut weights) = Program::compile(memory.network(), &[], memory.taps());
        let changes = changes(&memory, &permanent);
        strike(&changes, &mut weights);
        let is_activation = |site: &FaultSite| memory.tensor(site.tensor).tap().is_some();
        let sites = permanent.into_iter().filter(is_activation).collect();
        Chip { memory, program, weights, changes, sites }
    }

    /// The storage of this phase with the ranges that training has found, as a campaign takes it.
    pub fn storage(&self, phase: &PhaseSpec) -> Vec<StorageSpec> {
        let given = formats_of_faults(phase).chain(phase.storage.iter().cloned());
        let mut storage: Vec<StorageSpec> = given.collect();
        for (tap, range) in self.ranges.iter().enumerate() {
            let tensor = self.memory.tensor(self.memory.at_tap(TapId(tap)));
            let Some((low, high)) = range.filter(|(low, high)| low < high) else { continue };
            let symmetric = match tensor.quantisation().scheme {
                Some(scheme) => scheme == Scheme::Symmetric,
                None => !matches!(tensor.format, NumberFormat::Uint(_)),
            };
            let range = if symmetric {
                RangeRule::Given(f64::from(high.max(-low)))
            } else {
                RangeRule::Interval { low: low.into(), high: high.into() }
            };
            let layers = Layers::One(format!("name:{}", tensor.layer));
            let spec = StorageSpec::new(tensor.class.into(), layers, tensor.place, tensor.format);
            storage.push(StorageSpec { scheme: tensor.quantisation().scheme, range: Some(range), ..spec });
        }
        storage
    }
}

/// What the formats of a phase's faults say of storage.
fn formats_of_faults(phase: &PhaseSpec) -> impl Iterator<Item = StorageSpec> {
    phase.faults.iter().filter_map(|fault| {
        let format = fault.format?;
        Some(StorageSpec::new(fault.target.class.into(), fault.layers.clone(), fault.place, format))
    })
}

impl Held {
    /// The gradients of the parameters behind the stored ones: straight through, but zero where a value lies beyond what its format
    /// can hold (of binary weights: beyond ±1; Hubara et al., "Binarized neural networks", NIPS 2016, eq. 4).
    pub fn pass_back(&self, parameters: &[Vec<f32>], gradients: &mut [Option<Vec<f32>>]) {
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let tensors = memory.tensors().iter().filter(|tensor| tensor.format != NumberFormat::F32);
        for tensor in tensors {
            let Some(parameter) = tensor.parameter() else { continue };
            let Some(gradient) = gradients[parameter.0].as_mut() else { continue };
            let values = &parameters[parameter.0];
            let mut stored = values.clone();
            tensor.codec().store(&mut stored);
            let factors = straight_through(tensor.codec(), values, &stored);
            for (gradient, factor) in gradient.iter_mut().zip(factors) {
                *gradient *= factor;
            }
        }
    }
}

/// One where a value passes its gradient on, zero where it lies beyond the codes.
fn straight_through<'a>(
    codec: &'a Codec,
    values: &'a [f32],
    stored: &'a [f32],
) -> impl Iterator<Item = f32> + use<'a> {
    let binary = codec.format() == NumberFormat::Binary;
    // A value that is rounded moves by half a step at most; what is clipped moves further.
    let step = |index: usize| match codec.grids() {
        [] => f32::INFINITY,
        grids => grids[codec.channel_of(index)].scale,
    };
    values.iter().zip(stored).enumerate().map(move |(index, (value, stored))| {
        let passes =
            if binary { value.abs() <= 1.0 } else { (stored - value).abs() <= 0.500_01 * step(index) };
        f32::from(u8::from(passes))
    })
}

/// Strikes a batch at a tap: `sites` are the same of all images, or those of each. `factors`, if gradients go through faults, become
/// what is left of a small change of each value.
fn strike_images(
    memory: &Memory,
    id: TensorId,
    sites: &[Vec<FaultSite>],
    values: &mut [f32],
    mut factors: Option<&mut Vec<f32>>,
) {
    let len = memory.tensor(id).values();
    for (number, (image, sites)) in values.chunks_exact_mut(len).zip(sites.iter().cycle()).enumerate() {
        let own: Vec<&FaultSite> = sites.iter().filter(|site| site.tensor == id).collect();
        strike_activations(memory, id, &own, image);
        let Some(factors) = factors.as_deref_mut() else { continue };
        for site in own.iter().filter(|site| site.part == Part::Values) {
            let left = match site.damage {
                Damage::Add(_) => 1.0,
                Damage::Scale(factor) => factor,
                Damage::Negate => -1.0,
                Damage::Flip(_) | Damage::StuckAt0(_) | Damage::StuckAt1(_) | Damage::Set(_) => 0.0,
            };
            for i in 0..site.count {
                factors[number * len + site.start + i * site.step] *= left;
            }
        }
    }
}

/// A network on one chip, ready to run.
pub struct Chip {
    memory: Memory,
    program: Program,
    weights: Weights,
    changes: Vec<Change>,
    /// The struck activations.
    sites: Vec<FaultSite>,
}

impl Chip {
    /// The network's outputs for all inputs, computed on the current rayon pool. Faults that are drawn anew for every inference are
    /// left out.
    ///
    /// **Shapes**: `[images, classes]`.
    pub fn logits(&self, inputs: &Inputs<'_>) -> Vec<f32> {
        let touch = |_: Range<usize>, tap: TapId, values: &mut [f32]| self.touch(tap, values);
        logits_with(&self.program, &self.weights, inputs, &touch, &|_| {})
    }

    /// The share of exact zeros in the outputs of nodes, over the first `images` inputs.
    pub fn zero_shares(&self, inputs: &Inputs<'_>, images: usize, nodes: &[NodeId]) -> Vec<f64> {
        let (program, mut weights) = Program::compile(self.memory.network(), nodes, self.memory.taps());
        strike(&self.changes, &mut weights);
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

/// The random stream of a fault's draw: a pure function of the seed and of what is drawn.
fn stream_of(seed: u64, at: Moment, fault: usize, image: Option<usize>) -> impl Rng + use<> {
    let words = [(at.phase as u64) << 32 | fault as u64, (at.epoch as u64) << 32 | at.batch as u64];
    stream(*b"fault\0\0\0", seed, words, image.map_or(0, |image| image as u64 + 1))
}

//! The network as a phase stores and strikes it: what the forward pass computes with, in the code words of `temper-core`.

mod deployed;
mod hardware;
mod ranges;
mod touch;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::tensor::Tensor;
use rand::Rng;
use temper_core::data::Inputs;
use temper_core::execution::{Program, Tap, TapId, Workspace};
use temper_core::fault::{Fault, FaultError, FaultSite, Lifetime, Number, changes};
use temper_core::hardware::HardwareError;
use temper_core::memory::{Class, Layers, Memory, StorageError, StorageSpec, StoredTensor, TensorId};
use temper_core::network::{Network, NodeId};
use temper_core::number::{NumberFormat, RangeRule, Scheme};
use thiserror::Error;

use crate::differentiable::{Differentiable, Forward, Parameters, Pass, Replacement, Statistics};
use crate::recipe::{FaultDraws, FaultGradient, PhaseSpec};
use crate::stream::stream;
pub use deployed::Deployed;
use hardware::{PhaseHardware, StepHardware};
use ranges::{Range, Ranges, StepOf};
use touch::straight_through;

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
    /// An entry of the hardware.
    #[error("hardware {number}")]
    Hardware {
        /// Which entry, from 1.
        number: usize,
        /// What is wrong with it.
        source: HardwareError,
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
    ranges: Ranges,
    hardware: PhaseHardware,
}

/// What the forward pass of one step computes with.
pub struct Held {
    /// The parameters that the backward pass goes through.
    pub values: Vec<Vec<f32>>,
    /// Those that the forward pass reads instead.
    pub hooked: BTreeMap<usize, Vec<f32>>,
    buffers: Mutex<Buffers>,
    /// The struck activations: the same of all images, or those of each.
    sites: Vec<Vec<FaultSite>>,
    hardware: StepHardware,
}

/// What a step stores, and the ranges that it has found for activations, by tap.
struct Buffers {
    memory: Memory,
    found: Vec<Option<Range>>,
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
        let ranges = Ranges::new(phase.activation_ranges, memory.taps().len());
        let (draws, gradient) = (phase.fault_draws, phase.fault_gradient);
        let hardware = PhaseHardware::new(seed, network, &memory, phase)?;
        let off_device = hardware.check_faults(&memory, &faults);
        off_device.map_err(|(number, source)| StoredError::Fault { number: number + 1, source })?;
        Ok(Self { seed, memory, faults, draws, gradient, ranges, hardware })
    }

    /// Where activations are stored or struck.
    pub fn taps(&self) -> &[Tap] {
        self.memory.taps()
    }

    /// The ranges of activations found so far, by tap.
    pub fn ranges(&self) -> &[Option<(f32, f32)>] {
        self.ranges.found()
    }

    /// Takes ranges that were found before, as [`ranges`](Self::ranges) gave them; `false`, and nothing is changed, if they cannot be
    /// this network's: of another number of taps, or with a NaN, an infinity or exchanged ends.
    #[must_use]
    pub fn set_ranges(&mut self, ranges: &[Option<(f32, f32)>]) -> bool {
        let is_range = |(low, high): &(f32, f32)| low.is_finite() && high.is_finite() && low <= high;
        let found = self.ranges.found_mut();
        let sound = ranges.len() == found.len() && ranges.iter().flatten().all(is_range);
        if sound {
            found.copy_from_slice(ranges);
        }
        sound
    }

    /// The taps whose grids have a step that trains.
    pub fn learned_taps(&self) -> Vec<usize> {
        let learns = |&tap: &usize| self.learns(self.memory.tensor(self.memory.at_tap(TapId(tap))));
        (0..self.taps().len()).filter(learns).collect()
    }

    fn learns(&self, tensor: &StoredTensor) -> bool {
        self.ranges.are_learned() && has_free_range(tensor)
    }

    /// The step of a tap's grid.
    ///
    /// # Panics
    /// When it has no range yet.
    pub fn step_size(&self, tap: usize) -> f32 {
        let range = self.ranges()[tap].expect("a tap that has seen a batch has a range");
        step_of(&self.memory, tap).size(range)
    }

    /// Changes the step of a tap's grid, by a factor of two at most; no number is ignored.
    ///
    /// # Panics
    /// When it has no range yet.
    pub fn set_step_size(&mut self, tap: usize, size: f32) {
        let range = self.ranges()[tap].expect("a tap that has seen a batch has a range");
        self.ranges.found_mut()[tap] = Some(step_of(&self.memory, tap).moved(range, size));
    }

    /// The network with these parameters as it lies in memory, without faults.
    fn memory_of(&self, network: Network) -> Memory {
        let mut memory = self.memory.restored(network);
        for (tap, range) in self.ranges().iter().enumerate() {
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
        let buffers = Mutex::new(Buffers { memory, found: vec![None; self.taps().len()] });
        Held { values: stored, hooked, buffers, sites, hardware: self.hardware.step(moment, images) }
    }

    /// The sites that stay for the whole step: those of the chip, and what is drawn anew in parameters, once a batch.
    fn permanent(&self, moment: Moment) -> Vec<FaultSite> {
        let chip = self.draws.of(moment);
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

    /// Keeps the ranges that a step has found.
    pub fn keep_ranges(&mut self, held: Held) {
        let found = held.buffers.into_inner().unwrap_or_else(PoisonError::into_inner).found;
        for (range, found) in self.ranges.found_mut().iter_mut().zip(found) {
            *range = found.or(*range);
        }
    }

    /// The network as this phase's chip holds it, ready to run without training: the chip of `moment`.
    pub fn deployed(&self, network: Network, moment: Moment) -> Deployed {
        let hardware = |memory: &Memory, values: &[Vec<f32>]| self.hardware.deployed(memory, values, moment);
        Deployed::new(self.memory_of(network), self.permanent(moment), hardware)
    }

    /// Runs a step's batch forwards, as stored, struck, and on hardware. `wanted` says which parameters get gradients.
    ///
    /// **Shapes**: `input` `[images, …input shape]`.
    pub fn forward(
        &self,
        function: &Differentiable,
        held: &Held,
        wanted: &[bool],
        input: &Tensor<2>,
        statistics: Statistics,
        observed: &[NodeId],
    ) -> Forward {
        let pass = Pass {
            statistics,
            hooked: &held.hooked,
            replaced: self.hardware.nodes(),
            replace: &|node, inputs| self.replace(held, node, inputs),
            taps: self.taps(),
            touch: &|tap, values, tracked| self.touch(held, tap, values, tracked),
            observed,
        };
        function.forward(&held.values, wanted, input, &pass)
    }

    /// What hardware makes of a layer's inputs in a step.
    fn replace(&self, held: &Held, node: NodeId, inputs: &[f32]) -> Replacement {
        let value = |place: usize| held.hooked.get(&place).unwrap_or(&held.values[place]).as_slice();
        self.hardware.replace(&held.hardware, node, &held.buffers().memory, value, inputs)
    }

    /// Finds the ranges that are not known yet from the first `images` of `inputs`, each with those before it in place.
    ///
    /// # Panics
    /// When there are fewer inputs.
    pub fn calibrate(&mut self, network: Network, inputs: &Inputs<'_>, images: usize) {
        let mut memory = self.memory_of(network);
        let (program, weights) = Program::compile(memory.network(), &[], memory.taps());
        let mut workspace = Workspace::new(&program);
        inputs.fill(0..images, workspace.input_mut(&program, images));
        program.run_with(&weights, &mut workspace, &mut |TapId(tap), values| {
            let id = memory.at_tap(TapId(tap));
            if memory.tensor(id).format.needs_range() && self.ranges.found()[tap].is_none() {
                let range = self.ranges.of_batch(tap, &step_of(&memory, tap), values);
                memory.set_range(id, range);
                self.ranges.found_mut()[tap] = Some(range);
            }
            for image in values.chunks_exact_mut(memory.tensor(id).values()) {
                memory.tensor(id).codec().store(image);
            }
        });
    }

    /// The storage of this phase with the ranges that training has found, as a campaign takes it.
    pub fn storage(&self, phase: &PhaseSpec) -> Vec<StorageSpec> {
        let given = formats_of_faults(phase).chain(phase.storage.iter().cloned());
        let mut storage: Vec<StorageSpec> = given.collect();
        for (tap, range) in self.ranges().iter().enumerate() {
            let tensor = self.memory.tensor(self.memory.at_tap(TapId(tap)));
            let Some((low, high)) = range.filter(|(low, high)| low < high && has_free_range(tensor)) else {
                continue;
            };
            let symmetric = match tensor.quantisation().scheme {
                Some(scheme) => scheme == Scheme::Symmetric,
                None => !matches!(tensor.format, NumberFormat::Uint(_)),
            };
            let range = if symmetric {
                RangeRule::Given(f64::from(high.max(-low)))
            } else {
                RangeRule::Interval { low: low.into(), high: high.into() }
            };
            // The network's only input goes without a name.
            let layers = match tensor.class {
                Class::Input => Layers::default(),
                _ => Layers::One(format!("name:{}", tensor.layer)),
            };
            let spec = StorageSpec::new(tensor.class.into(), layers, tensor.place, tensor.format);
            storage.push(StorageSpec { scheme: tensor.quantisation().scheme, range: Some(range), ..spec });
        }
        storage
    }
}

/// The grid of a tap, as its step trains.
fn step_of(memory: &Memory, tap: usize) -> StepOf<'_> {
    let tensor = memory.tensor(memory.at_tap(TapId(tap)));
    StepOf { format: tensor.format, quantisation: tensor.quantisation() }
}

/// Whether an activation's range has to be found, because its storage does not give it.
fn has_free_range(tensor: &StoredTensor) -> bool {
    let is_given =
        matches!(tensor.quantisation().range, Some(RangeRule::Given(_) | RangeRule::Interval { .. }));
    tensor.format.needs_range() && !is_given
}

/// What the formats of a phase's faults say of storage.
fn formats_of_faults(phase: &PhaseSpec) -> impl Iterator<Item = StorageSpec> {
    phase.faults.iter().filter_map(|fault| {
        let format = fault.format?;
        Some(StorageSpec::new(fault.target.class.into(), fault.layers.clone(), fault.place, format))
    })
}

impl Held {
    fn buffers(&self) -> MutexGuard<'_, Buffers> {
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The gradients of the parameters behind the stored ones: straight through, but zero where a value lies beyond what its format
    /// can hold (of binary weights: beyond ±1; Hubara et al., "Binarized neural networks", NIPS 2016, eq. 4).
    pub fn pass_back(&self, parameters: &[Vec<f32>], gradients: &mut [Option<Vec<f32>>]) {
        let buffers = self.buffers();
        let memory = &buffers.memory;
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

/// The random stream of a fault's draw: a pure function of the seed and of what is drawn.
fn stream_of(seed: u64, at: Moment, fault: usize, image: Option<usize>) -> impl Rng + use<> {
    let words = [(at.phase as u64) << 32 | fault as u64, (at.epoch as u64) << 32 | at.batch as u64];
    stream(*b"fault\0\0\0", seed, words, image.map_or(0, |image| image as u64 + 1))
}

//! From the combinations of a sweep to stored networks, faults and the conditions of a plan.

use super::arithmetic::{Arithmetic, Unfit, check_integer};
use super::chip::check_chips;
use super::combination::{BIT, Combination};
use super::error::CampaignError;
use super::plan::Condition;
use super::resolved::{Chosen, Resolved, Struck};
use super::spec::{CampaignSpec, Entry, SpecError, storage_with};
use super::sweep::{SweptValue, label};
use super::trials::Sampling;
use crate::fault::{FaultError, FaultSpec, Number, check_list, condition_stream, resolve_list, tap_list};
use crate::hardware::{Hardware, HardwareError};
use crate::memory::{Memory, StorageError, StorageSpec};
use crate::network::{Network, NodeId};

/// Resolves conditions.
pub(super) struct Resolver<'a> {
    pub(super) spec: &'a CampaignSpec,
    pub(super) network: &'a Network,
    /// Number of images that every trial runs.
    pub(super) images: usize,
}

/// What conditions are made of.
#[derive(Default)]
pub(super) struct Conditions {
    /// Each way to store the network, with the taps of all conditions that store it so.
    pub(super) memories: Vec<Memory>,
    pub(super) resolved: Vec<Resolved>,
    pub(super) planned: Vec<Condition>,
}

impl Resolver<'_> {
    /// The memory in which a combination stores the network.
    fn memory(&self, combination: &Combination) -> Result<Memory, CampaignError> {
        let (entries, storage): (Vec<Entry>, Vec<StorageSpec>) =
            storage_with(&combination.storage, &combination.faults).into_iter().unzip();
        let error = |StorageError { number, source }: StorageError| match entries[number - 1] {
            Entry::Storage(number) => {
                CampaignError::Storage { number, condition: label(&combination.swept), source }
            }
            Entry::Fault(number) => fault_error(number, combination, source.into()),
        };
        let mut memory = Memory::new(self.network, &storage).map_err(error)?;
        tap(combination, &mut memory)?;
        Ok(memory)
    }

    /// The values of an axis that goes through each layer or bit.
    pub(super) fn each(
        &self,
        axis: &str,
        combination: &Combination,
    ) -> Result<Vec<SweptValue>, CampaignError> {
        if let Some(place) = combination.hardware_of(axis) {
            let hardware = Hardware::new(self.network, &combination.hardware[place..=place])
                .map_err(|(_, source)| hardware_error(place + 1, combination, source))?;
            let name = |node: NodeId| SweptValue::Text(self.network.node(node).name.clone());
            return Ok(hardware.nodes().into_iter().map(name).collect());
        }
        let memory = self.memory(combination)?;
        let mut values: Vec<SweptValue> = Vec::new();
        for (i, fault) in combination.faults.iter().enumerate().filter(|(_, fault)| !fault.is_listed()) {
            let error = |source| fault_error(i + 1, combination, source);
            let tensors = memory
                .select(fault.target, &fault.layers, fault.place)
                .map_err(|source| error(source.into()))?;
            for tensor in tensors.into_iter().map(|id| memory.tensor(id)) {
                let found = if axis == BIT {
                    let bits = fault.bits_in(tensor).map_err(error)?;
                    bits.into_iter().map(|bit| SweptValue::Integer(bit.into())).collect()
                } else {
                    vec![SweptValue::Text(tensor.layer.clone())]
                };
                for value in found {
                    if !values.contains(&value) {
                        values.push(value);
                    }
                }
            }
        }
        Ok(values)
    }

    /// All conditions.
    pub(super) fn conditions(&self, combinations: &[Combination]) -> Result<Conditions, CampaignError> {
        let mut found = Conditions::default();
        let mut known = Vec::new();
        let mut variants = Vec::with_capacity(combinations.len());
        for combination in combinations {
            let variant = self.variant(combination, &mut known, &mut found.memories)?;
            tap(combination, &mut found.memories[variant])?;
            variants.push(variant);
        }
        for (id, (combination, variant)) in combinations.iter().zip(variants).enumerate() {
            let faults = self.faults(combination, &found.memories[variant])?;
            self.check_arithmetic(combination, &found.memories[variant], &faults)?;
            let hardware = self.hardware(combination, &found.memories[variant], &faults)?;
            let drawn = faults.iter().filter_map(|fault| match fault {
                Struck::Drawn(fault) => Some(fault.sites()),
                Struck::Listed(_) => None,
            });
            let sites = drawn.sum();
            let draws = self.spec.trials.draws(sites);
            for (i, fault) in faults.iter().enumerate() {
                if let Struck::Listed(listed) = fault {
                    check_list(listed, draws, self.images as u64)
                        .map_err(|source| CampaignError::List { number: i + 1, source })?;
                }
            }
            let chosen = self.chosen(id, sites, draws);
            found.resolved.push(Resolved { variant, faults, chosen, hardware });
            found.planned.push(Condition { id, swept: combination.swept.clone(), sites, draws });
        }
        let draws = |sum: u64, condition: &Condition| sum.checked_add(condition.draws);
        if found.planned.iter().try_fold(0, draws).is_none() {
            let reason = "more trials than can be numbered";
            return Err(SpecError::value(&["trials"], reason).into());
        }
        Ok(found)
    }

    fn check_arithmetic(
        &self,
        combination: &Combination,
        memory: &Memory,
        faults: &[Struck],
    ) -> Result<(), CampaignError> {
        if self.spec.arithmetic == Arithmetic::Float {
            return Ok(());
        }
        check_integer(memory, faults).map_err(|unfit| match unfit {
            Unfit::Storage(source) => CampaignError::Integer { condition: label(&combination.swept), source },
            Unfit::Fault(fault, source) => fault_error(fault + 1, combination, source),
        })
    }

    /// The hardware of a combination, on which the network as stored and struck can lie.
    fn hardware(
        &self,
        combination: &Combination,
        memory: &Memory,
        faults: &[Struck],
    ) -> Result<Hardware, CampaignError> {
        let hardware = Hardware::new(self.network, &combination.hardware)
            .and_then(|hardware| hardware.check_storage(memory).map(|()| hardware))
            .map_err(|(number, source)| hardware_error(number, combination, source))?;
        check_chips(memory, &hardware, faults)
            .map_err(|(fault, source)| fault_error(fault + 1, combination, source))?;
        Ok(hardware)
    }

    /// The number of the memory in which a combination stores the network, which is added if there is none like it. `known` are the
    /// entries that were met, each with its memory: different entries may mean the same.
    fn variant(
        &self,
        combination: &Combination,
        known: &mut Vec<(Vec<StorageSpec>, usize)>,
        memories: &mut Vec<Memory>,
    ) -> Result<usize, CampaignError> {
        let storage: Vec<StorageSpec> = storage_with(&combination.storage, &combination.faults)
            .into_iter()
            .map(|(_, spec)| spec)
            .collect();
        if let Some((_, variant)) = known.iter().find(|(entries, _)| *entries == storage) {
            return Ok(*variant);
        }
        let memory = self.memory(combination)?;
        let variant = memories.iter().position(|known| known.stores_like(&memory)).unwrap_or(memories.len());
        if variant == memories.len() {
            memories.push(memory);
        }
        known.push((storage, variant));
        Ok(variant)
    }

    /// The sites that the draws of a condition strike, where the plan chooses them.
    fn chosen(&self, condition: usize, sites: u64, draws: u64) -> Option<Chosen> {
        match self.spec.trials.sampling() {
            Sampling::Independent => None,
            Sampling::Exhaustive => Some(Chosen::InOrder),
            Sampling::Distinct => {
                let mut stream = condition_stream(self.spec.seed, condition as u64);
                let chosen = rand::seq::index::sample(&mut stream, sites as usize, draws as usize);
                Some(Chosen::These(chosen.into_iter().map(|site| site as u64).collect()))
            }
        }
    }

    fn faults(&self, combination: &Combination, memory: &Memory) -> Result<Vec<Struck>, CampaignError> {
        let number = match self.spec.trials.sampling() {
            Sampling::Independent => Number::Specified,
            Sampling::Distinct | Sampling::Exhaustive => Number::One,
        };
        if number == Number::One && (combination.faults.len() != 1 || combination.faults[0].is_listed()) {
            let reason = "a statistical or exhaustive campaign strikes one site a trial: expected one [[fault]] that is drawn";
            return Err(SpecError::value(&["trials"], reason).into());
        }
        let resolve = |(i, fault): (usize, &FaultSpec)| match &fault.listed {
            Some(list) => resolve_list(list, memory)
                .map(Struck::Listed)
                .map_err(|source| CampaignError::List { number: i + 1, source }),
            None => fault
                .resolve(memory, number)
                .map(Struck::Drawn)
                .map_err(|source| fault_error(i + 1, combination, source)),
        };
        combination.faults.iter().enumerate().map(resolve).collect()
    }
}

/// Gives taps to the activations that a combination's faults strike.
fn tap(combination: &Combination, memory: &mut Memory) -> Result<(), CampaignError> {
    for (i, fault) in combination.faults.iter().enumerate() {
        match &fault.listed {
            Some(list) => {
                tap_list(list, memory).map_err(|source| CampaignError::List { number: i + 1, source })?;
            }
            None => memory
                .add_taps(fault.target, &fault.layers, fault.place)
                .map_err(|source| fault_error(i + 1, combination, source.into()))?,
        }
    }
    Ok(())
}

fn fault_error(number: usize, combination: &Combination, source: FaultError) -> CampaignError {
    CampaignError::Fault { number, condition: label(&combination.swept), source }
}

fn hardware_error(number: usize, combination: &Combination, source: HardwareError) -> CampaignError {
    CampaignError::Hardware { number, condition: label(&combination.swept), source }
}

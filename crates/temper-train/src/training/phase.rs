//! The state of one phase.

use super::error::TrainError;
use super::prepared::Prepared;
use crate::batches::{Batches, epoch_order};
use crate::differentiable::Parameters;
use crate::optimizer::Optimizer;
use crate::recipe::PhaseSpec;
use crate::schedule::Schedule;
use crate::stored::Stored;
use crate::stream::EpochSeed;
use temper_core::memory::StorageSpec;
use temper_core::network::NodeId;

/// A phase on its way.
pub(super) struct Phase {
    /// From 0.
    pub(super) number: usize,
    batches: Batches,
    /// Which parameters train.
    pub(super) trained: Vec<bool>,
    /// Their places.
    pub(super) places: Vec<usize>,
    /// In the order of the places; behind them the learned steps of taps.
    pub(super) optimizer: Optimizer,
    pub(super) schedule: Schedule,
    pub(super) stored: Stored,
    /// Nodes whose outputs are kept small, with the factors of their sums.
    pub(super) regularised: Vec<(NodeId, f32)>,
}

impl Phase {
    /// Phase `number`, from 0, before its first step.
    pub(super) fn new(prepared: &Prepared, number: usize) -> Result<Self, TrainError> {
        let spec = &prepared.recipe.phases[number];
        let trained = prepared.trained(spec, number + 1)?;
        let places: Vec<usize> = (0..trained.len()).filter(|&place| trained[place]).collect();
        let sizes = Parameters::of(&prepared.network).sizes();
        let stored = Stored::new(prepared.recipe.seed, &prepared.network, spec)
            .map_err(|source| TrainError::Stored { number: number + 1, source })?;
        let sizes = places.iter().map(|&place| sizes[place]);
        let sizes: Vec<usize> = sizes.chain(stored.learned_taps().into_iter().map(|_| 1)).collect();
        let batches = prepared.batches(spec).expect("checked when the recipe was prepared");
        let per_epoch = batches.per_epoch();
        Ok(Self {
            number,
            batches,
            regularised: prepared.regularised(spec, number + 1)?,
            optimizer: Optimizer::new(&spec.optimizer, &sizes),
            schedule: Schedule::new(&spec.schedule, spec.optimizer.lr(), spec.epochs, per_epoch),
            trained,
            places,
            stored,
        })
    }

    /// The images of each batch of an epoch, as places in the training data.
    pub(super) fn batches(&self, prepared: &Prepared, epoch: usize) -> Vec<Vec<usize>> {
        let at = EpochSeed { seed: prepared.recipe.seed, phase: self.number, epoch };
        let order = epoch_order(prepared.train.len(), at);
        self.batches.of(&order).map(<[usize]>::to_vec).collect()
    }

    /// The learning rate of a step.
    pub(super) fn lr(&self, epoch: usize, batch: usize) -> f64 {
        self.schedule.lr(epoch, batch)
    }

    /// Tells the schedule how an epoch ended.
    pub(super) fn after_epoch(&mut self, epoch: usize, metric: f64) {
        self.schedule.after_epoch(epoch, metric);
    }

    /// The storage of the phase with the ranges found.
    pub(super) fn storage(&self, spec: &PhaseSpec) -> Vec<StorageSpec> {
        self.stored.storage(spec)
    }
}

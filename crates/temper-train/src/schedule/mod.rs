//! Learning-rate schedules with PyTorch's semantics and defaults.
//!
//! Rates are computed from the epoch and the batch alone, in closed form, so that a resumed run needs no history; only
//! `reduce-on-plateau` remembers something, its [`ScheduleState`]. PyTorch multiplies from epoch to epoch instead; its rates agree
//! to 12 digits.

mod kind;
mod one_cycle;
mod plateau;

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

pub use self::kind::ScheduleKind;
pub use self::one_cycle::{AnnealStrategy, OneCycleSpec};
pub use self::plateau::{PlateauMode, PlateauSpec, ScheduleState, ThresholdMode};

use crate::field::{FieldError, not_negative, require};
use crate::optimizer::OptimizerSpec;

/// A schedule as written by the user: `kind` and its fields, and a linear warm-up in front of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScheduleSpec {
    /// Epochs of linear warm-up before the schedule begins, fewer than the phase has; default 0. In epoch e of W the learning rate
    /// is that of the optimiser times `f + (1 − f)·e/W`, where f is `warmup_start_factor` (Goyal et al., 2017, §2.2; PyTorch:
    /// `LinearLR`, then the schedule, in a `SequentialLR`).
    #[serde(default)]
    pub warmup_epochs: usize,
    /// Factor of the learning rate in the first epoch of the warm-up, above 0 and at most 1; default 1/3.
    #[serde(default = "third")]
    pub warmup_start_factor: f64,
    /// The schedule.
    #[serde(flatten)]
    pub kind: ScheduleKind,
}

impl Default for ScheduleSpec {
    /// The optimiser's learning rate throughout.
    fn default() -> Self {
        Self { warmup_epochs: 0, warmup_start_factor: third(), kind: ScheduleKind::Constant {} }
    }
}

const fn third() -> f64 {
    1.0 / 3.0
}

impl ScheduleSpec {
    /// Checks the settings by themselves, against the number of `epochs` of the phase, and against its optimiser.
    ///
    /// # Errors
    /// When a field is out of its range, or the optimiser has no momentum that the schedule could move.
    pub fn check(&self, epochs: usize, optimizer: &OptimizerSpec) -> Result<(), FieldError> {
        let warmup = self.warmup_epochs;
        let factor = self.warmup_start_factor;
        require(
            factor > 0.0 && factor <= 1.0,
            "warmup_start_factor",
            factor,
            "a number above 0 and at most 1",
        )?;
        require(
            warmup == 0 || warmup < epochs,
            "warmup_epochs",
            warmup,
            format!("fewer than the phase's {epochs} epochs"),
        )?;
        if let ScheduleKind::OneCycle(spec) = &self.kind {
            require(warmup == 0, "warmup_epochs", warmup, "0 with one-cycle, which warms up by itself")?;
            require(
                optimizer.has_momentum() || !spec.cycle_momentum,
                "cycle_momentum",
                spec.cycle_momentum,
                "false with an optimiser that has no momentum",
            )?;
        }
        self.kind.check()
    }

    /// What `reduce-on-plateau` follows: the loss where less is better, the accuracy where more is.
    pub fn metric(&self, loss: f64, accuracy: f64) -> f64 {
        match &self.kind {
            ScheduleKind::ReduceOnPlateau(PlateauSpec { mode: PlateauMode::Max, .. }) => accuracy,
            _ => loss,
        }
    }
}

/// A schedule at work in one phase of training.
#[derive(Debug, Clone)]
pub struct Schedule {
    spec: ScheduleSpec,
    base_lr: f64,
    epochs: usize,
    batches_per_epoch: usize,
    state: ScheduleState,
}

impl Schedule {
    /// The schedule of a phase of `epochs` epochs of `batches_per_epoch` batches, starting from the optimiser's learning rate
    /// `base_lr`. `spec` has passed [`ScheduleSpec::check`]; both counts are at least 1.
    pub fn new(spec: &ScheduleSpec, base_lr: f64, epochs: usize, batches_per_epoch: usize) -> Self {
        let state = ScheduleState::new(base_lr);
        Self { spec: spec.clone(), base_lr, epochs, batches_per_epoch, state }
    }

    /// The learning rate of a batch of an epoch, both counted from 0. Only `one-cycle` changes it within an epoch.
    pub fn lr(&self, epoch: usize, batch: usize) -> f64 {
        let warmup = self.spec.warmup_epochs;
        if epoch < warmup {
            let start = self.spec.warmup_start_factor;
            return self.base_lr * (start + (1.0 - start) * epoch as f64 / warmup as f64);
        }
        let epoch = epoch - warmup;
        let decayed = |gamma: f64, times: usize| self.base_lr * libm::pow(gamma, times as f64);
        match &self.spec.kind {
            ScheduleKind::Constant {} => self.base_lr,
            ScheduleKind::Step { step_size, gamma } => decayed(*gamma, epoch / step_size),
            ScheduleKind::MultiStep { milestones, gamma } => {
                decayed(*gamma, milestones.iter().filter(|&&milestone| milestone <= epoch).count())
            }
            ScheduleKind::Exponential { gamma } => decayed(*gamma, epoch),
            ScheduleKind::Cosine { t_max, eta_min } => {
                self.cosine(*eta_min, epoch, t_max.unwrap_or(self.epochs - warmup))
            }
            ScheduleKind::CosineWarmRestarts { t_0, t_mult, eta_min } => {
                let (since_restart, length) = restart(epoch, *t_0, *t_mult);
                self.cosine(*eta_min, since_restart, length)
            }
            ScheduleKind::OneCycle(spec) => spec.lr(self.step(epoch, batch), self.total_steps()),
            ScheduleKind::ReduceOnPlateau(_) => self.state.lr,
        }
    }

    /// The momentum of a batch (of Adam: its first beta), where the schedule moves it.
    pub fn momentum(&self, epoch: usize, batch: usize) -> Option<f64> {
        match &self.spec.kind {
            ScheduleKind::OneCycle(spec) if spec.cycle_momentum => {
                Some(spec.momentum(self.step(epoch, batch), self.total_steps()))
            }
            _ => None,
        }
    }

    /// Tells `reduce-on-plateau` what was reached in an epoch, counted from 0; to be called once after every epoch. Epochs of the
    /// warm-up do not count. Other schedules are unmoved.
    pub fn after_epoch(&mut self, epoch: usize, metric: f64) {
        if let ScheduleKind::ReduceOnPlateau(spec) = &self.spec.kind
            && epoch >= self.spec.warmup_epochs
        {
            spec.after_epoch(&mut self.state, metric);
        }
    }

    /// What is to be stored for [`restore`](Self::restore).
    pub fn state(&self) -> &ScheduleState {
        &self.state
    }

    /// Takes up a stored state.
    ///
    /// # Errors
    /// When its learning rate is negative or not finite.
    pub fn restore(&mut self, state: ScheduleState) -> Result<(), FieldError> {
        not_negative("lr", state.lr)?;
        self.state = state;
        Ok(())
    }

    /// Annealing from the base rate to `eta_min` (Loshchilov and Hutter, 2017, eq. 5).
    fn cosine(&self, eta_min: f64, epoch: usize, length: usize) -> f64 {
        eta_min + (self.base_lr - eta_min) * (1.0 + libm::cos(PI * epoch as f64 / length as f64)) / 2.0
    }

    fn step(&self, epoch: usize, batch: usize) -> usize {
        epoch * self.batches_per_epoch + batch
    }

    fn total_steps(&self) -> usize {
        self.epochs * self.batches_per_epoch
    }
}

/// Epochs since the last restart, and epochs from it to the next: the first `t_0`, each further one `t_mult` times as many.
fn restart(epoch: usize, t_0: usize, t_mult: usize) -> (usize, usize) {
    if t_mult == 1 {
        return (epoch % t_0, t_0);
    }
    let (mut since, mut length) = (epoch, t_0);
    while since >= length {
        since -= length;
        length = length.saturating_mul(t_mult);
    }
    (since, length)
}

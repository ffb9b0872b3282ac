//! The schedules to choose from, and their settings.

use serde::{Deserialize, Serialize};

use super::one_cycle::OneCycleSpec;
use super::plateau::PlateauSpec;
use crate::field::{FieldError, at_least_one, not_negative, require};

/// How the learning rate goes on after the warm-up. Epochs are counted from the end of the warm-up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ScheduleKind {
    /// The optimiser's learning rate throughout.
    Constant {},
    /// Times `gamma` every `step_size` epochs (`torch.optim.lr_scheduler.StepLR`).
    Step {
        /// Epochs between two changes, at least 1.
        step_size: usize,
        /// Factor of each change, at least 0; default 0.1.
        #[serde(default = "tenth")]
        gamma: f64,
    },
    /// Times `gamma` at each of the `milestones` (`MultiStepLR`).
    MultiStep {
        /// Epochs that begin with a change; one named twice changes twice.
        milestones: Vec<usize>,
        /// Factor of each change, at least 0; default 0.1.
        #[serde(default = "tenth")]
        gamma: f64,
    },
    /// Times `gamma` every epoch (`ExponentialLR`).
    Exponential {
        /// Factor of each epoch, at least 0.
        gamma: f64,
    },
    /// Half a cosine from the optimiser's learning rate to `eta_min` (`CosineAnnealingLR`).
    Cosine {
        /// Epochs until `eta_min` is reached, at least 1; default: all epochs of the phase after the warm-up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        t_max: Option<usize>,
        /// Smallest learning rate, at least 0; default 0.
        #[serde(default)]
        eta_min: f64,
    },
    /// Half a cosine again and again (`CosineAnnealingWarmRestarts`).
    CosineWarmRestarts {
        /// Epochs until the first restart, at least 1.
        t_0: usize,
        /// By how many times each stretch is longer than the one before, at least 1; default 1.
        #[serde(default = "once")]
        t_mult: usize,
        /// Smallest learning rate, at least 0; default 0.
        #[serde(default)]
        eta_min: f64,
    },
    /// Up and down once, changing with every batch (`OneCycleLR`).
    OneCycle(OneCycleSpec),
    /// Down when a metric no longer gets better (`ReduceLROnPlateau`).
    ReduceOnPlateau(PlateauSpec),
}

const fn tenth() -> f64 {
    0.1
}

const fn once() -> usize {
    1
}

impl ScheduleKind {
    pub(super) fn check(&self) -> Result<(), FieldError> {
        match self {
            Self::Constant {} => Ok(()),
            Self::Step { step_size, gamma } => {
                at_least_one("step_size", *step_size)?;
                not_negative("gamma", *gamma)
            }
            Self::MultiStep { milestones, gamma } => {
                require(!milestones.is_empty(), "milestones", "[]", "at least one epoch")?;
                not_negative("gamma", *gamma)
            }
            Self::Exponential { gamma } => not_negative("gamma", *gamma),
            Self::Cosine { t_max, eta_min } => {
                t_max.map_or(Ok(()), |epochs| at_least_one("t_max", epochs))?;
                not_negative("eta_min", *eta_min)
            }
            Self::CosineWarmRestarts { t_0, t_mult, eta_min } => {
                at_least_one("t_0", *t_0)?;
                at_least_one("t_mult", *t_mult)?;
                not_negative("eta_min", *eta_min)
            }
            Self::OneCycle(spec) => spec.check(),
            Self::ReduceOnPlateau(spec) => spec.check(),
        }
    }
}

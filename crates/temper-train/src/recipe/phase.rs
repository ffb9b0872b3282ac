//! One phase of a training.

use serde::{Deserialize, Serialize};
use temper_core::fault::FaultSpec;
use temper_core::hardware::HardwareSpec;
use temper_core::memory::{Layers, StorageSpec};

use super::{RecipeError, is_default};
use crate::augmentation::AugmentationSpec;
use crate::optimizer::OptimizerSpec;
use crate::schedule::ScheduleSpec;
use crate::stored::Moment;

/// One `[[phase]]`: so many epochs in the same way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhaseSpec {
    /// What it is called in records and plots; `phase 1` and so on, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Which network it starts from.
    #[serde(default, skip_serializing_if = "is_default")]
    pub start_from: StartFrom,
    /// Times that all training images are seen, 1 to 1 000 000.
    pub epochs: usize,
    /// Images of one step.
    pub batch_size: usize,
    /// Whether a last batch that is not full is left out.
    #[serde(default, skip_serializing_if = "is_default")]
    pub drop_last: bool,
    /// What steps are made from gradients.
    pub optimizer: OptimizerSpec,
    /// How the learning rate goes; constant, if absent.
    #[serde(default)]
    pub schedule: ScheduleSpec,
    /// What is minimised.
    #[serde(default, skip_serializing_if = "is_default")]
    pub loss: LossSpec,
    /// What is added to the loss.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regularizers: Vec<RegularizerSpec>,
    /// What is done to training images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub augmentation: Option<AugmentationSpec>,
    /// Parameters that train, chosen by their layers; all, if absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub train_layers: Layers,
    /// What batch norms normalise by.
    #[serde(default, skip_serializing_if = "is_default")]
    pub batch_norm: StatisticsSpec,
    /// In which formats the network is stored, as in a campaign: the forward pass computes with what code words mean, gradients pass
    /// straight through.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub storage: Vec<StorageSpec>,
    /// How the ranges of quantised activations are found, where `storage` does not give them.
    #[serde(default, skip_serializing_if = "is_default")]
    pub activation_ranges: ActivationRanges,
    /// What strikes the network in the forward pass, as in a campaign.
    #[serde(default, rename = "fault", skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<FaultSpec>,
    /// Which layers lie on analog hardware, whose arithmetic replaces theirs in the forward pass.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hardware: Vec<HardwareSpec>,
    /// The chip's seed; another for each phase, by the recipe's seed, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chip: Option<u64>,
    /// How often permanent faults and chips are drawn.
    #[serde(default, skip_serializing_if = "is_default")]
    pub fault_draws: FaultDraws,
    /// Which arithmetic gradients go through.
    #[serde(default, skip_serializing_if = "is_default")]
    pub fault_gradient: FaultGradient,
}

/// More epochs than anyone makes; their steps can be counted.
const MAX_EPOCHS: usize = 1_000_000;

/// Which network a phase starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StartFrom {
    /// The one after the last epoch before it.
    #[default]
    Last,
    /// That of the best epoch of the phase before it; the first phase has none.
    Best,
}

/// What is minimised: the mean cross-entropy of softmax.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LossSpec {
    /// Share of the target that is spread over all classes, 0 to 1 (Szegedy et al., CVPR 2016, §7).
    pub label_smoothing: f32,
}

/// What is added to the loss.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum RegularizerSpec {
    /// `strength` times the sum of the magnitudes of the outputs of the chosen nodes, per image: makes activations sparse.
    ActivationL1 {
        /// Factor of the sum.
        strength: f32,
        /// The nodes; those of kind `relu`, if absent.
        #[serde(default = "relus")]
        layers: Layers,
    },
}

fn relus() -> Layers {
    Layers::One("type:relu".to_owned())
}

/// What batch norms normalise by while they train.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StatisticsSpec {
    /// The batch, and the running statistics follow it by a tenth each step, as in `PyTorch`.
    #[default]
    Batch,
    /// The running statistics, which stay as they are.
    Running,
}

/// How the ranges of quantised activations are found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ActivationRanges {
    /// Smallest and largest value of each batch, averaged exponentially (Jacob et al., CVPR 2018, §3.1; `PyTorch`'s
    /// `MovingAverageMinMaxObserver`).
    MovingAverage {
        /// Share of the new batch.
        #[serde(default = "averaging_constant")]
        momentum: f64,
    },
    /// The steps of the grids train with the parameters, by the same optimiser (Esser et al., "Learned step size quantization",
    /// ICLR 2020).
    LearnedStep,
}

const fn averaging_constant() -> f64 {
    0.01
}

impl Default for ActivationRanges {
    fn default() -> Self {
        Self::MovingAverage { momentum: averaging_constant() }
    }
}

/// How often permanent faults and chips are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultDraws {
    /// Once: the phase trains on one chip.
    #[default]
    Phase,
    /// Anew for every epoch.
    Epoch,
    /// Anew for every batch.
    Batch,
}

impl FaultDraws {
    /// The place in a training for which a step's permanent faults and chip are drawn.
    pub fn of(self, moment: Moment) -> Moment {
        match self {
            Self::Phase => Moment { epoch: 0, batch: 0, ..moment },
            Self::Epoch => Moment { batch: 0, ..moment },
            Self::Batch => moment,
        }
    }
}

/// Which arithmetic gradients go through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultGradient {
    /// That of the layer without faults: only its forward pass is replaced.
    #[default]
    Clean,
    /// That of the faulty layer.
    Faulty,
}

impl PhaseSpec {
    /// What it is called, as phase `number` from 1.
    pub fn title(&self, number: usize) -> String {
        self.name.clone().unwrap_or_else(|| format!("phase {number}"))
    }

    /// Whether the forward pass computes with anything but the parameters as they are.
    pub fn suffers(&self) -> bool {
        !self.storage.is_empty() || !self.faults.is_empty() || !self.hardware.is_empty()
    }

    /// Checks what can be checked without data and network.
    pub(crate) fn check(&self, number: usize) -> Result<(), RecipeError> {
        let place = |field: &str| format!("phase {number}, {field}");
        let inside = |table| move |error| RecipeError::field(number, table, error);
        if !(1..=MAX_EPOCHS).contains(&self.epochs) {
            let reason = format!("expected 1 to {MAX_EPOCHS}, found {}", self.epochs);
            return Err(RecipeError::value(place("epochs"), reason));
        }
        if self.batch_size == 0 {
            return Err(RecipeError::value(place("batch_size"), "expected at least 1, found 0"));
        }
        if number == 1 && self.start_from == StartFrom::Best {
            return Err(RecipeError::value(place("start_from"), "there is no phase before the first"));
        }
        self.optimizer.check().map_err(inside("optimizer"))?;
        self.schedule.check(self.epochs, &self.optimizer).map_err(inside("schedule"))?;
        if !(0.0..=1.0).contains(&self.loss.label_smoothing) {
            let reason = format!("expected a number from 0 to 1, found {}", self.loss.label_smoothing);
            return Err(RecipeError::value(place("loss.label_smoothing"), reason));
        }
        for RegularizerSpec::ActivationL1 { strength, .. } in &self.regularizers {
            if !(strength.is_finite() && *strength >= 0.0) {
                let reason = format!("expected a finite number of at least 0, found {strength}");
                return Err(RecipeError::value(place("regularizers, strength"), reason));
            }
        }
        if let ActivationRanges::MovingAverage { momentum } = self.activation_ranges
            && !(momentum > 0.0 && momentum <= 1.0)
        {
            let reason = format!("expected a number above 0 and up to 1, found {momentum}");
            return Err(RecipeError::value(place("activation_ranges.momentum"), reason));
        }
        if self.faults.iter().any(FaultSpec::is_listed) {
            return Err(RecipeError::value(
                place("fault"),
                "lists of faults do not train; give a model and an amount",
            ));
        }
        Ok(())
    }
}

//! A schedule that follows a metric.

use serde::{Deserialize, Serialize};

use crate::field::{FieldError, below_one, finite, not_negative};

/// Settings of `reduce-on-plateau`: once a metric has not become better for more than `patience` epochs, the learning rate is
/// multiplied by `factor`. A metric that is NaN is never better.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PlateauSpec {
    /// Whether a smaller (`min`) or a larger (`max`) metric is better; default `min`.
    pub mode: PlateauMode,
    /// Factor of each reduction, at least 0 and below 1; default 0.1.
    pub factor: f64,
    /// Epochs without betterment that are borne; default 10.
    pub patience: usize,
    /// By how much a metric must be better to count; default 0.0001.
    pub threshold: f64,
    /// Whether the threshold is relative to the best metric (`rel`) or absolute (`abs`); default `rel`.
    pub threshold_mode: ThresholdMode,
    /// Epochs after a reduction in which none is counted as without betterment; default 0.
    pub cooldown: usize,
    /// Smallest learning rate, at least 0; default 0.
    pub min_lr: f64,
    /// A reduction by this much or less is not made; at least 0, default 1e-8.
    pub eps: f64,
}

impl Default for PlateauSpec {
    fn default() -> Self {
        Self {
            mode: PlateauMode::Min,
            factor: 0.1,
            patience: 10,
            threshold: 1e-4,
            threshold_mode: ThresholdMode::Rel,
            cooldown: 0,
            min_lr: 0.0,
            eps: 1e-8,
        }
    }
}

/// Which metric is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PlateauMode {
    /// The smaller one, as of a loss.
    Min,
    /// The larger one, as of an accuracy.
    Max,
}

/// What a threshold is relative to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ThresholdMode {
    /// Relative to the best metric so far.
    Rel,
    /// Absolute.
    Abs,
}

/// What a schedule remembers from one epoch to the next; only `reduce-on-plateau` changes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleState {
    /// The learning rate now.
    pub lr: f64,
    /// The best metric so far, if any.
    pub best: Option<f64>,
    /// Epochs since the metric last became better.
    pub bad_epochs: usize,
    /// Epochs left of the cooldown.
    pub cooldown_left: usize,
}

impl ScheduleState {
    pub(super) fn new(lr: f64) -> Self {
        Self { lr, best: None, bad_epochs: 0, cooldown_left: 0 }
    }
}

impl PlateauSpec {
    pub(super) fn check(&self) -> Result<(), FieldError> {
        below_one("factor", self.factor)?;
        finite("threshold", self.threshold)?;
        not_negative("min_lr", self.min_lr)?;
        not_negative("eps", self.eps)
    }

    /// Whether `metric` is better than the best so far by more than the threshold.
    fn is_better(&self, metric: f64, best: Option<f64>) -> bool {
        match (self.mode, self.threshold_mode) {
            (PlateauMode::Min, mode) => {
                let best = best.unwrap_or(f64::INFINITY);
                metric
                    < match mode {
                        ThresholdMode::Rel => best * (1.0 - self.threshold),
                        ThresholdMode::Abs => best - self.threshold,
                    }
            }
            (PlateauMode::Max, mode) => {
                let best = best.unwrap_or(f64::NEG_INFINITY);
                metric
                    > match mode {
                        ThresholdMode::Rel => best * (1.0 + self.threshold),
                        ThresholdMode::Abs => best + self.threshold,
                    }
            }
        }
    }

    pub(super) fn after_epoch(&self, state: &mut ScheduleState, metric: f64) {
        if self.is_better(metric, state.best) {
            state.best = Some(metric);
            state.bad_epochs = 0;
        } else {
            state.bad_epochs += 1;
        }
        if state.cooldown_left > 0 {
            state.cooldown_left -= 1;
            state.bad_epochs = 0;
        }
        if state.bad_epochs > self.patience {
            let reduced = (state.lr * self.factor).max(self.min_lr);
            if state.lr - reduced > self.eps {
                state.lr = reduced;
            }
            state.cooldown_left = self.cooldown;
            state.bad_epochs = 0;
        }
    }
}

//! The one-cycle schedule (Smith and Topin, 2018) in PyTorch's form.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use crate::field::{FieldError, below_one, fraction, not_negative, positive};

/// Settings of the one-cycle schedule. The learning rate rises from `max_lr / div_factor` to `max_lr` and falls to
/// `max_lr / (div_factor · final_div_factor)`, batch by batch over the whole phase; the optimiser's own is not used. The momentum
/// moves against it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OneCycleSpec {
    /// The largest learning rate, at least 0.
    pub max_lr: f64,
    /// Share of the batches in which the learning rate rises, from 0 to 1; default 0.3.
    #[serde(default = "pct_start")]
    pub pct_start: f64,
    /// Whether the rate follows a cosine or a line; default `cos`.
    #[serde(default)]
    pub anneal_strategy: AnnealStrategy,
    /// By how much the first learning rate is smaller than the largest, above 0; default 25.
    #[serde(default = "div_factor")]
    pub div_factor: f64,
    /// By how much the last learning rate is smaller than the first, above 0; default 10000.
    #[serde(default = "final_div_factor")]
    pub final_div_factor: f64,
    /// Whether the rate first falls as it rose, and only then to the last; default false.
    #[serde(default)]
    pub three_phase: bool,
    /// Whether the momentum (of Adam: the first beta) moves too, in place of the optimiser's own; default true.
    #[serde(default = "yes")]
    pub cycle_momentum: bool,
    /// Momentum at the largest learning rate, at least 0 and below 1; default 0.85.
    #[serde(default = "base_momentum")]
    pub base_momentum: f64,
    /// Momentum at the first and the last learning rate, at least 0 and below 1; default 0.95.
    #[serde(default = "max_momentum")]
    pub max_momentum: f64,
}

const fn pct_start() -> f64 {
    0.3
}

const fn div_factor() -> f64 {
    25.0
}

const fn final_div_factor() -> f64 {
    1e4
}

const fn yes() -> bool {
    true
}

const fn base_momentum() -> f64 {
    0.85
}

const fn max_momentum() -> f64 {
    0.95
}

/// How a rate goes from one value to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnnealStrategy {
    /// Along half a cosine.
    #[default]
    Cos,
    /// Along a line.
    Linear,
}

impl AnnealStrategy {
    fn between(self, start: f64, end: f64, share: f64) -> f64 {
        match self {
            Self::Cos => end + (start - end) / 2.0 * (libm::cos(PI * share) + 1.0),
            Self::Linear => (end - start) * share + start,
        }
    }
}

impl OneCycleSpec {
    pub(super) fn check(&self) -> Result<(), FieldError> {
        not_negative("max_lr", self.max_lr)?;
        fraction("pct_start", self.pct_start)?;
        positive("div_factor", self.div_factor)?;
        positive("final_div_factor", self.final_div_factor)?;
        below_one("base_momentum", self.base_momentum)?;
        below_one("max_momentum", self.max_momentum)
    }

    /// The learning rate of a batch, counted from 0, of `total` in all.
    pub(super) fn lr(&self, step: usize, total: usize) -> f64 {
        let first = self.max_lr / self.div_factor;
        let last = first / self.final_div_factor;
        let ends: &[f64] =
            if self.three_phase { &[first, self.max_lr, first, last] } else { &[first, self.max_lr, last] };
        self.at(step, total, ends)
    }

    /// The momentum of a batch, counted from 0, of `total` in all.
    pub(super) fn momentum(&self, step: usize, total: usize) -> f64 {
        let (base, max) = (self.base_momentum, self.max_momentum);
        let ends: &[f64] = if self.three_phase { &[max, base, max, max] } else { &[max, base, max] };
        self.at(step, total, ends)
    }

    /// The value at a batch where it goes from one of the `ends` to the next in each part of the phase.
    fn at(&self, step: usize, total: usize, ends: &[f64]) -> f64 {
        let rise = self.pct_start * total as f64;
        // Batches at which a part ends; PyTorch counts the first part from batch 0 and the others from the end of the one before.
        let last = [(total - 1) as f64];
        let limits = [rise - 1.0, 2.0 * self.pct_start * total as f64 - 2.0];
        let limits = limits[..ends.len() - 2].iter().chain(&last);
        let step = step as f64;
        let mut begin = 0.0;
        for (pair, &limit) in ends.windows(2).zip(limits) {
            if step <= limit {
                // A part of one batch has no length, and is at its end.
                let share = if limit > begin { (step - begin) / (limit - begin) } else { 1.0 };
                return self.anneal_strategy.between(pair[0], pair[1], share);
            }
            begin = limit;
        }
        ends[ends.len() - 1]
    }
}

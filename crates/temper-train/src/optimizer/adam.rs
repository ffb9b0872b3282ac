//! Adam and `AdamW`.

use serde::{Deserialize, Serialize};

use super::Buffer;
use super::pass::{decayed, lerp, pass};
use super::state::Slot;
use crate::field::{FieldError, below_one, not_negative};

/// Adam (Kingma and Ba, 2015, algorithm 1) with weight decay as an L2 penalty in the gradient.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdamSpec {
    /// Learning rate, at least 0; default 0.001.
    pub lr: f64,
    /// Decay of the running means of the gradient and of its square, each at least 0 and below 1; default `[0.9, 0.999]`.
    pub betas: [f64; 2],
    /// Added to the denominator, at least 0; default 1e-8.
    pub eps: f64,
    /// L2 penalty: this times the value is added to its gradient; at least 0, default 0.
    pub weight_decay: f64,
    /// Whether the largest mean square so far divides (Reddi et al., 2018); default false.
    pub amsgrad: bool,
}

impl Default for AdamSpec {
    fn default() -> Self {
        Self { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.0, amsgrad: false }
    }
}

/// Adam with decoupled weight decay (Loshchilov and Hutter, 2019, algorithm 2): values shrink by `1 − lr·weight_decay` before
/// the step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdamWSpec {
    /// Learning rate, at least 0; default 0.001.
    pub lr: f64,
    /// Decay of the running means of the gradient and of its square, each at least 0 and below 1; default `[0.9, 0.999]`.
    pub betas: [f64; 2],
    /// Added to the denominator, at least 0; default 1e-8.
    pub eps: f64,
    /// Share of a value that each step takes away, times the learning rate; at least 0, default 0.01.
    pub weight_decay: f64,
    /// Whether the largest mean square so far divides (Reddi et al., 2018); default false.
    pub amsgrad: bool,
}

impl Default for AdamWSpec {
    fn default() -> Self {
        Self { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weight_decay: 1e-2, amsgrad: false }
    }
}

/// What both have in common.
pub(super) struct Moments {
    lr: f64,
    betas: [f64; 2],
    eps: f64,
    weight_decay: f64,
    decoupled: bool,
    amsgrad: bool,
}

impl From<&AdamSpec> for Moments {
    fn from(&AdamSpec { lr, betas, eps, weight_decay, amsgrad }: &AdamSpec) -> Self {
        Self { lr, betas, eps, weight_decay, decoupled: false, amsgrad }
    }
}

impl From<&AdamWSpec> for Moments {
    fn from(&AdamWSpec { lr, betas, eps, weight_decay, amsgrad }: &AdamWSpec) -> Self {
        Self { lr, betas, eps, weight_decay, decoupled: true, amsgrad }
    }
}

impl Moments {
    pub(super) fn check(&self) -> Result<(), FieldError> {
        not_negative("lr", self.lr)?;
        below_one("betas[0]", self.betas[0])?;
        below_one("betas[1]", self.betas[1])?;
        not_negative("eps", self.eps)?;
        not_negative("weight_decay", self.weight_decay)
    }

    pub(super) fn buffers(&self) -> Vec<Buffer> {
        let mut buffers = vec![Buffer::new("exp_avg", true), Buffer::new("exp_avg_sq", true)];
        buffers.extend(self.amsgrad.then(|| Buffer::new("max_exp_avg_sq", true)));
        buffers
    }

    pub(super) fn update(
        &self,
        lr: f64,
        beta1: Option<f64>,
        steps: u64,
        slot: &mut Slot,
        values: &mut [f32],
        gradient: &[f32],
    ) {
        let (beta1, beta2) = (beta1.unwrap_or(self.betas[0]), self.betas[1]);
        let step_size = (lr / (1.0 - libm::pow(beta1, steps as f64))) as f32;
        let correction = (1.0 - libm::pow(beta2, steps as f64)).sqrt() as f32;
        let (shrink, penalty) = if self.decoupled {
            ((1.0 - lr * self.weight_decay) as f32, 0.0)
        } else {
            (1.0, self.weight_decay as f32)
        };
        let (weight, square_share) = ((1.0 - beta1) as f32, (1.0 - beta2) as f32);
        let (beta2, eps) = (beta2 as f32, self.eps as f32);
        let means = move |w: f32, g: f32, m: f32, v: f32| {
            let w = w * shrink;
            let g = decayed(g, w, penalty);
            (w, lerp(m, g, weight), beta2 * v + square_share * g * g)
        };
        let moved = move |w: f32, m: f32, v: f32| w - step_size * m / (v.sqrt() / correction + eps);
        if self.amsgrad {
            let buffers = slot.buffers([(0, 0.0), (1, 0.0), (2, 0.0)]);
            pass(values, gradient, buffers, move |w, g, [m, v, largest]| {
                let (w, m, v) = means(w, g, m, v);
                // NaN stays, as in `torch.maximum`.
                let largest = if largest > v || largest.is_nan() { largest } else { v };
                (moved(w, m, largest), [m, v, largest])
            });
        } else {
            let buffers = slot.buffers([(0, 0.0), (1, 0.0)]);
            pass(values, gradient, buffers, move |w, g, [m, v]| {
                let (w, m, v) = means(w, g, m, v);
                (moved(w, m, v), [m, v])
            });
        }
    }
}

//! Adagrad.

use serde::{Deserialize, Serialize};

use super::Buffer;
use super::pass::{decayed, pass};
use super::state::Slot;
use crate::field::{FieldError, not_negative};

/// Adagrad (Duchi et al., 2011): every value's step is divided by the root of the sum of its squared gradients so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdagradSpec {
    /// Learning rate, at least 0; default 0.01.
    pub lr: f64,
    /// Decay of the learning rate: step t is made at `lr / (1 + (t − 1)·lr_decay)`; at least 0, default 0.
    pub lr_decay: f64,
    /// L2 penalty: this times the value is added to its gradient; at least 0, default 0.
    pub weight_decay: f64,
    /// What the sums of squares start from; at least 0, default 0.
    pub initial_accumulator_value: f64,
    /// Added to the denominator, at least 0; default 1e-10.
    pub eps: f64,
}

impl Default for AdagradSpec {
    fn default() -> Self {
        Self { lr: 1e-2, lr_decay: 0.0, weight_decay: 0.0, initial_accumulator_value: 0.0, eps: 1e-10 }
    }
}

impl AdagradSpec {
    pub(super) fn check(&self) -> Result<(), FieldError> {
        not_negative("lr", self.lr)?;
        not_negative("lr_decay", self.lr_decay)?;
        not_negative("weight_decay", self.weight_decay)?;
        not_negative("initial_accumulator_value", self.initial_accumulator_value)?;
        not_negative("eps", self.eps)
    }

    #[expect(clippy::unused_self, reason = "every optimiser answers this")]
    pub(super) fn buffers(&self) -> Vec<Buffer> {
        vec![Buffer::new("sum", true)]
    }

    pub(super) fn update(&self, lr: f64, steps: u64, slot: &mut Slot, values: &mut [f32], gradient: &[f32]) {
        let lr = (lr / (1.0 + (steps - 1) as f64 * self.lr_decay)) as f32;
        let (decay, eps) = (self.weight_decay as f32, self.eps as f32);
        let buffers = slot.buffers([(0, self.initial_accumulator_value as f32)]);
        pass(values, gradient, buffers, move |w, g, [sum]| {
            let g = decayed(g, w, decay);
            let sum = sum + g * g;
            (w - lr * g / (sum.sqrt() + eps), [sum])
        });
    }
}

//! Stochastic gradient descent.

use serde::{Deserialize, Serialize};

use super::Buffer;
use super::pass::{decayed, pass};
use super::state::Slot;
use crate::field::{FieldError, finite, not_negative, require};

/// Stochastic gradient descent with momentum as PyTorch has it: `b ← μ·b + (1 − τ)·g` (at the first step `b ← g`), then
/// `w ← w − lr·b`; the learning rate is outside of the momentum, unlike in Sutskever et al. (2013).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SgdSpec {
    /// Learning rate, at least 0; default 0.001.
    pub lr: f64,
    /// Momentum μ, at least 0; default 0.
    pub momentum: f64,
    /// Dampening τ of the gradient in the momentum; default 0.
    pub dampening: f64,
    /// L2 penalty: this times the value is added to its gradient; at least 0, default 0.
    pub weight_decay: f64,
    /// Whether the step looks ahead (`g + μ·b` in place of `b`); needs momentum and no dampening. Default false.
    pub nesterov: bool,
}

impl Default for SgdSpec {
    fn default() -> Self {
        Self { lr: 1e-3, momentum: 0.0, dampening: 0.0, weight_decay: 0.0, nesterov: false }
    }
}

impl SgdSpec {
    pub(super) fn check(&self) -> Result<(), FieldError> {
        not_negative("lr", self.lr)?;
        not_negative("momentum", self.momentum)?;
        finite("dampening", self.dampening)?;
        not_negative("weight_decay", self.weight_decay)?;
        if self.nesterov {
            require(self.momentum > 0.0, "momentum", self.momentum, "a number above 0 with nesterov")?;
            require(self.dampening == 0.0, "dampening", self.dampening, "0 with nesterov")?;
        }
        Ok(())
    }

    pub(super) fn buffers(&self) -> Vec<Buffer> {
        vec![Buffer::new("momentum_buffer", self.momentum != 0.0)]
    }

    pub(super) fn update(
        &self,
        lr: f64,
        momentum: Option<f64>,
        slot: &mut Slot,
        values: &mut [f32],
        gradient: &[f32],
    ) {
        let momentum = momentum.unwrap_or(self.momentum);
        let (lr, decay, mu) = (lr as f32, self.weight_decay as f32, momentum as f32);
        if momentum == 0.0 {
            return pass(values, gradient, [], move |w, g, []| (w - lr * decayed(g, w, decay), []));
        }
        let nesterov = self.nesterov;
        let ahead = move |g: f32, b: f32| if nesterov { g + mu * b } else { b };
        // The first gradient enters the momentum undampened.
        if slot.is_empty(0) {
            let [buffer] = slot.buffers([(0, 0.0)]);
            return pass(values, gradient, [buffer], move |w, g, _| {
                let g = decayed(g, w, decay);
                (w - lr * ahead(g, g), [g])
            });
        }
        let share = (1.0 - self.dampening) as f32;
        let [buffer] = slot.buffers([(0, 0.0)]);
        pass(values, gradient, [buffer], move |w, g, [b]| {
            let g = decayed(g, w, decay);
            let b = mu * b + share * g;
            (w - lr * ahead(g, b), [b])
        });
    }
}

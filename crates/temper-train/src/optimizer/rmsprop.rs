//! `RMSprop`.

use serde::{Deserialize, Serialize};

use super::Buffer;
use super::pass::{decayed, lerp, pass};
use super::state::Slot;
use crate::field::{FieldError, not_negative};

const SQUARE_AVG: usize = 0;
const MOMENTUM: usize = 1;
const GRAD_AVG: usize = 2;

/// `RMSprop` (Hinton, 2012, lecture 6e of "Neural networks for machine learning"): the step is divided by a running root mean
/// square of the gradient; `eps` is added after the root.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RmsPropSpec {
    /// Learning rate, at least 0; default 0.01.
    pub lr: f64,
    /// Decay of the running means, at least 0; default 0.99.
    pub alpha: f64,
    /// Added to the denominator, at least 0; default 1e-8.
    pub eps: f64,
    /// L2 penalty: this times the value is added to its gradient; at least 0, default 0.
    pub weight_decay: f64,
    /// Momentum, at least 0; default 0.
    pub momentum: f64,
    /// Whether the gradient's variance divides in place of its mean square (Graves, 2013, eq. 38); default false.
    pub centered: bool,
}

impl Default for RmsPropSpec {
    fn default() -> Self {
        Self { lr: 1e-2, alpha: 0.99, eps: 1e-8, weight_decay: 0.0, momentum: 0.0, centered: false }
    }
}

impl RmsPropSpec {
    pub(super) fn check(&self) -> Result<(), FieldError> {
        not_negative("lr", self.lr)?;
        not_negative("alpha", self.alpha)?;
        not_negative("eps", self.eps)?;
        not_negative("weight_decay", self.weight_decay)?;
        not_negative("momentum", self.momentum)
    }

    pub(super) fn buffers(&self) -> Vec<Buffer> {
        let mut buffers =
            vec![Buffer::new("square_avg", true), Buffer::new("momentum_buffer", self.momentum > 0.0)];
        buffers.extend(self.centered.then(|| Buffer::new("grad_avg", true)));
        buffers
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
        let (alpha, share, eps) = (self.alpha as f32, (1.0 - self.alpha) as f32, self.eps as f32);
        let mean_square = move |square: f32, g: f32| alpha * square + share * g * g;
        let plain = move |w: f32, g: f32, root: f32| w - lr * g / (root + eps);
        let with_momentum = move |w: f32, g: f32, root: f32, b: f32| {
            let b = mu * b + g / (root + eps);
            (w - lr * b, b)
        };
        match (self.centered, momentum > 0.0) {
            (false, false) => pass(values, gradient, slot.buffers([(SQUARE_AVG, 0.0)]), move |w, g, [s]| {
                let g = decayed(g, w, decay);
                let s = mean_square(s, g);
                (plain(w, g, s.sqrt()), [s])
            }),
            (false, true) => {
                let buffers = slot.buffers([(SQUARE_AVG, 0.0), (MOMENTUM, 0.0)]);
                pass(values, gradient, buffers, move |w, g, [s, b]| {
                    let g = decayed(g, w, decay);
                    let s = mean_square(s, g);
                    let (w, b) = with_momentum(w, g, s.sqrt(), b);
                    (w, [s, b])
                });
            }
            (true, false) => {
                let buffers = slot.buffers([(SQUARE_AVG, 0.0), (GRAD_AVG, 0.0)]);
                pass(values, gradient, buffers, move |w, g, [s, mean]| {
                    let g = decayed(g, w, decay);
                    let (s, mean) = (mean_square(s, g), lerp(mean, g, share));
                    (plain(w, g, (s - mean * mean).sqrt()), [s, mean])
                });
            }
            (true, true) => {
                let buffers = slot.buffers([(SQUARE_AVG, 0.0), (MOMENTUM, 0.0), (GRAD_AVG, 0.0)]);
                pass(values, gradient, buffers, move |w, g, [s, b, mean]| {
                    let g = decayed(g, w, decay);
                    let (s, mean) = (mean_square(s, g), lerp(mean, g, share));
                    let (w, b) = with_momentum(w, g, (s - mean * mean).sqrt(), b);
                    (w, [s, b, mean])
                });
            }
        }
    }
}

//! Optimisers with PyTorch's semantics and defaults, on plain slices.
//!
//! Every optimiser updates one parameter at a time in a single pass over its values, its gradient and its state. Arithmetic is
//! that of PyTorch's single-tensor CPU implementation: `f32` for each value, scalars computed in `f64` and then rounded. Values
//! do not depend on the number of threads, since no operation crosses two of them.

mod adagrad;
mod adam;
mod pass;
mod rmsprop;
mod sgd;
mod state;

use serde::{Deserialize, Serialize};

pub use self::adagrad::AdagradSpec;
pub use self::adam::{AdamSpec, AdamWSpec};
pub use self::rmsprop::RmsPropSpec;
pub use self::sgd::SgdSpec;
pub use self::state::RestoreError;

use self::adam::Moments;
use self::state::Slot;
use crate::field::FieldError;

/// An optimiser and its settings, as written by the user: `kind` names it, the fields are PyTorch's with PyTorch's defaults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum OptimizerSpec {
    /// Stochastic gradient descent (`torch.optim.SGD`).
    Sgd(SgdSpec),
    /// Adam with weight decay added to the gradient (`torch.optim.Adam`).
    Adam(AdamSpec),
    /// Adam with decoupled weight decay (`torch.optim.AdamW`).
    AdamW(AdamWSpec),
    /// Adagrad (`torch.optim.Adagrad`).
    Adagrad(AdagradSpec),
    /// `RMSprop` (`torch.optim.RMSprop`).
    RmsProp(RmsPropSpec),
}

impl OptimizerSpec {
    /// Checks the settings: PyTorch's ranges, and finite numbers.
    ///
    /// # Errors
    /// When a field is out of its range.
    pub fn check(&self) -> Result<(), FieldError> {
        match self {
            Self::Sgd(spec) => spec.check(),
            Self::Adam(spec) => Moments::from(spec).check(),
            Self::AdamW(spec) => Moments::from(spec).check(),
            Self::Adagrad(spec) => spec.check(),
            Self::RmsProp(spec) => spec.check(),
        }
    }

    /// The learning rate that a schedule starts from.
    pub fn lr(&self) -> f64 {
        match self {
            Self::Sgd(spec) => spec.lr,
            Self::Adam(spec) => spec.lr,
            Self::AdamW(spec) => spec.lr,
            Self::Adagrad(spec) => spec.lr,
            Self::RmsProp(spec) => spec.lr,
        }
    }

    /// Whether a schedule may set its momentum (of Adam: its first beta).
    pub fn has_momentum(&self) -> bool {
        !matches!(self, Self::Adagrad(_))
    }

    /// The state of one parameter, in PyTorch's names.
    fn buffers(&self) -> Vec<Buffer> {
        match self {
            Self::Sgd(spec) => spec.buffers(),
            Self::Adam(spec) => Moments::from(spec).buffers(),
            Self::AdamW(spec) => Moments::from(spec).buffers(),
            Self::Adagrad(spec) => spec.buffers(),
            Self::RmsProp(spec) => spec.buffers(),
        }
    }
}

/// One buffer of state that an optimiser keeps for every parameter.
struct Buffer {
    /// PyTorch's name of it.
    name: &'static str,
    /// Whether the settings alone call for it; a momentum set by a schedule may call for it too.
    needed: bool,
}

impl Buffer {
    fn new(name: &'static str, needed: bool) -> Self {
        Self { name, needed }
    }
}

/// An optimiser at work: its settings, the number of steps made, and the state of every parameter.
#[derive(Debug, Clone)]
pub struct Optimizer {
    spec: OptimizerSpec,
    steps: u64,
    slots: Vec<Slot>,
}

impl Optimizer {
    /// An optimiser that has made no step, for parameters of these `sizes` (numbers of values). `spec` has passed
    /// [`OptimizerSpec::check`].
    pub fn new(spec: &OptimizerSpec, sizes: &[usize]) -> Self {
        let buffers = spec.buffers().len();
        Self {
            spec: spec.clone(),
            steps: 0,
            slots: sizes.iter().map(|&size| Slot::new(size, buffers)).collect(),
        }
    }

    /// Begins a step, in which [`step`](Self::step) is to be called once for each parameter.
    pub fn begin_step(&mut self) {
        self.steps += 1;
    }

    /// Number of steps begun.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Updates the `values` of parameter number `parameter` by their `gradient`, at learning rate `lr`; `momentum` takes the
    /// place of the settings' momentum (of Adam: its first beta), as the one-cycle schedule does.
    ///
    /// **Shapes**: `values` and `gradient` hold as many values as the parameter's size.
    ///
    /// # Panics
    /// When no step was begun, there is no such parameter, or a slice has another length.
    pub fn step(
        &mut self,
        parameter: usize,
        lr: f64,
        momentum: Option<f64>,
        values: &mut [f32],
        gradient: &[f32],
    ) {
        let slot = &mut self.slots[parameter];
        assert!(self.steps > 0, "a step must be begun before parameters are updated");
        assert_eq!(
            (values.len(), gradient.len()),
            (slot.size, slot.size),
            "values and gradient have the parameter's size"
        );
        match &self.spec {
            OptimizerSpec::Sgd(spec) => spec.update(lr, momentum, slot, values, gradient),
            OptimizerSpec::Adam(spec) => {
                Moments::from(spec).update(lr, momentum, self.steps, slot, values, gradient);
            }
            OptimizerSpec::AdamW(spec) => {
                Moments::from(spec).update(lr, momentum, self.steps, slot, values, gradient);
            }
            OptimizerSpec::Adagrad(spec) => spec.update(lr, self.steps, slot, values, gradient),
            OptimizerSpec::RmsProp(spec) => spec.update(lr, momentum, slot, values, gradient),
        }
    }
}

//! A network as steps.

use std::sync::Arc;

use temper_kernels::{Activation, ConvShape, PoolShape};

use super::compile::compile;
use super::movement::{Broadcast, Pad, Transpose};
use super::taps::{Tap, TapId};
use super::weights::{ParameterId, Place, Weights};
use crate::network::{Network, NodeId};

/// A step's place in execution order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepId(pub usize);

/// A network compiled for running: immutable, shared between threads.
#[derive(Debug, Clone)]
pub struct Program {
    pub(super) steps: Vec<Step>,
    /// For each node, the value that holds its output as its consumers see it; `None` where fusion left none.
    pub(super) value_of: Vec<Option<usize>>,
    pub(super) values: Vec<Value>,
    pub(super) output: usize,
    pub(super) places: Arc<[Place]>,
    /// For each tap, its step.
    pub(super) taps: Vec<StepId>,
}

/// An activation that exists in memory while the program runs. Value 0 is the network's input.
#[derive(Debug, Clone)]
pub(super) struct Value {
    /// Number of elements for one image.
    pub(super) len: usize,
    /// The same elements as channels, rows and columns.
    pub(super) shape: [usize; 3],
    /// The step that makes it; `None` for the input.
    pub(super) made: Option<usize>,
    /// The last step that reads it; `usize::MAX` for the network's output.
    pub(super) last_read: usize,
    /// The buffer it lies in when buffers are shared.
    pub(super) buffer: usize,
}

impl Value {
    /// A value of a node's shape, made by a step; when it is last read and where it lies are found later.
    pub(super) fn new(shape: &[usize], made: Option<usize>) -> Self {
        let len = shape.iter().product();
        let shape = match *shape {
            [features] => [features, 1, 1],
            [channels, columns] => [channels, columns, 1],
            [channels, rows, columns] => [channels, rows, columns],
            _ => [len, 1, 1],
        };
        Self { len, shape, made, last_read: 0, buffer: 0 }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) op: StepOp,
    /// Multiply-accumulates for one image.
    pub(super) cost: u64,
    pub(super) inputs: Vec<usize>,
    pub(super) output: usize,
    /// Taps on what a product is before the rest of what is fused into it, by what they stand behind.
    pub(super) taps: Vec<(Stage, TapId)>,
}

#[derive(Debug, Clone)]
pub(super) enum StepOp {
    Conv {
        shape: ConvShape,
        fused: Fused,
        /// Rows and columns of outputs that are computed together: 1, but by Winograd's algorithm.
        tile: usize,
    },
    Linear {
        fused: Fused,
        /// Rows of the input of one image.
        rows: usize,
    },
    BatchNorm {
        plane: usize,
    },
    Activation(Activation),
    MaxPool(PoolShape),
    AvgPool {
        shape: PoolShape,
        count_include_pad: bool,
    },
    Add(Option<Broadcast>),
    Mul(Option<Broadcast>),
    /// Block length of each input.
    Concat(Vec<usize>),
    Pad(Pad),
    Transpose(Transpose),
    Softmax {
        extent: usize,
        inner: usize,
    },
    Constant,
    /// A copy of a value, touched by these taps in this order.
    Tap(Vec<TapId>),
}

/// What is fused into a product behind its bias, in this order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Fused {
    pub(super) batch_norm: bool,
    /// Whether the step's second input is added.
    pub(super) residual: bool,
    pub(super) activation: Activation,
}

impl Fused {
    pub(super) const NOTHING: Self =
        Self { batch_norm: false, residual: false, activation: Activation::Identity };
}

/// A product and what is fused into it, in execution order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Product,
    BatchNorm,
    Residual,
    Activation,
}

impl StepOp {
    /// What is fused into the product, if it is one.
    pub(super) fn fused(&self) -> Option<Fused> {
        match *self {
            Self::Conv { fused, .. } | Self::Linear { fused, .. } => Some(fused),
            _ => None,
        }
    }

    /// The same with nothing fused into it.
    pub(super) fn bare(&self) -> Self {
        let mut bare = self.clone();
        if let Self::Conv { fused, .. } | Self::Linear { fused, .. } = &mut bare {
            *fused = Fused::NOTHING;
        }
        bare
    }
}

impl Program {
    /// Compiles a network. The values of `observed` nodes stay available (see [`Workspace::activation`](super::Workspace)), and
    /// activations are touched at the `taps` (see [`Program::run_with`]), both at the price of what could have been fused.
    ///
    /// Any node may have an [`Output`](super::TapSide::Output) tap: the network's input and output, and nodes such as `flatten` that
    /// only show an earlier value in another shape; a tap there leaves the earlier node's other consumers alone. Neither
    /// observing nor tapping changes the bits of any value, except which of several NaNs it is.
    ///
    /// # Panics
    /// When `observed` or `taps` name a node that the network does not have, or an [`Input`](super::TapSide::Input) tap is on a
    /// node without inputs.
    pub fn compile(network: &Network, observed: &[NodeId], taps: &[Tap]) -> (Self, Weights) {
        compile(network, observed, taps, false)
    }

    /// [`compile`](Self::compile), for touches that store nothing: they change few values and leave all others as they are, bit for bit. What
    /// is fused stays fused; where a faulty run strikes within a step, the box around the struck values is taken out and finished alone.
    ///
    /// # Panics
    /// As [`compile`](Self::compile).
    pub fn compile_to_strike(network: &Network, observed: &[NodeId], taps: &[Tap]) -> (Self, Weights) {
        compile(network, observed, taps, true)
    }

    /// Number of values in the output for one image: classes.
    pub fn output_len(&self) -> usize {
        self.values[self.output].len
    }

    /// Number of values in one input.
    pub fn input_len(&self) -> usize {
        self.values[0].len
    }

    /// Number of steps: what fusion leaves of the nodes.
    pub fn step_count(&self) -> usize {
        self.steps.len()
    }

    /// Multiply-accumulates for one image of all steps before `step`: what starting there saves.
    pub fn cost_before(&self, step: StepId) -> u64 {
        self.steps[..step.0].iter().map(|step| step.cost).sum()
    }

    /// Multiply-accumulates for one image before what a tap of `step` touches: it is behind the step's own product.
    pub fn cost_before_taps(&self, step: StepId) -> u64 {
        self.cost_before(StepId(step.0 + 1))
    }

    /// Multiply-accumulates for one image of the whole network.
    pub fn cost(&self) -> u64 {
        self.cost_before(StepId(self.steps.len()))
    }

    /// The step that reads a parameter.
    pub fn step_of(&self, parameter: ParameterId) -> StepId {
        StepId(self.places[parameter.0].step)
    }

    /// The step that touches at a tap.
    ///
    /// # Panics
    /// When there is no such tap.
    pub fn step_of_tap(&self, tap: TapId) -> StepId {
        self.taps[tap.0]
    }

    /// Number of values for one image that a touch gets at a tap. Their shape is that of the node's output, or of its first
    /// input.
    ///
    /// # Panics
    /// When there is no such tap.
    pub fn tap_len(&self, tap: TapId) -> usize {
        self.values[self.steps[self.step_of_tap(tap).0].output].len
    }

    /// The values of one image that a touch gets at a tap, as channels, rows and columns: what an [`Extent`](super::Extent) there is
    /// a box in.
    ///
    /// # Panics
    /// When there is no such tap.
    pub fn tap_shape(&self, tap: TapId) -> [usize; 3] {
        self.values[self.steps[self.step_of_tap(tap).0].output].shape
    }

    /// Number of taps.
    pub fn tap_count(&self) -> usize {
        self.taps.len()
    }

    /// The bytes that every activation of one image takes together.
    pub fn recording_bytes_per_image(&self) -> usize {
        self.values.iter().map(|value| value.len * size_of::<f32>()).sum()
    }

    /// The bytes of one image that a strike within a step takes, for the largest step that has taps within.
    pub fn struck_bytes_per_image(&self) -> usize {
        let tapped = self.steps.iter().filter(|step| !step.taps.is_empty());
        tapped.map(|step| self.values[step.output].len * size_of::<f32>()).max().unwrap_or(0)
    }

    pub(super) fn value_of(&self, node: NodeId) -> Option<usize> {
        self.value_of[node.0]
    }
}

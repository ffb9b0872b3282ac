//! From a network to steps.

use std::collections::BTreeMap;
use std::sync::Arc;

use temper_kernels::{Activation, ConvShape, Isa, PackedWeights, PoolShape};

use super::arena::{self, Life};
use super::fusion::{Chain, Fuser, activation};
use super::movement::{Broadcast, Pad, Transpose};
use super::weights::{BatchNorm, Field, ParameterId, Place, StepWeights, Weights};
use crate::network::{Network, NodeId, Op, Padding2d, Pair};

/// A step's place in execution order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepId(pub usize);

/// A network compiled for running: immutable, shared between threads.
#[derive(Debug, Clone)]
pub struct Program {
    pub(super) steps: Vec<Step>,
    /// For each node, the value that holds its output; `None` where fusion left none.
    value_of: Vec<Option<usize>>,
    pub(super) values: Vec<Value>,
    pub(super) output: usize,
    places: Arc<[Place]>,
}

/// An activation that exists in memory while the program runs. Value 0 is the network's input.
#[derive(Debug, Clone)]
pub(super) struct Value {
    /// Number of elements for one image.
    pub(super) len: usize,
    /// The step that makes it; `None` for the input.
    pub(super) made: Option<usize>,
    /// The buffer it lies in when buffers are shared.
    pub(super) buffer: usize,
}

#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) op: StepOp,
    /// Multiply-accumulates for one image.
    cost: u64,
    pub(super) inputs: Vec<usize>,
    pub(super) output: usize,
}

#[derive(Debug, Clone)]
pub(super) enum StepOp {
    Conv {
        shape: ConvShape,
        residual: bool,
        activation: Activation,
    },
    Linear {
        residual: bool,
        activation: Activation,
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
}

impl Program {
    /// Compiles a network. The values of `observed` nodes stay available (see [`Workspace::activation`](super::Workspace)),
    /// at the price of what could have been fused.
    pub fn compile(network: &Network, observed: &[NodeId]) -> (Self, Weights) {
        let mut compiler = Compiler::new(network, observed);
        for id in (1..network.nodes().len()).map(NodeId) {
            compiler.add(id);
        }
        compiler.finish()
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

    /// Multiply-accumulates for one image of the whole network.
    pub fn cost(&self) -> u64 {
        self.cost_before(StepId(self.steps.len()))
    }

    /// The step that reads a parameter.
    pub fn step_of(&self, parameter: ParameterId) -> StepId {
        StepId(self.places[parameter.0].step)
    }

    /// The bytes that every activation of one image takes together.
    pub fn recording_bytes_per_image(&self) -> usize {
        self.values.iter().map(|value| value.len * size_of::<f32>()).sum()
    }

    pub(super) fn value_of(&self, node: NodeId) -> Option<usize> {
        self.value_of[node.0]
    }
}

/// What a node's step needs besides its place in the list.
struct Draft {
    op: StepOp,
    inputs: Vec<NodeId>,
    /// The node whose value it computes; steps run in this order.
    output: NodeId,
    /// The nodes whose parameters it holds.
    layer: Option<NodeId>,
    batch_norm: Option<NodeId>,
}

struct Compiler<'a> {
    network: &'a Network,
    fuser: Fuser<'a>,
    /// By output node.
    drafts: BTreeMap<usize, Draft>,
    /// For each node that is only another view of an earlier node's value, that node.
    view_of: Vec<Option<NodeId>>,
}

impl<'a> Compiler<'a> {
    fn new(network: &'a Network, observed: &[NodeId]) -> Self {
        let view_of = vec![None; network.nodes().len()];
        Self { network, fuser: Fuser::new(network, observed), drafts: BTreeMap::new(), view_of }
    }

    /// Drafts the step of one node, unless an earlier one has taken it.
    fn add(&mut self, id: NodeId) {
        if self.fuser.is_fused(id) {
            return;
        }
        let node = self.network.node(id);
        match node.op {
            Op::Flatten | Op::Reshape { .. } | Op::Dropout => self.view_of[id.0] = Some(node.inputs[0]),
            Op::Conv2d { .. } | Op::Linear { .. } => self.add_product(id),
            Op::BatchNorm { .. } => {
                let op = StepOp::BatchNorm { plane: self.network.shape(id)[1..].iter().product() };
                self.push(Draft {
                    op,
                    inputs: node.inputs.clone(),
                    output: id,
                    layer: None,
                    batch_norm: Some(id),
                });
            }
            Op::Constant { .. } => {
                let op = StepOp::Constant;
                self.push(Draft { op, inputs: Vec::new(), output: id, layer: Some(id), batch_norm: None });
            }
            _ => {
                let op = self.plain_op(id);
                self.push(Draft {
                    op,
                    inputs: node.inputs.clone(),
                    output: id,
                    layer: None,
                    batch_norm: None,
                });
            }
        }
    }

    fn push(&mut self, draft: Draft) {
        self.drafts.insert(draft.output.0, draft);
    }

    fn add_product(&mut self, id: NodeId) {
        let node = self.network.node(id);
        let Chain { batch_norm, residual, activation, last } = self.fuser.chain(id);
        let op = match node.op {
            Op::Conv2d { out_channels, kernel, stride, padding, dilation, groups, .. } => {
                let input = image(self.network.shape(node.inputs[0]));
                let shape = ConvShape {
                    input,
                    out_channels,
                    kernel: pair(kernel),
                    stride: pair(stride),
                    padding: sides(padding),
                    dilation: pair(dilation),
                    groups,
                };
                StepOp::Conv { shape, residual: residual.is_some(), activation }
            }
            _ => StepOp::Linear { residual: residual.is_some(), activation },
        };
        let inputs = node.inputs.iter().copied().chain(residual).collect();
        self.push(Draft { op, inputs, output: last, layer: Some(id), batch_norm });
    }

    /// The step of an operator without parameters.
    fn plain_op(&self, id: NodeId) -> StepOp {
        let node = self.network.node(id);
        let output = self.network.shape(id);
        let input = |i: usize| self.network.shape(node.inputs[i]);
        let pool = |kernel, stride, padding, dilation| {
            pool_shape(input(0), output, kernel, stride, padding, dilation)
        };
        let whole = || {
            let [_, h, w] = image(input(0));
            pool(Pair { height: h, width: w }, Pair::square(1), Padding2d::NONE, Pair::square(1))
        };
        match &node.op {
            &Op::MaxPool2d { kernel, stride, padding, dilation, .. } => {
                StepOp::MaxPool(pool(kernel, stride, padding, dilation))
            }
            &Op::AvgPool2d { kernel, stride, padding, count_include_pad, .. } => {
                StepOp::AvgPool { shape: pool(kernel, stride, padding, Pair::square(1)), count_include_pad }
            }
            Op::GlobalAvgPool => StepOp::AvgPool { shape: whole(), count_include_pad: false },
            Op::GlobalMaxPool => StepOp::MaxPool(whole()),
            Op::Add => StepOp::Add(Broadcast::new(input(0), input(1), output)),
            Op::Mul => StepOp::Mul(Broadcast::new(input(0), input(1), output)),
            Op::Concat { axis } => {
                StepOp::Concat((0..node.inputs.len()).map(|i| input(i)[*axis..].iter().product()).collect())
            }
            Op::Pad { before, value, .. } => StepOp::Pad(Pad::new(input(0), before, output, *value)),
            Op::Transpose { perm } => StepOp::Transpose(Transpose::new(input(0), perm)),
            Op::Softmax { axis } => {
                StepOp::Softmax { extent: output[*axis], inner: output[axis + 1..].iter().product() }
            }
            op => StepOp::Activation(activation(op).expect("every other operator was dealt with before")),
        }
    }

    /// The node whose step makes the value of `id`.
    fn origin(&self, mut id: NodeId) -> NodeId {
        while let Some(from) = self.view_of[id.0] {
            id = from;
        }
        id
    }

    fn finish(self) -> (Program, Weights) {
        let network = self.network;
        let mut values = vec![Value { len: network.input_shape().iter().product(), made: None, buffer: 0 }];
        let mut value_of: Vec<Option<usize>> = vec![None; network.nodes().len()];
        value_of[0] = Some(0);
        let mut steps = Vec::new();
        let mut step_weights = Vec::new();
        let mut places = BTreeMap::new();
        for draft in self.drafts.values() {
            let inputs = draft
                .inputs
                .iter()
                .map(|&input| value_of[self.origin(input).0].expect("a step's inputs are made before it"));
            let inputs = inputs.collect();
            value_of[draft.output.0] = Some(values.len());
            step_weights.push(pack(network, draft, steps.len(), &mut places));
            let len = network.shape(draft.output).iter().product();
            let cost = draft.layer.map_or(0, |layer| network.multiply_accumulates(layer));
            steps.push(Step { op: draft.op.clone(), cost, inputs, output: values.len() });
            values.push(Value { len, made: Some(steps.len() - 1), buffer: 0 });
        }
        for id in (0..network.nodes().len()).map(NodeId).filter(|id| self.view_of[id.0].is_some()) {
            value_of[id.0] = value_of[self.origin(id).0];
        }
        let output = value_of[network.output().0].expect("the output is never fused away");
        share_buffers(&steps, output, &mut values);
        let places: Arc<[Place]> = network.parameters().map(|(path, _)| places[&path]).collect();
        let weights = Weights { steps: step_weights, places: Arc::clone(&places) };
        (Program { steps, value_of, values, output, places }, weights)
    }
}

/// Packs the parameters of a step and notes where each went.
fn pack(network: &Network, draft: &Draft, step: usize, places: &mut BTreeMap<String, Place>) -> StepWeights {
    let mut weights = StepWeights::default();
    let mut take = |id: NodeId, suffix: &str, field: Field| {
        let path = format!("{}.{suffix}", network.node(id).name);
        let tensor = network.tensors().get(&path)?;
        places.insert(path, Place { step, field });
        Some(tensor.data())
    };
    if let Some(id) = draft.layer {
        if let Some(data) = take(id, "weight", Field::Product) {
            let (groups, rows) = match network.node(id).op {
                Op::Conv2d { out_channels, groups, .. } => (groups, out_channels / groups),
                Op::Linear { out_features, .. } => (1, out_features),
                _ => unreachable!("only convolutions and linear layers have a weight"),
            };
            let columns = data.len() / (groups * rows);
            weights.product = Some(PackedWeights::new(Isa::detect(), data, groups, rows, columns));
        }
        weights.bias = take(id, "bias", Field::Bias).map(<[f32]>::to_vec);
        weights.constant = take(id, "value", Field::Constant).map(<[f32]>::to_vec);
    }
    if let Some(id) = draft.batch_norm
        && let Op::BatchNorm { eps, .. } = network.node(id).op
    {
        let mut number = 0;
        let vectors = ["weight", "bias", "running_mean", "running_var"].map(|suffix| {
            let field = Field::BatchNorm(number);
            number += 1;
            take(id, suffix, field).expect("a network has all its parameters").to_vec()
        });
        weights.batch_norm = Some(BatchNorm::new(eps, vectors));
    }
    weights
}

/// Gives every value its buffer.
fn share_buffers(steps: &[Step], output: usize, values: &mut [Value]) {
    let mut lives: Vec<Life> = values.iter().map(|value| Life { made: value.made, last_read: 0 }).collect();
    for (i, step) in steps.iter().enumerate() {
        for &input in &step.inputs {
            lives[input].last_read = i;
        }
    }
    lives[output].last_read = usize::MAX;
    for (value, buffer) in values.iter_mut().zip(arena::assign(&lives)) {
        value.buffer = buffer;
    }
}

fn pair(pair: Pair) -> [usize; 2] {
    pair.into()
}

fn sides(padding: Padding2d) -> [usize; 4] {
    padding.into()
}

fn image(shape: &[usize]) -> [usize; 3] {
    shape.try_into().expect("checked when the network was made")
}

fn pool_shape(
    input: &[usize],
    output: &[usize],
    kernel: Pair,
    stride: Pair,
    padding: Padding2d,
    dilation: Pair,
) -> PoolShape {
    let ([_, h, w], [_, oh, ow]) = (image(input), image(output));
    PoolShape {
        input: [h, w],
        output: [oh, ow],
        kernel: pair(kernel),
        stride: pair(stride),
        padding: sides(padding),
        dilation: pair(dilation),
    }
}

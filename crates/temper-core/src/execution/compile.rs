//! From a network to steps.

use std::collections::BTreeMap;
use std::sync::Arc;

use temper_kernels::{Isa, PackedWeights};

use super::arena::{self, Life};
use super::fusion::{Chain, Fuser, activation};
use super::movement::{Broadcast, Pad, Transpose};
use super::program::{Program, Stage, Step, StepId, StepOp, Value};
use super::taps::{Tap, TapId};
use super::weights::{BatchNorm, Field, Place, StepWeights, Weights};
use crate::network::{Network, NodeId, Op};

/// See [`Program::compile`].
pub(super) fn compile(
    network: &Network,
    observed: &[NodeId],
    taps: &[Tap],
    within: bool,
) -> (Program, Weights) {
    let nodes = || (0..network.nodes().len()).map(NodeId);
    let mut drafter =
        Drafter { network, fuser: Fuser::new(network, observed, taps, within), drafts: BTreeMap::new() };
    for id in nodes() {
        drafter.add(id);
    }
    let mut assembly = Assembly::new(network, taps, within);
    for id in nodes() {
        assembly.add(id, drafter.drafts.get(&id));
    }
    assembly.finish()
}

/// What a step needs besides its place in the list.
struct Draft {
    op: StepOp,
    /// The first node it computes, whose inputs it reads.
    node: NodeId,
    /// Read after those inputs.
    residual: Option<NodeId>,
    /// The node whose batch norm it computes.
    batch_norm: Option<NodeId>,
    /// The nodes of a product, by what they are to it.
    nodes: Vec<(Stage, NodeId)>,
}

impl Draft {
    fn new(op: StepOp, node: NodeId) -> Self {
        Self { op, node, residual: None, batch_norm: None, nodes: Vec::new() }
    }
}

/// Decides which nodes run as one step.
struct Drafter<'a> {
    network: &'a Network,
    fuser: Fuser<'a>,
    /// By the last node computed: steps run in this order.
    drafts: BTreeMap<NodeId, Draft>,
}

/// Whether a node only shows its input's values in another shape.
fn is_view(op: &Op) -> bool {
    matches!(op, Op::Flatten | Op::Reshape { .. } | Op::Dropout)
}

impl Drafter<'_> {
    /// Drafts the step of one node, unless it needs none or an earlier one has taken it.
    fn add(&mut self, id: NodeId) {
        let op = &self.network.node(id).op;
        if self.fuser.is_fused(id) || is_view(op) {
            return;
        }
        match op {
            Op::Input { .. } => {}
            Op::Conv2d { .. } | Op::Linear { .. } => self.add_product(id),
            Op::BatchNorm { .. } => {
                let op = StepOp::BatchNorm { plane: self.network.shape(id)[1..].iter().product() };
                self.drafts.insert(id, Draft { batch_norm: Some(id), ..Draft::new(op, id) });
            }
            _ => {
                let op = self.plain_op(id);
                self.drafts.insert(id, Draft::new(op, id));
            }
        }
    }

    fn add_product(&mut self, id: NodeId) {
        let chain = self.fuser.chain(id);
        let (last, fused) = (chain.last(), chain.fused());
        let rows = |shape: &[usize]| shape[..shape.len() - 1].iter().product();
        let op = match self.network.convolution(id) {
            Some(shape) => StepOp::Conv { shape, fused, tile: 1 },
            None => StepOp::Linear { fused, rows: rows(self.network.shape(id)) },
        };
        let Chain { batch_norm, residual, nodes, .. } = chain;
        self.drafts.insert(last, Draft { op, node: id, residual, batch_norm, nodes });
    }

    /// The step of an operator without parameters.
    fn plain_op(&self, id: NodeId) -> StepOp {
        let node = self.network.node(id);
        let output = self.network.shape(id);
        let input = |i: usize| self.network.shape(node.inputs[i]);
        let pool = || self.network.pooling(id).expect("a pooling operator");
        match &node.op {
            Op::MaxPool2d { .. } | Op::GlobalMaxPool => StepOp::MaxPool(pool()),
            &Op::AvgPool2d { count_include_pad, .. } => StepOp::AvgPool { shape: pool(), count_include_pad },
            Op::GlobalAvgPool => StepOp::AvgPool { shape: pool(), count_include_pad: false },
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
            Op::Constant { .. } => StepOp::Constant,
            op => StepOp::Activation(activation(op).expect("every other operator was dealt with before")),
        }
    }
}

/// Lays steps and the values they make out in execution order.
struct Assembly<'a> {
    network: &'a Network,
    /// The taps at each place, in the order given.
    taps: BTreeMap<Tap, Vec<TapId>>,
    /// Whether taps may lie within steps.
    within: bool,
    tap_steps: Vec<StepId>,
    steps: Vec<Step>,
    step_weights: Vec<StepWeights>,
    places: BTreeMap<String, Place>,
    values: Vec<Value>,
    /// For each node, the value its consumers read.
    value_of: Vec<Option<usize>>,
    /// The first input of nodes that read a touched copy of it.
    own_input: BTreeMap<NodeId, usize>,
}

impl<'a> Assembly<'a> {
    fn new(network: &'a Network, taps: &[Tap], within: bool) -> Self {
        let mut taps_at: BTreeMap<Tap, Vec<TapId>> = BTreeMap::new();
        for (number, &tap) in taps.iter().enumerate() {
            taps_at.entry(tap).or_default().push(TapId(number));
        }
        let mut value_of = vec![None; network.nodes().len()];
        value_of[0] = Some(0);
        Self {
            network,
            taps: taps_at,
            within,
            tap_steps: vec![StepId(0); taps.len()],
            steps: Vec::new(),
            step_weights: Vec::new(),
            places: BTreeMap::new(),
            values: vec![Value::new(network.input_shape(), None)],
            value_of,
            own_input: BTreeMap::new(),
        }
    }

    /// Adds the steps whose last node is `id`: the taps before it, its own, and the taps behind it.
    fn add(&mut self, id: NodeId, draft: Option<&Draft>) {
        let node = self.network.node(id);
        if let Some(taps) = self.taps.remove(&Tap::input(id)) {
            assert!(!node.inputs.is_empty(), "node {} has no input to tap", node.name);
            let copy = self.push_tap(taps, self.read(node.inputs[0]));
            self.own_input.insert(id, copy);
        }
        if let Some(draft) = draft {
            self.value_of[id.0] = Some(self.push_draft(id, draft));
        } else if is_view(&node.op) {
            let own = self.own_input.get(&id).copied();
            self.value_of[id.0] = Some(own.unwrap_or_else(|| self.read(node.inputs[0])));
        }
        // Of a fused node, they are left for the step that it is part of.
        if let Some(value) = self.value_of[id.0]
            && let Some(taps) = self.taps.remove(&Tap::output(id))
        {
            self.value_of[id.0] = Some(self.push_tap(taps, value));
        }
    }

    /// The value that consumers of a node read.
    fn read(&self, node: NodeId) -> usize {
        self.value_of[node.0].expect("a step's inputs are made before it")
    }

    fn push_draft(&mut self, last: NodeId, draft: &Draft) -> usize {
        let network = self.network;
        let inputs = network.node(draft.node).inputs.iter().copied().chain(draft.residual);
        let mut inputs: Vec<usize> = inputs.map(|input| self.read(input)).collect();
        if let Some(&own) = self.own_input.get(&draft.node) {
            inputs[0] = own;
        }
        let weights = pack(network, draft, self.steps.len(), &mut self.places);
        let value = Value::new(network.shape(last), Some(self.steps.len()));
        let taps = self.taps_within(draft);
        let cost = network.multiply_accumulates(draft.node);
        let output = self.push(draft.op.clone(), cost, inputs, weights, value);
        self.steps.last_mut().expect("just pushed").taps = taps;
        output
    }

    /// The taps on nodes of a product that is about to be pushed.
    fn taps_within(&mut self, draft: &Draft) -> Vec<(Stage, TapId)> {
        let mut within = Vec::new();
        for &(stage, node) in draft.nodes.iter().filter(|_| self.within) {
            for tap in self.taps.remove(&Tap::output(node)).into_iter().flatten() {
                self.tap_steps[tap.0] = StepId(self.steps.len());
                within.push((stage, tap));
            }
        }
        within
    }

    /// A touched copy of `value`: a step of its own, so that the untouched value is there to start from again.
    fn push_tap(&mut self, taps: Vec<TapId>, value: usize) -> usize {
        for tap in &taps {
            self.tap_steps[tap.0] = StepId(self.steps.len());
        }
        let copy = Value { made: Some(self.steps.len()), ..self.values[value].clone() };
        self.push(StepOp::Tap(taps), 0, vec![value], StepWeights::default(), copy)
    }

    fn push(
        &mut self,
        op: StepOp,
        cost: u64,
        inputs: Vec<usize>,
        weights: StepWeights,
        value: Value,
    ) -> usize {
        let output = self.values.len();
        self.values.push(value);
        self.steps.push(Step { op, cost, inputs, output, taps: Vec::new() });
        self.step_weights.push(weights);
        output
    }

    fn finish(mut self) -> (Program, Weights) {
        let output = self.read(self.network.output());
        share_buffers(&self.steps, output, &mut self.values);
        let places: Arc<[Place]> = self.network.parameters().map(|(path, _)| self.places[&path]).collect();
        let weights = Weights { steps: self.step_weights, places: Arc::clone(&places) };
        let Self { steps, value_of, values, tap_steps: taps, .. } = self;
        (Program { steps, value_of, values, output, places, taps }, weights)
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
    let node = draft.node;
    if draft.batch_norm != Some(node) {
        if let Some(data) = take(node, "weight", Field::Product) {
            let (groups, rows) = match network.node(node).op {
                Op::Conv2d { out_channels, groups, .. } => (groups, out_channels / groups),
                Op::Linear { out_features, .. } => (1, out_features),
                _ => unreachable!("only convolutions and linear layers have a weight"),
            };
            let columns = data.len() / (groups * rows);
            weights.product = Some(PackedWeights::new(Isa::detect(), data, groups, rows, columns));
        }
        weights.bias = take(node, "bias", Field::Bias).map(<[f32]>::to_vec);
        weights.constant = take(node, "value", Field::Constant).map(<[f32]>::to_vec);
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

/// Finds how long every value is needed, and gives it its buffer.
fn share_buffers(steps: &[Step], output: usize, values: &mut [Value]) {
    for (i, step) in steps.iter().enumerate() {
        for &input in &step.inputs {
            values[input].last_read = i;
        }
    }
    values[output].last_read = usize::MAX;
    let lives: Vec<Life> =
        values.iter().map(|value| Life { made: value.made, last_read: value.last_read }).collect();
    for (value, buffer) in values.iter_mut().zip(arena::assign(&lives)) {
        value.buffer = buffer;
    }
}

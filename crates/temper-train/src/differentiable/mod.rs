//! A network as a differentiable function of its parameters.
//!
//! Burn records the computation and runs it backwards; activations are `[images, values]`, parameters `[values]`, whatever shape
//! their layers give them. Parameters live on the host ([`Parameters`]): what storage, quantisation and faults make of them is
//! computed there, by `temper-core`, once for training and for evaluation.

mod cpu;
mod generic;
mod parameters;
mod places;

use std::borrow::Cow;
use std::collections::BTreeMap;

use burn::tensor::{Device, Gradients as Recorded, Int, Tensor, TensorData};
use temper_core::execution::{Tap, TapSide};
use temper_core::network::{Network, NodeId, Op};

pub use parameters::{ParameterInfo, Parameters};

use generic::Function;

/// Which statistics batch norms normalise by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statistics {
    /// Those of the batch, as in training.
    Batch,
    /// The running ones, as in inference.
    Running,
}

/// Reads the activations of a batch at a tap, and may change them.
///
/// **Shapes**: values `[images, …shape]`; the first argument is the tap's place in [`Pass::taps`].
pub type Touch<'a> = dyn Fn(usize, &mut [f32]) -> Touched + 'a;

/// How gradients go through what was done at a tap.
///
/// **Shapes**: as the values touched.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Touched {
    /// What the gradient of each value is multiplied with; `None` for one.
    pub factors: Option<Vec<f32>>,
    /// The derivative of each value with respect to the step of the tap's grid, if that is to have a gradient.
    pub step: Option<Vec<f32>>,
}

/// How the forward pass is to be made.
pub struct Pass<'a> {
    /// Which statistics batch norms normalise by.
    pub statistics: Statistics,
    /// Parameters that layers compute with while the backward pass goes through those given: a hook that replaces a layer's forward
    /// pass only. By their places in [`Parameters`].
    pub hooked: &'a BTreeMap<usize, Vec<f32>>,
    /// Where activations are touched.
    pub taps: &'a [Tap],
    /// What is done there.
    pub touch: &'a Touch<'a>,
    /// Nodes whose outputs are kept.
    pub observed: &'a [NodeId],
}

impl Pass<'_> {
    /// Nothing but the network's own arithmetic.
    pub fn plain(statistics: Statistics) -> Pass<'static> {
        static NONE: BTreeMap<usize, Vec<f32>> = BTreeMap::new();
        Pass { statistics, hooked: &NONE, taps: &[], touch: &|_, _| Touched::default(), observed: &[] }
    }
}

/// The mean and variance of each channel that a batch norm saw.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchMoments {
    /// The batch norm's node.
    pub node: NodeId,
    /// Values of each channel in the batch.
    pub count: usize,
    /// Mean of each channel.
    pub mean: Vec<f32>,
    /// Variance of each channel, divided by `count`.
    pub variance: Vec<f32>,
}

/// What a forward pass made.
pub struct Forward {
    /// The network's outputs, `[images, classes]`.
    pub logits: Tensor<2>,
    /// What batch norms saw, if they normalised by the batch.
    pub moments: Vec<BatchMoments>,
    /// The outputs of the observed nodes, in their order.
    pub observed: Vec<Tensor<2>>,
    /// The parameters on the device.
    leaves: Vec<Tensor<1>>,
    /// By tap, what stands for a change of its grid's step: zero.
    steps: Vec<Option<Tensor<1>>>,
}

/// The gradients of a loss, on the host.
#[derive(Debug, Clone, PartialEq)]
pub struct Gradients {
    /// Of every parameter, if it wants one and the loss depends on it.
    pub parameters: Vec<Option<Vec<f32>>>,
    /// Of the step of every tap's grid, if it wants one.
    pub steps: Vec<Option<f32>>,
}

impl Forward {
    /// The network's outputs, on the host, `[images, classes]`.
    pub fn logits_on_host(&self) -> Vec<f32> {
        generic::host(self.logits.clone().detach())
    }

    /// The parameters it was made with. They are not copied once gradients are made, for then nothing else holds them.
    pub fn into_parameters(self) -> Vec<Vec<f32>> {
        self.leaves.into_iter().map(|leaf| generic::host(leaf.detach())).collect()
    }

    /// The gradients of a loss.
    pub fn gradients(&self, loss: &Tensor<1>) -> Gradients {
        let mut recorded = loss.backward();
        let parameters = self.leaves.iter().map(|leaf| take(leaf, &mut recorded)).collect();
        let step = |leaf: &Option<Tensor<1>>| Some(take(leaf.as_ref()?, &mut recorded)?[0]);
        Gradients { parameters, steps: self.steps.iter().map(step).collect() }
    }
}

/// A leaf's gradient, on the host.
fn take(leaf: &Tensor<1>, gradients: &mut Recorded) -> Option<Vec<f32>> {
    leaf.is_require_grad().then(|| leaf.grad_remove(gradients).map(generic::host)).flatten()
}

/// A network as a differentiable function on a device.
pub struct Differentiable {
    network: Network,
    /// For each node, the places of its parameters.
    parameters: Vec<Vec<usize>>,
    /// Whether a ReLU is all that reads a node.
    rectified: Vec<bool>,
    device: Device,
    /// Whether the operators of `cpu` compute, where there are any.
    on_cpu: bool,
}

impl Differentiable {
    /// A network's function; its parameters' values are not used.
    pub fn new(network: &Network, device: &Device) -> Self {
        let mut parameters = vec![Vec::new(); network.nodes().len()];
        for (index, (_, parameter)) in network.parameters().enumerate() {
            parameters[parameter.node.0].push(index);
        }
        let device = device.clone().autodiff();
        let on_cpu = cpu::is_cpu(&device);
        if on_cpu {
            cpu::keep_memory();
        }
        Self { network: network.clone(), parameters, rectified: rectified(network), device, on_cpu }
    }

    /// The same by Burn's own operators only: what other devices compute.
    #[must_use]
    pub fn by_burn(mut self) -> Self {
        self.on_cpu = false;
        self
    }

    /// A batch of inputs or of anything else on the device.
    ///
    /// **Shapes**: `values` `[images, width]`.
    pub fn upload(&self, values: Vec<f32>, images: usize) -> Tensor<2> {
        let width = values.len() / images.max(1);
        Tensor::from_data(TensorData::new(values, [images, width]), &self.device)
    }

    /// Labels on the device.
    fn labels(&self, labels: &[u8]) -> Tensor<1, Int> {
        let labels: Vec<i64> = labels.iter().map(|&label| i64::from(label)).collect();
        let count = labels.len();
        Tensor::from_data(TensorData::new(labels, [count]), &self.device)
    }

    /// Runs a batch forwards. `wanted` says which parameters get gradients; parameters that are lent are copied, others are given back by
    /// [`Forward::into_parameters`].
    ///
    /// **Shapes**: `input` `[images, …input shape]`; `parameters` as [`Parameters::values`].
    pub fn forward<'p>(
        &self,
        parameters: impl Into<Cow<'p, [Vec<f32>]>>,
        wanted: &[bool],
        input: &Tensor<2>,
        pass: &Pass<'_>,
    ) -> Forward {
        let leaves = parameters.into().into_owned().into_iter().zip(wanted).map(|(values, &wanted)| {
            let leaf = self.vector(values);
            if wanted { leaf.require_grad() } else { leaf }
        });
        let (leaves, steps) = (leaves.collect(), vec![None; pass.taps.len()]);
        let mut run = Run { function: self, pass, leaves, steps, values: Vec::new(), moments: Vec::new() };
        for id in (0..self.network.nodes().len()).map(NodeId) {
            let value = if id.0 == 0 { input.clone() } else { run.node(id) };
            let value = run.touch(Tap::output(id), value);
            run.values.push(value);
        }
        let logits = run.values[self.network.output().0].clone();
        let observed = pass.observed.iter().map(|node| run.values[node.0].clone()).collect();
        Forward { logits, moments: run.moments, observed, leaves: run.leaves, steps: run.steps }
    }

    /// The mean cross-entropy of softmax over a batch; `smoothing` is the share of the target that is spread over all classes.
    ///
    /// **Shapes**: `labels` `[images]` → `[1]`.
    pub fn cross_entropy(&self, forward: &Forward, labels: &[u8], smoothing: f32) -> Tensor<1> {
        let logits = forward.logits.clone();
        if self.on_cpu {
            return cpu::cross_entropy(logits, labels, smoothing);
        }
        generic::cross_entropy(logits, self.labels(labels), smoothing)
    }

    fn vector(&self, values: Vec<f32>) -> Tensor<1> {
        let len = values.len();
        Tensor::from_data(TensorData::new(values, [len]), &self.device)
    }
}

/// A forward pass on its way.
struct Run<'a> {
    function: &'a Differentiable,
    pass: &'a Pass<'a>,
    leaves: Vec<Tensor<1>>,
    steps: Vec<Option<Tensor<1>>>,
    /// The outputs of the nodes so far.
    values: Vec<Tensor<2>>,
    moments: Vec<BatchMoments>,
}

impl Run<'_> {
    /// The output of a node.
    fn node(&mut self, id: NodeId) -> Tensor<2> {
        let network = &self.function.network;
        let node = network.node(id);
        let mut inputs: Vec<Tensor<2>> =
            node.inputs.iter().map(|input| self.values[input.0].clone()).collect();
        if let Some(first) = inputs.first_mut() {
            *first = self.touch(Tap::input(id), first.clone());
        }
        let parameters = &self.function.parameters[id.0];
        let own = parameters.iter().map(|&parameter| self.leaves[parameter].clone()).collect();
        let clean = self.operator(id, inputs.clone(), own);
        if parameters.iter().all(|parameter| !self.pass.hooked.contains_key(parameter)) {
            return clean;
        }
        let instead = |&parameter: &usize| match self.pass.hooked.get(&parameter) {
            Some(values) => self.function.vector(values.clone()),
            None => self.leaves[parameter].clone().detach(),
        };
        let own = parameters.iter().map(instead).collect();
        let known = self.moments.len();
        let struck = self.operator(id, inputs.into_iter().map(Tensor::detach).collect(), own);
        self.moments.truncate(known);
        generic::replace(clean, struck.detach())
    }

    /// Does what is to be done at a tap.
    fn touch(&mut self, tap: Tap, value: Tensor<2>) -> Tensor<2> {
        let (function, mut value) = (self.function, value);
        for (place, _) in self.pass.taps.iter().enumerate().filter(|(_, at)| **at == tap) {
            let [images, width] = value.dims();
            let mut values = generic::host(value.clone().detach());
            let Touched { factors, step } = (self.pass.touch)(place, &mut values);
            let mut seen = match factors {
                Some(factors) => value * function.upload(factors, images),
                None => value,
            };
            if let Some(derivatives) = step {
                let change = function.vector(vec![0.0]).require_grad();
                seen = seen + function.upload(derivatives, images) * change.clone().reshape([1, 1]);
                self.steps[place] = Some(change);
            }
            debug_assert_eq!(values.len(), images * width, "a touch keeps the number of values");
            value = generic::replace(seen, function.upload(values, images));
        }
        value
    }

    /// Whether a node's operator is computed together with the ReLU behind it.
    fn rectifies(&self, id: NodeId) -> bool {
        let is_able = match self.function.network.node(id).op {
            Op::Linear { .. } => true,
            Op::BatchNorm { .. } => self.pass.statistics == Statistics::Batch,
            _ => false,
        };
        let is_hooked = |parameter| self.pass.hooked.contains_key(parameter);
        let hooked = self.function.parameters[id.0].iter().any(is_hooked);
        self.function.on_cpu && is_able && !hooked && self.function.rectified[id.0] && self.is_untouched(id)
    }

    /// Whether nobody looks at a node's output but the one node that reads it.
    fn is_untouched(&self, id: NodeId) -> bool {
        let reads = |tap: &Tap| match tap.side {
            TapSide::Output => tap.node == id,
            TapSide::Input => self.function.network.node(tap.node).inputs.first() == Some(&id),
        };
        !self.pass.observed.contains(&id) && !self.pass.taps.iter().any(reads)
    }

    /// Applies a node's operator to inputs, with the given parameters.
    fn operator(&mut self, id: NodeId, mut inputs: Vec<Tensor<2>>, parameters: Vec<Tensor<1>>) -> Tensor<2> {
        let network = &self.function.network;
        let node = network.node(id);
        let output = network.shape(id);
        let shape = |i: usize| network.shape(node.inputs[i]);
        if let Some(pool) = network.pooling(id) {
            let (channels, x) = (shape(0)[0], inputs.swap_remove(0));
            let count_padding = matches!(node.op, Op::AvgPool2d { count_include_pad: true, .. });
            return match (&node.op, self.function.on_cpu) {
                (Op::MaxPool2d { .. } | Op::GlobalMaxPool, true) => cpu::max_pool(&pool, x),
                (Op::MaxPool2d { .. } | Op::GlobalMaxPool, false) => generic::max_pool(&pool, channels, x),
                (_, true) => cpu::avg_pool(&pool, count_padding, x),
                (_, false) => generic::avg_pool(&pool, count_padding, channels, x),
            };
        }
        let mut parameters = parameters.into_iter();
        let mut parameter = || parameters.next();
        match &node.op {
            Op::Constant { .. } => {
                let images = self.values[0].dims()[0];
                let value = parameter().expect("a constant has its value");
                let width = value.dims()[0];
                value.reshape([1, width]).expand([images, width])
            }
            Op::Conv2d { .. } => {
                let shape = network.convolution(id).expect("a convolution has its geometry");
                let weight = parameter().expect("a convolution has weights");
                let convolution = if self.function.on_cpu { cpu::convolution } else { generic::convolution };
                convolution(&shape, inputs.swap_remove(0), weight, parameter())
            }
            Op::Linear { in_features, out_features, .. } => {
                let weight = parameter().expect("a linear layer has weights");
                let (x, bias, features) = (inputs.swap_remove(0), parameter(), [*out_features, *in_features]);
                if self.function.on_cpu {
                    cpu::linear(features, self.rectifies(id), x, weight, bias)
                } else {
                    generic::linear(features, x, weight, bias)
                }
            }
            Op::BatchNorm { num_features, eps } => {
                let own = [(); 4].map(|()| parameter().expect("a batch norm has four vectors"));
                self.batch_norm(id, *num_features, *eps, inputs.swap_remove(0), own)
            }
            Op::Add | Op::Mul => {
                let b = stretched(shape(1), output, inputs.swap_remove(1));
                let a = stretched(shape(0), output, inputs.swap_remove(0));
                if matches!(node.op, Op::Add) { a + b } else { a * b }
            }
            Op::Concat { axis } => generic::concat(*axis, (0..inputs.len()).map(shape), inputs),
            Op::Pad { before, value, .. } => {
                generic::gather(&places::pad(shape(0), before, output), *value, inputs.swap_remove(0))
            }
            Op::Transpose { perm } => {
                generic::gather(&places::transpose(shape(0), perm, output), 0.0, inputs.swap_remove(0))
            }
            Op::Softmax { axis } => {
                let [outer, inner] =
                    [&output[..*axis], &output[axis + 1..]].map(|part| part.iter().product());
                generic::softmax_along([outer, output[*axis], inner], inputs.swap_remove(0))
            }
            Op::Relu if self.rectifies(node.inputs[0]) => inputs.swap_remove(0),
            Op::Relu if self.function.on_cpu => cpu::relu(inputs.swap_remove(0)),
            op => match function(op) {
                Some(function) => generic::apply(function, inputs.swap_remove(0)),
                None => inputs.swap_remove(0),
            },
        }
    }

    fn batch_norm(
        &mut self,
        node: NodeId,
        channels: usize,
        eps: f32,
        x: Tensor<2>,
        parameters: [Tensor<1>; 4],
    ) -> Tensor<2> {
        if self.pass.statistics == Statistics::Running {
            return generic::batch_norm_by(eps, x, parameters);
        }
        let [images, values] = x.dims();
        let [weight, bias, ..] = parameters;
        let made = if self.function.on_cpu {
            cpu::batch_norm_by_batch(channels, eps, self.rectifies(node), x, weight, bias)
        } else {
            generic::batch_norm_by_batch(channels, eps, x, weight, bias)
        };
        let count = images * values / channels;
        self.moments.push(BatchMoments { node, count, mean: made.mean, variance: made.variance });
        made.output
    }
}

/// For each node, whether a ReLU is all that reads it.
fn rectified(network: &Network) -> Vec<bool> {
    let mut readers = vec![Vec::new(); network.nodes().len()];
    for node in network.nodes() {
        for input in &node.inputs {
            readers[input.0].push(&node.op);
        }
    }
    let output = network.output();
    let only_relu =
        |(id, readers): (usize, &Vec<&Op>)| output != NodeId(id) && matches!(readers[..], [Op::Relu]);
    readers.iter().enumerate().map(only_relu).collect()
}

/// `x` of shape `own`, stretched to `output`.
fn stretched(own: &[usize], output: &[usize], x: Tensor<2>) -> Tensor<2> {
    if own == output { x } else { generic::gather(&places::broadcast(own, output), 0.0, x) }
}

/// The function of single values that an operator is; `None` for those that only show their input in another shape.
fn function(op: &Op) -> Option<Function> {
    match *op {
        Op::Relu => Some(Function::Relu),
        Op::LeakyRelu { negative_slope } => Some(Function::LeakyRelu(negative_slope)),
        Op::Clip { min, max } => Some(Function::Clip(min, max)),
        Op::Sigmoid => Some(Function::Sigmoid),
        Op::Tanh => Some(Function::Tanh),
        _ => None,
    }
}

//! A network as a differentiable function of its parameters.
//!
//! Burn records the computation and runs it backwards; activations are `[images, values]`, parameters `[values]`, whatever shape
//! their layers give them. Parameters live on the host ([`Parameters`]): what storage, quantisation and faults make of them is
//! computed there, by `temper-core`, once for training and for evaluation.

mod cpu;
mod generic;
mod parameters;
mod places;
mod run;

use std::borrow::Cow;
use std::collections::BTreeMap;

use burn::tensor::{Device, Gradients as Recorded, Int, Tensor, TensorData};
use temper_core::execution::Tap;
use temper_core::hardware::SeenWeights;
use temper_core::network::{Network, NodeId, Op};

pub use parameters::{BATCH_NORM_MOMENTUM, ParameterInfo, Parameters};

use run::Run;

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
/// **Shapes**: values `[images, …shape]`; the first argument is the tap's place in [`Pass::taps`], the last says whether a gradient goes
/// through the values.
pub type Touch<'a> = dyn Fn(usize, &mut [f32], bool) -> Touched + 'a;

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

/// Computes a layer's outputs in its place.
///
/// **Shapes**: inputs `[images, …shape]`.
pub type Replace<'a> = dyn Fn(NodeId, &[f32]) -> Replacement + 'a;

/// What a layer's outputs become, while the backward pass goes through the layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Replacement {
    /// The outputs, `[images, …shape]`.
    pub outputs: Vec<f32>,
    /// The layer's weights as the backward pass sees them; `None` for the layer's own gradient.
    pub weights: Option<SeenWeights>,
}

/// How the forward pass is to be made.
pub struct Pass<'a> {
    /// Which statistics batch norms normalise by.
    pub statistics: Statistics,
    /// Parameters that layers compute with while the backward pass goes through those given: a hook that replaces a layer's forward
    /// pass only. By their places in [`Parameters`].
    pub hooked: &'a BTreeMap<usize, Vec<f32>>,
    /// Layers whose outputs something else computes.
    pub replaced: &'a [NodeId],
    /// What computes them.
    pub replace: &'a Replace<'a>,
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
        Pass {
            statistics,
            hooked: &NONE,
            replaced: &[],
            replace: &|_, _| Replacement { outputs: Vec::new(), weights: None },
            taps: &[],
            touch: &|_, _, _| Touched::default(),
            observed: &[],
        }
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
        let (values, tracked, moments) = (Vec::new(), Vec::new(), Vec::new());
        let mut run = Run { function: self, pass, leaves, steps, values, tracked, moments };
        for id in (0..self.network.nodes().len()).map(NodeId) {
            let value = if id.0 == 0 { input.clone() } else { run.node(id) };
            run.track(id, wanted);
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

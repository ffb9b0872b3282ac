//! A forward pass, node by node.

use burn::tensor::Tensor;
use temper_core::execution::{Tap, TapSide};
use temper_core::hardware::SeenWeights;
use temper_core::network::{NodeId, Op};

use super::generic::Function;
use super::{BatchMoments, Differentiable, Pass, Replacement, Statistics, Touched, cpu, generic, places};

/// A forward pass on its way.
pub(super) struct Run<'a> {
    pub(super) function: &'a Differentiable,
    pub(super) pass: &'a Pass<'a>,
    pub(super) leaves: Vec<Tensor<1>>,
    pub(super) steps: Vec<Option<Tensor<1>>>,
    /// The outputs of the nodes so far.
    pub(super) values: Vec<Tensor<2>>,
    /// Whether a gradient goes through them.
    pub(super) tracked: Vec<bool>,
    pub(super) moments: Vec<BatchMoments>,
}

impl Run<'_> {
    /// The output of a node.
    pub(super) fn node(&mut self, id: NodeId) -> Tensor<2> {
        let network = &self.function.network;
        let node = network.node(id);
        let mut inputs: Vec<Tensor<2>> =
            node.inputs.iter().map(|input| self.values[input.0].clone()).collect();
        if let Some(first) = inputs.first_mut() {
            *first = self.touch(Tap::input(id), first.clone());
        }
        let parameters = &self.function.parameters[id.0];
        let mut own: Vec<Tensor<1>> =
            parameters.iter().map(|&parameter| self.leaves[parameter].clone()).collect();
        if self.pass.replaced.contains(&id) {
            let images = inputs[0].dims()[0];
            let seen = generic::host(inputs[0].clone().detach());
            let Replacement { outputs, weights } = (self.pass.replace)(id, &seen);
            match weights {
                Some(SeenWeights::Scaled(by)) => own[0] = own[0].clone() * self.function.vector(by),
                Some(SeenWeights::Shifted(by)) => own[0] = own[0].clone() + self.function.vector(by),
                None => {}
            }
            let clean = self.operator(id, inputs, own);
            return generic::replace(clean, self.function.upload(outputs, images));
        }
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

    /// Notes whether a gradient goes through a node's output.
    pub(super) fn track(&mut self, id: NodeId, wanted: &[bool]) {
        let inputs = &self.function.network.node(id).inputs;
        let of_inputs = inputs.iter().any(|input| self.tracked[input.0]);
        let of_parameters = self.function.parameters[id.0].iter().any(|&parameter| wanted[parameter]);
        self.tracked.push(of_inputs || of_parameters);
    }

    /// Does what is to be done at a tap.
    pub(super) fn touch(&mut self, tap: Tap, value: Tensor<2>) -> Tensor<2> {
        let (function, mut value) = (self.function, value);
        for (place, _) in self.pass.taps.iter().enumerate().filter(|(_, at)| **at == tap) {
            let [images, width] = value.dims();
            let mut values = generic::host(value.clone().detach());
            let source = match tap.side {
                TapSide::Output => tap.node,
                TapSide::Input => function.network.node(tap.node).inputs[0],
            };
            let Touched { factors, step } = (self.pass.touch)(place, &mut values, self.tracked[source.0]);
            let mut seen = match factors {
                Some(factors) => value * function.upload(factors, images),
                None => value,
            };
            if let Some(derivatives) = step {
                let change = function.vector(vec![0.0]).require_grad();
                seen = seen + function.upload(derivatives, images) * change.clone().reshape([1, 1]);
                self.steps[place] = Some(change);
                self.tracked[source.0] = true;
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
        let stays = self.pass.replaced.contains(&id) || self.function.parameters[id.0].iter().any(is_hooked);
        self.function.on_cpu && is_able && !stays && self.function.rectified[id.0] && self.is_untouched(id)
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

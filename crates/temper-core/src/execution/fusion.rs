//! Which nodes run as one step.

use temper_kernels::Activation;

use super::program::{Fused, Stage};
use super::taps::{Tap, TapSide};
use crate::network::{Network, NodeId, Op};

/// A convolution or linear layer with what is fused into it: batch norm, residual addition, activation, in this order, each
/// optional.
#[derive(Debug, Clone)]
pub(super) struct Chain {
    pub(super) batch_norm: Option<NodeId>,
    /// The other operand of the addition.
    pub(super) residual: Option<NodeId>,
    pub(super) activation: Activation,
    /// All of them, in execution order; the last is the one whose value the step computes.
    pub(super) nodes: Vec<(Stage, NodeId)>,
}

impl Chain {
    /// The node whose value the step computes.
    pub(super) fn last(&self) -> NodeId {
        self.nodes.last().expect("it begins with a product").1
    }

    pub(super) fn fused(&self) -> Fused {
        Fused {
            batch_norm: self.batch_norm.is_some(),
            residual: self.residual.is_some(),
            activation: self.activation,
        }
    }
}

/// The activation that a node is, if it is one.
pub(super) fn activation(op: &Op) -> Option<Activation> {
    Some(match *op {
        Op::Relu => Activation::Relu,
        Op::LeakyRelu { negative_slope } => Activation::LeakyRelu(negative_slope),
        Op::Clip { min, max } => Activation::Clip { min, max },
        Op::Sigmoid => Activation::Sigmoid,
        Op::Tanh => Activation::Tanh,
        _ => return None,
    })
}

/// Finds what can be fused, given the nodes whose values must stay available and the taps.
pub(super) struct Fuser<'a> {
    network: &'a Network,
    /// The one node that takes a node's value, if there is just one.
    consumer: Vec<Option<NodeId>>,
    kept: Vec<bool>,
    /// Whether a node reads its first input from a copy of its own, which fusion would never make.
    reads_copy: Vec<bool>,
    fused: Vec<bool>,
}

impl<'a> Fuser<'a> {
    /// `within`: whether nodes may be fused with those behind them even where taps lie between.
    pub(super) fn new(network: &'a Network, observed: &[NodeId], taps: &[Tap], within: bool) -> Self {
        let count = network.nodes().len();
        let mut uses = vec![0; count];
        let mut consumer = vec![None; count];
        for (i, node) in network.nodes().iter().enumerate() {
            for input in &node.inputs {
                uses[input.0] += 1;
                consumer[input.0] = Some(NodeId(i));
            }
        }
        for (consumer, uses) in consumer.iter_mut().zip(uses) {
            if uses != 1 {
                *consumer = None;
            }
        }
        let mut kept = vec![false; count];
        for id in observed.iter().chain([&network.output()]) {
            kept[id.0] = true;
        }
        let mut reads_copy = vec![false; count];
        for tap in taps {
            match tap.side {
                TapSide::Input => reads_copy[tap.node.0] = true,
                TapSide::Output if within => {}
                TapSide::Output => kept[tap.node.0] = true,
            }
        }
        Self { network, consumer, kept, reads_copy, fused: vec![false; count] }
    }

    /// Whether a node has become part of another's step.
    pub(super) fn is_fused(&self, id: NodeId) -> bool {
        self.fused[id.0]
    }

    /// Fuses what follows the convolution or linear layer `id` into it.
    pub(super) fn chain(&mut self, id: NodeId) -> Chain {
        let mut chain = Chain {
            batch_norm: None,
            residual: None,
            activation: Activation::Identity,
            nodes: vec![(Stage::Product, id)],
        };
        while let Some(next) = self.next(chain.last()) {
            let (node, last) = (self.network.node(next), chain.last());
            let stage = match &node.op {
                Op::BatchNorm { .. }
                    if chain.batch_norm.is_none() && chain.residual.is_none() && self.is_channelwise(id) =>
                {
                    chain.batch_norm = Some(next);
                    Stage::BatchNorm
                }
                Op::Add if chain.residual.is_none() => {
                    let other = node.inputs[usize::from(node.inputs[0] == last)];
                    if self.network.shape(other) != self.network.shape(next)
                        || self.network.shape(last) != self.network.shape(next)
                    {
                        break;
                    }
                    chain.residual = Some(other);
                    Stage::Residual
                }
                op => {
                    if let Some(activation) = activation(op) {
                        chain.activation = activation;
                        self.take(&mut chain, Stage::Activation, next);
                    }
                    break;
                }
            };
            self.take(&mut chain, stage, next);
        }
        chain
    }

    fn take(&mut self, chain: &mut Chain, stage: Stage, next: NodeId) {
        self.fused[chain.last().0] = true;
        self.fused[next.0] = true;
        chain.nodes.push((stage, next));
    }

    /// The node that may be fused behind `last`: its only consumer, not part of another step nor reading a copy, if `last` need
    /// not be kept.
    fn next(&self, last: NodeId) -> Option<NodeId> {
        let free = |next: &NodeId| !self.fused[next.0] && !self.reads_copy[next.0];
        self.consumer[last.0].filter(|next| !self.kept[last.0] && free(next))
    }

    /// Whether a batch norm's channels are the layer's output channels: not so for a linear layer over more than one row.
    fn is_channelwise(&self, id: NodeId) -> bool {
        matches!(self.network.node(id).op, Op::Conv2d { .. }) || self.network.shape(id).len() == 1
    }
}

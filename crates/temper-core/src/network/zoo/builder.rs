//! Writing a graph down layer by layer.

use crate::network::{GraphDescription, Network, NetworkError, NodeDescription, Op, Padding2d, Pair};

/// A graph under construction; every method adds a node behind the last one and gives its name back.
pub(super) struct Builder {
    graph: GraphDescription,
}

impl Builder {
    pub(super) fn new(input: &[usize]) -> Self {
        Self { graph: GraphDescription { input: input.to_vec(), nodes: Vec::new(), output: None } }
    }

    /// Adds a node behind the last one.
    pub(super) fn then(&mut self, name: impl Into<String>, op: Op) -> String {
        self.push(name.into(), None, op)
    }

    /// Adds a node behind other nodes.
    pub(super) fn after(&mut self, inputs: &[&str], name: impl Into<String>, op: Op) -> String {
        let inputs = inputs.iter().map(|&input| input.to_owned()).collect();
        self.push(name.into(), Some(inputs), op)
    }

    fn push(&mut self, name: String, inputs: Option<Vec<String>>, op: Op) -> String {
        self.graph.nodes.push(NodeDescription { name: name.clone(), inputs, op });
        name
    }

    pub(super) fn build(self) -> Result<Network, NetworkError> {
        self.graph.build()
    }
}

/// A square convolution without bias, padded to keep the image's size at stride 1.
pub(super) fn conv(in_channels: usize, out_channels: usize, kernel: usize, stride: usize) -> Op {
    Op::Conv2d {
        in_channels,
        out_channels,
        kernel: Pair::square(kernel),
        stride: Pair::square(stride),
        padding: Padding2d::uniform(kernel / 2),
        dilation: Pair::square(1),
        groups: 1,
        bias: false,
    }
}

/// A batch norm with PyTorch's default `eps`.
pub(super) fn batch_norm(num_features: usize) -> Op {
    Op::BatchNorm { num_features, eps: 1e-5 }
}

/// A linear layer with bias.
pub(super) fn linear(in_features: usize, out_features: usize) -> Op {
    Op::Linear { in_features, out_features, bias: true }
}

/// A 2×2 window in steps of two.
pub(super) fn max_pool() -> Op {
    let two = Pair::square(2);
    Op::MaxPool2d {
        kernel: two,
        stride: two,
        padding: Padding2d::NONE,
        dilation: Pair::square(1),
        ceil_mode: false,
    }
}

/// The mean under a square window, without padding.
pub(super) fn avg_pool(kernel: usize, stride: usize) -> Op {
    Op::AvgPool2d {
        kernel: Pair::square(kernel),
        stride: Pair::square(stride),
        padding: Padding2d::NONE,
        ceil_mode: false,
        count_include_pad: true,
    }
}

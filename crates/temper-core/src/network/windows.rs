//! The geometry of convolutions and pooling, as the kernels take it.

use temper_kernels::{ConvShape, PoolShape};

use super::geometry::{Padding2d, Pair};
use super::graph::{Network, NodeId};
use super::op::Op;

impl Network {
    /// The geometry of a convolution; `None` for every other operator.
    pub fn convolution(&self, id: NodeId) -> Option<ConvShape> {
        let node = self.node(id);
        let Op::Conv2d { out_channels, kernel, stride, padding, dilation, groups, .. } = node.op else {
            return None;
        };
        Some(ConvShape {
            input: image(self.shape(node.inputs[0])),
            out_channels,
            kernel: kernel.into(),
            stride: stride.into(),
            padding: padding.into(),
            dilation: dilation.into(),
            groups,
        })
    }

    /// The geometry of a pooling operator, whole planes included; `None` for every other operator.
    pub fn pooling(&self, id: NodeId) -> Option<PoolShape> {
        let node = self.node(id);
        let input = node.inputs.first().map(|&input| self.shape(input))?;
        let (kernel, stride, padding, dilation) = match node.op {
            Op::MaxPool2d { kernel, stride, padding, dilation, .. } => (kernel, stride, padding, dilation),
            Op::AvgPool2d { kernel, stride, padding, .. } => (kernel, stride, padding, Pair::square(1)),
            Op::GlobalAvgPool | Op::GlobalMaxPool => {
                let [_, height, width] = image(input);
                (Pair { height, width }, Pair::square(1), Padding2d::NONE, Pair::square(1))
            }
            _ => return None,
        };
        let ([_, h, w], [_, oh, ow]) = (image(input), image(self.shape(id)));
        Some(PoolShape {
            input: [h, w],
            output: [oh, ow],
            kernel: kernel.into(),
            stride: stride.into(),
            padding: padding.into(),
            dilation: dilation.into(),
        })
    }
}

fn image(shape: &[usize]) -> [usize; 3] {
    shape.try_into().expect("checked when the network was made")
}

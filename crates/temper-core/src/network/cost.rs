//! What a network costs to run.

use super::graph::{Network, NodeId};
use super::op::Op;

impl Network {
    /// Multiply-accumulate operations of a node for one image: those of convolutions and linear layers, as is usual in counting;
    /// zero for every other operator.
    pub fn multiply_accumulates(&self, id: NodeId) -> u64 {
        let outputs: u64 = self.shape(id).iter().map(|&extent| extent as u64).product();
        let inputs = match &self.node(id).op {
            Op::Conv2d { in_channels, kernel, groups, .. } => {
                (in_channels / groups * kernel.height * kernel.width) as u64
            }
            Op::Linear { in_features, .. } => *in_features as u64,
            _ => 0,
        };
        outputs * inputs
    }

    /// [`multiply_accumulates`](Self::multiply_accumulates) of all nodes.
    pub fn total_multiply_accumulates(&self) -> u64 {
        (0..self.nodes().len()).map(|node| self.multiply_accumulates(NodeId(node))).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::super::zoo::{Architecture, Family};

    #[test]
    fn costs_are_those_counted_by_hand() {
        let total = |family| {
            let network = Architecture::new(family).build().expect("a sound architecture");
            network.total_multiply_accumulates()
        };
        // 28·28·6·25 + 10·10·16·150 + 400·120 + 120·84 + 84·10
        assert_eq!(total(Family::Lenet5), 117_600 + 240_000 + 48_000 + 10_080 + 840);
        // He et al. 2016 and its reimplementations give 40.8 M for ResNet-20: the stem, three stages, the classifier.
        let stem = 1024 * 16 * 27;
        let stages =
            6 * 1024 * 16 * 144 + 256 * 32 * 144 + 5 * 256 * 32 * 288 + 64 * 64 * 288 + 5 * 64 * 64 * 576;
        assert_eq!(total(Family::CifarResnet(20)), stem + stages + 640);
    }
}

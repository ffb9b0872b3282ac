//! The parameters of a network that is trained.

use std::collections::BTreeMap;

use temper_core::Tensor;
use temper_core::network::{Network, NodeId, ParameterKind};

use super::BatchMoments;

/// Share of the batch in batch norms' running statistics: `PyTorch`'s default.
pub const BATCH_NORM_MOMENTUM: f32 = 0.1;

/// What is known of one parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterInfo {
    /// Its dotted path.
    pub path: String,
    /// The node that uses it.
    pub node: NodeId,
    /// What it is for.
    pub kind: ParameterKind,
    /// Its shape.
    pub shape: Vec<usize>,
}

impl ParameterInfo {
    /// Whether it follows the data instead of a gradient: running statistics of batch norms.
    pub fn is_statistic(&self) -> bool {
        self.kind == ParameterKind::BatchNorm
            && (self.path.ends_with(".running_mean") || self.path.ends_with(".running_var"))
    }
}

/// All parameters of a network, on the host, in the order of [`Network::parameters`].
#[derive(Debug, Clone, PartialEq)]
pub struct Parameters {
    infos: Vec<ParameterInfo>,
    /// The values of each, in row-major order.
    pub values: Vec<Vec<f32>>,
}

impl Parameters {
    /// The parameters of a network.
    pub fn of(network: &Network) -> Self {
        let (mut infos, mut values) = (Vec::new(), Vec::new());
        for (path, parameter) in network.parameters() {
            let shape = parameter.tensor.shape().to_vec();
            infos.push(ParameterInfo { path, node: parameter.node, kind: parameter.kind, shape });
            values.push(parameter.tensor.data().to_vec());
        }
        Self { infos, values }
    }

    /// What is known of each.
    pub fn infos(&self) -> &[ParameterInfo] {
        &self.infos
    }

    /// The number of values of each.
    pub fn sizes(&self) -> Vec<usize> {
        self.values.iter().map(Vec::len).collect()
    }

    /// Lets running statistics follow what batch norms saw: by a tenth, `PyTorch`'s default; variances without bias, as it keeps them.
    pub fn follow(&mut self, moments: &[BatchMoments], momentum: f32) {
        for (info, values) in self.infos.iter().zip(&mut self.values).filter(|(info, _)| info.is_statistic())
        {
            let Some(seen) = moments.iter().find(|seen| seen.node == info.node) else { continue };
            let unbiased = seen.count as f32 / (seen.count.max(2) - 1) as f32;
            let is_mean = info.path.ends_with(".running_mean");
            let (new, factor) = if is_mean { (&seen.mean, 1.0) } else { (&seen.variance, unbiased) };
            for (running, new) in values.iter_mut().zip(new) {
                *running = (1.0 - momentum) * *running + momentum * (new * factor);
            }
        }
    }

    /// `network` with these parameters.
    ///
    /// # Panics
    /// When they are another network's.
    pub fn into_network(self, network: Network) -> Network {
        let tensors = self.infos.into_iter().zip(self.values).map(|(info, values)| {
            let tensor = Tensor::new(info.shape, values).expect("a parameter keeps its size");
            (info.path, tensor)
        });
        let tensors: BTreeMap<String, Tensor> = tensors.collect();
        network.with_parameters(tensors).expect("they are this network's parameters")
    }
}

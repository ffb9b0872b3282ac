//! The values that a network's parameters start from.

use std::collections::BTreeMap;

use rand::distr::{Distribution, Uniform};
use rand_distr::Normal;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use temper_core::Tensor;
use temper_core::network::{Network, ParameterKind, ParameterSpec};

use crate::stream::stream;

/// How parameters of convolutions and linear layers are drawn. Batch norm always starts as the identity: scale 1, shift 0, running
/// mean 0, running variance 1. Stored constants stay as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Initialisation {
    /// As PyTorch's layers do by default: weights and biases uniform in ±1/√`fan_in` (`kaiming_uniform_` with a = √5).
    #[serde(rename = "pytorch")]
    PyTorch {},
    /// Weights normal with mean 0 and variance 2/fan (He et al., 2015, eq. 10 and 14); biases 0.
    KaimingNormal {
        /// Which fan; default `fan_in`.
        #[serde(default)]
        mode: Fan,
    },
}

impl Default for Initialisation {
    fn default() -> Self {
        Self::PyTorch {}
    }
}

/// Number of connections at one end of a weight `[out, in, kh, kw]` or `[out, in]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fan {
    /// Inputs of one output, `in·kh·kw`: keeps the variance of what flows forward.
    #[default]
    FanIn,
    /// Outputs of one input, `out·kh·kw`: keeps the variance of gradients.
    FanOut,
}

impl Fan {
    /// The fan of a weight of that shape, at least 1.
    fn of(self, shape: &[usize]) -> f64 {
        let taps: usize = shape.iter().skip(2).product();
        let channels = match self {
            Self::FanIn => shape[1],
            Self::FanOut => shape[0],
        };
        (channels * taps).max(1) as f64
    }
}

/// The network with newly drawn parameters: each a pure function of the rule, the seed and the parameter's path, whatever else
/// the network holds.
pub fn initialise(network: Network, rule: Initialisation, seed: u64) -> Network {
    let mut parameters = BTreeMap::new();
    for node in network.nodes() {
        let specs = node.op.parameters();
        let weight = specs.iter().find(|spec| spec.kind == ParameterKind::Weight);
        for spec in &specs {
            let path = format!("{}.{}", node.name, spec.suffix);
            let tensor = match (spec.kind, weight) {
                (ParameterKind::Weight | ParameterKind::Bias, Some(weight)) => {
                    drawn(spec, &weight.shape, rule, seed, &path)
                }
                (ParameterKind::BatchNorm, _) => identity(spec),
                _ => network.tensors()[&path].clone(),
            };
            parameters.insert(path, tensor);
        }
    }
    network.with_parameters(parameters).expect("every parameter of the network is there, in its shape")
}

/// A weight or bias of a layer whose weight has the shape `weight`.
fn drawn(spec: &ParameterSpec, weight: &[usize], rule: Initialisation, seed: u64, path: &str) -> Tensor {
    let mut tensor = Tensor::full(&spec.shape, 0.0);
    match rule {
        Initialisation::PyTorch {} => {
            let bound = (1.0 / Fan::FanIn.of(weight).sqrt()) as f32;
            let uniform = Uniform::new(-bound, bound).expect("the bound is finite and above zero");
            fill(&mut tensor, uniform, seed, path);
        }
        Initialisation::KaimingNormal { mode } if spec.kind == ParameterKind::Weight => {
            let std = (2.0 / mode.of(weight)).sqrt() as f32;
            let normal = Normal::new(0.0, std).expect("the deviation is finite");
            fill(&mut tensor, normal, seed, path);
        }
        Initialisation::KaimingNormal { .. } => {}
    }
    tensor
}

/// Draws every value from the parameter's own stream: its key holds the first 16 bytes of the SHA-256 of the path.
fn fill(tensor: &mut Tensor, distribution: impl Distribution<f32>, seed: u64, path: &str) {
    let digest = Sha256::digest(path);
    let word = |start| digest[start..][..8].iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte));
    let mut rng = stream(*b"initial\0", seed, [word(0), word(8)], 0);
    tensor.data_mut().fill_with(|| distribution.sample(&mut rng));
}

/// A batch norm's vector where it changes nothing.
fn identity(spec: &ParameterSpec) -> Tensor {
    let one = matches!(spec.suffix, "weight" | "running_var");
    Tensor::full(&spec.shape, if one { 1.0 } else { 0.0 })
}

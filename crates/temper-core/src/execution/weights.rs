//! Parameters packed for the kernels, replaceable value by value.

use std::sync::Arc;

use temper_kernels::{Epilogue, PackedWeights};

use super::hardware::OnChip;
use super::integer::IntegerProduct;
use super::program::Fused;

/// A parameter's place in [`Network::parameters`](crate::network::Network::parameters).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ParameterId(pub usize);

/// Where a parameter lives in [`Weights`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) step: usize,
    pub(super) field: Field,
}

/// Which of a step's parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Product,
    Bias,
    Constant,
    /// Number in PyTorch's order: weight, bias, running mean, running variance.
    BatchNorm(usize),
}

/// The four vectors of a batch norm and the affine map they amount to.
#[derive(Debug, Clone)]
pub(super) struct BatchNorm {
    eps: f32,
    /// Weight, bias, running mean, running variance.
    vectors: [Vec<f32>; 4],
    pub(super) scale: Vec<f32>,
    pub(super) shift: Vec<f32>,
}

impl BatchNorm {
    pub(super) fn new(eps: f32, vectors: [Vec<f32>; 4]) -> Self {
        let channels = vectors[0].len();
        let mut norm = Self { eps, vectors, scale: vec![0.0; channels], shift: vec![0.0; channels] };
        for channel in 0..channels {
            norm.fold(channel);
        }
        norm
    }

    /// `scale = weight / √(var + eps)`, `shift = bias − mean · scale`.
    fn fold(&mut self, channel: usize) {
        let [weight, bias, mean, var] = [0, 1, 2, 3].map(|i| self.vectors[i][channel]);
        self.scale[channel] = weight * (1.0 / (var + self.eps).sqrt());
        self.shift[channel] = bias - mean * self.scale[channel];
    }
}

/// The parameters of one step.
#[derive(Debug, Clone, Default)]
pub(super) struct StepWeights {
    pub(super) product: Option<PackedWeights>,
    /// In place of `product`, where the step is computed in integers.
    pub(super) integer: Option<IntegerProduct>,
    /// What computes in place of `product`, where the step lies on hardware.
    pub(super) on_chip: Option<OnChip>,
    pub(super) bias: Option<Vec<f32>>,
    pub(super) batch_norm: Option<BatchNorm>,
    pub(super) constant: Option<Vec<f32>>,
}

impl StepWeights {
    /// The batch norm that is fused into the step's product.
    pub(super) fn fused_norm(&self, fused: Fused) -> Option<&BatchNorm> {
        self.batch_norm.as_ref().filter(|_| fused.batch_norm)
    }

    /// What follows the product's sums.
    pub(super) fn epilogue<'a>(&'a self, fused: Fused, residual: Option<&'a [f32]>) -> Epilogue<'a> {
        let affine = self.fused_norm(fused).map(|norm| (norm.scale.as_slice(), norm.shift.as_slice()));
        Epilogue { bias: self.bias.as_deref(), affine, residual, activation: fused.activation }
    }
}

/// All parameters of a program. Each thread that strikes them has its own copy.
#[derive(Debug, Clone)]
pub struct Weights {
    pub(super) steps: Vec<StepWeights>,
    pub(super) places: Arc<[Place]>,
}

impl Weights {
    /// The value at `index` (row-major) of a parameter.
    ///
    /// # Panics
    /// When there is no such value.
    pub fn get(&self, parameter: ParameterId, index: usize) -> f32 {
        let Place { step, field } = self.places[parameter.0];
        let weights = &self.steps[step];
        let value = match field {
            Field::Product => match &weights.integer {
                Some(product) => Some(product.get(index)),
                None => weights.product.as_ref().map(|product| product.get(index)),
            },
            Field::Bias => weights.bias.as_ref().map(|bias| bias[index]),
            Field::Constant => weights.constant.as_ref().map(|constant| constant[index]),
            Field::BatchNorm(vector) => weights.batch_norm.as_ref().map(|norm| norm.vectors[vector][index]),
        };
        value.expect("the place was made for this field")
    }

    /// The channel of its step's output that the value at `index` (row-major) of a parameter belongs to; `None` for constants.
    pub(super) fn channel_of(&self, parameter: ParameterId, index: usize) -> Option<usize> {
        let Place { step, field } = self.places[parameter.0];
        match field {
            Field::Product => match &self.steps[step] {
                StepWeights { integer: Some(product), .. } => Some(product.channel_of(index)),
                weights => weights.product.as_ref().map(|product| index / product.columns()),
            },
            Field::Bias | Field::BatchNorm(_) => Some(index),
            Field::Constant => None,
        }
    }

    /// Replaces the value at `index` (row-major) of a parameter.
    ///
    /// # Panics
    /// When there is no such value.
    pub fn set(&mut self, parameter: ParameterId, index: usize, value: f32) {
        let Place { step, field } = self.places[parameter.0];
        let weights = &mut self.steps[step];
        match (field, weights) {
            (Field::Product, StepWeights { product: Some(product), .. }) => product.set(index, value),
            (Field::Product, StepWeights { integer: Some(product), .. }) => product.set(index, value),
            (Field::Bias, StepWeights { bias: Some(bias), .. }) => bias[index] = value,
            (Field::Constant, StepWeights { constant: Some(constant), .. }) => constant[index] = value,
            (Field::BatchNorm(vector), StepWeights { batch_norm: Some(norm), .. }) => {
                norm.vectors[vector][index] = value;
                norm.fold(index);
            }
            _ => unreachable!("the place was made for this field"),
        }
    }
}

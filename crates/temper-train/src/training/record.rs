//! What is recorded of an epoch.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use serde::{Deserialize, Deserializer, Serialize};
use temper_core::network::ParameterKind;

use super::error::TrainError;
use crate::differentiable::Parameters;

/// One line of `history.jsonl`: an epoch, and what the network is like after it. Losses and statistics may be infinite or NaN.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochRecord {
    /// Phase, from 1.
    pub phase: usize,
    /// Epoch over all phases, from 1.
    pub epoch: usize,
    /// Epoch of the phase, from 1.
    pub epoch_of_phase: usize,
    /// Learning rate of the epoch's first step.
    #[serde(deserialize_with = "number")]
    pub lr: f64,
    /// Mean loss of the epoch's training images, as they were trained on; regularisers are not in it.
    #[serde(deserialize_with = "number")]
    pub train_loss: f64,
    /// Share of the training images that were classified rightly as they were trained on.
    pub train_accuracy: f64,
    /// Mean cross-entropy of the held-out images, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "some_number")]
    pub validation_loss: Option<f64>,
    /// Accuracy on the held-out images, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_accuracy: Option<f64>,
    /// Mean cross-entropy of the test images.
    #[serde(deserialize_with = "number")]
    pub test_loss: f64,
    /// Accuracy on the test images: of the network as the phase stores it, on the phase's chip.
    pub test_accuracy: f64,
    /// Time taken.
    pub seconds: f64,
    /// All weights together.
    pub weights: WeightStatistics,
    /// The weights of each layer.
    pub layers: Vec<LayerStatistics>,
    /// How sparse the outputs of each nonlinearity are, on the first test images.
    pub activations: Vec<ActivationStatistics>,
}

/// A number in JSON, which has no infinities and no NaN: these are written as `null`, and read as NaN.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// The same of a number that may be left out.
fn some_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    number(deserializer).map(Some)
}

impl EpochRecord {
    /// The epochs of a `history.jsonl`; none, if it is not there.
    ///
    /// # Errors
    /// When it cannot be read, or a line is no epoch's.
    pub fn read_all(path: &Path) -> Result<Vec<Self>, TrainError> {
        let read = |source| TrainError::Read { path: path.to_owned(), source };
        match fs::read_to_string(path) {
            Ok(text) => {
                let line = |(i, line): (usize, &str)| {
                    let reason = |error: serde_json::Error| format!("line {}: {error}", i + 1);
                    serde_json::from_str(line).map_err(|error| read(io::Error::other(reason(error))))
                };
                text.lines().enumerate().map(line).collect()
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(read(error)),
        }
    }

    /// The accuracy by which the best epoch is chosen: on the held-out images if there are any, on the test images otherwise.
    pub fn choosing_accuracy(&self) -> f64 {
        self.validation_accuracy.unwrap_or(self.test_accuracy)
    }
}

/// Statistics of weights.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightStatistics {
    /// Mean.
    #[serde(deserialize_with = "number")]
    pub mean: f64,
    /// Standard deviation.
    #[serde(deserialize_with = "number")]
    pub std: f64,
    /// Euclidean norm.
    #[serde(deserialize_with = "number")]
    pub l2_norm: f64,
    /// Share of exact zeros.
    pub zero_share: f64,
}

impl WeightStatistics {
    /// Of some values.
    pub fn of<'a>(values: impl Iterator<Item = &'a f32> + Clone) -> Self {
        let (count, sum, squares, zeros) =
            values.clone().fold((0u64, 0.0, 0.0, 0u64), |(count, sum, squares, zeros), &x| {
                let x = f64::from(x);
                (count + 1, sum + x, squares + x * x, zeros + u64::from(x == 0.0))
            });
        let count = (count as f64).max(1.0);
        let mean = sum / count;
        let spread: f64 = values.map(|&x| (f64::from(x) - mean).powi(2)).sum();
        Self { mean, std: (spread / count).sqrt(), l2_norm: squares.sqrt(), zero_share: zeros as f64 / count }
    }
}

/// Statistics of a layer's weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerStatistics {
    /// Dotted path of the parameter.
    pub parameter: String,
    /// Its values'.
    #[serde(flatten)]
    pub statistics: WeightStatistics,
}

/// How sparse a node's outputs are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActivationStatistics {
    /// The node.
    pub node: String,
    /// Share of exact zeros.
    pub zero_share: f64,
}

/// The statistics of the weights of convolutions and linear layers: all together, and of each.
pub(super) fn weight_statistics(parameters: &Parameters) -> (WeightStatistics, Vec<LayerStatistics>) {
    let infos = parameters.infos().iter().zip(&parameters.values);
    let weights: Vec<_> = infos.filter(|(info, _)| info.kind == ParameterKind::Weight).collect();
    let layers = weights.iter().map(|(info, values)| LayerStatistics {
        parameter: info.path.clone(),
        statistics: WeightStatistics::of(values.iter()),
    });
    (WeightStatistics::of(weights.iter().flat_map(|(_, values)| values.iter())), layers.collect())
}

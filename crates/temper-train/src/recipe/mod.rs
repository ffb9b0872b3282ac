//! A training as the user writes it.

mod error;
mod network;
mod phase;

use serde::{Deserialize, Serialize};
use temper_core::data::Preprocessing;

pub use error::RecipeError;
pub use network::{NetworkSource, NetworkSpec};
pub use phase::{
    ActivationRanges, FaultDraws, FaultGradient, LossSpec, PhaseSpec, RegularizerSpec, StartFrom,
    StatisticsSpec,
};

/// A recipe: the whole of a `recipe.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecipeSpec {
    /// From which all randomness follows.
    pub seed: u64,
    /// The images.
    pub data: TrainingDataSpec,
    /// The network and what it starts from.
    pub network: NetworkSpec,
    /// From pixels to the network's input; the training images' own mean and standard deviation, if absent. A network from a file
    /// brings its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preprocessing: Option<Preprocessing>,
    /// What is kept of the run.
    #[serde(default, skip_serializing_if = "is_default")]
    pub keep: KeepSpec,
    /// What is done, one after another.
    #[serde(rename = "phase")]
    pub phases: Vec<PhaseSpec>,
}

/// `[data]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingDataSpec {
    /// Name of the data set.
    pub set: String,
    /// Only the first so many images of the training part; all, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train_limit: Option<usize>,
    /// Only the first so many images of the test part; all, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_limit: Option<usize>,
    /// So many of the training images, the last ones, are held out: they are not trained on and choose the best epoch. Without them
    /// the test images choose it, as papers mostly do, which is kinder to the result than it deserves.
    #[serde(default, skip_serializing_if = "is_default")]
    pub validation: usize,
}

/// `[keep]`: what is kept of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeepSpec {
    /// A checkpoint, from which a stopped run goes on, is written every so many epochs.
    pub checkpoint_epochs: usize,
    /// The network is also kept after every so many epochs; never, if 0.
    pub model_epochs: usize,
}

impl Default for KeepSpec {
    fn default() -> Self {
        Self { checkpoint_epochs: 1, model_epochs: 0 }
    }
}

/// Whether a value is its type's default; for serde.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl RecipeSpec {
    /// Reads a recipe from TOML.
    ///
    /// # Errors
    /// When the text is not a recipe, or a value makes no sense by itself. The message shows the place.
    pub fn parse(text: &str) -> Result<Self, RecipeError> {
        let spec: Self = toml::from_str(text).map_err(Box::new)?;
        spec.check()?;
        Ok(spec)
    }

    /// Checks what can be checked without data and network.
    pub(crate) fn check(&self) -> Result<(), RecipeError> {
        if self.phases.is_empty() {
            return Err(RecipeError::value("[[phase]]", "expected at least one, found none"));
        }
        for (field, limit) in [("train_limit", self.data.train_limit), ("test_limit", self.data.test_limit)] {
            if limit == Some(0) {
                return Err(RecipeError::value(format!("[data] {field}"), "expected at least 1, found 0"));
            }
        }
        if self.keep.checkpoint_epochs == 0 {
            return Err(RecipeError::value("[keep] checkpoint_epochs", "expected at least 1, found 0"));
        }
        self.network.check()?;
        for (i, phase) in self.phases.iter().enumerate() {
            phase.check(i + 1)?;
        }
        Ok(())
    }

    /// Epochs of all phases.
    pub fn epochs(&self) -> usize {
        self.phases.iter().map(|phase| phase.epochs).sum()
    }
}

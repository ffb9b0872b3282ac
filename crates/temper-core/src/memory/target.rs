//! What a fault strikes: a class of memory, and which of its words.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What lies in the memory that is struck.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Class {
    /// Weights of convolutions and linear layers.
    #[default]
    Weight,
    /// Biases of convolutions and linear layers.
    Bias,
    /// All four vectors of batch norms.
    BatchNorm,
    /// One vector of batch norms, in PyTorch's order: weight, bias, running mean, running variance.
    BatchNormVector(BatchNormVector),
    /// Activations: what layers compute, for every image anew.
    Activation,
    /// The network's input.
    Input,
}

/// One of a batch norm's vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BatchNormVector {
    /// The learned scale.
    Weight,
    /// The learned shift.
    Bias,
    /// The running mean.
    Mean,
    /// The running variance.
    Var,
}

impl BatchNormVector {
    /// All four, in PyTorch's order.
    pub const ALL: [Self; 4] = [Self::Weight, Self::Bias, Self::Mean, Self::Var];
}

/// Which words of a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Part {
    /// The values' own code words.
    #[default]
    Values,
    /// The scales of quantised tensors, one for each tensor or channel, stored as `f32`.
    Scale,
    /// The zero points of affinely quantised tensors, stored as integers of the tensor's own width.
    ZeroPoint,
}

/// What a fault strikes, written as one word: `weight`, `batch-norm-var`, `activation-scale`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Target {
    /// What lies in the memory.
    pub class: Class,
    /// Which of its words.
    pub part: Part,
}

/// A word that names no target.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "\"{found}\" is no target; expected {}, or one of them with -scale or -zero-point behind it",
    CLASSES.map(|(_, name)| name).join(", ")
)]
pub struct TargetError {
    /// What was written.
    pub found: String,
}

const CLASSES: [(Class, &str); 9] = [
    (Class::Weight, "weight"),
    (Class::Bias, "bias"),
    (Class::BatchNorm, "batch-norm"),
    (Class::BatchNormVector(BatchNormVector::Weight), "batch-norm-weight"),
    (Class::BatchNormVector(BatchNormVector::Bias), "batch-norm-bias"),
    (Class::BatchNormVector(BatchNormVector::Mean), "batch-norm-mean"),
    (Class::BatchNormVector(BatchNormVector::Var), "batch-norm-var"),
    (Class::Activation, "activation"),
    (Class::Input, "input"),
];

const PARTS: [(Part, &str); 2] = [(Part::Scale, "-scale"), (Part::ZeroPoint, "-zero-point")];

impl Class {
    /// The name as written in a specification.
    pub fn name(self) -> &'static str {
        CLASSES.iter().find(|(class, _)| *class == self).map_or("", |(_, name)| name)
    }

    /// Whether its values are computed for every image, not stored in the network.
    pub const fn is_activation(self) -> bool {
        matches!(self, Self::Activation | Self::Input)
    }

    /// Whether everything of class `other` is of this class too.
    pub fn includes(self, other: Self) -> bool {
        self == other || self == Self::BatchNorm && matches!(other, Self::BatchNormVector(_))
    }
}

impl From<Class> for Target {
    fn from(class: Class) -> Self {
        Self { class, part: Part::Values }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suffix = PARTS.iter().find(|(part, _)| *part == self.part).map_or("", |(_, suffix)| suffix);
        write!(f, "{}{suffix}", self.class.name())
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let (part, class) = PARTS
            .iter()
            .find_map(|(part, suffix)| Some((*part, text.strip_suffix(suffix)?)))
            .unwrap_or((Part::Values, text));
        let class = CLASSES.iter().find(|(_, name)| *name == class);
        let class = class.ok_or_else(|| TargetError { found: text.to_owned() })?.0;
        Ok(Self { class, part })
    }
}

impl TryFrom<String> for Target {
    type Error = TargetError;

    fn try_from(text: String) -> Result<Self, TargetError> {
        text.parse()
    }
}

impl From<Target> for String {
    fn from(target: Target) -> Self {
        target.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_reads_back() {
        for (class, _) in CLASSES {
            for part in [Part::Values, Part::Scale, Part::ZeroPoint] {
                let target = Target { class, part };
                assert_eq!(target.to_string().parse(), Ok(target));
            }
        }
        let error = "weights".parse::<Target>().unwrap_err().to_string();
        assert!(error.contains("\"weights\"") && error.contains("batch-norm-var"), "{error}");
    }
}

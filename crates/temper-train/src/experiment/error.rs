//! Why an experiment cannot be planned.

use thiserror::Error;

/// Why an experiment cannot be planned.
#[derive(Debug, Error)]
pub enum ExperimentError {
    /// Not TOML, an unknown key, or a value of the wrong type. The message points at the place.
    #[error(transparent)]
    Toml(#[from] Box<toml::de::Error>),
    /// A value that makes no sense.
    #[error("{place}: {reason}")]
    Value {
        /// Where it is.
        place: String,
        /// What was found and expected.
        reason: String,
    },
    /// No variant makes sense.
    #[error("{variant}: {reason}")]
    Variant {
        /// The first one's name.
        variant: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl ExperimentError {
    pub(super) fn value(place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Value { place: place.into(), reason: reason.into() }
    }
}

//! What can be wrong with a recipe.

use thiserror::Error;

use crate::field::FieldError;

/// Why a recipe makes no sense by itself.
#[derive(Debug, Error)]
pub enum RecipeError {
    /// Not TOML, an unknown or missing key, or a value of the wrong type. The message points at the place.
    #[error(transparent)]
    Toml(#[from] Box<toml::de::Error>),
    /// A value that makes no sense.
    #[error("{place}: {reason}")]
    Value {
        /// Where it is: `phase 1, epochs` or `[network] file`.
        place: String,
        /// What was found and expected.
        reason: String,
    },
}

impl RecipeError {
    pub(crate) fn value(place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Value { place: place.into(), reason: reason.into() }
    }

    /// What is wrong with a field of a table of phase `number`, from 1.
    pub(crate) fn field(number: usize, table: &str, error: FieldError) -> Self {
        let FieldError { field, found, expected } = error;
        Self::value(format!("phase {number}, {table}.{field}"), format!("expected {expected}, found {found}"))
    }
}

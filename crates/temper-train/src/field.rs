//! Errors about one field of a specification, and the checks that many fields share.

use std::fmt;

use thiserror::Error;

/// A field of a specification that holds what cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{field} is {found}; expected {expected}")]
pub struct FieldError {
    /// Name of the field, as written by the user.
    pub field: &'static str,
    /// What it holds.
    pub found: String,
    /// What it may hold.
    pub expected: String,
}

impl FieldError {
    /// An error about `field`, which holds `found` where `expected` is needed.
    pub(crate) fn new(field: &'static str, found: impl fmt::Display, expected: impl Into<String>) -> Self {
        Self { field, found: found.to_string(), expected: expected.into() }
    }
}

/// Checks that `holds` does; an error about `field` otherwise.
pub(crate) fn require(
    holds: bool,
    field: &'static str,
    found: impl fmt::Display,
    expected: impl Into<String>,
) -> Result<(), FieldError> {
    if holds { Ok(()) } else { Err(FieldError::new(field, found, expected)) }
}

/// Checks for a finite number.
pub(crate) fn finite(field: &'static str, value: f64) -> Result<(), FieldError> {
    require(value.is_finite(), field, value, "a finite number")
}

/// Checks for a finite number of at least zero.
pub(crate) fn not_negative(field: &'static str, value: f64) -> Result<(), FieldError> {
    require(value.is_finite() && value >= 0.0, field, value, "a finite number of at least 0")
}

/// Checks for a finite number above zero.
pub(crate) fn positive(field: &'static str, value: f64) -> Result<(), FieldError> {
    require(value.is_finite() && value > 0.0, field, value, "a finite number above 0")
}

/// Checks for a number of at least 0 and below 1.
pub(crate) fn below_one(field: &'static str, value: f64) -> Result<(), FieldError> {
    require((0.0..1.0).contains(&value), field, value, "a number of at least 0 and below 1")
}

/// Checks for a number from 0 to 1.
pub(crate) fn fraction(field: &'static str, value: f64) -> Result<(), FieldError> {
    require((0.0..=1.0).contains(&value), field, value, "a number from 0 to 1")
}

/// Checks for a count of at least one.
pub(crate) fn at_least_one(field: &'static str, count: usize) -> Result<(), FieldError> {
    require(count >= 1, field, count, "at least 1")
}

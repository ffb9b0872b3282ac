//! Number formats: how a value lies in memory, bit by bit.
//!
//! - [`NumberFormat`] names a format and knows its bits.
//! - [`Quantisation`] is the user's choice of how values are mapped to the integers of a format that needs a scale.
//! - [`Codec`] is a format with its scales: it turns values into code words and back.
//!
//! `docs/number-formats.md` describes every format, with sources and known answers.

mod codec;
mod fit;
mod float;
mod format;
mod grid;
mod quantise;

pub use codec::Codec;
pub(crate) use float::F16;
pub use format::{BitField, NumberFormat, NumberFormatError};
pub use grid::Grid;
pub use quantise::{Granularity, Quantisation, QuantisationError, RangeRule, Scheme};

//! Training: what turns a network of [`temper_core`] into one that has learnt.

mod field;
pub mod optimizer;
pub mod schedule;

pub use field::FieldError;

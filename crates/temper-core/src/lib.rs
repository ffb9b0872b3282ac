//! Temper finds out how a neural network fails on faulty hardware.
//!
//! The rooms, in the order in which data flows through them:
//!
//! - [`network`]: a [`Network`](network::Network) is run-time data: named nodes, each an operator with inputs, and named parameters.
//! - [`data`]: a [`Dataset`](data::Dataset) is labelled images; [`Preprocessing`](data::Preprocessing) travels with a model.

pub mod data;
pub mod execution;
pub mod network;
mod tensor;

pub use tensor::{Tensor, TensorError};

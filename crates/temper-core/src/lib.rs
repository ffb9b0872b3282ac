//! Temper finds out how a neural network fails on faulty hardware.
//!
//! The rooms, in the order in which data flows through them:
//!
//! - [`network`]: a [`Network`](network::Network) is run-time data: named nodes, each an operator with inputs, and named parameters.
//! - [`data`]: a [`Dataset`](data::Dataset) is labelled images; [`Preprocessing`](data::Preprocessing) travels with a model.
//! - [`number`]: a [`NumberFormat`](number::NumberFormat) maps values to bit patterns.
//! - [`memory`]: a [`Memory`](memory::Memory) says which values lie where, in which format.
//! - [`fault`]: a [`FaultSpec`](fault::FaultSpec) says what may be struck and how; a [`FaultSite`](fault::FaultSite) is what is
//!   struck in one trial.
//! - [`hardware`]: what a layer computes on an analog device, and one chip of it.
//! - [`execution`]: a network compiled for running, whose weights are struck in place.
//! - [`campaign`]: a [`Campaign`](campaign::Campaign) plans trials, runs them and keeps a
//!   [`TrialRecord`](campaign::TrialRecord) of each.
//! - [`statistics`]: an [`Estimate`](statistics::Estimate) is a point with an interval.
//! - [`analysis`]: what records amount to: summaries, vulnerability, comparisons, verdicts.

pub mod analysis;
mod atomic;
pub mod campaign;
pub mod data;
pub mod execution;
pub mod fault;
pub mod hardware;
mod hash;
pub mod memory;
pub mod network;
pub mod number;
pub mod statistics;
mod tensor;

pub use atomic::write_atomically;
pub use hash::ContentHash;
pub use tensor::{Tensor, TensorError};

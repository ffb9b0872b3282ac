//! Winograd's algorithm: its outputs and the bounds on their rounding against plain loops.

#[path = "../support/bits.rs"]
mod bits;
mod outputs;
mod plain;
mod rounding;
#[path = "../support/values.rs"]
mod values;

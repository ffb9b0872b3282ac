//! What a layer computes on an analog device: models of whole layers, with parameters that the user gives and deviations that are
//! drawn once for a chip.
//!
//! - [`Deviation`]: how far one component of a chip lies from its nominal value.
//! - [`SandwichRamSpec`]: an array that adds up by the widths of pulses, with 8-bit features and weights of one bit.
//! - [`CrossbarSpec`]: a resistive crossbar, whose weights are differences of two conductances.

mod crossbar;
mod deviation;
mod sandwich_ram;

pub use crossbar::{
    Crossbar, CrossbarError, CrossbarSpec, ProgrammedCrossbar, Programming, ProgrammingModel, ReadNoise,
    ReadNoiseModel, Stuck, StuckDevice, WeightScaling,
};
pub use deviation::{Deviation, DeviationError};
pub use sandwich_ram::{
    Adders, Mapping, Rounding, RowOffset, SandwichRam, SandwichRamError, SandwichRamSpec,
};

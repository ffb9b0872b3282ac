//! What a layer computes on an analog device: models of whole layers, with parameters that the user gives and deviations that are
//! drawn once for a chip.
//!
//! - [`HardwareSpec`]: which layers lie on which device; [`Hardware`]: the same for a network.
//! - [`Chip`]: one draw of it, named by its seed; [`Mounted`]: a layer with its weights on a chip, ready to run.
//! - [`Deviation`]: how far one component of a chip lies from its nominal value.
//! - [`SandwichRamSpec`]: an array that adds up by the widths of pulses, with 8-bit features and weights of one bit.
//! - [`CrossbarSpec`]: a resistive crossbar, whose weights are differences of two conductances.
//!
//! Lifetimes: components are drawn once for a chip; the noise of operations is drawn anew for every image and inference, from the streams
//! of [`Noise`].

mod chip;
mod crossbar;
mod deviation;
mod faults;
mod mounted;
mod noise;
mod sandwich_ram;
mod spec;

pub use chip::{Array, Chip, ChipLayer, Noise, NoiseStream};
pub use crossbar::{
    Crossbar, CrossbarBuffers, CrossbarError, CrossbarSpec, ProgrammedCrossbar, Programming,
    ProgrammingModel, ReadNoise, ReadNoiseModel, Stuck, StuckDevice, WeightScaling,
};
pub use deviation::{Deviation, DeviationError};
pub use mounted::{HardwareScratch, Mounted, SeenWeights};
pub use sandwich_ram::{
    AdderBuffers, Adders, Mapping, Rounding, RowOffset, SandwichRam, SandwichRamError, SandwichRamSpec,
};
pub use spec::{Hardware, HardwareError, HardwareModel, HardwareSpec};

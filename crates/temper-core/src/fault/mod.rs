//! Faults: what is struck, in which memory image, how, and how often.
//!
//! A [`FaultSpec`] is what a user writes. [`FaultSpec::resolve`] turns it into a [`Fault`] over a network's parameters, checked:
//! a selector that matches nothing, a count larger than the number of sites or a rate beyond 0..=1 is an error.
//! [`Fault::draw`] makes a [`FaultDraw`], the concrete [`FaultSite`]s of one trial: a pure function of the fault and a random
//! stream, in time proportional to the number of faults. [`FaultDraw::strike`] applies it to a program's weights and returns what
//! is needed to undo it.

mod draw;
mod error_model;
mod resolve;
mod spec;

pub use draw::{FaultDraw, FaultSite, Undo, trial_stream};
pub use error_model::{Damage, ErrorModel};
pub use resolve::{Fault, FaultError};
pub use spec::{Amount, BitSelection, FaultSpec, Layers, Target};

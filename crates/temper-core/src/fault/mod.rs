//! Faults: what is struck, in which memory image, how, and how often.
//!
//! A [`FaultSpec`] is what a user writes. [`FaultSpec::resolve`] turns it into a [`Fault`] over a [`Memory`](crate::memory::Memory),
//! checked: a selector that matches nothing, a count larger than the number of sites or a rate beyond 0..=1 is an error.
//! [`Fault::draw`] draws the concrete [`FaultSite`]s of one trial: a pure function of the fault and a random stream, in time
//! proportional to the number of faults. [`changes`] says what the struck parameters read, [`strike()`] makes a program's weights
//! read that and [`undo`] takes it back; [`strike_activations`] does the same to activations while a program runs.

mod amount;
mod bits;
mod draw;
mod effect;
mod error;
mod error_model;
pub(crate) mod float_text;
mod layout;
mod list;
mod resolve;
mod spec;
mod strike;
mod strikes;

pub use draw::{FaultSite, condition_stream, image_stream, subset_stream, trial_stream};
pub use error::FaultError;
pub use error_model::{Damage, ErrorModel, Mode, Reading, RelativeTo};
pub use list::{
    FaultList, ListError, ListedFault, ListedModel, ListedSite, check_list, read_list, resolve_list, tap_list,
};
pub use resolve::{Fault, Number};
pub use spec::{All, Amount, BitRange, BitSelection, FaultSpec, Lifetime, Shape};
pub use strike::{Change, changes, strike, strike_activations, undo};
pub(crate) use strikes::{Strike, off_codes};

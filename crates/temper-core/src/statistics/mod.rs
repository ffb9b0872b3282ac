//! Estimates: a point and an interval, with what they rest on.

mod estimate;
mod student;

pub use estimate::{Estimate, t_interval};

//! Estimates: a point and an interval, with what they rest on.

mod estimate;

pub use estimate::{Estimate, t_interval};

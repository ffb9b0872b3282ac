//! Labelled images, and the preprocessing that turns them into a network's input.

mod dataset;
mod preprocessing;

pub use dataset::{Dataset, DatasetError, Split};
pub use preprocessing::{Inputs, Layout, Preprocessing, PreprocessingError};

//! Training: what turns a network of [`temper_core`] into one that has learnt.

mod augmentation;
mod batches;
mod field;
mod initialise;
pub mod optimizer;
pub mod schedule;
mod stream;

pub use augmentation::AugmentationSpec;
pub use batches::{Batches, epoch_order};
pub use field::FieldError;
pub use initialise::{Fan, Initialisation, initialise};
pub use stream::EpochSeed;

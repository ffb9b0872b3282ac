//! Training of Temper's networks: recipes, optimisers, quantisation and faults in the loop.
//!
//! - [`recipe`]: a [`RecipeSpec`](recipe::RecipeSpec) is a training as the user writes it.
//! - [`training`]: a run: epochs, records, checkpoints, and what became of it.
//! - [`experiment`]: many trainings and campaigns on what they train, from one file.
//! - [`study`]: a network trained, put on chips of analog hardware, and repaired on each of them.
//! - [`stored`]: the network as a phase stores and strikes it, in the code words of `temper-core`.
//! - [`differentiable`]: a network as a differentiable function of its parameters, on Burn.
//! - [`optimizer`], [`schedule`], [`initialise()`], [`Batches`], [`AugmentationSpec`]: plain arithmetic on slices, with PyTorch's
//!   semantics.

mod augmentation;
mod batches;
pub mod device;
pub mod differentiable;
pub mod experiment;
mod field;
mod initialise;
pub mod optimizer;
pub mod recipe;
pub mod schedule;
pub mod stored;
mod stream;
pub mod study;
pub mod training;

pub use augmentation::AugmentationSpec;
pub use batches::{Batches, epoch_order};
pub use field::FieldError;
pub use initialise::{Fan, Initialisation, initialise};
pub use stream::EpochSeed;

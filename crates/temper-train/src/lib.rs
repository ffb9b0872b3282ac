//! Training of Temper's networks: recipes, optimisers, quantisation and faults in the loop.
//!
//! - [`recipe`]: a [`RecipeSpec`](recipe::RecipeSpec) is a training as the user writes it.
//! - [`differentiable`]: a network as a differentiable function of its parameters, on Burn.
//! - [`stored`]: the network as a phase stores and strikes it, in the code words of `temper-core`.
//! - [`optimizer`], [`schedule`], [`initialise`], [`batches`], [`augmentation`]: plain arithmetic on slices, with PyTorch's semantics.
//! - [`training`]: a run: epochs, records, checkpoints, and what became of it.

pub mod augmentation;
pub mod batches;
pub mod device;
pub mod differentiable;
mod field;
pub mod initialise;
pub mod optimizer;
pub mod recipe;
pub mod schedule;
pub mod stored;
mod stream;
pub mod training;

pub use field::FieldError;
pub use stream::EpochSeed;

//! Memory: which values of a network lie in it, where, and in which format.
//!
//! A [`StorageSpec`] is what a user writes: the weights in `int8`, the activations in `uint8`. [`Memory::new`] stores a network that
//! way: its parameters become what their code words mean, and its activations get [`Tap`](crate::execution::Tap)s where they are
//! stored and, by [`Memory::add_taps`], where they are struck. A [`Target`] and [`Layers`] choose tensors of a memory. It knows nothing of faults.

mod calibration;
mod image;
mod integer;
mod places;
mod selector;
mod storage;
mod target;

pub use calibration::Calibration;
pub use image::{Memory, StoredTensor, TensorId};
pub use integer::{Departure, IntegerError, IntegerSource};
pub use selector::{Layers, SelectorError};
pub use storage::{MemoryError, Place, StorageError, StorageSpec};
pub use target::{BatchNormVector, Class, Part, Target, TargetError};

//! A network compiled for running on the CPU.
//!
//! [`Program::compile`] turns a [`Network`](crate::network::Network) into steps: batch norms, residual additions and activations
//! are fused into the convolution or linear layer before them, reshapes cost nothing, and buffers are shared between values whose
//! lives do not overlap. A program is immutable and shared between threads; what differs between threads is passed in:
//!
//! - [`Weights`]: the parameters, packed for the kernels. Single values are replaced in place, so striking k of them costs O(k).
//! - [`Workspace`]: the activations of one batch. A *recording* workspace keeps every value of a golden run.
//! - [`Faulty`]: a faulty run beside a recorded golden one ([`Program::run_faulty`]). It starts at the first step that faults touch
//!   and computes only what they can change, with the bits of a full run.
//!
//! Activations are read and changed at [`Tap`]s: each is a step that copies a value and hands the copy to a closure, so that they can be
//! stored in a number format or struck. What stands before a tap is not fused with what stands behind it. Where nothing is stored and few
//! values are struck, taps lie within fused steps instead ([`Program::compile_to_strike`]).
//!
//! Layers whose weights and inputs are stored as 8-bit codes can be computed exactly in integers ([`Program::compile_integer`]), and layers
//! that lie on analog hardware by what a chip makes of them ([`Program::compile_on_chip`]).
//!
//! A batch norm is folded into the affine map `x · scale + shift` of each channel, as PyTorch does in inference, and not into the
//! convolution's weights: faults strike stored weights, and those must stay what is stored.

mod arena;
mod compile;
mod evaluate;
mod extent;
mod faulty;
mod fusion;
mod hardware;
mod integer;
mod masking;
mod movement;
mod origins;
mod partial;
mod program;
mod reach;
mod run;
mod taps;
mod weights;
mod winograd;
mod within;

pub use evaluate::{ClassesError, chunk_size, count_correct, logits, logits_with, top_class};
pub use extent::Extent;
pub use faulty::{Beside, Faulty, Proofs, TouchImage};
pub use integer::IntegerLayer;
pub use masking::{Masking, MaskingBatch, Source};
pub use origins::Origins;
pub use program::{Program, StepId};
pub use run::Workspace;
pub use taps::{Tap, TapId, TapSide, Touch, TouchImages};
pub use weights::{ParameterId, Weights};

//! CPU kernels of Temper on plain slices: convolution and linear layers with fused epilogues, pooling, element-wise operators.
//!
//! All of them run on the calling thread and follow three rules:
//!
//! 1. **One arithmetic on every machine.** A convolution's or linear layer's output is a chain of *fused* multiply-adds over its
//!    inputs in the order of the weight's memory (`[in_channels, kh, kw]`), starting from zero. AVX-512, AVX2 and the portable
//!    path therefore give the same bits; only speed differs. Exponentials come from one library, not from the system's. (On processors without fused multiply-add — `x86-64` before 2013 —
//!    it is emulated, exactly and slowly.)
//! 2. **Nothing is special-cased by value.** Infinities, NaN and subnormal numbers, which faults make, go through the same
//!    arithmetic as all others; padding is zeros that are multiplied like any input, so an infinite weight makes NaN there.
//! 3. **NaN is never lost**: ReLU, clipping and max-pooling propagate it.
//!
//! Principal types: [`PackedWeights`], [`ConvShape`], [`Epilogue`], [`Scratch`].

mod aligned;
mod conv;
mod elementwise;
mod epilogue;
mod integer;
mod isa;
mod linear;
mod pack;
mod partial_sums;
mod planes;
mod pool;
mod product;
mod region;
mod simd;
mod store;
mod tile;

pub use conv::{ConvShape, conv2d, conv2d_regions};
pub use elementwise::{activate, affine, softmax};
pub use epilogue::{Activation, Epilogue};
pub use integer::{
    CodeGrid, IntegerIsa, IntegerScratch, IntegerWeights, SumError, check_sum, integer_product,
    round_ties_even, round_to_steps,
};
pub use isa::Isa;
pub use linear::{linear, linear_regions};
pub use pack::PackedWeights;
pub use partial_sums::conv2d_partial_sums;
pub use pool::{PoolShape, avg_pool2d, avg_pool2d_regions, max_pool2d, max_pool2d_regions};
pub use region::Region;

use aligned::Aligned;

/// Memory that kernels need while they run; kept between calls so that it is allocated once.
#[derive(Debug, Default, Clone)]
pub struct Scratch {
    /// Inputs with their padding around them.
    planes: Aligned,
    /// Distances of a convolution's or linear layer's inputs from the first.
    taps: Vec<usize>,
    /// Outputs that are computed together.
    spots: Vec<product::Spot>,
    /// The whole batch as regions.
    regions: Vec<Region>,
}

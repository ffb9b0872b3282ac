//! CPU kernels of Temper on plain slices: convolution and linear layers with fused epilogues, pooling, element-wise operators, and the
//! gradients of all these.
//!
//! All of them run on the calling thread and follow three rules:
//!
//! 1. **One arithmetic on every machine.** A convolution's or linear layer's output is a chain of *fused* multiply-adds over its
//!    inputs in the order of the weight's memory (`[in_channels, kh, kw]`), starting from zero. AVX-512, AVX2 and the portable
//!    path therefore give the same bits; only speed differs. So do outputs computed alone ([`conv2d_regions`]) and with all
//!    others. (Weights packed [for Winograd's algorithm](PackedWeights::with_winograd) have another arithmetic, `winograd`, of which
//!    the same is true.) Exponentials come from one library, not from the system's. (On processors without fused multiply-add —
//!    `x86-64` before 2013 — it is emulated, exactly and slowly.)
//! 2. **Nothing is special-cased by value**, but that Winograd's algorithm, which mixes neighbours, is not used for large ones.
//!    Infinities, NaN and subnormal numbers, which faults make, go through the same arithmetic as all others; padding is zeros that are
//!    multiplied like any input, so an infinite weight makes NaN there.
//!    Subnormal numbers are never flushed to zero: that is a setting of the processor, which not every path could share.
//!    Measured on an Intel processor of 2023 (64 → 64 channels, 8 × 8, 3 × 3): one subnormal weight costs about 5 %, but inputs
//!    that are all subnormal make the layer about 300 times slower. A network whose activations all vanish is that slow until a
//!    bias or batch norm ends it.
//! 3. **NaN is never lost**: ReLU, clipping and max-pooling propagate it.
//!
//! # How a product is computed
//! A *tile* of outputs keeps its sums in registers while it goes through all taps (`tile`). Its vectors lie in one of two ways: one
//! pixel of many channels, which needs inputs one at a time wherever they are, or neighbouring pixels of one channel, which
//! wastes nothing where there are few channels. Geometry alone decides (`conv`), never data. Inputs are copied into `planes` with
//! their padding first, an image or a few at a time, so that every tap lies at a constant distance. `store` applies the epilogue.
//! Convolutions of 3 × 3 have `winograd` too, with a fourth of the multiplications and some times the rounding errors, where weights are
//! packed for it.
//!
//! # How a gradient is computed
//! That of a convolution's input is a convolution of the output's gradient with the weights turned round ([`ConvGradientWeights`]), one for
//! each remainder of the input's pixels modulo the stride. That of its weights is the same tile again with the roles of pixels and taps
//! swapped: it goes through the output's pixels, of which gradients lie in panels as weights do, and its inputs are those of some weights
//! (`gradient::accumulate`). Sums over a batch are divided into short chains, in a way that geometry alone decides and that each function
//! documents; they too have the same bits for all instruction sets.
//!
//! Gradients are computed for a range of images. Those of weights, biases and moments are *added* to what is there, so that a batch can
//! be divided between threads and the parts be added up in order; all others are overwritten.
//!
//! Principal types: [`PackedWeights`], [`ConvShape`], [`Region`], [`Epilogue`], [`Scratch`].

mod aligned;
mod bytes;
mod conv;
mod elementwise;
mod epilogue;
mod gradient;
mod gram;
mod integer;
mod isa;
mod linear;
mod memory;
mod normal;
mod pack;
mod panels;
mod partial_sums;
mod planes;
mod pool;
mod product;
mod pulse;
mod region;
mod simd;
mod store;
mod tile;
mod windows;
mod winograd;

pub use bytes::ByteScale;
pub use conv::{ConvShape, conv2d, conv2d_regions};
pub use elementwise::{activate, affine, softmax};
pub use epilogue::{Activation, Epilogue};
pub use gradient::{
    ConvGradientWeights, Moments, avg_pool2d_gradient, batch_norm, batch_norm_gradient_sums,
    batch_norm_input_gradient, channel_moments, channel_sums, conv2d_input_gradient, conv2d_weight_gradient,
    cross_entropy, linear_weight_gradient, max_pool2d_gradient, relu_gradient,
};
pub use gram::{ComplexRows, complex_gram};
pub use integer::{
    CodeGrid, IntegerIsa, IntegerScratch, IntegerWeights, SumError, check_sum, integer_product,
    round_ties_even, round_to_steps,
};
pub use isa::Isa;
pub use linear::{linear, linear_once, linear_regions};
pub use memory::LargePages;
pub use normal::standard_normal;
pub use pack::PackedWeights;
pub use partial_sums::conv2d_partial_sums;
pub use pool::{PoolShape, avg_pool2d, avg_pool2d_regions, max_pool2d, max_pool2d_regions};
pub use pulse::{Cells, Features, PulseRows, RowEnds, WidthRounding};
pub use region::Region;
pub use windows::Windows;

/// Memory that kernels need while they run; kept between calls so that it is allocated once.
#[derive(Debug, Default, Clone)]
pub struct Scratch {
    /// Inputs with their padding around them.
    planes: aligned::Aligned,
    /// Distances of a convolution's or linear layer's inputs from the first.
    taps: Vec<usize>,
    /// Outputs that are computed together.
    spots: Vec<product::Spot>,
    /// The whole batch as regions.
    regions: Vec<Region>,
    /// Where the inputs of each weight start.
    bases: Vec<usize>,
    /// An output gradient, or inputs or weights of a linear layer, as weights are packed; or transformed inputs.
    panels: aligned::Aligned,
    /// Gradients or sums that are not yet at their place.
    sums: aligned::Aligned,
}

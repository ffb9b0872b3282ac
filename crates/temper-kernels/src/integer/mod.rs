//! Convolutions and linear layers of 8-bit integers, exact.
//!
//! An output is `f32(Σ (w − z_w)(x − z_x)) · scale` with whole numbers `w`, `x` and zero points, and then the [`Epilogue`]. The sum is
//! computed without rounding and without saturation: as `Σ w·u − z_u·Σ w − z_w·(Σ u − taps·z_u)`, every term modulo 2³², which is
//! exact because [`check_sum`] bounds the result. Inputs are codes `u` in 0..=255, weights codes in −128..=127.
//!
//! The multiplications are `vpdpbusd` (VNNI; its 32-bit sum of four products wraps, it does not saturate) or `vpmaddwd` on 16-bit
//! pairs. `vpmaddubsw`, whose 16-bit sums saturate at full-range operands, is never used.
//!
//! Vector lanes are output channels: each product broadcasts the codes of a few taps of one pixel to all lanes, so that any stride,
//! dilation and batch size costs the same. Or they are neighbouring places of a plane, and the codes of a weight are broadcast: where
//! outputs lie as inputs do and channels do not fill vectors. Inputs are turned into codes once ([`layout`]).

mod grid;
mod isa;
mod layout;
mod product;
mod tile;
mod weights;

use crate::epilogue::Epilogue;

pub(crate) use grid::INTEGERS_FROM;
pub use grid::{round_ties_even, round_to_steps};
pub use isa::IntegerIsa;
pub use weights::{IntegerWeights, SumError, check_sum};

/// How `f32` inputs stand for codes: `input = (code − zero) · scale`, codes 0..=255.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CodeGrid {
    /// The step; a normal number.
    pub scale: f32,
    /// The code of zero.
    pub zero: u8,
}

/// Memory that integer products need while they run; kept between calls so that it is allocated once.
#[derive(Debug, Default, Clone)]
pub struct IntegerScratch {
    /// The inputs of some images as codes.
    codes: Vec<u8>,
    /// Where the pixels of a block begin among the codes.
    bases: Vec<usize>,
    /// Sums of a block, `[panels, pixels, lanes]`.
    sums: Vec<i32>,
    /// The sum of all codes under each pixel of a block.
    code_sums: Vec<i32>,
    /// Sums of a panel, `[lanes, pixels]`, or of its channels, `[lanes, places]`.
    turned: Vec<i32>,
    /// Values of a pixel's channels.
    values: Vec<f32>,
}

/// Computes a convolution or linear layer on a batch: `epilogue(f32(Σ (w − z_w)(x − z_x)) · scales[channel])`. Padding is the code of zero.
///
/// Every input must lie on `grid`; which code it is then found exactly. The same bits on every instruction set.
///
/// **Shapes**: `input` `[images, C, H, W]` (linear: `[rows, in_features]`), `scales` `[out_channels]`, each the product of the weights'
/// and the inputs' scale, `output` `[images, out_channels, H', W']` (linear: `[rows, out_features]`).
///
/// # Panics
/// When the slices do not have these shapes.
pub fn integer_product(
    weights: &IntegerWeights,
    input: &[f32],
    grid: CodeGrid,
    scales: &[f32],
    epilogue: &Epilogue<'_>,
    output: &mut [f32],
    scratch: &mut IntegerScratch,
) {
    let shape = weights.layout().shape();
    let [oh, ow] = shape.output();
    let image: usize = shape.input.iter().product();
    assert_eq!(input.len() % image, 0, "input must be [images, C, H, W]");
    let images = input.len() / image;
    assert_eq!(
        output.len(),
        images * shape.out_channels * oh * ow,
        "output must be [images, out_channels, H', W']"
    );
    assert_eq!(scales.len(), shape.out_channels, "one scale for each output channel");
    product::Product { weights, input, grid, scales, epilogue, output }.run(scratch);
}

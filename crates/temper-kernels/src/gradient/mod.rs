//! Gradients: what training adds to the forward pass.

mod accumulate;
mod conv_input;
mod conv_weight;
mod linear;

pub use conv_input::{ConvGradientWeights, conv2d_input_gradient};
pub use conv_weight::conv2d_weight_gradient;
pub use linear::linear_weight_gradient;

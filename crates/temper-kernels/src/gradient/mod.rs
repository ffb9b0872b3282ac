//! Gradients: what training adds to the forward pass.

mod accumulate;
mod batch_norm;
mod channels;
mod conv_input;
mod conv_weight;
mod conv_weight_pixels;
mod lanes;
mod linear;
mod loss;
mod pool;

pub use batch_norm::{batch_norm, batch_norm_gradient_sums, batch_norm_input_gradient, relu_gradient};
pub use channels::{Moments, channel_moments, channel_sums};
pub use conv_input::{ConvGradientWeights, conv2d_input_gradient};
pub use conv_weight::conv2d_weight_gradient;
pub use linear::linear_weight_gradient;
pub use loss::cross_entropy;
pub use pool::{avg_pool2d_gradient, max_pool2d_gradient};

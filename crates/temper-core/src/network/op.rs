//! The operators a network is made of.

use serde::{Deserialize, Serialize};

use super::float;
use super::geometry::{Padding2d, Pair};

/// What a node computes. Shapes leave the batch dimension out; arguments have PyTorch's names and meanings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Op {
    /// The network's input. Always and only the first node.
    Input {
        /// Shape of one input, usually `[C, H, W]`.
        shape: Vec<usize>,
    },
    /// A stored tensor, the same for every image: parameter `value`.
    Constant {
        /// Its shape.
        shape: Vec<usize>,
    },
    /// 2-D cross-correlation, `[in_channels, H, W]` → `[out_channels, H', W']`;
    /// parameters `weight` `[out_channels, in_channels / groups, kh, kw]` and, if `bias`, `bias` `[out_channels]`.
    Conv2d {
        /// Channels of the input.
        in_channels: usize,
        /// Channels of the output.
        out_channels: usize,
        /// Extent of the kernel.
        kernel: Pair,
        /// Step between two outputs.
        #[serde(default = "one")]
        stride: Pair,
        /// Zeros around the input.
        #[serde(default)]
        padding: Padding2d,
        /// Distance between two kernel taps.
        #[serde(default = "one")]
        dilation: Pair,
        /// Number of independent groups of channels.
        #[serde(default = "one_group")]
        groups: usize,
        /// Whether a bias is added.
        #[serde(default = "yes")]
        bias: bool,
    },
    /// `y = x Wᵀ + b` over the last dimension, `[…, in_features]` → `[…, out_features]`;
    /// parameters `weight` `[out_features, in_features]` and, if `bias`, `bias` `[out_features]`.
    Linear {
        /// Length of the input's last dimension.
        in_features: usize,
        /// Length of the output's last dimension.
        out_features: usize,
        /// Whether a bias is added.
        #[serde(default = "yes")]
        bias: bool,
    },
    /// Batch normalisation as in inference: `(x − running_mean) / √(running_var + eps) · weight + bias` for each channel (first
    /// dimension); parameters `weight`, `bias`, `running_mean`, `running_var`, each `[num_features]`.
    BatchNorm {
        /// Number of channels.
        num_features: usize,
        /// Added to the variance.
        #[serde(default = "batch_norm_eps", with = "float")]
        eps: f32,
    },
    /// `max(x, 0)`; NaN stays NaN.
    Relu,
    /// `x` if positive, else `negative_slope · x`.
    LeakyRelu {
        /// Slope for negative inputs.
        #[serde(with = "float")]
        negative_slope: f32,
    },
    /// `x` limited to `[min, max]`; NaN stays NaN.
    Clip {
        /// Lower limit; `-inf` for none (in JSON as a string).
        #[serde(with = "float")]
        min: f32,
        /// Upper limit; `inf` for none (in JSON as a string).
        #[serde(with = "float")]
        max: f32,
    },
    /// `1 / (1 + e^−x)`.
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// The largest value under each window; NaN wins; padding never takes part (a dilated window that meets nothing else gives −∞,
    /// as in PyTorch).
    MaxPool2d {
        /// Extent of the window.
        kernel: Pair,
        /// Step between two windows.
        stride: Pair,
        /// Padding around the input.
        #[serde(default)]
        padding: Padding2d,
        /// Distance between two window taps.
        #[serde(default = "one")]
        dilation: Pair,
        /// Whether a last, partial window counts.
        #[serde(default)]
        ceil_mode: bool,
    },
    /// The mean under each window.
    AvgPool2d {
        /// Extent of the window.
        kernel: Pair,
        /// Step between two windows.
        stride: Pair,
        /// Zeros around the input.
        #[serde(default)]
        padding: Padding2d,
        /// Whether a last, partial window counts.
        #[serde(default)]
        ceil_mode: bool,
        /// Whether padding counts in the divisor.
        #[serde(default = "yes")]
        count_include_pad: bool,
    },
    /// Mean of each channel, `[C, H, W]` → `[C, 1, 1]`.
    GlobalAvgPool,
    /// Maximum of each channel, `[C, H, W]` → `[C, 1, 1]`.
    GlobalMaxPool,
    /// Sum of two inputs, broadcast as in NumPy.
    Add,
    /// Product of two inputs, broadcast as in NumPy.
    Mul,
    /// Inputs laid one after another along `axis`.
    Concat {
        /// Dimension, not counting the batch.
        axis: usize,
    },
    /// A constant laid around the input.
    Pad {
        /// Elements before, one number per dimension.
        before: Vec<usize>,
        /// Elements after, one number per dimension.
        after: Vec<usize>,
        /// The constant.
        #[serde(default, with = "float")]
        value: f32,
    },
    /// All dimensions into one, `[C, H, W]` → `[C·H·W]`.
    Flatten,
    /// The same values in another shape.
    Reshape {
        /// The new shape.
        shape: Vec<usize>,
    },
    /// Dimensions permuted: dimension `i` of the output is dimension `perm[i]` of the input.
    Transpose {
        /// The permutation, not counting the batch.
        perm: Vec<usize>,
    },
    /// `e^x / Σ e^x` along `axis`.
    Softmax {
        /// Dimension, not counting the batch.
        axis: usize,
    },
    /// The identity: dropout acts in training only.
    Dropout,
}

/// What a parameter is for; fault targets are chosen by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ParameterKind {
    /// Multiplied with inputs of a convolution or linear layer.
    Weight,
    /// Added by a convolution or linear layer.
    Bias,
    /// One of a batch-norm layer's four vectors.
    BatchNorm,
    /// A stored tensor.
    Constant,
}

/// A parameter that an operator needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterSpec {
    /// Last part of its path, after the node's name and a dot.
    pub suffix: &'static str,
    /// Its shape.
    pub shape: Vec<usize>,
    /// What it is for.
    pub kind: ParameterKind,
}

impl Op {
    /// The operator's name as written in a graph description, such as `conv2d`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Input { .. } => "input",
            Self::Constant { .. } => "constant",
            Self::Conv2d { .. } => "conv2d",
            Self::Linear { .. } => "linear",
            Self::BatchNorm { .. } => "batch-norm",
            Self::Relu => "relu",
            Self::LeakyRelu { .. } => "leaky-relu",
            Self::Clip { .. } => "clip",
            Self::Sigmoid => "sigmoid",
            Self::Tanh => "tanh",
            Self::MaxPool2d { .. } => "max-pool2d",
            Self::AvgPool2d { .. } => "avg-pool2d",
            Self::GlobalAvgPool => "global-avg-pool",
            Self::GlobalMaxPool => "global-max-pool",
            Self::Add => "add",
            Self::Mul => "mul",
            Self::Concat { .. } => "concat",
            Self::Pad { .. } => "pad",
            Self::Flatten => "flatten",
            Self::Reshape { .. } => "reshape",
            Self::Transpose { .. } => "transpose",
            Self::Softmax { .. } => "softmax",
            Self::Dropout => "dropout",
        }
    }

    /// The parameters this operator needs, in PyTorch's order.
    pub fn parameters(&self) -> Vec<ParameterSpec> {
        let spec = |suffix, shape, kind| ParameterSpec { suffix, shape, kind };
        match self {
            Self::Constant { shape } => vec![spec("value", shape.clone(), ParameterKind::Constant)],
            Self::Conv2d { in_channels, out_channels, kernel, groups, bias, .. } => {
                let shape = vec![*out_channels, in_channels / (*groups).max(1), kernel.height, kernel.width];
                let mut specs = vec![spec("weight", shape, ParameterKind::Weight)];
                specs.extend(bias.then(|| spec("bias", vec![*out_channels], ParameterKind::Bias)));
                specs
            }
            Self::Linear { in_features, out_features, bias } => {
                let mut specs =
                    vec![spec("weight", vec![*out_features, *in_features], ParameterKind::Weight)];
                specs.extend(bias.then(|| spec("bias", vec![*out_features], ParameterKind::Bias)));
                specs
            }
            Self::BatchNorm { num_features, .. } => ["weight", "bias", "running_mean", "running_var"]
                .map(|suffix| spec(suffix, vec![*num_features], ParameterKind::BatchNorm))
                .to_vec(),
            _ => Vec::new(),
        }
    }
}

const fn one() -> Pair {
    Pair::square(1)
}

const fn one_group() -> usize {
    1
}

const fn yes() -> bool {
    true
}

/// PyTorch's default.
const fn batch_norm_eps() -> f32 {
    1e-5
}

//! What is done to a sum before it is stored.

/// A function applied to single values. NaN stays NaN in all of them.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Activation {
    /// The value itself.
    #[default]
    Identity,
    /// `max(x, 0)`.
    Relu,
    /// `x` if positive, else the slope times `x`.
    LeakyRelu(f32),
    /// `x` limited to `[min, max]`.
    Clip {
        /// Lower limit.
        min: f32,
        /// Upper limit.
        max: f32,
    },
    /// `1 / (1 + e^−x)`.
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
}

impl Activation {
    /// The function's value at `x`.
    #[inline(always)]
    pub fn apply(self, x: f32) -> f32 {
        match self {
            Self::Identity => x,
            Self::Relu => {
                if x <= 0.0 {
                    0.0
                } else {
                    x
                }
            }
            Self::LeakyRelu(slope) => {
                if x < 0.0 {
                    slope * x
                } else {
                    x
                }
            }
            Self::Clip { min, max } => {
                if x < min {
                    min
                } else if x > max {
                    max
                } else {
                    x
                }
            }
            Self::Sigmoid => 1.0 / (1.0 + libm::expf(-x)),
            Self::Tanh => libm::tanhf(x),
        }
    }

    /// Applies it to every value.
    #[inline(always)]
    pub(crate) fn apply_all(self, values: &mut [f32]) {
        // Each arm is a loop of its own, so that the cheap ones become vector instructions.
        match self {
            Self::Identity => {}
            Self::Relu => values.iter_mut().for_each(|x| *x = Self::Relu.apply(*x)),
            Self::LeakyRelu(slope) => values.iter_mut().for_each(|x| *x = Self::LeakyRelu(slope).apply(*x)),
            Self::Clip { min, max } => values.iter_mut().for_each(|x| *x = Self::Clip { min, max }.apply(*x)),
            Self::Sigmoid => values.iter_mut().for_each(|x| *x = Self::Sigmoid.apply(*x)),
            Self::Tanh => values.iter_mut().for_each(|x| *x = Self::Tanh.apply(*x)),
        }
    }
}

/// What is done to each sum of a convolution or linear layer before it is stored:
/// `activation((sum + bias) · scale + shift + residual)`, each part optional, the product and sum with `shift` fused.
#[derive(Debug, Clone, Copy, Default)]
pub struct Epilogue<'a> {
    /// Added first; `[out_channels]`.
    pub bias: Option<&'a [f32]>,
    /// Scale and shift of a folded batch norm; `[out_channels]` each.
    pub affine: Option<(&'a [f32], &'a [f32])>,
    /// Added next to last; of the output's shape.
    pub residual: Option<&'a [f32]>,
    /// Applied last.
    pub activation: Activation,
}

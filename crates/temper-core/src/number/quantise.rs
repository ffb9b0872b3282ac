//! How the user wants values to be mapped to integers.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::format::{NumberFormat, NumberFormatError};

/// How the scale (and zero point) of a format that needs one is chosen. What is left out follows from the format:
///
/// | format | scheme | range |
/// |---|---|---|
/// | `intN` | symmetric; affine on request | `max-abs`; affine: `min-max` |
/// | `sintN` | symmetric | `max-abs` |
/// | `uintN` | affine | `min-max` |
/// | `binary` | symmetric | `mean-abs` |
/// | floats, fixed point | none: any choice is an error | |
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quantisation {
    /// Where zero lies among the codes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheme: Option<Scheme>,
    /// How many values share a scale.
    #[serde(default, skip_serializing_if = "Granularity::is_tensor")]
    pub granularity: Granularity,
    /// Which values the codes reach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<RangeRule>,
}

/// Where zero lies among the codes (Jacob et al., "Quantization and training of neural networks for efficient
/// integer-arithmetic-only inference", CVPR 2018; Krishnamoorthi, "Quantizing deep convolutional networks for efficient
/// inference", 2018).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// `value = code · scale`: zero is code 0, and the range reaches equally far to both sides.
    Symmetric,
    /// `value = (code − zero_point) · scale`: any range that contains zero.
    Affine,
}

impl Scheme {
    /// The name as written in a specification.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Symmetric => "symmetric",
            Self::Affine => "affine",
        }
    }
}

/// How many values share a scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Granularity {
    /// All values of a tensor.
    #[default]
    Tensor,
    /// The values of one channel: of a weight `[out, …]` those of one output, of an activation `[N, C, H, W]` those of one `C`.
    Channel,
}

impl Granularity {
    /// Whether it is the default; for serde.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
    fn is_tensor(&self) -> bool {
        *self == Self::Tensor
    }
}

/// Which values the codes reach; what lies beyond is stored as the outermost code. NaN and infinities are left out of the count.
///
/// Ranges reach at most to ±2¹²⁶, so that no step of a grid overflows; an affine range is widened to contain zero.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum RangeRule {
    /// Symmetric: up to the largest magnitude.
    MaxAbs,
    /// Affine: from the smallest to the largest value.
    MinMax,
    /// Binary: the scale is the mean magnitude, which minimises the squared error (Rastegari et al., "XNOR-Net", ECCV 2016, eq. 6).
    MeanAbs,
    /// Symmetric: up to this percentile of the magnitudes. Affine: the central so many percent of the values. Above 0, up to 100;
    /// linear interpolation between neighbours, as in NumPy (definition 7 of Hyndman and Fan, 1996).
    Percentile(f64),
    /// Symmetric: up to this magnitude. Binary: this scale.
    Given(f64),
    /// Affine: from `low` to `high`, with zero between them.
    Interval {
        /// The smallest value, not above zero.
        low: f64,
        /// The largest value, not below zero.
        high: f64,
    },
}

impl RangeRule {
    /// The name as written in a specification.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MaxAbs => "max-abs",
            Self::MinMax => "min-max",
            Self::MeanAbs => "mean-abs",
            Self::Percentile(_) => "percentile",
            Self::Given(_) => "given",
            Self::Interval { .. } => "interval",
        }
    }
}

/// Why a quantisation does not fit a format or what is to be stored.
#[derive(Debug, Error, PartialEq)]
pub enum QuantisationError {
    /// A format with impossible widths.
    #[error(transparent)]
    Format(#[from] NumberFormatError),
    /// A choice where there is none.
    #[error("quantisation: {format} has no scale to choose; leave scheme, granularity and range out")]
    NoScale {
        /// The format.
        format: NumberFormat,
    },
    /// A scheme that the format cannot have.
    #[error("scheme: {format} is never {}; leave scheme out or choose another format", .found.name())]
    Scheme {
        /// The format.
        format: NumberFormat,
        /// What was chosen.
        found: Scheme,
    },
    /// A rule of another scheme.
    #[error("range: {found} does not go with {format}, {}; expected {expected}", .scheme.name())]
    Rule {
        /// The format.
        format: NumberFormat,
        /// Its scheme.
        scheme: Scheme,
        /// The rule that was chosen.
        found: &'static str,
        /// The rules that go with them.
        expected: &'static str,
    },
    /// A percentile outside its range.
    #[error("range: percentile is {value}; expected more than 0 and at most 100")]
    Percentile {
        /// What was given.
        value: f64,
    },
    /// A magnitude that is none.
    #[error("range: given is {value}; expected a number from 2^-126 to 2^126 (about 1.2e-38 to 8.5e37)")]
    Given {
        /// What was given.
        value: f64,
    },
    /// An interval that is none, or without zero.
    #[error(
        "range: the interval is {low} to {high}; expected low ≤ 0 ≤ high, not both zero, neither beyond 2^126 (about 8.5e37)"
    )]
    Interval {
        /// What was given as the smallest value.
        low: f64,
        /// What was given as the largest value.
        high: f64,
    },
    /// Values that channels do not divide evenly.
    #[error(
        "{values} values cannot be divided into {channels} channels; pass the leading dimension of the tensor"
    )]
    Channels {
        /// How many values.
        values: usize,
        /// How many channels.
        channels: usize,
    },
    /// Not one range for a tensor, or none for channels.
    #[error("found {found} ranges; expected {}", match .granularity {
        Granularity::Tensor => "1, for the whole tensor",
        Granularity::Channel => "one for each channel, and a channel of at least one value",
    })]
    RangeCount {
        /// How many ranges.
        found: usize,
        /// What they are for.
        granularity: Granularity,
    },
    /// A calibrated range that is none.
    #[error("the range of channel {channel} is {low} to {high}; expected two numbers, the smaller first")]
    Range {
        /// Which channel, or 0 for a tensor.
        channel: usize,
        /// Its smallest value.
        low: f32,
        /// Its largest value.
        high: f32,
    },
}

impl QuantisationError {
    /// The field of the user's choice that is wrong.
    pub fn field(&self) -> &'static str {
        match self {
            Self::Scheme { .. } => "scheme",
            Self::Rule { .. } | Self::Percentile { .. } | Self::Given { .. } | Self::Interval { .. } => {
                "range"
            }
            Self::Format(_)
            | Self::NoScale { .. }
            | Self::Channels { .. }
            | Self::RangeCount { .. }
            | Self::Range { .. } => "format",
        }
    }
}

/// A scheme and a rule that go together, for a format that needs a range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Choice {
    pub(super) scheme: Scheme,
    pub(super) rule: RangeRule,
}

/// The largest magnitude that a range can reach: 2¹²⁶.
pub(super) const WIDEST: f64 = f64::from_bits((1023 + 126) << 52);

impl Quantisation {
    /// Checks that the choices go with a format; what [`Codec::fit`](super::Codec::fit) checks first.
    ///
    /// # Errors
    /// When the format's widths are impossible, or a choice makes no sense for it or is out of range.
    pub fn check(&self, format: NumberFormat) -> Result<(), QuantisationError> {
        self.resolve(format).map(|_| ())
    }

    /// The choices with defaults filled in; `None` for formats without a scale.
    pub(super) fn resolve(&self, format: NumberFormat) -> Result<Option<Choice>, QuantisationError> {
        let format = format.check()?;
        if !format.needs_range() {
            return if *self == Self::default() {
                Ok(None)
            } else {
                Err(QuantisationError::NoScale { format })
            };
        }
        let scheme = match (format, self.scheme) {
            (NumberFormat::Uint(_), None) => Scheme::Affine,
            (_, None) => Scheme::Symmetric,
            (NumberFormat::Int(_), Some(scheme))
            | (NumberFormat::Uint(_), Some(scheme @ Scheme::Affine))
            | (NumberFormat::Sint(_) | NumberFormat::Binary, Some(scheme @ Scheme::Symmetric)) => scheme,
            (_, Some(found)) => return Err(QuantisationError::Scheme { format, found }),
        };
        let binary = format == NumberFormat::Binary;
        let rule = self.range.unwrap_or(match scheme {
            Scheme::Symmetric if binary => RangeRule::MeanAbs,
            Scheme::Symmetric => RangeRule::MaxAbs,
            Scheme::Affine => RangeRule::MinMax,
        });
        let (fits, expected) = match scheme {
            Scheme::Symmetric if binary => {
                (matches!(rule, RangeRule::MeanAbs | RangeRule::Given(_)), "mean-abs or given")
            }
            Scheme::Symmetric => (
                matches!(rule, RangeRule::MaxAbs | RangeRule::Percentile(_) | RangeRule::Given(_)),
                "max-abs, percentile or given",
            ),
            Scheme::Affine => (
                matches!(rule, RangeRule::MinMax | RangeRule::Percentile(_) | RangeRule::Interval { .. }),
                "min-max, percentile or interval",
            ),
        };
        if !fits {
            return Err(QuantisationError::Rule { format, scheme, found: rule.name(), expected });
        }
        rule.check()?;
        Ok(Some(Choice { scheme, rule }))
    }
}

impl RangeRule {
    /// Checks its numbers; every comparison is false for NaN.
    fn check(self) -> Result<(), QuantisationError> {
        match self {
            Self::MaxAbs | Self::MinMax | Self::MeanAbs => Ok(()),
            Self::Percentile(value) if value > 0.0 && value <= 100.0 => Ok(()),
            Self::Percentile(value) => Err(QuantisationError::Percentile { value }),
            Self::Given(value) if (f64::from(f32::MIN_POSITIVE)..=WIDEST).contains(&value) => Ok(()),
            Self::Given(value) => Err(QuantisationError::Given { value }),
            Self::Interval { low, high }
                if (-WIDEST..=0.0).contains(&low) && (0.0..=WIDEST).contains(&high) && low < high =>
            {
                Ok(())
            }
            Self::Interval { low, high } => Err(QuantisationError::Interval { low, high }),
        }
    }
}

//! The names and the bits of number formats.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The memory image in which a fault acts: values are encoded, bits are struck, and what the bits then mean is computed with.
///
/// Written as a string everywhere: `f64 f32 f16 bf16 f8e4m3 f8e5m2`, `int2` to `int16`, `sint2` to `sint16`, `uint2` to
/// `uint16`, `q3.4` (fixed point), `binary`. Bit 0 is the least significant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum NumberFormat {
    /// IEEE 754 binary64: sign in bit 63, exponent in bits 62..52, mantissa in bits 51..0.
    F64,
    /// IEEE 754 binary32: sign in bit 31, exponent in bits 30..23, mantissa in bits 22..0.
    #[default]
    F32,
    /// IEEE 754 binary16: sign in bit 15, exponent in bits 14..10, mantissa in bits 9..0.
    F16,
    /// The upper half of an `f32`: sign in bit 15, exponent in bits 14..7, mantissa in bits 6..0.
    Bf16,
    /// OCP FP8 E4M3: sign in bit 7, exponent in bits 6..3, mantissa in bits 2..0; no infinities, one NaN of either sign, up to
    /// 448 (Open Compute Project, "8-bit Floating Point Specification (OFP8)", 2023; PyTorch's `float8_e4m3fn`).
    F8E4M3,
    /// OCP FP8 E5M2: sign in bit 7, exponent in bits 6..2, mantissa in bits 1..0; infinities and NaN as in IEEE 754, up to 57 344.
    F8E5M2,
    /// Two's-complement integer of 2 to 16 bits, times a scale.
    Int(u8),
    /// Sign-magnitude integer of 2 to 16 bits, times a scale: sign in the top bit.
    Sint(u8),
    /// Unsigned integer of 2 to 16 bits, less a zero point, times a scale.
    Uint(u8),
    /// Fixed point Qm.n: a two's-complement integer of 1 + m + n bits (2 to 32), times 2⁻ⁿ.
    Fixed {
        /// m, the integer bits, without the sign.
        integer: u8,
        /// n, the fraction bits.
        fraction: u8,
    },
    /// One bit times a scale; a set bit is negative.
    Binary,
}

/// A part of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BitField {
    /// The sign bit.
    Sign,
    /// The biased exponent of a floating-point number.
    Exponent,
    /// The fraction of a floating-point number without its leading one, or the magnitude of a sign-magnitude integer.
    Mantissa,
}

impl BitField {
    /// The name as written in a specification.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sign => "sign",
            Self::Exponent => "exponent",
            Self::Mantissa => "mantissa",
        }
    }
}

/// A string, or widths, that are no number format.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "\"{found}\" is not a number format; expected f64, f32, f16, bf16, f8e4m3, f8e5m2, int2 to int16, sint2 to sint16, uint2 to \
     uint16, a fixed-point format such as q3.4 (1 to 31 bits behind the sign), or binary"
)]
pub struct NumberFormatError {
    /// What was found.
    pub found: String,
}

impl NumberFormat {
    /// Whether the widths are within the limits; what is parsed always is.
    ///
    /// # Errors
    /// When an integer has less than 2 or more than 16 bits, or a fixed-point number none or more than 31 behind the sign.
    pub fn check(self) -> Result<Self, NumberFormatError> {
        let sound = match self {
            Self::Int(width) | Self::Sint(width) | Self::Uint(width) => (2..=16).contains(&width),
            Self::Fixed { integer, fraction } => {
                (1..=31).contains(&(u32::from(integer) + u32::from(fraction)))
            }
            _ => true,
        };
        if sound { Ok(self) } else { Err(NumberFormatError { found: self.to_string() }) }
    }

    /// Total width in bits.
    pub const fn bit_width(self) -> u32 {
        match self {
            Self::F64 => 64,
            Self::F32 => 32,
            Self::F16 | Self::Bf16 => 16,
            Self::F8E4M3 | Self::F8E5M2 => 8,
            Self::Int(width) | Self::Sint(width) | Self::Uint(width) => width as u32,
            Self::Fixed { integer, fraction } => 1 + integer as u32 + fraction as u32,
            Self::Binary => 1,
        }
    }

    /// The bits of a field, least significant first; `None` where the format has no such field.
    ///
    /// Two's-complement integers and fixed-point numbers have a sign bit and nothing else: what lies below it is no magnitude.
    pub const fn field(self, field: BitField) -> Option<Range<u32>> {
        let top = self.bit_width().saturating_sub(1);
        let mantissa = match self {
            Self::F64 => 52,
            Self::F32 => 23,
            Self::F16 => 10,
            Self::Bf16 => 7,
            Self::F8E4M3 => 3,
            Self::F8E5M2 => 2,
            Self::Sint(_) => top,
            Self::Int(_) | Self::Uint(_) | Self::Fixed { .. } | Self::Binary => 0,
        };
        match field {
            BitField::Sign if !matches!(self, Self::Uint(_)) => Some(top..top + 1),
            BitField::Mantissa if mantissa > 0 => Some(0..mantissa),
            BitField::Exponent if self.is_float() => Some(mantissa..top),
            _ => None,
        }
    }

    /// Whether it is a floating-point format.
    pub const fn is_float(self) -> bool {
        matches!(self, Self::F64 | Self::F32 | Self::F16 | Self::Bf16 | Self::F8E4M3 | Self::F8E5M2)
    }

    /// Whether its values are whole steps of a scale, each a code of at most 8 bits.
    pub const fn is_small_integer(self) -> bool {
        !self.is_float() && self.bit_width() <= 8
    }

    /// Whether its values depend on a scale, and so on the range of what is to be stored.
    pub const fn needs_range(self) -> bool {
        matches!(self, Self::Int(_) | Self::Sint(_) | Self::Uint(_) | Self::Binary)
    }
}

impl fmt::Display for NumberFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::F64 => f.write_str("f64"),
            Self::F32 => f.write_str("f32"),
            Self::F16 => f.write_str("f16"),
            Self::Bf16 => f.write_str("bf16"),
            Self::F8E4M3 => f.write_str("f8e4m3"),
            Self::F8E5M2 => f.write_str("f8e5m2"),
            Self::Int(width) => write!(f, "int{width}"),
            Self::Sint(width) => write!(f, "sint{width}"),
            Self::Uint(width) => write!(f, "uint{width}"),
            Self::Fixed { integer, fraction } => write!(f, "q{integer}.{fraction}"),
            Self::Binary => f.write_str("binary"),
        }
    }
}

impl FromStr for NumberFormat {
    type Err = NumberFormatError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let after = |prefix| text.strip_prefix(prefix);
        let width = |digits: &str| digits.parse::<u8>().ok();
        let format = match text {
            "f64" => Some(Self::F64),
            "f32" => Some(Self::F32),
            "f16" => Some(Self::F16),
            "bf16" => Some(Self::Bf16),
            "f8e4m3" => Some(Self::F8E4M3),
            "f8e5m2" => Some(Self::F8E5M2),
            "binary" => Some(Self::Binary),
            _ => None
                .or_else(|| after("int").and_then(width).map(Self::Int))
                .or_else(|| after("sint").and_then(width).map(Self::Sint))
                .or_else(|| after("uint").and_then(width).map(Self::Uint))
                .or_else(|| {
                    let (integer, fraction) = after("q")?.split_once('.')?;
                    Some(Self::Fixed { integer: width(integer)?, fraction: width(fraction)? })
                }),
        };
        format
            .and_then(|format| format.check().ok())
            // One spelling each: no `int08`, no `int+8`.
            .filter(|format| format.to_string() == text)
            .ok_or_else(|| NumberFormatError { found: text.to_owned() })
    }
}

impl TryFrom<String> for NumberFormat {
    type Error = NumberFormatError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<NumberFormat> for String {
    fn from(format: NumberFormat) -> Self {
        format.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<NumberFormat, NumberFormatError> {
        text.parse()
    }

    /// Every format there is.
    fn all() -> Vec<NumberFormat> {
        use NumberFormat::{Bf16, Binary, F8E4M3, F8E5M2, F16, F32, F64, Fixed, Int, Sint, Uint};
        let widths = 2..=16u8;
        let fixed = (0..=31u8).flat_map(|integer| (0..=31 - integer).map(move |n| (integer, n)));
        [F64, F32, F16, Bf16, F8E4M3, F8E5M2, Binary]
            .into_iter()
            .chain(widths.clone().map(Int))
            .chain(widths.clone().map(Sint))
            .chain(widths.map(Uint))
            .chain(fixed.skip(1).map(|(integer, fraction)| Fixed { integer, fraction }))
            .collect()
    }

    #[test]
    fn every_format_is_read_as_it_is_written() {
        let formats = all();
        assert_eq!(formats.len(), 7 + 45 + 527);
        for format in formats {
            let text = format.to_string();
            assert_eq!(parse(&text), Ok(format));
            let json = serde_json::to_string(&format).unwrap();
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<NumberFormat>(&json).unwrap(), format);
        }
    }

    #[test]
    fn fields_do_not_overlap_and_fill_floats_and_sign_magnitude_integers() {
        use BitField::{Exponent, Mantissa, Sign};
        for format in all() {
            let fields = [Mantissa, Exponent, Sign].map(|field| format.field(field));
            let bits: Vec<u32> = fields.into_iter().flatten().flatten().collect();
            assert!(bits.is_sorted_by(|a, b| a < b), "{format}: {bits:?}");
            assert!(bits.iter().all(|bit| *bit < format.bit_width()), "{format}: {bits:?}");
            let filled = format.is_float() || matches!(format, NumberFormat::Sint(_) | NumberFormat::Binary);
            assert_eq!(bits.len() == format.bit_width() as usize, filled, "{format}: {bits:?}");
        }
    }

    #[test]
    fn known_layouts() {
        let layout = |text: &str| {
            let format = parse(text).unwrap();
            let field = |field| format.field(field);
            (format.bit_width(), field(BitField::Sign), field(BitField::Exponent), field(BitField::Mantissa))
        };
        assert_eq!(layout("f64"), (64, Some(63..64), Some(52..63), Some(0..52)));
        assert_eq!(layout("f32"), (32, Some(31..32), Some(23..31), Some(0..23)));
        assert_eq!(layout("f16"), (16, Some(15..16), Some(10..15), Some(0..10)));
        assert_eq!(layout("bf16"), (16, Some(15..16), Some(7..15), Some(0..7)));
        assert_eq!(layout("f8e4m3"), (8, Some(7..8), Some(3..7), Some(0..3)));
        assert_eq!(layout("f8e5m2"), (8, Some(7..8), Some(2..7), Some(0..2)));
        assert_eq!(layout("int8"), (8, Some(7..8), None, None));
        assert_eq!(layout("sint4"), (4, Some(3..4), None, Some(0..3)));
        assert_eq!(layout("uint8"), (8, None, None, None));
        assert_eq!(layout("q3.4"), (8, Some(7..8), None, None));
        assert_eq!(layout("binary"), (1, Some(0..1), None, None));
    }

    #[test]
    fn what_is_no_format_is_named() {
        for text in [
            "", "f128", "F32", " f32", "int", "int1", "int17", "int08", "int+8", "int-8", "int256", "int8.0",
            "sint1", "uint0", "uint17", "q", "q3", "q.4", "q3.", "q0.0", "q16.16", "q255.255", "q3.4.5",
            "q03.4", "Q3.4", "binary1", "ｉnt8",
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("\"{text}\" is not a number format; expected f64, ")),
                "{error}"
            );
            assert!(serde_json::from_str::<NumberFormat>(&format!("\"{text}\"")).is_err());
        }
        for json in ["null", "8", "{\"int\":8}"] {
            assert!(serde_json::from_str::<NumberFormat>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn widths_out_of_range_are_refused_not_computed_with() {
        for width in (0..2).chain(17..=u8::MAX) {
            assert!(NumberFormat::Int(width).check().is_err());
            assert!(NumberFormat::Sint(width).check().is_err());
            assert!(NumberFormat::Uint(width).check().is_err());
            assert!(NumberFormat::Int(width).field(BitField::Sign).is_some());
        }
        let fixed = NumberFormat::Fixed { integer: u8::MAX, fraction: u8::MAX };
        assert_eq!(fixed.check().unwrap_err().found, "q255.255");
    }

    proptest! {
        #[test]
        fn any_text_is_a_format_or_an_error(text in "[a-z]{0,4}[0-9.+-]{0,6}|\\PC{0,8}") {
            if let Ok(format) = parse(&text) {
                prop_assert_eq!(format.to_string(), text);
            }
        }
    }
}

//! Number formats: how a value lies in memory, bit by bit.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// The memory image in which a fault acts: values are encoded, bits are struck, and what the bits then mean is computed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NumberFormat {
    /// IEEE 754 binary32: sign in bit 31, exponent in bits 30..23, mantissa in bits 22..0.
    #[default]
    F32,
}

/// A part of a floating-point number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BitField {
    /// The sign bit.
    Sign,
    /// The biased exponent.
    Exponent,
    /// The fraction without its leading one.
    Mantissa,
}

impl NumberFormat {
    /// Total width in bits; bit 0 is the least significant.
    pub const fn bit_width(self) -> u32 {
        match self {
            Self::F32 => 32,
        }
    }

    /// The bits of a field, least significant first.
    pub const fn field(self, field: BitField) -> Range<u32> {
        match (self, field) {
            (Self::F32, BitField::Mantissa) => 0..23,
            (Self::F32, BitField::Exponent) => 23..31,
            (Self::F32, BitField::Sign) => 31..32,
        }
    }

    /// The bit pattern of a value.
    pub const fn encode(self, value: f32) -> u32 {
        match self {
            Self::F32 => value.to_bits(),
        }
    }

    /// The value of a bit pattern.
    pub const fn decode(self, bits: u32) -> f32 {
        match self {
            Self::F32 => f32::from_bits(bits),
        }
    }
}

//! What a fault does to a stored value.

use serde::{Deserialize, Serialize};

use crate::number::NumberFormat;

/// How a fault changes what it strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorModel {
    /// A bit is inverted.
    BitFlip,
    /// A bit reads zero.
    #[serde(rename = "stuck-at-0")]
    StuckAt0,
    /// A bit reads one.
    #[serde(rename = "stuck-at-1")]
    StuckAt1,
    /// A value reads zero.
    Zeroing,
    /// A value's sign is inverted.
    SignReversal,
}

impl ErrorModel {
    /// Whether it strikes single bits, not whole values.
    pub const fn strikes_bits(self) -> bool {
        match self {
            Self::BitFlip | Self::StuckAt0 | Self::StuckAt1 => true,
            Self::Zeroing | Self::SignReversal => false,
        }
    }

    /// The name as written in a specification.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BitFlip => "bit-flip",
            Self::StuckAt0 => "stuck-at-0",
            Self::StuckAt1 => "stuck-at-1",
            Self::Zeroing => "zeroing",
            Self::SignReversal => "sign-reversal",
        }
    }
}

/// What one fault does to one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Damage {
    /// The bit of this number is inverted.
    Flip(u32),
    /// The bit of this number reads zero.
    StuckAt0(u32),
    /// The bit of this number reads one.
    StuckAt1(u32),
    /// The value reads zero.
    Zero,
    /// The sign is inverted.
    Negate,
}

impl Damage {
    /// The damage of `model` at `bit`, which counts only for models that strike bits.
    pub const fn new(model: ErrorModel, bit: u32) -> Self {
        match model {
            ErrorModel::BitFlip => Self::Flip(bit),
            ErrorModel::StuckAt0 => Self::StuckAt0(bit),
            ErrorModel::StuckAt1 => Self::StuckAt1(bit),
            ErrorModel::Zeroing => Self::Zero,
            ErrorModel::SignReversal => Self::Negate,
        }
    }

    /// What a value stored in `format`, which is `f32` in every resolved fault, reads after this damage.
    pub fn apply(self, format: NumberFormat, value: f32) -> f32 {
        debug_assert_eq!(format, NumberFormat::F32);
        let struck =
            |change: fn(u32, u32) -> u32, bit: u32| f32::from_bits(change(value.to_bits(), 1 << bit));
        match self {
            Self::Flip(bit) => struck(|bits, mask| bits ^ mask, bit),
            Self::StuckAt0(bit) => struck(|bits, mask| bits & !mask, bit),
            Self::StuckAt1(bit) => struck(|bits, mask| bits | mask, bit),
            Self::Zero => 0.0,
            // Of the bits, not of the arithmetic: NaN has a sign too.
            Self::Negate => f32::from_bits(value.to_bits() ^ (1 << 31)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const F32: NumberFormat = NumberFormat::F32;

    fn apply(damage: Damage, bits: u32) -> u32 {
        damage.apply(F32, f32::from_bits(bits)).to_bits()
    }

    #[test]
    fn known_answers() {
        // 1.0 is 0x3f80_0000: its top exponent bit makes it infinite, its sign bit makes it −1, bit 22 makes it 1.5.
        assert_eq!(Damage::Flip(30).apply(F32, 1.0), f32::INFINITY);
        assert_eq!(Damage::Flip(31).apply(F32, 1.0), -1.0);
        assert_eq!(Damage::StuckAt1(22).apply(F32, 1.0), 1.5);
        assert_eq!(Damage::StuckAt0(23).apply(F32, 1.0), 0.5);
        // 0.01 ≈ 1.28 · 2^−7: exponent 120 becomes 248, 2^121.
        assert_eq!(Damage::Flip(30).apply(F32, 0.01), 0.01 * 2f32.powi(64) * 2f32.powi(64));
        assert_eq!(Damage::Zero.apply(F32, f32::NAN).to_bits(), 0);
        assert_eq!(Damage::Negate.apply(F32, 0.0).to_bits(), (-0.0f32).to_bits());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn a_flip_twice_is_the_identity_and_stuck_at_is_idempotent(bits: u32, bit in 0..32u32) {
            prop_assert_eq!(apply(Damage::Flip(bit), apply(Damage::Flip(bit), bits)), bits);
            prop_assert_ne!(apply(Damage::Flip(bit), bits), bits);
            for damage in [Damage::StuckAt0(bit), Damage::StuckAt1(bit), Damage::Zero] {
                let once = apply(damage, bits);
                prop_assert_eq!(apply(damage, once), once);
            }
            let stored = bits >> bit & 1 == 1;
            let agreeing = if stored { Damage::StuckAt1(bit) } else { Damage::StuckAt0(bit) };
            prop_assert_eq!(apply(agreeing, bits), bits, "stuck at the stored bit changes nothing");
            prop_assert_eq!(apply(Damage::Negate, apply(Damage::Negate, bits)), bits);
        }
    }
}

//! Floating-point formats other than `f32`: to and from `f32`, bit for bit.
//!
//! Rounding is to nearest, ties to even (IEEE 754-2019, 4.3.1). A NaN stays a NaN of the same sign and keeps the upper bits of its
//! payload; where those are all zero, the quiet bit is set. So every word of `f16`, `bf16` and `f8e5m2` is what its value is
//! encoded to, NaNs included.

const F32_MANTISSA_BITS: u32 = 23;
const F32_BIAS: u32 = 127;
const F32_INFINITY: u32 = 0x7f80_0000;
const F32_PAYLOAD: u32 = 0x007f_ffff;
const F32_QUIET: u32 = 0x0040_0000;

/// A binary floating-point format of at most 16 bits: sign, then exponent, then mantissa.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NarrowFloat {
    exponent_bits: u32,
    mantissa_bits: u32,
    /// Whether the largest exponent is kept for infinities and NaNs, as in IEEE 754; without, only the word of all ones is a NaN.
    has_infinity: bool,
}

/// IEEE 754 binary16.
pub(crate) const F16: NarrowFloat = NarrowFloat { exponent_bits: 5, mantissa_bits: 10, has_infinity: true };
/// The upper half of binary32.
pub(super) const BF16: NarrowFloat = NarrowFloat { exponent_bits: 8, mantissa_bits: 7, has_infinity: true };
/// OFP8 E4M3.
pub(super) const F8E4M3: NarrowFloat =
    NarrowFloat { exponent_bits: 4, mantissa_bits: 3, has_infinity: false };
/// OFP8 E5M2.
pub(super) const F8E5M2: NarrowFloat = NarrowFloat { exponent_bits: 5, mantissa_bits: 2, has_infinity: true };

impl NarrowFloat {
    const fn bias(self) -> u32 {
        (1 << (self.exponent_bits - 1)) - 1
    }

    /// Where the sign bit lies.
    const fn sign_bit(self) -> u32 {
        self.exponent_bits + self.mantissa_bits
    }

    /// By how much its mantissa is shorter than that of `f32`.
    const fn shift(self) -> u32 {
        F32_MANTISSA_BITS - self.mantissa_bits
    }

    /// What the exponent of an `f32` exceeds that of the same number by, in place.
    const fn rebias(self) -> u32 {
        (F32_BIAS - self.bias()) << F32_MANTISSA_BITS
    }

    /// The largest word that is no NaN, without sign: infinity, or the largest number.
    const fn limit(self) -> u32 {
        let all_ones = (1 << self.sign_bit()) - 1;
        if self.has_infinity { all_ones >> self.mantissa_bits << self.mantissa_bits } else { all_ones - 1 }
    }

    /// The power of two whose unit in the last place, as an `f32`, is the smallest subnormal of this format. Adding it rounds a
    /// subnormal to nearest even, and leaves its word in the low bits of the sum.
    const fn anchor(self) -> f32 {
        f32::from_bits(
            (F32_BIAS + 1 + F32_MANTISSA_BITS - self.bias() - self.mantissa_bits) << F32_MANTISSA_BITS,
        )
    }

    /// The word of a value. Beyond the largest number lies infinity or, in a format without, the largest number itself.
    #[inline]
    pub(super) fn encode(self, value: f32) -> u64 {
        let bits = value.to_bits();
        let magnitude = bits & !(1 << 31);
        let word = if magnitude > F32_INFINITY {
            self.nan(magnitude)
        } else if magnitude < self.rebias() + (1 << F32_MANTISSA_BITS) {
            (f32::from_bits(magnitude) + self.anchor()).to_bits() - self.anchor().to_bits()
        } else {
            // Just less than half a unit, and one more where the last bit that stays is odd.
            let odd = magnitude >> self.shift() & 1;
            let half = (1 << (self.shift() - 1)) - 1;
            ((magnitude - self.rebias() + half + odd) >> self.shift()).min(self.limit())
        };
        u64::from(bits >> 31 << self.sign_bit() | word)
    }

    /// The word of a NaN, without sign.
    const fn nan(self, magnitude: u32) -> u32 {
        if !self.has_infinity {
            return self.limit() + 1;
        }
        let payload = (magnitude & F32_PAYLOAD) >> self.shift();
        self.limit() | if payload == 0 { F32_QUIET >> self.shift() } else { payload }
    }

    /// The value of a word: exact. Bits beyond the width are ignored.
    #[inline]
    pub(crate) fn decode(self, word: u64) -> f32 {
        let word = word as u32;
        let magnitude = word & ((1 << self.sign_bit()) - 1);
        let bits = if magnitude < 1 << self.mantissa_bits {
            (f32::from_bits(self.anchor().to_bits() + magnitude) - self.anchor()).to_bits()
        } else if magnitude < self.limit() || (magnitude == self.limit() && !self.has_infinity) {
            (magnitude << self.shift()) + self.rebias()
        } else if self.has_infinity {
            F32_INFINITY | (magnitude - self.limit()) << self.shift()
        } else {
            F32_INFINITY | F32_QUIET
        };
        f32::from_bits((word >> self.sign_bit() & 1) << 31 | bits)
    }
}

const F64_INFINITY: u64 = 0x7ff0_0000_0000_0000;
/// By how much the mantissa of `f64` is longer than that of `f32`.
const F64_SHIFT: u32 = 52 - F32_MANTISSA_BITS;

/// The `f64` word of a value: exact.
pub(super) fn encode_f64(value: f32) -> u64 {
    if value.is_nan() {
        // Not by a cast, whose payload Rust leaves open.
        let bits = u64::from(value.to_bits());
        return bits >> 31 << 63 | F64_INFINITY | (bits & u64::from(F32_PAYLOAD)) << F64_SHIFT;
    }
    f64::from(value).to_bits()
}

/// The value of an `f64` word, rounded to nearest even; beyond the largest `f32` lies infinity.
pub(super) fn decode_f64(word: u64) -> f32 {
    let wide = f64::from_bits(word);
    if wide.is_nan() {
        let payload = (word >> F64_SHIFT) as u32 & F32_PAYLOAD;
        let payload = if payload == 0 { F32_QUIET } else { payload };
        return f32::from_bits((word >> 63 << 31) as u32 | F32_INFINITY | payload);
    }
    wide as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers() {
        // Largest, smallest normal, smallest subnormal; from the formats' definitions.
        for (format, max, normal, subnormal) in [
            (F16, 65_504.0, 2f32.powi(-14), 2f32.powi(-24)),
            (BF16, 255.0 * 2f32.powi(120), 2f32.powi(-126), 2f32.powi(-133)),
            (F8E4M3, 448.0, 2f32.powi(-6), 2f32.powi(-9)),
            (F8E5M2, 57_344.0, 2f32.powi(-14), 2f32.powi(-16)),
        ] {
            let max_word = u64::from(format.limit()) - u64::from(format.has_infinity);
            let normal_word = 1 << format.mantissa_bits;
            for (value, word) in [(max, max_word), (normal, normal_word), (subnormal, 1), (0.0, 0)] {
                assert_eq!(format.encode(value), word);
                assert_eq!(format.decode(word), value);
                assert_eq!(format.encode(-value), word | 1 << format.sign_bit());
                assert_eq!(format.decode(word | 1 << format.sign_bit()).to_bits(), (-value).to_bits());
            }
            assert_eq!(format.encode(subnormal / 2.0), 0, "a tie goes to the even word");
            assert_eq!(format.encode(subnormal * 1.5), 2);
        }
        // 1.0, and what is left of it with its top exponent bit flipped.
        for (format, one, top, struck) in [
            (F16, 0x3c00, 1 << 14, f32::INFINITY),
            (BF16, 0x3f80, 1 << 14, f32::INFINITY),
            (F8E4M3, 0x38, 1 << 6, 256.0),
            (F8E5M2, 0x3c, 1 << 6, f32::INFINITY),
        ] {
            assert_eq!(format.encode(1.0), one);
            assert_eq!(format.decode(one ^ top), struck);
        }
    }

    #[test]
    fn overflow_is_infinite_or_the_largest_number() {
        assert_eq!(F16.decode(F16.encode(65_519.996)), 65_504.0);
        assert_eq!(F16.decode(F16.encode(65_520.0)), f32::INFINITY);
        assert_eq!(F8E5M2.decode(F8E5M2.encode(-1e30)), f32::NEG_INFINITY);
        assert_eq!(BF16.decode(BF16.encode(f32::MAX)), f32::INFINITY);
        for value in [449.0, 1e30, f32::INFINITY] {
            assert_eq!(F8E4M3.decode(F8E4M3.encode(value)), 448.0);
            assert_eq!(F8E4M3.decode(F8E4M3.encode(-value)), -448.0);
        }
        assert_eq!(decode_f64(1e300f64.to_bits()), f32::INFINITY);
    }

    #[test]
    fn a_nan_keeps_its_sign_and_what_fits_of_its_payload() {
        let encode = |bits| F16.encode(f32::from_bits(bits));
        assert_eq!(encode(0x7fc0_2000), 0x7e01);
        assert_eq!(encode(0xff80_2000), 0xfc01, "a signalling one too");
        assert_eq!(encode(0x7f80_0001), 0x7e00, "a payload that does not fit becomes quiet");
        assert_eq!(F8E4M3.encode(f32::from_bits(0xff80_0001)), 0xff);
        assert_eq!(F8E4M3.decode(0xff).to_bits(), 0xffc0_0000);
        assert_eq!(encode_f64(f32::from_bits(0xff80_0001)), 0xfff0_0000_2000_0000);
        assert_eq!(decode_f64(0xfff0_0000_2000_0000).to_bits(), 0xff80_0001);
        assert_eq!(decode_f64(0x7ff0_0000_0000_0001).to_bits(), 0x7fc0_0000);
    }
}

//! Values on an even grid: integers times a scale.

use temper_kernels::{round_ties_even, round_to_steps};

/// The grid of one tensor or one channel: `value = (code − zero_point) · scale`.
///
/// Both numbers lie in the memory of the device beside the codes, where faults strike them: any value of either is legal, and no
/// operation on a grid fails.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grid {
    /// The step from one code to the next.
    pub scale: f32,
    /// The code of zero; 0 in symmetric schemes, which do not store it.
    pub zero_point: i32,
}

/// The codes that values are stored as: `low..=high`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Codes {
    pub(super) low: i64,
    pub(super) high: i64,
}

impl Grid {
    /// The grid of a fixed-point format with `fraction` bits behind the point, at most 31.
    pub(super) fn fixed(fraction: u8) -> Self {
        Self { scale: f32::from_bits((127 - u32::from(fraction)) << 23), zero_point: 0 }
    }

    /// A value in steps of the grid, not rounded yet; 0 for what is no number.
    ///
    /// The reciprocal is multiplied with, as PyTorch does: next to a tie the quotient can round the other way.
    #[inline]
    fn steps(reciprocal: f32, value: f32) -> f32 {
        let steps = value * reciprocal;
        if steps.is_nan() { 0.0 } else { steps }
    }

    /// The code of a value. NaN is stored as the code of zero; what is beyond the codes, infinities too, as the nearest of them.
    pub(super) fn code(self, codes: Codes, value: f32) -> i64 {
        // A float beyond the range of an i64 becomes its nearest value.
        let steps = round_ties_even(Self::steps(1.0 / self.scale, value)) as i64;
        steps.saturating_add(i64::from(self.zero_point)).clamp(codes.low, codes.high)
    }

    /// The value of a code.
    pub fn value(self, code: i64) -> f32 {
        (code - i64::from(self.zero_point)) as f32 * self.scale
    }

    /// Every value as its code reads: [`Grid::value`] of [`Grid::code`], in one pass.
    pub(super) fn store(self, codes: Codes, values: &mut [f32]) {
        let zero_point = i64::from(self.zero_point);
        let (low, high) = ((codes.low - zero_point) as f32, (codes.high - zero_point) as f32);
        round_to_steps(self.scale, low, high, values);
    }

    /// The sign and the magnitude, up to `limit`, of a value. The sign is the value's own, also of what is rounded to zero.
    pub(super) fn sign_magnitude(self, limit: i64, value: f32) -> (bool, i64) {
        let steps = Self::steps(1.0 / self.scale, value);
        (steps.is_sign_negative(), (round_ties_even(steps.abs()) as i64).min(limit))
    }

    /// The value of a sign and a magnitude.
    pub(super) fn signed_value(self, negative: bool, magnitude: i64) -> f32 {
        let magnitude = magnitude as f32;
        (if negative { -magnitude } else { magnitude }) * self.scale
    }

    /// Every value as its sign and magnitude read.
    pub(super) fn store_sign_magnitude(self, limit: i64, values: &mut [f32]) {
        let reciprocal = 1.0 / self.scale;
        let limit = limit as f32;
        for value in values {
            *value = round_ties_even(Self::steps(reciprocal, *value)).clamp(-limit, limit) * self.scale;
        }
    }

    /// Whether a value is stored as −scale. Zero and NaN are stored as +scale.
    #[inline]
    pub(super) fn is_negative(self, value: f32) -> bool {
        if self.scale.is_sign_negative() { value > 0.0 } else { value < 0.0 }
    }

    /// Every value as ±scale.
    pub(super) fn store_binary(self, values: &mut [f32]) {
        for value in values {
            *value = self.signed_value(self.is_negative(*value), 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ties_go_to_the_even_integer() {
        for (x, expected) in
            [(0.5, 0.0), (1.5, 2.0), (2.5, 2.0), (-0.5, -0.0), (-1.5, -2.0), (0.499_999_97, 0.0)]
        {
            assert_eq!(round_ties_even(x).to_bits(), f32::to_bits(expected), "{x}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn rounding_is_that_of_the_standard_library(bits: u32, near in -9_000_000.0..9_000_000.0f32) {
            for x in [f32::from_bits(bits), near, near / 1000.0] {
                prop_assume!(!x.is_nan());
                prop_assert_eq!(round_ties_even(x).to_bits(), x.round_ties_even().to_bits());
            }
        }
    }
}

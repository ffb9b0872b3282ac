//! Storing values as the steps of an even grid.

use crate::isa::Isa;

/// Below this, an `f32` can have a fraction: 2²³.
pub(crate) const INTEGERS_FROM: f32 = 8_388_608.0;

/// The nearest integer, ties to even: [`f32::round_ties_even`], which is a call for every value on an x86-64 without SSE 4.1, in a
/// form that is compiled to vector instructions everywhere. Adding 2²³ leaves no bit for a fraction.
#[inline(always)]
pub fn round_ties_even(x: f32) -> f32 {
    let rounded = ((x.abs() + INTEGERS_FROM) - INTEGERS_FROM).copysign(x);
    if x.abs() < INTEGERS_FROM { rounded } else { x }
}

/// Every value becomes the nearest of `low..=high` whole steps of `scale`, ties to even; NaN becomes 0, and −0 too. The reciprocal of the
/// scale is multiplied with, as PyTorch does: next to a tie the quotient can round the other way.
///
/// # Panics
/// When `low` is greater than `high`, or one of them is NaN.
#[expect(unsafe_code, reason = "the processor's features are known at run time only")]
pub fn round_to_steps(scale: f32, low: f32, high: f32, values: &mut [f32]) {
    match Isa::detect() {
        // SAFETY: the processor has the features.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => unsafe { round_avx512(scale, low, high, values) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { round_avx2(scale, low, high, values) },
        _ => round(scale, low, high, values),
    }
}

#[inline(always)]
fn round(scale: f32, low: f32, high: f32, values: &mut [f32]) {
    let reciprocal = 1.0 / scale;
    for value in values {
        let steps = *value * reciprocal;
        let steps = if steps.is_nan() { 0.0 } else { steps };
        // An integer has no negative zero: adding zero removes it.
        *value = (round_ties_even(steps).clamp(low, high) + 0.0) * scale;
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn round_avx512(scale: f32, low: f32, high: f32, values: &mut [f32]) {
    round(scale, low, high, values);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn round_avx2(scale: f32, low: f32, high: f32, values: &mut [f32]) {
    round(scale, low, high, values);
}

//! What is compared.

/// Bit patterns to compare.
pub(crate) fn bits(values: &[f32]) -> Vec<u32> {
    // All NaN alike: which payload survives an addition is the processor's choice.
    values.iter().map(|v| if v.is_nan() { f32::NAN.to_bits() } else { v.to_bits() }).collect()
}

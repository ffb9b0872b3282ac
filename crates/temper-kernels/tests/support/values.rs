//! Values to compute with.

/// Values as faulty networks meet them: mostly ordinary, some zero, infinite, NaN, subnormal or huge.
pub(crate) fn values(count: usize, seed: u64, wild: bool) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let special = [
        0.0,
        -0.0,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
        1e-40,
        -3e-42,
        1e38,
        -3e38,
        f32::MIN_POSITIVE,
    ];
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            if wild && state.is_multiple_of(37) {
                special[(state >> 32) as usize % special.len()]
            } else {
                ((state >> 40) as f32 / (1u64 << 24) as f32 - 0.5) * 4.0
            }
        })
        .collect()
}

//! Rounding of numbers that are not negative, in a form that becomes vector instructions on every processor (`floor` and its like are calls
//! where the instructions came later than the architecture).

/// From here on every `f32` is a whole number, and steps of one are the finest below.
const WHOLE: f32 = 8_388_608.0;

/// The next lower whole number of `x` ≥ 0.
#[inline]
pub(super) fn floor(x: f32) -> f32 {
    if x < WHOLE { x as i32 as f32 } else { x }
}

/// The nearest whole number of `x` ≥ 0, of two the even one.
#[inline]
pub(super) fn nearest(x: f32) -> f32 {
    if x < WHOLE { (x + WHOLE) - WHOLE } else { x }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roundings_are_those_of_the_standard() {
        let bits = (0..f32::INFINITY.to_bits()).step_by(10_007);
        for x in bits.map(f32::from_bits).chain([0.5, 1.5, 2.5, 8_388_607.5, 4_194_304.5]) {
            assert_eq!(floor(x), x.floor(), "{x}");
            assert_eq!(nearest(x), x.round_ties_even(), "{x}");
        }
    }
}

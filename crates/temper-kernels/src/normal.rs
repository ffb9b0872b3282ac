//! Normally distributed numbers from random words, by the inverse of the distribution function.

use crate::isa::{Isa, Work};
use crate::simd::Simd;

/// Turns little-endian words, uniform over all there are, into standard normal numbers: the same for all instruction sets.
///
/// Bit 31 of a word *k* is the sign; the others say how likely a larger magnitude is, `u = (k mod 2³¹ + ½) / 2³¹`, so that tails are as
/// fine as the middle: `|z| = Φ⁻¹(1 − u/2) = √2 · erfc⁻¹(u)`, 6.3 at most. By the approximation of Giles ("Approximating the erfinv function",
/// GPU Computing Gems Jade Edition, 2011, single precision), with the logarithm of Moshier's Cephes library (`logf`). The error is
/// below 2 · 10⁻⁶ up to |z| = 5.4, below 3 · 10⁻³ for the seven in 10⁸ beyond.
///
/// # Panics
/// When there are not as many numbers as words, or the processor does not have the instructions.
pub fn standard_normal(isa: Isa, words: &[[u8; 4]], normals: &mut [f32]) {
    assert_eq!(words.len(), normals.len(), "a number for each word");
    isa.check();
    isa.run(Normals { words, normals });
}

struct Normals<'a> {
    words: &'a [[u8; 4]],
    normals: &'a mut [f32],
}

impl Work for Normals<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        for (normal, &word) in self.normals.iter_mut().zip(self.words) {
            *normal = inverse(u32::from_le_bytes(word));
        }
    }
}

/// 2³¹.
const HALF_OF_ALL: f32 = 2_147_483_648.0;

#[inline(always)]
fn inverse(word: u32) -> f32 {
    let sign = word & 0x8000_0000;
    let u = ((word & 0x7fff_ffff).cast_signed() as f32 + 0.5) / HALF_OF_ALL;
    let w = -ln(u * (2.0 - u));
    let middle = {
        let w = w - 2.5;
        polynomial(
            w,
            [
                2.810_226_4e-8,
                3.432_739_4e-7,
                -3.523_387_7e-6,
                -4.391_506_5e-6,
                0.000_218_580_87,
                -0.001_253_725,
                -0.004_177_681_6,
                0.246_640_73,
                1.501_409_4,
            ],
        )
    };
    let tail = {
        let w = w.sqrt() - 3.0;
        polynomial(
            w,
            [
                -0.000_200_214_26,
                0.000_100_950_56,
                0.001_349_343_2,
                -0.003_673_428_4,
                0.005_739_507_7,
                -0.007_622_461_3,
                0.009_438_870_5,
                1.001_674,
                2.832_976_8,
            ],
        )
    };
    let inverse = if w < 5.0 { middle } else { tail } * (1.0 - u);
    f32::from_bits((inverse * std::f32::consts::SQRT_2).to_bits() | sign)
}

/// The natural logarithm of a normal number up to 1.
#[inline(always)]
fn ln(x: f32) -> f32 {
    // x = m · 2^e with m from √½ to √2.
    let bits = x.to_bits().wrapping_sub(std::f32::consts::FRAC_1_SQRT_2.to_bits()).cast_signed();
    let e = (bits >> 23) as f32;
    let m = f32::from_bits(x.to_bits().wrapping_sub(bits.cast_unsigned() & 0xff80_0000)) - 1.0;
    let square = m * m;
    let series = polynomial(
        m,
        [
            0.070_376_836,
            -0.115_146_1,
            0.116_769_984,
            -0.124_201_41,
            0.142_493_23,
            -0.166_680_58,
            0.200_007_15,
            -0.249_999_94,
            0.333_333_3,
        ],
    );
    let rest = e.mul_add(-2.121_944_4e-4, series * m * square) - 0.5 * square;
    e.mul_add(0.693_359_4, m + rest)
}

/// By Horner's rule, the highest power first.
#[inline(always)]
fn polynomial(x: f32, coefficients: [f32; 9]) -> f32 {
    let [highest, rest @ ..] = coefficients;
    rest.into_iter().fold(highest, |sum, coefficient| sum.mul_add(x, coefficient))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `Φ(z)` from the left up to −37, by the continued fraction of Mills' ratio and the series, in `f64`.
    fn upper_tail(z: f64) -> f64 {
        let density = (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt();
        if z < 2.0 {
            let (mut term, mut sum) = (z, z);
            for i in 1..200 {
                term *= z * z / f64::from(2 * i + 1);
                sum += term;
            }
            return 0.5 - density * sum;
        }
        let fraction = (1..400).rev().fold(0.0, |below, i| f64::from(i) / (z + below));
        density / (z + fraction)
    }

    fn bytes(words: &[u32]) -> Vec<[u8; 4]> {
        words.iter().map(|word| word.to_le_bytes()).collect()
    }

    #[test]
    fn every_word_has_its_quantile() {
        let words: Vec<u32> =
            (0..1 << 31).step_by(104_729).chain(0..2000).chain((1 << 31) - 9..1 << 31).collect();
        let mut normals = vec![0.0; words.len()];
        standard_normal(Isa::detect(), &bytes(&words), &mut normals);
        for (word, z) in words.iter().zip(&normals) {
            let (u, z) = ((f64::from(*word) + 0.5) / 2f64.powi(31), f64::from(*z));
            // dΦ = φ dz: the error of z, from that of the probability.
            let density = (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt();
            let error = (upper_tail(z) - 0.5 * u) / density;
            assert!(error.abs() < if z < 5.4 { 2e-6 } else { 3e-3 }, "{word}: {z} {error}");
        }
        let negative: Vec<u32> = words.iter().map(|word| word | 0x8000_0000).collect();
        let mut mirrored = vec![0.0; words.len()];
        standard_normal(Isa::detect(), &bytes(&negative), &mut mirrored);
        assert!(normals.iter().zip(&mirrored).all(|(a, b)| *a == -b));
    }

    #[test]
    fn instruction_sets_agree() {
        let words: Vec<u32> = (0..100_003u32).map(|i| i.wrapping_mul(2_654_435_761)).collect();
        let of = |isa: Isa| {
            let mut normals = vec![0.0; words.len()];
            standard_normal(isa, &bytes(&words), &mut normals);
            normals.iter().map(|z| z.to_bits()).collect::<Vec<u32>>()
        };
        let all: Vec<Vec<u32>> = Isa::available().into_iter().map(of).collect();
        assert!(all.windows(2).all(|pair| pair[0] == pair[1]));
    }
}

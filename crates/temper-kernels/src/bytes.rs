//! Bytes as numbers.

use crate::isa::{Isa, Work};
use crate::simd::Simd;

/// What each byte becomes: `(byte / max − mean) / std`, every operation rounded.
#[derive(Debug, Clone)]
pub struct ByteScale {
    values: [f32; 256],
    computed: Option<(Isa, Computation)>,
}

/// The same by multiplications, for many bytes at a time.
#[derive(Debug, Clone, Copy)]
struct Computation {
    max: Divisor,
    mean: f32,
    std: Divisor,
}

impl ByteScale {
    /// Looks at what becomes of every byte.
    pub fn new(max: f32, mean: f32, std: f32) -> Self {
        let values = std::array::from_fn(|byte| (byte as f32 / max - mean) / std);
        let computation = Computation { max: Divisor::new(max), mean, std: Divisor::new(std) };
        let bytes: Vec<u8> = (0..=u8::MAX).collect();
        // Where there is no fused multiply-add, looking values up is faster.
        let isa = Some(Isa::detect()).filter(|isa| *isa != Isa::Portable);
        let computed = isa.map(|isa| (isa, computation)).filter(|(isa, computation)| {
            let mut found = [0.0; 256];
            isa.run(Scaled { computation, bytes: &bytes, out: &mut found });
            found.map(f32::to_bits) == values.map(f32::to_bits)
        });
        Self { values, computed }
    }

    /// What one byte becomes.
    pub fn value(&self, byte: u8) -> f32 {
        self.values[usize::from(byte)]
    }

    /// Writes what bytes become, as many as both slices have.
    pub fn apply(&self, bytes: &[u8], out: &mut [f32]) {
        match &self.computed {
            Some((isa, computation)) => isa.run(Scaled { computation, bytes, out }),
            None => out.iter_mut().zip(bytes).for_each(|(out, &byte)| *out = self.value(byte)),
        }
    }
}

/// A number by which others are divided.
#[derive(Debug, Clone, Copy)]
struct Divisor {
    value: f32,
    inverse: f32,
}

impl Divisor {
    fn new(value: f32) -> Self {
        Self { value, inverse: 1.0 / value }
    }

    /// `x / value`, nearly always rounded as a division is: one step of Newton's method, whose remainder is exact.
    #[inline(always)]
    fn divide(self, x: f32) -> f32 {
        let quotient = x * self.inverse;
        (-quotient).mul_add(self.value, x).mul_add(self.inverse, quotient)
    }
}

struct Scaled<'a> {
    computation: &'a Computation,
    bytes: &'a [u8],
    out: &'a mut [f32],
}

impl Work for Scaled<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let Computation { max, mean, std } = *self.computation;
        for (out, &byte) in self.out.iter_mut().zip(self.bytes) {
            *out = std.divide(max.divide(f32::from(byte)) - mean);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_what_divisions_make_of_them() {
        // MNIST as it is, and as often normalised; CIFAR-10; digits; and what nothing but a table can do.
        let scales = [
            (255.0, 0.0, 1.0),
            (255.0, 0.1307, 0.3081),
            (255.0, 0.485, 0.229),
            (255.0, 0.4914, 0.2023),
            (16.0, 0.0, 1.0),
            (255.0, 0.5, 1e-45),
            (255.0, f32::NAN, 1.0),
            (255.0, 0.0, f32::INFINITY),
        ];
        let mut computed = 0;
        for (max, mean, std) in scales {
            let scale = ByteScale::new(max, mean, std);
            computed += usize::from(scale.computed.is_some());
            let bytes: Vec<u8> = (0..=u8::MAX).cycle().step_by(7).take(999).collect();
            let mut found = vec![0.0; bytes.len()];
            scale.apply(&bytes, &mut found);
            for (&byte, found) in bytes.iter().zip(found) {
                let expected = (f32::from(byte) / max - mean) / std;
                assert_eq!(found.to_bits(), expected.to_bits(), "{byte} by {max}, {mean}, {std}");
                assert_eq!(scale.value(byte).to_bits(), expected.to_bits());
            }
        }
        assert!(computed >= 5 || Isa::detect() == Isa::Portable, "only {computed}");
    }
}

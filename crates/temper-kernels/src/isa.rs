//! Which instructions the processor has.

#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx2, Avx512};
use crate::simd::{Portable, Simd};

/// Work that is compiled once for each instruction set: `run` must be `#[inline(always)]`, down to the innermost loop.
pub(crate) trait Work {
    /// Does it, with vectors of `S` or whatever the compiler makes of plain loops.
    fn run<S: Simd>(self);
}

/// An instruction set for which the kernels have a path of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Isa {
    /// x86-64 with AVX-512F.
    Avx512,
    /// x86-64 with AVX2 and FMA.
    Avx2,
    /// Anything else. On aarch64, whose baseline has fused multiply-adds, the compiler makes NEON of it: a tile of 8 × 8 sums fills
    /// 16 of the 32 registers.
    Portable,
}

impl Isa {
    /// All there are, fastest first.
    const ALL: [Self; 3] = [Self::Avx512, Self::Avx2, Self::Portable];

    /// The fastest one this processor has.
    pub fn detect() -> Self {
        Self::ALL.into_iter().find(|isa| isa.is_available()).unwrap_or(Self::Portable)
    }

    /// All this processor has, fastest first; never empty.
    pub fn available() -> Vec<Self> {
        Self::ALL.into_iter().filter(|isa| isa.is_available()).collect()
    }

    /// Whether this processor has the instructions. (The standard library asks it once.)
    fn is_available(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => std::arch::is_x86_feature_detected!("avx512f"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => {
                std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma")
            }
            Self::Portable => true,
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }

    /// Panics when the processor does not have the instructions.
    pub(crate) fn check(self) {
        assert!(self.is_available(), "this processor has no {self:?}");
    }

    /// Does some work with these instructions, which the processor must have: an `Isa` comes from [`Isa::detect`] or passed
    /// [`Isa::check`].
    #[inline]
    #[expect(unsafe_code, reason = "the processor's features are known at run time only")]
    pub(crate) fn run(self, work: impl Work) {
        match self {
            // SAFETY: the processor has the instructions, see above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { run_avx512(work) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { run_avx2(work) },
            _ => work.run::<Portable>(),
        }
    }

    /// Values of a vector: output channels of a panel of weights.
    pub(crate) const fn lanes(self) -> usize {
        match self {
            Self::Avx512 => 16,
            Self::Avx2 | Self::Portable => 8,
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn run_avx512(work: impl Work) {
    work.run::<Avx512>();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn run_avx2(work: impl Work) {
    work.run::<Avx2>();
}

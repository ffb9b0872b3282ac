//! Which instructions the processor has.

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
    /// The fastest one this processor has.
    pub fn detect() -> Self {
        Self::available()[0]
    }

    /// All this processor has, fastest first; never empty.
    pub fn available() -> Vec<Self> {
        let mut found = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            if std::arch::is_x86_feature_detected!("avx512f") {
                found.push(Self::Avx512);
            }
            if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
                found.push(Self::Avx2);
            }
        }
        found.push(Self::Portable);
        found
    }

    /// Values of a vector: output channels of a panel of weights.
    pub(crate) const fn lanes(self) -> usize {
        match self {
            Self::Avx512 => 16,
            Self::Avx2 | Self::Portable => 8,
        }
    }
}

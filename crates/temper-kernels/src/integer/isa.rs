//! Which instructions the processor has for sums of products of small integers.

/// An instruction set for which integer products have a path of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IntegerIsa {
    /// x86-64 with AVX-512 VNNI: `vpdpbusd` on 64 pairs of bytes.
    Avx512Vnni,
    /// x86-64 with AVX-VNNI: `vpdpbusd` on 32 pairs of bytes.
    AvxVnni,
    /// x86-64 with AVX2: `vpmaddwd` on 16 pairs of 16 bits.
    Avx2,
    /// Anything else.
    Portable,
}

impl IntegerIsa {
    /// The fastest one this processor has.
    pub fn detect() -> Self {
        Self::available()[0]
    }

    /// All this processor has, fastest first; never empty.
    pub fn available() -> Vec<Self> {
        let mut found = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected as has;
            if has!("avx512f") && has!("avx512bw") && has!("avx512vnni") {
                found.push(Self::Avx512Vnni);
            }
            if has!("avx2") && has!("fma") {
                if has!("avxvnni") {
                    found.push(Self::AvxVnni);
                }
                found.push(Self::Avx2);
            }
        }
        found.push(Self::Portable);
        found
    }

    /// Output channels of a panel of weights.
    pub(super) const fn lanes(self) -> usize {
        match self {
            Self::Avx512Vnni => 16,
            Self::AvxVnni | Self::Avx2 | Self::Portable => 8,
        }
    }

    /// Taps that one 32-bit lane holds: of 8 bits each, or of 16.
    pub(super) const fn unit(self) -> usize {
        match self {
            Self::Avx512Vnni | Self::AvxVnni => 4,
            Self::Avx2 | Self::Portable => 2,
        }
    }
}

//! The innermost product: a few rows of weights times a few columns of inputs, held in registers.

/// How one instruction set multiplies a tile.
pub(crate) trait Tile {
    /// Rows of weights.
    const ROWS: usize;
    /// Columns of inputs.
    const COLUMNS: usize;

    /// `c[i][j] = Σ_k a[k][i] · b[k][j]`, a chain of fused multiply-adds in the order of `k`, from zero.
    ///
    /// **Shapes**: `a` `[K, ROWS]`, `b` `[K, COLUMNS]`, `c` `[ROWS, COLUMNS]`.
    fn multiply(a: &[f32], b: &[f32], c: &mut [f32]);
}

/// The path for processors without one of their own.
pub(crate) struct Portable;

impl Tile for Portable {
    const ROWS: usize = 4;
    const COLUMNS: usize = 8;

    #[inline(always)]
    fn multiply(a: &[f32], b: &[f32], c: &mut [f32]) {
        let mut sums = [[0.0f32; 8]; 4];
        for (a, b) in a.chunks_exact(4).zip(b.chunks_exact(8)) {
            for (sums, &a) in sums.iter_mut().zip(a) {
                for (sum, &b) in sums.iter_mut().zip(b) {
                    *sum = a.mul_add(b, *sum);
                }
            }
        }
        for (c, sums) in c.chunks_exact_mut(8).zip(&sums) {
            c.copy_from_slice(sums);
        }
    }
}

/// A tile made of `$rows` × 2 vector registers of sums.
#[cfg(target_arch = "x86_64")]
macro_rules! vector_tile {
    ($name:ident, $function:ident, $features:literal, $rows:literal, $lanes:literal,
     $zero:ident, $load:ident, $splat:ident, $fma:ident, $store:ident) => {
        #[doc = concat!("Sums in vectors of ", $lanes, " values (", $features, ").")]
        pub(crate) struct $name;

        impl Tile for $name {
            const ROWS: usize = $rows;
            const COLUMNS: usize = 2 * $lanes;

            #[inline(always)]
            #[expect(unsafe_code, reason = "the processor's features are known at run time only")]
            fn multiply(a: &[f32], b: &[f32], c: &mut [f32]) {
                // SAFETY: used only where `PackedWeights::new` has checked that the processor has the features.
                unsafe { $function(a, b, c) }
            }
        }

        #[inline]
        #[target_feature(enable = $features)]
        #[expect(unsafe_code, reason = "vector loads and stores take pointers")]
        fn $function(a: &[f32], b: &[f32], c: &mut [f32]) {
            let mut sums = [[$zero(); 2]; $rows];
            for (a, b) in a.chunks_exact($rows).zip(b.chunks_exact(2 * $lanes)) {
                // SAFETY: the chunk `b` holds two vectors.
                let (low, high) = unsafe { ($load(b.as_ptr()), $load(b.as_ptr().add($lanes))) };
                for (sums, &a) in sums.iter_mut().zip(a) {
                    let a = $splat(a);
                    sums[0] = $fma(a, low, sums[0]);
                    sums[1] = $fma(a, high, sums[1]);
                }
            }
            for (c, sums) in c.chunks_exact_mut(2 * $lanes).zip(sums) {
                // SAFETY: the chunk `c` holds two vectors.
                unsafe {
                    $store(c.as_mut_ptr(), sums[0]);
                    $store(c.as_mut_ptr().add($lanes), sums[1]);
                }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm256_setzero_ps, _mm256_storeu_ps,
        _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps,
    };

    use super::Tile;

    vector_tile!(
        Avx512,
        multiply_avx512,
        "avx512f",
        8,
        16,
        _mm512_setzero_ps,
        _mm512_loadu_ps,
        _mm512_set1_ps,
        _mm512_fmadd_ps,
        _mm512_storeu_ps
    );
    vector_tile!(
        Avx2,
        multiply_avx2,
        "avx2,fma",
        4,
        8,
        _mm256_setzero_ps,
        _mm256_loadu_ps,
        _mm256_set1_ps,
        _mm256_fmadd_ps,
        _mm256_storeu_ps
    );
}

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512};

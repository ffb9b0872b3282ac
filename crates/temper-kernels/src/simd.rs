//! Vectors of one instruction set, with the few operations that the kernels need.

use crate::integer::{INTEGERS_FROM, round_ties_even};

#[expect(unsafe_code, reason = "vector loads and stores take pointers")]
/// An instruction set's vectors. All functions are inlined into one that enables the instruction set.
pub(crate) trait Simd: Copy {
    /// `LANES` values.
    type Vector: Copy;
    /// Vectors of eight values.
    type Row: Simd;
    /// Values of a vector: 8 or 16.
    const LANES: usize;
    /// Most vectors of channels in a tile with channels in lanes.
    const VECTORS: usize;
    /// Most pixels of such a tile of one or two vectors of channels: with the inputs, what the registers hold.
    const PIXELS: usize;

    /// `x` in all lanes.
    fn splat(x: f32) -> Self::Vector;
    /// `a · b + c`, rounded once.
    fn fma(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// `a · b`.
    fn mul(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a + b`.
    fn add(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a − b`.
    fn sub(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a / b`.
    fn div(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// The magnitude.
    fn abs(x: Self::Vector) -> Self::Vector;
    /// The square root.
    fn sqrt(x: Self::Vector) -> Self::Vector;
    /// The next lower whole number of `x` ≥ 0.
    fn floor(x: Self::Vector) -> Self::Vector;
    /// The nearest whole number of `x` ≥ 0, of two the even one.
    fn nearest(x: Self::Vector) -> Self::Vector;
    /// Zero where `x` is not above zero, NaN included, else `x`.
    fn above_zero(x: Self::Vector) -> Self::Vector;
    /// One bit for each lane, from the lowest: whether `x` is below zero.
    fn below_zero(x: Self::Vector) -> u32;
    /// Zero where `x ≤ 0`, else `x`; NaN stays.
    fn relu(x: Self::Vector) -> Self::Vector;
    /// Reads `LANES` values.
    ///
    /// # Safety
    /// They must be readable.
    unsafe fn load(from: *const f32) -> Self::Vector;
    /// Reads `count` values; the other lanes are zero.
    ///
    /// # Safety
    /// They must be readable.
    unsafe fn load_first(from: *const f32, count: usize) -> Self::Vector;
    /// Writes all lanes.
    ///
    /// # Safety
    /// `LANES` values must be writable.
    unsafe fn store(x: Self::Vector, to: *mut f32);
    /// Writes the first `count` lanes.
    ///
    /// # Safety
    /// That many values must be writable.
    unsafe fn store_first(x: Self::Vector, to: *mut f32, count: usize);
    /// `to[lane · distance + i] = columns[i][lane]`.
    ///
    /// # Safety
    /// For each lane eight values must be writable.
    unsafe fn transpose(columns: &[Self::Vector; 8], to: *mut f32, distance: usize);
}

/// For processors without a path of their own. The compiler makes vector instructions of it where the target's baseline has them.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

impl Simd for Portable {
    type Vector = [f32; 8];
    type Row = Self;
    const LANES: usize = 8;
    const VECTORS: usize = 1;
    const PIXELS: usize = 8;

    #[inline(always)]
    fn splat(x: f32) -> [f32; 8] {
        [x; 8]
    }

    #[inline(always)]
    fn fma(a: [f32; 8], b: [f32; 8], mut c: [f32; 8]) -> [f32; 8] {
        for ((c, a), b) in c.iter_mut().zip(a).zip(b) {
            *c = a.mul_add(b, *c);
        }
        c
    }

    #[inline(always)]
    fn mul(mut a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        for (a, b) in a.iter_mut().zip(b) {
            *a *= b;
        }
        a
    }

    #[inline(always)]
    fn add(mut a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        for (a, b) in a.iter_mut().zip(b) {
            *a += b;
        }
        a
    }

    #[inline(always)]
    fn sub(mut a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        for (a, b) in a.iter_mut().zip(b) {
            *a -= b;
        }
        a
    }

    #[inline(always)]
    fn div(mut a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        for (a, b) in a.iter_mut().zip(b) {
            *a /= b;
        }
        a
    }

    #[inline(always)]
    fn abs(x: [f32; 8]) -> [f32; 8] {
        x.map(f32::abs)
    }

    #[inline(always)]
    fn sqrt(x: [f32; 8]) -> [f32; 8] {
        x.map(f32::sqrt)
    }

    #[inline(always)]
    fn floor(x: [f32; 8]) -> [f32; 8] {
        x.map(floor)
    }

    #[inline(always)]
    fn nearest(x: [f32; 8]) -> [f32; 8] {
        x.map(round_ties_even)
    }

    #[inline(always)]
    fn above_zero(x: [f32; 8]) -> [f32; 8] {
        x.map(|x| if x > 0.0 { x } else { 0.0 })
    }

    #[inline(always)]
    fn below_zero(x: [f32; 8]) -> u32 {
        x.iter().rev().fold(0, |bits, &x| bits << 1 | u32::from(x < 0.0))
    }

    #[inline(always)]
    fn relu(mut x: [f32; 8]) -> [f32; 8] {
        for x in &mut x {
            *x = if *x <= 0.0 { 0.0 } else { *x };
        }
        x
    }

    #[inline(always)]
    #[expect(unsafe_code, reason = "a common interface with vector loads")]
    unsafe fn load(from: *const f32) -> [f32; 8] {
        // SAFETY: the caller's promise.
        unsafe { from.cast::<[f32; 8]>().read_unaligned() }
    }

    #[inline(always)]
    #[expect(unsafe_code, reason = "a common interface with vector loads")]
    unsafe fn load_first(from: *const f32, count: usize) -> [f32; 8] {
        // SAFETY: the caller's promise.
        let from = unsafe { std::slice::from_raw_parts(from, count) };
        let mut x = [0.0; 8];
        x[..count].copy_from_slice(from);
        x
    }

    #[inline(always)]
    #[expect(unsafe_code, reason = "a common interface with vector stores")]
    unsafe fn store(x: [f32; 8], to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { to.cast::<[f32; 8]>().write_unaligned(x) }
    }

    #[inline(always)]
    #[expect(unsafe_code, reason = "a common interface with vector stores")]
    unsafe fn store_first(x: [f32; 8], to: *mut f32, count: usize) {
        // SAFETY: the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(to, count) }.copy_from_slice(&x[..count]);
    }

    #[inline(always)]
    #[expect(unsafe_code, reason = "as vector stores")]
    unsafe fn transpose(columns: &[[f32; 8]; 8], to: *mut f32, distance: usize) {
        for (i, column) in columns.iter().enumerate() {
            for (lane, &x) in column.iter().enumerate() {
                // SAFETY: as promised.
                unsafe { *to.add(lane * distance + i) = x };
            }
        }
    }
}

/// The next lower whole number of `x` ≥ 0, in a form that becomes vector instructions on every processor.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "that is what it is for")]
pub(crate) fn floor(x: f32) -> f32 {
    if x < INTEGERS_FROM { x as i32 as f32 } else { x }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roundings_are_those_of_the_standard() {
        let bits = (0..f32::INFINITY.to_bits()).step_by(10_007);
        for x in bits.map(f32::from_bits).chain([0.5, 1.5, 2.5, 8_388_607.5, 4_194_304.5]) {
            assert_eq!(floor(x), x.floor(), "{x}");
            assert_eq!(round_ties_even(x), x.round_ties_even(), "{x}");
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
mod x86 {
    // SAFETY of all blocks below: the types are used only in functions that enable the features, which run only where
    // `PackedWeights::new` has checked that the processor has them; pointers are good by the callers' promises.
    #![expect(unsafe_code, clippy::undocumented_unsafe_blocks, reason = "one comment for all, above")]

    use std::arch::x86_64::{
        __m256, __m256i, __m512, __mmask16, _CMP_LT_OQ, _CMP_NLE_UQ, _MM_FROUND_NO_EXC,
        _MM_FROUND_TO_NEAREST_INT, _MM_FROUND_TO_NEG_INF, _mm256_add_ps, _mm256_and_ps, _mm256_andnot_ps,
        _mm256_cmp_ps, _mm256_div_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_loadu_si256,
        _mm256_maskload_ps, _mm256_maskstore_ps, _mm256_max_ps, _mm256_movemask_ps, _mm256_mul_ps,
        _mm256_permute2f128_ps, _mm256_round_ps, _mm256_set1_ps, _mm256_setzero_ps, _mm256_shuffle_ps,
        _mm256_sqrt_ps, _mm256_storeu_pd, _mm256_storeu_ps, _mm256_sub_ps, _mm256_unpackhi_ps,
        _mm256_unpacklo_ps, _mm512_abs_ps, _mm512_add_ps, _mm512_castpd512_pd256, _mm512_castps_pd,
        _mm512_cmp_ps_mask, _mm512_div_ps, _mm512_extractf64x4_pd, _mm512_fmadd_ps, _mm512_loadu_ps,
        _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps, _mm512_maskz_mov_ps, _mm512_max_ps, _mm512_mul_ps,
        _mm512_permutex2var_pd, _mm512_roundscale_ps, _mm512_set1_ps, _mm512_setr_epi64, _mm512_setzero_ps,
        _mm512_shuffle_ps, _mm512_sqrt_ps, _mm512_storeu_ps, _mm512_sub_ps, _mm512_unpackhi_ps,
        _mm512_unpacklo_ps,
    };

    use super::Simd;

    const ROUND_DOWN: i32 = _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC;
    const ROUND_TO_EVEN: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;

    /// Vectors of AVX-512F: 32 registers.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx512;

    impl Simd for Avx512 {
        type Vector = __m512;
        type Row = Avx2;
        const LANES: usize = 16;
        const VECTORS: usize = 3;
        const PIXELS: usize = 8;

        #[inline(always)]
        fn splat(x: f32) -> __m512 {
            unsafe { _mm512_set1_ps(x) }
        }

        #[inline(always)]
        fn fma(a: __m512, b: __m512, c: __m512) -> __m512 {
            unsafe { _mm512_fmadd_ps(a, b, c) }
        }

        #[inline(always)]
        fn mul(a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_mul_ps(a, b) }
        }

        #[inline(always)]
        fn add(a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_add_ps(a, b) }
        }

        #[inline(always)]
        fn sub(a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_sub_ps(a, b) }
        }

        #[inline(always)]
        fn div(a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_div_ps(a, b) }
        }

        #[inline(always)]
        fn abs(x: __m512) -> __m512 {
            unsafe { _mm512_abs_ps(x) }
        }

        #[inline(always)]
        fn sqrt(x: __m512) -> __m512 {
            unsafe { _mm512_sqrt_ps(x) }
        }

        #[inline(always)]
        fn floor(x: __m512) -> __m512 {
            unsafe { _mm512_roundscale_ps::<ROUND_DOWN>(x) }
        }

        #[inline(always)]
        fn nearest(x: __m512) -> __m512 {
            unsafe { _mm512_roundscale_ps::<ROUND_TO_EVEN>(x) }
        }

        #[inline(always)]
        fn above_zero(x: __m512) -> __m512 {
            unsafe { _mm512_max_ps(x, _mm512_setzero_ps()) }
        }

        #[inline(always)]
        fn below_zero(x: __m512) -> u32 {
            unsafe { _mm512_cmp_ps_mask::<_CMP_LT_OQ>(x, _mm512_setzero_ps()).into() }
        }

        #[inline(always)]
        fn relu(x: __m512) -> __m512 {
            unsafe {
                let kept = _mm512_cmp_ps_mask::<_CMP_NLE_UQ>(x, _mm512_setzero_ps());
                _mm512_maskz_mov_ps(kept, x)
            }
        }

        #[inline(always)]
        unsafe fn load(from: *const f32) -> __m512 {
            unsafe { _mm512_loadu_ps(from) }
        }

        #[inline(always)]
        unsafe fn load_first(from: *const f32, count: usize) -> __m512 {
            unsafe { _mm512_maskz_loadu_ps(first_lanes(count), from) }
        }

        #[inline(always)]
        unsafe fn store(x: __m512, to: *mut f32) {
            unsafe { _mm512_storeu_ps(to, x) }
        }

        #[inline(always)]
        unsafe fn store_first(x: __m512, to: *mut f32, count: usize) {
            unsafe { _mm512_mask_storeu_ps(to, first_lanes(count), x) }
        }

        #[inline(always)]
        unsafe fn transpose(columns: &[__m512; 8], to: *mut f32, distance: usize) {
            unsafe {
                let halves = [quads_512(&columns[..4]), quads_512(&columns[4..])];
                let low = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11);
                let high = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
                for (i, (a, b)) in halves[0].into_iter().zip(halves[1]).enumerate() {
                    let (a, b) = (_mm512_castps_pd(a), _mm512_castps_pd(b));
                    for (first, order) in [(i, low), (8 + i, high)] {
                        let pair = _mm512_permutex2var_pd(a, order, b);
                        let upper = _mm512_extractf64x4_pd::<1>(pair);
                        // Whole rows: loads that follow could not be served from two stores.
                        let lower = _mm512_castpd512_pd256(pair);
                        _mm256_storeu_pd(to.add(first * distance).cast(), lower);
                        _mm256_storeu_pd(to.add((first + 4) * distance).cast(), upper);
                    }
                }
            }
        }
    }

    /// Four values each of the channels i, 4 + i, 8 + i and 12 + i.
    #[inline(always)]
    fn quads_512(columns: &[__m512]) -> [__m512; 4] {
        unsafe {
            let (ab_low, ab_high) =
                (_mm512_unpacklo_ps(columns[0], columns[1]), _mm512_unpackhi_ps(columns[0], columns[1]));
            let (cd_low, cd_high) =
                (_mm512_unpacklo_ps(columns[2], columns[3]), _mm512_unpackhi_ps(columns[2], columns[3]));
            [
                _mm512_shuffle_ps::<0b01_00_01_00>(ab_low, cd_low),
                _mm512_shuffle_ps::<0b11_10_11_10>(ab_low, cd_low),
                _mm512_shuffle_ps::<0b01_00_01_00>(ab_high, cd_high),
                _mm512_shuffle_ps::<0b11_10_11_10>(ab_high, cd_high),
            ]
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "at most sixteen lanes")]
    fn first_lanes(count: usize) -> __mmask16 {
        ((1u32 << count) - 1) as __mmask16
    }

    /// Vectors of AVX2 and FMA: 16 registers.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx2;

    /// Eight windows of it select the first lanes.
    static LANE_MASK: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

    #[inline(always)]
    fn lane_mask(count: usize) -> __m256i {
        unsafe { _mm256_loadu_si256(LANE_MASK[8 - count..][..8].as_ptr().cast()) }
    }

    impl Simd for Avx2 {
        type Vector = __m256;
        type Row = Self;
        const LANES: usize = 8;
        const VECTORS: usize = 2;
        const PIXELS: usize = 6;

        #[inline(always)]
        fn splat(x: f32) -> __m256 {
            unsafe { _mm256_set1_ps(x) }
        }

        #[inline(always)]
        fn fma(a: __m256, b: __m256, c: __m256) -> __m256 {
            unsafe { _mm256_fmadd_ps(a, b, c) }
        }

        #[inline(always)]
        fn mul(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_mul_ps(a, b) }
        }

        #[inline(always)]
        fn add(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_add_ps(a, b) }
        }

        #[inline(always)]
        fn sub(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_sub_ps(a, b) }
        }

        #[inline(always)]
        fn div(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_div_ps(a, b) }
        }

        #[inline(always)]
        fn abs(x: __m256) -> __m256 {
            unsafe { _mm256_andnot_ps(_mm256_set1_ps(-0.0), x) }
        }

        #[inline(always)]
        fn sqrt(x: __m256) -> __m256 {
            unsafe { _mm256_sqrt_ps(x) }
        }

        #[inline(always)]
        fn floor(x: __m256) -> __m256 {
            unsafe { _mm256_round_ps::<ROUND_DOWN>(x) }
        }

        #[inline(always)]
        fn nearest(x: __m256) -> __m256 {
            unsafe { _mm256_round_ps::<ROUND_TO_EVEN>(x) }
        }

        #[inline(always)]
        fn above_zero(x: __m256) -> __m256 {
            unsafe { _mm256_max_ps(x, _mm256_setzero_ps()) }
        }

        #[inline(always)]
        fn below_zero(x: __m256) -> u32 {
            unsafe { _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_LT_OQ>(x, _mm256_setzero_ps())).cast_unsigned() }
        }

        #[inline(always)]
        fn relu(x: __m256) -> __m256 {
            unsafe { _mm256_and_ps(_mm256_cmp_ps::<_CMP_NLE_UQ>(x, _mm256_setzero_ps()), x) }
        }

        #[inline(always)]
        unsafe fn load(from: *const f32) -> __m256 {
            unsafe { _mm256_loadu_ps(from) }
        }

        #[inline(always)]
        unsafe fn load_first(from: *const f32, count: usize) -> __m256 {
            unsafe { _mm256_maskload_ps(from, lane_mask(count)) }
        }

        #[inline(always)]
        unsafe fn store(x: __m256, to: *mut f32) {
            unsafe { _mm256_storeu_ps(to, x) }
        }

        #[inline(always)]
        unsafe fn store_first(x: __m256, to: *mut f32, count: usize) {
            unsafe { _mm256_maskstore_ps(to, lane_mask(count), x) }
        }

        #[inline(always)]
        unsafe fn transpose(columns: &[__m256; 8], to: *mut f32, distance: usize) {
            unsafe {
                let halves = [quads_256(&columns[..4]), quads_256(&columns[4..])];
                for (i, (a, b)) in halves[0].into_iter().zip(halves[1]).enumerate() {
                    let lower = _mm256_permute2f128_ps::<0x20>(a, b);
                    _mm256_storeu_ps(to.add(i * distance), lower);
                    let upper = _mm256_permute2f128_ps::<0x31>(a, b);
                    _mm256_storeu_ps(to.add((i + 4) * distance), upper);
                }
            }
        }
    }

    /// Four values each of the channels i and 4 + i.
    #[inline(always)]
    fn quads_256(columns: &[__m256]) -> [__m256; 4] {
        unsafe {
            let (ab_low, ab_high) =
                (_mm256_unpacklo_ps(columns[0], columns[1]), _mm256_unpackhi_ps(columns[0], columns[1]));
            let (cd_low, cd_high) =
                (_mm256_unpacklo_ps(columns[2], columns[3]), _mm256_unpackhi_ps(columns[2], columns[3]));
            [
                _mm256_shuffle_ps::<0b01_00_01_00>(ab_low, cd_low),
                _mm256_shuffle_ps::<0b11_10_11_10>(ab_low, cd_low),
                _mm256_shuffle_ps::<0b01_00_01_00>(ab_high, cd_high),
                _mm256_shuffle_ps::<0b11_10_11_10>(ab_high, cd_high),
            ]
        }
    }
}

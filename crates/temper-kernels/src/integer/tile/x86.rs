//! Tiles in vectors of AVX-512 VNNI, AVX-VNNI and AVX2.

use std::arch::x86_64::{
    __m256, __m256i, __m512, __m512i, _mm256_add_epi32, _mm256_dpbusd_avx_epi32, _mm256_loadu_ps,
    _mm256_loadu_si256, _mm256_madd_epi16, _mm256_permute2f128_ps, _mm256_permutevar8x32_epi32,
    _mm256_set1_epi32, _mm256_setr_epi32, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_storeu_ps,
    _mm256_storeu_si256, _mm256_unpackhi_ps, _mm256_unpacklo_ps, _mm512_dpbusd_epi32, _mm512_loadu_ps,
    _mm512_loadu_si512, _mm512_permutex2var_ps, _mm512_permutexvar_epi32, _mm512_set1_epi32,
    _mm512_set4_epi32, _mm512_setr_epi32, _mm512_setzero_si512, _mm512_shuffle_epi8, _mm512_storeu_ps,
    _mm512_storeu_si512,
};

use super::{BLOCK, Offsets, PLACES, SLACK, Tile};

/// A tile of vectors: `$dot(sum, codes, weights)` adds the products of each lane's taps.
macro_rules! vector_tile {
    ($name:ident, $module:ident, $features:literal, $lanes:literal, [$one:literal, $two:literal], [$channels:literal, $vectors:literal],
     $vector:ty, $floats:ty, $zero:ident, $load:ident, $splat:ident, $store:ident, $load_floats:ident, $store_floats:ident,
     $dot:expr, $interleave:expr, $spread:expr) => {
        #[doc = concat!("Sums in vectors of ", $lanes, " (", $features, ").")]
        pub(in super::super) struct $name;

        impl Tile<$lanes> for $name {
            const PIXELS: [usize; 2] = [$one, $two];

            #[inline(always)]
            #[expect(unsafe_code, reason = "the processor's features are known at run time only")]
            fn multiply(
                weights: &[u32],
                codes: &[u8],
                offsets: &Offsets,
                bases: &[usize],
                first: usize,
                sums: &mut [i32],
            ) {
                let two = weights.len() > offsets.each.len() * $lanes;
                let few = bases.len() <= 4;
                // SAFETY: used only where `IntegerWeights::conv` has checked that the processor has the features.
                unsafe {
                    match (two, few) {
                        (false, true) => {
                            $module::multiply::<1, 4>(weights, codes, offsets, bases, first, sums)
                        }
                        (false, false) => {
                            $module::multiply::<1, $one>(weights, codes, offsets, bases, first, sums);
                        }
                        (true, true) => {
                            $module::multiply::<2, 4>(weights, codes, offsets, bases, first, sums)
                        }
                        (true, false) => {
                            $module::multiply::<2, $two>(weights, codes, offsets, bases, first, sums);
                        }
                    }
                }
            }

            #[inline(always)]
            #[expect(unsafe_code, reason = "the processor's features are known at run time only")]
            fn turn(from: &[i32], to: &mut [i32]) {
                // SAFETY: as above.
                unsafe { $module::turn(from, to) }
            }

            const PLANE: [usize; 2] = [$channels, $vectors];

            #[inline(always)]
            #[expect(unsafe_code, reason = "the processor's features are known at run time only")]
            fn multiply_plane(
                weights: &[u32],
                codes: &[u8],
                cell: usize,
                offsets: &Offsets,
                sums: &mut [i32],
            ) {
                // SAFETY: as above.
                unsafe {
                    if cell == 4 {
                        $module::multiply_plane::<false>(weights, codes, cell, offsets, sums);
                    } else {
                        $module::multiply_plane::<true>(weights, codes, cell, offsets, sums);
                    }
                }
            }
        }

        mod $module {
            use super::*;

            #[inline]
            #[target_feature(enable = $features)]
            #[expect(unsafe_code, reason = "vector loads and stores take pointers")]
            pub(super) fn multiply<const PANELS: usize, const PIXELS: usize>(
                weights: &[u32],
                codes: &[u8],
                offsets: &Offsets,
                bases: &[usize],
                first: usize,
                sums: &mut [i32],
            ) {
                let panel = offsets.each.len() * $lanes;
                // Places that no pixel fills compute the last one again.
                let bases: [usize; PIXELS] = std::array::from_fn(|i| bases[i.min(bases.len() - 1)]);
                let reach = bases.iter().max().unwrap_or(&0) + offsets.most + 4;
                assert!(reach <= codes.len() && weights.len() == PANELS * panel, "a unit lies outside");
                assert!(sums.len() >= ((PANELS - 1) * BLOCK + first + PIXELS) * $lanes, "sums are too short");
                let mut exact = [[$zero(); PANELS]; PIXELS];
                for (unit, &offset) in offsets.each.iter().enumerate() {
                    let weights: [$vector; PANELS] = std::array::from_fn(|i| {
                        // SAFETY: there are `PANELS` panels of one vector for each unit.
                        unsafe { $load(weights.as_ptr().add(i * panel + unit * $lanes).cast()) }
                    });
                    for (exact, &base) in exact.iter_mut().zip(&bases) {
                        let unit = codes.as_ptr().wrapping_add(base + offset).cast::<[u8; 4]>();
                        // SAFETY: `reach` bounds the last byte read here.
                        let codes = $splat(i32::from_le_bytes(unsafe { unit.read() }));
                        for (exact, weights) in exact.iter_mut().zip(weights) {
                            *exact = $dot(*exact, codes, weights);
                        }
                    }
                }
                for (pixel, exact) in exact.iter().enumerate() {
                    for (i, exact) in exact.iter().enumerate() {
                        // SAFETY: checked above for the last vector of the last panel.
                        unsafe {
                            $store(
                                sums.as_mut_ptr().add((i * BLOCK + first + pixel) * $lanes).cast(),
                                *exact,
                            );
                        }
                    }
                }
            }

            /// `SPREAD`: whether the units of neighbouring places overlap.
            #[inline]
            #[target_feature(enable = $features)]
            #[expect(unsafe_code, reason = "vector loads and stores take pointers")]
            pub(super) fn multiply_plane<const SPREAD: bool>(
                weights: &[u32],
                codes: &[u8],
                cell: usize,
                offsets: &Offsets,
                sums: &mut [i32],
            ) {
                let units = offsets.each.len();
                let reach = offsets.most + $vectors * $lanes * cell + SLACK;
                assert!(reach <= codes.len() && weights.len() > (units - 1) * $lanes + $channels - 1);
                assert!(sums.len() >= ($channels - 1) * PLACES + $vectors * $lanes, "sums are too short");
                let mut exact = [[$zero(); $vectors]; $channels];
                for (unit, &offset) in offsets.each.iter().enumerate() {
                    let mut inputs = [$zero(); $vectors];
                    for (i, input) in inputs.iter_mut().enumerate() {
                        // SAFETY: `reach` bounds the last byte read here, and the slack what a vector has more.
                        *input = unsafe { $load(codes.as_ptr().add(offset + i * $lanes * cell).cast()) };
                        if SPREAD {
                            *input = $spread(*input);
                        }
                    }
                    for (channel, exact) in exact.iter_mut().enumerate() {
                        // SAFETY: checked above for the last channel of the last unit.
                        let weight = unsafe { *weights.get_unchecked(unit * $lanes + channel) };
                        let weight = $splat(weight.cast_signed());
                        for (exact, input) in exact.iter_mut().zip(inputs) {
                            *exact = $dot(*exact, input, weight);
                        }
                    }
                }
                for (channel, exact) in exact.iter().enumerate() {
                    for (i, exact) in exact.iter().enumerate() {
                        // SAFETY: checked above for the last vector of the last channel.
                        unsafe {
                            $store(sums.as_mut_ptr().add(channel * PLACES + i * $lanes).cast(), *exact)
                        };
                    }
                }
            }

            /// Squares of as many rows as lanes are turned by interleaving the first half of their rows with the second, again and
            /// again: in each round a value's place, row and lane in one binary number, rotates by one bit.
            #[inline]
            #[target_feature(enable = $features)]
            #[expect(unsafe_code, reason = "vector loads and stores take pointers")]
            pub(super) fn turn(from: &[i32], to: &mut [i32]) {
                assert!(from.len() == BLOCK * $lanes && to.len() == BLOCK * $lanes, "not a block");
                for (square, from) in from.chunks_exact($lanes * $lanes).enumerate() {
                    // SAFETY: a square has as many vectors as lanes.
                    let mut rows: [$floats; $lanes] = std::array::from_fn(|i| unsafe {
                        $load_floats(from.as_ptr().add(i * $lanes).cast())
                    });
                    for _ in 0..usize::ilog2($lanes) {
                        let before = rows;
                        for i in 0..$lanes / 2 {
                            (rows[2 * i], rows[2 * i + 1]) = $interleave(before[i], before[i + $lanes / 2]);
                        }
                    }
                    for (lane, row) in rows.into_iter().enumerate() {
                        // SAFETY: the square's columns lie within the row of `BLOCK` values.
                        unsafe {
                            $store_floats(to.as_mut_ptr().add(lane * BLOCK + square * $lanes).cast(), row)
                        };
                    }
                }
            }
        }
    };
}

#[inline]
#[target_feature(enable = "avx512f")]
fn interleave_512(a: __m512, b: __m512) -> (__m512, __m512) {
    let low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    let high = _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    (_mm512_permutex2var_ps(a, low, b), _mm512_permutex2var_ps(a, high, b))
}

#[inline]
#[target_feature(enable = "avx2")]
fn interleave_256(a: __m256, b: __m256) -> (__m256, __m256) {
    let (low, high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
    (_mm256_permute2f128_ps::<0x20>(low, high), _mm256_permute2f128_ps::<0x31>(low, high))
}

/// The bytes of four units, each of which begins a code of so many bytes behind the one before.
const fn unit_bytes(code: i32) -> [i32; 4] {
    let step = code * 0x0101_0101;
    [0x0302_0100, 0x0302_0100 + step, 0x0302_0100 + 2 * step, 0x0302_0100 + 3 * step]
}

/// 16 units of 4 bytes, each beginning one byte behind the one before, of the first bytes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn spread_512(codes: __m512i) -> __m512i {
    let quarters = _mm512_setr_epi32(0, 1, 0, 0, 1, 2, 0, 0, 2, 3, 0, 0, 3, 4, 0, 0);
    let [a, b, c, d] = unit_bytes(1);
    _mm512_shuffle_epi8(_mm512_permutexvar_epi32(quarters, codes), _mm512_set4_epi32(d, c, b, a))
}

/// 8 units of 4 bytes, each beginning one code of so many bytes (1 or 2) behind the one before, of the first bytes.
#[inline]
#[target_feature(enable = "avx2")]
fn spread_256<const CODE: i32>(codes: __m256i) -> __m256i {
    let halves = _mm256_setr_epi32(0, 1, 2, 0, CODE, CODE + 1, CODE + 2, 0);
    let [a, b, c, d] = unit_bytes(CODE);
    let units = _mm256_setr_epi32(a, b, c, d, a, b, c, d);
    _mm256_shuffle_epi8(_mm256_permutevar8x32_epi32(codes, halves), units)
}

vector_tile!(
    Avx512Vnni,
    avx512_vnni,
    "avx512f,avx512bw,avx512vnni",
    16,
    [12, 8],
    [8, 3],
    __m512i,
    __m512,
    _mm512_setzero_si512,
    _mm512_loadu_si512,
    _mm512_set1_epi32,
    _mm512_storeu_si512,
    _mm512_loadu_ps,
    _mm512_storeu_ps,
    |sum, codes, weights| _mm512_dpbusd_epi32(sum, codes, weights),
    |a, b| interleave_512(a, b),
    |codes| spread_512(codes)
);
vector_tile!(
    AvxVnni,
    avx_vnni,
    "avx2,fma,avxvnni",
    8,
    [6, 4],
    [4, 2],
    __m256i,
    __m256,
    _mm256_setzero_si256,
    _mm256_loadu_si256,
    _mm256_set1_epi32,
    _mm256_storeu_si256,
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    |sum, codes, weights| _mm256_dpbusd_avx_epi32(sum, codes, weights),
    |a, b| interleave_256(a, b),
    |codes| spread_256::<1>(codes)
);
vector_tile!(
    Avx2,
    avx2,
    "avx2,fma",
    8,
    [6, 4],
    [4, 2],
    __m256i,
    __m256,
    _mm256_setzero_si256,
    _mm256_loadu_si256,
    _mm256_set1_epi32,
    _mm256_storeu_si256,
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    |sum, codes, weights| _mm256_add_epi32(sum, _mm256_madd_epi16(codes, weights)),
    |a, b| interleave_256(a, b),
    |codes| spread_256::<2>(codes)
);

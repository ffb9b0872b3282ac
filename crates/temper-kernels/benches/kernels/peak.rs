//! The clock, and the most multiply-adds the processor can do.

use std::hint::black_box;
use std::time::{Duration, Instant};

use temper_kernels::Isa;

const TIME: Duration = Duration::from_millis(300);

/// Seconds of the fastest run.
pub(crate) fn best(mut run: impl FnMut()) -> f64 {
    run();
    let start = Instant::now();
    let mut best = Duration::MAX;
    let mut runs = 0;
    while runs < 5 || start.elapsed() < TIME {
        let before = Instant::now();
        run();
        best = best.min(before.elapsed());
        runs += 1;
    }
    best.as_secs_f64()
}

const ROUNDS: usize = 10_000;

/// GFLOP/s of multiply-adds on registers.
#[expect(unsafe_code, reason = "the processor's features are known at run time only")]
pub(crate) fn peak(isa: Isa) -> f64 {
    let (flops, seconds) = match isa {
        // SAFETY: the instructions are available: `main` asked.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => (2 * 16 * x86::CHAINS, best(|| unsafe { x86::avx512() })),
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => (2 * 8 * x86::CHAINS, best(|| unsafe { x86::avx2() })),
        _ => (2 * 64, best(portable)),
    };
    1e-9 * (flops * ROUNDS) as f64 / seconds
}

/// Sixty-four chains: what a compiler makes of them.
fn portable() {
    let mut sums = [1.0f32; 64];
    let (a, b) = (black_box(0.5f32), black_box(1.0f32));
    for _ in 0..ROUNDS {
        for sum in &mut sums {
            *sum = sum.mul_add(a, b);
        }
    }
    black_box(sums);
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{_mm256_fmadd_ps, _mm256_set1_ps, _mm512_fmadd_ps, _mm512_set1_ps};
    use std::hint::black_box;

    use super::ROUNDS;

    /// Enough to hide the latency of a multiply-add, and fewer than there are registers.
    pub(super) const CHAINS: usize = 12;

    #[target_feature(enable = "avx512f")]
    pub(super) fn avx512() {
        let (a, b) = (_mm512_set1_ps(black_box(0.5)), _mm512_set1_ps(black_box(1.0)));
        let mut sums = [a; CHAINS];
        for _ in 0..ROUNDS {
            for sum in &mut sums {
                *sum = _mm512_fmadd_ps(*sum, a, b);
            }
        }
        black_box(sums);
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn avx2() {
        let (a, b) = (_mm256_set1_ps(black_box(0.5)), _mm256_set1_ps(black_box(1.0)));
        let mut sums = [a; CHAINS];
        for _ in 0..ROUNDS {
            for sum in &mut sums {
                *sum = _mm256_fmadd_ps(*sum, a, b);
            }
        }
        black_box(sums);
    }
}

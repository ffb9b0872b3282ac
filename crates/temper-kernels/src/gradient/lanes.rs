//! Sums of many values that round little and are the same for all instruction sets.

/// Chains of additions that go on side by side.
const LANES: usize = 32;

/// Values that go through them before they are added up.
const BLOCK: usize = 128 * LANES;

/// Adds up `N` terms of each place of two slices of the same length, in 32 chains of at most 128 additions, whose sums are then added
/// in double precision.
#[inline(always)]
pub(super) fn sum<const N: usize>(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> [f32; N]) -> [f64; N] {
    let mut total = [0.0; N];
    for (a, b) in a.chunks(BLOCK).zip(b.chunks(BLOCK)) {
        let mut sums = [[0.0f32; LANES]; N];
        // Small planes leave chains empty.
        let live = a.len().min(LANES);
        let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
        for (a, b) in a.iter().zip(b) {
            for lane in 0..LANES {
                let terms = term(a[lane], b[lane]);
                for (sums, term) in sums.iter_mut().zip(terms) {
                    sums[lane] += term;
                }
            }
        }
        for (lane, (&a, &b)) in a_rest.iter().zip(b_rest).enumerate() {
            for (sums, term) in sums.iter_mut().zip(term(a, b)) {
                sums[lane] += term;
            }
        }
        for (total, sums) in total.iter_mut().zip(sums) {
            *total += sums[..live].iter().copied().map(f64::from).sum::<f64>();
        }
    }
    total
}

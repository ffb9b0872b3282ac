//! Several tests at once.

/// P-values adjusted for having made all these tests: rejecting where an adjusted value is at most α keeps the probability of any false
/// rejection at or below α, however the tests depend on each other.
///
/// Holm, "A simple sequentially rejective multiple test procedure", *Scandinavian Journal of Statistics* 6, 1979: of the m values in
/// ascending order, the i-th (from 1) becomes the largest of `min(1, (m − j + 1) p₍ⱼ₎)` for j ≤ i. In the order of `p_values` (0..=1); a
/// test that could not be made counts as 1.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut largest = 0f64;
    for (before, &index) in order.iter().enumerate() {
        let tests_left = (p_values.len() - before) as f64;
        largest = largest.max((tests_left * p_values[index]).min(1.0));
        adjusted[index] = largest;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 4·0.01, 3·0.0125, 2·0.03 and 1·0.04, none below the one before it.
    #[test]
    fn by_hand() {
        assert_eq!(holm(&[0.03, 0.01, 0.04, 0.0125]), [0.06, 0.04, 0.06, 0.04]);
        assert_eq!(holm(&[0.2]), [0.2]);
        assert_eq!(holm(&[1.0, 0.6, 0.6]), [1.0, 1.0, 1.0]);
        assert!(holm(&[]).is_empty());
    }
}

//! The loss of classifiers.

/// Cross-entropy of softmax, fused with its gradient: returns the sum of the rows' losses and writes `scale` times its gradient.
///
/// A row's loss is `−Σ target · log softmax(logits)`, where the target is `1 − smoothing` for the label plus `smoothing / classes`
/// for every class (Szegedy et al., *Rethinking the Inception Architecture*, CVPR 2016, section 7); its gradient is
/// `softmax(logits) − target`. For the mean over a batch, `scale` is one over the rows of the batch. Exponentials are of differences
/// to the largest logit, so that none overflows; NaN spreads over its row.
///
/// **Shapes**: `labels` `[rows]`, each less than the number of classes, `logits` and `gradient` `[rows, classes]`; `smoothing` in 0..=1.
///
/// # Panics
/// When the slices do not have these shapes or a label is no class.
pub fn cross_entropy(
    labels: &[usize],
    smoothing: f32,
    scale: f32,
    logits: &[f32],
    gradient: &mut [f32],
) -> f64 {
    if labels.is_empty() {
        return 0.0;
    }
    let classes = logits.len() / labels.len();
    assert_eq!(logits.len(), labels.len() * classes, "logits must be [rows, classes]");
    assert_eq!(gradient.len(), logits.len(), "one gradient for each logit");
    let smooth = smoothing / classes as f32;
    let rows = logits.chunks_exact(classes).zip(gradient.chunks_exact_mut(classes)).zip(labels);
    let mut loss = 0.0;
    for ((logits, gradient), &label) in rows {
        let larger = |a: f32, b: f32| if b > a || b.is_nan() { b } else { a };
        let largest = logits.iter().copied().fold(f32::NEG_INFINITY, larger);
        for (exponential, &x) in gradient.iter_mut().zip(logits) {
            *exponential = libm::expf(x - largest);
        }
        let sum: f64 = gradient.iter().copied().map(f64::from).sum();
        // Of the softmax's denominator, as if no difference had been taken.
        let log = libm::log(sum) + f64::from(largest);
        let surprise = |x: f32| log - f64::from(x);
        loss += f64::from(1.0 - smoothing) * surprise(logits[label]);
        if smoothing > 0.0 {
            loss += f64::from(smooth) * logits.iter().copied().map(surprise).sum::<f64>();
        }
        #[expect(clippy::cast_possible_truncation, reason = "rounded once, for a product of f32")]
        let inverse = (1.0 / sum) as f32;
        for x in &mut *gradient {
            *x = scale * (*x * inverse - smooth);
        }
        gradient[label] -= scale * (1.0 - smoothing);
    }
    loss
}

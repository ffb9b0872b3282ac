//! What became of each faulty inference, against the golden inference of the same image.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use crate::execution::top_class;

/// Counts of outcomes over inferences. Every inference is exactly one of `masked`, `sdc` and `due`; the other counts describe
/// them further. Sub-classes of silent data corruption after Li et al., SC 2017, §4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Outcomes {
    /// Inferences.
    pub images: u64,
    /// The label is the top class. An output with a NaN names no class and is never correct.
    pub correct: u64,
    /// The label is the golden run's top class.
    pub golden_correct: u64,
    /// All logits finite, and the golden top class still on top.
    pub masked: u64,
    /// Those of `masked` whose logits are the golden ones bit for bit. This and the confidences are counted only where the
    /// specification asks for it: every output must then be computed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub masked_exact: Option<u64>,
    /// Silent data corruption: all logits finite, another top class (SDC-1).
    pub sdc: u64,
    /// Those of `sdc` whose golden top class is not among the five largest logits (SDC-5).
    pub sdc5: u64,
    /// All logits finite, and the top class's confidence differs from the golden run's by more than 10 % of it (SDC-10%).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sdc10: Option<u64>,
    /// All logits finite, and the top class's confidence differs from the golden run's by more than 20 % of it (SDC-20%).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sdc20: Option<u64>,
    /// The golden output was correct and the faulty one is not.
    pub critical: u64,
    /// Detectable, unrecoverable: a NaN or an infinity among the logits.
    pub due: u64,
}

impl AddAssign for Outcomes {
    fn add_assign(&mut self, other: Self) {
        self.images += other.images;
        self.correct += other.correct;
        self.golden_correct += other.golden_correct;
        self.masked += other.masked;
        add(&mut self.masked_exact, other.masked_exact);
        self.sdc += other.sdc;
        self.sdc5 += other.sdc5;
        add(&mut self.sdc10, other.sdc10);
        add(&mut self.sdc20, other.sdc20);
        self.critical += other.critical;
        self.due += other.due;
    }
}

/// What is counted on either side is counted in the sum.
fn add(sum: &mut Option<u64>, more: Option<u64>) {
    if let Some(more) = more {
        *sum = Some(sum.unwrap_or(0) + more);
    }
}

impl Outcomes {
    /// No inference yet; `confidence` says whether bits and confidences are counted.
    pub fn new(confidence: bool) -> Self {
        let none = confidence.then_some(0);
        Self { masked_exact: none, sdc10: none, sdc20: none, ..Self::default() }
    }

    /// Whether both are the same as far as both were counted.
    pub fn agrees_with(&self, other: &Self) -> bool {
        let shared = |one: &Self, two: &Self| Self {
            masked_exact: one.masked_exact.filter(|_| two.masked_exact.is_some()),
            sdc10: one.sdc10.filter(|_| two.sdc10.is_some()),
            sdc20: one.sdc20.filter(|_| two.sdc20.is_some()),
            ..*one
        };
        shared(self, other) == shared(other, self)
    }

    /// These less some of them.
    #[must_use]
    pub fn without(&self, part: &Self) -> Self {
        let less = |count: fn(&Self) -> u64| count(self).saturating_sub(count(part));
        let less_of = |count: fn(&Self) -> Option<u64>| {
            Some(count(self)?.saturating_sub(count(part).unwrap_or_default()))
        };
        Self {
            images: less(|outcomes| outcomes.images),
            correct: less(|outcomes| outcomes.correct),
            golden_correct: less(|outcomes| outcomes.golden_correct),
            masked: less(|outcomes| outcomes.masked),
            masked_exact: less_of(|outcomes| outcomes.masked_exact),
            sdc: less(|outcomes| outcomes.sdc),
            sdc5: less(|outcomes| outcomes.sdc5),
            sdc10: less_of(|outcomes| outcomes.sdc10),
            sdc20: less_of(|outcomes| outcomes.sdc20),
            critical: less(|outcomes| outcomes.critical),
            due: less(|outcomes| outcomes.due),
        }
    }

    /// Fraction of these images whose label is the top class, 0..1. For the accuracy over all images, of which these may be a part,
    /// see [`GoldenInfo::accuracy_of`](super::GoldenInfo::accuracy_of).
    pub fn accuracy(&self) -> f64 {
        self.correct as f64 / self.images as f64
    }

    /// Sample variance over these images of what each adds to the accuracy drop: 1 if it became wrong, −1 if it became
    /// right, else 0. With images − 1 in the divisor; 0 for fewer than two images.
    pub fn image_variance(&self) -> f64 {
        if self.images < 2 {
            return 0.0;
        }
        let (became_wrong, correct) = (self.critical as f64, self.correct as f64);
        let became_right = correct + became_wrong - self.golden_correct as f64;
        let (images, lost) = (self.images as f64, became_wrong - became_right);
        (became_wrong + became_right - lost * lost / images) / (images - 1.0)
    }

    /// Adds one inference. `probabilities` says that outputs are confidences already (the network ends in a softmax).
    ///
    /// **Shapes**: `golden` and `faulty` `[classes]`.
    pub(super) fn count(&mut self, golden: &[f32], faulty: &[f32], label: u8, probabilities: bool) {
        let (golden_top, top) = (top_class(golden), top_class(faulty));
        let right = |top: Option<usize>| top == Some(usize::from(label));
        self.images += 1;
        self.correct += u64::from(right(top));
        self.golden_correct += u64::from(right(golden_top));
        self.critical += u64::from(right(golden_top) && !right(top));
        let (true, Some(top)) = (faulty.iter().all(|logit| logit.is_finite()), top) else {
            self.due += 1;
            return;
        };
        if golden_top == Some(top) {
            self.masked += 1;
            let Some(masked_exact) = &mut self.masked_exact else { return };
            if golden.iter().zip(faulty).all(|(a, b)| a.to_bits() == b.to_bits()) {
                *masked_exact += 1;
                return;
            }
        } else {
            self.sdc += 1;
            let larger = |class: usize| faulty.iter().filter(|&&logit| logit > faulty[class]).count();
            self.sdc5 += u64::from(golden_top.is_none_or(|class| larger(class) >= 5));
        }
        let (Some(sdc10), Some(sdc20)) = (&mut self.sdc10, &mut self.sdc20) else { return };
        let golden = golden_top.map_or(0.0, |class| confidence(golden, class, probabilities));
        let moved = (confidence(faulty, top, probabilities) - golden).abs();
        *sdc10 += u64::from(moved > 0.1 * golden);
        *sdc20 += u64::from(moved > 0.2 * golden);
    }

    /// Adds one inference whose output is not known, but has the golden top class on top and is finite.
    pub(super) fn count_masked(&mut self, golden: &[f32], label: u8) {
        let right = u64::from(top_class(golden) == Some(usize::from(label)));
        self.images += 1;
        self.correct += right;
        self.golden_correct += right;
        self.masked += 1;
    }
}

/// The softmax of `logits` at `class`.
fn confidence(logits: &[f32], class: usize, probabilities: bool) -> f64 {
    if probabilities {
        return f64::from(logits[class]);
    }
    let at = f64::from(logits[class]);
    1.0 / logits.iter().map(|&logit| libm::exp(f64::from(logit) - at)).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOLDEN: [f32; 7] = [5.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0];

    fn outcomes(faulty: [f32; 7], label: u8) -> Outcomes {
        let mut outcomes = Outcomes::new(true);
        outcomes.count(&GOLDEN, &faulty, label, false);
        assert_eq!(outcomes.masked + outcomes.sdc + outcomes.due, 1);
        outcomes
    }

    #[test]
    fn an_unchanged_output_is_masked_exactly() {
        let expected = Outcomes {
            images: 1,
            correct: 1,
            golden_correct: 1,
            masked: 1,
            masked_exact: Some(1),
            ..Outcomes::new(true)
        };
        assert_eq!(outcomes(GOLDEN, 0), expected);
        assert_eq!(outcomes(GOLDEN, 3), Outcomes { correct: 0, golden_correct: 0, ..expected });
    }

    #[test]
    fn a_weaker_top_class_is_masked_but_its_confidence_counts() {
        // Softmax of the golden top class: 1 / (1 + e^−4 + 5 e^−5) = 0.9505; of 3.5 against 1 and five zeros: 0.8076, down 15 %.
        let faulty = outcomes([3.5, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0], 0);
        assert_eq!(
            (faulty.masked, faulty.masked_exact, faulty.sdc10, faulty.sdc20),
            (1, Some(0), Some(1), Some(0))
        );
        // Of 3.0: 0.7214, down 24 %.
        let faulty = outcomes([3.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0], 0);
        assert_eq!((faulty.sdc10, faulty.sdc20), (Some(1), Some(1)));
    }

    #[test]
    fn another_top_class_is_silent_data_corruption() {
        let faulty = outcomes([5.0, 6.0, 0.0, 0.0, 0.0, 0.0, 0.0], 0);
        assert_eq!((faulty.sdc, faulty.sdc5, faulty.critical, faulty.correct), (1, 0, 1, 0));
        let faulty = outcomes([-1.0, 6.0, 0.0, 0.0, 0.0, 0.0, 0.0], 1);
        assert_eq!((faulty.sdc, faulty.sdc5, faulty.critical, faulty.correct), (1, 1, 0, 1));
    }

    #[test]
    fn nan_and_infinity_are_detectable() {
        let faulty = outcomes([f32::NAN, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0], 0);
        assert_eq!((faulty.due, faulty.correct, faulty.critical), (1, 0, 1));
        // An infinity still names a class.
        let faulty = outcomes([f32::INFINITY, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0], 0);
        assert_eq!((faulty.due, faulty.correct, faulty.critical, faulty.masked), (1, 1, 0, 0));
    }
}

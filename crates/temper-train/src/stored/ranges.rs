//! The ranges of quantised activations: averaged over batches, or learned as the steps of their grids.

use temper_core::number::{Codec, NumberFormat, Quantisation};

use crate::recipe::ActivationRanges;

/// The smallest and the largest value that a tap stores.
pub(crate) type Range = (f32, f32);

/// How a phase finds the ranges of its taps, and what it has found.
#[derive(Debug, Clone)]
pub(crate) struct Ranges {
    rule: ActivationRanges,
    /// By tap; `None` where no batch has been seen, or nothing has to be found.
    found: Vec<Option<Range>>,
}

impl Ranges {
    pub(crate) fn new(rule: ActivationRanges, taps: usize) -> Self {
        Self { rule, found: vec![None; taps] }
    }

    pub(crate) fn found(&self) -> &[Option<Range>] {
        &self.found
    }

    pub(crate) fn found_mut(&mut self) -> &mut [Option<Range>] {
        &mut self.found
    }

    /// Whether the steps of grids train.
    pub(crate) fn are_learned(&self) -> bool {
        self.rule == ActivationRanges::LearnedStep
    }

    /// The range by which a tap stores a batch.
    pub(crate) fn of_batch(&self, tap: usize, grid: &StepOf<'_>, values: &[f32]) -> Range {
        match (self.rule, self.found[tap]) {
            (ActivationRanges::LearnedStep, Some((low, high))) if low < high => (low, high),
            (ActivationRanges::LearnedStep, _) => grid.first(values),
            (ActivationRanges::MovingAverage { .. }, None) => extremes(values),
            (ActivationRanges::MovingAverage { momentum }, Some((low, high))) => {
                let (new_low, new_high) = extremes(values);
                let follow = |old: f32, new: f32| old + (new - old) * momentum as f32;
                (follow(low, new_low), follow(high, new_high))
            }
        }
    }
}

/// The smallest and the largest of finite values and zero.
fn extremes(values: &[f32]) -> Range {
    let finite = values.iter().copied().filter(|value| value.is_finite());
    finite.fold((0.0f32, 0.0f32), |(low, high), x| (low.min(x), high.max(x)))
}

/// The step of a tap's grid as a parameter that trains (Esser et al., "Learned step size quantization", ICLR 2020), and the range
/// that it stands for: from `−Q_n` to `Q_p` steps, where `Q_n` is the zero point, or `Q_p` in formats
/// without one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StepOf<'a> {
    pub(crate) format: NumberFormat,
    pub(crate) quantisation: &'a Quantisation,
}

impl StepOf<'_> {
    fn codec(&self, range: Range) -> Codec {
        Codec::from_ranges(self.format, self.quantisation, &[range], 1).expect("checked when chosen")
    }

    /// The step of a range.
    pub(crate) fn size(&self, range: Range) -> f32 {
        self.codec(range).scale(0)
    }

    /// The range before the first step of training: that of the step `2 · mean |v| / √Q_p` (§2.1), with the zero point of the
    /// extremes of the values. If all values are zero it is empty, and the next batch decides.
    fn first(&self, values: &[f32]) -> Range {
        let extremes = extremes(values);
        let codec = self.codec(extremes);
        let finite = || values.iter().copied().filter(|value| value.is_finite());
        let mean = finite().map(|value| f64::from(value.abs())).sum::<f64>() / finite().count().max(1) as f64;
        if mean == 0.0 {
            return extremes;
        }
        let ends = ends(&codec);
        let step = 2.0 * mean / f64::from(ends.1 / codec.scale(0)).sqrt();
        scaled(ends, step as f32 / codec.scale(0))
    }

    /// The range once an optimiser has moved the step of `range` to `size`. In one go a step becomes at most twice as large and at
    /// least half as large, so that it stays above zero.
    pub(crate) fn moved(&self, range: Range, size: f32) -> Range {
        let factor = (size / self.size(range)).clamp(0.5, 2.0);
        if factor.is_finite() { scaled(range, factor) } else { range }
    }
}

fn scaled((low, high): Range, factor: f32) -> Range {
    (low * factor, high * factor)
}

/// The ends of a codec's values; of formats without a zero point as far from zero as each other.
fn ends(codec: &Codec) -> Range {
    let mut ends = [f32::MIN, f32::MAX];
    codec.store(&mut ends);
    let [low, high] = ends;
    (if codec.stores_zero_point() { low } else { -high }, high)
}

/// For every value of an image, what its gradient is multiplied with, and the derivative of what is stored with respect to the step
/// (eq. 3 and 5): strictly between the ends of the codes one, and what rounding adds, in steps; elsewhere zero, and the code. The
/// derivative is multiplied with `1 / √(N · Q_p)` (§2.2), where N is the number of values.
///
/// **Shapes**: `values` `[N]`, as they came; `stored` `[N]`, what became of them.
pub(crate) fn through_learned_step<'a>(
    codec: &Codec,
    values: &'a [f32],
    stored: &'a [f32],
) -> impl Iterator<Item = (f32, f32)> + use<'a> {
    let size = codec.scale(0);
    let (low, high) = ends(codec);
    // Of a magnitude a sign keeps nothing: all that it stores is code.
    let is_sign = codec.format() == NumberFormat::Binary;
    let factor = 1.0 / (values.len() as f32 * (high / size)).sqrt();
    values.iter().zip(stored).map(move |(value, stored)| {
        let passes = low < *value && *value < high;
        let derivative = if passes && !is_sign { stored - value } else { *stored };
        (f32::from(u8::from(passes)), derivative / size * factor)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use temper_core::number::Scheme;

    fn quantisation(scheme: Scheme) -> Quantisation {
        Quantisation { scheme: Some(scheme), ..Quantisation::default() }
    }

    #[test]
    fn the_first_step_follows_from_the_mean_magnitude() {
        let learned = Ranges::new(ActivationRanges::LearnedStep, 1);
        // Mean magnitude 0.75; codes 0..=15: step 1.5 / √15.
        let values = [0.0, 0.5, 1.0, 1.5];
        let affine = quantisation(Scheme::Affine);
        let grid = StepOf { format: NumberFormat::Uint(4), quantisation: &affine };
        let range = learned.of_batch(0, &grid, &values);
        let step = 1.5 / 15.0f32.sqrt();
        assert_eq!(range.0, 0.0);
        assert!((range.1 - 15.0 * step).abs() < 1e-6, "{range:?}");
        assert!((grid.size(range) - step).abs() < 1e-7);
        // Codes −7..=7 on both sides of zero.
        let symmetric = quantisation(Scheme::Symmetric);
        let grid = StepOf { format: NumberFormat::Int(4), quantisation: &symmetric };
        let range = learned.of_batch(0, &grid, &[-1.0, 0.5, 1.0, -0.5]);
        let step = 1.5 / 7.0f32.sqrt();
        assert!((range.1 - 7.0 * step).abs() < 1e-6 && range.0 == -range.1, "{range:?}");
        // What is on both sides of zero keeps its zero point in a format with one: a third of the codes lie below.
        let grid = StepOf { format: NumberFormat::Uint(4), quantisation: &affine };
        let range = learned.of_batch(0, &grid, &[-1.0, 2.0]);
        assert!((range.0 / range.1 + 0.5).abs() < 1e-6, "{range:?}");
        // Nothing but zeros: the next batch decides, and not before it does the range stay.
        let mut learned = learned;
        for (values, expected) in
            [([0.0, 0.0], 0.0), ([0.0, 3.0], 3.0 * 15.0f32.sqrt()), ([0.0, 9.0], 3.0 * 15.0f32.sqrt())]
        {
            let range = learned.of_batch(0, &grid, &values);
            assert!((range.1 - expected).abs() < 1e-5, "{range:?}");
            learned.found_mut()[0] = Some(range);
        }
    }

    #[test]
    fn steps_move_by_a_factor_of_two_at_most() {
        let affine = quantisation(Scheme::Affine);
        let grid = StepOf { format: NumberFormat::Uint(8), quantisation: &affine };
        let range = (-25.5, 25.5);
        let size = grid.size(range);
        for (to, factor) in [(1.5, 1.5), (3.0, 2.0), (-1.0, 0.5), (0.0, 0.5), (f32::NAN, 1.0)] {
            assert_eq!(grid.moved(range, to * size), scaled(range, factor), "{to}");
        }
    }

    #[test]
    fn ranges_follow_batches() {
        let mut averaged = Ranges::new(ActivationRanges::MovingAverage { momentum: 0.25 }, 1);
        let affine = quantisation(Scheme::Affine);
        let grid = StepOf { format: NumberFormat::Uint(8), quantisation: &affine };
        let first = averaged.of_batch(0, &grid, &[1.0, 4.0, f32::NAN, f32::INFINITY]);
        assert_eq!(first, (0.0, 4.0));
        averaged.found_mut()[0] = Some(first);
        assert_eq!(averaged.of_batch(0, &grid, &[-2.0, 8.0]), (-0.5, 5.0));
    }

    #[test]
    fn derivatives_are_those_of_the_paper() {
        let affine = quantisation(Scheme::Affine);
        let codec = StepOf { format: NumberFormat::Uint(2), quantisation: &affine }.codec((0.0, 1.5));
        // Step 0.5, codes 0..=3: below, on the way from one code to the next, on a code, just above the last one, far above.
        let values = [-0.2, 0.6, 0.9, 1.0, 1.51, 9.0];
        let mut stored = values;
        codec.store(&mut stored);
        let found = through_learned_step(&codec, &values, &stored);
        let factor = 1.0 / (6.0 * 3.0f32).sqrt();
        let expected = [(0.0, 0.0), (1.0, -0.2), (1.0, 0.2), (1.0, 0.0), (0.0, 3.0), (0.0, 3.0)];
        for ((passes, derivative), expected) in found.zip(expected) {
            assert_eq!(passes, expected.0);
            assert!((derivative - expected.1 * factor).abs() < 1e-6, "{derivative} {expected:?}");
        }
    }
}

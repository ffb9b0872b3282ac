//! Grids that fit values.

use super::format::NumberFormat;
use super::grid::{Codes, Grid};
use super::quantise::{Choice, RangeRule, Scheme, WIDEST};

/// The codes that `format` stores values as; `None` for floating-point formats.
///
/// Symmetric two's complement leaves the most negative code out, so that codes reach equally far to both sides (Jacob et al., CVPR
/// 2018, for weights; Krishnamoorthi, 2018, the symmetric quantizer).
pub(super) const fn codes(format: NumberFormat, scheme: Scheme) -> Option<Codes> {
    match (format, scheme) {
        (NumberFormat::Int(width), Scheme::Symmetric) | (NumberFormat::Sint(width), _) => {
            let high = (1 << (width - 1)) - 1;
            Some(Codes { low: -high, high })
        }
        (NumberFormat::Int(width), Scheme::Affine) => {
            Some(Codes { low: -(1 << (width - 1)), high: (1 << (width - 1)) - 1 })
        }
        (NumberFormat::Uint(width), _) => Some(Codes { low: 0, high: (1 << width) - 1 }),
        (NumberFormat::Fixed { .. }, _) => {
            let top = format.bit_width() - 1;
            Some(Codes { low: -(1 << top), high: (1 << top) - 1 })
        }
        (NumberFormat::Binary, _) => Some(Codes { low: -1, high: 1 }),
        _ => None,
    }
}

impl Choice {
    /// The range of values that the codes are to reach.
    pub(super) fn range(self, values: &[f32]) -> (f64, f64) {
        let finite = || values.iter().copied().filter(|value| value.is_finite());
        let magnitudes = || finite().map(f32::abs);
        let symmetric = |magnitude: f64| (-magnitude, magnitude);
        match self.rule {
            RangeRule::MaxAbs => symmetric(magnitudes().fold(0.0, f32::max).into()),
            RangeRule::MinMax => (finite().fold(0.0, f32::min).into(), finite().fold(0.0, f32::max).into()),
            RangeRule::MeanAbs => {
                let (sum, count) =
                    magnitudes().fold((0.0, 0u64), |(sum, count), value| (sum + f64::from(value), count + 1));
                symmetric(if count == 0 { 0.0 } else { sum / count as f64 })
            }
            RangeRule::Percentile(percent) => match self.scheme {
                Scheme::Symmetric => symmetric(percentile(&mut magnitudes().collect::<Vec<_>>(), percent)),
                Scheme::Affine => {
                    let (mut values, tail) = (finite().collect::<Vec<_>>(), (100.0 - percent) / 2.0);
                    (percentile(&mut values, tail), percentile(&mut values, 100.0 - tail))
                }
            },
            RangeRule::Given(magnitude) => symmetric(magnitude),
            RangeRule::Interval { low, high } => (low, high),
        }
    }

    /// What the user gave in place of a range that is found from values.
    pub(super) const fn given(self) -> Option<(f64, f64)> {
        match self.rule {
            RangeRule::Given(magnitude) => Some((-magnitude, magnitude)),
            RangeRule::Interval { low, high } => Some((low, high)),
            _ => None,
        }
    }

    /// The grid whose `codes` reach over a range. Where there is nothing but zero, scale 1 and zero point 0.
    ///
    /// Symmetric: scale = max(|low|, |high|) / high code. Affine (Jacob et al., CVPR 2018; PyTorch's `MinMaxObserver`): scale =
    /// (high − low) / (high code − low code), zero point = low code − low / scale, rounded half to even. Scales are at least
    /// 2⁻¹²⁶, so that they and their reciprocals are normal numbers.
    pub(super) fn grid(self, codes: Codes, (low, high): (f64, f64)) -> Grid {
        let (low, high) = (low.clamp(-WIDEST, 0.0), high.clamp(0.0, WIDEST));
        if low == high {
            return Grid { scale: 1.0, zero_point: 0 };
        }
        let scale = |range: f64, steps: i64| ((range / steps as f64) as f32).max(f32::MIN_POSITIVE);
        match self.scheme {
            Scheme::Symmetric => Grid { scale: scale(high.max(-low), codes.high), zero_point: 0 },
            Scheme::Affine => {
                let scale = scale(high - low, codes.high - codes.low);
                let zero_point = (codes.low as f64 - low / f64::from(scale)).round_ties_even() as i64;
                Grid { scale, zero_point: zero_point.clamp(codes.low, codes.high) as i32 }
            }
        }
    }
}

/// The percentile of values that are no NaN, which it reorders; 0 if there are none. Linear between neighbours, as NumPy's default:
/// the place is (n − 1) · percent / 100.
fn percentile(values: &mut [f32], percent: f64) -> f64 {
    let Some(last) = values.len().checked_sub(1) else { return 0.0 };
    let place = last as f64 * (percent / 100.0);
    let below = place.floor() as usize;
    let (_, lower, above) = values.select_nth_unstable_by(below, f32::total_cmp);
    let lower = f64::from(*lower);
    let upper = above.iter().copied().min_by(f32::total_cmp).map_or(lower, f64::from);
    lower + (upper - lower) * (place - below as f64)
}

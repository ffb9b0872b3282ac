//! Stopping a campaign once its mean is known precisely enough.

use serde::{Deserialize, Serialize};

use super::error::{StatisticsError, check_confidence};
use super::estimate::{Estimate, t_interval};
use super::looks::Looks;
use super::paired::mean_and_variance;
use super::student::two_sided_quantile;

/// What to make of outcomes that have not been drawn.
///
/// Whatever the distribution, of n draws the chips below the smallest have a share of more than `q = 1 − ε^(1/n)` with a
/// probability of at most ε, and so have those above the largest (Wilks, "Determination of sample sizes for setting tolerance
/// limits", *Annals of Mathematical Statistics* 12, 1941; the "rule of three" is q ≈ 3/n for ε = 5 %). Where draws lie in a..=b
/// (accuracies: 0..=1), those not met can move the mean m by no more than `q (m − a)` down and `q (b − m)` up, and the interval is
/// widened by as much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Guard {
    /// Widen the interval only if all draws are equal: their t interval is a point, which would stop at once. ε is half the
    /// look's error for each side, and the interval holds whatever the distribution.
    EqualDraws,
    /// Widen every interval: ε is a quarter of the look's error for each side, and the t interval gets the other half. For
    /// accuracies of which a few are ruined and the others close together, where the first draws show no ruined one. Costs at
    /// least about `ln(4 / e) · m / h` draws, where e is the look's error.
    UnseenOutcomes,
}

/// When to stop.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StoppingRule {
    looks: Looks,
    half_width: f64,
    confidence: f64,
    guard: Guard,
    range: (f64, f64),
}

/// What a [`StoppingRule`] says.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// Go on until there are so many draws.
    Continue {
        /// Draws at the next look.
        next_look: usize,
    },
    /// Stop.
    Stop {
        /// The mean over the draws of the look at which to stop, with the interval at the rule's confidence (that of all looks
        /// together), widened as the rule's [`Guard`] says. Draws beyond that look are not in it.
        estimate: Estimate,
        /// Whether the interval is as narrow as was asked for; otherwise there were no more draws to be made.
        is_precise: bool,
    },
}

impl StoppingRule {
    /// Stops as soon as the mean accuracy's interval reaches no further than `half_width` (a fraction, 0..1) to either side, at
    /// this `confidence`, but only at one of `looks`, and at the last in any case.
    ///
    /// # Errors
    /// If the half-width or the confidence level does not lie between 0 and 1.
    pub fn new(
        looks: Looks,
        half_width: f64,
        confidence: f64,
        guard: Guard,
    ) -> Result<Self, StatisticsError> {
        check_confidence(confidence)?;
        if !(half_width > 0.0 && half_width < 1.0) {
            let expected = "a fraction above 0 and below 1";
            return Err(StatisticsError::OutOfRange {
                name: "the wanted half-width",
                found: half_width,
                expected,
            });
        }
        Ok(Self { looks, half_width, confidence, guard, range: (0.0, 1.0) })
    }

    /// The same for draws that lie in `low..=high` instead of 0..=1, such as an accuracy estimated on part of the images. Only the
    /// [`Guard`] depends on it.
    #[must_use]
    pub fn with_range(self, low: f64, high: f64) -> Self {
        Self { range: (low, high), ..self }
    }

    /// The looks.
    pub fn looks(&self) -> &Looks {
        &self.looks
    }

    /// The same with its second look at so many draws.
    #[must_use]
    pub fn with_second_look(self, draws: usize) -> Self {
        Self { looks: self.looks.with_second(draws), ..self }
    }

    /// The same with its second look where it is expected to stop, going by the accuracies of the first; unchanged before these are
    /// all there. For draws all made alike; see [`Pilot::choose`](super::Pilot::choose) for others.
    #[must_use]
    pub fn planned(self, accuracies: &[f64]) -> Self {
        let Some(seen) = accuracies.get(..self.looks.draws()[0]) else { return self };
        let (mean, variance) = mean_and_variance(seen);
        let error = |_, draws: usize| (variance / draws as f64).sqrt();
        let second = self.expected_stops(mean, 1, error)[0].unwrap_or(usize::MAX);
        self.with_second_look(second)
    }

    /// What to do after these accuracies (0..=1, or in the rule's range), in the order of their draws: a pure function of the first of them, up to the
    /// look at which the rule says stop. However many more have been made meanwhile, and by how many threads, the answer is the
    /// same.
    ///
    /// # Errors
    /// If an accuracy lies outside the range.
    pub fn decide(&self, accuracies: &[f64]) -> Result<Decision, StatisticsError> {
        let looks = self.looks.draws();
        let reached = looks.partition_point(|&look| look <= accuracies.len());
        for &look in &looks[..reached] {
            let (estimate, half_width) = self.look(&accuracies[..look])?;
            let is_precise = half_width <= self.half_width;
            if is_precise || reached == looks.len() && look == looks[reached - 1] {
                return Ok(Decision::Stop { estimate, is_precise });
            }
        }
        Ok(Decision::Continue { next_look: looks[reached] })
    }

    /// The interval at a look, widened as the guard says, and how far it reaches to the farther side.
    fn look(&self, drawn: &[f64]) -> Result<(Estimate, f64), StatisticsError> {
        let (lowest, highest) = self.range;
        let is_possible = |value: f64| value >= lowest - ROUNDING && value <= highest + ROUNDING;
        if let Some(&found) = drawn.iter().find(|value| !is_possible(**value)) {
            let expected = "a fraction from 0 to 1, or as near to it as its images allow";
            return Err(StatisticsError::OutOfRange { name: "an accuracy", found, expected });
        }
        let all_equal = drawn.iter().all(|accuracy| *accuracy == drawn[0]);
        let Levels { t, unseen } = self.levels(drawn.len(), all_equal);
        let found = t_interval(drawn, t);
        // Without an interval the level was so high that the looks' own rounds to 1.
        let too_high = StatisticsError::Confidence { found: self.confidence };
        let (estimate, (low, high)) =
            found.and_then(|found| Some((found, found.interval?))).ok_or(too_high)?;
        let (low, high) =
            (low - unseen * (estimate.mean - lowest), high + unseen * (highest - estimate.mean));
        let half_width = f64::max(estimate.mean - low, high - estimate.mean);
        let estimate = Estimate { interval: Some((low, high)), confidence: self.confidence, ..estimate };
        Ok((estimate, half_width))
    }

    /// What the interval at a look after so many draws is made of.
    fn levels(&self, draws: usize, all_equal: bool) -> Levels {
        let error = 1.0 - self.looks.level(draws, self.confidence);
        let (t_error, unseen_error) = match self.guard {
            _ if all_equal => (error, Some(error / 2.0)),
            Guard::EqualDraws => (error, None),
            Guard::UnseenOutcomes => (error / 2.0, Some(error / 4.0)),
        };
        Levels { t: 1.0 - t_error, unseen: unseen_error.map_or(0.0, |error| unseen_share(draws, error)) }
    }

    /// The fewest draws at whose look, the first or a second put there, each of several alternatives is expected to be precise;
    /// `None` if not even the last is. `standard_error` is that of the mean, by alternative and number of draws.
    pub(super) fn expected_stops(
        &self,
        mean: f64,
        alternatives: usize,
        standard_error: impl Fn(usize, usize) -> f64,
    ) -> Vec<Option<usize>> {
        let (lowest, highest) = self.range;
        let farther = f64::max(mean - lowest, highest - mean);
        let mut stops = vec![None; alternatives];
        for draws in self.looks.possible() {
            let rule = Self { looks: self.looks.with_second(draws), ..*self };
            let [equal, varying] = [true, false].map(|all_equal| rule.levels(draws, all_equal));
            let Some(t) = two_sided_quantile(draws - 1, varying.t) else { break };
            for (alternative, stop) in stops.iter_mut().enumerate().filter(|(_, stop)| stop.is_none()) {
                let error = standard_error(alternative, draws);
                let unseen = if error > 0.0 { varying.unseen } else { equal.unseen };
                let reach = t * error + unseen * farther;
                *stop = (reach <= self.half_width).then_some(draws);
            }
            if stops.iter().all(Option::is_some) {
                break;
            }
        }
        stops
    }
}

/// By what rounding may put an accuracy outside its range.
const ROUNDING: f64 = 1e-9;

/// What an interval is made of.
struct Levels {
    /// Level of the t interval.
    t: f64,
    /// The q of [`Guard`] by which it is widened.
    unseen: f64,
}

/// The q of [`Guard`]: the share beyond an extreme of n draws that is exceeded with a probability of at most `error`.
pub(super) fn unseen_share(n: usize, error: f64) -> f64 {
    -libm::expm1(libm::log(error) / n as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rule(min: usize, max: usize, half_width: f64, guard: Guard) -> StoppingRule {
        let looks = Looks::new(min, max).expect("valid");
        StoppingRule::new(looks, half_width, 0.95, guard).expect("valid")
    }

    #[test]
    fn equal_draws_certify_what_their_number_allows() {
        // All right: at the last two of 5 looks ε = 0.05 · 7/64 / 2, and the mean is at least 1 − q with q = 1 − ε^(1/n).
        let rule = rule(20, 100, 0.06, Guard::EqualDraws);
        let draws = [1.0; 100];
        assert_eq!(rule.looks().draws(), [20, 30, 45, 68, 100]);
        // q is 0.083 at 68 draws and 0.057 at 100.
        assert_eq!(rule.decide(&draws[..68]), Ok(Decision::Continue { next_look: 100 }));
        let Ok(Decision::Stop { estimate, is_precise: true }) = rule.decide(&draws) else {
            panic!("precise at 100 draws");
        };
        let (low, high) = estimate.interval.expect("several draws");
        assert!(
            (1.0 - low - (1.0 - (0.05f64 * 7.0 / 128.0).powf(0.01))).abs() < 1e-12 && high == 1.0,
            "{low}, {high}"
        );
        assert_eq!((estimate.draws, estimate.mean, estimate.confidence), (100, 1.0, 0.95));
    }

    #[test]
    fn stops_at_the_first_precise_look_and_at_the_last_anyway() {
        let draws: Vec<f64> = (0..60).map(|i| if i % 2 == 0 { 0.8 } else { 0.9 }).collect();
        let at =
            |half_width, guard, n: usize| rule(10, 50, half_width, guard).decide(&draws[..n]).expect("valid");
        assert_eq!(at(0.031, Guard::EqualDraws, 9), Decision::Continue { next_look: 10 });
        assert_eq!(at(0.031, Guard::EqualDraws, 22), Decision::Continue { next_look: 23 });
        let stopped = at(0.031, Guard::EqualDraws, 23);
        assert!(
            matches!(stopped, Decision::Stop { estimate, is_precise: true } if estimate.draws == 23),
            "{stopped:?}"
        );
        let last = at(0.001, Guard::EqualDraws, 60);
        assert!(
            matches!(last, Decision::Stop { estimate, is_precise: false } if estimate.draws == 50),
            "{last:?}"
        );
        // The guard asks for more.
        assert!(matches!(at(0.031, Guard::UnseenOutcomes, 60), Decision::Stop { is_precise: false, .. }));
    }

    #[test]
    fn what_cannot_be_decided_is_refused() {
        let rule = rule(2, 4, 0.1, Guard::EqualDraws);
        for accuracy in [f64::NAN, -0.1, 91.0] {
            assert!(rule.decide(&[0.5, accuracy]).is_err());
        }
        let looks = || Looks::new(2, 4).expect("valid");
        for (half_width, confidence) in [(0.0, 0.95), (1.0, 0.95), (f64::NAN, 0.95), (0.1, 1.0), (0.1, 0.0)] {
            assert!(StoppingRule::new(looks(), half_width, confidence, Guard::EqualDraws).is_err());
        }
        let surest =
            StoppingRule::new(looks(), 0.1, 1.0 - f64::EPSILON / 2.0, Guard::UnseenOutcomes).expect("valid");
        assert!(surest.decide(&[0.5, 0.6]).is_err());
    }

    proptest! {
        /// More draws than were needed change nothing, and one draw at a time leads to the same end.
        #[test]
        fn decisions_depend_on_the_first_draws_only(
            draws in prop::collection::vec(0.5..=1.0, 60),
            min in 2usize..20,
            half_width in 0.01..0.3,
            guarded: bool,
        ) {
            let guard = if guarded { Guard::UnseenOutcomes } else { Guard::EqualDraws };
            let rule = rule(min, 50, half_width, guard);
            let mut n = 0;
            let stopped = loop {
                match rule.decide(&draws[..n]).expect("fractions") {
                    Decision::Continue { next_look } => {
                        prop_assert!(next_look > n && rule.looks().draws().contains(&next_look));
                        n += 1;
                    }
                    stop @ Decision::Stop { .. } => break stop,
                }
            };
            prop_assert_eq!(rule.decide(&draws).expect("fractions"), stopped);
            let in_time = matches!(stopped, Decision::Stop { estimate, .. } if estimate.draws == n);
            prop_assert!(in_time);
        }
    }
}

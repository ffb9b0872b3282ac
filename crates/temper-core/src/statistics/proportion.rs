//! The share of successes among independent trials, or among units drawn from a finite population.

use serde::Serialize;

use super::beta::{last_where, regularised_beta};
use super::error::{StatisticsError, check_confidence};
use super::hypergeometric::Sampling;
use super::normal;

/// A share with two confidence intervals.
///
/// Without a population the trials are independent and equally likely to succeed. With one they are different units of it,
/// drawn without replacement, each set of them equally likely, and the share is that of the whole population; once all units
/// have been tried it is known and both intervals are the point.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Proportion {
    /// Number of successes, k.
    pub successes: u64,
    /// Number of trials, n.
    pub trials: u64,
    /// Units in the population, N; `None` if it is infinite or trials may repeat units.
    pub population: Option<u64>,
    /// k / n, 0..1.
    pub estimate: f64,
    /// Wilson's score interval, 0..1: close to the stated confidence on average over shares, below it for some.
    pub wilson: (f64, f64),
    /// Clopper and Pearson's interval, 0..1: never below the stated confidence, so wider. With a population its exact
    /// counterpart.
    pub clopper_pearson: (f64, f64),
    /// The confidence level of either interval.
    pub confidence: f64,
}

impl Proportion {
    /// The share of `successes` among `trials`, of a `population` of so many units if that is given.
    ///
    /// - Wilson, "Probable inference, the law of succession, and statistical inference", *JASA* 22, 1927. With a population, n
    ///   becomes `n (N − 1) / (N − n)`, for which `p(1−p)/n` is the variance without replacement (Cochran, *Sampling
    ///   Techniques*, 3rd ed., 1977, theorem 3.2).
    /// - Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial", *Biometrika*
    ///   26, 1934: both one-sided binomial tests at (1 − confidence)/2, inverted. With a population, the hypergeometric tests
    ///   (Cochran, §3.6): the bounds are then multiples of 1/N.
    ///
    /// Bounds are off by less than 1e-9 (relative) up to 10⁸ trials, and the finite ones exact up to 2⁴⁰ units.
    ///
    /// # Errors
    /// If there is no trial, if there are more successes than trials or more trials than units, or if the
    /// confidence level does not lie between 0 and 1.
    pub fn new(
        successes: u64,
        trials: u64,
        confidence: f64,
        population: Option<u64>,
    ) -> Result<Self, StatisticsError> {
        check_confidence(confidence)?;
        if trials == 0 {
            return Err(StatisticsError::TooFew { name: "trials", found: 0, needed: 1 });
        }
        check_part(("successes", successes), ("trials", trials))?;
        if let Some(population) = population {
            check_part(("trials", trials), ("units in the population", population))?;
        }
        let estimate = successes as f64 / trials as f64;
        let tail = (1.0 - confidence) / 2.0;
        let (wilson, clopper_pearson) = match population {
            Some(population) if population == trials => ((estimate, estimate), (estimate, estimate)),
            Some(population) => {
                let (size, n) = (population as f64, trials as f64);
                let effective = n * ((size - 1.0) / (population - trials) as f64);
                let sampling = Sampling { population, sample: trials };
                let limits = (sampling.lower_limit(successes, tail), sampling.upper_limit(successes, tail));
                (
                    wilson(successes, trials, effective, confidence),
                    (limits.0 as f64 / size, limits.1 as f64 / size),
                )
            }
            None => (
                wilson(successes, trials, trials as f64, confidence),
                (lower_limit(successes, trials, tail), upper_limit(successes, trials, tail)),
            ),
        };
        Ok(Self { successes, trials, population, estimate, wilson, clopper_pearson, confidence })
    }
}

/// Nothing if the part is no larger than the whole.
pub(super) fn check_part(
    (part_name, part): (&'static str, u64),
    (whole_name, whole): (&'static str, u64),
) -> Result<(), StatisticsError> {
    if part > whole {
        return Err(StatisticsError::PartExceedsWhole { part_name, part, whole_name, whole });
    }
    Ok(())
}

/// Wilson's interval for `effective` trials with the share of successes found.
fn wilson(successes: u64, trials: u64, effective: f64, confidence: f64) -> (f64, f64) {
    let share = successes as f64 / trials as f64;
    let square = normal::quantile(0.5 + confidence / 2.0).powi(2) / effective;
    let centre = share + square / 2.0;
    let half_width = (square * (share * (1.0 - share) + square / 4.0)).sqrt();
    let low = if successes == 0 { 0.0 } else { (centre - half_width) / (1.0 + square) };
    let high = if successes == trials { 1.0 } else { (centre + half_width) / (1.0 + square) };
    (low, high)
}

/// The share at which `successes` or more of `trials` have a probability of `tail`.
fn lower_limit(successes: u64, trials: u64, tail: f64) -> f64 {
    if successes == 0 {
        return 0.0;
    }
    let (a, b) = (successes as f64, (trials - successes) as f64 + 1.0);
    last_where(0.0, 1.0, |share| regularised_beta(a, b, share, 1.0 - share) <= tail)
}

/// The share at which `successes` or fewer of `trials` have a probability of `tail`. Not from the lower limit of failures: that
/// is close to 1 where few succeed, and has too few digits left.
fn upper_limit(successes: u64, trials: u64, tail: f64) -> f64 {
    if successes == trials {
        return 1.0;
    }
    let (a, b) = ((trials - successes) as f64, successes as f64 + 1.0);
    last_where(0.0, 1.0, |share| regularised_beta(a, b, 1.0 - share, share) >= tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_and_all_succeed() {
        // 1 − (α/2)^(1/n), the "rule of three" on one side; Wilson z²/(n + z²).
        for n in [1, 10, 1000, 1_000_000_000] {
            let none = Proportion::new(0, n, 0.95, None).expect("valid");
            let all = Proportion::new(n, n, 0.95, None).expect("valid");
            let clopper_pearson = -libm::expm1(libm::log(0.025) / n as f64);
            let z_squared = 1.959_963_984_540_054_f64.powi(2);
            let wilson = z_squared / (n as f64 + z_squared);
            assert_eq!((none.wilson.0, none.clopper_pearson.0), (0.0, 0.0));
            assert_eq!((all.wilson.1, all.clopper_pearson.1), (1.0, 1.0));
            for (found, expected) in [(none.clopper_pearson.1, clopper_pearson), (none.wilson.1, wilson)] {
                assert!((found / expected - 1.0).abs() < 1e-8, "{n}: {found}, expected {expected}");
            }
            assert!((all.clopper_pearson.0 - (1.0 - clopper_pearson)).abs() < 1e-14);
        }
    }

    #[test]
    fn a_population_tried_whole_is_known() {
        for (k, n) in [(0, 1), (1, 1), (3, 10), (10, 10)] {
            let known = Proportion::new(k, n, 0.99, Some(n)).expect("valid");
            let share = k as f64 / n as f64;
            assert_eq!(
                (known.estimate, known.wilson, known.clopper_pearson),
                (share, (share, share), (share, share))
            );
        }
    }

    /// A vast population is as good as an infinite one, and a smaller one always better.
    #[test]
    fn intervals_widen_with_the_population() {
        let widths = [100, 101, 200, 10_000, 1 << 40].map(|population| {
            let found = Proportion::new(7, 100, 0.95, Some(population)).expect("valid");
            (found.wilson.1 - found.wilson.0, found.clopper_pearson.1 - found.clopper_pearson.0)
        });
        assert!(widths.is_sorted_by(|a, b| a.0 <= b.0 && a.1 <= b.1), "{widths:?}");
        let finite = Proportion::new(7, 100, 0.95, Some(1 << 40)).expect("valid");
        let infinite = Proportion::new(7, 100, 0.95, None).expect("valid");
        for (a, b) in [(finite.wilson, infinite.wilson), (finite.clopper_pearson, infinite.clopper_pearson)] {
            assert!((a.0 - b.0).abs() < 1e-9 && (a.1 - b.1).abs() < 1e-9, "{a:?}, {b:?}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let message = |k, n, confidence, population| {
            Proportion::new(k, n, confidence, population).expect_err("impossible").to_string()
        };
        assert_eq!(message(0, 0, 0.95, None), "found 0 trials, expected at least 1; take more");
        assert_eq!(
            message(3, 2, 0.95, None),
            "found 3 successes of 2 trials; expected no more than there are"
        );
        assert!(message(1, 5, 0.95, Some(4)).starts_with("found 5 trials of 4 units"));
        for confidence in [0.0, 1.0, 95.0, f64::NAN] {
            assert!(message(1, 5, confidence, None).contains("confidence level"));
        }
    }
}

//! Intervals for fractions 0..=1, of one population or recombined from its strata, which do not shrink to a point where no rare outcome
//! has been met.

use serde::Serialize;

use super::error::{StatisticsError, check_confidence, check_fraction};
use super::proportion::Proportion;
use super::sequential::{Guard, unseen_share};
use super::strata::{Stratum, stratified_mean};

/// A point and its confidence interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct IntervalEstimate {
    /// The point.
    pub estimate: f64,
    /// Bounds, on either side of the point or at it.
    pub interval: (f64, f64),
}

impl IntervalEstimate {
    /// A fraction whose interval ends at 0 and 1.
    fn fraction(estimate: f64, (low, high): (f64, f64)) -> Self {
        // What rounding has moved across the point is put back.
        Self { estimate, interval: (low.max(0.0).min(estimate), high.min(1.0).max(estimate)) }
    }
}

/// The mean of fractions (0..=1) drawn from one population, with an interval that is widened for outcomes not drawn, as `guard` says.
///
/// With `q = min(1 − ε^(1/n), 1 − n/N)` as in [`Guard`] (no more units than are left can be unlike those drawn), m the mean and `α = 1 −
/// confidence`:
///
/// - equal draws: `m − q m` to `m + q (1 − m)` with ε = α/2. For draws of 0 that is the bound of Clopper and Pearson, `1 − (α/2)^(1/n)`;
/// - others under [`Guard::EqualDraws`]: the t interval, corrected for a finite population;
/// - others under [`Guard::UnseenOutcomes`]: the t interval at `1 − α/2`, widened by `q m` and `q (1 − m)` with ε = α/4.
///
/// The interval is cut at 0 and 1. It is the point once every unit has been drawn.
///
/// # Errors
/// If the confidence level does not lie between 0 and 1, or the stratum's mean not in 0..=1.
pub fn fraction_interval(
    draws: &Stratum,
    confidence: f64,
    guard: Guard,
) -> Result<IntervalEstimate, StatisticsError> {
    let mean = check_fraction("the mean of a stratum", draws.mean)?;
    let error = 1.0 - check_confidence(confidence)?;
    if guard == Guard::EqualDraws || !draws.varies() || draws.is_complete() {
        return stratified_fraction(std::slice::from_ref(draws), confidence);
    }
    let found = stratified_fraction(std::slice::from_ref(draws), 1.0 - error / 2.0)?;
    let unseen = unseen_share(draws.draws as usize, error / 4.0).min(draws.unseen());
    let (low, high) = found.interval;
    Ok(IntervalEstimate::fraction(mean, (low - unseen * mean, high + unseen * (1.0 - mean))))
}

/// The mean of fractions (0..=1) over a whole population, recombined from strata as [`stratified_mean`] does, with an interval in which
/// strata whose draws are all equal count too: not with their variance, which is 0, but with how far outcomes that have not been drawn can
/// move their mean ([`fraction_interval`] for equal draws).
///
/// The t interval of the strata that vary (Satterthwaite's degrees of freedom) and the intervals of those that do not are joined by
/// recovering each one's variance from its bounds (MOVER; Zou and Donner, *Statistics in Medicine* 27, 2008): `m − √Σ(Wₕ(mₕ − lₕ))²` to `m +
/// √Σ(Wₕ(uₕ − mₕ))²` with the weights `Wₕ = Nₕ / N`. It is cut at 0 and 1.
///
/// # Errors
/// If there is no stratum, a stratum's mean does not lie in 0..=1, or the confidence level not between 0 and 1.
pub fn stratified_fraction(strata: &[Stratum], confidence: f64) -> Result<IntervalEstimate, StatisticsError> {
    check_confidence(confidence)?;
    if strata.is_empty() {
        return Err(StatisticsError::TooFew { name: "strata", found: 0, needed: 1 });
    }
    for stratum in strata {
        check_fraction("the mean of a stratum", stratum.mean)?;
    }
    let population: f64 = strata.iter().map(|stratum| stratum.population as f64).sum();
    let mean: f64 = strata.iter().map(|stratum| stratum.population as f64 / population * stratum.mean).sum();
    let (varying, equal): (Vec<Stratum>, Vec<Stratum>) =
        strata.iter().copied().partition(|stratum| stratum.varies() && !stratum.is_complete());
    let (mut below, mut above) = (0.0, 0.0);
    if !varying.is_empty() {
        let part = stratified_mean(&varying, confidence)?;
        let weight = varying.iter().map(|stratum| stratum.population as f64).sum::<f64>() / population;
        let arm = part.interval.map_or(0.0, |(low, high)| weight * (high - low) / 2.0);
        below += arm * arm;
        above += arm * arm;
    }
    for stratum in equal.iter().filter(|stratum| !stratum.is_complete()) {
        let weight = stratum.population as f64 / population;
        let unseen = unseen_share(stratum.draws as usize, (1.0 - confidence) / 2.0).min(stratum.unseen());
        below += (weight * unseen * stratum.mean).powi(2);
        above += (weight * unseen * (1.0 - stratum.mean)).powi(2);
    }
    Ok(IntervalEstimate::fraction(mean, (mean - f64::sqrt(below), mean + f64::sqrt(above))))
}

/// The share of a whole population that has a property, recombined from the shares of its strata, each with its number of units: `Σ Wₕ
/// pₕ` with `Wₕ = Nₕ / N`. The bounds are those of Wilson's intervals joined as in [`stratified_fraction`]; for one stratum they are
/// [`Proportion::wilson`]. Their level is that of the shares, which must have the same.
///
/// # Errors
/// If there is no stratum, a stratum has no unit, or the confidence levels differ.
pub fn stratified_share(strata: &[(u64, Proportion)]) -> Result<IntervalEstimate, StatisticsError> {
    let Some((_, first)) = strata.first() else {
        return Err(StatisticsError::TooFew { name: "strata", found: 0, needed: 1 });
    };
    let population: f64 = strata.iter().map(|(units, _)| *units as f64).sum();
    let (mut share, mut below, mut above) = (0.0, 0.0, 0.0);
    for (units, part) in strata {
        if *units == 0 {
            return Err(StatisticsError::TooFew { name: "units in a stratum", found: 0, needed: 1 });
        }
        if part.confidence != first.confidence {
            let (name, found) = ("the confidence level of a stratum", part.confidence);
            return Err(StatisticsError::OutOfRange { name, found, expected: "that of the other strata" });
        }
        let weight = *units as f64 / population;
        share += weight * part.estimate;
        below += (weight * (part.estimate - part.wilson.0)).powi(2);
        above += (weight * (part.wilson.1 - part.estimate)).powi(2);
    }
    if let [(_, only)] = strata {
        return Ok(IntervalEstimate::fraction(only.estimate, only.wilson));
    }
    Ok(IntervalEstimate::fraction(share, (share - f64::sqrt(below), share + f64::sqrt(above))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: IntervalEstimate, estimate: f64, low: f64, high: f64) {
        let off = [found.estimate - estimate, found.interval.0 - low, found.interval.1 - high];
        assert!(off.iter().all(|off| off.abs() < 1e-12), "{found:?}, expected {estimate}, {low}, {high}");
    }

    /// Three draws of 0 from many: the rule of three's exact form. Of five units no more than the two left can differ.
    #[test]
    fn equal_draws_are_no_certainty() {
        let many = Stratum::from_draws(u64::MAX, &[0.0; 3]).expect("valid");
        let few = Stratum::from_draws(5, &[0.0; 3]).expect("valid");
        let bound = 1.0 - 0.025f64.cbrt();
        close(fraction_interval(&many, 0.95, Guard::EqualDraws).expect("valid"), 0.0, 0.0, bound);
        close(fraction_interval(&few, 0.95, Guard::UnseenOutcomes).expect("valid"), 0.0, 0.0, 0.4);
        let all = Stratum::from_draws(3, &[0.25; 3]).expect("valid");
        close(fraction_interval(&all, 0.95, Guard::UnseenOutcomes).expect("valid"), 0.25, 0.25, 0.25);
        // A single draw says next to nothing.
        let one = Stratum::from_independent_draws(1, &[0.5]).expect("valid");
        close(stratified_fraction(&[one], 0.95).expect("valid"), 0.5, 0.5 - 0.4875, 0.5 + 0.4875);
    }

    /// Draws that vary have the t interval; two at t(0.975, 1) = tan(0.475 π), here cut at 0 and 1.
    #[test]
    fn varying_draws_have_the_t_interval() {
        let values = [0.5, 0.51];
        let draws = Stratum::from_independent_draws(1, &values).expect("valid");
        let arm = (0.475 * std::f64::consts::PI).tan() * 0.005;
        let found = fraction_interval(&draws, 0.95, Guard::EqualDraws).expect("valid");
        close(found, 0.505, 0.505 - arm, 0.505 + arm);
        let guarded = fraction_interval(&draws, 0.95, Guard::UnseenOutcomes).expect("valid");
        assert_eq!(guarded.interval, (0.0, 1.0));
        let apart = Stratum::from_independent_draws(1, &[0.0, 1.0]).expect("valid");
        assert_eq!(stratified_fraction(&[apart], 0.95).expect("valid").interval, (0.0, 1.0));
    }

    /// A varying stratum of a quarter and one of equal draws of three quarters: arms joined as the legs of a right triangle.
    #[test]
    fn arms_are_joined() {
        let varying = Stratum::from_independent_draws(100, &[0.5, 0.51]).expect("valid");
        let equal = Stratum::from_independent_draws(300, &[0.2; 100]).expect("valid");
        let arm = (0.475 * std::f64::consts::PI).tan() * 0.005 / 4.0;
        let unseen = (1.0 - 0.025f64.powf(0.01)) * 0.75;
        let mean = 0.25 * 0.505 + 0.75 * 0.2;
        let found = stratified_fraction(&[varying, equal], 0.95).expect("valid");
        close(found, mean, mean - arm.hypot(unseen * 0.2), mean + arm.hypot(unseen * 0.8));
    }

    #[test]
    fn shares_are_joined_by_their_wilson_intervals() {
        let part = |k, n, size| (size, Proportion::new(k, n, 0.95, Some(size)).expect("valid"));
        let (first, second) = (part(3, 10, 100), part(0, 20, 300));
        let found = stratified_share(&[first, second]).expect("valid");
        let arms = (
            0.25 * (0.3 - first.1.wilson.0),
            (0.25 * (first.1.wilson.1 - 0.3)).hypot(0.75 * second.1.wilson.1),
        );
        close(found, 0.075, 0.075 - arms.0, 0.075 + arms.1);
        assert_eq!(stratified_share(&[first]).expect("valid").interval, first.1.wilson);
        // Every unit tried: known.
        close(stratified_share(&[part(3, 10, 10), part(1, 30, 30)]).expect("valid"), 0.1, 0.1, 0.1);
        let other_level = (10, Proportion::new(1, 5, 0.9, None).expect("valid"));
        assert!(stratified_share(&[first, other_level]).is_err() && stratified_share(&[]).is_err());
    }

    #[test]
    fn what_is_no_fraction_is_refused() {
        let percent = Stratum::from_independent_draws(1, &[91.0, 92.0]).expect("finite");
        assert!(stratified_fraction(&[percent], 0.95).is_err());
        assert!(fraction_interval(&percent, 0.95, Guard::EqualDraws).is_err());
        let fine = Stratum::from_independent_draws(1, &[0.5, 0.6]).expect("finite");
        for confidence in [0.0, 1.0, f64::NAN] {
            assert!(stratified_fraction(&[fine], confidence).is_err());
        }
        assert!(stratified_fraction(&[], 0.95).is_err());
        assert!(Stratum::from_independent_draws(0, &[0.5]).is_err());
        assert!(Stratum::from_independent_draws(5, &[]).is_err());
        assert!(Stratum::from_independent_draws(1, &[f64::NAN]).is_err());
    }
}

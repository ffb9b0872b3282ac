//! The mean of a population sampled stratum by stratum.

use serde::Serialize;

use super::error::{StatisticsError, check_confidence, check_finite};
use super::paired::mean_and_variance;
use super::proportion::check_part;
use super::student;

/// One stratum (a layer, a bit): how large it is and what was drawn of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Stratum {
    pub(super) population: u64,
    pub(super) draws: u64,
    /// Whether no unit was drawn twice.
    distinct: bool,
    pub(super) mean: f64,
    /// s², with n − 1 in the divisor; `None` for a single draw.
    variance: Option<f64>,
}

impl Stratum {
    /// A stratum of `population` units, from the values of those drawn without replacement.
    ///
    /// # Errors
    /// If there is no value, more than there are units, or one that is not finite.
    pub fn from_draws(population: u64, values: &[f64]) -> Result<Self, StatisticsError> {
        let draws = values.len() as u64;
        check_draws(population, draws)?;
        check_finite("a draw of the stratum", values)?;
        let (mean, variance) = mean_and_variance(values);
        Ok(Self { population, draws, distinct: true, mean, variance: (draws > 1).then_some(variance) })
    }

    /// A stratum of `population` units, from the values of draws that were independent of each other: a unit may be among them several
    /// times, and there is no correction for a finite population.
    ///
    /// # Errors
    /// If there is no value or no unit, or one value is not finite.
    pub fn from_independent_draws(population: u64, values: &[f64]) -> Result<Self, StatisticsError> {
        let draws = values.len() as u64;
        check_draws(population.max(draws), draws)?;
        if population == 0 {
            return Err(StatisticsError::TooFew { name: "units in a stratum", found: 0, needed: 1 });
        }
        check_finite("a draw of the stratum", values)?;
        let (mean, variance) = mean_and_variance(values);
        Ok(Self { population, draws, distinct: false, mean, variance: (draws > 1).then_some(variance) })
    }

    /// A stratum of `population` units of which `trials` were drawn without replacement and `successes` of them had the property counted: the same as
    /// draws of 1 and 0.
    ///
    /// # Errors
    /// If there is no trial, more trials than units or more successes than trials.
    pub fn from_counts(population: u64, successes: u64, trials: u64) -> Result<Self, StatisticsError> {
        check_draws(population, trials)?;
        check_part(("successes", successes), ("trials", trials))?;
        let mean = successes as f64 / trials as f64;
        let variance = (trials > 1).then(|| mean * (trials - successes) as f64 / (trials - 1) as f64);
        Ok(Self { population, draws: trials, distinct: true, mean, variance })
    }

    /// Whether every unit is known to have been drawn.
    pub(super) fn is_complete(&self) -> bool {
        self.distinct && self.draws == self.population
    }

    /// Whether draws differ from each other, so that their variance says something of the mean's error.
    pub(super) fn varies(&self) -> bool {
        self.variance.is_some_and(|variance| variance > 0.0)
    }

    /// The share of units that may not have been drawn, 0..=1: `1 − n/N` without replacement.
    pub(super) fn unseen(&self) -> f64 {
        if self.distinct { (self.population - self.draws) as f64 / self.population as f64 } else { 1.0 }
    }
}

/// Nothing if there is a draw and no more than units.
fn check_draws(population: u64, draws: u64) -> Result<(), StatisticsError> {
    if draws == 0 {
        return Err(StatisticsError::TooFew { name: "draws in a stratum", found: 0, needed: 1 });
    }
    check_part(("draws", draws), ("units in a stratum", population))
}

/// The mean of the whole population, from its strata.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct StratifiedMean {
    /// Number of strata.
    pub strata: usize,
    /// Draws in all of them.
    pub draws: u64,
    /// `Σ Wₕ ȳₕ` with `Wₕ = Nₕ / N`: unbiased, however draws are divided among strata.
    pub mean: f64,
    /// Root of `Σ Wₕ² (1 − nₕ/Nₕ) sₕ² / nₕ`, without `1 − nₕ/Nₕ` where draws were independent; `None` if a stratum that is not complete has a single draw.
    pub standard_error: Option<f64>,
    /// Satterthwaite's degrees of freedom; `None` without a standard error or if it is 0.
    pub degrees_of_freedom: Option<f64>,
    /// Bounds of the mean, by the t distribution; both the mean itself if the standard error is 0, `None` without one.
    pub interval: Option<(f64, f64)>,
    /// The interval's confidence level.
    pub confidence: f64,
}

/// Recombines strata into the mean of the population they divide (Cochran, *Sampling Techniques*, 3rd ed., 1977, ch. 5;
/// degrees of freedom after Satterthwaite, 1946). For fault injection by layer or by bit: Ruospo et al.,
/// "Assessing convolutional neural networks reliability through statistical fault injections", DATE 2023.
///
/// A mean over pooled draws would be biased unless every stratum were sampled in proportion to its size. A stratum whose draws are
/// all equal adds nothing to the standard error: where a rare outcome has not been met, the interval is too narrow; for fractions there is
/// [`stratified_fraction`](super::stratified_fraction).
///
/// # Errors
/// If there is no stratum, or if the confidence level does not lie between 0 and 1.
pub fn stratified_mean(strata: &[Stratum], confidence: f64) -> Result<StratifiedMean, StatisticsError> {
    check_confidence(confidence)?;
    if strata.is_empty() {
        return Err(StatisticsError::TooFew { name: "strata", found: 0, needed: 1 });
    }
    let population: f64 = strata.iter().map(|stratum| stratum.population as f64).sum();
    let weight = |stratum: &Stratum| stratum.population as f64 / population;
    let mean = strata.iter().map(|stratum| weight(stratum) * stratum.mean).sum();
    // Each stratum's part of the variance; its square over its degrees of freedom goes into Satterthwaite's.
    let (mut variance, mut squares) = (Some(0.0), 0.0);
    for stratum in strata.iter().filter(|stratum| !stratum.is_complete()) {
        let part = stratum
            .variance
            .map(|variance| weight(stratum).powi(2) * stratum.unseen() * variance / stratum.draws as f64);
        variance = variance.zip(part).map(|(sum, part)| sum + part);
        squares += part.map_or(0.0, |part| part * part / (stratum.draws - 1) as f64);
    }
    let degrees_of_freedom =
        variance.filter(|variance| *variance > 0.0).map(|variance| variance * variance / squares);
    let standard_error = variance.map(f64::sqrt);
    let quantile = degrees_of_freedom.and_then(|free| student::two_sided_quantile_real(free, confidence));
    let interval = standard_error.map(|standard_error| {
        let half_width = quantile.map_or(0.0, |quantile| quantile * standard_error);
        (mean - half_width, mean + half_width)
    });
    let draws = strata.iter().map(|stratum| stratum.draws).sum();
    Ok(StratifiedMean {
        strata: strata.len(),
        draws,
        mean,
        standard_error,
        degrees_of_freedom,
        interval,
        confidence,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stratum(population: u64, values: &[f64]) -> Stratum {
        Stratum::from_draws(population, values).expect("valid")
    }

    fn mean(strata: &[Stratum]) -> StratifiedMean {
        stratified_mean(strata, 0.95).expect("valid")
    }

    #[test]
    fn by_hand() {
        // W = ¼, ¾; means 2, 5; variances 1, 4; n = 3, 5; 1 − f = 0.97, 295/300.
        let found = mean(&[stratum(100, &[1.0, 2.0, 3.0]), stratum(300, &[3.0, 3.0, 5.0, 7.0, 7.0])]);
        assert!((found.mean - 4.25).abs() < 1e-15);
        let parts = [0.0625f64 * 0.97 / 3.0, 0.5625 * (295.0 / 300.0) * 4.0 / 5.0];
        let variance = parts[0] + parts[1];
        assert!((found.standard_error.expect("several draws") - variance.sqrt()).abs() < 1e-15);
        let free = variance * variance / (parts[0].powi(2) / 2.0 + parts[1].powi(2) / 4.0);
        assert!((found.degrees_of_freedom.expect("several draws") - free).abs() < 1e-12);
        assert_eq!((found.strata, found.draws), (2, 8));
    }

    #[test]
    fn one_huge_stratum_is_a_plain_t_interval() {
        let draws = [0.9, 0.8, 0.85, 0.2, 0.7];
        let found = mean(&[stratum(u64::MAX, &draws)]);
        let plain = super::super::t_interval(&draws, 0.95).expect("draws");
        let (low, high) = plain.interval.expect("several draws");
        let interval = found.interval.expect("several draws");
        assert!(
            (interval.0 - low).abs() < 1e-11 && (interval.1 - high).abs() < 1e-11,
            "{interval:?}, {plain:?}"
        );
    }

    #[test]
    fn complete_strata_are_known() {
        let found = mean(&[stratum(2, &[0.0, 1.0]), stratum(1, &[0.5])]);
        assert_eq!((found.mean, found.standard_error, found.interval), (0.5, Some(0.0), Some((0.5, 0.5))));
        assert_eq!(found.degrees_of_freedom, None);
    }

    #[test]
    fn a_single_draw_has_no_interval() {
        let found = mean(&[stratum(100, &[0.0, 1.0]), stratum(100, &[0.5])]);
        assert_eq!((found.mean, found.standard_error, found.interval), (0.5, None, None));
    }

    #[test]
    fn counts_are_draws_of_zero_and_one() {
        let counted = Stratum::from_counts(1000, 2, 5).expect("valid");
        let drawn = stratum(1000, &[0.0, 1.0, 0.0, 0.0, 1.0]);
        assert_eq!((counted.draws, counted.mean), (drawn.draws, drawn.mean));
        let variances = (counted.variance.expect("several"), drawn.variance.expect("several"));
        assert!((variances.0 - variances.1).abs() < 1e-15);
        assert_eq!(Stratum::from_counts(9, 1, 1).expect("valid").variance, None);
    }

    #[test]
    fn what_is_no_stratum_is_refused() {
        let message = Stratum::from_draws(10, &[]).expect_err("no draw").to_string();
        assert_eq!(message, "found 0 draws in a stratum, expected at least 1; take more");
        assert!(Stratum::from_draws(2, &[1.0; 3]).is_err());
        assert!(Stratum::from_draws(2, &[f64::NAN]).is_err());
        assert!(Stratum::from_counts(9, 3, 2).is_err() && Stratum::from_counts(9, 0, 0).is_err());
        assert!(stratified_mean(&[], 0.95).is_err());
        assert!(stratified_mean(&[stratum(2, &[1.0])], 95.0).is_err());
    }
}

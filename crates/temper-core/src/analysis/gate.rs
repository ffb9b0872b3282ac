//! Whether a network keeps within limits.

use serde::Serialize;

use super::error::AnalysisError;
use super::sample::Sample;
use super::yields::{AccuracyFloor, yield_of};
use crate::statistics::{Guard, IntervalEstimate, StatisticsError, fraction_interval};

/// By what a bound may miss its limit and still be at it: 0.9 − 0.8 is not more than 0.1.
const ROUNDING: f64 = 1e-12;

/// The limits to keep; at least one.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Limits {
    /// The mean accuracy drop is at most this, 0..=1.
    pub max_accuracy_drop: Option<f64>,
    /// The mean share of `sdc` is at most this, 0..=1.
    pub max_sdc_rate: Option<f64>,
    /// The mean share of `due` is at most this, 0..=1.
    pub max_due_rate: Option<f64>,
    /// The share of draws with at least this accuracy is at least this, 0..=1.
    pub min_yield: Option<(f64, AccuracyFloor)>,
}

/// How sure a verdict has to be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct GateOptions {
    /// Confidence of each one-sided bound, above 0.5 and below 1.
    pub confidence: f64,
    /// What is made of outcomes that have not been drawn.
    pub guard: Guard,
}

/// A quantity that has a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quantity {
    /// Golden minus mean accuracy.
    AccuracyDrop,
    /// Mean share of `sdc` among a draw's images.
    SdcRate,
    /// Mean share of `due` among a draw's images.
    DueRate,
    /// Share of draws that are accurate enough.
    Yield,
}

impl Quantity {
    /// Its name in a table.
    pub fn name(self) -> &'static str {
        match self {
            Self::AccuracyDrop => "accuracy drop",
            Self::SdcRate => "sdc rate",
            Self::DueRate => "due rate",
            Self::Yield => "yield",
        }
    }
}

/// One limit in one condition.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    /// The condition's label.
    pub condition: String,
    /// What is limited.
    pub quantity: Quantity,
    /// Draws it rests on.
    pub draws: usize,
    /// The estimate.
    pub estimate: f64,
    /// Its one-sided confidence bound: the lower one of a yield, the upper one of anything else.
    pub bound: f64,
    /// The limit.
    pub limit: f64,
    /// Whether the bound keeps the limit.
    pub is_met: bool,
}

/// Whether every limit is kept in every condition.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// How sure it is.
    pub options: GateOptions,
    /// Every limit in every condition.
    pub checks: Vec<Check>,
    /// Whether all are met.
    pub is_met: bool,
}

/// Judges conditions by limits. A limit is met if the one-sided confidence bound of the quantity keeps it, not just the estimate: what is
/// not known well enough is not met. Each bound holds by itself with the confidence asked for.
///
/// - A yield has Clopper and Pearson's lower bound.
/// - The other quantities are means over draws of fractions of a draw's images, with the upper end of [`fraction_interval`]. Equal draws, and
///   a single one, so have the bound `m + (1 − α^(1/n)) (1 − m)` with α = 1 − confidence: n draws without any loss bound it by about 3/n at
///   95 %. [`Guard::UnseenOutcomes`] widens the bounds of draws that vary too.
/// - Where draws ran part of the images, their accuracies are estimates in golden ± 1, and the bounds are those of such values; a yield is
///   refused.
/// - Where draws stop by precision, each bound is computed at [`Sample::level`].
/// - Distinct single faults have the corrections for their number; all of them together are known, and the bound is the estimate.
///
/// # Errors
/// If there is no limit, a number is out of its range, a condition has no draw, or an exhaustive one not all.
pub fn judge(
    samples: &[Sample<'_>],
    limits: &Limits,
    options: &GateOptions,
) -> Result<Verdict, AnalysisError> {
    check(limits, options)?;
    let mut checks = Vec::new();
    for sample in samples {
        sample.check(1)?;
        judge_condition(sample, limits, options, &mut checks)?;
    }
    let is_met = checks.iter().all(|check| check.is_met);
    Ok(Verdict { options: *options, checks, is_met })
}

fn judge_condition(
    sample: &Sample<'_>,
    limits: &Limits,
    options: &GateOptions,
    checks: &mut Vec<Check>,
) -> Result<(), AnalysisError> {
    let mut add = |quantity, (estimate, bound): (f64, f64), limit: f64| {
        let is_met =
            if quantity == Quantity::Yield { bound >= limit - ROUNDING } else { bound <= limit + ROUNDING };
        let draws = sample.records.len();
        checks.push(Check { condition: sample.label(), quantity, draws, estimate, bound, limit, is_met });
    };
    if let Some(limit) = limits.max_accuracy_drop {
        let (golden, accuracy) = (sample.golden.accuracy(), accuracy(sample, options)?);
        let found = (golden - accuracy.estimate, golden - accuracy.interval.0);
        add(Quantity::AccuracyDrop, found, limit);
    }
    if let Some(limit) = limits.max_sdc_rate {
        let found = mean(sample, options, &sample.fractions(|outcomes| outcomes.sdc))?;
        add(Quantity::SdcRate, (found.estimate, found.interval.1), limit);
    }
    if let Some(limit) = limits.max_due_rate {
        let found = mean(sample, options, &sample.fractions(|outcomes| outcomes.due))?;
        add(Quantity::DueRate, (found.estimate, found.interval.1), limit);
    }
    if let Some((limit, floor)) = limits.min_yield {
        let found = yield_of(sample, floor, two_sided(options.confidence))?;
        add(Quantity::Yield, (found.estimate, found.clopper_pearson.0), limit);
    }
    Ok(())
}

/// The mean accuracy. Estimates of draws on part of the images lie in a range wider than 0..=1, on which they are fractions again.
fn accuracy(sample: &Sample<'_>, options: &GateOptions) -> Result<IntervalEstimate, StatisticsError> {
    let (low, high) = sample.golden.range(sample.has_all_images());
    let fraction = |accuracy: f64| ((accuracy - low) / (high - low)).clamp(0.0, 1.0);
    let found = mean(sample, options, &sample.accuracies().into_iter().map(fraction).collect::<Vec<_>>())?;
    let accuracy = |fraction: f64| low + fraction * (high - low);
    let (lower, upper) = found.interval;
    Ok(IntervalEstimate { estimate: accuracy(found.estimate), interval: (accuracy(lower), accuracy(upper)) })
}

/// The mean of a fraction for each draw, with the interval each of whose ends is a bound at the confidence asked for.
fn mean(
    sample: &Sample<'_>,
    options: &GateOptions,
    fractions: &[f64],
) -> Result<IntervalEstimate, StatisticsError> {
    let draws = sample.stratum(fractions)?;
    fraction_interval(&draws, sample.level(two_sided(options.confidence)), options.guard)
}

/// The level of the interval whose ends are one-sided bounds at `confidence`. Of several looks, each then has the same part of the
/// one-sided error as of the two-sided one.
fn two_sided(confidence: f64) -> f64 {
    2.0 * confidence - 1.0
}

/// Nothing if the limits can be judged by.
fn check(limits: &Limits, options: &GateOptions) -> Result<(), AnalysisError> {
    if !(options.confidence > 0.5 && options.confidence < 1.0) {
        let (name, found) = ("the confidence of a bound", options.confidence);
        return Err(StatisticsError::OutOfRange {
            name,
            found,
            expected: "above 0.5 and below 1, such as 0.95",
        }
        .into());
    }
    let given = [
        ("the limit of the accuracy drop", limits.max_accuracy_drop),
        ("the limit of the sdc rate", limits.max_sdc_rate),
        ("the limit of the due rate", limits.max_due_rate),
        ("the limit of the yield", limits.min_yield.map(|(share, _)| share)),
    ];
    if given.iter().all(|(_, limit)| limit.is_none()) {
        return Err(AnalysisError::NoLimit);
    }
    for (name, limit) in given {
        if let Some(found) = limit.filter(|limit| !(0.0..=1.0).contains(limit)) {
            return Err(
                StatisticsError::OutOfRange { name, found, expected: "a fraction from 0 to 1" }.into()
            );
        }
    }
    Ok(())
}

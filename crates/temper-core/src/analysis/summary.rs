//! Each condition in figures.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;
use serde::Serialize;

use super::error::AnalysisError;
use super::sample::{Sample, drops_by_more_than, is_critical, samples};
use crate::campaign::{CampaignInfo, Condition, Outcomes, TrialRecord, subsampled};
use crate::statistics::{
    Estimate, ImageChoice, IntervalEstimate, Proportion, RESAMPLES, StatisticsError, VarianceComponents,
    bca_interval, quantiles, stratified_fraction, t_interval,
};

/// What a summary is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SummaryOptions {
    /// Confidence level of every interval, above 0 and below 1.
    pub confidence: f64,
    /// A single fault counts as critical for accuracy if it costs more than this, 0..=1.
    pub critical_accuracy_drop: f64,
    /// Whether bootstrap intervals are wanted too: they take thousands of resamples of the draws.
    #[serde(skip)]
    pub bootstrap: bool,
}

impl Default for SummaryOptions {
    /// 95 %, one percentage point of accuracy, and bootstrap intervals.
    fn default() -> Self {
        Self { confidence: 0.95, critical_accuracy_drop: 0.01, bootstrap: true }
    }
}

/// A condition's records, summed up.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConditionSummary {
    /// The condition.
    pub condition: Condition,
    /// Accuracy of its fault-free run, 0..=1.
    pub golden_accuracy: f64,
    /// What a draw is.
    pub unit: super::Unit,
    /// Mean number of faults of a draw; 0 before the first.
    pub mean_faults: f64,
    /// Accuracy over draws, 0..=1, with Student's t interval; `None` before the first. Where draws have stopped by precision, with the
    /// interval and confidence of the rule; of distinct single faults, with the correction for their number. Where draws ran part of
    /// the images, its standard deviation and extremes are those of estimates ([`GoldenInfo::accuracy_of`]), chance of the images
    /// included.
    ///
    /// [`GoldenInfo::accuracy_of`]: crate::campaign::GoldenInfo::accuracy_of
    pub accuracy: Option<Estimate>,
    /// The `BCa` bootstrap interval of the mean accuracy; `None` for fewer than two draws, for distinct single faults, and if it was not
    /// wanted.
    pub accuracy_bca: Option<(f64, f64)>,
    /// Standard deviation between chips of the accuracy over all images; where draws ran part of them, with the images' part of the variance
    /// taken off ([`VarianceComponents`]), 0 if nothing is left. `None` for a single draw.
    pub chip_std: Option<f64>,
    /// How many images draws run after a pilot, and why: where it was chosen.
    pub images: Option<ImageChoice>,
    /// Quantiles of the accuracy over draws; `None` where these ran part of the images, whose chance would spread them.
    pub accuracy_quantiles: Option<AccuracyQuantiles>,
    /// The draw with the lowest accuracy, the first of several; `None` where draws ran part of the images.
    pub worst: Option<WorstDraw>,
    /// Golden minus mean accuracy, −1..=1, and its interval: that of the accuracy, turned round; both the point for a single draw.
    pub accuracy_drop: Option<IntervalEstimate>,
    /// Outcomes of all inferences of all draws, added up. Where draws ran part of the images, near ones are more frequent among these than
    /// among all: for shares of all images see `shares`.
    pub outcomes: Outcomes,
    /// Outcomes as shares of a draw's images, over draws.
    pub shares: Option<OutcomeShares>,
    /// Where a draw is a single fault on all images: how many faults are critical.
    pub faults: Option<FaultShares>,
}

/// Sample quantiles (type 7) of the accuracy over draws.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct AccuracyQuantiles {
    /// 5 %.
    pub p05: f64,
    /// 25 %.
    pub p25: f64,
    /// The median.
    pub p50: f64,
    /// 75 %.
    pub p75: f64,
    /// 95 %.
    pub p95: f64,
}

/// The draw that came out worst.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct WorstDraw {
    /// Its trial, which can be replayed.
    pub trial: u64,
    /// Its number within the condition.
    pub draw: u64,
    /// Its accuracy, 0..=1.
    pub accuracy: f64,
}

/// The mean over draws of a share of a draw's images.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct DrawEstimate {
    /// The mean, 0..=1; where all draws have all images, the share of all inferences too.
    pub mean: f64,
    /// Student's t interval over draws, not cut at 0 and 1; `None` for a single draw. Of distinct single faults, corrected for their
    /// number and cut.
    pub interval: Option<(f64, f64)>,
    /// The `BCa` bootstrap interval over draws; `None` for a single draw, for distinct single faults, and if it was not wanted.
    pub bca: Option<(f64, f64)>,
}

/// Shares of a draw's images with each outcome; the unit of every interval is the draw. See [`Outcomes`] for what they count.
#[expect(missing_docs, reason = "the fields are those of `Outcomes`, which documents them")]
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct OutcomeShares {
    pub masked: DrawEstimate,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub masked_exact: Option<DrawEstimate>,
    pub sdc: DrawEstimate,
    pub sdc5: DrawEstimate,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sdc10: Option<DrawEstimate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sdc20: Option<DrawEstimate>,
    pub critical: DrawEstimate,
    pub due: DrawEstimate,
}

/// Of single faults, the share that are critical. Where no fault is drawn twice, the population is all faults of the condition.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct FaultShares {
    /// Faults under which any image has another top class or an output that is not finite.
    pub critical: Proportion,
    /// Faults that cost more accuracy than [`SummaryOptions::critical_accuracy_drop`].
    pub accuracy_critical: Proportion,
}

/// Sums up each condition's records, in the order of the conditions.
///
/// Bootstrap intervals rest on [`RESAMPLES`] resamples from a random stream that is a pure function of the condition's id and the
/// number of its draws: the same records give the same figures. Where draws stop by precision, every interval is computed at
/// [`Sample::level`]. An exhaustive campaign that is not complete has no intervals and no shares of faults: the first faults in order
/// are no sample of the others.
///
/// # Errors
/// If the confidence level does not lie between 0 and 1, or a record's accuracy is no fraction.
pub fn summarise(
    info: &CampaignInfo,
    records: &BTreeMap<u64, TrialRecord>,
    options: &SummaryOptions,
) -> Result<Vec<ConditionSummary>, AnalysisError> {
    let SummaryOptions { confidence, .. } = *options;
    if !(confidence > 0.0 && confidence < 1.0) {
        return Err(StatisticsError::Confidence { found: confidence }.into());
    }
    let schedule = info.schedule(records);
    let summarise = |sample: &Sample<'_>| {
        let images = schedule.choice(sample.condition.id).copied();
        summarise_condition(sample, options).map(|summary| ConditionSummary { images, ..summary })
    };
    samples(info, records)?.iter().map(summarise).collect()
}

fn summarise_condition(
    sample: &Sample<'_>,
    options: &SummaryOptions,
) -> Result<ConditionSummary, AnalysisError> {
    let (draws, golden_accuracy) = (sample.records.len(), sample.golden.accuracy());
    let faults: u64 = sample.records.iter().map(|record| record.faults).sum();
    let mut outcomes = Outcomes::default();
    for record in &sample.records {
        outcomes += record.outcomes;
    }
    let mut summary = ConditionSummary {
        condition: sample.condition.clone(),
        golden_accuracy,
        unit: sample.unit,
        mean_faults: if draws == 0 { 0.0 } else { faults as f64 / draws as f64 },
        accuracy: None,
        accuracy_bca: None,
        chip_std: None,
        images: None,
        accuracy_quantiles: None,
        worst: None,
        accuracy_drop: None,
        outcomes,
        shares: None,
        faults: None,
    };
    if draws == 0 {
        return Ok(summary);
    }
    let accuracies = sample.accuracies();
    let found = draw_estimate(sample, &accuracies, options)?;
    let of_draws = t_interval(&accuracies, options.confidence);
    let accuracy =
        sample.stopped.or(of_draws.map(|estimate| Estimate { interval: found.interval, ..estimate }));
    summary.accuracy_drop = accuracy.map(|Estimate { mean, interval, .. }| {
        let (low, high) = interval.unwrap_or((mean, mean));
        let interval = (golden_accuracy - high, golden_accuracy - low);
        IntervalEstimate { estimate: golden_accuracy - mean, interval }
    });
    summary.accuracy = accuracy;
    summary.accuracy_bca = found.bca;
    summary.chip_std = chip_std(sample);
    if sample.has_all_images() {
        summary.accuracy_quantiles = Some(accuracy_quantiles(&accuracies)?);
        summary.worst = worst(sample);
    }
    summary.shares = Some(outcome_shares(sample, options)?);
    if sample.unit.is_fault() && sample.has_all_images() && !sample.is_part_of_all() {
        summary.faults = Some(fault_shares(sample, options)?);
    }
    Ok(summary)
}

/// Mean and intervals of one value a draw, each in 0..=1.
fn draw_estimate(
    sample: &Sample<'_>,
    values: &[f64],
    options: &SummaryOptions,
) -> Result<DrawEstimate, AnalysisError> {
    let level = sample.level(options.confidence);
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    if sample.is_part_of_all() {
        return Ok(DrawEstimate { mean, interval: None, bca: None });
    }
    if sample.unit.is_distinct() {
        let found = stratified_fraction(&[sample.stratum(values)?], level)?;
        return Ok(DrawEstimate { mean: found.estimate, interval: Some(found.interval), bca: None });
    }
    let interval = t_interval(values, level).and_then(|estimate| estimate.interval);
    let mut stream = resampling_stream(sample.condition.id as u64, values.len() as u64);
    let bca = options.bootstrap.then(|| bca_interval(values, level, RESAMPLES, &mut stream)).flatten();
    Ok(DrawEstimate { mean, interval, bca })
}

/// The stream of a condition's bootstrap: keyed by the word and the condition, numbered by the draws, so unlike that of any trial.
fn resampling_stream(condition: u64, draws: u64) -> ChaCha12Rng {
    let mut key = *b"bootstrap of the draws: ........";
    key[24..].copy_from_slice(&condition.to_le_bytes());
    let mut stream = ChaCha12Rng::from_seed(key);
    stream.set_stream(draws);
    stream
}

/// The standard deviation between chips, whose variance is that of draws less what the images add to it.
fn chip_std(sample: &Sample<'_>) -> Option<f64> {
    let draws = subsampled(sample.golden, sample.records.iter().copied());
    let components = VarianceComponents::estimate(&draws, sample.golden.strata()).ok()?;
    Some(components.chips.max(0.0).sqrt())
}

fn accuracy_quantiles(accuracies: &[f64]) -> Result<AccuracyQuantiles, StatisticsError> {
    let at = |probability| quantiles(accuracies, &[probability]).map(|found| found[0]);
    Ok(AccuracyQuantiles { p05: at(0.05)?, p25: at(0.25)?, p50: at(0.5)?, p75: at(0.75)?, p95: at(0.95)? })
}

fn worst(sample: &Sample<'_>) -> Option<WorstDraw> {
    let worst = sample.records.iter().min_by_key(|record| record.outcomes.correct)?;
    Some(WorstDraw { trial: worst.trial, draw: worst.draw, accuracy: worst.outcomes.accuracy() })
}

fn outcome_shares(sample: &Sample<'_>, options: &SummaryOptions) -> Result<OutcomeShares, AnalysisError> {
    let share = |count: fn(&Outcomes) -> u64| draw_estimate(sample, &sample.fractions(count), options);
    // Counted in all draws or in none.
    let optional = |count: fn(&Outcomes) -> Option<u64>| {
        let counts: Option<Vec<u64>> = sample.records.iter().map(|record| count(&record.outcomes)).collect();
        let fractions = |counts: Vec<u64>| -> Vec<f64> {
            let images = sample.records.iter().map(|record| record.outcomes.images as f64);
            counts.into_iter().zip(images).map(|(count, images)| count as f64 / images).collect()
        };
        counts.map(|counts| draw_estimate(sample, &fractions(counts), options)).transpose()
    };
    Ok(OutcomeShares {
        masked: share(|outcomes| outcomes.masked)?,
        masked_exact: optional(|outcomes| outcomes.masked_exact)?,
        sdc: share(|outcomes| outcomes.sdc)?,
        sdc5: share(|outcomes| outcomes.sdc5)?,
        sdc10: optional(|outcomes| outcomes.sdc10)?,
        sdc20: optional(|outcomes| outcomes.sdc20)?,
        critical: share(|outcomes| outcomes.critical)?,
        due: share(|outcomes| outcomes.due)?,
    })
}

fn fault_shares(sample: &Sample<'_>, options: &SummaryOptions) -> Result<FaultShares, StatisticsError> {
    let level = sample.level(options.confidence);
    let drops =
        |record: &TrialRecord| drops_by_more_than(record, sample.golden, options.critical_accuracy_drop);
    Ok(FaultShares {
        critical: sample.share(level, is_critical)?,
        accuracy_critical: sample.share(level, drops)?,
    })
}

//! The records of each condition as a sample, and of what.

use std::collections::BTreeMap;

use serde::Serialize;

use super::error::AnalysisError;
use crate::campaign::{CampaignInfo, CampaignSpec, Condition, GoldenInfo, Outcomes, SweptValue, TrialRecord};
use crate::fault::Lifetime;
use crate::statistics::{Decision, Estimate, Looks, Proportion, StatisticsError, Stratum};

/// What a draw is: the unit of sampling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// A chip with all its faults (for transient faults: a run over all images). Draws are independent.
    Chip,
    /// One fault, drawn independently: it may be drawn several times.
    Fault,
    /// One fault that no other draw of the condition has: a sample without replacement.
    DistinctFault,
    /// One fault; all there are, in order.
    EveryFault,
}

impl Unit {
    /// What the draws of a condition are, from the specification with the condition's swept fields in it.
    fn of(spec: &CampaignSpec, condition: &Condition) -> Self {
        let ([fault], []) = (spec.faults.as_slice(), spec.hardware.as_slice()) else { return Self::Chip };
        let swept = |field: &str| {
            let of_fault = format!("fault.1.{field}");
            let found =
                condition.swept.iter().rev().find(|swept| swept.axis == field || swept.axis == of_fault);
            found.map(|swept| &swept.value)
        };
        let count = match swept("count") {
            Some(SweptValue::Integer(count)) => Some(*count),
            _ => fault.count.map(|count| count as i64),
        };
        let transient = match swept("lifetime") {
            Some(SweptValue::Text(lifetime)) => lifetime == "transient",
            _ => fault.lifetime == Some(Lifetime::Transient),
        };
        if transient || fault.is_listed() {
            Self::Chip
        } else if spec.trials.statistical.is_some() {
            Self::DistinctFault
        } else if spec.trials.exhaustive == Some(true) {
            Self::EveryFault
        } else if count == Some(1) {
            Self::Fault
        } else {
            Self::Chip
        }
    }

    /// Whether a draw is a single fault.
    pub fn is_fault(self) -> bool {
        self != Self::Chip
    }

    /// Whether no two draws are the same fault.
    pub fn is_distinct(self) -> bool {
        matches!(self, Self::DistinctFault | Self::EveryFault)
    }
}

/// One condition's records.
#[derive(Debug, Clone)]
pub struct Sample<'a> {
    /// The condition.
    pub condition: &'a Condition,
    /// Its fault-free run.
    pub golden: GoldenInfo,
    /// What a draw is.
    pub unit: Unit,
    /// The records, in the order of their draws. Where draws stop by precision and have stopped, those of the look at which they did.
    pub records: Vec<&'a TrialRecord>,
    /// The looks of a rule by which draws stop, as far as it is known where they are.
    pub looks: Option<Looks>,
    /// Where draws stop by precision and have stopped: the mean accuracy at that look, with the rule's interval and confidence.
    pub stopped: Option<Estimate>,
    /// Whether they stopped without the precision that was asked for, since there were no more draws to be made.
    pub is_imprecise: bool,
}

/// The sample of each condition, by its id. Records of conditions that the plan does not have are left out.
///
/// # Errors
/// If draws stop by precision and an accuracy is no fraction.
pub fn samples<'a>(
    info: &'a CampaignInfo,
    records: &'a BTreeMap<u64, TrialRecord>,
) -> Result<Vec<Sample<'a>>, AnalysisError> {
    let conditions = info.plan.conditions.iter().zip(&info.golden);
    let mut samples: Vec<Sample<'_>> = conditions
        .map(|(condition, golden)| Sample {
            condition,
            golden: *golden,
            unit: Unit::of(&info.spec, condition),
            records: Vec::new(),
            looks: None,
            stopped: None,
            is_imprecise: false,
        })
        .collect();
    for record in records.values() {
        if let Some(sample) = samples.get_mut(record.condition) {
            sample.records.push(record);
        }
    }
    for sample in &mut samples {
        sample.records.sort_by_key(|record| record.draw);
        let Some(rule) = info.stopping_rule(sample.condition, records)? else { continue };
        sample.looks = Some(rule.looks().clone());
        let accuracies = info.accuracies(sample.condition, records);
        if let Decision::Stop { estimate, is_precise } = rule.decide(&accuracies)? {
            sample.records.truncate(estimate.draws);
            sample.stopped = Some(estimate);
            sample.is_imprecise = !is_precise;
        }
    }
    Ok(samples)
}

impl Sample<'_> {
    /// The condition as messages and tables name it.
    pub fn label(&self) -> String {
        let label = self.condition.label();
        if label.is_empty() { "the only condition".to_owned() } else { label }
    }

    /// Whether every draw ran all images, so that its accuracy and what became of each image are known.
    pub fn has_all_images(&self) -> bool {
        self.records.iter().all(|record| record.near.is_none())
    }

    /// A fraction of all images under each draw, in the order of draws; estimated where these ran part of the images.
    pub fn fractions(&self, count: impl Fn(&Outcomes) -> u64) -> Vec<f64> {
        let fraction = |record: &&TrialRecord| self.golden.share(record, |outcomes| count(outcomes) as f64);
        self.records.iter().map(fraction).collect()
    }

    /// Each draw's accuracy over all images: exactly, or estimated from those that it ran
    /// ([`GoldenInfo::accuracy_of`]; [`GoldenInfo::range`] says between what it lies).
    pub fn accuracies(&self) -> Vec<f64> {
        self.records.iter().map(|record| self.golden.accuracy_of(record)).collect()
    }

    /// The level at which an interval must be computed so that it holds with `confidence`: `confidence` itself, but where draws stop by
    /// precision the level of the look at which they did ([`Looks::level`]), or of the next one, since when they stop depends on them.
    pub fn level(&self, confidence: f64) -> f64 {
        self.looks.as_ref().map_or(confidence, |looks| looks.level(self.records.len(), confidence))
    }

    /// Values of the draws as a sample of the condition's faults, or of chips.
    ///
    /// # Errors
    /// If there is no draw, or more distinct ones than there are faults.
    pub(super) fn stratum(&self, values: &[f64]) -> Result<Stratum, StatisticsError> {
        let sites = self.condition.sites;
        if self.unit.is_distinct() {
            Stratum::from_draws(sites, values)
        } else {
            Stratum::from_independent_draws(sites.max(1), values)
        }
    }

    /// The share of draws with a property; for distinct faults that of all faults there are.
    ///
    /// # Errors
    /// As [`Proportion::new`].
    pub(super) fn share(
        &self,
        confidence: f64,
        has: impl Fn(&TrialRecord) -> bool,
    ) -> Result<Proportion, StatisticsError> {
        let successes = self.records.iter().filter(|record| has(record)).count() as u64;
        let population = self.unit.is_distinct().then_some(self.condition.sites);
        Proportion::new(successes, self.records.len() as u64, confidence, population)
    }

    /// Nothing if draws ran all images: figures of single draws, other than their mean, need them.
    pub(super) fn check_all_images(&self) -> Result<(), AnalysisError> {
        if self.has_all_images() {
            return Ok(());
        }
        let fewest = self.records.iter().map(|record| record.outcomes.images).min();
        let (condition, found) = (self.label(), fewest.unwrap_or(0));
        Err(AnalysisError::PartOfImages { condition, found, images: self.golden.images })
    }

    /// Whether the draws are a sample: the first of all faults in order are none.
    pub(super) fn is_part_of_all(&self) -> bool {
        self.unit == Unit::EveryFault && (self.records.len() as u64) < self.condition.sites
    }

    /// Whether the draws are all faults there are, on all images: then nothing is left to chance.
    pub(super) fn is_census(&self) -> bool {
        self.unit == Unit::EveryFault && !self.is_part_of_all() && self.has_all_images()
    }

    /// Nothing if there is a sample to speak of.
    pub(super) fn check(&self, needed: usize) -> Result<(), AnalysisError> {
        let (condition, found) = (self.label(), self.records.len());
        if found < needed {
            return Err(AnalysisError::TooFewDraws { condition, found, needed });
        }
        if self.is_part_of_all() {
            return Err(AnalysisError::PartOfAll { condition, found, sites: self.condition.sites });
        }
        Ok(())
    }
}

/// Whether any image's top class is another than the golden one, or its output not finite: the fault is critical.
pub(super) fn is_critical(record: &TrialRecord) -> bool {
    record.outcomes.sdc + record.outcomes.due > 0
}

/// How much a draw's accuracy drops, −1..=1, is more than `limit`. Counted in images: 0.9 − 0.8 is not more than 0.1.
pub(super) fn drops_by_more_than(record: &TrialRecord, golden: GoldenInfo, limit: f64) -> bool {
    /// Parts of an image that rounding of a fraction may come to.
    const ROUNDING: f64 = 1e-6;
    let lost = golden.correct as f64 - record.outcomes.correct as f64;
    lost > limit * golden.images as f64 + ROUNDING
}

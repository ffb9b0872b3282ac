//! What is to be run next, given what is recorded.

use std::collections::BTreeMap;

use super::images::DrawImages;
use super::plan::{Condition, Plan, Trial};
use super::record::TrialRecord;
use super::store::{CampaignInfo, GoldenInfo};
use crate::statistics::{
    ByMargin, Decision, ImageChoice, Pilot, StatisticsError, StoppingRule, SubsampledDraw, VarianceComponents,
};

/// What a draw costs apart from its images, in multiply-accumulate operations of the time they take: drawing faults, striking and
/// restoring weights, writing the record. Of the order of 0.1 ms at 40·10⁹ operations a second. The number of images chosen goes with its
/// square root: being off by a factor of 4 costs at most a quarter more.
const DRAW_OVERHEAD_MACS: f64 = 4e6;

/// What is left to do of a campaign: a pure function of what it is and what is recorded.
#[derive(Debug, Clone)]
pub struct Schedule<'a> {
    plan: &'a Plan,
    records: &'a BTreeMap<u64, TrialRecord>,
    conditions: Vec<Wanted>,
}

/// What a condition needs, as far as is known.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    /// Draws before it can be decided whether they are enough, or those that were enough.
    draws: u64,
    /// What its pilot chose, once that is recorded and not enough.
    choice: Option<ImageChoice>,
}

impl CampaignInfo {
    /// What is left to do, given what is recorded.
    pub fn schedule<'a>(&'a self, records: &'a BTreeMap<u64, TrialRecord>) -> Schedule<'a> {
        let conditions =
            self.plan.conditions.iter().map(|condition| self.wanted(condition, records)).collect();
        Schedule { plan: &self.plan, records, conditions }
    }

    /// The rule by which the draws of a condition stop, if they do, with its looks as far as the records show where they are.
    ///
    /// # Errors
    /// When a number of the specification is out of range.
    pub fn stopping_rule(
        &self,
        condition: &Condition,
        records: &BTreeMap<u64, TrialRecord>,
    ) -> Result<Option<StoppingRule>, StatisticsError> {
        Ok(self.planned_rule(condition, records)?.map(|(rule, _)| rule))
    }

    /// The rule of a condition, and what its pilot chose, once that is recorded and was not enough.
    fn planned_rule(
        &self,
        condition: &Condition,
        records: &BTreeMap<u64, TrialRecord>,
    ) -> Result<Option<(StoppingRule, Option<ImageChoice>)>, StatisticsError> {
        let Some(precision) = self.plan.precision else { return Ok(None) };
        let (low, high) = self.golden[condition.id].range(self.plan.draw_images == DrawImages::All);
        let rule = precision.rule()?.with_range(low, high);
        let choice = self.choose(condition, records, &rule);
        let planned = match choice {
            Some(choice) => rule.with_second_look(choice.draws),
            None => rule.planned(&self.accuracies(condition, records)),
        };
        Ok(Some((planned, choice)))
    }

    /// The records of a condition's draws, as far as there is no gap between them.
    fn gapless<'a>(
        &self,
        condition: &Condition,
        records: &'a BTreeMap<u64, TrialRecord>,
    ) -> impl Iterator<Item = &'a TrialRecord> {
        (0..condition.draws).map_while(|draw| records.get(&self.plan.trial(condition.id, draw).id))
    }

    /// The accuracies of a condition's draws over all images, as far as they are recorded without a gap.
    pub fn accuracies(&self, condition: &Condition, records: &BTreeMap<u64, TrialRecord>) -> Vec<f64> {
        let golden = self.golden[condition.id];
        self.gapless(condition, records).map(|record| golden.accuracy_of(record)).collect()
    }

    fn wanted(&self, condition: &Condition, records: &BTreeMap<u64, TrialRecord>) -> Wanted {
        let Ok(Some((rule, choice))) = self.planned_rule(condition, records) else {
            return Wanted { draws: condition.draws, choice: None };
        };
        let draws = match rule.decide(&self.accuracies(condition, records)) {
            Ok(Decision::Continue { next_look }) => next_look as u64,
            Ok(Decision::Stop { estimate, .. }) => estimate.draws as u64,
            // Accuracies lie in their range; without a decision all draws are made.
            Err(_) => condition.draws,
        };
        Wanted { draws, choice }
    }

    /// What the pilot of a condition chooses: a function of its records alone.
    fn choose(
        &self,
        condition: &Condition,
        records: &BTreeMap<u64, TrialRecord>,
        rule: &StoppingRule,
    ) -> Option<ImageChoice> {
        let wanted = usize::try_from(self.plan.pilot_draws()?).ok()?;
        let pilot = self.gapless(condition, records).take(wanted);
        let draws = subsampled(self.golden[condition.id], pilot);
        let accuracies: Vec<f64> = draws.iter().map(|draw| draw.estimate).collect();
        if draws.len() < wanted || matches!(rule.decide(&accuracies), Ok(Decision::Stop { .. })) {
            return None;
        }
        let pilot = Pilot {
            draws: draws.len(),
            images: self.plan.first_images(),
            population: self.plan.strata(),
            mean: accuracies.iter().sum::<f64>() / accuracies.len() as f64,
            components: VarianceComponents::estimate(&draws, self.plan.strata()).ok()?,
        };
        Some(pilot.choose(rule, DRAW_OVERHEAD_MACS / self.plan.image_macs.max(1) as f64))
    }
}

/// Draws as samples of images; those on all images have no strata, and no chance in them.
pub(crate) fn subsampled<'a>(
    golden: GoldenInfo,
    records: impl Iterator<Item = &'a TrialRecord>,
) -> Vec<SubsampledDraw> {
    let draw = |record: &TrialRecord| {
        let by_margin = record.by_margin().unwrap_or_default();
        SubsampledDraw {
            estimate: golden.accuracy_of(record),
            images: by_margin.map(|outcomes| outcomes.images),
            image_variances: by_margin.map(|outcomes| outcomes.image_variance()),
        }
    };
    records.map(draw).collect()
}

impl<'a> Schedule<'a> {
    /// The trials to run next: all that are missing, or where draws stop by precision those before the next look of each condition that is
    /// not known well enough yet. None: the campaign is complete.
    pub fn pending(&self) -> impl Iterator<Item = Trial> + use<'_, 'a> {
        let draws = self.conditions.iter().map(|wanted| wanted.draws).collect();
        let missing = self.plan.trials_within(draws).filter(|trial| !self.records.contains_key(&trial.id));
        missing.map(|trial| self.with_images(trial))
    }

    /// How many trials are [`pending`](Self::pending), without going through them.
    pub fn missing(&self) -> u64 {
        let is_wanted = |record: &&TrialRecord| record.draw < self.conditions[record.condition].draws;
        let done = self.records.values().filter(is_wanted).count() as u64;
        self.conditions.iter().map(|wanted| wanted.draws).sum::<u64>() - done
    }

    /// The trial of that id with its images, as recorded or as chosen; `None` if there is none, or its images are not chosen yet.
    pub fn find(&self, id: u64) -> Option<Trial> {
        let trial = self.plan.find(id)?;
        match self.records.get(&id) {
            Some(record) => Some(Trial { images: self.images_of(record), ..trial }),
            None if self.is_unknown(trial) => None,
            None => Some(self.with_images(trial)),
        }
    }

    /// What the pilot of a condition chose; `None` without a pilot, before its end, and if it was enough.
    pub fn choice(&self, condition: usize) -> Option<&ImageChoice> {
        self.conditions[condition].choice.as_ref()
    }

    /// The first record on other images than its trial has, where that is known.
    pub(super) fn misfit(&self) -> Option<&'a TrialRecord> {
        let fits = |record: &&TrialRecord| {
            let of_plan = self.plan.find(record.trial);
            of_plan.is_none_or(|trial| {
                self.is_unknown(trial) || self.with_images(trial).images == self.images_of(record)
            })
        };
        self.records.values().find(|record| !fits(record))
    }

    /// How many images a recorded trial ran; of one that claims no strata, and not to have run all, no number that any trial has.
    fn images_of(&self, record: &TrialRecord) -> ByMargin<u64> {
        match record.by_margin() {
            Some(by_margin) => by_margin.map(|outcomes| outcomes.images),
            None if record.outcomes.images == self.plan.images => self.plan.strata(),
            None => ByMargin { near: 0, far: record.outcomes.images },
        }
    }

    /// Whether it lies behind a pilot that has not chosen.
    fn is_unknown(&self, trial: Trial) -> bool {
        self.plan.pilot_draws().is_some_and(|pilot| trial.draw >= pilot)
            && self.conditions[trial.condition].choice.is_none()
    }

    fn with_images(&self, trial: Trial) -> Trial {
        let pilot = self.plan.pilot_draws().unwrap_or(u64::MAX);
        let choice = self.choice(trial.condition).filter(|_| trial.draw >= pilot);
        Trial { images: choice.map_or(trial.images, |choice| choice.images), ..trial }
    }
}

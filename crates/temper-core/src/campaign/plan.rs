//! What a campaign will do, before it does it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::record::TrialRecord;
use super::sweep::{Swept, label};
use super::trials::Precision;
use crate::statistics::{Decision, StoppingRule};

/// One combination of swept values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    /// Its place in the sweep.
    pub id: usize,
    /// The swept fields and their values; none without a sweep.
    pub swept: Vec<Swept>,
    /// Number of different sites, over all faults that are drawn.
    pub sites: u64,
    /// Draws; the most there can be, where draws stop by precision.
    pub draws: u64,
}

impl Condition {
    /// The swept fields and values, as `format = int8, bit = 3`.
    pub fn label(&self) -> String {
        label(&self.swept)
    }
}

/// One draw under one condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Trial {
    /// Its number in the whole campaign, on which its random stream depends.
    pub id: u64,
    /// Its condition.
    pub condition: usize,
    /// Its number within the condition.
    pub draw: u64,
}

/// All trials of a campaign. Trials are numbered draw by draw through all conditions, so that an interrupted campaign has nearly
/// equally many draws of each: `id = draw · conditions + condition`. Where conditions have different numbers of draws, some numbers are
/// not used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The conditions.
    pub conditions: Vec<Condition>,
    /// When a condition has enough draws, if not by their number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<Precision>,
}

impl Plan {
    /// Number of trials; the most there can be, where draws stop by precision.
    pub fn len(&self) -> u64 {
        self.conditions.iter().map(|condition| condition.draws).sum()
    }

    /// Whether there is no trial.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The trials in the order of their ids.
    pub fn trials(&self) -> impl Iterator<Item = Trial> + use<'_> {
        self.trials_within(self.conditions.iter().map(|condition| condition.draws).collect())
    }

    /// The first so many draws of each condition, in the order of their ids.
    fn trials_within(&self, draws: Vec<u64>) -> impl Iterator<Item = Trial> + use<'_> {
        let draws: Arc<[u64]> = draws.into();
        (0..draws.iter().copied().max().unwrap_or(0)).flat_map(move |draw| {
            let draws = Arc::clone(&draws);
            let has = move |condition: &usize| draw < draws[*condition];
            (0..self.conditions.len()).filter(has).map(move |condition| self.trial(condition, draw))
        })
    }

    /// A draw under a condition.
    fn trial(&self, condition: usize, draw: u64) -> Trial {
        Trial { id: draw * self.conditions.len() as u64 + condition as u64, condition, draw }
    }

    /// The trial of that id, if there is one.
    pub fn find(&self, id: u64) -> Option<Trial> {
        let conditions = self.conditions.len() as u64;
        let condition = self.conditions.get(usize::try_from(id.checked_rem(conditions)?).ok()?)?;
        let draw = id / conditions;
        (draw < condition.draws).then(|| self.trial(condition.id, draw))
    }

    /// The trials to run next, given what is recorded: all that are missing, or where draws stop by precision those before the next
    /// look of each condition that is not known well enough yet. None: the campaign is complete.
    pub fn pending<'a>(
        &'a self,
        records: &'a BTreeMap<u64, TrialRecord>,
    ) -> impl Iterator<Item = Trial> + use<'a> {
        self.trials_within(self.wanted(records)).filter(|trial| !records.contains_key(&trial.id))
    }

    /// How many trials are [`pending`](Self::pending), without going through them.
    pub fn missing(&self, records: &BTreeMap<u64, TrialRecord>) -> u64 {
        let wanted = self.wanted(records);
        let done = records.values().filter(|record| record.draw < wanted[record.condition]).count() as u64;
        wanted.iter().sum::<u64>() - done
    }

    /// The draws of each condition that are to be made, as far as is known.
    fn wanted(&self, records: &BTreeMap<u64, TrialRecord>) -> Vec<u64> {
        let rule = self.precision.and_then(|precision| precision.rule().ok());
        let wanted = |condition: &Condition| {
            rule.as_ref().map_or(condition.draws, |rule| self.draws_wanted(rule, condition, records))
        };
        self.conditions.iter().map(wanted).collect()
    }

    /// Draws that a condition needs before it can be decided whether they are enough, or those that were enough.
    fn draws_wanted(
        &self,
        rule: &StoppingRule,
        condition: &Condition,
        records: &BTreeMap<u64, TrialRecord>,
    ) -> u64 {
        match rule.decide(&self.accuracies(condition, records)) {
            Ok(Decision::Continue { next_look }) => next_look as u64,
            Ok(Decision::Stop { estimate, .. }) => estimate.draws as u64,
            // Accuracies are fractions; without a decision all draws are made.
            Err(_) => condition.draws,
        }
    }

    /// The accuracies of a condition's draws, as far as they are recorded without a gap.
    pub fn accuracies(&self, condition: &Condition, records: &BTreeMap<u64, TrialRecord>) -> Vec<f64> {
        (0..condition.draws)
            .map_while(|draw| records.get(&self.trial(condition.id, draw).id))
            .map(|record| record.outcomes.accuracy())
            .collect()
    }

    /// Whether it has this very trial.
    pub fn contains(&self, trial: &Trial) -> bool {
        self.find(trial.id) == Some(*trial)
    }
}

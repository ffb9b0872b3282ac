//! What the records of a study amount to.

use serde::Serialize;
use temper_core::statistics::{Estimate, Proportion, Ratio, ratio_of_means, t_interval, yield_at_least};

use super::record::StudyRecord;
use super::spec::{Repair, StudyCondition, StudySpec};

/// What a study found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StudySummary {
    /// Test accuracy of the golden network.
    pub golden_accuracy: f64,
    /// A chip counts towards the yield from this accuracy on.
    pub yield_accuracy: f64,
    /// Conditions in their order, and their repairs.
    pub repairs: Vec<RepairSummary>,
}

/// What a repair is worth under a condition, over the chips recorded.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RepairSummary {
    /// The condition, from 0.
    pub condition: usize,
    /// Its swept values.
    pub label: String,
    /// The repair.
    pub repair: Repair,
    /// Accuracy over chips.
    pub accuracy: Estimate,
    /// Share of the golden accuracy that is lost, `(golden − accuracy) / golden`: without a repair the ACIMS paper's `ResRate`.
    pub lost: Estimate,
    /// Share of what the chips lose that the repair gains back, `Σ (accuracy − stricken) / Σ (golden − stricken)`: the ACIMS paper's
    /// `AdjRate`, over the chips recorded with and without the repair.
    pub recovered: Option<Ratio>,
    /// Share of the chips that are good enough.
    pub good: Proportion,
    /// Mean time that it took for a chip, in seconds.
    pub seconds: f64,
}

impl StudySummary {
    /// Summarises the records of a study and its conditions; `golden` is the golden network's test accuracy. What has no record is left out.
    pub fn new(
        spec: &StudySpec,
        conditions: &[StudyCondition],
        golden: f64,
        records: &[StudyRecord],
        confidence: f64,
    ) -> Self {
        let yield_accuracy = (golden - spec.chips.tolerance).max(0.0);
        let mut repairs = Vec::new();
        for (condition, of_condition) in conditions.iter().enumerate() {
            let mine: Vec<&StudyRecord> =
                records.iter().filter(|record| record.condition == condition).collect();
            let mut kinds: Vec<Repair> = mine.iter().map(|record| record.repair).collect();
            kinds.sort_unstable();
            kinds.dedup();
            for repair in kinds {
                let own: Vec<&StudyRecord> =
                    mine.iter().copied().filter(|record| record.repair == repair).collect();
                let accuracies: Vec<f64> = own.iter().map(|record| record.accuracy).collect();
                let lost: Vec<f64> = accuracies.iter().map(|accuracy| (golden - accuracy) / golden).collect();
                let (Some(accuracy), Some(lost), Ok(good)) = (
                    t_interval(&accuracies, confidence),
                    t_interval(&lost, confidence),
                    yield_at_least(&accuracies, yield_accuracy, confidence),
                ) else {
                    continue;
                };
                repairs.push(RepairSummary {
                    condition,
                    label: of_condition.label.clone(),
                    repair,
                    accuracy,
                    lost,
                    recovered: recovered(golden, &mine, &own, confidence),
                    good,
                    seconds: own.iter().map(|record| record.seconds).sum::<f64>() / own.len() as f64,
                });
            }
        }
        Self { golden_accuracy: golden, yield_accuracy, repairs }
    }
}

/// What repaired chips gain back of what they lose without a repair.
fn recovered(
    golden: f64,
    records: &[&StudyRecord],
    repaired: &[&StudyRecord],
    confidence: f64,
) -> Option<Ratio> {
    let stricken = |chip: u64| {
        let is_it = |record: &&&StudyRecord| record.repair == Repair::Nothing && record.chip == chip;
        records.iter().find(is_it).map(|record| record.accuracy)
    };
    let pairs = repaired
        .iter()
        .filter(|record| record.repair != Repair::Nothing)
        .filter_map(|record| Some((record.accuracy, stricken(record.chip)?)));
    let (gained, lost): (Vec<f64>, Vec<f64>) =
        pairs.map(|(accuracy, stricken)| (accuracy - stricken, golden - stricken)).unzip();
    ratio_of_means(&gained, &lost, confidence)
}

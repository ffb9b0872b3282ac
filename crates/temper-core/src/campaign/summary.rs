//! What the records of each condition amount to.

use serde::Serialize;

use super::outcome::Outcomes;
use super::plan::Condition;
use super::record::TrialRecord;
use crate::statistics::{Estimate, t_interval};

/// A condition's records, summed up.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConditionSummary {
    /// The condition.
    pub condition: Condition,
    /// Accuracy over draws, 0..1; `None` before the first.
    pub accuracy: Option<Estimate>,
    /// Mean number of faults of a draw.
    pub mean_faults: f64,
    /// Outcomes of all inferences of all draws.
    pub outcomes: Outcomes,
}

/// Sums up each condition's records; the accuracy's interval is a t interval over draws.
pub fn summarise<'a>(
    conditions: &[Condition],
    records: impl IntoIterator<Item = &'a TrialRecord>,
    confidence: f64,
) -> Vec<ConditionSummary> {
    let mut accuracies = vec![Vec::new(); conditions.len()];
    let mut totals = vec![(0, Outcomes::default()); conditions.len()];
    for record in records {
        if let (Some(accuracies), Some(total)) =
            (accuracies.get_mut(record.condition), totals.get_mut(record.condition))
        {
            accuracies.push(record.outcomes.accuracy());
            total.0 += record.faults;
            total.1 += record.outcomes;
        }
    }
    let summary =
        |((condition, accuracies), (faults, outcomes)): ((&Condition, Vec<f64>), (u64, Outcomes))| {
            let mean_faults =
                if accuracies.is_empty() { 0.0 } else { faults as f64 / accuracies.len() as f64 };
            let accuracy = t_interval(&accuracies, confidence);
            ConditionSummary { condition: condition.clone(), accuracy, mean_faults, outcomes }
        };
    conditions.iter().zip(accuracies).zip(totals).map(summary).collect()
}

//! A campaign's results in a table or as JSON.

use std::io::Write;

use anyhow::Result;
use serde::Serialize;
use temper_core::campaign::{CampaignDir, ConditionSummary, summarise};

use super::table::{Table, grouped};
use crate::cli::print_json;

/// Confidence level of every interval shown.
pub(crate) const CONFIDENCE: f64 = 0.95;

/// What a campaign's records amount to so far.
#[derive(Debug, Serialize)]
pub(crate) struct CampaignReport {
    campaign: String,
    complete: bool,
    trials: u64,
    recorded: u64,
    images: u64,
    golden_accuracy: f64,
    pub(crate) conditions: Vec<ConditionSummary>,
}

impl CampaignReport {
    /// Sums up a campaign's directory.
    pub(crate) fn new(dir: &CampaignDir) -> Result<Self> {
        let (info, records) = (dir.info(), dir.records()?);
        let recorded = records.by_trial.len() as u64;
        let pending = info.plan.pending(&records.by_trial).count() as u64;
        Ok(Self {
            campaign: info.identity.campaign.clone(),
            complete: pending == 0,
            trials: recorded + pending,
            recorded,
            images: info.golden[0].images,
            golden_accuracy: info.golden[0].accuracy(),
            conditions: summarise(&info.plan.conditions, records.by_trial.values(), CONFIDENCE),
        })
    }

    /// Prints it.
    pub(crate) fn print(&self, json: bool, out: &mut dyn Write) -> Result<()> {
        if json {
            return print_json(self, out);
        }
        let axis = "condition";
        let headings = [
            axis,
            "draws",
            "faults",
            "accuracy",
            "95 % interval",
            "std",
            "worst",
            "drop",
            "sdc",
            "critical",
            "due",
        ];
        let mut table =
            headings.iter().enumerate().fold(Table::new(&headings), |table, (i, _)| table.right(i));
        for summary in &self.conditions {
            table.row(self.row(summary));
        }
        write!(out, "{table}")?;
        writeln!(
            out,
            "\ngolden accuracy {:.4} on {} images; {} of {} trials recorded",
            self.golden_accuracy,
            grouped(self.images),
            grouped(self.recorded),
            grouped(self.trials)
        )?;
        writeln!(
            out,
            "accuracy, interval (Student t), std and worst are over draws; sdc, critical and due are shares of inferences"
        )?;
        Ok(())
    }

    fn row(&self, summary: &ConditionSummary) -> Vec<String> {
        let swept = summary.condition.label();
        let Some(accuracy) = &summary.accuracy else {
            let mut row = vec![swept, "0".to_owned()];
            row.resize(11, String::new());
            return row;
        };
        let outcomes = &summary.outcomes;
        let share = |count: u64| format!("{:.4}", count as f64 / outcomes.images as f64);
        let interval = accuracy.interval.map_or("-".to_owned(), |(low, high)| format!("{low:.4}..{high:.4}"));
        vec![
            swept,
            accuracy.draws.to_string(),
            format!("{:.1}", summary.mean_faults),
            format!("{:.4}", accuracy.mean),
            interval,
            accuracy.std.map_or("-".to_owned(), |std| format!("{std:.4}")),
            format!("{:.4}", accuracy.min),
            signed(self.golden_accuracy - accuracy.mean),
            share(outcomes.sdc),
            share(outcomes.critical),
            share(outcomes.due),
        ]
    }
}

/// A difference with four decimals; what rounds to zero has no sign.
fn signed(difference: f64) -> String {
    let text = format!("{difference:.4}");
    if text == "-0.0000" { "0.0000".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::signed;

    #[test]
    fn zero_has_no_sign() {
        assert_eq!(signed(-1e-17), "0.0000");
        assert_eq!(signed(-0.00005), "-0.0001");
        assert_eq!(signed(0.25), "0.2500");
    }
}

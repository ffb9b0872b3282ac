//! A campaign's results in a table or as JSON.

use std::io::Write;

use anyhow::Result;
use serde::Serialize;
use temper_core::analysis::{ConditionSummary, DrawEstimate, SummaryOptions, Unit, summarise};
use temper_core::campaign::CampaignDir;
use temper_core::statistics::Proportion;

use super::table::{Table, grouped};
use crate::cli::print_json;

/// What a campaign's records amount to so far.
#[derive(Debug, Serialize)]
pub(crate) struct CampaignReport {
    campaign: String,
    complete: bool,
    /// The most there can be, where draws stop by precision.
    trials: u64,
    recorded: u64,
    images: u64,
    options: SummaryOptions,
    pub(crate) conditions: Vec<ConditionSummary>,
}

impl CampaignReport {
    /// Sums up a campaign's directory.
    pub(crate) fn new(dir: &CampaignDir) -> Result<Self> {
        let (info, records) = (dir.info(), dir.records()?.by_trial);
        let options = SummaryOptions::default();
        Ok(Self {
            campaign: info.identity.campaign.clone(),
            complete: info.plan.pending(&records).next().is_none(),
            trials: info.plan.len(),
            recorded: records.len() as u64,
            images: info.golden.first().map_or(0, |golden| golden.images),
            conditions: summarise(info, &records, &options)?,
            options,
        })
    }

    /// Prints it.
    pub(crate) fn print(&self, json: bool, out: &mut dyn Write) -> Result<()> {
        if json {
            return print_json(self, out);
        }
        write!(out, "{}\n{}", self.accuracies(), self.shares())?;
        let (recorded, trials) = (grouped(self.recorded), grouped(self.trials));
        let most = if self.complete { "" } else { "; the campaign is not complete" };
        writeln!(out, "\n{} images; {recorded} of {trials} trials recorded{most}", grouped(self.images))?;
        let percent = 100.0 * self.options.confidence;
        writeln!(
            out,
            "{percent} % intervals; the unit of all is the draw. t: Student; BCa: bootstrap; faults: Clopper and Pearson"
        )?;
        if self.conditions.iter().any(|summary| summary.faults.is_some()) {
            writeln!(
                out,
                "a draw is a single fault; critical faults change an image's top class or make an output not finite, costly ones cost more than {} of accuracy",
                self.options.critical_accuracy_drop
            )?;
        }
        Ok(())
    }

    /// Accuracy over draws.
    fn accuracies(&self) -> Table {
        let headings = [
            "condition",
            "golden",
            "draws",
            "faults",
            "accuracy",
            "t interval",
            "BCa interval",
            "std",
            "5 %",
            "median",
            "worst",
            "drop",
        ];
        let mut table = (1..headings.len()).fold(Table::new(&headings), Table::right);
        for summary in &self.conditions {
            let mut row = vec![summary.condition.label(), format!("{:.4}", summary.golden_accuracy)];
            if let Some(accuracy) = summary.accuracy {
                let quantile = |of: fn(&temper_core::analysis::AccuracyQuantiles) -> f64| {
                    summary
                        .accuracy_quantiles
                        .as_ref()
                        .map_or("-".to_owned(), |found| format!("{:.4}", of(found)))
                };
                row.extend([
                    accuracy.draws.to_string(),
                    format!("{:.1}", summary.mean_faults),
                    format!("{:.4}", accuracy.mean),
                    interval(accuracy.interval),
                    interval(summary.accuracy_bca),
                    accuracy.std.map_or("-".to_owned(), |std| format!("{std:.4}")),
                    quantile(|found| found.p05),
                    quantile(|found| found.p50),
                    format!("{:.4}", accuracy.min),
                    signed(summary.golden_accuracy - accuracy.mean),
                ]);
            } else {
                row.push("0".to_owned());
            }
            row.resize(headings.len(), String::new());
            table.row(row);
        }
        table
    }

    /// Outcomes, as shares of a draw's images, and of single faults.
    fn shares(&self) -> Table {
        let headings = ["condition", "masked", "sdc", "critical", "due", "critical faults", "costly faults"];
        let mut table = (1..headings.len()).fold(Table::new(&headings), Table::right);
        for summary in &self.conditions {
            let mut row = vec![summary.condition.label()];
            if let Some(shares) = &summary.shares {
                row.extend(
                    [shares.masked, shares.sdc, shares.critical, shares.due]
                        .map(|share| of_draws(&share, summary.unit)),
                );
            }
            if let Some(faults) = &summary.faults {
                row.extend([faults.critical, faults.accuracy_critical].map(|share| of_faults(&share)));
            }
            row.resize(headings.len(), String::new());
            table.row(row);
        }
        table
    }
}

/// A share with its interval: the bootstrap's, which keeps to 0 and 1, but of distinct faults that for a finite number.
fn of_draws(share: &DrawEstimate, unit: Unit) -> String {
    let bounds = if unit.is_distinct() { share.interval } else { share.bca };
    format!("{:.4} ({})", share.mean, interval(bounds))
}

fn of_faults(share: &Proportion) -> String {
    format!("{:.4} ({})", share.estimate, interval(Some(share.clopper_pearson)))
}

fn interval(bounds: Option<(f64, f64)>) -> String {
    bounds.map_or("-".to_owned(), |(low, high)| format!("{low:.4}..{high:.4}"))
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

//! A campaign's results in a table or as JSON.

use std::io::Write;

use anyhow::Result;
use serde::Serialize;
use temper_core::analysis::{
    AccuracyFloor, ConditionSummary, DrawEstimate, OutcomeShares, SummaryOptions, samples, summarise,
    yield_of,
};
use temper_core::campaign::CampaignDir;
use temper_core::statistics::Proportion;

use super::images::{prefix, reason};
use super::table::{Table, grouped, percent};
use crate::cli::print_json;

/// Choices of images shown; a sweep of every layer and bit has many.
const CHOICES_SHOWN: usize = 8;

/// What a campaign's records amount to so far.
#[derive(Debug, Serialize)]
pub(crate) struct CampaignReport {
    campaign: String,
    complete: bool,
    /// Trials recorded and still to be run; the latter may change where draws stop by precision.
    trials: u64,
    recorded: u64,
    images: u64,
    options: SummaryOptions,
    pub(crate) conditions: Vec<ConditionSummary>,
    /// The share of each condition's draws that are accurate enough, if that was asked for; `None` before the first draw.
    #[serde(skip_serializing_if = "Option::is_none")]
    yields: Option<Vec<Option<Proportion>>>,
}

impl CampaignReport {
    /// Sums up a campaign's directory. Intervals have the confidence that the specification names, or 95 %.
    pub(crate) fn new(dir: &CampaignDir, floor: Option<AccuracyFloor>) -> Result<Self> {
        let (info, records) = (dir.info(), dir.records()?);
        let usual = SummaryOptions::default();
        let trials = &info.spec.trials;
        let named = trials.statistical.map(|statistical| statistical.confidence);
        let named = named.or(trials.precision.map(|precision| precision.confidence));
        let options = SummaryOptions { confidence: named.unwrap_or(usual.confidence), ..usual };
        let yields = floor.map(|floor| {
            let of_draws = |sample| yield_of(sample, floor, options.confidence);
            let samples = samples(info, &records.by_trial)?;
            samples
                .iter()
                .map(|sample| (!sample.records.is_empty()).then(|| of_draws(sample)).transpose())
                .collect()
        });
        let recorded = records.by_trial.len() as u64;
        let pending = info.schedule(&records.by_trial).missing();
        Ok(Self {
            campaign: info.identity.campaign.clone(),
            complete: pending == 0,
            trials: recorded + pending,
            recorded,
            images: info.golden[0].images,
            options,
            conditions: summarise(info, &records.by_trial, &options)?,
            yields: yields.transpose()?,
        })
    }

    /// Prints it.
    pub(crate) fn print(&self, json: bool, out: &mut dyn Write) -> Result<()> {
        if json {
            return print_json(self, out);
        }
        if self.conditions.iter().all(|summary| summary.unit.is_distinct()) {
            self.print_faults(out)
        } else {
            self.print_draws(out)
        }
    }

    /// Accuracy over draws, one row for each condition.
    fn print_draws(&self, out: &mut dyn Write) -> Result<()> {
        let interval = self.interval();
        let mut headings =
            vec!["draws", "faults", "accuracy", &interval, "std", "worst", "drop", "sdc", "critical", "due"];
        let part = self.part_of_images();
        if part {
            headings.insert(1, "inferences");
        }
        let (low, high) = self.golden();
        if low < high {
            headings.insert(0, "golden");
        }
        if self.yields.is_some() {
            headings.extend(["yield", &interval]);
        }
        let mut table = self.table(&headings);
        for (i, summary) in self.conditions.iter().enumerate() {
            let mut row = swept(summary);
            row.extend((low < high).then(|| format!("{:.4}", summary.golden_accuracy)));
            let mut figures = draws_row(summary);
            if part {
                figures.insert(1, grouped(summary.outcomes.images));
            }
            row.extend(figures);
            if let Some(yields) = &self.yields {
                row.extend(yields[i].map_or([String::new(), String::new()], |share| {
                    let (low, high) = share.clopper_pearson;
                    [format!("{:.4}", share.estimate), format!("{low:.4}..{high:.4}")]
                }));
            }
            table.row(row);
        }
        write!(out, "{table}")?;
        self.print_golden(out)?;
        writeln!(
            out,
            "accuracy, interval (Student t), std and worst are over draws; sdc, critical and due are shares of images"
        )?;
        if part {
            writeln!(
                out,
                "draws ran part of the images: accuracy and shares are estimated for all of them, std is that between chips"
            )?;
        }
        self.print_choices(out)
    }

    /// Whether any draw ran part of the images only.
    fn part_of_images(&self) -> bool {
        let all = |summary: &ConditionSummary| {
            summary
                .accuracy
                .is_none_or(|accuracy| summary.outcomes.images == accuracy.draws as u64 * self.images)
        };
        !self.conditions.iter().all(all)
    }

    /// How many images were chosen, and why.
    fn print_choices(&self, out: &mut dyn Write) -> Result<()> {
        let chosen =
            || self.conditions.iter().filter_map(|summary| Some((summary, summary.images.as_ref()?)));
        for (summary, choice) in chosen().take(CHOICES_SHOWN) {
            writeln!(out, "{}{}", prefix(&summary.condition), reason(choice, self.images))?;
        }
        if let Some(more) = chosen().count().checked_sub(CHOICES_SHOWN).filter(|more| *more > 0) {
            writeln!(out, "… and {} choices of images more; --json shows all", grouped(more as u64))?;
        }
        Ok(())
    }

    /// Shares of single faults, one row for each condition.
    fn print_faults(&self, out: &mut dyn Write) -> Result<()> {
        let interval = self.interval();
        let headings = ["sites", "drawn", "critical", &interval, "drop", "sdc", "due"];
        let mut table = self.table(&headings);
        for summary in &self.conditions {
            let mut row = swept(summary);
            row.extend(faults_row(summary));
            table.row(row);
        }
        write!(out, "{table}")?;
        self.print_golden(out)?;
        writeln!(
            out,
            "critical: share of single faults that change any image's class or make an output infinite or NaN, with the Wilson \n\
             interval for a finite population; sdc and due are shares of inferences"
        )?;
        Ok(())
    }

    fn interval(&self) -> String {
        format!("{} interval", percent(self.options.confidence))
    }

    /// A table with a column for each axis, and these.
    fn table(&self, headings: &[&str]) -> Table {
        let axes = self.conditions[0].condition.swept.iter().map(|swept| swept.axis.as_str());
        let all: Vec<&str> = axes.chain(headings.iter().copied()).collect();
        (0..all.len()).fold(Table::new(&all), Table::right)
    }

    /// The lowest and the highest accuracy of the conditions' fault-free runs.
    fn golden(&self) -> (f64, f64) {
        let golden = self.conditions.iter().map(|summary| summary.golden_accuracy);
        golden.fold((f64::INFINITY, 0.0), |(low, high), golden| (low.min(golden), high.max(golden)))
    }

    fn print_golden(&self, out: &mut dyn Write) -> Result<()> {
        let (low, high) = self.golden();
        let golden = if low == high { format!("{low:.4}") } else { format!("{low:.4} to {high:.4}") };
        writeln!(
            out,
            "\ngolden accuracy {golden} on {} images; {} of {} trials recorded",
            grouped(self.images),
            grouped(self.recorded),
            grouped(self.trials)
        )?;
        Ok(())
    }
}

fn swept(summary: &ConditionSummary) -> Vec<String> {
    summary.condition.swept.iter().map(|swept| swept.value.to_string()).collect()
}

fn draws_row(summary: &ConditionSummary) -> Vec<String> {
    let Some(accuracy) = &summary.accuracy else {
        let mut row = vec!["0".to_owned()];
        row.resize(10, String::new());
        return row;
    };
    let share = |of: fn(&OutcomeShares) -> DrawEstimate| {
        summary.shares.as_ref().map_or("-".to_owned(), |shares| format!("{:.4}", of(shares).mean))
    };
    vec![
        accuracy.draws.to_string(),
        format!("{:.1}", summary.mean_faults),
        format!("{:.4}", accuracy.mean),
        accuracy.interval.map_or("-".to_owned(), |(low, high)| format!("{low:.4}..{high:.4}")),
        summary.chip_std.map_or("-".to_owned(), |std| format!("{std:.4}")),
        summary.worst.map_or("-".to_owned(), |worst| format!("{:.4}", worst.accuracy)),
        signed(summary.golden_accuracy - accuracy.mean),
        share(|shares| shares.sdc),
        share(|shares| shares.critical),
        share(|shares| shares.due),
    ]
}

fn faults_row(summary: &ConditionSummary) -> Vec<String> {
    let drawn = summary.accuracy.map_or(0, |accuracy| accuracy.draws as u64);
    let mut row = vec![grouped(summary.condition.sites), grouped(drawn)];
    let (Some(faults), Some(accuracy)) = (&summary.faults, &summary.accuracy) else {
        row.resize(7, String::new());
        return row;
    };
    let (low, high) = faults.critical.wilson;
    let share = |count: u64| format!("{:.4}", count as f64 / summary.outcomes.images as f64);
    row.extend([
        format!("{:.4}", faults.critical.estimate),
        format!("{low:.4}..{high:.4}"),
        signed(summary.golden_accuracy - accuracy.mean),
        share(summary.outcomes.sdc),
        share(summary.outcomes.due),
    ]);
    row
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

//! An experiment's results in a table or as JSON.

use std::io::Write;

use anyhow::Result;
use temper_report::{CampaignOutcome, ExperimentSummary, TrainingOutcome, VariantSummary};
use temper_train::experiment::State;

use super::table::{Table, grouped, percent};
use crate::cli::print_json;

/// Prints it.
pub(crate) fn print(summary: &ExperimentSummary, json: bool, out: &mut dyn Write) -> Result<()> {
    if json {
        return print_json(summary, out);
    }
    let has_training = summary.variants.iter().any(|variant| variant.training.is_some());
    if has_training {
        let mut table = Table::new(&["variant", "training", "test accuracy"]).right(2);
        for variant in &summary.variants {
            table.row(training_row(variant));
        }
        writeln!(out, "{table}")?;
    }
    let interval = format!("{} interval", percent(summary.confidence));
    for name in &summary.campaigns {
        let headings = ["variant", "worst condition", "golden", "accuracy", &interval, "gain", &interval];
        let mut table = (2..headings.len()).fold(Table::new(&headings), Table::right);
        for variant in &summary.variants {
            if let Some(campaign) = variant.campaigns.iter().find(|campaign| campaign.name == *name) {
                table.row(campaign_row(variant, campaign));
            }
        }
        writeln!(out, "campaign {name}\n{table}")?;
    }
    for VariantSummary { name, problem, .. } in &summary.variants {
        if let Some(problem) = problem {
            writeln!(out, "cannot be run: {name}: {problem}")?;
        }
    }
    writeln!(
        out,
        "accuracy: mean over draws under the variant's worst condition, with Student's t interval; gain: above what the variant\n\
         it is compared with keeps under that one's worst condition"
    )?;
    Ok(())
}

fn training_row(variant: &VariantSummary) -> [String; 3] {
    let Some(TrainingOutcome { state, verdict, test_accuracy, .. }) = &variant.training else {
        return [variant.name.clone(), "-".to_owned(), String::new()];
    };
    let what = match verdict {
        Some(verdict) => verdict.short().to_owned(),
        None => describe(state, "epochs"),
    };
    [variant.name.clone(), what, test_accuracy.map_or(String::new(), |accuracy| format!("{accuracy:.4}"))]
}

fn campaign_row(variant: &VariantSummary, campaign: &CampaignOutcome) -> Vec<String> {
    let interval = |bounds: Option<(f64, f64)>| {
        bounds.map_or(String::new(), |(low, high)| format!("{low:.4}..{high:.4}"))
    };
    let mut row = vec![variant.name.clone()];
    if let Some(worst) = &campaign.worst {
        row.push(match (&campaign.state, worst.condition.as_str()) {
            (State::Done, condition) => condition.to_owned(),
            (state, "") => describe(state, "trials"),
            (state, condition) => format!("{condition} ({})", describe(state, "trials")),
        });
        row.extend([worst.golden_accuracy, worst.accuracy].map(|share| format!("{share:.4}")));
        row.push(interval(worst.interval));
    } else {
        row.push(describe(&campaign.state, "trials"));
        row.resize(row.len() + 3, String::new());
    }
    match &campaign.gain {
        Some(gain) => {
            let (low, high) = gain.interval;
            row.extend([format!("{:+.4}", gain.difference), format!("{low:+.4}..{high:+.4}")]);
        }
        None => row.extend([String::new(), String::new()]),
    }
    row
}

/// A state in words.
pub(crate) fn describe(state: &State, unit: &str) -> String {
    state.describe(unit, grouped)
}

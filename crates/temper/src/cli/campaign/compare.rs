//! `temper campaign compare`: two campaigns, condition by condition.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use temper_core::analysis::{ComparedCondition, Comparison, Difference, Pairing, Side, compare};
use temper_core::campaign::{CampaignDir, label};

use crate::cli::print_json;
use crate::output::table::{Table, percent};

/// Arguments of `temper campaign compare`.
#[derive(Debug, Args)]
pub(super) struct CompareArgs {
    /// Folder of the first campaign
    first: PathBuf,
    /// Folder of the second campaign; differences are the second minus the first
    second: PathBuf,
    /// Confidence level of every interval
    #[arg(long, value_name = "C", default_value_t = 0.95)]
    confidence: f64,
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &CompareArgs, out: &mut dyn Write) -> Result<()> {
    let open = |path: &PathBuf| -> Result<_> {
        let dir = CampaignDir::open(path)?;
        let records = dir.records().with_context(|| path.display().to_string())?.by_trial;
        if dir.info().schedule(&records).pending().next().is_some() {
            eprintln!("note: {} is not complete; what is recorded is compared", path.display());
        }
        Ok((dir, records))
    };
    let (first, second) = (open(&args.first)?, open(&args.second)?);
    let comparison = compare(
        Side { info: first.0.info(), records: &first.1 },
        Side { info: second.0.info(), records: &second.1 },
        args.confidence,
    )?;
    if args.json { print_json(&comparison, out) } else { print_tables(&comparison, out) }
}

/// One of a condition's differences.
type OfCondition = fn(&ComparedCondition) -> &Difference;

fn print_tables(comparison: &Comparison, out: &mut dyn Write) -> Result<()> {
    let heading = format!("{} interval", percent(comparison.confidence));
    let quantities: [(&str, OfCondition); 2] = [
        ("accuracy", |condition| &condition.accuracy),
        ("accuracy drop", |condition| &condition.accuracy_drop),
    ];
    for (name, difference) in quantities {
        let headings = [
            "condition",
            "draws",
            "paired",
            "first",
            "second",
            name,
            &heading,
            "p",
            "p (Holm)",
            "Wilcoxon p",
            "(Holm)",
        ];
        let mut table = (3..headings.len()).fold(Table::new(&headings), Table::right);
        for condition in &comparison.conditions {
            table.row(row(condition, name, difference(condition)));
        }
        writeln!(out, "{table}")?;
    }
    writeln!(
        out,
        "differences are the second minus the first; an interval holds by itself, Holm's p over all conditions"
    )?;
    for condition in &comparison.conditions {
        if let Pairing::Unpaired { reasons } = &condition.pairing {
            writeln!(out, "not paired{}: {}", of(&label(&condition.swept)), reasons.join("; "))?;
        }
    }
    for (side, conditions) in [("first", &comparison.only_first), ("second", &comparison.only_second)] {
        if !conditions.is_empty() {
            writeln!(out, "only in the {side}: {}", conditions.join("; "))?;
        }
    }
    Ok(())
}

fn row(condition: &ComparedCondition, name: &str, difference: &Difference) -> Vec<String> {
    let means = if name == "accuracy" {
        condition.mean_accuracy
    } else {
        let (golden, mean) = (condition.golden_accuracy, condition.mean_accuracy);
        (golden.0 - mean.0, golden.1 - mean.1)
    };
    let (first, second) = condition.draws;
    let p = |p: Option<f64>| p.map_or("-".to_owned(), |p| format!("{p:.2e}"));
    let (low, high) = difference.mean.interval;
    vec![
        label(&condition.swept),
        if first == second { first.to_string() } else { format!("{first}, {second}") },
        if condition.pairing == Pairing::Paired { "yes" } else { "no" }.to_owned(),
        format!("{:.4}", means.0),
        format!("{:.4}", means.1),
        format!("{:+.4}", difference.mean.difference),
        format!("{low:+.4}..{high:+.4}"),
        p(difference.mean.p_value),
        p(difference.adjusted_p_value),
        p(difference.signed_rank.map(|test| test.p_value)),
        p(difference.adjusted_signed_rank_p_value),
    ]
}

/// ` in …`, if there is anything to name.
fn of(label: &str) -> String {
    if label.is_empty() { String::new() } else { format!(" in {label}") }
}

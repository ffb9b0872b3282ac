//! `temper campaign gate`: whether a network keeps within limits.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueEnum};
use serde::Serialize;
use temper_core::analysis::{AccuracyFloor, ConditionFilter, GateOptions, Limits, Verdict, judge, samples};
use temper_core::campaign::CampaignDir;
use temper_core::statistics::Guard;

use crate::cli::print_json;
use crate::exit::{NotMet, Unfinished};
use crate::output::table::Table;

/// Arguments of `temper campaign gate`.
#[derive(Debug, Args)]
pub(super) struct GateArgs {
    /// Folder of the campaign
    dir: PathBuf,
    /// The mean accuracy drop (golden minus faulty) may be at most this, such as 0.01
    #[arg(long, value_name = "X")]
    max_accuracy_drop: Option<f64>,
    /// The share of images with silent data corruption may be at most this
    #[arg(long, value_name = "X")]
    max_sdc_rate: Option<f64>,
    /// The share of images with a detectable, unrecoverable error may be at most this
    #[arg(long, value_name = "X")]
    max_due_rate: Option<f64>,
    /// The share of draws with an accuracy of at least --accuracy must be at least this
    #[arg(long, value_name = "X", requires = "floor")]
    min_yield: Option<f64>,
    #[command(flatten)]
    floor: Floor,
    /// Confidence of each one-sided bound, above 0.5
    #[arg(long, value_name = "C", default_value_t = 0.95)]
    confidence: f64,
    /// What is made of outcomes that have not been drawn
    #[arg(long, default_value = "equal-draws")]
    guard: GuardArg,
    /// Judge only conditions with these swept values
    #[arg(long, value_name = "AXIS = VALUE, …")]
    condition: Option<ConditionFilter>,
    /// Judge what is recorded of a campaign that is not complete
    #[arg(long)]
    partial: bool,
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
}

/// The accuracy that a good draw has.
#[derive(Debug, Args)]
#[group(id = "floor", multiple = false, requires = "min_yield")]
struct Floor {
    /// For --min-yield: the accuracy of a good draw
    #[arg(long, value_name = "X")]
    accuracy: Option<f64>,
    /// For --min-yield: a good draw loses at most this of the golden accuracy
    #[arg(long, value_name = "X")]
    accuracy_drop: Option<f64>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum GuardArg {
    /// Widen the bounds of draws that are all equal
    EqualDraws,
    /// Widen all bounds: rare ruined chips may not have been met
    UnseenOutcomes,
}

impl GateArgs {
    fn limits(&self) -> Limits {
        let at_least = self.floor.accuracy.map(AccuracyFloor::AtLeast);
        let floor = at_least.or(self.floor.accuracy_drop.map(AccuracyFloor::BelowGolden));
        Limits {
            max_accuracy_drop: self.max_accuracy_drop,
            max_sdc_rate: self.max_sdc_rate,
            max_due_rate: self.max_due_rate,
            min_yield: self.min_yield.zip(floor),
        }
    }

    fn options(&self) -> GateOptions {
        let guard = match self.guard {
            GuardArg::EqualDraws => Guard::EqualDraws,
            GuardArg::UnseenOutcomes => Guard::UnseenOutcomes,
        };
        GateOptions { confidence: self.confidence, guard }
    }
}

/// What is printed.
#[derive(Debug, Serialize)]
struct Report<'a> {
    campaign: &'a str,
    complete: bool,
    limits: Limits,
    #[serde(flatten)]
    verdict: &'a Verdict,
}

pub(super) fn run(args: &GateArgs, out: &mut dyn Write) -> Result<()> {
    let dir = CampaignDir::open(&args.dir)?;
    let (info, records) = (dir.info(), dir.records()?.by_trial);
    let complete = info.schedule(&records).pending().next().is_none();
    if !complete && !args.partial {
        return Err(Unfinished { recorded: records.len() as u64, planned: info.plan.len() }.into());
    }
    let mut samples = samples(info, &records)?;
    if let Some(filter) = &args.condition {
        samples = filter.choose(samples)?;
    }
    let limits = args.limits();
    let verdict = judge(&samples, &limits, &args.options())?;
    if args.json {
        print_json(&Report { campaign: &info.identity.campaign, complete, limits, verdict: &verdict }, out)?;
    } else {
        print_table(&verdict, complete, out)?;
    }
    if verdict.is_met {
        return Ok(());
    }
    // The table belongs before the error.
    out.flush()?;
    let failed = verdict.checks.iter().filter(|check| !check.is_met).count();
    Err(NotMet { failed, all: verdict.checks.len() }.into())
}

fn print_table(verdict: &Verdict, complete: bool, out: &mut dyn Write) -> Result<()> {
    let headings = ["condition", "quantity", "draws", "estimate", "bound", "limit", "met"];
    let mut table = (2..6).fold(Table::new(&headings), Table::right);
    for check in &verdict.checks {
        table.row([
            check.condition.clone(),
            check.quantity.name().to_owned(),
            check.draws.to_string(),
            format!("{:.6}", check.estimate),
            format!("{:.6}", check.bound),
            check.limit.to_string(),
            if check.is_met { "yes" } else { "no" }.to_owned(),
        ]);
    }
    write!(out, "{table}")?;
    writeln!(
        out,
        "\nbounds are one-sided, at confidence {} each: lower for a yield, upper for the others; a limit is met if the bound keeps it",
        verdict.options.confidence
    )?;
    if !complete {
        writeln!(out, "the campaign is not complete: this is no verdict on the whole of it")?;
    }
    Ok(())
}

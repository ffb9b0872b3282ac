//! `temper campaign`: from a specification to records, and from records to answers.

mod compare;
mod export;
mod gate;
pub(crate) mod plan;
mod replay;
pub(crate) mod run;
mod size;
pub(crate) mod spec;
mod vulnerability;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use temper_core::analysis::AccuracyFloor;
use temper_core::campaign::{CampaignDir, Records};

use self::compare::CompareArgs;
use self::export::ExportArgs;
use self::gate::GateArgs;
use self::replay::ReplayArgs;
use self::run::RunArgs;
use self::size::SizeArgs;
use self::spec::SpecArgs;
use self::vulnerability::VulnerabilityArgs;
use crate::output::summary::CampaignReport;
use crate::output::table::grouped;

/// Arguments of `temper campaign`.
#[derive(Debug, Args)]
pub(crate) struct CampaignArgs {
    #[command(subcommand)]
    command: CampaignCommand,
}

#[derive(Debug, Subcommand)]
enum CampaignCommand {
    /// Run a campaign, or go on with it: what is recorded already is not run again
    Run(RunArgs),
    /// Check a specification and show what it would run
    Plan {
        #[command(flatten)]
        spec: SpecArgs,
        /// Print JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// Show how far a campaign is, and its results so far
    Status {
        /// Folder of the campaign
        dir: PathBuf,
        /// Show the yield too: the share of draws with at least this accuracy, with a Clopper-Pearson interval
        #[arg(long, value_name = "ACCURACY")]
        yield_at: Option<f64>,
        /// Print JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// Merge the records of one campaign from several folders into a new one
    Merge {
        /// Folders of the campaign
        #[arg(value_name = "DIR", required = true)]
        dirs: Vec<PathBuf>,
        /// Folder to make; appears whole or not at all
        #[arg(short, long, value_name = "DIR")]
        output: PathBuf,
        /// Print JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// Write a campaign's records, one row or object a trial, or its faults
    Export(ExportArgs),
    /// Run one recorded trial again, alone, and show how its faults travel through the layers
    Replay(ReplayArgs),
    /// Show which layers and bits matter, and failures in time
    Vulnerability(VulnerabilityArgs),
    /// Compare two campaigns, condition by condition
    Compare(CompareArgs),
    /// Check that a campaign keeps within limits: exit code 5 if not
    Gate(GateArgs),
    /// Say how many faults a statistical campaign needs
    Size(SizeArgs),
}

pub(super) fn run(args: &CampaignArgs, out: &mut (dyn Write + Send)) -> Result<()> {
    match &args.command {
        CampaignCommand::Run(args) => run::run(args, out),
        CampaignCommand::Plan { spec, json } => plan::run(spec, *json, out),
        CampaignCommand::Status { dir, yield_at, json } => {
            let floor = yield_at.map(AccuracyFloor::AtLeast);
            CampaignReport::new(&CampaignDir::open(dir)?, floor)?.print(*json, out)
        }
        CampaignCommand::Merge { dirs, output, json } => report(&merge(dirs, output)?, *json, out),
        CampaignCommand::Export(args) => export::run(args, out),
        CampaignCommand::Replay(args) => replay::run(args, out),
        CampaignCommand::Vulnerability(args) => vulnerability::run(args, out),
        CampaignCommand::Compare(args) => compare::run(args, out),
        CampaignCommand::Gate(args) => gate::run(args, out),
        CampaignCommand::Size(args) => size::run(args, out),
    }
}

/// Prints what a directory's records amount to, and says where they are.
fn report(dir: &CampaignDir, json: bool, out: &mut dyn Write) -> Result<()> {
    CampaignReport::new(dir, None)?.print(json, out)?;
    out.flush()?;
    eprintln!("records: {}", dir.path().display());
    Ok(())
}

fn merge(dirs: &[PathBuf], output: &Path) -> Result<CampaignDir> {
    let dirs = dirs.iter().map(|dir| CampaignDir::open(dir)).collect::<Result<Vec<_>, _>>()?;
    let (first, others) = dirs.split_first().context("expected a folder to merge, found none")?;
    let (merged, records) = first.merge(others, output)?;
    note_torn(&records);
    note_missing(&merged, &records, "in none of these folders");
    Ok(merged)
}

fn note_torn(Records { torn, .. }: &Records) {
    if *torn > 0 {
        eprintln!("note: {torn} unfinished records of killed runs are dropped; their trials run again");
    }
}

/// Says how many trials are still to be run.
fn note_missing(dir: &CampaignDir, records: &Records, what: &str) {
    let missing = dir.info().schedule(&records.by_trial).missing();
    if missing > 0 {
        let all = records.by_trial.len() as u64 + missing;
        eprintln!("note: {} of {} trials are {what}", grouped(missing), grouped(all));
    }
}

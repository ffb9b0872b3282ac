//! `temper campaign export`.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};
use temper_core::campaign::{CampaignDir, DrawImages, Trial};
use temper_core::fault::{FaultList, ListedFault};
use temper_core::write_atomically;

use super::note_missing;
use super::replay::{ensure_same, find, load};
use crate::cli::data_dir::DATA_DIR_HELP;
use crate::cli::print_json;
use crate::output::export::TrialColumns;
use crate::progress::Inferences;

/// Arguments of `temper campaign export`.
#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// Folder of the campaign
    dir: PathBuf,
    /// Form of the output
    #[arg(long, default_value = "csv")]
    format: Format,
    /// File to write, whole or not at all [default: standard output; required for parquet]
    #[arg(short, long, value_name = "FILE", required_if_eq("format", "parquet"))]
    output: Option<PathBuf>,
    /// Write the faults of the recorded trials instead, as a list that a `[[fault]]` can read
    #[arg(long)]
    faults: bool,
    /// The only trial whose faults are written
    #[arg(long, value_name = "ID", requires = "faults", conflicts_with = "condition")]
    trial: Option<u64>,
    /// The only condition whose faults are written; needed if there are several
    #[arg(long, value_name = "ID", requires = "faults")]
    condition: Option<usize>,
    /// Model file, if it is no longer where it was; for --faults
    #[arg(long, value_name = "FILE", requires = "faults")]
    model: Option<PathBuf>,
    #[arg(long, value_name = "DIR", help = DATA_DIR_HELP, requires = "faults")]
    data_dir: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum Format {
    Csv,
    Json,
    Parquet,
}

pub(super) fn run(args: &ExportArgs, out: &mut (dyn Write + Send)) -> Result<()> {
    let dir = CampaignDir::open(&args.dir)?;
    let mut content = Vec::new();
    if args.faults {
        write_faults(&faults(args, &dir)?, args.format, &mut content)?;
    } else {
        let records = dir.records()?;
        note_missing(&dir, &records, "not done yet");
        write(&TrialColumns::new(dir.info(), &records), args.format, &mut content)?;
    }
    match &args.output {
        None => Ok(out.write_all(&content)?),
        Some(file) => write_file(file, &content).with_context(|| format!("cannot write {}", file.display())),
    }
}

/// The faults of the chosen trials. Those of several are told apart by their draw.
fn faults(args: &ExportArgs, dir: &CampaignDir) -> Result<FaultList> {
    let plan = &dir.info().plan;
    let records = dir.records()?.by_trial;
    let schedule = dir.info().schedule(&records);
    let loaded = load(dir, args.model.as_deref(), args.data_dir.as_deref())?;
    let campaign = loaded.campaign()?;
    ensure_same(dir, &campaign)?;
    // Which images a draw runs follows from the golden outputs.
    let golden = (plan.draw_images != DrawImages::All).then(|| {
        let bar = Inferences::new("golden run", plan.images * campaign.golden_runs() as u64);
        let golden = campaign.golden(&bar);
        bar.finish();
        golden
    });
    let faults_of = |trial: Trial| {
        let images = golden.as_ref().and_then(|golden| campaign.images_of(golden, trial));
        campaign.listed_faults(trial, images.as_deref())
    };
    if let Some(id) = args.trial {
        let trial = find(plan, &schedule, id)?;
        return Ok(faults_of(trial));
    }
    let condition = match (args.condition, plan.conditions.len()) {
        (Some(condition), all) => {
            ensure!(condition < all, "--condition: expected 0 to {}, found {condition}", all - 1);
            condition
        }
        (None, 1) => 0,
        (None, all) => {
            bail!("there are {all} conditions: choose one with --condition, or one trial with --trial")
        }
    };
    let trials =
        records.keys().filter_map(|&id| schedule.find(id)).filter(|trial| trial.condition == condition);
    let rows = trials.flat_map(|trial| {
        let faults = faults_of(trial);
        faults.into_iter().map(move |fault| ListedFault { draw: Some(trial.draw), ..fault })
    });
    Ok(rows.collect())
}

fn write_faults(faults: &FaultList, format: Format, out: &mut Vec<u8>) -> Result<()> {
    match format {
        Format::Csv => {
            let mut csv = csv::Writer::from_writer(out);
            for fault in faults {
                csv.serialize(fault)?;
            }
            Ok(csv.flush()?)
        }
        Format::Json => print_json(faults, out),
        Format::Parquet => bail!("--faults: expected csv or json, found parquet"),
    }
}

fn write(columns: &TrialColumns, format: Format, out: &mut Vec<u8>) -> Result<()> {
    match format {
        Format::Csv => columns.csv(out),
        Format::Json => columns.json(out),
        Format::Parquet => columns.parquet(out),
    }
}

/// Writes a file whole or not at all. What is there but is no ordinary file, such as a pipe or a device, is written to as it
/// stands: renaming would put a file in its place.
fn write_file(path: &Path, content: &[u8]) -> std::io::Result<()> {
    match fs::metadata(path) {
        Ok(found) if !found.is_file() => OpenOptions::new().write(true).open(path)?.write_all(content),
        _ => write_atomically(path, content),
    }
}

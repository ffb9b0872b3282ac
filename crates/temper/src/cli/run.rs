//! `temper run`: an experiment, a study, or the quickstart.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;

use super::data_dir::{DATA_DIR_HELP, resolve_data_dir};
use super::device::DeviceArgs;
use super::{Threads, preset, study};
use crate::experiment::Request;
use crate::quickstart;

/// What names a built-in specification.
const PRESET: &str = "preset:";

/// Arguments of `temper run`.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// `quickstart`: small networks learn to read the built-in handwritten digits and are struck by bit flips, no files needed, seconds;
    /// `preset:NAME`: a built-in experiment or study (see `temper preset list`); or a file (see docs/experiment-reference.md and
    /// docs/study-reference.md)
    #[arg(value_name = "quickstart | preset:NAME | FILE")]
    experiment: String,
    /// Folder for the results; the same experiment in the same folder goes on where it was stopped, and what is unchanged is not run
    /// again [default: temper-NAME]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Of an experiment run only `train`, `campaign`, `report`, or the campaigns or variants of that name, and what these need; may be
    /// given several times
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Show what of an experiment would be run, and guess how long it takes; nothing is written
    #[arg(long)]
    dry_run: bool,
    /// Trainings and campaigns of an experiment that run at a time; they share the threads
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: u16,
    #[arg(long, value_name = "DIR", help = DATA_DIR_HELP)]
    data_dir: Option<PathBuf>,
    /// Print the summary as JSON instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    threads: Threads,
}

pub(super) fn run(args: &RunArgs, out: &mut (dyn Write + Send)) -> Result<()> {
    let name = args.experiment.as_str();
    let stem = Path::new(name.trim_start_matches(PRESET)).file_stem().unwrap_or_default();
    let output = args.output.clone().unwrap_or_else(|| format!("temper-{}", stem.display()).into());
    let device = args.device.open()?;
    let request = |text, base, data| Request {
        name,
        text,
        base,
        data,
        output: &output,
        only: &args.only,
        jobs: usize::from(args.jobs),
        threads: args.threads.count(),
        device: &device,
        json: args.json,
    };
    if name == "quickstart" {
        // The digits are part of the program: no folder of data is looked into.
        let request = request(quickstart::EXPERIMENT, &output, &output);
        return if args.dry_run { request.dry_run(out) } else { quickstart::run(&request, out) };
    }
    let text = match name.strip_prefix(PRESET) {
        Some(name) => preset::find_run(name)?.text.into_owned(),
        None => fs::read_to_string(name).with_context(|| {
            format!("cannot read {name}: expected quickstart, preset:NAME, or the file of an experiment or a study")
        })?,
    };
    let base = Path::new(name).parent().unwrap_or_else(|| "".as_ref());
    let data = resolve_data_dir(args.data_dir.as_deref())?;
    if is_study(&text) {
        if args.dry_run || !args.only.is_empty() {
            bail!("{name} is a study of chips and repairs, which has neither --only nor --dry-run");
        }
        let run = || study::run(name, &text, (base, &output, &data), &device, args.json, out);
        return args.threads.install(run)?;
    }
    let request = request(&text, base, &data);
    if args.dry_run { request.dry_run(out) } else { request.run(out) }
}

/// Whether a text describes a study: only that has a golden network.
fn is_study(text: &str) -> bool {
    text.parse::<toml::Table>().is_ok_and(|table| table.contains_key("golden"))
}

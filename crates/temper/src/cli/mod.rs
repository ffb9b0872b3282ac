//! The command line.

pub(crate) mod campaign;
pub(crate) mod data;
pub(crate) mod data_dir;
mod device;
mod eval;
mod model;
mod model_import;
pub(crate) mod preset;
pub(crate) mod report;
mod study;
pub(crate) mod train;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use serde::Serialize;

use crate::{exit, quickstart};

/// Find out how a neural network fails on faulty hardware.
///
/// Strikes the stored weights of a trained network with bit flips and other faults, runs it on real images, and tells what that
/// costs, with intervals. Results go to standard output, talk and progress to standard error.
#[derive(Debug, Parser)]
#[command(version, after_help = exit::HELP)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List, verify and fetch data sets
    Data(data::DataArgs),
    /// Import trained networks, and look at them
    Model(model::ModelArgs),
    /// Measure a network's accuracy without faults
    Eval(eval::EvalArgs),
    /// Strike a network many times and measure what it costs
    Campaign(campaign::CampaignArgs),
    /// Train a network, with quantisation and faults in the loop if wanted
    Train(train::TrainArgs),
    /// Make a page, figures and tables of what a campaign, a training or a study has recorded
    Report(report::ReportArgs),
    /// List and show built-in campaigns and studies, with their sources
    Preset(preset::PresetArgs),
    /// Run a whole experiment: the quickstart, or a study of chips and repairs
    Run(RunArgs),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

#[derive(Debug, Args)]
struct RunArgs {
    /// `quickstart`: a small network learns to read the built-in handwritten digits and is struck by bit flips, no files needed, seconds;
    /// `preset:NAME`: a built-in study (see `temper preset list`); or a study's file (see docs/study-reference.md)
    #[arg(value_name = "quickstart | preset:NAME | FILE")]
    experiment: String,
    /// Folder for the results; the same experiment in the same folder goes on where it was stopped [default: temper-NAME]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    #[arg(long, value_name = "DIR", help = data_dir::DATA_DIR_HELP)]
    data_dir: Option<PathBuf>,
    /// Print a study's summary as JSON instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: device::DeviceArgs,
    #[command(flatten)]
    threads: Threads,
}

impl RunArgs {
    fn run(&self, out: &mut (dyn Write + Send)) -> Result<()> {
        let name = Path::new(self.experiment.trim_start_matches("preset:")).file_stem().unwrap_or_default();
        let output = self.output.clone().unwrap_or_else(|| format!("temper-{}", name.display()).into());
        let device = self.device.open()?;
        if self.experiment == "quickstart" {
            return self.threads.install(|| quickstart::run(&output, &device, out))?;
        }
        let data_dir = self.data_dir.as_deref();
        self.threads.install(|| study::run(&self.experiment, &output, data_dir, &device, self.json, out))?
    }
}

/// How many threads compute. Results do not depend on it.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Threads {
    /// Number of threads [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
}

impl Threads {
    /// Runs `work` on that many threads.
    pub(crate) fn install<T: Send>(self, work: impl FnOnce() -> T + Send) -> Result<T> {
        let threads = self.threads.map_or(0, usize::from);
        let pool =
            rayon::ThreadPoolBuilder::new().num_threads(threads).build().context("cannot start threads")?;
        Ok(pool.install(work))
    }
}

/// Runs a command; what it is asked for goes to `out`.
pub(crate) fn run(arguments: &Arguments, out: &mut (dyn Write + Send)) -> Result<()> {
    match &arguments.command {
        Command::Data(args) => data::run(args, out),
        Command::Model(args) => model::run(args, out),
        Command::Eval(args) => eval::run(args, out),
        Command::Campaign(args) => campaign::run(args, out),
        Command::Train(args) => train::run(args, out),
        Command::Report(args) => report::run(args, out),
        Command::Preset(args) => preset::run(args, out),
        Command::Run(args) => args.run(out),
        Command::Completions { shell } => {
            // Into memory first: the generator panics where its output is closed early.
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Arguments::command(), "temper", &mut script);
            Ok(out.write_all(&script)?)
        }
    }
}

/// Prints a value as JSON.
pub(crate) fn print_json(value: &impl Serialize, out: &mut dyn Write) -> Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)?;
    Ok(())
}

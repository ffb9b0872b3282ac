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
mod run;
mod status;
mod study;
pub(crate) mod train;

use std::io::Write;

use anyhow::{Context, Result};
use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use serde::Serialize;

use crate::exit;

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
    /// Show how far an experiment, a campaign, a training or a study is
    Status(status::StatusArgs),
    /// Make a page, figures and tables of what an experiment, a campaign, a training or a study has recorded
    Report(report::ReportArgs),
    /// List and show built-in campaigns and studies, with their sources
    Preset(preset::PresetArgs),
    /// Run a whole experiment: trainings, campaigns and a report from one file; the quickstart; or a study of chips and repairs
    Run(run::RunArgs),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// How many threads compute. Results do not depend on it.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Threads {
    /// Number of threads [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
}

impl Threads {
    /// The number.
    pub(crate) fn count(self) -> usize {
        self.threads.map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), usize::from)
    }

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
        Command::Status(args) => status::run(args, out),
        Command::Report(args) => report::run(args, out),
        Command::Preset(args) => preset::run(args, out),
        Command::Run(args) => run::run(args, out),
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

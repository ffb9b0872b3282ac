//! `temper status`: how far something is.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result};
use clap::Args;
use serde::Serialize;
use temper_core::campaign::CampaignDir;
use temper_report::DirectoryKind;
use temper_train::experiment::{ExperimentDir, Stage, State};
use temper_train::recipe::RecipeSpec;
use temper_train::study::{StudyRecord, StudySpec};
use temper_train::training::EpochRecord;

use super::print_json;
use crate::experiment::title;
use crate::output::experiment::describe;
use crate::output::table::{Table, duration, grouped};

/// Arguments of `temper status`.
#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// Folder of an experiment, a campaign, a training or a study
    dir: PathBuf,
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
}

/// How far something is.
#[derive(Debug, Serialize)]
struct Status {
    kind: DirectoryKind,
    #[serde(flatten)]
    state: State,
    /// What `done` and `all` count.
    unit: &'static str,
    /// Seconds since anything was last written.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_written_s: Option<f64>,
    /// The trainings and campaigns of an experiment.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stages: Vec<StageStatus>,
    /// Variants of an experiment that make no sense, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<String>,
}

/// How far a training or a campaign of an experiment is.
#[derive(Debug, Serialize)]
struct StageStatus {
    stage: String,
    folder: PathBuf,
    #[serde(flatten)]
    state: State,
    unit: &'static str,
}

/// So much recorded, of so much.
fn state(done: usize, all: usize) -> State {
    match done {
        0 => State::Waiting,
        done if done >= all => State::Done,
        done => State::Begun { done: done as u64, all: all as u64 },
    }
}

pub(super) fn run(args: &StatusArgs, out: &mut dyn Write) -> Result<()> {
    let dir = &args.dir;
    let kind = DirectoryKind::find(dir)?;
    let (state, unit, stages, problems) = match kind {
        DirectoryKind::Experiment => {
            let experiment = ExperimentDir::read(dir)?;
            let stages: Vec<StageStatus> =
                experiment.stages().map(|stage| of_stage(&experiment, stage)).collect();
            // What failed or is left out is settled: the next run may try it again, this one is over.
            let is_open = |stage: &&StageStatus| {
                matches!(stage.state, State::Waiting | State::Begun { .. } | State::Unreadable { .. })
            };
            let open = stages.iter().filter(is_open).count();
            let variants = experiment.plan.variants.iter();
            let problems = variants
                .filter_map(|variant| Some(format!("{}: {}", variant.name, variant.problem.as_ref()?)));
            (state(stages.len() - open, stages.len()), "trainings and campaigns", stages, problems.collect())
        }
        DirectoryKind::Campaign => {
            let campaign = CampaignDir::open(dir)?;
            let records = campaign.records()?.by_trial;
            let missing = campaign.info().schedule(&records).missing() as usize;
            (state(records.len(), records.len() + missing), "trials", Vec::new(), Vec::new())
        }
        DirectoryKind::Training => (of_training(dir)?, "epochs", Vec::new(), Vec::new()),
        DirectoryKind::Study => {
            let path = dir.join("study.toml");
            let text =
                fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let spec = StudySpec::parse(&text).with_context(|| path.display().to_string())?;
            let records = StudyRecord::read_all(dir)?.len();
            (state(records, spec.records(spec.conditions()?.len())), "records", Vec::new(), Vec::new())
        }
    };
    let status = Status { kind, state, unit, last_written_s: since_written(dir), stages, problems };
    if args.json { print_json(&status, out) } else { print(&status, out) }
}

fn of_stage(experiment: &ExperimentDir, stage: Stage) -> StageStatus {
    let unit = match stage {
        Stage::Training(_) => "epochs",
        Stage::Campaign(_) => "trials",
    };
    StageStatus {
        stage: title(experiment, stage),
        folder: experiment.relative(stage).to_owned(),
        state: experiment.state(stage),
        unit,
    }
}

fn of_training(dir: &Path) -> Result<State> {
    let path = dir.join("recipe.toml");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let recipe = RecipeSpec::parse(&text).with_context(|| path.display().to_string())?;
    let history = EpochRecord::read_all(&dir.join("history.jsonl"))?;
    // A loss that became no number ends a training early.
    Ok(if dir.join("result.json").is_file() { State::Done } else { state(history.len(), recipe.epochs()) })
}

/// Files of a directory that are looked at for the time they were written; of more the rest hardly matters.
const MOST_FILES: usize = 100_000;

/// Seconds since anything below a directory was written, reports aside.
fn since_written(dir: &Path) -> Option<f64> {
    let mut newest: Option<SystemTime> = None;
    let (mut open, mut seen) = (vec![dir.to_owned()], 0);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).ok()?.flatten().take(MOST_FILES) {
            seen += 1;
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() && entry.file_name() != super::report::REPORT && seen < MOST_FILES {
                open.push(entry.path());
            } else if metadata.is_file() {
                newest = newest.max(metadata.modified().ok());
            }
        }
    }
    Some(newest?.elapsed().unwrap_or_default().as_secs_f64())
}

fn print(status: &Status, out: &mut dyn Write) -> Result<()> {
    if !status.stages.is_empty() {
        let mut table = Table::new(&["stage", "state"]);
        for stage in &status.stages {
            let what = match &stage.state {
                State::Failed { reason } | State::Unreadable { reason } => {
                    format!("{}: {reason}", describe(&stage.state, stage.unit))
                }
                state => describe(state, stage.unit),
            };
            table.row([stage.stage.clone(), what]);
        }
        writeln!(out, "{table}")?;
    }
    for problem in &status.problems {
        writeln!(out, "cannot be run: {problem}")?;
    }
    let is_left_out =
        |stage: &&StageStatus| matches!(stage.state, State::Failed { .. } | State::Skipped { .. });
    let left_out = match status.stages.iter().filter(is_left_out).count() {
        0 => String::new(),
        left_out => format!(", {left_out} of them failed or left out"),
    };
    let kind = serde_json::to_value(status.kind)?;
    let what = match &status.state {
        State::Begun { done, all } => {
            let share = 100.0 * *done as f64 / *all as f64;
            format!("{} of {} {} are done ({share:.1} %)", grouped(*done), grouped(*all), status.unit)
        }
        State::Done => format!("all {} are done", status.unit),
        _ => format!("no {} are done yet", status.unit),
    };
    let ago = status
        .last_written_s
        .map_or(String::new(), |seconds| format!("; last written {} ago", duration(seconds)));
    writeln!(out, "{}: {what}{left_out}{ago}", kind.as_str().unwrap_or_default())?;
    Ok(())
}

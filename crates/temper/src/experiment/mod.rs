//! Experiments: one file, one command, one page.
//!
//! From the specification to a plan ([`inputs`]), from the plan to what is to be run ([`selection`], [`check`]), and one stage after another
//! ([`graph`], [`stage`]) into a directory that says of itself what it holds ([`record`], `temper_train::experiment::ExperimentDir`).

mod check;
mod dry_run;
mod graph;
mod inputs;
mod record;
mod selection;
mod stage;

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use rayon::{ThreadPool, ThreadPoolBuilder};
use temper_core::write_atomically;
use temper_train::device::Device;
use temper_train::experiment::{
    DirectoryError, ExperimentDir, ExperimentPlan, ExperimentSpec, Failures, PlannedCampaign, Stage, State,
};

use self::graph::Graph;
use self::inputs::Places;
use self::record::Log;
use self::stage::{Bench, Ended};
use crate::cli::report::REPORT;
use crate::exit::{CannotRun, PartlyFailed, StoppedExperiment};
use crate::output::experiment;
use crate::progress::{say, stop_on_ctrl_c};

/// The experiment's file in its directory.
const FILE: &str = "experiment.toml";

/// An experiment to be run, and how.
pub(crate) struct Request<'a> {
    /// What is shown in front of an error: its file, or `preset:NAME`.
    pub(crate) name: &'a str,
    /// The experiment.
    pub(crate) text: &'a str,
    /// The folder that its paths start at.
    pub(crate) base: &'a Path,
    /// The folder of the data sets.
    pub(crate) data: &'a Path,
    /// Its directory.
    pub(crate) output: &'a Path,
    /// Which stages; all, if empty.
    pub(crate) only: &'a [String],
    /// How many at a time.
    pub(crate) jobs: usize,
    /// Threads of all together.
    pub(crate) threads: usize,
    pub(crate) device: &'a Device,
    /// Whether the summary is JSON.
    pub(crate) json: bool,
}

impl Request<'_> {
    fn plan(&self) -> Result<ExperimentPlan> {
        let spec = ExperimentSpec::parse(self.text).with_context(|| self.name.to_owned())?;
        inputs::plan(&spec, self.places()).with_context(|| self.name.to_owned())
    }

    fn places(&self) -> Places<'_> {
        Places { base: self.base, data: self.data, output: self.output }
    }

    /// Shows what would be run, and what it would cost; writes nothing.
    pub(crate) fn dry_run(&self, out: &mut (dyn Write + Send)) -> Result<()> {
        let plan = self.plan()?;
        let chosen = selection::select(&plan, self.only)?;
        let mut dir = ExperimentDir::planned(self.output, plan);
        let bench = Bench { dir: &dir, places: self.places(), device: self.device, is_alone: true };
        let pending: Vec<Stage> =
            chosen.iter().copied().filter(|&stage| dir.state(stage) != State::Done).collect();
        let checked = pool(self.threads)?.install(|| bench.check(&pending, true));
        dry_run::print(&dir, &chosen, &checked, self.json, out)?;
        out.flush()?;
        dir.failures = checked.failures;
        match failed(&dir) {
            0 => Ok(()),
            parts => Err(CannotRun { parts }.into()),
        }
    }

    /// Runs what is not there yet, and reports.
    pub(crate) fn run(&self, out: &mut (dyn Write + Send)) -> Result<()> {
        self.check_folder()?;
        let plan = self.plan()?;
        let chosen = selection::select(&plan, self.only)?;
        let earlier = self.earlier_failures()?;
        let mut dir = ExperimentDir::planned(self.output, plan);
        // What is chosen is tried again.
        let kept = dir.stages().filter(|stage| !chosen.contains(stage)).map(|stage| dir.relative(stage));
        dir.failures =
            kept.filter_map(|folder| Some((folder.to_owned(), earlier.get(folder)?.clone()))).collect();
        let pending: Vec<Stage> =
            chosen.into_iter().filter(|&stage| dir.state(stage) != State::Done).collect();
        let problems = self.check(&dir, &pending)?;
        fs::create_dir_all(self.output).with_context(|| format!("cannot make {}", self.output.display()))?;
        let mut log = Log::open(self.output)?;
        dir.failures.extend(problems);
        dir.write()?;
        self.keep_text()?;
        log.begin(self.threads, self.jobs, self.only)?;
        for variant in &dir.plan.variants {
            if let Some(problem) = &variant.problem {
                eprintln!("warning: {}: {problem}", variant.name);
            }
        }
        let complete = self.run_stages(&mut dir, &pending, &mut log)?;
        self.report(out)?;
        match (complete, failed(&dir)) {
            (false, _) => Err(StoppedExperiment.into()),
            (true, 0) => Ok(()),
            (true, failed) => Err(PartlyFailed { failed }.into()),
        }
    }

    /// What failed in earlier runs. A damaged file is written anew; another version of the format is left alone.
    fn earlier_failures(&self) -> Result<Failures> {
        if !ExperimentDir::is_one(self.output) {
            return Ok(Failures::new());
        }
        match ExperimentDir::read(self.output) {
            Ok(dir) => Ok(dir.failures),
            Err(DirectoryError::Damaged { .. }) => Ok(Failures::new()),
            Err(error) => Err(error.into()),
        }
    }

    /// Refuses a folder that holds something else.
    fn check_folder(&self) -> Result<()> {
        let entries = match fs::read_dir(self.output) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) if error.kind() == ErrorKind::NotADirectory => {
                bail!("{} is a file; give a folder with -o", self.output.display())
            }
            entries => entries.with_context(|| format!("cannot read {}", self.output.display()))?,
        };
        if ExperimentDir::is_one(self.output) {
            return Ok(());
        }
        for entry in entries {
            let name = entry.with_context(|| format!("cannot read {}", self.output.display()))?.file_name();
            // A killed process may have left hidden files.
            if name != FILE && !name.to_string_lossy().starts_with('.') {
                bail!(
                    "{} holds files, but no experiment; give a new or an empty folder with -o",
                    self.output.display()
                );
            }
        }
        Ok(())
    }

    /// Why stages cannot be run; an error, where nothing would be left to do of all campaigns, or of all trainings without any.
    fn check(&self, dir: &ExperimentDir, pending: &[Stage]) -> Result<Failures> {
        let bench = Bench { dir, places: self.places(), device: self.device, is_alone: true };
        let problems = pool(self.threads)?.install(|| bench.check(pending, false)).failures;
        let fails = |stage: &Stage| {
            let needed = dir.needs(*stage).into_iter().chain([*stage]);
            needed.map(|stage| dir.relative(stage)).find_map(|folder| problems.get(folder))
        };
        let has_campaigns = pending.iter().any(|stage| matches!(stage, Stage::Campaign(_)));
        let wanted = || pending.iter().filter(|stage| !has_campaigns || matches!(stage, Stage::Campaign(_)));
        if let Some(reason) = wanted().find_map(fails)
            && wanted().all(|stage| fails(stage).is_some())
        {
            bail!("{}: {reason}", self.name);
        }
        for (folder, reason) in &problems {
            eprintln!("warning: {}: {reason}", folder.display());
        }
        Ok(problems)
    }

    /// Keeps the experiment as it was written.
    fn keep_text(&self) -> Result<()> {
        let path = self.output.join(FILE);
        if fs::read_to_string(&path).is_ok_and(|known| known == self.text) {
            return Ok(());
        }
        write_atomically(&path, self.text.as_bytes())
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// Runs stages; returns whether none was stopped. Those that fail are noted.
    fn run_stages(&self, dir: &mut ExperimentDir, pending: &[Stage], log: &mut Log) -> Result<bool> {
        let known = dir.clone();
        let bench =
            Bench { dir: &known, places: self.places(), device: self.device, is_alone: self.jobs == 1 };
        let can_run =
            |stage: &Stage| !matches!(dir.state(*stage), State::Failed { .. } | State::Skipped { .. });
        let stages: Vec<Stage> = pending.iter().copied().filter(can_run).collect();
        let needs = |stage| known.needs(stage).filter(|needed| stages.contains(needed));
        let threads = (self.threads / self.jobs).max(1);
        let began = Mutex::new(BTreeMap::new());
        let run = |stage: Stage| {
            let number = stages.iter().position(|other| *other == stage).unwrap_or_default() + 1;
            say(&format!("[{number}/{}] {}", stages.len(), title(&known, stage)));
            began.lock().unwrap_or_else(PoisonError::into_inner).insert(stage, Instant::now());
            match pool(threads) {
                Ok(pool) => pool.install(|| bench.run(stage)),
                Err(error) => Ended::Failed(format!("{error:#}")),
            }
        };
        let mut told = |stage: Stage, ended: &Ended| {
            let seconds =
                began.lock().unwrap_or_else(PoisonError::into_inner).get(&stage).map(Instant::elapsed);
            let seconds = seconds.unwrap_or_default().as_secs_f64();
            let outcome = match ended {
                Ended::Done(None) => "done".to_owned(),
                Ended::Done(Some(verdict)) => verdict.describe().to_owned(),
                Ended::Stopped => "stopped".to_owned(),
                Ended::Failed(reason) => {
                    dir.failures.insert(known.relative(stage).to_owned(), reason.clone());
                    dir.write_failures()?;
                    format!("failed: {reason}")
                }
            };
            say(&format!("{}: {outcome}, {seconds:.1} s", title(&known, stage)));
            log.end(known.relative(stage), &outcome, seconds)
        };
        stop_on_ctrl_c("stopping after the steps in flight");
        Graph { stages: stages.clone(), needs: &needs }.run(self.jobs, &run, &mut told)
    }

    /// Writes the page, prints the summary, and says where the page is.
    fn report(&self, out: &mut (dyn Write + Send)) -> Result<()> {
        let (summary, report) = temper_report::read_experiment(self.output)?;
        experiment::print(&summary, self.json, out)?;
        out.flush()?;
        let written = temper_report::write(&report, &self.output.join(REPORT))?;
        eprintln!("report: {}", written.page.display());
        Ok(())
    }
}

/// A stage in words.
pub(crate) fn title(dir: &ExperimentDir, stage: Stage) -> String {
    match stage {
        Stage::Training(place) => format!("train {}", dir.plan.trainings[place].variant),
        Stage::Campaign(place) => {
            let PlannedCampaign { name, variant, .. } = &dir.plan.campaigns[place];
            format!("campaign {name} on {variant}")
        }
    }
}

/// Variants that make no sense, and trainings and campaigns that failed.
fn failed(dir: &ExperimentDir) -> usize {
    dir.plan.variants.iter().filter(|variant| variant.problem.is_some()).count() + dir.failures.len()
}

fn pool(threads: usize) -> Result<ThreadPool> {
    ThreadPoolBuilder::new().num_threads(threads).build().context("cannot start threads")
}

//! How far an experiment's directory is.
//!
//! | file | holds |
//! |---|---|
//! | `experiment.toml` | the experiment as it was written |
//! | `experiment.json` | the [`ExperimentPlan`] |
//! | `failures.json` | why trainings and campaigns failed, by folder; those are tried again by the next run |
//! | `runs.jsonl` | a line for every run: when, where, by which version |
//! | `trainings/VARIANT-HASH/` | a training |
//! | `campaigns/CAMPAIGN-VARIANT-HASH/` | a campaign |
//! | `report/` | the page, figures and tables |

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use temper_core::campaign::CampaignDir;
use temper_core::write_atomically;
use thiserror::Error;

use super::plan::{ExperimentPlan, FORMAT_VERSION, PlannedCampaign, PlannedTraining};
use crate::training::{EpochRecord, TrainingResult, Verdict};

/// The plan's file; what makes a directory an experiment's.
const PLAN: &str = "experiment.json";
const FAILURES: &str = "failures.json";

/// The networks that a training leaves to be struck; without them it is gone on with, which writes them again.
const NETWORKS: [&str; 2] = ["model.safetensors", "last.safetensors"];

/// Why an experiment's directory cannot be read or written.
#[derive(Debug, Error)]
pub enum DirectoryError {
    /// The operating system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which path.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file is damaged.
    #[error("{} is damaged: expected {expected}; the same `temper run` writes it again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What should be in it.
        expected: &'static str,
        /// What was found.
        source: serde_json::Error,
    },
    /// Another version of the format.
    #[error("{} has format version {found}; this program reads version {FORMAT_VERSION}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The version it has.
        found: u64,
    },
}

/// Why trainings and campaigns failed, by folder.
pub type Failures = BTreeMap<PathBuf, String>;

/// An experiment's directory.
#[derive(Debug, Clone)]
pub struct ExperimentDir {
    path: PathBuf,
    /// What it is about.
    pub plan: ExperimentPlan,
    /// What failed.
    pub failures: Failures,
}

/// A training or a campaign of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The training in this place.
    Training(usize),
    /// The campaign in this place.
    Campaign(usize),
}

/// How far a training or a campaign is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum State {
    /// Nothing is there yet.
    Waiting,
    /// Some of it is recorded.
    Begun {
        /// Epochs or trials.
        done: u64,
        /// Planned; of trials the most there can be, where draws stop by precision.
        all: u64,
    },
    /// All of it is recorded.
    Done,
    /// It could not be run.
    Failed {
        /// Why.
        reason: String,
    },
    /// It is not run, since what it needs is not there.
    Skipped {
        /// What is missing.
        reason: String,
    },
    /// What is there cannot be read.
    Unreadable {
        /// Why.
        reason: String,
    },
}

impl State {
    /// In words; `unit` is what is counted, `number` how numbers are written.
    pub fn describe(&self, unit: &str, number: impl Fn(u64) -> String) -> String {
        match self {
            Self::Waiting => "to do".to_owned(),
            Self::Begun { done, all } => format!("{} of {} {unit}", number(*done), number(*all)),
            Self::Done => "done".to_owned(),
            Self::Failed { .. } => "failed".to_owned(),
            Self::Skipped { reason } => format!("left out: {reason}"),
            Self::Unreadable { .. } => "cannot be read".to_owned(),
        }
    }
}

impl ExperimentDir {
    /// Whether a directory is an experiment's.
    pub fn is_one(path: &Path) -> bool {
        path.join(PLAN).is_file()
    }

    /// Reads a directory's plan and failures.
    ///
    /// # Errors
    /// When a file cannot be read, is damaged, or has another version of the format.
    pub fn read(path: &Path) -> Result<Self, DirectoryError> {
        #[derive(Deserialize)]
        struct Version {
            format_version: u64,
        }
        let file = path.join(PLAN);
        let text = fs::read(&file).map_err(|source| DirectoryError::Io {
            action: "read",
            path: file.clone(),
            source,
        })?;
        let damaged = |source| DirectoryError::Damaged {
            path: file.clone(),
            expected: "the plan of an experiment",
            source,
        };
        let Version { format_version } = serde_json::from_slice(&text).map_err(damaged)?;
        if format_version != u64::from(FORMAT_VERSION) {
            return Err(DirectoryError::Version { path: file, found: format_version });
        }
        let plan = serde_json::from_slice(&text).map_err(damaged)?;
        Ok(Self { path: path.to_owned(), plan, failures: read_failures(&path.join(FAILURES))? })
    }

    /// A directory as it is to be, with this plan; nothing is read or written.
    pub fn planned(path: &Path, plan: ExperimentPlan) -> Self {
        Self { path: path.to_owned(), plan, failures: Failures::new() }
    }

    /// Writes plan and failures; the directory is made if absent.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write(&self) -> Result<(), DirectoryError> {
        let path = self.path.clone();
        fs::create_dir_all(&path).map_err(|source| DirectoryError::Io { action: "create", path, source })?;
        self.put(PLAN, &self.plan)?;
        self.write_failures()
    }

    /// Writes what failed.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_failures(&self) -> Result<(), DirectoryError> {
        self.put(FAILURES, &self.failures)
    }

    fn put(&self, name: &str, content: &impl Serialize) -> Result<(), DirectoryError> {
        let path = self.path.join(name);
        let text = serde_json::to_string_pretty(content).expect("plain data is always JSON") + "\n";
        write_atomically(&path, text.as_bytes()).map_err(|source| DirectoryError::Io {
            action: "write",
            path,
            source,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where a training or a campaign is.
    pub fn folder(&self, stage: Stage) -> PathBuf {
        self.path.join(self.relative(stage))
    }

    /// The same below the directory.
    pub fn relative(&self, stage: Stage) -> &Path {
        match stage {
            Stage::Training(place) => &self.plan.trainings[place].folder,
            Stage::Campaign(place) => &self.plan.campaigns[place].folder,
        }
    }

    /// All trainings and campaigns, in the order in which they can be run.
    pub fn stages(&self) -> impl Iterator<Item = Stage> + use<> {
        let trainings = (0..self.plan.trainings.len()).map(Stage::Training);
        trainings.chain((0..self.plan.campaigns.len()).map(Stage::Campaign))
    }

    /// What a stage needs before it.
    pub fn needs(&self, stage: Stage) -> Option<Stage> {
        match stage {
            Stage::Training(place) => self.plan.trainings[place].start,
            Stage::Campaign(place) => self.plan.campaigns[place].training,
        }
        .map(Stage::Training)
    }

    /// How far a stage is.
    pub fn state(&self, stage: Stage) -> State {
        if let Some(reason) = self.failures.get(self.relative(stage)) {
            return State::Failed { reason: reason.clone() };
        }
        if let Some(reason) = self.needs(stage).and_then(|needed| self.missing(needed)) {
            return State::Skipped { reason };
        }
        match stage {
            Stage::Training(place) => self.training_state(stage, &self.plan.trainings[place]),
            Stage::Campaign(place) => self.campaign_state(&self.plan.campaigns[place]),
        }
    }

    /// Why nothing can be done with what a stage should leave; `None` if it can, or may yet.
    fn missing(&self, needed: Stage) -> Option<String> {
        match self.state(needed) {
            State::Failed { .. } => Some("its training failed".to_owned()),
            State::Skipped { reason } => Some(reason),
            State::Unreadable { .. } => Some("its training cannot be read".to_owned()),
            State::Done => {
                let result = self.result(needed).ok().flatten()?;
                let is_useless = result.verdict != Verdict::Learned;
                is_useless.then(|| format!("its network {}", result.verdict.describe()))
            }
            State::Waiting | State::Begun { .. } => None,
        }
    }

    /// What became of a training; `None` before its end.
    ///
    /// # Errors
    /// When its file cannot be read or is damaged.
    pub fn result(&self, training: Stage) -> Result<Option<TrainingResult>, DirectoryError> {
        let path = self.folder(training).join("result.json");
        match fs::read(&path) {
            Ok(text) => match serde_json::from_slice(&text) {
                Ok(result) => Ok(Some(result)),
                Err(source) => {
                    Err(DirectoryError::Damaged { path, expected: "the result of a training", source })
                }
            },
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(DirectoryError::Io { action: "read", path, source }),
        }
    }

    fn training_state(&self, stage: Stage, training: &PlannedTraining) -> State {
        let folder = self.path.join(&training.folder);
        match self.result(stage) {
            Ok(Some(_)) if NETWORKS.iter().all(|name| folder.join(name).is_file()) => return State::Done,
            Ok(_) => {}
            Err(error) => return unreadable(&error),
        }
        if !folder.exists() {
            return State::Waiting;
        }
        match EpochRecord::read_all(&folder.join("history.jsonl")) {
            Ok(history) => State::Begun { done: history.len() as u64, all: training.recipe.epochs() as u64 },
            Err(error) => unreadable(&error),
        }
    }

    fn campaign_state(&self, campaign: &PlannedCampaign) -> State {
        let folder = self.path.join(&campaign.folder);
        if !folder.exists() {
            return State::Waiting;
        }
        let read = || {
            let dir = CampaignDir::open(&folder)?;
            let records = dir.records()?.by_trial;
            Ok((records.len() as u64, dir.info().schedule(&records).missing()))
        };
        match read() {
            Ok((_, 0)) => State::Done,
            Ok((done, missing)) => State::Begun { done, all: done + missing },
            // Killed before its description was written.
            Err(temper_core::campaign::StoreError::NoCampaign { .. }) => State::Waiting,
            Err(error) => unreadable(&error),
        }
    }
}

fn unreadable(error: &dyn Error) -> State {
    let chain = std::iter::successors(Some(error), |error| (*error).source());
    State::Unreadable { reason: chain.map(ToString::to_string).collect::<Vec<_>>().join(": ") }
}

fn read_failures(path: &Path) -> Result<Failures, DirectoryError> {
    match fs::read(path) {
        Ok(text) => serde_json::from_slice(&text).map_err(|source| DirectoryError::Damaged {
            path: path.to_owned(),
            expected: "reasons of failures",
            source,
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Failures::new()),
        Err(source) => Err(DirectoryError::Io { action: "read", path: path.to_owned(), source }),
    }
}

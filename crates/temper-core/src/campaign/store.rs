//! A campaign's directory: what it is, and an append-only log of records for every attempt at it.
//!
//! `campaign.json` says what the campaign is; `shards/0001/<attempt>.jsonl` holds the records of one process. Each log has one
//! writer, so no lock is needed, and records are on the disk before the next block of trials begins.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::de::Error as _;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::identity::Identity;
use super::plan::{Plan, Trial};
use super::record::{RecordError, TrialRecord};
use super::spec::CampaignSpec;
use crate::atomic::{TEMPORARY_PREFIX, create_atomically};

/// Version of the directory's format.
pub const FORMAT_VERSION: u32 = 2;

const INFO: &str = "campaign.json";

/// What a campaign is, as kept in its directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CampaignInfo {
    /// Version of the directory's format.
    pub format_version: u32,
    /// What results depend on, in hashes.
    pub identity: Identity,
    /// The specification.
    pub spec: CampaignSpec,
    /// Where the model file is; not part of what the campaign is.
    pub model_file: PathBuf,
    /// What it will do.
    pub plan: Plan,
    /// The fault-free run of each condition.
    pub golden: Vec<GoldenInfo>,
}

/// The fault-free run, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoldenInfo {
    /// Number of images.
    pub images: u64,
    /// Number of those whose label is the top class.
    pub correct: u64,
}

impl GoldenInfo {
    /// Fraction of images whose label is the top class, 0..1.
    pub fn accuracy(&self) -> f64 {
        self.correct as f64 / self.images as f64
    }
}

impl CampaignInfo {
    /// Whether the campaign has a trial of that id, condition and draw.
    fn has(&self, record: &TrialRecord) -> bool {
        let found = self.plan.find(record.trial);
        found
            .is_some_and(|Trial { condition, draw, .. }| (condition, draw) == (record.condition, record.draw))
    }

    /// Whether the description hangs together: only then can it be read.
    fn check(&self) -> Result<(), String> {
        let conditions = &self.plan.conditions;
        if conditions.is_empty() || conditions.len() != self.golden.len() {
            return Err("expected a golden run for every condition".to_owned());
        }
        if conditions.iter().enumerate().any(|(id, condition)| condition.id != id) {
            return Err("the conditions are not numbered in order".to_owned());
        }
        if self.plan.precision != self.spec.trials.precision {
            return Err("the plan is not that of the specification".to_owned());
        }
        Ok(())
    }
}

/// Records by trial id.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Records {
    /// One for each trial that is done.
    pub by_trial: BTreeMap<u64, TrialRecord>,
    /// Lines at the end of a log that a killed process left unfinished; their trials are run again.
    pub torn: usize,
}

/// What went wrong with a campaign's directory.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The operating system refused.
    #[error("cannot {action} {path}", path = path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no campaign here.
    #[error("{path} holds no campaign: there is no {INFO} in it", path = path.display())]
    NoCampaign {
        /// The directory.
        path: PathBuf,
    },
    /// The directory has content of another kind.
    #[error("{path} is not empty and holds no campaign; choose another directory", path = path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
    },
    /// `campaign.json` cannot be understood.
    #[error("{path} is not a campaign description", path = path.display())]
    Info {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// Another version of the format.
    #[error("{path} has format version {found}; this program reads version {FORMAT_VERSION}", path = path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The version it has.
        found: u64,
    },
    /// Another campaign.
    #[error("{path} holds another campaign: {differs} changed; choose another directory, or restore what was", path = path.display())]
    Differs {
        /// The directory.
        path: PathBuf,
        /// The parts that differ.
        differs: String,
    },
    /// The golden run came out otherwise than recorded.
    #[error("the golden run gives {found} correct images, but {path} records {recorded}; records of both cannot be mixed", path = path.display())]
    Golden {
        /// The directory.
        path: PathBuf,
        /// Correct images now.
        found: u64,
        /// Correct images as recorded.
        recorded: u64,
    },
    /// A damaged line that is not the last one.
    #[error(
        "{path}, line {line}, is damaged; restore the file, or remove it to run its trials again",
        path = path.display()
    )]
    Damaged {
        /// The log.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        source: RecordError,
    },
    /// A record of another campaign, or of a trial, condition or draw that the campaign does not have.
    #[error("{path}, line {line}: trial {trial} does not belong to this campaign", path = path.display())]
    Stray {
        /// The log.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The trial it names.
        trial: u64,
    },
    /// Two records of one trial that contradict each other.
    #[error("two records of trial {trial} disagree; one of them is in {path}, line {line}", path = path.display())]
    Disagree {
        /// The trial.
        trial: u64,
        /// The log with the second record.
        path: PathBuf,
        /// Its line, from 1.
        line: usize,
    },
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Io { action, path, source }
}

/// A campaign's directory.
#[derive(Debug, Clone)]
pub struct CampaignDir {
    path: PathBuf,
    info: CampaignInfo,
}

impl CampaignDir {
    /// Opens the directory of a campaign.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let file = path.join(INFO);
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(StoreError::NoCampaign { path: path.to_owned() });
            }
            Err(source) => return Err(StoreError::Io { action: "read", path: file, source }),
        };
        let parse_error = |source| StoreError::Info { path: file.clone(), source };
        let value: serde_json::Value = serde_json::from_str(&text).map_err(parse_error)?;
        let found = value["format_version"].as_u64().unwrap_or(0);
        if found != u64::from(FORMAT_VERSION) {
            return Err(StoreError::Version { path: file, found });
        }
        let info: CampaignInfo = serde_json::from_value(value).map_err(parse_error)?;
        info.check().map_err(|reason| parse_error(serde_json::Error::custom(reason)))?;
        Ok(Self { path: path.to_owned(), info })
    }

    /// Opens the directory of this very campaign, or makes it in an absent or empty directory.
    ///
    /// # Errors
    /// When the directory holds anything else, saying which part of the campaign differs, or cannot be written.
    pub fn open_or_create(path: &Path, info: &CampaignInfo) -> Result<Self, StoreError> {
        match Self::open(path) {
            Err(StoreError::NoCampaign { .. }) => {}
            opened => return opened?.of_campaign(info),
        }
        match Self::create(path, info) {
            // Another process was quicker.
            Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {
                Self::open(path)?.of_campaign(info)
            }
            created => created,
        }
    }

    /// This directory, if it is that of the given campaign.
    fn of_campaign(self, info: &CampaignInfo) -> Result<Self, StoreError> {
        let differs = self.info.identity.differences(&info.identity);
        if !differs.is_empty() {
            return Err(StoreError::Differs { path: self.path, differs: differs.join(" and ") });
        }
        let differing = info.golden.iter().zip(&self.info.golden).find(|(found, recorded)| found != recorded);
        if let Some((found, recorded)) = differing {
            let (found, recorded) = (found.correct, recorded.correct);
            return Err(StoreError::Golden { path: self.path, found, recorded });
        }
        Ok(self)
    }

    fn create(path: &Path, info: &CampaignInfo) -> Result<Self, StoreError> {
        fs::create_dir_all(path).map_err(io_error("create", path))?;
        let known = |entry: &PathBuf| {
            let name = entry.file_name().unwrap_or_default().to_string_lossy();
            name == INFO || name.starts_with(TEMPORARY_PREFIX)
        };
        if !sorted_entries(path)?.iter().all(known) {
            return Err(StoreError::Foreign { path: path.to_owned() });
        }
        let json = serde_json::to_string_pretty(info).expect("plain data is always JSON");
        let file = path.join(INFO);
        create_atomically(&file, format!("{json}\n").as_bytes()).map_err(io_error("write", &file))?;
        Ok(Self { path: path.to_owned(), info: info.clone() })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the campaign is.
    pub fn info(&self) -> &CampaignInfo {
        &self.info
    }

    /// All records of all attempts. A torn last line of a log is dropped; two equal records of a trial count once.
    ///
    /// # Errors
    /// When a log cannot be read, is damaged elsewhere than at its end, holds a record of another campaign, or two records of
    /// one trial disagree.
    pub fn records(&self) -> Result<Records, StoreError> {
        let mut records = Records::default();
        let shards = self.path.join("shards");
        for shard in sorted_entries(&shards)? {
            for log in sorted_entries(&shard)? {
                self.read_log(&log, &mut records)?;
            }
        }
        Ok(records)
    }

    fn read_log(&self, path: &Path, records: &mut Records) -> Result<(), StoreError> {
        let bytes = fs::read(path).map_err(io_error("read", path))?;
        let mut rest = bytes.as_slice();
        let mut line = 0;
        while !rest.is_empty() {
            line += 1;
            let end = rest.iter().position(|&byte| byte == b'\n');
            let (text, after) = match end {
                Some(end) => (&rest[..end], &rest[end + 1..]),
                None => (rest, &rest[rest.len()..]),
            };
            rest = after;
            let record = match TrialRecord::from_line(&String::from_utf8_lossy(text)) {
                Ok(record) if end.is_some() => record,
                // Without its line feed, or damaged with nothing behind it: the process was killed while writing.
                _ if rest.is_empty() => {
                    records.torn += 1;
                    return Ok(());
                }
                Ok(_) => unreachable!("only the last line can lack its line feed"),
                Err(source) => return Err(StoreError::Damaged { path: path.to_owned(), line, source }),
            };
            let (trial, path) = (record.trial, path.to_owned());
            if record.campaign != self.info.identity.campaign || !self.info.has(&record) {
                return Err(StoreError::Stray { path, line, trial });
            }
            match records.by_trial.get(&trial) {
                Some(known) if !known.agrees_with(&record) => {
                    return Err(StoreError::Disagree { trial, path, line });
                }
                Some(_) => {}
                None => drop(records.by_trial.insert(trial, record)),
            }
        }
        Ok(())
    }

    /// Begins a log of its own for one process. `attempt` names it and must be unique.
    ///
    /// # Errors
    /// When the log exists already or cannot be made.
    pub fn begin_attempt(&self, attempt: &str) -> Result<AttemptLog, StoreError> {
        let shard = self.path.join("shards").join("0001");
        fs::create_dir_all(&shard).map_err(io_error("create", &shard))?;
        let path = shard.join(format!("{attempt}.jsonl"));
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .open(&path)
            .map_err(io_error("create", &path))?;
        Ok(AttemptLog { path, file })
    }
}

/// The paths in a directory, sorted; none if it does not exist.
fn sorted_entries(path: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(StoreError::Io { action: "read", path: path.to_owned(), source }),
    };
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()).map_err(io_error("read", path)))
        .collect::<Result<Vec<_>, _>>()?;
    paths.sort();
    Ok(paths)
}

/// The log of one process.
#[derive(Debug)]
pub struct AttemptLog {
    path: PathBuf,
    file: File,
}

impl AttemptLog {
    /// Appends records and waits until they are on the disk.
    ///
    /// # Errors
    /// When they cannot be written: then the run must stop, since records are the product.
    pub fn append(&mut self, records: &[TrialRecord]) -> Result<(), StoreError> {
        let lines: String = records.iter().map(TrialRecord::to_line).collect();
        self.file.write_all(lines.as_bytes()).map_err(io_error("write", &self.path))?;
        self.file.sync_data().map_err(io_error("write", &self.path))
    }
}

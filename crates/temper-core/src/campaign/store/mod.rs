//! A campaign's directory: what it is, and an append-only log of records for every attempt at it.
//!
//! `campaign.json` says what the campaign is; `shards/<k>-of-<n>/<attempt>.jsonl` holds the records of one process that ran shard
//! k/n; `golden.jsonl`, where answers are recorded, the answers without faults. Each log has one writer, so no lock is needed, and records are on the disk before the next block of trials begins. Readers
//! take all logs together, so a campaign may go on with another number of shards.

mod error;
mod golden;
mod merge;
mod read;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::de::Error as _;
use serde::{Deserialize, Serialize};

pub use self::error::StoreError;
use self::error::io_error;
pub use self::golden::GoldenAnswers;
use self::read::Reader;
pub use self::read::Records;
use super::engine::Golden;
use super::identity::Identity;
use super::images::strata;
use super::outcome::Outcomes;
use super::plan::Plan;
use super::record::TrialRecord;
use super::resolved::Campaign;
use super::shard::Shard;
use super::spec::CampaignSpec;
use crate::atomic::{TEMPORARY_PREFIX, create_atomically};
use crate::statistics::ByMargin;

/// Version of the directory's format, and of the arithmetic by which its records came about: records of two must not be mixed.
pub const FORMAT_VERSION: u32 = 5;

const INFO: &str = "campaign.json";
const SHARDS: &str = "shards";
const LOG_EXTENSION: &str = "jsonl";

/// What a campaign is, as kept in its directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CampaignInfo {
    /// Version of the directory's format.
    pub format_version: u32,
    /// What results depend on, in hashes.
    pub identity: Identity,
    /// The specification.
    pub spec: CampaignSpec,
    /// Where the model file was; not part of what the campaign is.
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

    /// How many images are near to another answer, and far from it.
    pub fn strata(&self) -> ByMargin<u64> {
        strata(self.images)
    }

    /// A share of all images under a draw: of those with what `count` counts. Estimated, where it ran part of the images, from the shares in
    /// the two strata, with their sizes as weights (Cochran, *Sampling Techniques*, 3rd ed., 1977, §5.3); so it has no bias although near
    /// images are run more often.
    pub fn share(&self, record: &TrialRecord, count: impl Fn(&Outcomes) -> f64) -> f64 {
        let share = |outcomes: &Outcomes| count(outcomes) / outcomes.images as f64;
        let Some(of_strata) = record.by_margin() else { return share(&record.outcomes) };
        let parts = self.strata().shares().zip(of_strata);
        let weighted =
            |(weight, outcomes): (f64, Outcomes)| if weight == 0.0 { 0.0 } else { weight * share(&outcomes) };
        weighted(parts.near) + weighted(parts.far)
    }

    /// How much less accurate than the golden run the network is under a draw, −1..=1, over all images or estimated for them.
    pub fn accuracy_drop_of(&self, record: &TrialRecord) -> f64 {
        self.share(record, |outcomes| outcomes.golden_correct as f64 - outcomes.correct as f64)
    }

    /// A draw's accuracy over all images, estimated where it ran part of them, whose golden answers then serve as control variate: golden
    /// accuracy less [`accuracy_drop_of`](Self::accuracy_drop_of) (Cochran, 1977, §7.3: regression with b = 1). Without bias. It may lie
    /// outside 0..=1, but by no more than [`range`](Self::range) says.
    pub fn accuracy_of(&self, record: &TrialRecord) -> f64 {
        match record.near {
            None => record.outcomes.accuracy(),
            Some(_) => self.accuracy() - self.accuracy_drop_of(record),
        }
    }

    /// Between what [`accuracy_of`](Self::accuracy_of) lies, whatever the faults: 0 and 1 for draws on all images, golden accuracy − 1
    /// and + 1 for draws on some of them.
    pub fn range(&self, all_images: bool) -> (f64, f64) {
        if all_images { (0.0, 1.0) } else { (self.accuracy() - 1.0, self.accuracy() + 1.0) }
    }
}

impl CampaignInfo {
    /// What a campaign is, with its golden runs.
    pub fn new(campaign: &Campaign<'_>, spec: &CampaignSpec, model_file: &Path, golden: &Golden) -> Self {
        let images = campaign.images() as u64;
        let of_condition = |id| GoldenInfo { images, correct: campaign.golden_correct(golden, id) };
        Self {
            format_version: FORMAT_VERSION,
            identity: campaign.identity().clone(),
            spec: spec.clone(),
            model_file: model_file.to_owned(),
            plan: campaign.plan().clone(),
            golden: (0..campaign.plan().conditions.len()).map(of_condition).collect(),
        }
    }

    /// Whether the description hangs together: only then can records be read by it.
    fn check(&self) -> Result<(), &'static str> {
        let conditions = &self.plan.conditions;
        if conditions.is_empty() || conditions.len() != self.golden.len() {
            return Err("expected at least one condition, and a golden run for each");
        }
        if conditions.iter().enumerate().any(|(id, condition)| condition.id != id) {
            return Err("the conditions are not numbered in order");
        }
        let axes = || self.spec.sweep.axes.iter().map(|(axis, _)| axis);
        if !conditions.iter().all(|condition| condition.swept.iter().map(|swept| &swept.axis).eq(axes())) {
            return Err("the conditions are not those of the sweep");
        }
        let all = conditions.iter().try_fold(0u64, |sum, condition| sum.checked_add(condition.draws));
        if all.is_none() {
            return Err("more trials than can be numbered");
        }
        if self.plan.precision != self.spec.trials.precision {
            return Err("the plan is not that of the specification");
        }
        let images = self.plan.images;
        if self.golden.iter().any(|golden| golden.images != images || golden.correct > images) {
            return Err("the golden runs are not those of the plan's images");
        }
        if self.spec.trials.images_of(images).ok() != Some(self.plan.draw_images) {
            return Err("the images of a draw are not those of the specification");
        }
        Ok(())
    }

    /// The campaign's description as a file.
    fn to_json(&self) -> String {
        let json = serde_json::to_string_pretty(self).expect("plain data is always JSON");
        format!("{json}\n")
    }
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
        // From the text, not from the value: the axes of a sweep have an order.
        let info: CampaignInfo = serde_json::from_str(&text).map_err(parse_error)?;
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
        Self::create(path, info).or_else(|error| match Self::open(path) {
            Err(StoreError::NoCampaign { .. }) => Err(error),
            // Another process was quicker.
            opened => opened?.of_campaign(info),
        })
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
        let file = path.join(INFO);
        create_atomically(&file, info.to_json().as_bytes()).map_err(io_error("write", &file))?;
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

    /// All records of all attempts of all shards, however the plan was cut. A torn last line of a log is dropped; two equal records
    /// of a trial count once.
    ///
    /// # Errors
    /// When a log cannot be read, is damaged elsewhere than at its end, holds a record of another campaign, or two records of
    /// one trial disagree; or when a record is on other images than its trial has.
    pub fn records(&self) -> Result<Records, StoreError> {
        let mut reader = Reader::new(&self.info);
        reader.read(self)?;
        reader.finish()
    }

    /// Begins a log of its own for one process that runs trials of a shard. `attempt` names it and must be unique.
    ///
    /// # Errors
    /// When the log exists already or cannot be made.
    pub fn begin_attempt(&self, shard: Shard, attempt: &str) -> Result<AttemptLog, StoreError> {
        let folder = self.path.join(SHARDS).join(format!("{:04}-of-{}", shard.index(), shard.of()));
        fs::create_dir_all(&folder).map_err(io_error("create", &folder))?;
        let path = folder.join(format!("{attempt}.{LOG_EXTENSION}"));
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .open(&path)
            .map_err(io_error("create", &path))?;
        Ok(AttemptLog { path, file })
    }
}

/// The paths in a folder, sorted; none if it does not exist.
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

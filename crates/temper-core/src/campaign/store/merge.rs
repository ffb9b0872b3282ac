//! Several directories of one campaign become one.

use std::fs;
use std::io;
use std::path::Path;

use super::super::record::TrialRecord;
use super::error::{StoreError, io_error};
use super::golden::{GOLDEN, GoldenAnswers};
use super::read::{Reader, Records};
use super::{CampaignDir, INFO, LOG_EXTENSION, SHARDS, sorted_entries};
use crate::atomic::{create_folder_atomically, write_atomically};

impl CampaignDir {
    /// Merges this directory and others of the same campaign into a new one at `output`, which must be absent or empty: this one's
    /// `campaign.json`, the golden answers, and all records in one log, sorted by trial id, each trial once and with the least `cpu_seconds` of its
    /// records. So equal records give an equal log, whatever directories and logs they came in. The new directory appears whole or
    /// not at all, and can be run further like any other.
    ///
    /// # Errors
    /// When the directories are not of one campaign, saying which part differs in which; when their records cannot be read (as for
    /// [`records`](Self::records)), or two of one trial disagree; when there is something at `output`, or it cannot be written.
    pub fn merge(&self, others: &[Self], output: &Path) -> Result<(Self, Records), StoreError> {
        for other in others {
            self.check_same_campaign(other)?;
        }
        if !sorted_entries(output)?.is_empty() {
            return Err(StoreError::Occupied { path: output.to_owned() });
        }
        let mut reader = Reader::new(&self.info);
        reader.read(self)?;
        for other in others {
            reader.read(other)?;
        }
        let records = reader.finish()?;
        if let Some(parent) = output.parent() {
            fs::create_dir_all(parent).map_err(io_error("create", parent))?;
        }
        let golden = self.golden_answers()?;
        create_folder_atomically(output, |folder| self.write_merged(&records, golden.as_deref(), folder))
            .map_err(io_error("write", output))?;
        Ok((Self { path: output.to_owned(), info: self.info.clone() }, records))
    }

    fn check_same_campaign(&self, other: &Self) -> Result<(), StoreError> {
        let mut differs = self.info.identity.differences(&other.info.identity);
        if self.info.golden != other.info.golden {
            differs.push("the golden run");
        }
        if differs.is_empty() {
            return Ok(());
        }
        let (path, first) = (other.path.clone(), self.path.clone());
        Err(StoreError::Mixed { path, first, differs: differs.join(" and ") })
    }

    fn write_merged(
        &self,
        records: &Records,
        golden: Option<&[GoldenAnswers]>,
        folder: &Path,
    ) -> io::Result<()> {
        let shard = folder.join(SHARDS).join("merged");
        fs::create_dir_all(&shard)?;
        let log: String = records.by_trial.values().map(TrialRecord::to_line).collect();
        write_atomically(&shard.join("records").with_extension(LOG_EXTENSION), log.as_bytes())?;
        if let Some(golden) = golden {
            write_atomically(&folder.join(GOLDEN), GoldenAnswers::to_lines(golden).as_bytes())?;
        }
        write_atomically(&folder.join(INFO), self.info.to_json().as_bytes())
    }
}

//! Reading records back.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs;
use std::path::{Path, PathBuf};

use super::super::plan::Trial;
use super::super::record::{RecordError, TrialRecord};
use super::error::{StoreError, io_error};
use super::{CampaignDir, CampaignInfo, LOG_EXTENSION, SHARDS, sorted_entries};

/// Records by trial id.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Records {
    /// One for each trial that is done. Of several that agree, the one with the least `cpu_seconds`, whatever order they lie in.
    pub by_trial: BTreeMap<u64, TrialRecord>,
    /// Lines at the end of a log that a killed process left unfinished; their trials are run again.
    pub torn: usize,
}

/// Collects the records of one campaign from one directory or several.
pub(super) struct Reader<'a> {
    info: &'a CampaignInfo,
    logs: Vec<PathBuf>,
    known: BTreeMap<u64, Known>,
    torn: usize,
}

/// A record and where it was found first.
struct Known {
    record: TrialRecord,
    /// Index into the reader's logs.
    log: usize,
    line: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(info: &'a CampaignInfo) -> Self {
        Self { info, logs: Vec::new(), known: BTreeMap::new(), torn: 0 }
    }

    /// Reads all logs of a directory. Hidden files are nobody's; so is what does not have a log's extension.
    pub(super) fn read(&mut self, dir: &CampaignDir) -> Result<(), StoreError> {
        let hidden =
            |path: &Path| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        for shard in sorted_entries(&dir.path.join(SHARDS))? {
            if hidden(&shard) {
                continue;
            }
            for log in sorted_entries(&shard)? {
                if !hidden(&log) && log.extension().is_some_and(|extension| extension == LOG_EXTENSION) {
                    self.read_log(log)?;
                }
            }
        }
        Ok(())
    }

    /// All records read.
    pub(super) fn finish(self) -> Result<Records, StoreError> {
        let place = |known: &Known| (known.log, known.line);
        let places: BTreeMap<u64, _> =
            self.known.iter().map(|(&trial, known)| (trial, place(known))).collect();
        let by_trial = self.known.into_iter().map(|(trial, known)| (trial, known.record)).collect();
        if let Some(record) = self.info.schedule(&by_trial).misfit() {
            let (log, line) = places[&record.trial];
            let (path, trial, images) = (self.logs[log].clone(), record.trial, record.outcomes.images);
            return Err(StoreError::Images { path, line, trial, images });
        }
        Ok(Records { by_trial, torn: self.torn })
    }

    fn read_log(&mut self, path: PathBuf) -> Result<(), StoreError> {
        let bytes = fs::read(&path).map_err(io_error("read", &path))?;
        self.logs.push(path);
        let mut rest = bytes.as_slice();
        let mut line = 0;
        while !rest.is_empty() {
            line += 1;
            let whole = rest.iter().position(|&byte| byte == b'\n');
            let (text, after) = match whole {
                Some(end) => (&rest[..end], &rest[end + 1..]),
                None => (rest, &rest[rest.len()..]),
            };
            rest = after;
            match parse(text) {
                Ok(record) if whole.is_some() => self.add(record, line)?,
                Err(source) if !rest.is_empty() => {
                    return Err(StoreError::Damaged { path: self.last_log(), line, source });
                }
                // Without its line feed, or damaged with nothing behind it: the process was killed while writing.
                _ => self.torn += 1,
            }
        }
        Ok(())
    }

    /// Adds a record of the last log.
    fn add(&mut self, record: TrialRecord, line: usize) -> Result<(), StoreError> {
        let is_of_plan = |trial: Trial| (trial.condition, trial.draw) == (record.condition, record.draw);
        if record.campaign != self.info.identity.campaign
            || !self.info.plan.find(record.trial).is_some_and(is_of_plan)
        {
            return Err(StoreError::Stray { path: self.last_log(), line, trial: record.trial });
        }
        let log = self.logs.len() - 1;
        match self.known.entry(record.trial) {
            Entry::Vacant(entry) => drop(entry.insert(Known { record, log, line })),
            Entry::Occupied(mut entry) => {
                let known = entry.get_mut();
                if !known.record.agrees_with(&record) {
                    return Err(StoreError::Disagree {
                        trial: record.trial,
                        first_path: self.logs[known.log].clone(),
                        first_line: known.line,
                        path: self.last_log(),
                        line,
                    });
                }
                known.record.cpu_seconds = known.record.cpu_seconds.min(record.cpu_seconds);
            }
        }
        Ok(())
    }

    fn last_log(&self) -> PathBuf {
        self.logs.last().cloned().unwrap_or_default()
    }
}

fn parse(line: &[u8]) -> Result<TrialRecord, RecordError> {
    TrialRecord::from_line(&String::from_utf8_lossy(line))
}

//! Reading records back.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::io::{BufRead, BufReader};
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

    /// Reads all logs of a directory.
    pub(super) fn read(&mut self, dir: &CampaignDir) -> Result<(), StoreError> {
        for path in logs(dir)? {
            self.logs.push(path.clone());
            self.torn += usize::from(read_log(&path, self.info, |record, line| self.add(record, line))?);
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

    /// Adds a record of the last log.
    fn add(&mut self, record: TrialRecord, line: usize) -> Result<(), StoreError> {
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

impl CampaignDir {
    /// Hands the records of all logs to `visit`, one after another, and keeps none: for campaigns of many trials. A trial that several logs
    /// have comes as often. Returns the number of lines that were left unfinished, as in [`Records::torn`].
    ///
    /// # Errors
    /// As [`records`](Self::records), but for what it takes several records to see.
    pub fn visit_records(&self, mut visit: impl FnMut(TrialRecord)) -> Result<usize, StoreError> {
        let mut torn = 0;
        for path in logs(self)? {
            let is_torn = read_log(&path, &self.info, |record, _| {
                visit(record);
                Ok(())
            })?;
            torn += usize::from(is_torn);
        }
        Ok(torn)
    }
}

/// The logs of a directory, sorted. Hidden files are nobody's; so is what does not have a log's extension.
fn logs(dir: &CampaignDir) -> Result<Vec<PathBuf>, StoreError> {
    let hidden = |path: &Path| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    let mut found = Vec::new();
    for shard in sorted_entries(&dir.path.join(SHARDS))? {
        if hidden(&shard) {
            continue;
        }
        let is_log = |log: &PathBuf| !hidden(log) && log.extension().is_some_and(|end| end == LOG_EXTENSION);
        found.extend(sorted_entries(&shard)?.into_iter().filter(is_log));
    }
    Ok(found)
}

/// Hands the records of a log to `each`, with their lines; returns whether the last line is torn.
fn read_log(
    path: &Path,
    info: &CampaignInfo,
    mut each: impl FnMut(TrialRecord, usize) -> Result<(), StoreError>,
) -> Result<bool, StoreError> {
    let mut log = BufReader::new(File::open(path).map_err(io_error("read", path))?);
    let mut text = Vec::new();
    for line in 1.. {
        text.clear();
        if log.read_until(b'\n', &mut text).map_err(io_error("read", path))? == 0 {
            break;
        }
        let whole = text.pop_if(|end| *end == b'\n').is_some();
        match parse(&text) {
            Ok(record) if whole => {
                let is_of_plan =
                    |trial: Trial| (trial.condition, trial.draw) == (record.condition, record.draw);
                if record.campaign != info.identity.campaign
                    || !info.plan.find(record.trial).is_some_and(is_of_plan)
                {
                    return Err(StoreError::Stray { path: path.to_owned(), line, trial: record.trial });
                }
                each(record, line)?;
            }
            Err(source) if !log.fill_buf().map_err(io_error("read", path))?.is_empty() => {
                return Err(StoreError::Damaged { path: path.to_owned(), line, source });
            }
            // Without its line feed, or damaged with nothing behind it: the process was killed while writing.
            _ => return Ok(true),
        }
    }
    Ok(false)
}

fn parse(line: &[u8]) -> Result<TrialRecord, RecordError> {
    TrialRecord::from_line(&String::from_utf8_lossy(line))
}

//! The records of a campaign in little memory.

use std::collections::{BTreeMap, HashSet};

use temper_core::campaign::{CampaignDir, CampaignInfo, Outcomes, TrialRecord};

use super::confusion::Changes;
use crate::error::ReportError;

/// A record as it is kept: some 60 bytes.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    draw: u64,
    faults: u64,
    /// Images, correct, correct without faults, masked, sdc, sdc5, critical, due. Images are numbered in 32 bits.
    counts: [u32; 8],
    /// The outcomes as they are, where more was counted than that, and those of near images.
    more: Option<Box<(Outcomes, Option<Outcomes>)>>,
}

impl Row {
    fn new(record: &TrialRecord) -> Self {
        let all = record.outcomes;
        let is_plain = record.near.is_none() && all.masked_exact.is_none() && all.sdc10.is_none();
        let counts = [
            all.images,
            all.correct,
            all.golden_correct,
            all.masked,
            all.sdc,
            all.sdc5,
            all.critical,
            all.due,
        ];
        Self {
            draw: record.draw,
            faults: record.faults,
            counts: counts.map(|count| count as u32),
            more: (!is_plain).then(|| Box::new((all, record.near))),
        }
    }

    /// The record again, but for what nothing is computed of.
    fn record(&self, trial: u64, condition: usize) -> TrialRecord {
        let [images, correct, golden_correct, masked, sdc, sdc5, critical, due] = self.counts.map(u64::from);
        let plain = Outcomes {
            images,
            correct,
            golden_correct,
            masked,
            sdc,
            sdc5,
            critical,
            due,
            ..Outcomes::default()
        };
        let (outcomes, near) = self.more.as_deref().map_or((plain, None), |(all, near)| (*all, *near));
        TrialRecord {
            campaign: String::new(),
            trial,
            condition,
            draw: self.draw,
            faults: self.faults,
            outcomes,
            near,
            predictions: None,
            masked_proven: 0,
            cpu_seconds: 0.0,
        }
    }
}

/// All records of a campaign, by condition.
pub(super) struct Rows {
    by_condition: Vec<Vec<Row>>,
    /// Lines that killed processes left unfinished.
    pub(super) torn: usize,
    /// What became of the answers of single images, if that was recorded.
    pub(super) changes: Option<Changes>,
}

impl Rows {
    /// Reads the logs, one record at a time.
    pub(super) fn read(dir: &CampaignDir) -> Result<Self, ReportError> {
        let info = dir.info();
        let mut by_condition = vec![Vec::new(); info.plan.conditions.len()];
        let golden = dir.golden_answers()?;
        let mut changes = golden.map(|golden| Changes::new(info.plan.conditions.len(), golden));
        // A trial that several logs have counts once.
        let mut seen = HashSet::new();
        let torn = dir.visit_records(|record| {
            if let Some(changes) = &mut changes
                && seen.insert(record.trial)
            {
                changes.count(&record);
            }
            by_condition[record.condition].push(Row::new(&record));
        })?;
        for rows in &mut by_condition {
            rows.sort_by_key(|row| row.draw);
            rows.dedup();
            if rows.windows(2).any(|pair| pair[0].draw == pair[1].draw) {
                // Two records of one trial: the reader of whole records says which, and where.
                dir.records()?;
            }
        }
        Ok(Self { by_condition, torn, changes })
    }

    /// How many of a condition's.
    pub(super) fn recorded_of(&self, condition: usize) -> u64 {
        self.by_condition[condition].len() as u64
    }

    /// The whole records of some conditions.
    pub(super) fn records(
        &self,
        info: &CampaignInfo,
        conditions: std::ops::Range<usize>,
    ) -> BTreeMap<u64, TrialRecord> {
        let all = info.plan.conditions.len() as u64;
        let of_condition = |condition: usize| {
            let trial = move |row: &Row| row.draw * all + condition as u64;
            self.by_condition[condition]
                .iter()
                .map(move |row| (trial(row), row.record(trial(row), condition)))
        };
        conditions.flat_map(of_condition).collect()
    }
}

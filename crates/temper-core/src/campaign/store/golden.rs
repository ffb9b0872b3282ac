//! What every image is answered without faults, beside the records that say what it is answered with them.

use std::fs;
use std::io;

use serde::{Deserialize, Serialize};

use super::super::record::{sealed, unsealed};
use super::super::{Campaign, Golden};
use super::CampaignDir;
use super::error::{StoreError, io_error};
use crate::atomic::write_atomically;
use crate::execution::top_class;

/// The file's name.
pub(super) const GOLDEN: &str = "golden.jsonl";

/// The answers of one golden run: one line of `golden.jsonl`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoldenAnswers {
    /// Hash of the campaign it belongs to.
    campaign: String,
    /// The conditions whose golden run it is, in ascending order.
    pub conditions: Vec<usize>,
    /// The top class of every image; none for an output with a NaN.
    pub predictions: Vec<Option<u8>>,
}

impl GoldenAnswers {
    /// The answers of all golden runs of a campaign, in the order of their first conditions.
    pub fn of(campaign: &Campaign<'_>, golden: &Golden) -> Vec<Self> {
        let mut runs: Vec<(usize, Self)> = Vec::new();
        for condition in 0..campaign.plan().conditions.len() {
            let run = campaign.golden_run(condition);
            if let Some((_, answers)) = runs.iter_mut().find(|(known, _)| *known == run) {
                answers.conditions.push(condition);
                continue;
            }
            let logits = campaign.golden_logits(golden, condition);
            let outputs = logits.chunks_exact(logits.len() / campaign.images());
            let answers = Self {
                campaign: campaign.identity().campaign.clone(),
                conditions: vec![condition],
                predictions: outputs.map(|output| top_class(output).map(|class| class as u8)).collect(),
            };
            runs.push((run, answers));
        }
        runs.into_iter().map(|(_, answers)| answers).collect()
    }

    /// The text of a file of them.
    pub(super) fn to_lines(all: &[Self]) -> String {
        all.iter().map(sealed).collect()
    }
}

impl CampaignDir {
    /// Writes the golden answers, unless they are there.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn keep_golden_answers(&self, answers: &[GoldenAnswers]) -> Result<(), StoreError> {
        let path = self.path.join(GOLDEN);
        if path.exists() {
            return Ok(());
        }
        write_atomically(&path, GoldenAnswers::to_lines(answers).as_bytes()).map_err(io_error("write", &path))
    }

    /// The golden answers; none where the specification does not ask for answers, or a version of Temper that did not keep them made the
    /// directory.
    ///
    /// # Errors
    /// When they cannot be read, are damaged, or are those of another campaign.
    pub fn golden_answers(&self) -> Result<Option<Vec<GoldenAnswers>>, StoreError> {
        let path = self.path.join(GOLDEN);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(StoreError::Io { action: "read", path, source }),
        };
        let read = |(i, text)| {
            let line = i + 1;
            let answers: GoldenAnswers = match unsealed(text) {
                Ok(answers) => answers,
                Err(source) => return Err(StoreError::GoldenAnswers { path: path.clone(), line, source }),
            };
            if self.are_ours(&answers) {
                Ok(answers)
            } else {
                Err(StoreError::StrayAnswers { path: path.clone(), line })
            }
        };
        text.lines().enumerate().map(read).collect::<Result<_, _>>().map(Some)
    }

    fn are_ours(&self, answers: &GoldenAnswers) -> bool {
        answers.campaign == self.info.identity.campaign
            && answers.predictions.len() as u64 == self.info.plan.images
            && answers.conditions.iter().all(|&condition| condition < self.info.plan.conditions.len())
    }
}

//! What is kept of a trial: one line of a log.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::outcome::Outcomes;
use crate::statistics::ByMargin;

/// One trial, done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrialRecord {
    /// Hash of the campaign it belongs to.
    pub campaign: String,
    /// The trial's id.
    pub trial: u64,
    /// Its condition.
    pub condition: usize,
    /// Its number within the condition.
    pub draw: u64,
    /// Number of sites struck.
    pub faults: u64,
    /// What became of the inferences.
    #[serde(flatten)]
    pub outcomes: Outcomes,
    /// Those of the images near to another answer, where the trial ran part of the images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub near: Option<Outcomes>,
    /// The top class of every image run, where the specification asks for it; `null` for an output with a NaN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predictions: Option<Vec<Option<u8>>>,
    /// Of the masked inferences, those that were not run to their end, because the golden top class provably stays on top. How it is
    /// known, not part of the result.
    #[serde(default)]
    pub masked_proven: u64,
    /// Seconds that threads spent on it, added up; not part of the result.
    pub cpu_seconds: f64,
}

/// Why a line is not a record.
#[derive(Debug, Error)]
pub enum RecordError {
    /// No checksum at its end.
    #[error("the line does not end in a checksum")]
    NoChecksum,
    /// The checksum is another.
    #[error("the checksum is {found:08x}, but the line's is {expected:08x}")]
    Checksum {
        /// As computed from the line.
        expected: u32,
        /// As written at its end.
        found: u32,
    },
    /// The checksum holds, but the content is something else.
    #[error("not a trial record")]
    Json(#[from] serde_json::Error),
}

/// What comes between a record and its checksum.
const CHECKSUM: &str = ",\"crc32\":\"";

/// An object as one line of JSON, ending in the CRC-32 of the same JSON without it, and a line feed.
pub(super) fn sealed(object: &impl Serialize) -> String {
    let json = serde_json::to_string(object).expect("numbers and strings are always JSON");
    let checksum = crc32fast::hash(json.as_bytes());
    let body = json.strip_suffix('}').unwrap_or(&json);
    format!("{body}{CHECKSUM}{checksum:08x}\"}}\n")
}

/// The object of such a line without its line feed.
pub(super) fn unsealed<T: DeserializeOwned>(line: &str) -> Result<T, RecordError> {
    let (body, checksum) = line.rsplit_once(CHECKSUM).ok_or(RecordError::NoChecksum)?;
    let checksum = checksum.strip_suffix("\"}").ok_or(RecordError::NoChecksum)?;
    let found = u32::from_str_radix(checksum, 16).map_err(|_| RecordError::NoChecksum)?;
    let json = format!("{body}}}");
    let expected = crc32fast::hash(json.as_bytes());
    if found != expected {
        return Err(RecordError::Checksum { expected, found });
    }
    Ok(serde_json::from_str(&json)?)
}

impl TrialRecord {
    /// The record as one line of JSON, ending in the CRC-32 of the same JSON without it, and a line feed.
    pub fn to_line(&self) -> String {
        sealed(self)
    }

    /// Reads a line without its line feed.
    ///
    /// # Errors
    /// When the checksum is absent or wrong, or the content is not a record.
    pub fn from_line(line: &str) -> Result<Self, RecordError> {
        unsealed(line)
    }

    /// The outcomes of the two strata, where it ran part of the images.
    pub fn by_margin(&self) -> Option<ByMargin<Outcomes>> {
        self.near.map(|near| ByMargin { near, far: self.outcomes.without(&near) })
    }

    /// Whether both say the same of the same trial, however and in whatever time it was found.
    pub fn agrees_with(&self, other: &Self) -> bool {
        let result = |record: &Self| Self { cpu_seconds: 0.0, masked_proven: 0, ..record.clone() };
        result(self) == result(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> TrialRecord {
        let outcomes = Outcomes { images: 10, correct: 7, masked: 8, sdc: 1, due: 1, ..Outcomes::default() };
        TrialRecord {
            campaign: "0123456789abcdef".to_owned(),
            trial: 3,
            condition: 1,
            draw: 1,
            faults: 27,
            outcomes,
            near: Some(Outcomes { images: 4, correct: 2, masked: 4, ..Outcomes::default() }),
            predictions: Some(vec![Some(3), None]),
            masked_proven: 2,
            cpu_seconds: 0.125,
        }
    }

    #[test]
    fn a_line_is_json_and_reads_back() {
        let line = record().to_line();
        let line = line.strip_suffix('\n').expect("a whole line");
        let json: serde_json::Value = serde_json::from_str(line).expect("valid JSON");
        assert_eq!(json["correct"], 7);
        assert_eq!(TrialRecord::from_line(line).expect("reads back"), record());
    }

    #[test]
    fn every_changed_byte_and_every_cut_is_noticed() {
        let line = record().to_line();
        let line = line.trim_end();
        for i in 0..line.len() {
            assert!(TrialRecord::from_line(&line[..i]).is_err(), "cut at {i}");
            let mut bytes = line.as_bytes().to_vec();
            bytes[i] ^= 1;
            let changed = String::from_utf8(bytes).expect("still ASCII");
            // A digit of the checksum itself may change its case only.
            assert!(TrialRecord::from_line(&changed).is_err(), "changed at {i}");
        }
    }
}

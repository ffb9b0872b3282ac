//! From where a stopped training goes on.

use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};
use temper_core::write_atomically;
use thiserror::Error;

use super::Progress;
use super::record::EpochRecord;
use crate::schedule::ScheduleState;

/// The only version of the format.
const FORMAT: u32 = 1;
/// Where the header lies among the metadata.
const HEADER: &str = "temper_checkpoint";
/// Where the checksum lies: CRC-32 of the header and of the tensors' values, in the order of their names.
const CHECKSUM: &str = "crc32";

/// All of a training's state between two epochs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Checkpoint {
    pub(super) header: Header,
    /// Parameters and the optimiser's buffers, by name.
    pub(super) tensors: Vec<(String, Vec<f32>)>,
}

/// What is not a tensor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) format: u32,
    /// The recipe, the data and the network, as a digest: a checkpoint belongs to one training.
    pub(super) identity: String,
    /// The phase of the next step, from 0.
    pub(super) phase: usize,
    /// How far the training is.
    pub(super) progress: Progress,
    /// Accuracy at the start of each phase begun.
    pub(super) starts: Vec<f64>,
    /// Steps that the phase's optimiser has made.
    pub(super) optimizer_steps: u64,
    /// The schedule's own state.
    pub(super) schedule: ScheduleState,
    /// The ranges of quantised activations, by tap, as bits.
    pub(super) ranges: Vec<Option<(u32, u32)>>,
    /// What was recorded of the epochs done.
    pub(super) history: Vec<EpochRecord>,
}

/// Why a checkpoint cannot be read or written.
#[derive(Debug, Error)]
pub enum CheckpointError {
    /// The system refuses.
    #[error("cannot {verb} the checkpoint {}", path.display())]
    Io {
        /// `read` or `write`.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is damaged or no checkpoint.
    #[error("{}: {reason}; remove it to begin anew", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The checkpoint belongs to another training.
    #[error(
        "{} belongs to another recipe, other data or another network; give another folder with -o, or remove it to begin anew",
        path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
    },
}

impl Checkpoint {
    /// Writes it, whole or not at all.
    pub(super) fn write(&self, path: &Path) -> Result<(), CheckpointError> {
        let io = |source| CheckpointError::Io { verb: "write", path: path.to_owned(), source };
        let bytes =
            |values: &Vec<f32>| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        let stored: Vec<_> =
            self.tensors.iter().map(|(name, values)| (name, values.len(), bytes(values))).collect();
        let views = stored.iter().map(|(name, len, bytes)| {
            let view = TensorView::new(Dtype::F32, vec![*len], bytes).expect("as many bytes as values take");
            (name.as_str(), view)
        });
        let header = serde_json::to_string(&self.header).expect("plain data");
        let sum = checksum(&header, stored.iter().map(|(name, _, bytes)| (name.as_str(), bytes.as_slice())));
        let metadata = [(HEADER.to_owned(), header), (CHECKSUM.to_owned(), sum)].into_iter().collect();
        let bytes = safetensors::serialize(views, Some(metadata))
            .map_err(|error| io(std::io::Error::other(error)))?;
        write_atomically(path, &bytes).map_err(io)
    }

    /// Reads it.
    pub(super) fn read(path: &Path) -> Result<Self, CheckpointError> {
        let malformed = |reason: String| CheckpointError::Malformed { path: path.to_owned(), reason };
        let bytes = std::fs::read(path).map_err(|source| CheckpointError::Io {
            verb: "read",
            path: path.to_owned(),
            source,
        })?;
        let not_whole =
            |error: safetensors::SafeTensorError| malformed(format!("not a whole checkpoint: {error}"));
        let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(not_whole)?;
        let entry = |key| metadata.metadata().as_ref().and_then(|metadata| metadata.get(key));
        let text = entry(HEADER).ok_or_else(|| malformed("not a checkpoint of a training".to_owned()))?;
        let header: Header =
            serde_json::from_str(text).map_err(|error| malformed(format!("its header: {error}")))?;
        if header.format != FORMAT {
            return Err(malformed(format!("format version {}, expected {FORMAT}", header.format)));
        }
        let tensors = SafeTensors::deserialize(&bytes).map_err(not_whole)?;
        let sum = checksum(text, tensors.iter().map(|(name, view)| (name, view.data())));
        if entry(CHECKSUM) != Some(&sum) {
            return Err(malformed("damaged: its checksum is wrong".to_owned()));
        }
        let mut found = Vec::new();
        for (name, view) in tensors.tensors() {
            if view.dtype() != Dtype::F32 {
                return Err(malformed(format!("tensor \"{name}\" is not of type F32")));
            }
            let values = view.data().as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes));
            found.push((name, values.collect()));
        }
        Ok(Self { header, tensors: found })
    }

    /// Takes the tensors whose names begin with `prefix`, without it.
    pub(super) fn take(&mut self, prefix: &str) -> Vec<(String, Vec<f32>)> {
        let (taken, rest) = std::mem::take(&mut self.tensors)
            .into_iter()
            .partition::<Vec<_>, _>(|(name, _)| name.starts_with(prefix));
        self.tensors = rest;
        taken.into_iter().map(|(name, values)| (name[prefix.len()..].to_owned(), values)).collect()
    }
}

/// The checksum of a checkpoint of this header and these tensors, in hexadecimal digits.
fn checksum<'a>(header: &str, tensors: impl Iterator<Item = (&'a str, &'a [u8])>) -> String {
    let mut tensors: Vec<_> = tensors.collect();
    tensors.sort_unstable_by_key(|(name, _)| *name);
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(header.as_bytes());
    for (name, bytes) in tensors {
        hasher.update(name.as_bytes());
        hasher.update(bytes);
    }
    format!("{:08x}", hasher.finalize())
}

impl Header {
    /// A header of the current format.
    pub(super) const fn current() -> u32 {
        FORMAT
    }
}

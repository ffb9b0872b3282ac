//! Networks and weights from files that other programs wrote.
//!
//! - [`read_weights`] tells the format by the content: PyTorch checkpoints in both their forms ([`torch`]) and [`safetensors`].
//!   Either way the result is a [`StateDict`]: named tensors of `f32`, and what was left out. [`fit()`] lays them into a network of
//!   known architecture, whatever names their author gave them.
//! - [`onnx`] reads graph and weights together.

mod detect;
mod element;
mod fit;
pub mod onnx;
pub mod safetensors;
mod state_dict;
pub mod torch;

use std::path::{Path, PathBuf};

use thiserror::Error;

pub use self::fit::{FitError, Fitted, fit};
pub use self::safetensors::SafeTensorsError;
pub use self::state_dict::{Ignored, StateDict};
pub use self::torch::{PickleError, TorchError};
use detect::Format;

/// Why a file gives no weights.
#[derive(Debug, Error)]
pub enum ImportError {
    /// The file cannot be read at all.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is of another format.
    #[error("{} seems to be {seems}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What it seems to be, and what to do.
        seems: &'static str,
    },
    /// A safetensors file that cannot be read.
    #[error("cannot import weights from {}, a safetensors file", path.display())]
    SafeTensors {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: SafeTensorsError,
    },
    /// A PyTorch checkpoint that cannot be read.
    #[error("cannot import weights from {}, a PyTorch checkpoint", path.display())]
    Torch {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: TorchError,
    },
    /// A key was given for a format without keys.
    #[error("{} is a safetensors file, which has no keys to choose from; leave \"{key}\" out", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
    },
    /// The file holds no weight.
    #[error("{} holds no tensor of floats ({ignored} other entries)", path.display())]
    NoWeights {
        /// The file.
        path: PathBuf,
        /// Number of entries that are not weights.
        ignored: usize,
    },
}

/// Reads the weights of a checkpoint file. `key` names the part of a PyTorch checkpoint to read (see [`torch::read`]); names stay
/// as they are in the file (see [`StateDict::strip_prefix`]).
///
/// # Errors
/// When the file cannot be read, is of another format, is damaged, or holds no weights.
pub fn read_weights(path: &Path, key: Option<&str>) -> Result<StateDict, ImportError> {
    let path = || path.to_owned();
    let bytes = std::fs::read(path()).map_err(|source| ImportError::Read { path: path(), source })?;
    let dict = match (detect::detect(&bytes), key) {
        (Format::Torch, key) => {
            torch::read(&bytes, key).map_err(|source| ImportError::Torch { path: path(), source })?
        }
        (Format::SafeTensors, None) => {
            safetensors::read(&bytes).map_err(|source| ImportError::SafeTensors { path: path(), source })?
        }
        (Format::SafeTensors, Some(key)) => {
            return Err(ImportError::Key { path: path(), key: key.to_owned() });
        }
        (Format::Other(seems), _) => return Err(ImportError::Format { path: path(), seems }),
    };
    if dict.is_empty() {
        return Err(ImportError::NoWeights { path: path(), ignored: dict.ignored().len() });
    }
    Ok(dict)
}

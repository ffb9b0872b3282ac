//! Why a PyTorch checkpoint cannot be read.

use thiserror::Error;

use super::machine::PickleError;
use super::value::shorten;
use crate::network::import::state_dict::name_list;

/// Candidates named in a message.
pub(super) const NAMES_IN_MESSAGE: usize = 8;

/// Why bytes are not a PyTorch checkpoint with weights.
#[derive(Debug, Error)]
pub enum TorchError {
    /// Neither a zip archive nor the older form.
    #[error(
        "not a PyTorch checkpoint: neither a zip archive nor torch's older form; save it with torch.save"
    )]
    NotTorch,
    /// The zip archive is damaged or uses what is not supported.
    #[error("the zip archive cannot be read")]
    Zip(#[from] zip::result::ZipError),
    /// An entry of the archive cannot be decompressed, or its checksum is wrong.
    #[error("entry \"{entry}\" of the zip archive cannot be read; the file seems damaged: fetch it again")]
    ZipEntry {
        /// The entry.
        entry: String,
        /// What went wrong.
        source: std::io::Error,
    },
    /// An entry of the archive is encrypted.
    #[error("entry \"{entry}\" of the zip archive is encrypted; decrypt the file first")]
    Encrypted {
        /// The entry.
        entry: String,
    },
    /// A zip archive that torch.save did not write.
    #[error("the zip archive holds no data.pkl, so torch.save did not write it; it holds {}", name_list(.entries, NAMES_IN_MESSAGE))]
    NoPickle {
        /// Names of its entries.
        entries: Vec<String>,
    },
    /// A compiled module.
    #[error(
        "the file is a TorchScript archive, a compiled program; save torch.jit.load(file).state_dict() with torch.save"
    )]
    TorchScript,
    /// The byte-order mark is neither of the two.
    #[error("the checkpoint's byte order is \"{found}\"; expected little or big")]
    ByteOrder {
        /// What is written there.
        found: String,
    },
    /// A pickle is damaged or not supported.
    #[error(transparent)]
    Pickle(#[from] PickleError),
    /// The older form's frame around the pickle is damaged.
    #[error("the checkpoint, in torch's older form, is damaged: {reason}")]
    Legacy {
        /// What was found and expected.
        reason: String,
    },
    /// No state dict was found.
    #[error("found {found} instead of a dict of tensors; save model.state_dict() with torch.save")]
    NoStateDict {
        /// What was found.
        found: String,
    },
    /// Several state dicts were found.
    #[error("the checkpoint holds tensors under several keys ({}); choose one", name_list(.candidates, NAMES_IN_MESSAGE))]
    Ambiguous {
        /// The keys; the empty one stands for the top level itself.
        candidates: Vec<String>,
    },
    /// The chosen key does not exist.
    #[error("the checkpoint has no key \"{key}\"; keys that hold tensors: {}", some_list(.found))]
    UnknownKey {
        /// The key asked for.
        key: String,
        /// Keys that hold tensors.
        found: Vec<String>,
    },
    /// A name occurs twice, or is not text.
    #[error("the state dict's name \"{name}\" occurs twice or is not UTF-8")]
    Name {
        /// The name.
        name: String,
    },
    /// A tensor cannot be rebuilt.
    #[error("tensor \"{name}\": {reason}")]
    Tensor {
        /// The tensor.
        name: String,
        /// What was found and expected.
        reason: String,
    },
    /// The content is many times larger than the file.
    #[error(
        "the checkpoint would expand to much more than its {found} bytes; it is damaged or made to exhaust memory"
    )]
    TooLarge {
        /// Length of the file in bytes.
        found: usize,
    },
}

impl TorchError {
    pub(super) fn tensor(name: &str, reason: impl Into<String>) -> Self {
        Self::Tensor { name: shorten(name), reason: reason.into() }
    }
}

fn some_list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { name_list(names, NAMES_IN_MESSAGE) }
}

//! Weights from PyTorch checkpoints, read without Python and without executing anything.
//!
//! A checkpoint is a pickle: a program for a small stack machine, and in Python's hands one that may call any function. Here the
//! program only builds a description (module `value`); what torch's own functions would have made of it is then computed for the few
//! that make tensors (module `tensor`), and everything else remains a name. Sources: Python's `pickletools` for the instructions,
//! `torch/serialization.py` and `torch/_utils.py` for the two file forms and the calls.

mod archive;
mod budget;
mod error;
mod legacy;
mod machine;
mod select;
mod storage;
mod tensor;
mod value;

use std::collections::HashMap;

pub use error::TorchError;
pub use machine::PickleError;

use self::archive::Archive;
use self::budget::Budget;
use self::storage::ElementType;
use self::tensor::TensorRef;
use self::value::{Pickle, shorten};
use super::element::{ByteOrder, Element, Float, View};
use super::state_dict::{Builder, StateDict};
use crate::tensor::Tensor;

/// How a zip archive starts.
const ZIP_MAGIC: &[u8] = b"PK";

/// Reads the weights of a PyTorch checkpoint: a state dict, a dict that holds one, or a whole pickled module.
///
/// The state dict is the top level itself or lies under `key`. Without a key, the names that training scripts commonly use are
/// tried (`state_dict`, `model_state_dict`, `model`, `net`, `weights`, `params`), then the only dict of tensors there is; the key
/// `""` stands for the top level.
///
/// # Errors
/// When the file is damaged or of another form, no state dict or several are found, or a tensor of it cannot be had as `f32`.
pub fn read(bytes: &[u8], key: Option<&str>) -> Result<StateDict, TorchError> {
    if bytes.starts_with(ZIP_MAGIC) {
        let (mut archive, pickle) = Archive::open(bytes)?;
        let order = archive.byte_order()?;
        return extract(&machine::read(&pickle)?, Storages::Archive(archive), order, key, bytes.len());
    }
    if !legacy::is_legacy(bytes) {
        return Err(TorchError::NotTorch);
    }
    let legacy = legacy::read(bytes)?;
    extract(&legacy.pickle, Storages::Legacy(legacy.storages), ByteOrder::Little, key, bytes.len())
}

/// Where the bytes of storages come from.
enum Storages<'a> {
    Archive(Archive<'a>),
    Legacy(HashMap<&'a [u8], &'a [u8]>),
}

impl Storages<'_> {
    fn bytes(&mut self, key: &[u8]) -> Result<Option<&[u8]>, TorchError> {
        match self {
            Self::Archive(archive) => archive.storage(key),
            Self::Legacy(storages) => Ok(storages.get(key).copied()),
        }
    }
}

fn extract(
    pickle: &Pickle<'_>,
    mut storages: Storages<'_>,
    order: ByteOrder,
    key: Option<&str>,
    file_size: usize,
) -> Result<StateDict, TorchError> {
    let selection = select::select(pickle, key, file_size)?;
    let mut budget = Budget::for_data(file_size);
    let mut builder = Builder::default();
    if let Some(note) = selection.note {
        builder.note(note);
    }
    for entry in selection.entries {
        if !builder.claim(&entry.name) {
            return Err(TorchError::Name { name: shorten(&entry.name) });
        }
        if entry.transient {
            builder.ignore(entry.name, "buffer that the module does not save".to_owned());
            continue;
        }
        if !tensor::is_tensor(pickle, entry.value) {
            builder.ignore(entry.name, pickle.describe(entry.value));
            continue;
        }
        let tensor =
            tensor::parse(pickle, entry.value).map_err(|reason| TorchError::tensor(&entry.name, reason))?;
        match tensor.element {
            ElementType::Known(Element::Float(float)) => {
                let bytes = tensor_bytes(&tensor, &entry.name, &mut storages)?;
                let values = values(&tensor.view, &entry.name, (float, order), bytes, &mut budget)?;
                builder.tensor(entry.name, float, values);
            }
            ElementType::Known(Element::Integer(kind)) => {
                builder.ignore(entry.name, format!("{kind} tensor"));
            }
            ElementType::Unsupported(kind) => {
                let reason = format!(
                    "its elements are of type {}; expected floats of 16, 32 or 64 bits: convert it first",
                    shorten(kind)
                );
                return Err(TorchError::tensor(&entry.name, reason));
            }
        }
    }
    Ok(builder.finish())
}

/// The bytes of the storage that a tensor is a view of.
fn tensor_bytes<'s>(
    tensor: &TensorRef<'_>,
    name: &str,
    storages: &'s mut Storages<'_>,
) -> Result<&'s [u8], TorchError> {
    let storage = &tensor.storage;
    let bytes = storages.bytes(storage.key)?.ok_or_else(|| {
        let key = shorten(&String::from_utf8_lossy(storage.key));
        TorchError::tensor(name, format!("its storage \"{key}\" is not in the file; fetch the file again"))
    })?;
    storage.bytes(bytes).map_err(|reason| TorchError::tensor(name, reason))
}

/// The values of a view of floats.
fn values(
    view: &View,
    name: &str,
    (float, order): (Float, ByteOrder),
    bytes: &[u8],
    budget: &mut Budget,
) -> Result<Tensor, TorchError> {
    let outside = || {
        let View { offset, shape, stride } = view;
        let reason = format!(
            "shape {shape:?} with stride {stride:?} from element {offset} leaves its storage of {} bytes",
            bytes.len()
        );
        TorchError::tensor(name, reason)
    };
    budget.spend(view.element_count().and_then(|n| n.checked_mul(size_of::<f32>())).ok_or_else(outside)?)?;
    let values = float.strided(bytes, order, view).ok_or_else(outside)?;
    Tensor::new(view.shape.clone(), values).map_err(|error| TorchError::tensor(name, error.to_string()))
}

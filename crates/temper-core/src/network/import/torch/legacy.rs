//! The older form of a checkpoint (before PyTorch 1.6, or `_use_new_zipfile_serialization=False`): five pickles one after
//! another (magic number, protocol version, system information, the object, the list of storage keys), then for each key the
//! number of elements as `i64` and the elements. Everything is little-endian, whatever machine wrote it.

use std::collections::HashMap;

use super::error::TorchError;
use super::machine;
use super::storage::StorageRef;
use super::value::{Id, Pickle, Value};

/// `torch.serialization.MAGIC_NUMBER`, 0x1950a86a20f9469cfc6c.
const MAGIC_NUMBER: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
/// `torch.serialization.PROTOCOL_VERSION`.
const PROTOCOL_VERSION: i64 = 1001;

/// A checkpoint in the older form.
pub(super) struct Legacy<'a> {
    /// The object.
    pub(super) pickle: Pickle<'a>,
    /// The storages' bytes by key.
    pub(super) storages: HashMap<&'a [u8], &'a [u8]>,
}

/// The pickle of the magic number is shorter than this in every protocol.
const MAX_MAGIC: usize = 64;

/// Whether `bytes` start with a pickle of the magic number.
pub(super) fn is_legacy(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(MAX_MAGIC)];
    machine::read(start)
        .is_ok_and(|pickle| matches!(pickle.get(pickle.root), Value::Long(n) if *n == MAGIC_NUMBER))
}

/// Reads a checkpoint of which [`is_legacy`] holds.
pub(super) fn read(bytes: &[u8]) -> Result<Legacy<'_>, TorchError> {
    let mut rest = bytes;
    let mut next = || {
        let pickle = machine::read(rest)?;
        rest = &rest[pickle.length..];
        Ok::<_, TorchError>(pickle)
    };
    next()?;
    let protocol = next()?;
    if !matches!(protocol.get(protocol.root), Value::Int(PROTOCOL_VERSION)) {
        return Err(damaged(format!("its protocol version is not {PROTOCOL_VERSION}")));
    }
    next()?;
    let pickle = next()?;
    let keys = next()?;
    let storages = read_storages(&keys, &element_sizes(&pickle), rest)?;
    Ok(Legacy { pickle, storages })
}

/// Bytes per element of every storage that the object refers to.
fn element_sizes<'a>(pickle: &Pickle<'a>) -> HashMap<&'a [u8], usize> {
    let ids = 0..pickle.values.len() as Id;
    let storages = ids.filter_map(|id| StorageRef::parse(pickle, id));
    storages.map(|storage| (storage.key, storage.element_size)).collect()
}

fn read_storages<'a>(
    keys: &Pickle<'a>,
    element_sizes: &HashMap<&'a [u8], usize>,
    mut rest: &'a [u8],
) -> Result<HashMap<&'a [u8], &'a [u8]>, TorchError> {
    let mut storages = HashMap::new();
    for &key in keys.sequence(keys.root).ok_or_else(|| damaged("it has no list of storages"))? {
        let key = keys.text(key).ok_or_else(|| damaged("the key of a storage is not text"))?;
        let name = || String::from_utf8_lossy(key).into_owned();
        let size = element_sizes
            .get(key)
            .ok_or_else(|| damaged(format!("no tensor of a known type uses its storage {}", name())))?;
        let split = || {
            let (count, data) = rest.split_first_chunk()?;
            let length = usize::try_from(i64::from_le_bytes(*count)).ok()?.checked_mul(*size)?;
            data.split_at_checked(length)
        };
        let (data, after) = split().ok_or_else(|| {
            damaged(format!("it ends before the end of storage {}; fetch it again", name()))
        })?;
        storages.insert(key, data);
        rest = after;
    }
    Ok(storages)
}

fn damaged(reason: impl Into<String>) -> TorchError {
    TorchError::Legacy { reason: reason.into() }
}

//! The zip form of a checkpoint: `<name>/data.pkl`, `<name>/byteorder`, and one entry `<name>/data/<key>` for each storage.

use std::collections::HashMap;
use std::io::{Cursor, Read};

use zip::ZipArchive;

use super::budget::Budget;
use super::error::TorchError;
use super::value::shorten;
use crate::network::import::element::ByteOrder;

/// Bytes of a byte-order mark that are read.
const MAX_MARK: usize = 16;

/// An open checkpoint archive.
pub(super) struct Archive<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    /// What comes before `data.pkl` in its name, such as `archive/`.
    prefix: Vec<u8>,
    file_size: usize,
    budget: Budget,
    storages: HashMap<Vec<u8>, Vec<u8>>,
}

impl<'a> Archive<'a> {
    /// Opens the archive and reads its pickle.
    pub(super) fn open(bytes: &'a [u8]) -> Result<(Self, Vec<u8>), TorchError> {
        let zip = ZipArchive::new(Cursor::new(bytes))?;
        let is_pickle = |name: &&[u8]| *name == b"data.pkl" || name.ends_with(b"/data.pkl");
        let Some(pickle) = zip.file_names_raw().filter(is_pickle).min_by_key(|name| name.len()) else {
            let name = |name: &[u8]| shorten(&String::from_utf8_lossy(name));
            return Err(TorchError::NoPickle { entries: zip.file_names_raw().map(name).collect() });
        };
        let prefix = pickle[..pickle.len() - b"data.pkl".len()].to_vec();
        let budget = Budget::for_data(bytes.len());
        let mut archive = Self { zip, prefix, file_size: bytes.len(), budget, storages: HashMap::new() };
        if archive.entry(b"constants.pkl").is_some() {
            return Err(TorchError::TorchScript);
        }
        let limit = Budget::for_pickle(bytes.len()).left();
        let pickle = archive.read(b"data.pkl", limit)?.unwrap_or_default();
        Ok((archive, pickle))
    }

    /// The order of the bytes in the storages; little-endian where no mark says otherwise.
    pub(super) fn byte_order(&mut self) -> Result<ByteOrder, TorchError> {
        match self.read(b"byteorder", MAX_MARK)?.as_deref() {
            None | Some(b"little") => Ok(ByteOrder::Little),
            Some(b"big") => Ok(ByteOrder::Big),
            Some(found) => Err(TorchError::ByteOrder { found: String::from_utf8_lossy(found).into_owned() }),
        }
    }

    /// The bytes of a storage, if there is such an entry.
    pub(super) fn storage(&mut self, key: &[u8]) -> Result<Option<&[u8]>, TorchError> {
        if !self.storages.contains_key(key) {
            let Some(bytes) = self.read(&[b"data/", key].concat(), self.budget.left())? else {
                return Ok(None);
            };
            self.budget.spend(bytes.len())?;
            self.storages.insert(key.to_vec(), bytes);
        }
        Ok(self.storages.get(key).map(Vec::as_slice))
    }

    fn entry(&self, name: &[u8]) -> Option<usize> {
        self.zip.index_for_name_raw(&[&self.prefix, name].concat())
    }

    /// The content of an entry, which must not be longer than `limit`; its checksum is verified.
    fn read(&mut self, name: &[u8], limit: usize) -> Result<Option<Vec<u8>>, TorchError> {
        let Some(index) = self.entry(name) else { return Ok(None) };
        let entry = || shorten(&String::from_utf8_lossy(name));
        if self.zip.by_index_data(index)?.encrypted() {
            return Err(TorchError::Encrypted { entry: entry() });
        }
        let mut content = Vec::new();
        let reader = self.zip.by_index(index)?;
        let read = reader.take(limit as u64 + 1).read_to_end(&mut content);
        read.map_err(|source| TorchError::ZipEntry { entry: entry(), source })?;
        if content.len() > limit {
            return Err(TorchError::TooLarge { found: self.file_size });
        }
        Ok(Some(content))
    }
}

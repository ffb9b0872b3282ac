//! Finding the state dict in what was pickled.

use std::collections::{HashMap, HashSet};

use super::budget::Budget;
use super::error::{NAMES_IN_MESSAGE, TorchError};
use super::tensor::is_tensor;
use super::value::{Id, Pickle, Value, shorten};
use crate::network::import::state_dict::name_list;

/// Keys under which training scripts put the weights, the most telling first.
const PREFERRED_KEYS: [&str; 6] = ["state_dict", "model_state_dict", "model", "net", "weights", "params"];
/// Modules within modules.
const MAX_DEPTH: usize = 64;

/// An entry of a state dict.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) value: Id,
    /// Whether it is a buffer that torch leaves out of a state dict.
    pub(super) transient: bool,
}

/// A state dict's entries in order, and what was chosen to find them.
#[derive(Debug)]
pub(super) struct Selection {
    pub(super) entries: Vec<Entry>,
    pub(super) note: Option<String>,
}

/// The state dict of a checkpoint: under `key` (`""` for the top level itself), or else where it is clearly to be found.
pub(super) fn select(
    pickle: &Pickle<'_>,
    key: Option<&str>,
    file_size: usize,
) -> Result<Selection, TorchError> {
    let mut walker =
        Walker { pickle, steps: Budget::for_pickle(file_size), names: Budget::for_data(file_size) };
    let (id, note) = walker.choose(key)?;
    let mut entries = Vec::new();
    if walker.is_module(id)? {
        walker.collect_module(id, "", 0, &mut entries)?;
    } else {
        walker.collect_dict(id, &mut entries)?;
    }
    Ok(Selection { entries, note })
}

struct Walker<'p, 'a> {
    pickle: &'p Pickle<'a>,
    /// Steps through entries: shared values must not make a walk much longer than the file.
    steps: Budget,
    /// Bytes of names made.
    names: Budget,
}

impl<'a> Walker<'_, 'a> {
    fn choose(&mut self, key: Option<&str>) -> Result<(Id, Option<String>), TorchError> {
        let root = self.pickle.root;
        if key == Some("") {
            return self.expect_container(root).map(|id| (id, None));
        }
        if key.is_none() && self.is_module(root)? {
            return Ok((root, None));
        }
        let candidates = self.candidates(root)?;
        let name = |key: &[u8]| shorten(&String::from_utf8_lossy(key));
        let names = || candidates.iter().map(|(key, _)| name(key)).collect::<Vec<_>>();
        if let Some(key) = key {
            return match self.fields(root)?.get(key.as_bytes()) {
                Some(&id) => self.expect_container(id).map(|id| (id, None)),
                None => Err(TorchError::UnknownKey { key: key.to_owned(), found: names() }),
            };
        }
        let preferred = PREFERRED_KEYS.iter().find_map(|preferred| {
            candidates.iter().find(|(key, _)| *key == preferred.as_bytes()).map(|&(_, id)| (*preferred, id))
        });
        let top_level = self.holds_tensors(root)?;
        match (preferred, candidates.as_slice()) {
            (Some((key, id)), _) => {
                let others: Vec<String> = names().into_iter().filter(|other| other != key).collect();
                let note = (!others.is_empty()).then(|| {
                    let others = name_list(&others, NAMES_IN_MESSAGE);
                    format!("the weights under \"{key}\" were read; the checkpoint also has tensors under {others}")
                });
                Ok((id, note))
            }
            (None, []) => self.expect_container(root).map(|id| (id, None)),
            (None, &[(_, id)]) if !top_level => Ok((id, None)),
            (None, _) => {
                let mut candidates = names();
                candidates.extend(top_level.then(String::new));
                Err(TorchError::Ambiguous { candidates })
            }
        }
    }

    /// Entries of a dict that hold tensors themselves.
    fn candidates(&mut self, id: Id) -> Result<Vec<(&'a [u8], Id)>, TorchError> {
        let mut candidates = Vec::new();
        let mut seen = HashSet::new();
        for (key, value) in self.pickle.entries(id).into_iter().flatten() {
            self.steps.spend(1)?;
            let Some(key) = self.pickle.text(key) else { continue };
            if (self.holds_tensors(value)? || self.is_module(value)?) && seen.insert(key) {
                candidates.push((key, value));
            }
        }
        Ok(candidates)
    }

    fn expect_container(&mut self, id: Id) -> Result<Id, TorchError> {
        if self.holds_tensors(id)? || self.is_module(id)? {
            return Ok(id);
        }
        let found = if is_tensor(self.pickle, id) { "a tensor".to_owned() } else { self.pickle.describe(id) };
        Err(TorchError::NoStateDict { found })
    }

    /// Whether a value is a dict in which a tensor has a text key.
    fn holds_tensors(&mut self, id: Id) -> Result<bool, TorchError> {
        for (key, value) in self.pickle.entries(id).into_iter().flatten() {
            self.steps.spend(1)?;
            if self.pickle.text(key).is_some() && is_tensor(self.pickle, value) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The fields of a dict by key.
    fn fields(&mut self, id: Id) -> Result<HashMap<&'a [u8], Id>, TorchError> {
        self.steps.spend(self.pickle.entries(id).map_or(0, Iterator::count))?;
        Ok(self.pickle.fields(id))
    }

    /// The attributes of a pickled `torch.nn.Module`.
    fn module(&mut self, id: Id) -> Result<Option<HashMap<&'a [u8], Id>>, TorchError> {
        let Value::Object(object) = self.pickle.get(id) else { return Ok(None) };
        let Some(state) = object.state else { return Ok(None) };
        let fields = self.fields(state)?;
        let is_module = [b"_parameters".as_slice(), b"_modules"].iter().all(|name| fields.contains_key(name));
        Ok(is_module.then_some(fields))
    }

    fn is_module(&mut self, id: Id) -> Result<bool, TorchError> {
        Ok(self.module(id)?.is_some())
    }

    fn collect_dict(&mut self, id: Id, entries: &mut Vec<Entry>) -> Result<(), TorchError> {
        for (key, value) in self.pickle.entries(id).into_iter().flatten() {
            let name = match self.pickle.text(key) {
                Some(key) => self.name("", key)?,
                None => format!("(a key that is {})", self.pickle.describe(key)),
            };
            entries.push(Entry { name, value, transient: false });
        }
        Ok(())
    }

    /// What `module.state_dict()` would list: parameters, buffers, then the modules inside.
    fn collect_module(
        &mut self,
        id: Id,
        prefix: &str,
        depth: usize,
        entries: &mut Vec<Entry>,
    ) -> Result<(), TorchError> {
        let Some(fields) = self.module(id)? else { return Ok(()) };
        if depth > MAX_DEPTH {
            return Err(TorchError::NoStateDict {
                found: format!("more than {MAX_DEPTH} modules within each other"),
            });
        }
        let transient = self.transient_buffers(&fields)?;
        for (field, is_buffer) in [(b"_parameters".as_slice(), false), (b"_buffers", true)] {
            for (key, value) in self.members(&fields, field)? {
                let name = self.name(prefix, key)?;
                entries.push(Entry { name, value, transient: is_buffer && transient.contains(key) });
            }
        }
        for (key, value) in self.members(&fields, b"_modules")? {
            let prefix = self.name(prefix, key)? + ".";
            self.collect_module(value, &prefix, depth + 1, entries)?;
        }
        Ok(())
    }

    /// The members of a module's parameters, buffers or modules that are not `None`.
    fn members(
        &mut self,
        fields: &HashMap<&'a [u8], Id>,
        field: &[u8],
    ) -> Result<Vec<(&'a [u8], Id)>, TorchError> {
        let Some(&dict) = fields.get(field) else { return Ok(Vec::new()) };
        let mut members = Vec::new();
        for (key, value) in self.pickle.entries(dict).into_iter().flatten() {
            self.steps.spend(1)?;
            if let (Some(key), false) = (self.pickle.text(key), matches!(self.pickle.get(value), Value::None))
            {
                members.push((key, value));
            }
        }
        Ok(members)
    }

    /// The set `_non_persistent_buffers_set`, written as a set or as `set([…])`.
    fn transient_buffers(&mut self, fields: &HashMap<&'a [u8], Id>) -> Result<HashSet<&'a [u8]>, TorchError> {
        let Some(&set) = fields.get(b"_non_persistent_buffers_set".as_slice()) else {
            return Ok(HashSet::new());
        };
        let set = match self.pickle.call(set) {
            Some((_, &[items])) => items,
            _ => set,
        };
        let items = self.pickle.sequence(set).unwrap_or(&[]);
        self.steps.spend(items.len())?;
        Ok(items.iter().filter_map(|&item| self.pickle.text(item)).collect())
    }

    fn name(&mut self, prefix: &str, key: &[u8]) -> Result<String, TorchError> {
        self.names.spend(prefix.len() + key.len())?;
        match std::str::from_utf8(key) {
            Ok(key) => Ok(format!("{prefix}{key}")),
            Err(_) => Err(TorchError::Name { name: shorten(&String::from_utf8_lossy(key)) }),
        }
    }
}

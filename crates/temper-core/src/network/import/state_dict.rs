//! What a checkpoint holds: tensors by name, in the order in which they were defined.

use std::collections::HashSet;

use super::element::Float;
use crate::tensor::Tensor;

/// Prefixes that wrappers put before every name: data-parallel training, compilation, and common attribute names.
const WRAPPER_PREFIXES: [&str; 5] = ["module.", "_orig_mod.", "model.", "net.", "backbone."];

/// Names listed in full in a note, before "and n more".
const NAMES_IN_NOTE: usize = 3;

/// The named tensors of a checkpoint, with what was left out and what was changed on the way.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StateDict {
    entries: Vec<(String, Tensor)>,
    ignored: Vec<Ignored>,
    notes: Vec<String>,
}

/// An entry of a checkpoint that is not among the tensors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ignored {
    /// Its name in the checkpoint.
    pub name: String,
    /// What it is, such as `int64 tensor`.
    pub reason: String,
}

impl StateDict {
    /// The tensors by name, in the order of the checkpoint.
    pub fn entries(&self) -> &[(String, Tensor)] {
        &self.entries
    }

    /// The tensor of that name.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.entries.iter().find(|(other, _)| other == name).map(|(_, tensor)| tensor)
    }

    /// Number of tensors.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no tensor.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Entries that are not weights: integer tensors such as `num_batches_tracked`, and what is no tensor at all.
    pub fn ignored(&self) -> &[Ignored] {
        &self.ignored
    }

    /// What was changed or chosen while reading, one sentence each, to be shown to the user.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Removes wrapper prefixes (`module.`, `_orig_mod.`, `model.`, `net.`, `backbone.`) that all tensors share, one after
    /// another from the outside, and notes what was removed.
    #[must_use]
    pub fn strip_prefix(mut self) -> Self {
        let mut stripped = String::new();
        while let Some(prefix) = self.common_prefix() {
            let strip = |name: &mut String| {
                if let Some(rest) = name.strip_prefix(prefix) {
                    *name = rest.to_owned();
                }
            };
            self.entries.iter_mut().for_each(|(name, _)| strip(name));
            self.ignored.iter_mut().for_each(|ignored| strip(&mut ignored.name));
            stripped.push_str(prefix);
        }
        if !stripped.is_empty() {
            self.notes.push(format!("the prefix \"{stripped}\", shared by all names, was removed"));
        }
        self
    }

    fn common_prefix(&self) -> Option<&'static str> {
        let shared = |prefix: &&str| {
            self.entries.iter().all(|(name, _)| name.len() > prefix.len() && name.starts_with(*prefix))
        };
        WRAPPER_PREFIXES.into_iter().find(|prefix| !self.is_empty() && shared(prefix))
    }
}

/// Collects a state dict entry by entry; names are kept unique.
#[derive(Debug, Default)]
pub(super) struct Builder {
    dict: StateDict,
    names: HashSet<String>,
    rounded: Vec<String>,
    overflowed: usize,
}

impl Builder {
    /// Claims a name; `false` if it was claimed before.
    pub(super) fn claim(&mut self, name: &str) -> bool {
        self.names.insert(name.to_owned())
    }

    /// Adds a tensor read from elements of that type.
    pub(super) fn tensor(&mut self, name: String, float: Float, tensor: Tensor) {
        if float == Float::F64 {
            self.rounded.push(name.clone());
            self.overflowed += tensor.data().iter().filter(|value| value.is_infinite()).count();
        }
        self.dict.entries.push((name, tensor));
    }

    /// Lists an entry as ignored.
    pub(super) fn ignore(&mut self, name: String, reason: String) {
        self.dict.ignored.push(Ignored { name, reason });
    }

    /// Adds a note.
    pub(super) fn note(&mut self, note: String) {
        self.dict.notes.push(note);
    }

    /// The state dict.
    pub(super) fn finish(mut self) -> StateDict {
        if !self.rounded.is_empty() {
            let names = name_list(&self.rounded, NAMES_IN_NOTE);
            let infinite = match self.overflowed {
                0 => String::new(),
                n => format!("; {n} of their values are infinite in f32"),
            };
            self.note(format!("tensors stored in f64 were rounded to the nearest f32: {names}{infinite}"));
        }
        self.dict
    }
}

/// The first `limit` names in quotes, and how many more there are.
pub(super) fn name_list<S: AsRef<str>>(names: &[S], limit: usize) -> String {
    let shown: Vec<String> = names.iter().take(limit).map(|name| format!("\"{}\"", name.as_ref())).collect();
    match names.len().saturating_sub(limit) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dict(names: &[&str], ignored: &[&str]) -> StateDict {
        let mut builder = Builder::default();
        for name in names {
            builder.tensor((*name).to_owned(), Float::F32, Tensor::full(&[1], 1.0));
        }
        for name in ignored {
            builder.ignore((*name).to_owned(), "int64 tensor".to_owned());
        }
        builder.finish()
    }

    fn names(dict: &StateDict) -> Vec<&str> {
        dict.entries().iter().map(|(name, _)| name.as_str()).collect()
    }

    #[test]
    fn shared_prefixes_are_stripped_from_the_outside() {
        let stripped =
            dict(&["module._orig_mod.a.weight", "module._orig_mod.a.bias"], &["module._orig_mod.n"])
                .strip_prefix();
        assert_eq!(names(&stripped), ["a.weight", "a.bias"]);
        assert_eq!(stripped.ignored()[0].name, "n");
        assert_eq!(stripped.notes(), ["the prefix \"module._orig_mod.\", shared by all names, was removed"]);
    }

    #[test]
    fn a_prefix_not_shared_by_all_stays() {
        for kept in [vec!["module.a", "b"], vec!["features.0.weight"], vec!["module."], vec![]] {
            let unchanged = dict(&kept, &[]).strip_prefix();
            assert_eq!(names(&unchanged), kept);
            assert!(unchanged.notes().is_empty());
        }
    }

    #[test]
    fn rounding_is_noted_with_names_and_overflow() {
        let mut builder = Builder::default();
        for name in ["a", "b", "c", "d"] {
            builder.tensor(name.to_owned(), Float::F64, Tensor::full(&[2], f32::INFINITY));
        }
        let notes = builder.finish().notes;
        assert_eq!(
            notes,
            [
                "tensors stored in f64 were rounded to the nearest f32: \"a\", \"b\", \"c\" and 1 more; 8 of their values are \
              infinite in f32"
            ]
        );
    }
}

//! What a pickle describes, as data: nothing in it is ever called.

use std::collections::HashMap;

/// A value's place in a [`Pickle`].
pub(super) type Id = u32;

/// A value as the pickle describes it. Values refer to each other by [`Id`], so sharing costs nothing.
#[derive(Debug)]
pub(super) enum Value<'a> {
    None,
    Bool,
    Int(i64),
    /// An integer beyond 64 bits: two's complement, little-endian.
    Long(&'a [u8]),
    /// A number that no weight depends on.
    Float,
    /// A `str`; of UTF-8, but for what Python 2 wrote.
    Text(&'a [u8]),
    Bytes,
    Tuple(Vec<Id>),
    /// A list, or a set.
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// A class or function, by name only.
    Global {
        module: &'a str,
        name: &'a str,
    },
    /// A reference to something outside the pickle, such as a storage.
    Persistent(Id),
    Object(Box<Object>),
}

/// What a pickle would make by a call: `callable(*arguments)`, then given items and a state.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) callable: Id,
    pub(super) arguments: Id,
    pub(super) items: Vec<(Id, Id)>,
    pub(super) state: Option<Id>,
}

/// All values of one pickle.
#[derive(Debug)]
pub(super) struct Pickle<'a> {
    pub(super) values: Vec<Value<'a>>,
    /// The value the pickle stands for.
    pub(super) root: Id,
    /// Bytes it takes up.
    pub(super) length: usize,
}

impl<'a> Pickle<'a> {
    pub(super) fn get(&self, id: Id) -> &Value<'a> {
        &self.values[id as usize]
    }

    /// A text's bytes.
    pub(super) fn text(&self, id: Id) -> Option<&'a [u8]> {
        match self.get(id) {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A tuple's or list's items.
    pub(super) fn sequence(&self, id: Id) -> Option<&[Id]> {
        match self.get(id) {
            Value::Tuple(items) | Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// An integer that is a size, offset or stride.
    pub(super) fn size(&self, id: Id) -> Option<usize> {
        match self.get(id) {
            Value::Int(value) => usize::try_from(*value).ok(),
            _ => None,
        }
    }

    /// A global's module and name.
    pub(super) fn global(&self, id: Id) -> Option<(&'a str, &'a str)> {
        match self.get(id) {
            Value::Global { module, name } => Some((module, name)),
            _ => None,
        }
    }

    /// An object's global callable and its arguments.
    pub(super) fn call(&self, id: Id) -> Option<((&'a str, &'a str), &[Id])> {
        match self.get(id) {
            Value::Object(object) => Some((self.global(object.callable)?, self.sequence(object.arguments)?)),
            _ => None,
        }
    }

    /// The entries of a dict, an `OrderedDict`, or another object that was given items; `None` for anything else.
    pub(super) fn entries(&self, id: Id) -> Option<impl Iterator<Item = (Id, Id)>> {
        let (pairs, items): (&[Id], &[(Id, Id)]) = match self.get(id) {
            Value::Dict(items) => (&[], items),
            Value::Object(object) if self.is_ordered_dict(object) => {
                (self.constructor_pairs(object), &object.items)
            }
            Value::Object(object) if !object.items.is_empty() => (&[], &object.items),
            _ => return None,
        };
        let pair = |&id: &Id| match self.sequence(id)? {
            &[key, value] => Some((key, value)),
            _ => None,
        };
        Some(pairs.iter().filter_map(pair).chain(items.iter().copied()))
    }

    /// The entries of a dict that have text keys, by key; the last of equal keys counts, as in Python.
    pub(super) fn fields(&self, id: Id) -> HashMap<&'a [u8], Id> {
        let entries = self.entries(id).into_iter().flatten();
        entries.filter_map(|(key, value)| Some((self.text(key)?, value))).collect()
    }

    fn is_ordered_dict(&self, object: &Object) -> bool {
        self.global(object.callable) == Some(("collections", "OrderedDict"))
    }

    /// Python 2 writes `OrderedDict([[key, value], …])`.
    fn constructor_pairs(&self, object: &Object) -> &[Id] {
        match self.sequence(object.arguments) {
            Some(&[pairs]) => self.sequence(pairs).unwrap_or(&[]),
            _ => &[],
        }
    }

    /// What a value is, for a message.
    pub(super) fn describe(&self, id: Id) -> String {
        match self.get(id) {
            Value::None => "None".to_owned(),
            Value::Bool => "a bool".to_owned(),
            Value::Int(_) | Value::Long(_) => "an int".to_owned(),
            Value::Float => "a float".to_owned(),
            Value::Text(_) => "a str".to_owned(),
            Value::Bytes => "bytes".to_owned(),
            Value::Tuple(_) => "a tuple".to_owned(),
            Value::List(_) => "a list".to_owned(),
            Value::Dict(_) => "a dict".to_owned(),
            Value::Global { module, name } => shorten(&format!("{module}.{name}")),
            Value::Persistent(_) => "a storage".to_owned(),
            Value::Object(object) => match self.global(object.callable) {
                Some((module, name)) => shorten(&format!("{module}.{name}(…)")),
                None => "an object".to_owned(),
            },
        }
    }
}

/// At most 80 characters of text that comes from a file.
pub(super) fn shorten(text: &str) -> String {
    const LIMIT: usize = 80;
    match text.char_indices().nth(LIMIT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

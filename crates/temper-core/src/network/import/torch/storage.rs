//! Storages: the flat arrays that tensors are views of.

use super::value::{Id, Pickle, Value};
use crate::network::import::element::{Element, Float};

/// An element type as far as an import cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ElementType<'a> {
    Known(Element),
    /// Its name, for a message.
    Unsupported(&'a str),
}

/// A reference from a pickle to a storage: `("storage", type, key, location, count[, view])`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StorageRef<'a> {
    pub(super) key: &'a [u8],
    pub(super) element: ElementType<'a>,
    /// Bytes of one element.
    pub(super) element_size: usize,
    /// Elements of the whole storage.
    pub(super) count: usize,
    /// In the older form, the part of the storage that is meant: first element and number of elements.
    pub(super) view: Option<(usize, usize)>,
}

impl<'a> StorageRef<'a> {
    /// The reference that a persistent value stands for.
    pub(super) fn parse(pickle: &Pickle<'a>, id: Id) -> Option<Self> {
        let Value::Persistent(reference) = *pickle.get(id) else { return None };
        let fields = pickle.sequence(reference)?;
        let (&[tag, class, key, _location, count], rest) = fields.split_first_chunk()?;
        let (_, class) = pickle.global(class)?;
        if pickle.text(tag) != Some(b"storage") {
            return None;
        }
        let (element, element_size) = storage_type(class)?;
        let view = match rest.first().map(|&view| (view, pickle.get(view))) {
            None | Some((_, Value::None)) => None,
            Some((view, _)) => match pickle.sequence(view)? {
                &[_, offset, count] => Some((pickle.size(offset)?, pickle.size(count)?)),
                _ => return None,
            },
        };
        Some(Self { key: pickle.text(key)?, element, element_size, count: pickle.size(count)?, view })
    }

    /// The bytes meant, out of the whole storage's; or what is wrong with those.
    pub(super) fn bytes<'b>(&self, storage: &'b [u8]) -> Result<&'b [u8], String> {
        if self.count.checked_mul(self.element_size) != Some(storage.len()) {
            return Err(format!(
                "its storage has {} bytes, expected {} elements of {} bytes; the file seems damaged: fetch it again",
                storage.len(),
                self.count,
                self.element_size
            ));
        }
        let Some((offset, count)) = self.view else { return Ok(storage) };
        let range = || {
            let start = offset.checked_mul(self.element_size)?;
            storage.get(start..start.checked_add(count.checked_mul(self.element_size)?)?)
        };
        range()
            .ok_or_else(|| format!("its storage view of {count} elements from {offset} leaves the storage"))
    }
}

/// Element type and bytes per element of a class such as `torch.FloatStorage`.
fn storage_type(class: &str) -> Option<(ElementType<'static>, usize)> {
    let float = |float: Float| (ElementType::Known(Element::Float(float)), float.size());
    let integer = |name, size| (ElementType::Known(Element::Integer(name)), size);
    let unsupported = |name, size| (ElementType::Unsupported(name), size);
    Some(match class {
        "FloatStorage" => float(Float::F32),
        "HalfStorage" => float(Float::F16),
        "BFloat16Storage" => float(Float::Bf16),
        "DoubleStorage" => float(Float::F64),
        "LongStorage" => integer("int64", 8),
        "IntStorage" => integer("int32", 4),
        "ShortStorage" => integer("int16", 2),
        "CharStorage" => integer("int8", 1),
        "ByteStorage" => integer("uint8", 1),
        "UntypedStorage" => integer("untyped", 1),
        "BoolStorage" => integer("bool", 1),
        "ComplexFloatStorage" => unsupported("complex64", 8),
        "ComplexDoubleStorage" => unsupported("complex128", 16),
        "QInt8Storage" => unsupported("qint8", 1),
        "QUInt8Storage" => unsupported("quint8", 1),
        "QInt32Storage" => unsupported("qint32", 4),
        _ => return None,
    })
}

/// The element type named by a global such as `torch.float32`, which newer tensors carry beside an untyped storage.
pub(super) fn dtype(name: &str) -> ElementType<'_> {
    match name {
        "float32" => ElementType::Known(Element::Float(Float::F32)),
        "float16" => ElementType::Known(Element::Float(Float::F16)),
        "bfloat16" => ElementType::Known(Element::Float(Float::Bf16)),
        "float64" => ElementType::Known(Element::Float(Float::F64)),
        "uint16" => ElementType::Known(Element::Integer("uint16")),
        "uint32" => ElementType::Known(Element::Integer("uint32")),
        "uint64" => ElementType::Known(Element::Integer("uint64")),
        _ => ElementType::Unsupported(name),
    }
}

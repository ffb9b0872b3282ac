//! Tensors: views of storages, described by calls to torch's rebuild functions.

use super::storage::{ElementType, StorageRef, dtype};
use super::value::{Id, Pickle};
use crate::network::import::element::View;

/// Wrappers (a parameter, a subclass) around one tensor, beyond which a file is not sensible.
const MAX_WRAPPERS: usize = 8;
/// Dimensions a tensor may have; torch's own limit.
const MAX_RANK: usize = 64;

/// A tensor as a checkpoint describes it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TensorRef<'a> {
    pub(super) storage: StorageRef<'a>,
    pub(super) element: ElementType<'a>,
    pub(super) view: View,
}

/// Whether a value is a tensor of any kind.
pub(super) fn is_tensor(pickle: &Pickle<'_>, id: Id) -> bool {
    matches!(pickle.call(id), Some((function, _)) if is_rebuild(function))
}

fn is_rebuild((module, name): (&str, &str)) -> bool {
    matches!(module, "torch._utils" | "torch._tensor") && name.starts_with("_rebuild")
}

/// The tensor that a value describes, or why it cannot be had.
pub(super) fn parse<'a>(pickle: &Pickle<'a>, id: Id) -> Result<TensorRef<'a>, String> {
    let (function, arguments) = unwrap(pickle, id).ok_or("its description is not torch's")?;
    let malformed = || format!("the arguments of {function} are not those of a tensor");
    let view = |offset, shape, stride| {
        let view = View {
            offset: pickle.size(offset)?,
            shape: sizes(pickle, shape)?,
            stride: sizes(pickle, stride)?,
        };
        (view.shape.len() == view.stride.len() && view.shape.len() <= MAX_RANK).then_some(view)
    };
    match (function, arguments) {
        ("_rebuild_tensor" | "_rebuild_tensor_v2", &[storage, offset, shape, stride, ..]) => {
            let storage =
                StorageRef::parse(pickle, storage).ok_or("its storage has an unknown type or form")?;
            let view = view(offset, shape, stride).ok_or_else(malformed)?;
            Ok(TensorRef { element: storage.element, storage, view })
        }
        ("_rebuild_tensor_v3", &[storage, offset, shape, stride, _, _, class, ..]) => {
            let storage =
                StorageRef::parse(pickle, storage).ok_or("its storage has an unknown type or form")?;
            let view = view(offset, shape, stride).ok_or_else(malformed)?;
            let (_, class) = pickle.global(class).ok_or_else(malformed)?;
            Ok(TensorRef { element: dtype(class), storage, view })
        }
        ("_rebuild_tensor" | "_rebuild_tensor_v2" | "_rebuild_tensor_v3", _) => Err(malformed()),
        ("_rebuild_qtensor", _) => Err("it is quantised; call dequantize() and save it again".to_owned()),
        ("_rebuild_sparse_tensor", _) => Err("it is sparse; call to_dense() and save it again".to_owned()),
        ("_rebuild_meta_tensor_no_storage", _) => {
            Err("it is on the meta device and holds no data".to_owned())
        }
        _ => {
            Err(format!("it is rebuilt by {function}, which is not supported; save it as a plain CPU tensor"))
        }
    }
}

/// The function that makes the tensor itself, inside of parameters and tensors with attributes, and its arguments.
fn unwrap<'p, 'a>(pickle: &'p Pickle<'a>, mut id: Id) -> Option<(&'a str, &'p [Id])> {
    for _ in 0..MAX_WRAPPERS {
        let (function, arguments) = pickle.call(id)?;
        if !is_rebuild(function) {
            return None;
        }
        match (function.1, arguments) {
            ("_rebuild_parameter" | "_rebuild_parameter_with_state", &[data, ..]) => id = data,
            ("_rebuild_from_type_v2", &[function, _class, arguments, ..]) => {
                let function = pickle.global(function).filter(|&function| is_rebuild(function))?;
                match (function.1, pickle.sequence(arguments)?) {
                    ("_rebuild_parameter" | "_rebuild_parameter_with_state", &[data, ..]) => id = data,
                    (function, arguments) => return Some((function, arguments)),
                }
            }
            (function, arguments) => return Some((function, arguments)),
        }
    }
    None
}

/// A tuple of sizes, bare or as `torch.Size`.
fn sizes(pickle: &Pickle<'_>, id: Id) -> Option<Vec<usize>> {
    let id = match pickle.call(id) {
        Some((("torch", "Size"), &[sizes])) => sizes,
        _ => id,
    };
    let sizes = pickle.sequence(id)?;
    (sizes.len() <= MAX_RANK).then(|| sizes.iter().map(|&size| pickle.size(size)).collect())?
}

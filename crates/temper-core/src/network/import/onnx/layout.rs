//! Operators that move values about: reshape, transpose, slice, pad and the like.

use std::rc::Rc;

use super::super::super::geometry::{Padding2d, Pair};
use super::super::super::graph::NodeId;
use super::super::super::op::Op;
use super::builder::Builder;
use super::call::{Call, Value};
use super::constants::concat_lists;
use super::dense::{Dense, Extent, resolve_axis};
use super::pointwise::emit;
use super::slice::{Range, ranges};
use crate::tensor::element_count;

/// Stands for the batch where dimensions are listed with it; no other extent is zero.
const BATCH: usize = 0;

pub(super) fn flatten(builder: &mut Builder, call: &mut Call<'_>) -> Result<Value, String> {
    call.arity(1, 1)?;
    let input = call.activation(0)?;
    let axis = call.attributes.int("axis")?.unwrap_or(1);
    if resolve_axis(axis, builder.shape(input).len() + 1) != Ok(1) {
        return Err(format!("it flattens from axis {axis}; only 1, all but the batch, is supported"));
    }
    emit(builder, call, Op::Flatten, input)
}

pub(super) fn reshape(builder: &mut Builder, call: &mut Call<'_>) -> Result<Value, String> {
    call.arity(2, 2)?;
    let zero_copies = call.attributes.int("allowzero")?.unwrap_or(0) == 0;
    let target = call.integers(1)?;
    if target.shape().len() != 1 {
        return Err(format!("its new shape is a tensor of shape {:?}; expected a list", target.shape()));
    }
    match call.required(0)? {
        Value::Activation(id) => {
            let shape = image_shape(target.data(), builder.shape(*id), call.fixed_batch, zero_copies)?;
            reshape_to(builder, call, *id, shape)
        }
        constant => {
            let mut known = target.known()?;
            let shape = constant_shape(constant);
            for (extent, from) in known.iter_mut().zip(shape) {
                if *extent == 0 && zero_copies {
                    *extent = *from as i64;
                }
            }
            let extents: Vec<Extent> = known.into_iter().map(Extent::Known).collect();
            reshape_constant(builder, constant, |shape| fill(&extents, element_count(shape).unwrap_or(0)))
        }
    }
}

/// The shape of one image that the reshape target means, for an input of `shape` for each image.
fn image_shape(
    target: &[Extent],
    shape: &[usize],
    fixed_batch: Option<usize>,
    zero_copies: bool,
) -> Result<Vec<usize>, String> {
    let (first, rest) = target.split_first().ok_or("its new shape has no dimensions")?;
    let count = element_count(shape).unwrap_or(0);
    let copied = |(i, extent): (usize, &Extent)| match (extent, shape.get(i)) {
        (Extent::Known(0), Some(&from)) if zero_copies => Extent::Known(from as i64),
        _ => *extent,
    };
    let rest: Vec<Extent> = rest.iter().enumerate().map(copied).collect();
    let first_is_batch = match *first {
        Extent::Batch => true,
        Extent::Known(0) => zero_copies,
        // All that is left for it is the batch, if the rest takes a whole image.
        Extent::Known(-1) => !rest.contains(&Extent::Known(-1)),
        Extent::Known(extent) => usize::try_from(extent).ok().is_some_and(|n| Some(n) == fixed_batch),
    };
    if !first_is_batch {
        return Err("the first dimension of its new shape is not the batch".to_owned());
    }
    fill(&rest, count).map_err(|reason| format!("{reason}; it would mix the images of a batch"))
}

/// `extents` with the one -1 among them, if any, replaced so that all hold `count` values.
fn fill(extents: &[Extent], count: usize) -> Result<Vec<usize>, String> {
    let no_fit = || format!("{count} values do not fill the new shape {extents:?}");
    let mut open = None;
    let mut shape = Vec::with_capacity(extents.len());
    for (i, extent) in extents.iter().enumerate() {
        shape.push(match *extent {
            Extent::Known(-1) if open.replace(i).is_none() => 1,
            Extent::Known(known) => usize::try_from(known).map_err(|_| no_fit())?,
            Extent::Batch => return Err("the batch is not the first dimension of its new shape".to_owned()),
        });
    }
    let known = element_count(&shape).ok_or_else(no_fit)?;
    if let Some(open) = open {
        shape[open] = count.checked_div(known).ok_or_else(no_fit)?;
    }
    if element_count(&shape) == Some(count) { Ok(shape) } else { Err(no_fit()) }
}

pub(super) fn transpose(builder: &mut Builder, call: &mut Call<'_>) -> Result<Value, String> {
    call.arity(1, 1)?;
    let value = call.required(0)?.clone();
    let rank = match &value {
        Value::Activation(id) => builder.shape(*id).len() + 1,
        constant => constant_shape(constant).len(),
    };
    let perm: Vec<usize> = match call.attributes.ints("perm")? {
        None => (0..rank).rev().collect(),
        Some(perm) => perm.iter().map(|&axis| usize::try_from(axis).unwrap_or(usize::MAX)).collect(),
    };
    let mut sorted = perm.clone();
    sorted.sort_unstable();
    if !sorted.into_iter().eq(0..rank) {
        return Err(format!("{perm:?} is not a permutation of {rank} dimensions"));
    }
    match value {
        Value::Activation(id) => {
            let [0, rest @ ..] = perm.as_slice() else {
                return Err(format!("the permutation {perm:?} moves the batch"));
            };
            emit(builder, call, Op::Transpose { perm: rest.iter().map(|axis| axis - 1).collect() }, id)
        }
        Value::Floats(values) => {
            builder.charge(values.data().len())?;
            Ok(Value::Floats(Rc::new(values.permuted(&perm))))
        }
        Value::Integers(values) => Ok(Value::Integers(Rc::new(values.permuted(&perm)))),
        Value::Failed => Ok(Value::Failed),
    }
}

pub(super) fn squeeze(builder: &mut Builder, call: &mut Call<'_>) -> Result<Value, String> {
    call.arity(1, 2)?;
    let axes = call.list(1, "axes")?;
    if axes.is_none() && matches!(call.required(0)?, Value::Activation(_)) {
        return Err("it has no axes, so it may remove the batch".to_owned());
    }
    let squeezed = |shape: &[usize]| {
        let Some(axes) = &axes else {
            return Ok(shape.iter().copied().filter(|&extent| extent != 1).collect());
        };
        let axes: Vec<usize> =
            axes.iter().map(|&axis| resolve_axis(axis, shape.len())).collect::<Result<_, _>>()?;
        if let Some(axis) = axes.iter().find(|&&axis| shape[axis] != 1) {
            return Err(format!("it removes axis {axis}, whose extent is not 1"));
        }
        Ok((0..shape.len()).filter(|axis| !axes.contains(axis)).map(|axis| shape[axis]).collect())
    };
    with_shape(builder, call, squeezed)
}

pub(super) fn unsqueeze(builder: &mut Builder, call: &mut Call<'_>) -> Result<Value, String> {
    call.arity(1, 2)?;
    let axes = call.list(1, "axes")?.ok_or("it has no axes")?;
    let unsqueezed = |shape: &[usize]| {
        let rank = shape.len() + axes.len();
        let axes: Vec<usize> = axes.iter().map(|&axis| resolve_axis(axis, rank)).collect::<Result<_, _>>()?;
        let mut old = shape.iter();
        let extent = |axis| if axes.contains(&axis) { Some(1) } else { old.next().copied() };
        (0..rank)
            .map(extent)
            .collect::<Option<Vec<_>>>()
            .filter(|_| old.next().is_none())
            .ok_or_else(|| format!("axes {axes:?} repeat"))
    };
    with_shape(builder, call, unsqueezed)
}

/// Gives input 0 the shape that `new_shape` makes of its shape, batch included.
fn with_shape(
    builder: &mut Builder,
    call: &Call<'_>,
    new_shape: impl FnOnce(&[usize]) -> Result<Vec<usize>, String>,
) -> Result<Value, String> {
    match call.required(0)? {
        Value::Activation(id) => {
            let shape = new_shape(&[&[BATCH], builder.shape(*id)].concat())?;
            match shape.split_first() {
                Some((&BATCH, rest)) => reshape_to(builder, call, *id, rest.to_vec()),
                _ => Err("it puts a dimension before the batch".to_owned()),
            }
        }
        constant => reshape_constant(builder, constant, new_shape),
    }
}

/// Adds the node that gives an activation another shape, unless it has that shape.
pub(super) fn reshape_to(
    builder: &mut Builder,
    call: &Call<'_>,
    input: NodeId,
    shape: Vec<usize>,
) -> Result<Value, String> {
    if builder.shape(input) == shape {
        return Ok(Value::Activation(input));
    }
    let op = if shape.len() == 1 { Op::Flatten } else { Op::Reshape { shape } };
    emit(builder, call, op, input)
}

fn constant_shape(value: &Value) -> &[usize] {
    match value {
        Value::Floats(values) => values.shape(),
        Value::Integers(values) => values.shape(),
        Value::Activation(_) | Value::Failed => &[],
    }
}

fn reshape_constant(
    builder: &mut Builder,
    value: &Value,
    new_shape: impl FnOnce(&[usize]) -> Result<Vec<usize>, String>,
) -> Result<Value, String> {
    let shape = new_shape(constant_shape(value))?;
    match value {
        Value::Floats(values) => {
            builder.charge(values.data().len())?;
            Ok(Value::Floats(Rc::new(values.reshaped(shape)?)))
        }
        Value::Integers(values) => Ok(Value::Integers(Rc::new(values.reshaped(shape)?))),
        Value::Activation(_) | Value::Failed => Ok(value.clone()),
    }
}

pub(super) fn concat(builder: &mut Builder, call: &mut Call<'_>) -> Result<Value, String> {
    call.arity(1, usize::MAX)?;
    let axis = call.attributes.int("axis")?.ok_or("attribute `axis` is missing")?;
    if matches!(call.required(0)?, Value::Integers(_)) {
        return concat_lists(call, axis);
    }
    let inputs: Vec<NodeId> = (0..call.inputs.len()).map(|i| call.activation(i)).collect::<Result<_, _>>()?;
    let axis = resolve_axis(axis, builder.shape(inputs[0]).len() + 1)?;
    let axis = axis.checked_sub(1).ok_or("it joins along the batch")?;
    let name = builder.names.of(call.index);
    Ok(Value::Activation(builder.add(name, Op::Concat { axis }, inputs)?))
}

pub(super) fn pad(builder: &mut Builder, call: &mut Call<'_>) -> Result<Value, String> {
    call.arity(1, 4)?;
    call.attributes.word("mode", &["constant"])?;
    let input = call.activation(0)?;
    let pads = call.list(1, "pads")?.ok_or("it has no paddings")?;
    let value = call.number(2, "value")?.unwrap_or(0.0);
    let rank = builder.shape(input).len() + 1;
    let axes = call.list(3, "axes")?.unwrap_or_else(|| (0..rank as i64).collect());
    if pads.len() != 2 * axes.len() {
        return Err(format!(
            "it has {} paddings for {} dimensions; expected two for each",
            pads.len(),
            axes.len()
        ));
    }
    let (mut before, mut after) = (vec![0; rank], vec![0; rank]);
    for (axis, (start, end)) in axes.iter().zip(pads.iter().zip(&pads[axes.len()..])) {
        let axis = resolve_axis(*axis, rank)?;
        let (Ok(start), Ok(end)) = (usize::try_from(*start), usize::try_from(*end)) else {
            return Err(format!("the paddings {pads:?} are negative, which would cut the input"));
        };
        (before[axis], after[axis]) = (start, end);
    }
    if before[0] != 0 || after[0] != 0 {
        return Err("it pads the batch".to_owned());
    }
    let op = Op::Pad { before: before[1..].to_vec(), after: after[1..].to_vec(), value };
    emit(builder, call, op, input)
}

pub(super) fn slice(builder: &mut Builder, call: &mut Call<'_>) -> Result<Value, String> {
    match call.required(0)?.clone() {
        Value::Activation(id) => slice_activation(builder, call, id),
        Value::Integers(values) => {
            let ranges = ranges(call, values.shape())?;
            let indices: Vec<Vec<usize>> = ranges.iter().map(Range::indices).collect();
            let selected = values.selected(&indices);
            Ok(Value::Integers(Rc::new(Dense::new(selected.shape().to_vec(), selected.data().to_vec())?)))
        }
        Value::Floats(_) | Value::Failed => Err("slices of constant floats are not supported".to_owned()),
    }
}

/// Only whole dimensions, or every s-th row and column, which is a 1×1 average pool with that stride.
fn slice_activation(builder: &mut Builder, call: &mut Call<'_>, id: NodeId) -> Result<Value, String> {
    let shape = builder.shape(id);
    // A batch of any size: only a slice of all images has this extent.
    let ranges = ranges(call, &[&[i32::MAX as usize], shape].concat())?;
    if !ranges.iter().all(Range::starts_at_zero_and_covers) || ranges[0].step != 1 {
        return Err("only slices of every s-th row and column from the first are supported".to_owned());
    }
    let steps: Vec<usize> = ranges.iter().map(|range| range.step.unsigned_abs() as usize).collect();
    match steps[..] {
        ref all if all.iter().all(|&step| step == 1) => Ok(Value::Activation(id)),
        [1, 1, height, width] => {
            let op = Op::AvgPool2d {
                kernel: Pair::square(1),
                stride: Pair { height, width },
                padding: Padding2d::NONE,
                ceil_mode: false,
                count_include_pad: true,
            };
            emit(builder, call, op, id)
        }
        _ => Err("only rows and columns of an image may be skipped by a slice".to_owned()),
    }
}

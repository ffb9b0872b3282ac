//! Constants, and the arithmetic on shapes by which exporters write `x.view(x.size(0), -1)`.

use std::rc::Rc;

use super::builder::Builder;
use super::call::{Call, Value};
use super::dense::{Dense, Extent, MAX_INTEGERS, resolve_axis};
use super::proto::TensorProto;
use super::tensor::{Stored, decode};

/// The value of a stored tensor called `name`.
pub(super) fn stored(builder: &mut Builder, tensor: &TensorProto, name: &str) -> Result<Value, String> {
    match decode(tensor)? {
        Stored::Floats { values, rounded } => {
            if rounded {
                builder.notes.push(format!("values of \"{name}\" are float64 and were rounded to float32"));
            }
            Ok(Value::Floats(Rc::new(values)))
        }
        Stored::Integers(values) => Ok(Value::Integers(Rc::new(values))),
    }
}

pub(super) fn constant(builder: &mut Builder, call: &mut Call<'_>) -> Result<Value, String> {
    call.arity(0, 0)?;
    if let Some(tensor) = call.attributes.tensor("value")? {
        return stored(builder, tensor, &call.node.output[0]);
    }
    if let Some(value) = call.attributes.float("value_float")? {
        return Ok(Value::Floats(Rc::new(Dense::scalar(value))));
    }
    if let Some(values) = call.attributes.floats("value_floats")? {
        return Ok(Value::Floats(Rc::new(Dense::vector(values.to_vec()))));
    }
    if let Some(value) = call.attributes.int("value_int")? {
        return Ok(integers(Dense::scalar(Extent::Known(value))));
    }
    if let Some(values) = call.attributes.ints("value_ints")? {
        check_count(values.len())?;
        return Ok(integers(Dense::vector(values.iter().copied().map(Extent::Known).collect())));
    }
    Err("it holds no tensor of numbers".to_owned())
}

pub(super) fn shape(builder: &mut Builder, call: &mut Call<'_>) -> Result<Value, String> {
    call.arity(1, 1)?;
    let extent = |&extent: &usize| Extent::Known(extent as i64);
    let extents: Vec<Extent> = match call.required(0)? {
        Value::Activation(id) => {
            [Extent::Batch].into_iter().chain(builder.shape(*id).iter().map(extent)).collect()
        }
        Value::Floats(values) => values.shape().iter().map(extent).collect(),
        Value::Integers(values) => values.shape().iter().map(extent).collect(),
        Value::Failed => return Ok(Value::Failed),
    };
    let rank = extents.len() as i64;
    let limit = |at: i64| (if at < 0 { at.saturating_add(rank) } else { at }).clamp(0, rank) as usize;
    let start = limit(call.attributes.int("start")?.unwrap_or(0));
    let end = limit(call.attributes.int("end")?.unwrap_or(rank)).max(start);
    Ok(integers(Dense::vector(extents[start..end].to_vec())))
}

pub(super) fn gather(call: &mut Call<'_>) -> Result<Value, String> {
    call.arity(2, 2)?;
    if !matches!(call.required(0)?, Value::Integers(_)) {
        return Err("only the integers of a shape can be gathered".to_owned());
    }
    let (list, indices) = (call.integers(0)?, call.integers(1)?);
    let axis = call.attributes.int("axis")?.unwrap_or(0);
    if list.shape().len() != 1 || resolve_axis(axis, 1).is_err() {
        return Err(format!("it gathers from a tensor of shape {:?}; expected a list", list.shape()));
    }
    let at = |extent: &Extent| match extent {
        Extent::Known(index) => Ok(list.data()[resolve_axis(*index, list.data().len())?]),
        Extent::Batch => Err("an index depends on the batch size".to_owned()),
    };
    let gathered: Vec<Extent> = indices.data().iter().map(at).collect::<Result<_, _>>()?;
    Ok(integers(Dense::new(indices.shape().to_vec(), gathered)?))
}

pub(super) fn constant_of_shape(builder: &mut Builder, call: &mut Call<'_>) -> Result<Value, String> {
    call.arity(1, 1)?;
    let extents = call.integers(0)?.known()?;
    let shape: Option<Vec<usize>> = extents.iter().map(|&extent| usize::try_from(extent).ok()).collect();
    let sized = shape.and_then(|shape| crate::tensor::element_count(&shape).map(|count| (shape, count)));
    let (shape, count) = sized.ok_or_else(|| format!("its shape {extents:?} is negative or too large"))?;
    check_count(count)?;
    let value = match call.attributes.tensor("value")? {
        Some(tensor) => stored(builder, tensor, &call.node.output[0])?,
        None => Value::Floats(Rc::new(Dense::scalar(0.0))),
    };
    match value {
        Value::Floats(value) if value.data().len() == 1 => {
            Ok(Value::Floats(Rc::new(Dense::new(shape, vec![value.data()[0]; count])?)))
        }
        Value::Integers(value) if value.data().len() == 1 => {
            Ok(integers(Dense::new(shape, vec![value.data()[0]; count])?))
        }
        _ => Err("attribute `value` does not hold one number".to_owned()),
    }
}

/// Joins lists of integers.
pub(super) fn concat_lists(call: &Call<'_>, axis: i64) -> Result<Value, String> {
    let mut joined = Vec::new();
    for i in 0..call.inputs.len() {
        let list = call.integers(i)?;
        if list.shape().len() != 1 || resolve_axis(axis, 1).is_err() {
            return Err(format!("it joins integers of shape {:?}; expected lists", list.shape()));
        }
        joined.extend_from_slice(list.data());
        check_count(joined.len())?;
    }
    Ok(integers(Dense::vector(joined)))
}

/// The result of an operator on two integers or lists of integers, or `None` if the inputs are something else.
pub(super) fn integer_arithmetic(
    call: &Call<'_>,
    f: impl Fn(i64, i64) -> Option<i64>,
) -> Option<Result<Value, String>> {
    let (Value::Integers(a), Value::Integers(b)) = (&call.input(0)?.value, &call.input(1)?.value) else {
        return None;
    };
    Some(zip(a, b, f).map(integers))
}

fn zip(
    a: &Dense<Extent>,
    b: &Dense<Extent>,
    f: impl Fn(i64, i64) -> Option<i64>,
) -> Result<Dense<Extent>, String> {
    let value = |a: Extent, b: Extent| match (a, b) {
        (Extent::Known(a), Extent::Known(b)) => {
            f(a, b).map(Extent::Known).ok_or_else(|| format!("its result for {a} and {b} does not exist"))
        }
        _ => Err("it computes with the batch size".to_owned()),
    };
    let single = |x: &Dense<Extent>| x.shape().is_empty();
    let (shape, data): (&[usize], Result<Vec<Extent>, String>) = if a.shape() == b.shape() {
        (a.shape(), a.data().iter().zip(b.data()).map(|(&a, &b)| value(a, b)).collect())
    } else if single(b) {
        (a.shape(), a.data().iter().map(|&a| value(a, b.data()[0])).collect())
    } else if single(a) {
        (b.shape(), b.data().iter().map(|&b| value(a.data()[0], b)).collect())
    } else {
        return Err(format!("integers of shapes {:?} and {:?} do not match", a.shape(), b.shape()));
    };
    Dense::new(shape.to_vec(), data?)
}

fn integers(values: Dense<Extent>) -> Value {
    Value::Integers(Rc::new(values))
}

fn check_count(count: usize) -> Result<(), String> {
    if count <= MAX_INTEGERS {
        Ok(())
    } else {
        Err(format!("it holds {count} values; at most {MAX_INTEGERS} are supported here"))
    }
}

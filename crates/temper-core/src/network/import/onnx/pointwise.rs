//! Operators on single values or channels: activations, normalisation, softmax, and those that do nothing.

use std::rc::Rc;

use super::super::super::graph::NodeId;
use super::super::super::op::Op;
use super::builder::Builder;
use super::call::{Call, Value};
use super::dense::{Extent, resolve_axis};
use super::tensor::{data_type, data_type_name};

/// An operator without arguments that maps every value.
pub(super) fn map(builder: &mut Builder, call: &Call<'_>, op: Op) -> Result<Value, String> {
    call.arity(1, 1)?;
    emit(builder, call, op, call.activation(0)?)
}

pub(super) fn leaky_relu(builder: &mut Builder, call: &mut Call<'_>) -> Result<Value, String> {
    let negative_slope = call.attributes.float("alpha")?.unwrap_or(0.01);
    map(builder, call, Op::LeakyRelu { negative_slope })
}

/// A bound that is left out is the largest finite value, as ONNX defines it.
pub(super) fn clip(builder: &mut Builder, call: &mut Call<'_>) -> Result<Value, String> {
    call.arity(1, 3)?;
    let min = call.number(1, "min")?.unwrap_or(f32::MIN);
    let max = call.number(2, "max")?.unwrap_or(f32::MAX);
    emit(builder, call, Op::Clip { min, max }, call.activation(0)?)
}

pub(super) fn batch_normalization(builder: &mut Builder, call: &mut Call<'_>) -> Result<Value, String> {
    call.arity(5, 5)?;
    call.attributes.ignore("momentum");
    call.attributes.expect("training_mode", 0)?;
    call.attributes.expect("spatial", 1)?;
    let eps = call.attributes.float("epsilon")?.unwrap_or(1e-5);
    let input = call.activation(0)?;
    let mut parameters = Vec::new();
    for (i, suffix) in (1..).zip(["weight", "bias", "running_mean", "running_var"]) {
        parameters.push((suffix, call.floats(i)?.as_ref().clone()));
    }
    let num_features = parameters[0].1.data().len();
    let name = builder.names.of(call.index);
    let op = Op::BatchNorm { num_features, eps };
    Ok(Value::Activation(builder.add_with(name, op, vec![input], parameters)?))
}

pub(super) fn softmax(builder: &mut Builder, call: &mut Call<'_>) -> Result<Value, String> {
    call.arity(1, 1)?;
    let input = call.activation(0)?;
    let shape = builder.shape(input);
    let rank = shape.len() + 1;
    let axis = call.attributes.int("axis")?;
    // Before version 13, softmax ran over all dimensions from `axis` on.
    let axis = resolve_axis(axis.unwrap_or(if call.opset < 13 { 1 } else { -1 }), rank)?;
    if axis == 0 {
        return Err("it runs over the images of a batch".to_owned());
    }
    if call.opset < 13 && shape[axis..].iter().any(|&extent| extent != 1) {
        return Err(format!(
            "it runs over all dimensions from {axis} on, as before operator set 13; only one is supported, so export the \
             model with operator set 13 or later"
        ));
    }
    emit(builder, call, Op::Softmax { axis: axis - 1 }, input)
}

/// Only as the last node, where a softmax tells the same.
pub(super) fn log_softmax(builder: &mut Builder, call: &mut Call<'_>) -> Result<Value, String> {
    if !call.is_last {
        return Err("it is supported only as the last node".to_owned());
    }
    let value = softmax(builder, call)?;
    builder.notes.push(format!(
        "the final LogSoftmax \"{}\" became a softmax: the network's outputs are confidences, of which the file's outputs are \
         the logarithms; their order is the same",
        call.node.name
    ));
    Ok(value)
}

pub(super) fn dropout(builder: &mut Builder, call: &mut Call<'_>) -> Result<Value, String> {
    call.arity(1, 3)?;
    call.attributes.ignore("ratio");
    call.attributes.ignore("seed");
    if call.input(2).is_some() && call.integers(2)?.data() != [Extent::Known(0)] {
        return Err("it is set to training; export the model for inference".to_owned());
    }
    emit(builder, call, Op::Dropout, call.activation(0)?)
}

pub(super) fn identity(call: &Call<'_>) -> Result<Value, String> {
    call.arity(1, 1)?;
    Ok(call.required(0)?.clone())
}

pub(super) fn cast(call: &mut Call<'_>) -> Result<Value, String> {
    call.arity(1, 1)?;
    // How to round to narrow types, to which nothing is cast here.
    call.attributes.ignore("saturate");
    call.attributes.ignore("round_mode");
    let to = i32::try_from(call.attributes.int("to")?.unwrap_or(0)).unwrap_or(0);
    let value = call.required(0)?;
    match (value, to) {
        (Value::Activation(_) | Value::Floats(_), data_type::FLOAT)
        | (Value::Integers(_), data_type::INT64) => Ok(value.clone()),
        (Value::Integers(values), data_type::INT32) => {
            let fits = |extent: &Extent| !matches!(extent, Extent::Known(x) if i32::try_from(*x).is_err());
            if values.data().iter().all(fits) {
                Ok(value.clone())
            } else {
                Err("its integers do not fit in int32".to_owned())
            }
        }
        (Value::Integers(values), data_type::FLOAT) => {
            if values.data().contains(&Extent::Batch) {
                return Err("it makes a float of the batch size".to_owned());
            }
            let float = |extent| if let Extent::Known(x) = extent { x as f32 } else { f32::NAN };
            Ok(Value::Floats(Rc::new(values.map(float))))
        }
        _ => Err(format!("casts to {} are not supported", data_type_name(to))),
    }
}

/// Adds the one node that the graph's node becomes.
pub(super) fn emit(builder: &mut Builder, call: &Call<'_>, op: Op, input: NodeId) -> Result<Value, String> {
    let name = builder.names.of(call.index);
    Ok(Value::Activation(builder.add(name, op, vec![input])?))
}

//! Sums, products, differences and quotients; matrix products.

use super::super::super::graph::NodeId;
use super::super::super::op::Op;
use super::builder::Builder;
use super::call::{Call, Value};
use super::constants::integer_arithmetic;
use super::dense::Dense;
use super::names::dotted;

/// Which input of a commutative operator is the constant.
fn operands(call: &Call<'_>) -> Result<(NodeId, usize), String> {
    match (call.required(0)?, call.required(1)?) {
        (Value::Activation(id), _) => Ok((*id, 1)),
        (_, Value::Activation(id)) => Ok((*id, 0)),
        _ => Err("both inputs are constant; simplify the model (constant folding) before export".to_owned()),
    }
}

pub(super) fn add(builder: &mut Builder, call: &Call<'_>) -> Result<Value, String> {
    call.arity(2, 2)?;
    if let Some(value) = integer_arithmetic(call, i64::checked_add) {
        return value;
    }
    let (id, other) = operands(call)?;
    if let Some(bias) = linear_bias(builder, call, other) {
        builder.set_bias(id, bias?)?;
        return Ok(Value::Activation(id));
    }
    binary(builder, call, Op::Add)
}

/// The bias if the sum is a linear layer's output, which nothing else uses, and one constant for each of its outputs.
fn linear_bias(builder: &Builder, call: &Call<'_>, constant: usize) -> Option<Result<Dense<f32>, String>> {
    let Value::Floats(values) = &call.input(constant)?.value else {
        return None;
    };
    let product = call.input(1 - constant)?;
    let (id, features) = builder.bare_linear(product.name)?;
    let rank = builder.shape(id).len() + 1;
    let (last, leading) = values.shape().split_last()?;
    let is_vector = *last == features && leading.iter().all(|&n| n == 1) && values.shape().len() <= rank;
    (product.uses == 1 && is_vector).then(|| values.reshaped(vec![features]))
}

pub(super) fn mul(builder: &mut Builder, call: &Call<'_>) -> Result<Value, String> {
    call.arity(2, 2)?;
    integer_arithmetic(call, i64::checked_mul).unwrap_or_else(|| binary(builder, call, Op::Mul))
}

/// A sum or product of two activations, or of one and a constant.
fn binary(builder: &mut Builder, call: &Call<'_>, op: Op) -> Result<Value, String> {
    let (id, other) = operands(call)?;
    if let Value::Activation(other) = call.required(other)? {
        let ranks = [builder.shape(id).len(), builder.shape(*other).len()];
        if ranks[0] != ranks[1] {
            return Err(format!(
                "its inputs have {} and {} dimensions; aligned at the last, they would mix the images of a batch",
                ranks[0] + 1,
                ranks[1] + 1
            ));
        }
        let name = builder.names.of(call.index);
        return Ok(Value::Activation(builder.add(name, op, vec![id, *other])?));
    }
    let values = call.floats(other)?;
    with_constant(builder, call, op, id, other, &values)
}

/// `x − c` is `x + (−c)` to the last bit.
pub(super) fn sub(builder: &mut Builder, call: &Call<'_>) -> Result<Value, String> {
    call.arity(2, 2)?;
    if let Some(value) = integer_arithmetic(call, i64::checked_sub) {
        return value;
    }
    let id = call.activation(0)?;
    let values = call.floats(1)?.map(|x| -x);
    with_constant(builder, call, Op::Add, id, 1, &values)
}

/// `x / c` becomes `x · (1/c)`, which may round differently.
pub(super) fn div(builder: &mut Builder, call: &Call<'_>) -> Result<Value, String> {
    call.arity(2, 2)?;
    if let Some(value) = integer_arithmetic(call, i64::checked_div) {
        return value;
    }
    let id = call.activation(0)?;
    let divisors = call.floats(1)?;
    if let Some(bad) = divisors.data().iter().find(|x| !x.is_normal() || !x.recip().is_normal()) {
        return Err(format!("it divides by {bad}, which has no reciprocal of full precision"));
    }
    // The reciprocal of a power of two is exact.
    if divisors.data().iter().any(|x| x.to_bits() << 9 != 0) {
        builder.notes.push(format!(
            "the division \"{}\" became a multiplication by the reciprocal, which may differ in the last bit",
            call.node.name
        ));
    }
    with_constant(builder, call, Op::Mul, id, 1, &divisors.map(f32::recip))
}

/// `op` of an activation and the constant `values` made from input `i`.
fn with_constant(
    builder: &mut Builder,
    call: &Call<'_>,
    op: Op,
    id: NodeId,
    i: usize,
    values: &Dense<f32>,
) -> Result<Value, String> {
    let rank = builder.shape(id).len() + 1;
    let values = match values.shape() {
        [1, rest @ ..] if rest.len() + 1 == rank => values.reshaped(rest.to_vec())?,
        shape if shape.len() < rank => values.clone(),
        shape => {
            return Err(format!(
                "a constant of shape {shape:?} and an activation of {rank} dimensions would mix the images of a batch"
            ));
        }
    };
    let name = builder.names.of(call.index);
    let own_name = call.input(i).filter(|input| input.is_initialiser).map(|input| input.name);
    let constant_name = match own_name.filter(|name| !is_made_up(name)).map(dotted) {
        Some(own) if !own.is_empty() => own,
        _ => format!("{name}.constant"),
    };
    let constant_name = builder.names.unique(&constant_name);
    let op_constant = Op::Constant { shape: values.shape().to_vec() };
    let constant = builder.add_with(constant_name, op_constant, Vec::new(), vec![("value", values)])?;
    Ok(Value::Activation(builder.add(name, op, vec![id, constant])?))
}

/// PyTorch's exporter calls a folded constant `onnx::Mul_42`, which tells nothing.
fn is_made_up(name: &str) -> bool {
    name.starts_with("onnx::")
}

/// An activation times a constant matrix.
pub(super) fn mat_mul(builder: &mut Builder, call: &Call<'_>) -> Result<Value, String> {
    call.arity(2, 2)?;
    let (input, matrix) = (call.activation(0)?, call.floats(1)?);
    let weight = matrix_transposed(&matrix, true)?;
    linear(builder, call, input, weight, None)
}

/// `alpha · A · B + beta · C`, with B and C constant; `alpha` and `beta` go into the stored parameters.
pub(super) fn gemm(builder: &mut Builder, call: &mut Call<'_>) -> Result<Value, String> {
    call.arity(2, 3)?;
    call.attributes.expect("transA", 0)?;
    let trans_b = call.attributes.int("transB")?.unwrap_or(0) != 0;
    let alpha = call.attributes.float("alpha")?.unwrap_or(1.0);
    let beta = call.attributes.float("beta")?.unwrap_or(1.0);
    let input = call.activation(0)?;
    if builder.shape(input).len() != 1 {
        return Err(format!("its input has {} dimensions; expected 2", builder.shape(input).len() + 1));
    }
    let mut weight = matrix_transposed(&*call.floats(1)?, !trans_b)?;
    let features = weight.shape()[0];
    let mut bias = match call.optional_floats(2)? {
        Some(values) => Some(gemm_bias(&values, features)?),
        None => None,
    };
    if alpha != 1.0 {
        weight = weight.map(|x| alpha * x);
    }
    if beta != 1.0 {
        bias = bias.map(|bias| bias.map(|x| beta * x));
    }
    if alpha != 1.0 || (beta != 1.0 && bias.is_some()) {
        builder.notes.push(format!(
            "alpha {alpha} and beta {beta} of \"{}\" are folded into its weight and bias, which may differ in the last bit",
            call.node.name
        ));
    }
    linear(builder, call, input, weight, bias)
}

/// The bias as one value for each output.
fn gemm_bias(values: &Dense<f32>, features: usize) -> Result<Dense<f32>, String> {
    match (values.shape(), values.data()) {
        ([n] | [1, n], _) if *n == features => values.reshaped(vec![features]),
        ([] | [1] | [1, 1], [value]) => Ok(Dense::vector(vec![*value; features])),
        (shape, _) => {
            Err(format!("its input 2 has shape {shape:?}; expected one value for each of {features} outputs"))
        }
    }
}

/// A matrix as a linear layer stores its weight, `[out_features, in_features]`.
fn matrix_transposed(matrix: &Dense<f32>, transpose: bool) -> Result<Dense<f32>, String> {
    if matrix.shape().len() != 2 {
        return Err(format!("its input 1 has shape {:?}; expected a constant matrix", matrix.shape()));
    }
    Ok(if transpose { matrix.permuted(&[1, 0]) } else { matrix.clone() })
}

fn linear(
    builder: &mut Builder,
    call: &Call<'_>,
    input: NodeId,
    weight: Dense<f32>,
    bias: Option<Dense<f32>>,
) -> Result<Value, String> {
    let [out_features, in_features] = [weight.shape()[0], weight.shape()[1]];
    let op = Op::Linear { in_features, out_features, bias: bias.is_some() };
    let bare = bias.is_none();
    let parameters = [("weight", weight)].into_iter().chain(bias.map(|bias| ("bias", bias)));
    let name = builder.names.of(call.index);
    let id = builder.add_with(name, op, vec![input], parameters.collect())?;
    if bare {
        builder.remember_bare_linear(&call.node.output[0], id);
    }
    Ok(Value::Activation(id))
}

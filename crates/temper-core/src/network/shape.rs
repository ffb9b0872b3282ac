//! Shapes of activations: what each operator makes of its inputs' shapes.

use super::geometry::{Padding2d, Pair};
use super::op::Op;
use crate::tensor::element_count;

/// Values one parameter may hold: what a careless or hostile file claims beyond this is refused.
pub(crate) const MAX_PARAMETER: usize = 1 << 31;

/// Values one activation of one image may hold, padding included: 1 GiB.
const MAX_ACTIVATION: usize = 1 << 28;

/// The number of output rows or columns of a window sliding over `input`, or `None` when it does not fit even once.
pub(crate) fn window_count(
    input: usize,
    padding: (usize, usize),
    kernel: usize,
    stride: usize,
    dilation: usize,
    ceil_mode: bool,
) -> Option<usize> {
    let padded = input.checked_add(padding.0)?.checked_add(padding.1)?;
    let reach = dilation.checked_mul(kernel.checked_sub(1)?)?.checked_add(1)?;
    let span = padded.checked_sub(reach)?;
    if stride == 0 || dilation == 0 {
        return None;
    }
    let mut count = span / stride + 1;
    // PyTorch's rule: a partial window counts only if it starts inside the input or the padding before it.
    if ceil_mode && !span.is_multiple_of(stride) && count * stride < input + padding.0 {
        count += 1;
    }
    Some(count)
}

/// The shape of the output of `op` for inputs of the given shapes, or a sentence on why there is none.
pub(super) fn output_shape(op: &Op, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
    check_arity(op, inputs.len())?;
    let shape = match op {
        Op::Input { shape } | Op::Constant { shape } => shape.clone(),
        Op::Conv2d { in_channels, out_channels, kernel, stride, padding, dilation, groups, .. } => {
            let [c, h, w] = image(inputs[0])?;
            if *groups == 0 || in_channels % groups != 0 || out_channels % groups != 0 {
                return Err(format!(
                    "{in_channels} and {out_channels} channels cannot be split into {groups} groups"
                ));
            }
            if c != *in_channels {
                return Err(format!("expected {in_channels} channels, found {c}"));
            }
            let [oh, ow] = windows([c, h, w], *padding, *kernel, *stride, *dilation, false)?;
            vec![*out_channels, oh, ow]
        }
        Op::Linear { in_features, out_features, .. } => match inputs[0].split_last() {
            Some((last, leading)) if last == in_features => [leading, &[*out_features]].concat(),
            _ => {
                return Err(format!(
                    "expected a last dimension of {in_features}, found shape {:?}; is a flatten missing?",
                    inputs[0]
                ));
            }
        },
        Op::BatchNorm { num_features, eps } => {
            if inputs[0].first() != Some(num_features) {
                return Err(format!("expected {num_features} channels, found shape {:?}", inputs[0]));
            }
            if !(eps.is_finite() && *eps >= 0.0) {
                return Err(format!("eps must be finite and not negative, found {eps}"));
            }
            inputs[0].to_vec()
        }
        Op::Clip { min, max } if min.is_nan() || max.is_nan() || min > max => {
            return Err(format!("min {min} must not exceed max {max}"));
        }
        Op::LeakyRelu { negative_slope } if !negative_slope.is_finite() => {
            return Err(format!("negative_slope must be finite, found {negative_slope}"));
        }
        Op::Relu | Op::LeakyRelu { .. } | Op::Clip { .. } | Op::Sigmoid | Op::Tanh | Op::Dropout => {
            inputs[0].to_vec()
        }
        Op::MaxPool2d { kernel, stride, padding, dilation, ceil_mode } => {
            pooled(inputs[0], *padding, *kernel, *stride, *dilation, *ceil_mode)?
        }
        Op::AvgPool2d { kernel, stride, padding, ceil_mode, .. } => {
            pooled(inputs[0], *padding, *kernel, *stride, Pair::square(1), *ceil_mode)?
        }
        Op::GlobalAvgPool | Op::GlobalMaxPool => vec![image(inputs[0])?[0], 1, 1],
        Op::Add | Op::Mul => broadcast(inputs[0], inputs[1])?,
        Op::Concat { axis } => concat(*axis, inputs)?,
        Op::Pad { before, after, value } => {
            if before.len() != inputs[0].len() || after.len() != inputs[0].len() {
                return Err(format!(
                    "expected {} paddings before and after, one per dimension",
                    inputs[0].len()
                ));
            }
            if !value.is_finite() {
                return Err(format!("the padding value must be finite, found {value}"));
            }
            let padded = inputs[0].iter().zip(before.iter().zip(after));
            padded
                .map(|(n, (b, a))| n.checked_add(*b)?.checked_add(*a))
                .collect::<Option<Vec<_>>>()
                .ok_or("the padding is too large")?
        }
        Op::Flatten => vec![element_count(inputs[0]).ok_or("the input is too large")?],
        Op::Reshape { shape } => {
            if element_count(shape) != element_count(inputs[0]) {
                return Err(format!(
                    "cannot reshape {:?} into {shape:?}: the numbers of values differ",
                    inputs[0]
                ));
            }
            shape.clone()
        }
        Op::Transpose { perm } => {
            let mut seen = perm.clone();
            seen.sort_unstable();
            if !seen.iter().copied().eq(0..inputs[0].len()) {
                return Err(format!("{perm:?} is not a permutation of {} dimensions", inputs[0].len()));
            }
            perm.iter().map(|&from| inputs[0][from]).collect()
        }
        Op::Softmax { axis } => {
            if *axis >= inputs[0].len() {
                return Err(format!("axis {axis} does not exist in shape {:?}", inputs[0]));
            }
            inputs[0].to_vec()
        }
    };
    match element_count(&shape) {
        Some(0) => Err(format!("the shape {shape:?} holds no value")),
        Some(n) if n <= MAX_ACTIVATION => Ok(shape),
        _ => Err(format!("the shape {shape:?} is too large")),
    }
}

fn check_arity(op: &Op, found: usize) -> Result<(), String> {
    let (expected, fits) = match op {
        Op::Input { .. } | Op::Constant { .. } => ("no input", found == 0),
        Op::Add | Op::Mul => ("two inputs", found == 2),
        Op::Concat { .. } => ("at least one input", found >= 1),
        _ => ("one input", found == 1),
    };
    if fits { Ok(()) } else { Err(format!("expected {expected}, found {found}")) }
}

fn image(shape: &[usize]) -> Result<[usize; 3], String> {
    shape.try_into().map_err(|_| format!("expected an input of shape [C, H, W], found {shape:?}"))
}

fn windows(
    [c, h, w]: [usize; 3],
    padding: Padding2d,
    kernel: Pair,
    stride: Pair,
    dilation: Pair,
    ceil_mode: bool,
) -> Result<[usize; 2], String> {
    let padded = |extent: usize, before, after| extent.checked_add(before)?.checked_add(after);
    let padded_size = || {
        let rows = padded(h, padding.top, padding.bottom)?;
        element_count(&[c, rows, padded(w, padding.left, padding.right)?])
    };
    if padded_size().is_none_or(|size| size > MAX_ACTIVATION) {
        return Err(format!("the padding {:?} makes the input too large", <[usize; 4]>::from(padding)));
    }
    let rows = window_count(
        h,
        (padding.top, padding.bottom),
        kernel.height,
        stride.height,
        dilation.height,
        ceil_mode,
    );
    let columns =
        window_count(w, (padding.left, padding.right), kernel.width, stride.width, dilation.width, ceil_mode);
    match (rows, columns) {
        (Some(rows), Some(columns)) => Ok([rows, columns]),
        _ => Err(format!(
            "a {}x{} window with stride {}x{} and dilation {}x{} does not fit a {h}x{w} input",
            kernel.height, kernel.width, stride.height, stride.width, dilation.height, dilation.width
        )),
    }
}

fn pooled(
    input: &[usize],
    padding: Padding2d,
    kernel: Pair,
    stride: Pair,
    dilation: Pair,
    ceil_mode: bool,
) -> Result<Vec<usize>, String> {
    let [c, h, w] = image(input)?;
    let Padding2d { top, left, bottom, right } = padding;
    // As in PyTorch.
    if top.max(bottom) > kernel.height / 2 || left.max(right) > kernel.width / 2 {
        return Err("padding must not exceed half the window".to_owned());
    }
    let [oh, ow] = windows([c, h, w], padding, kernel, stride, dilation, ceil_mode)?;
    Ok(vec![c, oh, ow])
}

fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>, String> {
    let rank = a.len().max(b.len());
    let extent = |shape: &[usize], i: usize| (i + shape.len()).checked_sub(rank).map_or(1, |at| shape[at]);
    (0..rank)
        .map(|i| match (extent(a, i), extent(b, i)) {
            (x, y) if x == y || y == 1 => Ok(x),
            (1, y) => Ok(y),
            _ => Err(format!("shapes {a:?} and {b:?} do not broadcast")),
        })
        .collect()
}

fn concat(axis: usize, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
    let mut shape = inputs[0].to_vec();
    if axis >= shape.len() {
        return Err(format!("axis {axis} does not exist in shape {shape:?}"));
    }
    for other in &inputs[1..] {
        let alike = other.len() == shape.len() && (0..shape.len()).all(|i| i == axis || other[i] == shape[i]);
        if !alike {
            return Err(format!("shapes {:?} and {other:?} differ outside axis {axis}", inputs[0]));
        }
        shape[axis] = shape[axis].checked_add(other[axis]).ok_or("the output is too large")?;
    }
    Ok(shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_counted_as_in_pytorch() {
        // ⌊(n + 2p − d(k − 1) − 1) / s⌋ + 1, and one more in ceil mode if the last window starts inside.
        assert_eq!(window_count(32, (1, 1), 3, 2, 1, false), Some(16));
        assert_eq!(window_count(5, (0, 0), 2, 2, 1, false), Some(2));
        assert_eq!(window_count(5, (0, 0), 2, 2, 1, true), Some(3));
        assert_eq!(window_count(4, (1, 1), 3, 3, 1, true), Some(2));
        assert_eq!(window_count(9, (0, 0), 3, 1, 4, false), Some(1));
        assert_eq!(window_count(8, (0, 0), 3, 1, 4, false), None);
        assert_eq!(window_count(8, (0, 0), 0, 1, 1, false), None);
        assert_eq!(window_count(8, (0, 0), 1, 0, 1, false), None);
        assert_eq!(window_count(usize::MAX, (1, 0), 1, 1, 1, false), None);
    }

    #[test]
    fn what_would_take_endless_memory_or_time_is_refused() {
        let shape = |op: &str| {
            let op: Op = serde_json::from_str(op).expect("valid JSON");
            output_shape(&op, &[&[1, 8, 8]])
        };
        for op in [
            r#"{"kind": "conv2d", "in_channels": 1, "out_channels": 1, "kernel": 1, "stride": 1048576, "padding": 1048576}"#,
            r#"{"kind": "conv2d", "in_channels": 1, "out_channels": 268435456, "kernel": 1}"#,
            r#"{"kind": "max-pool2d", "kernel": 1099511627776, "stride": 1, "padding": 549755813888}"#,
            r#"{"kind": "avg-pool2d", "kernel": 1099511627776, "stride": 1, "padding": 549755813888}"#,
            r#"{"kind": "pad", "before": [0, 0, 0], "after": [0, 1152921504606846976, 0]}"#,
        ] {
            assert!(shape(op).expect_err(op).contains("too large"), "{op}");
        }
        assert_eq!(
            shape(r#"{"kind": "conv2d", "in_channels": 1, "out_channels": 2, "kernel": 1, "padding": 5}"#),
            Ok(vec![2, 18, 18])
        );
    }
}

//! Operators with windows over images, and means and maxima over whole images.

use super::super::super::geometry::{Padding2d, Pair};
use super::super::super::graph::NodeId;
use super::super::super::op::Op;
use super::builder::Builder;
use super::call::{Call, Value};
use super::dense::resolve_axis;
use super::layout::reshape_to;
use super::pointwise::emit;

/// The window of a convolution or pooling.
struct Window {
    kernel: Pair,
    stride: Pair,
    dilation: Pair,
    padding: Padding2d,
}

pub(super) fn conv(builder: &mut Builder, call: &mut Call<'_>) -> Result<Value, String> {
    call.arity(2, 3)?;
    let (input, weight, bias) = (call.activation(0)?, call.floats(1)?, call.optional_floats(2)?);
    let image = image(builder, input)?;
    let &[out_channels, channels_per_group, height, width] = weight.shape() else {
        return Err(format!(
            "its weight has shape {:?}; only two-dimensional convolutions are supported",
            weight.shape()
        ));
    };
    let groups = call.attributes.int("group")?.unwrap_or(1);
    let groups = usize::try_from(groups).ok().filter(|&groups| groups > 0);
    let groups = groups.ok_or("attribute `group` is not positive")?;
    let in_channels = channels_per_group.checked_mul(groups).ok_or("it has too many channels")?;
    let kernel = Pair { height, width };
    let window = window(call, image, Some(kernel))?;
    if window.kernel != kernel {
        return Err(format!(
            "attribute `kernel_shape` is {:?}, but its weight has shape {:?}",
            <[usize; 2]>::from(window.kernel),
            weight.shape()
        ));
    }
    let op = Op::Conv2d {
        in_channels,
        out_channels,
        kernel,
        stride: window.stride,
        padding: window.padding,
        dilation: window.dilation,
        groups,
        bias: bias.is_some(),
    };
    let mut parameters = vec![("weight", weight.as_ref().clone())];
    parameters.extend(bias.map(|bias| ("bias", bias.as_ref().clone())));
    let name = builder.names.of(call.index);
    Ok(Value::Activation(builder.add_with(name, op, vec![input], parameters)?))
}

pub(super) fn max_pool(builder: &mut Builder, call: &mut Call<'_>) -> Result<Value, String> {
    call.arity(1, 1)?;
    // The order of the indices, a second output that is not supported.
    call.attributes.ignore("storage_order");
    let input = call.activation(0)?;
    let ceil_mode = flag(call, "ceil_mode")?;
    let Window { kernel, stride, dilation, padding } = window(call, image(builder, input)?, None)?;
    emit(builder, call, Op::MaxPool2d { kernel, stride, padding, dilation, ceil_mode }, input)
}

pub(super) fn average_pool(builder: &mut Builder, call: &mut Call<'_>) -> Result<Value, String> {
    call.arity(1, 1)?;
    let input = call.activation(0)?;
    let ceil_mode = flag(call, "ceil_mode")?;
    let count_include_pad = flag(call, "count_include_pad")?;
    let Window { kernel, stride, dilation, padding } = window(call, image(builder, input)?, None)?;
    if dilation != Pair::square(1) {
        return Err("a dilated average is not supported".to_owned());
    }
    emit(builder, call, Op::AvgPool2d { kernel, stride, padding, ceil_mode, count_include_pad }, input)
}

/// A mean over all rows and columns of an image `[C, H, W]`.
pub(super) fn reduce_mean(builder: &mut Builder, call: &mut Call<'_>) -> Result<Value, String> {
    call.arity(1, 2)?;
    // Without axes, it would run over the batch in either case.
    call.attributes.ignore("noop_with_empty_axes");
    let input = call.activation(0)?;
    let keep_dimensions = call.attributes.int("keepdims")?.unwrap_or(1) != 0;
    let axes = call.list(1, "axes")?.ok_or("it has no axes, so it would run over the images of a batch")?;
    let [channels, ..] = image(builder, input)?;
    let mut resolved: Vec<usize> =
        axes.iter().map(|&axis| resolve_axis(axis, 4)).collect::<Result<_, _>>()?;
    resolved.sort_unstable();
    if resolved != [2, 3] {
        return Err(format!("it runs over axes {axes:?}; only rows and columns, [2, 3], are supported"));
    }
    let mean = emit(builder, call, Op::GlobalAvgPool, input)?;
    match mean {
        Value::Activation(id) if !keep_dimensions => reshape_to(builder, call, id, vec![channels]),
        _ => Ok(mean),
    }
}

/// The extents `[C, H, W]` of an activation that is an image.
fn image(builder: &Builder, id: NodeId) -> Result<[usize; 3], String> {
    let shape = builder.shape(id);
    shape.try_into().map_err(|_| {
        format!("its input has {} dimensions; only images, of 4 dimensions, are supported", shape.len() + 1)
    })
}

fn flag(call: &mut Call<'_>, name: &str) -> Result<bool, String> {
    Ok(call.attributes.int(name)?.unwrap_or(0) != 0)
}

/// The attributes that windows have in common; `kernel` if the attribute `kernel_shape` may be left out.
fn window(call: &mut Call<'_>, [_, h, w]: [usize; 3], kernel: Option<Pair>) -> Result<Window, String> {
    let kernel = pair(call, "kernel_shape")?.or(kernel).ok_or("attribute `kernel_shape` is missing")?;
    let stride = pair(call, "strides")?.unwrap_or(Pair::square(1));
    let dilation = pair(call, "dilations")?.unwrap_or(Pair::square(1));
    let pads = call.attributes.ints("pads")?;
    let auto_pad = call.attributes.word("auto_pad", &["NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"])?;
    let padding = match (auto_pad, pads) {
        ("NOTSET", None) | ("VALID", _) => Padding2d::NONE,
        ("NOTSET", Some(pads)) => explicit_padding(pads)?,
        (same, _) => {
            let same = |input, kernel, stride, dilation| {
                same_padding(input, kernel, stride, dilation, same == "SAME_UPPER")
            };
            let rows = same(h, kernel.height, stride.height, dilation.height);
            let columns = same(w, kernel.width, stride.width, dilation.width);
            let ((top, bottom), (left, right)) = rows.zip(columns).ok_or("its window is too large")?;
            Padding2d { top, left, bottom, right }
        }
    };
    Ok(Window { kernel, stride, dilation, padding })
}

fn pair(call: &mut Call<'_>, name: &str) -> Result<Option<Pair>, String> {
    let Some(list) = call.attributes.ints(name)? else {
        return Ok(None);
    };
    let positive = |&extent: &i64| usize::try_from(extent).ok().filter(|&extent| extent > 0);
    match list.iter().map(positive).collect::<Option<Vec<_>>>().as_deref() {
        Some(&[height, width]) => Ok(Some(Pair { height, width })),
        _ => Err(format!("attribute `{name}` is {list:?}; expected two positive numbers")),
    }
}

fn explicit_padding(pads: &[i64]) -> Result<Padding2d, String> {
    let extents: Option<Vec<usize>> = pads.iter().map(|&pad| usize::try_from(pad).ok()).collect();
    match extents.as_deref() {
        Some(&[top, left, bottom, right]) => Ok(Padding2d { top, left, bottom, right }),
        _ => Err(format!("attribute `pads` is {pads:?}; expected four numbers, none negative")),
    }
}

/// Padding before and after that makes ⌈input / stride⌉ windows; an odd one goes to the end if `upper`.
fn same_padding(
    input: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    upper: bool,
) -> Option<(usize, usize)> {
    let reach = dilation.checked_mul(kernel - 1)?.checked_add(1)?;
    let span = (input.div_ceil(stride) - 1).checked_mul(stride)?.checked_add(reach)?;
    let total = span.saturating_sub(input);
    let less = total / 2;
    Some(if upper { (less, total - less) } else { (total - less, less) })
}

#[cfg(test)]
mod tests {
    use super::same_padding;

    #[test]
    fn same_padding_keeps_every_stride_th_window() {
        // tf.nn.conv2d(padding="SAME"): 224 → 112 with a kernel of 7 and a stride of 2 pads 2 before and 3 after.
        assert_eq!(same_padding(224, 7, 2, 1, true), Some((2, 3)));
        assert_eq!(same_padding(224, 7, 2, 1, false), Some((3, 2)));
        assert_eq!(same_padding(5, 3, 1, 2, true), Some((2, 2)));
        assert_eq!(same_padding(4, 1, 2, 1, true), Some((0, 0)));
        assert_eq!(same_padding(4, usize::MAX, 1, 2, true), None);
    }
}

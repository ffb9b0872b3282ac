//! Operators that only move values, as lists of where each value comes from.

/// Where each value of an image comes from, in the operator's input; `None` for a constant.
pub(super) type Places = Vec<Option<usize>>;

/// The offset, in a tensor of shape `own`, of each place of `shape`: `None` from `to_own` means outside.
fn places(shape: &[usize], own: &[usize], to_own: impl Fn(usize, usize) -> Option<usize>) -> Places {
    let count = shape.iter().product::<usize>();
    let own_strides = strides(own);
    let mut at = vec![0; shape.len()];
    (0..count)
        .map(|_| {
            let place = (0..own.len()).try_fold(0, |sum, i| {
                to_own(i, at[i]).filter(|&x| x < own[i]).map(|x| sum + x * own_strides[i])
            });
            step(&mut at, shape);
            place
        })
        .collect()
}

/// The next place in row-major order.
fn step(at: &mut [usize], shape: &[usize]) {
    for (x, &extent) in at.iter_mut().zip(shape).rev() {
        *x += 1;
        if *x < extent {
            return;
        }
        *x = 0;
    }
}

/// Row-major strides.
fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for i in (1..shape.len()).rev() {
        strides[i - 1] = strides[i] * shape[i];
    }
    strides
}

/// Of a constant laid around an input of shape `own`, giving `output`.
pub(super) fn pad(own: &[usize], before: &[usize], output: &[usize]) -> Places {
    places(output, own, |i, x| x.checked_sub(before[i]))
}

/// Of an input of shape `own` stretched to `output`, as NumPy broadcasts.
pub(super) fn broadcast(own: &[usize], output: &[usize]) -> Places {
    let mut full = vec![1; output.len() - own.len()];
    full.extend_from_slice(own);
    places(output, &full, |i, x| Some(if full[i] == 1 { 0 } else { x }))
}

/// Of dimensions permuted: dimension `i` of the output is dimension `perm[i]` of the input.
pub(super) fn transpose(own: &[usize], perm: &[usize], output: &[usize]) -> Places {
    let own_strides = strides(own);
    let mut at = vec![0; output.len()];
    (0..output.iter().product())
        .map(|_| {
            let place = at.iter().zip(perm).map(|(x, &from)| x * own_strides[from]).sum();
            step(&mut at, output);
            Some(place)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_from_where_they_should() {
        let none = None;
        // [[a, b]] with a row above and a column behind.
        assert_eq!(pad(&[1, 2], &[1, 0], &[2, 3]), [none, none, none, Some(0), Some(1), none]);
        // A column stretched over rows of three.
        assert_eq!(broadcast(&[2, 1], &[2, 3]), [0, 0, 0, 1, 1, 1].map(Some));
        // A row stretched over two rows.
        assert_eq!(broadcast(&[2], &[2, 2]), [0, 1, 0, 1].map(Some));
        // [[0, 1, 2], [3, 4, 5]] transposed.
        assert_eq!(transpose(&[2, 3], &[1, 0], &[3, 2]), [0, 3, 1, 4, 2, 5].map(Some));
    }
}

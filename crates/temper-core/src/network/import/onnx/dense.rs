//! Constants while a graph is read: dense arrays of floats, or of small integers that describe shapes.

use super::super::super::shape::MAX_PARAMETER;
use crate::tensor::element_count;

/// Dimensions a tensor may have. No supported operator makes sense of more.
pub(super) const MAX_RANK: usize = 8;

/// Integers a constant may hold: they describe shapes, axes and paddings.
pub(super) const MAX_INTEGERS: usize = 64;

/// An integer that describes a shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// Known from the file.
    Known(i64),
    /// The number of images, which a network leaves open.
    Batch,
}

/// A dense row-major array; its values fill its shape.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Dense<T> {
    shape: Vec<usize>,
    data: Vec<T>,
}

impl<T: Copy> Dense<T> {
    /// An array of `shape` over `data`, or a sentence on why there is none.
    pub(super) fn new(shape: Vec<usize>, data: Vec<T>) -> Result<Self, String> {
        if shape.len() > MAX_RANK {
            return Err(format!("a tensor has {} dimensions; at most {MAX_RANK} are supported", shape.len()));
        }
        match element_count(&shape) {
            // Nothing may have a large extent beside an empty one.
            Some(0) if shape.len() > 1 => Err(format!("a tensor of shape {shape:?} holds no value")),
            Some(count) if count == data.len() && count <= MAX_PARAMETER => Ok(Self { shape, data }),
            _ => Err(format!("{} values do not fill a tensor of shape {shape:?}", data.len())),
        }
    }

    pub(super) fn vector(data: Vec<T>) -> Self {
        Self { shape: vec![data.len()], data }
    }

    pub(super) fn scalar(value: T) -> Self {
        Self { shape: Vec::new(), data: vec![value] }
    }

    pub(super) fn shape(&self) -> &[usize] {
        &self.shape
    }

    pub(super) fn data(&self) -> &[T] {
        &self.data
    }

    /// The shape and the values.
    pub(super) fn into_parts(self) -> (Vec<usize>, Vec<T>) {
        (self.shape, self.data)
    }

    /// The same array with `f` applied to every value.
    pub(super) fn map<U>(&self, f: impl FnMut(T) -> U) -> Dense<U> {
        Dense { shape: self.shape.clone(), data: self.data.iter().copied().map(f).collect() }
    }

    /// The same values in another shape.
    pub(super) fn reshaped(&self, shape: Vec<usize>) -> Result<Self, String> {
        Self::new(shape, self.data.clone())
    }

    /// The array whose dimension `i` is dimension `perm[i]` of this one. `perm` must be a permutation of the dimensions.
    pub(super) fn permuted(&self, perm: &[usize]) -> Self {
        let strides = self.strides();
        let axes = perm.iter().map(|&axis| (0..self.shape[axis]).map(|i| i * strides[axis]).collect());
        self.gathered(&axes.collect::<Vec<_>>())
    }

    /// The array whose dimension `i` runs over the indices `axes[i]` of this one's dimension `i`. The indices must exist.
    pub(super) fn selected(&self, axes: &[Vec<usize>]) -> Self {
        let strides = self.strides();
        let offsets =
            axes.iter().zip(strides).map(|(axis, stride)| axis.iter().map(|i| i * stride).collect());
        self.gathered(&offsets.collect::<Vec<_>>())
    }

    /// The distance in `data` between neighbours along each dimension.
    fn strides(&self) -> Vec<usize> {
        let mut strides = vec![1; self.shape.len()];
        for axis in (1..self.shape.len()).rev() {
            strides[axis - 1] = strides[axis] * self.shape[axis];
        }
        strides
    }

    /// The array whose value at every index is this one's at the sum of the offsets of that index.
    fn gathered(&self, offsets: &[Vec<usize>]) -> Self {
        let mut data = Vec::new();
        self.gather_into(offsets, 0, &mut data);
        Self { shape: offsets.iter().map(Vec::len).collect(), data }
    }

    /// Recurses over the dimensions, of which there are at most [`MAX_RANK`].
    fn gather_into(&self, offsets: &[Vec<usize>], base: usize, data: &mut Vec<T>) {
        match offsets.split_first() {
            None => data.push(self.data[base]),
            Some((first, rest)) => {
                for offset in first {
                    self.gather_into(rest, base + offset, data);
                }
            }
        }
    }
}

impl Dense<Extent> {
    /// The values as a list, or a sentence on why not all are known or they are not a list.
    pub(super) fn known(&self) -> Result<Vec<i64>, String> {
        if self.shape.len() > 1 {
            return Err(format!("expected a list of integers, found a tensor of shape {:?}", self.shape));
        }
        let known = |extent: &Extent| match extent {
            Extent::Known(value) => Ok(*value),
            Extent::Batch => Err("an argument depends on the batch size".to_owned()),
        };
        self.data.iter().map(known).collect()
    }
}

/// The dimension that `axis` means among `rank`: negative numbers count from the end.
pub(super) fn resolve_axis(axis: i64, rank: usize) -> Result<usize, String> {
    let count = rank as i64;
    match axis {
        0.. if axis < count => Ok(axis as usize),
        ..0 if axis >= -count => Ok((axis + count) as usize),
        _ => Err(format!("axis {axis} does not exist among {rank} dimensions")),
    }
}

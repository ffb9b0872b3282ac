//! A dense array of `f32`.

use thiserror::Error;

/// A dense row-major array of `f32`: the value of a parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    data: Vec<f32>,
}

/// A tensor whose values do not fill its shape.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{found} values do not fill a tensor of shape {shape:?}")]
pub struct TensorError {
    /// The claimed shape.
    pub shape: Vec<usize>,
    /// The number of values at hand.
    pub found: usize,
}

impl Tensor {
    /// A tensor of `shape` over `data` in row-major order.
    ///
    /// # Errors
    /// When the product of `shape` overflows or differs from the number of values.
    pub fn new(shape: Vec<usize>, data: Vec<f32>) -> Result<Self, TensorError> {
        match element_count(&shape) {
            Some(n) if n == data.len() => Ok(Self { shape, data }),
            _ => Err(TensorError { shape, found: data.len() }),
        }
    }

    /// A tensor of `shape` in which every value is `value`.
    pub fn full(shape: &[usize], value: f32) -> Self {
        Self { shape: shape.to_vec(), data: vec![value; shape.iter().product()] }
    }

    /// The extent of each dimension; empty for a scalar.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The values in row-major order.
    pub fn data(&self) -> &[f32] {
        &self.data
    }

    /// The values in row-major order, to be changed in place.
    pub fn data_mut(&mut self) -> &mut [f32] {
        &mut self.data
    }
}

/// The number of elements of `shape`, or `None` when it does not fit in `usize`.
pub(crate) fn element_count(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |n, &extent| n.checked_mul(extent))
}

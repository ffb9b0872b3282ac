//! Element types of stored tensors, and how each becomes `f32`.

use crate::number::F16;

/// Order of the bytes of one element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ByteOrder {
    Little,
    Big,
}

/// A floating-point type that is read into `f32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Float {
    F16,
    Bf16,
    F32,
    F64,
}

/// What an element type means to an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    /// Read into `f32`.
    Float(Float),
    /// Integers and booleans are counters and masks, not weights: listed as ignored, by this name.
    Integer(&'static str),
}

impl Float {
    /// Bytes of one element.
    pub(super) const fn size(self) -> usize {
        match self {
            Self::F16 | Self::Bf16 => 2,
            Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    /// The value of one element, which is exactly [`Float::size`] bytes long. `f64` is rounded to nearest, the others are exact.
    fn value(self, bytes: &[u8], order: ByteOrder) -> f32 {
        let mut little = [0; 8];
        little[..bytes.len()].copy_from_slice(bytes);
        if order == ByteOrder::Big {
            little[..bytes.len()].reverse();
        }
        let bits = u64::from_le_bytes(little);
        match self {
            Self::F16 => F16.decode(bits),
            Self::Bf16 => f32::from_bits((bits as u32) << 16),
            Self::F32 => f32::from_bits(bits as u32),
            Self::F64 => f64::from_bits(bits) as f32,
        }
    }

    /// The values of consecutive elements.
    pub(super) fn values(self, bytes: &[u8], order: ByteOrder) -> impl Iterator<Item = f32> {
        bytes.chunks_exact(self.size()).map(move |element| self.value(element, order))
    }

    /// The values of a strided view; `None` when it is ill-formed or reaches outside `bytes`.
    pub(super) fn strided(self, bytes: &[u8], order: ByteOrder, view: &View) -> Option<Vec<f32>> {
        let count = view.element_count()?;
        if count == 0 {
            return Some(Vec::new());
        }
        let last = view.last_index()?;
        if last >= bytes.len() / self.size() {
            return None;
        }
        if view.is_contiguous() {
            return Some(
                self.values(&bytes[view.offset * self.size()..(last + 1) * self.size()], order).collect(),
            );
        }
        let mut index = vec![0; view.shape.len()];
        let mut at = view.offset;
        let mut values = Vec::with_capacity(count);
        loop {
            values.push(self.value(&bytes[at * self.size()..][..self.size()], order));
            let Some(axis) = (0..index.len()).rev().find(|&axis| index[axis] + 1 < view.shape[axis]) else {
                return Some(values);
            };
            for (done, stride) in index.iter_mut().zip(&view.stride).skip(axis + 1) {
                at -= std::mem::take(done) * stride;
            }
            index[axis] += 1;
            at += view.stride[axis];
        }
    }
}

/// A strided window on a flat array, counted in elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct View {
    /// Place of the first element.
    pub(super) offset: usize,
    /// Extent of each dimension.
    pub(super) shape: Vec<usize>,
    /// Step of each dimension; as many as `shape`.
    pub(super) stride: Vec<usize>,
}

impl View {
    /// The number of elements, unless it overflows.
    pub(super) fn element_count(&self) -> Option<usize> {
        crate::tensor::element_count(&self.shape)
    }

    /// The largest place the view touches, for a view that is not empty; `None` when it overflows.
    fn last_index(&self) -> Option<usize> {
        self.shape.iter().zip(&self.stride).try_fold(self.offset, |at, (&extent, &stride)| {
            at.checked_add(stride.checked_mul(extent.checked_sub(1)?)?)
        })
    }

    fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        self.shape.iter().zip(&self.stride).rev().all(|(&extent, &stride)| {
            let fits = extent == 1 || stride == expected;
            expected *= extent;
            fits
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn byte_order_and_rounding() {
        let value = |float: Float, bytes: &[u8], order| float.values(bytes, order).next().unwrap();
        assert_eq!(value(Float::F32, &1.5f32.to_be_bytes(), ByteOrder::Big), 1.5);
        assert_eq!(value(Float::Bf16, &[0xc0, 0x3f], ByteOrder::Little), 1.5);
        assert_eq!(value(Float::F16, &[0x3e, 0x00], ByteOrder::Big), 1.5);
        // Half way between 1 and the next f32: to even.
        assert_eq!(value(Float::F64, &(1.0 + 2f64.powi(-24)).to_le_bytes(), ByteOrder::Little), 1.0);
        assert_eq!(value(Float::F64, &1e300f64.to_le_bytes(), ByteOrder::Little), f32::INFINITY);
    }

    #[test]
    fn strided_views_are_read_in_row_major_order_and_bounded() {
        let bytes: Vec<u8> = (0..6).flat_map(|i| (i as f32).to_le_bytes()).collect();
        let read = |offset, shape: &[usize], stride: &[usize]| {
            let view = View { offset, shape: shape.to_vec(), stride: stride.to_vec() };
            Float::F32.strided(&bytes, ByteOrder::Little, &view)
        };
        assert_eq!(read(0, &[3, 2], &[1, 3]), Some(vec![0., 3., 1., 4., 2., 5.]));
        assert_eq!(read(1, &[2, 2], &[3, 1]), Some(vec![1., 2., 4., 5.]));
        assert_eq!(read(2, &[2, 3], &[0, 1]), Some(vec![2., 3., 4., 2., 3., 4.]));
        assert_eq!(read(0, &[2, 1, 3], &[3, 77, 1]), Some(vec![0., 1., 2., 3., 4., 5.]));
        assert_eq!(read(5, &[], &[]), Some(vec![5.]));
        assert_eq!(read(9, &[0], &[1]), Some(Vec::new()));
        assert_eq!(read(6, &[], &[]), None);
        assert_eq!(read(1, &[3, 2], &[2, 1]), None);
        assert_eq!(read(usize::MAX, &[2], &[1]), None);
        assert_eq!(read(0, &[1 << 40, 1 << 40], &[0, 0]), None);
        assert_eq!(read(0, &[3], &[usize::MAX]), None);
    }

    proptest! {
        #[test]
        fn a_strided_view_is_what_its_indices_say(
            dims in proptest::collection::vec((0usize..4, 0usize..5), 0..4),
            offset in 0usize..8,
            order in prop_oneof![Just(ByteOrder::Little), Just(ByteOrder::Big)],
        ) {
            const LENGTH: usize = 24;
            let bytes: Vec<u8> = (0..LENGTH).flat_map(|i| match order {
                ByteOrder::Little => (i as f32).to_le_bytes(),
                ByteOrder::Big => (i as f32).to_be_bytes(),
            }).collect();
            let (shape, stride): (Vec<usize>, Vec<usize>) = dims.into_iter().unzip();
            // The places of all elements, last dimension fastest.
            let places = shape.iter().zip(&stride).fold(vec![offset], |places, (&extent, &stride)| {
                places.iter().flat_map(|&at| (0..extent).map(move |i| at + i * stride)).collect()
            });
            let expected = places.iter().all(|&at| at < LENGTH)
                .then(|| places.iter().map(|&at| at as f32).collect::<Vec<_>>());
            prop_assert_eq!(Float::F32.strided(&bytes, order, &View { offset, shape, stride }), expected);
        }
    }
}

//! Which values of a tensor a fault strikes together.

use super::error::{FaultError, field};
use super::spec::{FaultSpec, Shape};
use crate::memory::{Part, StoredTensor};

/// The values that the units of a tensor hold: unit `u` begins at `(u / inner) · outer + u % inner · pitch`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Layout {
    /// Number of units.
    pub(super) units: usize,
    inner: usize,
    outer: usize,
    pitch: usize,
    step: usize,
    count: usize,
}

impl Layout {
    /// First value, distance and number of the values of a unit.
    pub(super) fn members(&self, unit: usize) -> (usize, usize, usize) {
        let start = unit / self.inner * self.outer + unit % self.inner * self.pitch;
        (start, self.step, self.count)
    }
}

impl FaultSpec {
    pub(super) fn layout(&self, tensor: &StoredTensor) -> Result<Layout, FaultError> {
        let len = tensor.words(self.target.part);
        let shape = self.shape.unwrap_or_default();
        if shape != Shape::Value && self.target.part != Part::Values {
            return field("shape", format!("{} has no channels, rows and columns", self.target));
        }
        let plain = |units, count| Layout { units, inner: 1, outer: 1, pitch: 0, step: 1, count };
        if let Some(burst) = self.burst_words {
            if shape != Shape::Value {
                return field("burst_words", "a burst has no other shape; leave shape out");
            }
            if burst == 0 {
                return field("burst_words", "expected at least 1, found 0");
            }
            return Ok(plain((len + 1).saturating_sub(burst), burst));
        }
        let [channels, height, width] = tensor.extents();
        // A parameter is a matrix whose rows are its output channels.
        let is_row = shape == Shape::Channel && tensor.parameter().is_some();
        let shape = if is_row { Shape::Row } else { shape };
        Ok(match shape {
            Shape::Value => plain(len, 1),
            Shape::Channel => Layout { outer: height * width, ..plain(channels, height * width) },
            Shape::Row => Layout { outer: width, ..plain(channels * height, width) },
            Shape::Column => Layout {
                units: channels * width,
                inner: width,
                outer: height * width,
                pitch: 1,
                step: width,
                count: height,
            },
        })
    }
}

//! What is seen of activations before their ranges are chosen.

/// What calibration has seen at a tap: enough values to choose a range.
#[derive(Debug, Clone)]
pub struct Calibration {
    stride: usize,
    values: Vec<f32>,
    low: f32,
    high: f32,
}

impl Calibration {
    /// For `images` images of `len` values each, of which about `wanted` are kept: evenly spaced ones, at a distance that shares no
    /// factor with `len`, so that every place of an image is seen equally often.
    pub fn new(len: usize, images: usize, wanted: usize) -> Self {
        let least = (len * images).div_ceil(wanted).max(1);
        // Of as many numbers in a row as an image has values, one leaves the remainder 1.
        let stride = (least..=least + len).find(|stride| greatest_common_divisor(*stride, len) == 1);
        let stride = stride.unwrap_or(least);
        Self { stride, values: Vec::new(), low: f32::INFINITY, high: f32::NEG_INFINITY }
    }

    /// Adds the values of images, the first of which is the `first`-th value of all.
    pub fn add(&mut self, first: usize, values: &[f32]) {
        let skip = (self.stride - first % self.stride) % self.stride;
        self.values.extend(values.iter().skip(skip).step_by(self.stride));
        for &value in values {
            (self.low, self.high) = (self.low.min(value), self.high.max(value));
        }
    }

    /// The values kept, and the extremes of all.
    pub(super) fn into_values(mut self) -> Vec<f32> {
        if self.stride > 1 {
            self.values.extend([self.low, self.high]);
        }
        self.values
    }
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

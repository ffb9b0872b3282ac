//! The loss.

use temper_kernels::cross_entropy;

use super::bridge::{Operation, Recorded};

/// The mean cross-entropy of softmax.
#[derive(Debug, Clone)]
pub(super) struct CrossEntropy {
    pub(super) labels: Vec<usize>,
    pub(super) smoothing: f32,
}

impl Operation<1> for CrossEntropy {
    /// The gradient of the logits.
    type Saved = Vec<f32>;

    fn forward(&self, [logits]: [&[f32]; 1], images: usize) -> (Vec<f32>, Vec<f32>) {
        let mut gradient = vec![0.0; logits.len()];
        let scale = 1.0 / images as f32;
        let sum = cross_entropy(&self.labels, self.smoothing, scale, logits, &mut gradient);
        (vec![(sum / images as f64) as f32], gradient)
    }

    fn backward(
        &self,
        recorded: Recorded<'_, 1, Vec<f32>>,
        gradient: Vec<f32>,
        _: [bool; 1],
    ) -> [Option<Vec<f32>>; 1] {
        let factor = gradient[0];
        [Some(recorded.saved.into_iter().map(|value| value * factor).collect())]
    }

    fn output_shape(&self, _images: usize, len: usize) -> Vec<usize> {
        vec![len]
    }
}

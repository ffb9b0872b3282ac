//! Pooling.

use temper_kernels::{PoolShape, avg_pool2d, avg_pool2d_gradient, max_pool2d, max_pool2d_gradient};

use super::bridge::{Operation, Recorded};
use super::{fill_images, of_images};

/// Max pooling of every plane.
#[derive(Debug, Clone)]
pub(super) struct MaxPool {
    pub(super) shape: PoolShape,
}

/// Average pooling of every plane.
#[derive(Debug, Clone)]
pub(super) struct AvgPool {
    pub(super) shape: PoolShape,
    pub(super) count_padding: bool,
}

/// Values of the output for so many of the input.
fn output_len(shape: &PoolShape, input: usize) -> usize {
    let [inputs, outputs] = [shape.input, shape.output].map(|[height, width]| height * width);
    input / inputs * outputs
}

impl Operation<1> for MaxPool {
    type Saved = ();

    fn forward(&self, [input]: [&[f32]; 1], images: usize) -> (Vec<f32>, ()) {
        let mut output = vec![0.0; output_len(&self.shape, input.len())];
        fill_images(images, &mut output, |range, output| {
            max_pool2d(&self.shape, &input[of_images(input, images, &range)], output);
        });
        (output, ())
    }

    fn backward(
        &self,
        recorded: Recorded<'_, 1, ()>,
        gradient: Vec<f32>,
        _: [bool; 1],
    ) -> [Option<Vec<f32>>; 1] {
        let Recorded { inputs: [input], images, .. } = recorded;
        let mut found = vec![0.0; input.len()];
        fill_images(images, &mut found, |range, found| {
            let gradient = &gradient[of_images(&gradient, images, &range)];
            max_pool2d_gradient(&self.shape, &input[of_images(input, images, &range)], gradient, found);
        });
        [Some(found)]
    }
}

impl Operation<1> for AvgPool {
    type Saved = ();

    fn forward(&self, [input]: [&[f32]; 1], images: usize) -> (Vec<f32>, ()) {
        let mut output = vec![0.0; output_len(&self.shape, input.len())];
        fill_images(images, &mut output, |range, output| {
            avg_pool2d(&self.shape, self.count_padding, &input[of_images(input, images, &range)], output);
        });
        (output, ())
    }

    fn backward(
        &self,
        recorded: Recorded<'_, 1, ()>,
        gradient: Vec<f32>,
        _: [bool; 1],
    ) -> [Option<Vec<f32>>; 1] {
        let Recorded { inputs: [input], images, .. } = recorded;
        let mut found = vec![0.0; input.len()];
        fill_images(images, &mut found, |range, found| {
            let gradient = &gradient[of_images(&gradient, images, &range)];
            avg_pool2d_gradient(&self.shape, self.count_padding, gradient, found);
        });
        [Some(found)]
    }
}

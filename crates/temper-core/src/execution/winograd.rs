//! Convolutions by Winograd's algorithm.

use super::program::{Program, StepOp};
use super::weights::Weights;

impl Program {
    /// Computes convolutions of 3 × 3 by Winograd's algorithm from now on, where that is faster: see [`ConvShape::winograd_tile`]. They
    /// take about half the time. Their rounding errors are some times larger, so this is not for networks whose activations are
    /// stored in a format that would turn a few of these into other code words. Returns how many there are.
    ///
    /// [`ConvShape::winograd_tile`]: temper_kernels::ConvShape::winograd_tile
    pub fn use_winograd(&mut self, weights: &mut Weights) -> usize {
        let mut count = 0;
        for (step, own) in self.steps.iter_mut().zip(&mut weights.steps) {
            let StepOp::Conv { shape, tile, .. } = &mut step.op else { continue };
            let Some(size) = shape.winograd_tile() else { continue };
            if let Some(product) = own.product.take() {
                *tile = size;
                own.product = Some(product.with_winograd());
                count += 1;
            }
        }
        count
    }
}

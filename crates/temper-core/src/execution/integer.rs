//! Layers computed exactly in integers.

use temper_kernels::{CodeGrid, IntegerIsa, IntegerScratch, IntegerWeights, integer_product};

use super::program::{Program, StepOp};
use super::taps::Tap;
use super::weights::{StepWeights, Weights};
use crate::network::{Network, NodeId};
use crate::number::Grid;

/// A convolution or linear layer whose weights and inputs lie on grids of 8-bit codes, so that its sums are whole numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct IntegerLayer {
    /// The layer.
    pub node: NodeId,
    /// The grid of the weights over signed codes, −128..=127: one for each output channel, or one for all.
    pub weights: Vec<Grid>,
    /// The grid of the inputs over signed codes.
    pub input: Grid,
}

/// The weights of such a layer, and how its sums become values.
#[derive(Debug, Clone)]
pub(super) struct IntegerProduct {
    weights: IntegerWeights,
    /// Of each output channel.
    grids: Vec<Grid>,
    input: CodeGrid,
    /// Scale of the weights times that of the inputs, for each output channel.
    scales: Vec<f32>,
    /// Weights of one output channel.
    taps: usize,
}

/// Signed codes plus this are the kernels' unsigned ones.
const SIGNED_TO_UNSIGNED: i32 = 128;

impl IntegerProduct {
    fn new(layer: &IntegerLayer, op: &StepOp, values: &[f32], out_channels: usize) -> Self {
        let taps = values.len() / out_channels;
        let grids: Vec<Grid> = layer.weights.iter().cycle().take(out_channels).copied().collect();
        let codes: Vec<i8> =
            values.iter().enumerate().map(|(index, &value)| code(grids[index / taps], value)).collect();
        let zero_points: Vec<i32> = grids.iter().map(|grid| grid.zero_point).collect();
        let isa = IntegerIsa::detect();
        let weights = match op {
            StepOp::Conv { shape, .. } => IntegerWeights::conv(isa, shape, &codes, &zero_points),
            _ => IntegerWeights::linear(isa, taps, &codes, &zero_points),
        };
        let input = CodeGrid {
            scale: layer.input.scale,
            zero: u8::try_from(layer.input.zero_point + SIGNED_TO_UNSIGNED).expect("a zero point is a code"),
        };
        let scales = grids.iter().map(|grid| grid.scale * input.scale).collect();
        Self { weights, grids, input, scales, taps }
    }

    /// The output channel that the weight at `index` belongs to.
    pub(super) fn channel_of(&self, index: usize) -> usize {
        index / self.taps
    }

    /// The value of the weight at `index`.
    pub(super) fn get(&self, index: usize) -> f32 {
        self.grids[index / self.taps].value(self.weights.get(index).into())
    }

    /// Replaces the weight at `index`.
    ///
    /// # Panics
    /// When no code stands for `value`.
    pub(super) fn set(&mut self, index: usize, value: f32) {
        self.weights.set(index, code(self.grids[index / self.taps], value));
    }

    /// Computes the layer's step on a batch; `read` gives its inputs.
    pub(super) fn run<'a>(
        &self,
        op: &StepOp,
        weights: &StepWeights,
        read: &dyn Fn(usize) -> &'a [f32],
        output: &mut [f32],
        scratch: &mut IntegerScratch,
    ) {
        let fused = op.fused().expect("only convolutions and linear layers have a product");
        let epilogue = weights.epilogue(fused, fused.residual.then(|| read(1)));
        integer_product(&self.weights, read(0), self.input, &self.scales, &epilogue, output, scratch);
    }
}

/// The signed code that stands for a value.
fn code(grid: Grid, value: f32) -> i8 {
    let steps = (value * (1.0 / grid.scale)).round_ties_even() as i64;
    let code = steps + i64::from(grid.zero_point);
    assert!(
        grid.value(code) == value,
        "{value} is no step of {grid:?}: the faults were checked against this"
    );
    i8::try_from(code).expect("codes of at most 8 bits")
}

impl Program {
    /// [`Program::compile`], with some layers computed in integers: `f32(Σ (w − z_w)(x − z_x)) · (s_w · s_x)`, the sum exact, then bias
    /// and all else as ever. Every value that such a layer reads, and every weight it is given, must lie on the layer's grids.
    ///
    /// # Panics
    /// As [`Program::compile`]; also when a layer is none, its weights do not lie on their grids, or its sums could exceed 32 bits.
    pub fn compile_integer(
        network: &Network,
        observed: &[NodeId],
        taps: &[Tap],
        layers: &[IntegerLayer],
    ) -> (Self, Weights) {
        let (program, mut weights) = Self::compile(network, observed, taps);
        for layer in layers {
            let path = format!("{}.weight", network.node(layer.node).name);
            let parameter = network.parameters().position(|(other, _)| other == path);
            let step = program.places[parameter.expect("a layer with weights")].step;
            let tensor = &network.tensors()[&path];
            let product =
                IntegerProduct::new(layer, &program.steps[step].op, tensor.data(), tensor.shape()[0]);
            weights.steps[step].product = None;
            weights.steps[step].integer = Some(product);
        }
        (program, weights)
    }
}

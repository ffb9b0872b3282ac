//! Running a program's steps on a batch of images.

use temper_kernels::{
    Epilogue, IntegerScratch, PackedWeights, Scratch, activate, affine, avg_pool2d, conv2d, linear,
    max_pool2d, softmax,
};

use super::movement::{self, Broadcast};
use super::program::{Fused, Program, StepOp};
use super::taps::{Touch, no_touch};
use super::weights::{StepWeights, Weights};
use super::within::Finish;
use crate::hardware::HardwareScratch;
use crate::network::NodeId;

/// The activations of one batch. Its memory is kept from one batch to the next.
#[derive(Debug, Clone)]
pub struct Workspace {
    images: usize,
    /// The numbers of the batch's images, by which noise is drawn.
    numbers: Vec<u64>,
    buffers: Vec<Vec<f32>>,
    /// For each value, its buffer.
    buffer_of: Vec<usize>,
    recording: bool,
    scratch: Scratch,
    integer_scratch: IntegerScratch,
    hardware_scratch: HardwareScratch,
}

impl Workspace {
    /// A workspace in which values share buffers: the least memory.
    pub fn new(program: &Program) -> Self {
        Self::with_buffers(program.values.iter().map(|value| value.buffer).collect(), false)
    }

    /// A workspace that keeps every value, for [`Program::run_faulty`] and [`Workspace::activation`].
    pub fn recording(program: &Program) -> Self {
        Self::with_buffers((0..program.values.len()).collect(), true)
    }

    fn with_buffers(buffer_of: Vec<usize>, recording: bool) -> Self {
        let count = buffer_of.iter().max().map_or(0, |last| last + 1);
        Self {
            images: 0,
            numbers: Vec::new(),
            buffers: vec![Vec::new(); count],
            buffer_of,
            recording,
            scratch: Scratch::default(),
            integer_scratch: IntegerScratch::default(),
            hardware_scratch: HardwareScratch::default(),
        }
    }

    /// The inputs of a batch of `images` images, to be filled before running. They are numbered from 0 on.
    ///
    /// **Shapes**: `[images, …input]`.
    pub fn input_mut(&mut self, program: &Program, images: usize) -> &mut [f32] {
        self.images = images;
        self.number(0..images);
        sized(&mut self.buffers[self.buffer_of[0]], images * program.input_len())
    }

    /// Gives the images of a batch other numbers, by which the noise of hardware is drawn.
    ///
    /// # Panics
    /// When they are not as many as the images.
    pub fn number(&mut self, images: impl IntoIterator<Item = usize>) {
        self.numbers.clear();
        self.numbers.extend(images.into_iter().map(|image| image as u64));
        assert_eq!(self.numbers.len(), self.images, "each image has a number");
    }

    /// Number of images in the batch.
    pub(super) fn images(&self) -> usize {
        self.images
    }

    /// A node's output in the last full run as its consumers saw it, `[images, …shape]`: the input as touched, a tapped output as
    /// touched. `None` if it was fused into another step (see
    /// [`Program::compile`]) or this workspace does not record.
    pub fn activation(&self, program: &Program, node: NodeId) -> Option<&[f32]> {
        let value = program.value_of(node).filter(|_| self.recording)?;
        Some(self.value(program, value))
    }

    /// The network's output in the last run, `[images, classes]`.
    pub fn output(&self, program: &Program) -> &[f32] {
        self.value(program, program.output)
    }

    pub(super) fn value(&self, program: &Program, value: usize) -> &[f32] {
        &self.buffers[self.buffer_of[value]][..self.images * program.values[value].len]
    }
}

/// The first `len` values of a buffer, grown where needed.
pub(super) fn sized(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
    &mut buffer[..len]
}

impl Program {
    /// Runs the whole network on the inputs in `workspace`.
    ///
    /// # Panics
    /// When this program has taps: they need [`run_with`](Self::run_with).
    pub fn run(&self, weights: &Weights, workspace: &mut Workspace) {
        self.assert_untapped();
        self.run_with(weights, workspace, &mut no_touch);
    }

    /// Runs the whole network on the inputs in `workspace`, touching at every tap: once each, in execution order; taps at one
    /// place in the order given when compiling, all on the same copy. The inputs themselves stay as they are; a recording keeps
    /// what the touch leaves.
    pub fn run_with(&self, weights: &Weights, workspace: &mut Workspace, touch: &mut Touch<'_>) {
        for step in 0..self.steps.len() {
            self.run_step(step, weights, workspace, true, touch);
        }
    }

    /// The same for a touch that does not strike: it is not called at taps [within](Self::compile_to_strike) steps, and these
    /// run as if they had none.
    pub fn run_unstruck(&self, weights: &Weights, workspace: &mut Workspace, touch: &mut Touch<'_>) {
        for step in 0..self.steps.len() {
            self.run_step(step, weights, workspace, false, touch);
        }
    }

    pub(super) fn assert_untapped(&self) {
        assert!(self.tap_count() == 0, "a program with taps must be told what to do at them");
    }

    fn run_step(
        &self,
        index: usize,
        weights: &Weights,
        workspace: &mut Workspace,
        strikes: bool,
        touch: &mut Touch<'_>,
    ) {
        let step = &self.steps[index];
        let images = workspace.images;
        let slot = workspace.buffer_of[step.output];
        let mut buffer = std::mem::take(&mut workspace.buffers[slot]);
        let mut scratch = std::mem::take(&mut workspace.scratch);
        let mut integer_scratch = std::mem::take(&mut workspace.integer_scratch);
        let mut hardware_scratch = std::mem::take(&mut workspace.hardware_scratch);
        let output = sized(&mut buffer, images * self.values[step.output].len);
        let read = |input: usize| workspace.value(self, step.inputs[input]);
        let weights = &weights.steps[index];
        let residual = step.op.fused().filter(|fused| fused.residual).map(|_| read(1));
        let strikes = strikes && !step.taps.is_empty();
        let finish = Finish::new(step, weights, residual, self.values[step.output].shape);
        let finish = finish.filter(|_| strikes || weights.on_chip.is_some());
        let bare = finish.as_ref().map(|_| step.op.bare());
        let op = bare.as_ref().unwrap_or(&step.op);
        match weights {
            StepWeights { on_chip: Some(layer), .. } => {
                layer.run(op, weights, &workspace.numbers, read(0), output, &mut hardware_scratch);
            }
            StepWeights { integer: Some(product), .. } => {
                product.run(op, weights, &read, output, &mut integer_scratch);
            }
            _ => compute(op, images, weights, &read, output, &mut scratch),
        }
        if let Some(finish) = finish {
            finish.batch(output, strikes.then_some(&mut *touch));
        }
        if let StepOp::Tap(taps) = &step.op {
            for &tap in taps {
                touch(tap, output);
            }
        }
        workspace.buffers[slot] = buffer;
        workspace.scratch = scratch;
        workspace.integer_scratch = integer_scratch;
        workspace.hardware_scratch = hardware_scratch;
    }
}

/// Computes one step.
pub(super) fn compute<'a>(
    op: &StepOp,
    images: usize,
    weights: &StepWeights,
    read: &dyn Fn(usize) -> &'a [f32],
    output: &mut [f32],
    scratch: &mut Scratch,
) {
    let per_image = |data: &'a [f32]| data.chunks_exact(data.len() / images);
    let out_len = output.len() / images;
    match op {
        StepOp::Conv { shape, fused, .. } => {
            let (product, epilogue) = product(weights, *fused, fused.residual.then(|| read(1)));
            conv2d(shape, images, read(0), product, &epilogue, output, scratch);
        }
        StepOp::Linear { fused, .. } => {
            let (product, epilogue) = product(weights, *fused, fused.residual.then(|| read(1)));
            linear(read(0), product, &epilogue, output, scratch);
        }
        StepOp::BatchNorm { plane } => {
            let norm = weights.batch_norm.as_ref().expect("packed with its step");
            output.copy_from_slice(read(0));
            affine(*plane, &norm.scale, &norm.shift, output);
        }
        StepOp::Activation(activation) => {
            output.copy_from_slice(read(0));
            activate(*activation, output);
        }
        StepOp::MaxPool(shape) => max_pool2d(shape, read(0), output),
        StepOp::AvgPool { shape, count_include_pad } => {
            avg_pool2d(shape, *count_include_pad, read(0), output);
        }
        StepOp::Add(plan) => combine(plan.as_ref(), images, [read(0), read(1)], output, |a, b| a + b),
        StepOp::Mul(plan) => combine(plan.as_ref(), images, [read(0), read(1)], output, |a, b| a * b),
        StepOp::Concat(blocks) => {
            let inputs: Vec<_> = blocks.iter().enumerate().map(|(i, &block)| (read(i), block)).collect();
            movement::concat(&inputs, output);
        }
        StepOp::Pad(pad) => {
            for (input, output) in per_image(read(0)).zip(output.chunks_exact_mut(out_len)) {
                pad.apply(input, output);
            }
        }
        StepOp::Transpose(transpose) => {
            for (input, output) in per_image(read(0)).zip(output.chunks_exact_mut(out_len)) {
                transpose.apply(input, output);
            }
        }
        StepOp::Softmax { extent, inner } => {
            output.copy_from_slice(read(0));
            softmax(*extent, *inner, output);
        }
        StepOp::Constant => {
            let constant = weights.constant.as_ref().expect("packed with its step");
            for output in output.chunks_exact_mut(constant.len()) {
                output.copy_from_slice(constant);
            }
        }
        StepOp::Tap(_) => output.copy_from_slice(read(0)),
    }
}

pub(super) fn product<'a>(
    weights: &'a StepWeights,
    fused: Fused,
    residual: Option<&'a [f32]>,
) -> (&'a PackedWeights, Epilogue<'a>) {
    (weights.product.as_ref().expect("packed with its step"), weights.epilogue(fused, residual))
}

fn combine(
    plan: Option<&Broadcast>,
    images: usize,
    [a, b]: [&[f32]; 2],
    output: &mut [f32],
    with: impl Fn(f32, f32) -> f32 + Copy,
) {
    let Some(plan) = plan else {
        for (out, (&a, &b)) in output.iter_mut().zip(a.iter().zip(b)) {
            *out = with(a, b);
        }
        return;
    };
    let (a_len, b_len, out_len) = (a.len() / images, b.len() / images, output.len() / images);
    let operands = a.chunks_exact(a_len).zip(b.chunks_exact(b_len));
    for ((a, b), output) in operands.zip(output.chunks_exact_mut(out_len)) {
        plan.apply(a, b, output, with);
    }
}

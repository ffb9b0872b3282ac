//! Part of a step's output.

use temper_kernels::{
    IntegerScratch, Region, Scratch, activate, affine, avg_pool2d_regions, conv2d_regions, linear_regions,
    max_pool2d_regions,
};

use super::extent::Extent;
use super::faulty::Held;
use super::program::{Program, Step, StepOp, Value};
use super::run::{Workspace, compute, product};
use super::weights::StepWeights;

/// What a faulty run needs of memory while it computes.
#[derive(Debug, Clone, Default)]
pub(super) struct Buffers {
    regions: Vec<Region>,
    scratch: Scratch,
    integer: IntegerScratch,
}

/// One step of a faulty run, and which part of its output each image needs.
pub(super) struct Partial<'a> {
    pub(super) program: &'a Program,
    pub(super) step: &'a Step,
    /// The step's, or its product alone.
    pub(super) op: &'a StepOp,
    pub(super) weights: &'a StepWeights,
    pub(super) golden: &'a Workspace,
    pub(super) values: &'a [Held],
    pub(super) todo: &'a [(usize, Extent)],
}

impl<'a> Partial<'a> {
    /// An input of the step, right for the images that are to be computed.
    fn read(&self, number: usize) -> &'a [f32] {
        let input = self.step.inputs[number];
        let held = &self.values[input];
        if self.todo.iter().all(|&(image, _)| held.differs[image].is_empty()) {
            self.golden.value(self.program, input)
        } else {
            &held.data[..self.golden.images() * self.program.values[input].len]
        }
    }

    /// What the step adds, if it does.
    pub(super) fn residual(&self) -> Option<&'a [f32]> {
        self.step.op.fused().filter(|fused| fused.residual).map(|_| self.read(1))
    }

    /// The parts to be computed, as the kernels want them.
    fn regions(&self) -> impl Iterator<Item = Region> {
        let parts = self.todo.iter().filter(|(_, extent)| !extent.is_empty());
        parts.map(|&(image, extent)| extent.of_image(image))
    }

    /// Computes the part, and nothing else of `output`, but for values that come out golden.
    ///
    /// **Shapes**: `output` `[images, …]`, of the whole batch.
    pub(super) fn compute(&self, output: &mut [f32], buffers: &mut Buffers) {
        let Self { step, op, weights, golden, .. } = *self;
        let to = self.program.values[step.output].shape;
        if weights.integer.is_some() {
            self.in_integers(output, buffers);
            return;
        }
        let aligned = step.inputs.iter().all(|&input| self.program.values[input].shape == to);
        let Buffers { regions, scratch, .. } = buffers;
        regions.clear();
        match op {
            StepOp::Conv { shape, fused, .. } => {
                regions.extend(self.regions());
                let residual = fused.residual.then(|| self.read(1));
                let (product, epilogue) = product(weights, *fused, residual);
                let input = self.read(0);
                conv2d_regions(shape, golden.images(), input, product, &epilogue, output, regions, scratch);
            }
            StepOp::Linear { fused, rows: 1 } => {
                regions.extend(self.regions());
                let residual = fused.residual.then(|| self.read(1));
                let (product, epilogue) = product(weights, *fused, residual);
                linear_regions(self.read(0), product, &epilogue, output, regions, scratch);
            }
            StepOp::MaxPool(pool) if to[1..] == pool.output => {
                regions.extend(self.regions());
                max_pool2d_regions(pool, to[0], self.read(0), output, regions);
            }
            StepOp::AvgPool { shape: pool, count_include_pad } if to[1..] == pool.output => {
                regions.extend(self.regions());
                avg_pool2d_regions(pool, *count_include_pad, to[0], self.read(0), output, regions);
            }
            op if aligned && is_elementwise(op) => self.elementwise(output),
            StepOp::Pad(pad) if let Some(corner) = pad.corner(to) => self.moved(corner, output),
            _ => self.images(output, scratch),
        }
    }

    fn in_integers(&self, output: &mut [f32], buffers: &mut Buffers) {
        let Self { step, op, weights, golden, todo, .. } = *self;
        let Some(product) = &weights.integer else { return };
        let inputs: Vec<&[f32]> = (0..step.inputs.len()).map(|number| self.read(number)).collect();
        if todo.len() == golden.images() {
            product.run(op, weights, &|number| inputs[number], output, &mut buffers.integer);
            return;
        }
        let len = output.len() / golden.images();
        for &(image, _) in todo {
            let own = |number: usize| of_image(inputs[number], image, golden.images());
            product.run(op, weights, &own, &mut output[image * len..][..len], &mut buffers.integer);
        }
    }

    /// Operators of single values, run by run.
    fn elementwise(&self, output: &mut [f32]) {
        let Self { step, weights, .. } = *self;
        let shape = self.program.values[step.output].shape;
        let inputs: Vec<&[f32]> = (0..step.inputs.len()).map(|number| self.read(number)).collect();
        let len: usize = shape.iter().product();
        let mut run = |start: usize, count: usize| {
            let out = &mut output[start..][..count];
            let a = &inputs[0][start..][..count];
            match &step.op {
                StepOp::BatchNorm { plane } => {
                    let norm = weights.batch_norm.as_ref().expect("packed with its step");
                    let channel = start / plane % norm.scale.len();
                    out.copy_from_slice(a);
                    affine(count, &norm.scale[channel..=channel], &norm.shift[channel..=channel], out);
                }
                StepOp::Add(_) | StepOp::Mul(_) => {
                    let is_sum = matches!(step.op, StepOp::Add(_));
                    for (out, (a, b)) in out.iter_mut().zip(a.iter().zip(&inputs[1][start..])) {
                        *out = if is_sum { a + b } else { a * b };
                    }
                }
                op => {
                    out.copy_from_slice(a);
                    if let StepOp::Activation(activation) = op {
                        activate(*activation, out);
                    }
                }
            }
        };
        for &(image, extent) in self.todo {
            extent.for_each_run(shape, |offset, count| run(image * len + offset, count));
        }
    }

    /// Values of the input, so many channels, rows and columns further on.
    fn moved(&self, by: [usize; 3], output: &mut [f32]) {
        let [from, to] = [self.step.inputs[0], self.step.output].map(|value| &self.program.values[value]);
        let input = self.read(0);
        let place = |value: &Value, image: usize, [channel, row, column]: [usize; 3]| {
            image * value.len + (channel * value.shape[1] + row) * value.shape[2] + column
        };
        for &(image, extent) in self.todo {
            let columns = extent.axis(2);
            for (channel, row) in extent.axis(0).flat_map(|c| extent.axis(1).map(move |row| (c, row))) {
                let at = [channel, row, columns.start];
                let start = place(from, image, std::array::from_fn(|axis| at[axis] - by[axis]));
                output[place(to, image, at)..][..columns.len()]
                    .copy_from_slice(&input[start..][..columns.len()]);
            }
        }
    }

    /// Whole images, one after another.
    fn images(&self, output: &mut [f32], scratch: &mut Scratch) {
        let inputs: Vec<&[f32]> = (0..self.step.inputs.len()).map(|number| self.read(number)).collect();
        let images = self.golden.images();
        let len = output.len() / images;
        for &(image, _) in self.todo {
            let own = |number: usize| of_image(inputs[number], image, images);
            compute(self.op, 1, self.weights, &own, &mut output[image * len..][..len], scratch);
        }
    }
}

fn is_elementwise(op: &StepOp) -> bool {
    matches!(
        op,
        StepOp::BatchNorm { .. }
            | StepOp::Activation(_)
            | StepOp::Add(None)
            | StepOp::Mul(None)
            | StepOp::Tap(_)
    )
}

/// The part of a batch's values that belongs to one image.
fn of_image(values: &[f32], image: usize, images: usize) -> &[f32] {
    let len = values.len() / images;
    &values[image * len..][..len]
}

//! A faulty run beside a golden one: only what a fault changes is computed.
//!
//! For every image, each value that faults reach is known to differ from the golden one inside a box ([`Extent`]) only. A step
//! computes the outputs that the boxes of its inputs can change, with the same kernels and so with the same bits as a full run; then
//! the box is drawn closer around what really differs, bit for bit. Where nothing differs (a ReLU, a rounding or a pooling has masked
//! it) the image is done with that value, and where no value differs any more, with the run.

use temper_kernels::{
    IntegerScratch, Region, Scratch, affine, avg_pool2d, conv2d_regions, linear_regions, max_pool2d,
};

use super::extent::Extent;
use super::masking::{Masking, MaskingBatch};
use super::program::{Program, Step, StepId, StepOp};
use super::run::{Workspace, compute, product, sized};
use super::taps::TapId;
use super::weights::{StepWeights, Weights};

/// Where a trial's faults enter the network.
#[derive(Debug, Clone, Default)]
pub struct Origins {
    /// By step, in their order.
    steps: Vec<(StepId, Origin)>,
    /// For each image of the batch, the steps of the taps at which it is struck, ascending; `None` if all are struck alike.
    of_image: Option<Vec<Vec<StepId>>>,
}

/// What of a step's output faults may change at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// Output channels, the last excluded: their parameters are struck.
    Channels(usize, usize),
    /// All of it.
    All,
    /// What the touch says: activations are struck.
    Tap,
}

impl Origins {
    /// Adds a struck value of a parameter: it changes one channel of its step's output.
    pub fn add_parameter(
        &mut self,
        program: &Program,
        weights: &Weights,
        parameter: super::ParameterId,
        index: usize,
    ) {
        let origin = match weights.channel_of(parameter, index) {
            Some(channel) => Origin::Channels(channel, channel + 1),
            None => Origin::All,
        };
        self.add(program.step_of(parameter), origin);
    }

    /// Adds a tap whose touch strikes.
    pub fn add_tap(&mut self, program: &Program, tap: TapId) {
        self.add(program.step_of_tap(tap), Origin::Tap);
    }

    /// Says for each image of the batch at which taps it is struck, where images are struck differently.
    pub fn set_image_taps(&mut self, program: &Program, taps: impl Iterator<Item = Vec<TapId>>) {
        let steps = taps.map(|taps| {
            let mut steps: Vec<StepId> = taps.into_iter().map(|tap| program.step_of_tap(tap)).collect();
            steps.sort_unstable();
            steps
        });
        self.of_image = Some(steps.collect());
    }

    fn add(&mut self, step: StepId, origin: Origin) {
        match self.steps.binary_search_by_key(&step, |(step, _)| *step) {
            Err(place) => self.steps.insert(place, (step, origin)),
            Ok(place) => {
                let known = &mut self.steps[place].1;
                *known = match (*known, origin) {
                    (Origin::Channels(low, high), Origin::Channels(first, end)) => {
                        Origin::Channels(low.min(first), high.max(end))
                    }
                    (known, origin) if known == origin => known,
                    _ => Origin::All,
                };
            }
        }
    }

    /// The first step that faults change; `None` if they change nothing.
    pub fn first(&self) -> Option<StepId> {
        self.steps.first().map(|(step, _)| *step)
    }

    /// The last step at which faults enter an image.
    fn last(&self, image: usize) -> Option<StepId> {
        let Some(of_image) = &self.of_image else { return self.steps.last().map(|(step, _)| *step) };
        let parameters = self.steps.iter().rev().find(|(_, origin)| *origin != Origin::Tap);
        parameters.map(|(step, _)| *step).max(of_image[image].last().copied())
    }

    /// Whether an image is struck at the tap of a step.
    fn strikes(&self, image: usize, step: usize) -> bool {
        self.of_image.as_ref().is_none_or(|of_image| of_image[image].binary_search(&StepId(step)).is_ok())
    }

    fn at(&self, step: usize) -> Option<Origin> {
        let place = self.steps.binary_search_by_key(&StepId(step), |(step, _)| *step).ok()?;
        Some(self.steps[place].1)
    }
}

/// What proofs of masking need: of the network, and of the images.
pub type Proofs<'a> = (&'a Masking, &'a MaskingBatch);

/// What a faulty run runs beside.
#[derive(Clone, Copy)]
pub struct Beside<'a> {
    /// The recorded golden run.
    pub golden: &'a Workspace,
    /// For images to leave as soon as their top class provably stays.
    pub proofs: Option<Proofs<'a>>,
}

/// What is done at a tap of a faulty run: gets the tap, the image (its place in the batch), which part of its values may
/// differ from the golden ones, and the values, all of one image; stores that part, strikes, and returns which part may differ now.
/// Outside of the given part the values are the golden ones as stored.
pub type TouchImage<'a> = dyn FnMut(TapId, usize, Extent, &mut [f32]) -> Extent + 'a;

/// The activations of a faulty run, as far as they differ from a golden one. Its memory is kept from run to run.
#[derive(Debug, Clone, Default)]
pub struct Faulty {
    values: Vec<Held>,
    /// The images still to be run, by place in the batch.
    live: Vec<usize>,
    /// For each image, how many values differ that are still to be read.
    open: Vec<u32>,
    /// For each image, the last step at which faults enter it.
    last: Vec<StepId>,
    /// For each image, whether it left because its top class provably stays.
    proven: Vec<bool>,
    todo: Vec<(usize, Extent)>,
    regions: Vec<Region>,
    scratch: Scratch,
    integer_scratch: IntegerScratch,
}

/// One value of a faulty run.
#[derive(Debug, Clone, Default)]
struct Held {
    data: Vec<f32>,
    /// For each image, outside of which box `data` holds the golden values.
    written: Vec<Extent>,
    /// For each image, outside of which box this run's values are the golden ones.
    differs: Vec<Extent>,
}

impl Faulty {
    /// Makes ready for runs beside another golden run.
    pub fn follow(&mut self, program: &Program, golden: &Workspace) {
        let images = golden.images();
        self.values.resize_with(program.values.len(), Held::default);
        self.open.clear();
        self.open.resize(images, 0);
        self.last.resize(images, StepId(0));
        self.proven.clear();
        self.proven.resize(images, false);
        for (held, value) in self.values.iter_mut().zip(&program.values) {
            held.written.clear();
            held.written.resize(images, Extent::full(value.shape));
            held.differs.clear();
            held.differs.resize(images, Extent::EMPTY);
        }
    }

    /// The output of one image in the last run, if it is not the golden one.
    pub fn output(&self, program: &Program, image: usize) -> Option<&[f32]> {
        let (held, len) = (&self.values[program.output], program.output_len());
        (!held.differs[image].is_empty()).then(|| &held.data[image * len..][..len])
    }

    /// Whether the last run left one image before its end, because its top class is provably the golden one.
    pub fn is_proven(&self, image: usize) -> bool {
        self.proven[image]
    }

    /// Drops the images for which nothing differs any more, nor will from this step on.
    fn leave(&mut self, step: usize) {
        let Self { open, last, live, .. } = self;
        live.retain(|&image| open[image] > 0 || step <= last[image].0);
    }
}

impl Held {
    /// Makes all of an image's values golden, but for those in `keep`, which are about to be written.
    fn restore(&mut self, image: usize, shape: [usize; 3], golden: &[f32], keep: Extent) {
        let written = std::mem::replace(&mut self.written[image], keep);
        if keep.contains(written) {
            return;
        }
        let start = image * golden.len();
        let data = &mut self.data[start..][..golden.len()];
        written.for_each_run(shape, |offset, len| {
            data[offset..][..len].copy_from_slice(&golden[offset..][..len]);
        });
    }
}

impl Program {
    /// Runs some images of the golden run's batch again, with faults that enter at `origins`: in the parameters, which differ from
    /// the golden run's there and nowhere else, and by the touch at taps. Gives for every output what a full run gives, bit for
    /// bit: see [`Faulty::output`]. With `proofs`, images leave as soon as their top class provably stays: see
    /// [`Faulty::is_proven`].
    ///
    /// # Panics
    /// When `golden` does not record, or `faulty` does not [follow](Faulty::follow) it.
    pub fn run_faulty(
        &self,
        weights: &Weights,
        origins: &Origins,
        images: &[usize],
        beside: Beside<'_>,
        faulty: &mut Faulty,
        touch: &mut TouchImage<'_>,
    ) {
        let Beside { golden, proofs } = beside;
        for held in &mut faulty.values {
            held.differs.fill(Extent::EMPTY);
        }
        let Some(first) = origins.first() else { return };
        faulty.live.clear();
        for &image in images {
            let Some(last) = origins.last(image) else { continue };
            faulty.live.push(image);
            faulty.last[image] = last;
        }
        faulty.open.fill(0);
        faulty.proven.fill(false);
        for step in first.0..self.steps.len() {
            faulty.leave(step);
            if faulty.live.is_empty() {
                return;
            }
            self.plan(step, origins, faulty);
            if !faulty.todo.is_empty() {
                self.run_part(step, &weights.steps[step], golden, faulty, touch);
            }
            self.close(step, faulty);
            if let Some(proofs) = proofs {
                self.prove(step, proofs, golden, faulty);
            }
        }
    }

    /// Finds which part of a step's output each image needs.
    fn plan(&self, index: usize, origins: &Origins, faulty: &mut Faulty) {
        let step = &self.steps[index];
        let shape = self.values[step.output].shape;
        let (origin, touched) = match origins.at(index) {
            // A linear layer over several rows has its features elsewhere.
            Some(Origin::Channels(..))
                if matches!(step.op, StepOp::Linear { .. }) && shape[1..] != [1, 1] =>
            {
                (Extent::full(shape), false)
            }
            Some(Origin::Channels(low, high)) => (Extent::new([low..high, 0..shape[1], 0..shape[2]]), false),
            Some(Origin::All) => (Extent::full(shape), false),
            Some(Origin::Tap) => (Extent::EMPTY, true),
            None => (Extent::EMPTY, false),
        };
        faulty.todo.clear();
        for &image in &faulty.live {
            let mut extent = origin;
            for (number, &input) in step.inputs.iter().enumerate() {
                let changed = faulty.values[input].differs[image];
                if !changed.is_empty() {
                    extent = extent.union(step.reach(number, changed, self.values[input].shape, shape));
                }
            }
            if (touched && origins.strikes(image, index)) || !extent.is_empty() {
                faulty.todo.push((image, extent));
            }
        }
    }

    /// Computes the planned part of a step's output, and finds what of it differs.
    fn run_part(
        &self,
        index: usize,
        weights: &StepWeights,
        golden: &Workspace,
        faulty: &mut Faulty,
        touch: &mut TouchImage<'_>,
    ) {
        let step = &self.steps[index];
        let (output, shape) = (step.output, self.values[step.output].shape);
        let len = self.values[output].len;
        for &input in &step.inputs {
            self.make_readable(input, golden, faulty);
        }
        let mut held = std::mem::take(&mut faulty.values[output]);
        sized(&mut held.data, golden.images() * len);
        let expected = golden.value(self, output);
        for &(image, extent) in &faulty.todo {
            held.restore(image, shape, &expected[image * len..][..len], extent);
        }
        self.compute_part(step, weights, golden, faulty, &mut held.data);
        for &(image, extent) in &faulty.todo {
            let values = &mut held.data[image * len..][..len];
            let mut extent = extent;
            if let StepOp::Tap(taps) = &step.op {
                for &tap in taps {
                    extent = touch(tap, image, extent, values);
                }
                held.written[image] = extent;
            }
            held.differs[image] = extent.tightened(shape, &expected[image * len..][..len], values);
            faulty.open[image] += u32::from(!held.differs[image].is_empty());
        }
        faulty.values[output] = held;
    }

    /// Makes the values that the planned images read from `input` whole, where any of them differs.
    fn make_readable(&self, input: usize, golden: &Workspace, faulty: &mut Faulty) {
        let Faulty { values, todo, .. } = faulty;
        let (held, value) = (&mut values[input], &self.values[input]);
        if todo.iter().all(|&(image, _)| held.differs[image].is_empty()) {
            return;
        }
        for &(image, _) in todo.iter() {
            if held.differs[image].is_empty() {
                let golden = &golden.value(self, input)[image * value.len..][..value.len];
                held.restore(image, value.shape, golden, Extent::EMPTY);
            }
        }
    }

    /// Computes the planned part of a step's output.
    fn compute_part(
        &self,
        step: &Step,
        weights: &StepWeights,
        golden: &Workspace,
        faulty: &mut Faulty,
        output: &mut [f32],
    ) {
        let Faulty { values, todo, regions, scratch, integer_scratch, .. } = faulty;
        let (values, todo) = (&*values, &*todo);
        let read = |number: usize| {
            let input = step.inputs[number];
            let golden_everywhere = todo.iter().all(|&(image, _)| values[input].differs[image].is_empty());
            if golden_everywhere {
                golden.value(self, input)
            } else {
                &values[input].data[..golden.images() * self.values[input].len]
            }
        };
        let (shape, len) = (self.values[step.output].shape, self.values[step.output].len);
        let aligned = step.inputs.iter().all(|&input| self.values[input].shape == shape);
        let output = &mut output[..golden.images() * len];
        let mut list = || {
            regions.clear();
            regions.extend(todo.iter().map(|&(image, extent)| extent.of_image(image)));
        };
        // Element by element, `with` being told where a run starts and how long it is.
        let elementwise = |output: &mut [f32], with: &dyn Fn(usize, usize, &mut [f32])| {
            for &(image, extent) in todo {
                extent.for_each_run(shape, |offset, count| {
                    let start = image * len + offset;
                    with(start, count, &mut output[start..][..count]);
                });
            }
        };
        if let Some(product) = &weights.integer {
            let inputs: Vec<&[f32]> = (0..step.inputs.len()).map(read).collect();
            if todo.len() == golden.images() {
                product.run(&step.op, weights, &|number| inputs[number], output, integer_scratch);
                return;
            }
            for &(image, _) in todo {
                let own = |number: usize| of_image(inputs[number], image, golden.images());
                let output = &mut output[image * len..][..len];
                product.run(&step.op, weights, &own, output, integer_scratch);
            }
            return;
        }
        match &step.op {
            StepOp::Conv { shape, residual, activation } => {
                list();
                let (product, epilogue) = product(weights, residual.then(|| read(1)), *activation);
                conv2d_regions(shape, golden.images(), read(0), product, &epilogue, output, regions, scratch);
            }
            StepOp::Linear { residual, activation } if shape[1..] == [1, 1] => {
                list();
                let (product, epilogue) = product(weights, residual.then(|| read(1)), *activation);
                linear_regions(read(0), product, &epilogue, output, regions, scratch);
            }
            StepOp::BatchNorm { plane } if aligned => {
                let norm = weights.batch_norm.as_ref().expect("packed with its step");
                let input = read(0);
                elementwise(output, &|start, count, out| {
                    let channel = start / plane % norm.scale.len();
                    let (scale, shift) = (&norm.scale[channel..=channel], &norm.shift[channel..=channel]);
                    affine(count, scale, shift, &input[start..][..count], out);
                });
            }
            StepOp::Activation(activation) if aligned => {
                let input = read(0);
                elementwise(output, &|start, count, out| {
                    out.copy_from_slice(&input[start..][..count]);
                    temper_kernels::activate(*activation, out);
                });
            }
            StepOp::Add(None) | StepOp::Mul(None) if aligned => {
                let (a, b) = (read(0), read(1));
                let is_sum = matches!(step.op, StepOp::Add(_));
                elementwise(output, &|start, count, out| {
                    let operands = a[start..][..count].iter().zip(&b[start..][..count]);
                    for (out, (a, b)) in out.iter_mut().zip(operands) {
                        *out = if is_sum { a + b } else { a * b };
                    }
                });
            }
            StepOp::Tap(_) if aligned => {
                let input = read(0);
                elementwise(output, &|start, count, out| out.copy_from_slice(&input[start..][..count]));
            }
            StepOp::MaxPool(pool) => {
                planes(todo, pool.input, pool.output, read(0), output, len, &|input, out| {
                    max_pool2d(pool, input, out);
                });
            }
            StepOp::AvgPool { shape: pool, count_include_pad } => {
                planes(todo, pool.input, pool.output, read(0), output, len, &|input, out| {
                    avg_pool2d(pool, *count_include_pad, input, out);
                });
            }
            _ => {
                let inputs: Vec<&[f32]> = (0..step.inputs.len()).map(read).collect();
                for &(image, _) in todo {
                    let own = |number: usize| of_image(inputs[number], image, golden.images());
                    compute(step, 1, weights, &own, &mut output[image * len..][..len], scratch);
                }
            }
        }
    }

    /// Lets the images go whose only difference, in the output of this step, provably leaves their top class as it is.
    fn prove(&self, index: usize, (masking, batch): Proofs<'_>, golden: &Workspace, faulty: &mut Faulty) {
        let output = self.steps[index].output;
        let len = self.values[output].len;
        let held = &faulty.values[output];
        for &(image, _) in &faulty.todo {
            let differs = held.differs[image];
            let is_early = index < faulty.last[image].0;
            if is_early || faulty.open[image] != 1 || differs.is_empty() || output == self.output {
                continue;
            }
            let values = [golden.value(self, output), &held.data].map(|data| &data[image * len..][..len]);
            if batch.masks_difference(masking, self, index, image, differs, values) {
                faulty.proven[image] = true;
                faulty.open[image] = 0;
            }
        }
    }

    /// Counts the differing values off that no later step reads.
    fn close(&self, index: usize, faulty: &mut Faulty) {
        let step = &self.steps[index];
        for (number, &input) in step.inputs.iter().enumerate() {
            if self.values[input].last_read != index || step.inputs[..number].contains(&input) {
                continue;
            }
            for &image in &faulty.live {
                faulty.open[image] -= u32::from(!faulty.values[input].differs[image].is_empty());
            }
        }
    }
}

/// The part of a batch's values that belongs to one image.
fn of_image(values: &[f32], image: usize, images: usize) -> &[f32] {
    let len = values.len() / images;
    &values[image * len..][..len]
}

/// Pools whole planes of the channels that each image needs.
fn planes(
    todo: &[(usize, Extent)],
    from: [usize; 2],
    to: [usize; 2],
    input: &[f32],
    output: &mut [f32],
    len: usize,
    pool: &dyn Fn(&[f32], &mut [f32]),
) {
    let (from, to) = (from[0] * from[1], to[0] * to[1]);
    let channels = len / to;
    for &(image, extent) in todo {
        let range = extent.axis(0);
        let first = image * channels + range.start;
        pool(&input[first * from..][..range.len() * from], &mut output[first * to..][..range.len() * to]);
    }
}

//! A faulty run beside a golden one: only what a fault changes is computed.
//!
//! For every image, each value that faults reach is known to differ from the golden one inside a box ([`Extent`]) only. A step
//! computes the outputs that the boxes of its inputs can change, with the same kernels and so with the same bits as a full run; then
//! the box is drawn closer around what really differs, bit for bit. Where nothing differs (a ReLU, a rounding or a pooling has masked
//! it) the image is done with that value, and where no value differs any more, with the run.

use super::extent::Extent;
use super::masking::{Masking, MaskingBatch};
use super::origins::{Origin, Origins};
use super::partial::{Buffers, Partial};
use super::program::{Program, StepId, StepOp};
use super::run::{Workspace, sized};
use super::taps::TapId;
use super::weights::{StepWeights, Weights};

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
/// Outside of the given part the values are the golden ones as stored; at taps [within](Program::compile_to_strike) a step, where nothing is to be
/// stored and no part given, only those are right that [`Origins`] say are struck.
pub type TouchImage<'a> = dyn FnMut(TapId, usize, Extent, &mut [f32]) -> Extent + 'a;

/// The activations of a faulty run, as far as they differ from a golden one. Its memory is kept from run to run.
#[derive(Debug, Clone, Default)]
pub struct Faulty {
    pub(super) values: Vec<Held>,
    /// The images still to be run, by place in the batch.
    live: Vec<usize>,
    /// For each image, how many values differ that are still to be read.
    open: Vec<u32>,
    /// For each image, the last step at which faults enter it.
    last: Vec<StepId>,
    /// For each image, whether it left because its top class provably stays.
    proven: Vec<bool>,
    /// Which part of the next step's output each image needs.
    pub(super) todo: Vec<(usize, Extent)>,
    /// The same for what is struck within that step, by place in `todo`.
    pub(super) struck: Vec<(usize, Extent)>,
    /// What is struck within a step, before the rest of it.
    pub(super) within: Vec<f32>,
    pub(super) buffers: Buffers,
}

/// One value of a faulty run.
#[derive(Debug, Clone, Default)]
pub(super) struct Held {
    pub(super) data: Vec<f32>,
    /// For each image, outside of which box `data` holds the golden values.
    pub(super) written: Vec<Extent>,
    /// For each image, outside of which box this run's values are the golden ones.
    pub(super) differs: Vec<Extent>,
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
        faulty.open.fill(0);
        faulty.proven.fill(false);
        faulty.live.clear();
        let Some(first) = origins.first() else { return };
        for &image in images {
            let Some(last) = origins.last(image) else { continue };
            faulty.live.push(image);
            faulty.last[image] = last;
        }
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
        let origin = match origins.at(index) {
            Some(Origin::Channels(..)) if !step.has_channels_of(shape) => Extent::full(shape),
            Some(Origin::Channels(low, high)) => Extent::new([low..high, 0..shape[1], 0..shape[2]]),
            Some(Origin::All) => Extent::full(shape),
            None => Extent::EMPTY,
        };
        faulty.todo.clear();
        faulty.struck.clear();
        for &image in &faulty.live {
            let mut extent = origin;
            for (number, &input) in step.inputs.iter().enumerate() {
                let changed = faulty.values[input].differs[image];
                if !changed.is_empty() {
                    extent = extent.union(step.reach(number, changed, self.values[input].shape, shape));
                }
            }
            let struck = origins.struck(image, index);
            if struck.is_some() || !extent.is_empty() {
                faulty.todo.push((image, extent));
            }
            if let Some(struck) = struck.filter(|_| !step.taps.is_empty()) {
                faulty.struck.push((faulty.todo.len() - 1, struck));
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
        let Faulty { values, todo, buffers, .. } = faulty;
        let partial = Partial { program: self, step, op: &step.op, weights, golden, values, todo };
        partial.compute(&mut held.data[..golden.images() * len], buffers);
        self.strike_within(index, weights, golden, faulty, &mut held, touch);
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

    /// Lets the images go whose differences, in what later steps read, provably leave their top class as it is.
    fn prove(&self, index: usize, (masking, batch): Proofs<'_>, golden: &Workspace, faulty: &mut Faulty) {
        let Faulty { values, todo, open, last, proven, .. } = faulty;
        for &(image, _) in todo.iter() {
            let is_early = index < last[image].0;
            if is_early || open[image] == 0 || self.steps[index].output == self.output {
                continue;
            }
            let differs = |value: usize| {
                let (held, len) = (&values[value], self.values[value].len);
                let extent = held.differs[image];
                // What does not differ may have no memory.
                let part = if extent.is_empty() { 0..0 } else { image * len..(image + 1) * len };
                (extent, [&golden.value(self, value)[part.clone()], &held.data[part]])
            };
            if batch.masks_differences(masking, self, index, image, open[image], differs) {
                proven[image] = true;
                open[image] = 0;
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

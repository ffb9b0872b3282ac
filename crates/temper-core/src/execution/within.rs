//! Products computed bare and then finished, with the bits that fused steps have: where activations are struck inside of a step, and for
//! chips, which compute products alone.

use temper_kernels::{activate, affine};

use super::extent::Extent;
use super::faulty::{Faulty, Held, TouchImage};
use super::partial::Partial;
use super::program::{Fused, Program, Stage, Step};
use super::run::{Workspace, sized};
use super::taps::{TapId, Touch};
use super::weights::{BatchNorm, StepWeights};

/// What is fused into a step, to be done one after another.
pub(super) struct Finish<'a> {
    taps: &'a [(Stage, TapId)],
    fused: Fused,
    norm: Option<&'a BatchNorm>,
    /// **Shapes**: `[images, …shape]`.
    residual: Option<&'a [f32]>,
    /// Of one image.
    shape: [usize; 3],
}

const STAGES: [Stage; 4] = [Stage::Product, Stage::BatchNorm, Stage::Residual, Stage::Activation];

impl<'a> Finish<'a> {
    /// `None` if the step is no product. `residual`: the step's second input, if it is added.
    pub(super) fn new(
        step: &'a Step,
        weights: &'a StepWeights,
        residual: Option<&'a [f32]>,
        shape: [usize; 3],
    ) -> Option<Self> {
        let fused = step.op.fused()?;
        Some(Self { taps: &step.taps, fused, norm: weights.fused_norm(fused), residual, shape })
    }

    /// Finishes the products of a whole batch; `touch`: for strikes, if there may be any.
    ///
    /// **Shapes**: `values` `[images, …shape]`.
    pub(super) fn batch(&self, values: &mut [f32], mut touch: Option<&mut Touch<'_>>) {
        let images = values.len() / self.shape.iter().product::<usize>();
        for stage in STAGES {
            (0..images).for_each(|image| self.apply(stage, image, Extent::full(self.shape), values));
            if let Some(touch) = &mut touch {
                self.taps_at(stage).for_each(|tap| touch(tap, values));
            }
        }
    }

    /// Finishes a part of an image's products.
    fn part(&self, image: usize, part: Extent, values: &mut [f32], touch: &mut TouchImage<'_>) {
        let len: usize = self.shape.iter().product();
        for stage in STAGES {
            self.apply(stage, image, part, values);
            for tap in self.taps_at(stage) {
                let struck = touch(tap, image, Extent::EMPTY, &mut values[image * len..][..len]);
                debug_assert!(part.contains(struck), "struck where nobody said");
            }
        }
    }

    fn taps_at(&self, stage: Stage) -> impl Iterator<Item = TapId> {
        self.taps.iter().filter(move |(at, _)| *at == stage).map(|(_, tap)| *tap)
    }

    fn apply(&self, stage: Stage, image: usize, part: Extent, values: &mut [f32]) {
        let [_, height, width] = self.shape;
        let first = image * self.shape.iter().product::<usize>();
        part.for_each_run(self.shape, |start, len| {
            let run = first + start..first + start + len;
            match (stage, self.norm, self.residual) {
                (Stage::BatchNorm, Some(norm), _) => {
                    let channel = start / (height * width);
                    let own = channel..=channel;
                    affine(len, &norm.scale[own.clone()], &norm.shift[own], &mut values[run]);
                }
                (Stage::Residual, _, Some(residual)) => {
                    values[run.clone()]
                        .iter_mut()
                        .zip(&residual[run])
                        .for_each(|(value, more)| *value += more);
                }
                (Stage::Activation, ..) => activate(self.fused.activation, &mut values[run]),
                _ => {}
            }
        });
    }
}

impl Program {
    /// Strikes images within a step whose output is computed, and writes what becomes of the struck values.
    pub(super) fn strike_within(
        &self,
        index: usize,
        weights: &StepWeights,
        golden: &Workspace,
        faulty: &mut Faulty,
        held: &mut Held,
        touch: &mut TouchImage<'_>,
    ) {
        if faulty.struck.is_empty() {
            return;
        }
        let step = &self.steps[index];
        let value = &self.values[step.output];
        let Faulty { values, struck, within, buffers, todo, .. } = faulty;
        let bare = step.op.bare();
        let parts: Vec<(usize, Extent)> = struck.iter().map(|&(place, part)| (todo[place].0, part)).collect();
        let partial = Partial { program: self, step, op: &bare, weights, golden, values, todo: &parts };
        let within = sized(within, golden.images() * value.len);
        partial.compute(within, buffers);
        let residual = partial.residual();
        let finish = Finish::new(step, weights, residual, value.shape).expect("taps lie within products");
        for &(place, part) in struck.iter() {
            let (image, extent) = &mut todo[place];
            let image = *image;
            finish.part(image, part, within, touch);
            part.for_each_run(value.shape, |start, len| {
                let run = image * value.len + start..image * value.len + start + len;
                held.data[run.clone()].copy_from_slice(&within[run]);
            });
            *extent = extent.union(part);
            held.written[image] = *extent;
        }
    }
}

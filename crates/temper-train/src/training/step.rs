//! One step: forwards, backwards, and what the optimiser makes of it.

use std::mem;

use burn::tensor::Tensor;
use rayon::prelude::*;
use temper_core::data::Inputs;
use temper_core::network::NodeId;

use super::awake::Awake;
use super::phase::Phase;
use super::{Training, count_labels};
use crate::differentiable::{BATCH_NORM_MOMENTUM, Forward, Gradients, Pass, Statistics};
use crate::recipe::StatisticsSpec;
use crate::stored::{Held, Moment};
use crate::stream::EpochSeed;

/// What a step saw.
pub(super) struct Step {
    /// Mean cross-entropy of the batch, without regularisers.
    pub(super) loss: f64,
    /// Images classified rightly.
    pub(super) correct: u64,
}

impl Training<'_> {
    /// Trains on a batch.
    pub(super) fn step(&mut self, inputs: &Inputs<'_>, images: &[usize]) -> Step {
        let _awake = Awake::new();
        let moment = self.moment(self.progress.batches);
        let spec = self.spec();
        let held = spec
            .suffers()
            .then(|| self.phase.stored.hold(&self.prepared.network, &self.parameters, moment, images));
        let labels: Vec<u8> = images.iter().map(|&image| self.prepared.train.labels()[image]).collect();
        let input = self.function.upload(self.input(inputs, images), images.len());

        let mut forward = self.forward(held.as_ref(), &input);
        let logits = forward.logits_on_host();
        let cross_entropy = self.function.cross_entropy(&forward, &labels, spec.loss.label_smoothing);
        let loss = f64::from(cross_entropy.clone().into_scalar::<f32>());
        let total = self.regularise(cross_entropy, &forward, images.len());
        let mut gradients = forward.gradients(&total);
        let moments = mem::take(&mut forward.moments);
        match held {
            Some(held) => {
                held.pass_back(&self.parameters.values, &mut gradients.parameters);
                self.phase.stored.keep_ranges(held);
            }
            None => self.parameters.values = forward.into_parameters(),
        }
        self.parameters.follow(&moments, BATCH_NORM_MOMENTUM);
        self.update(moment.epoch, moment.batch, gradients);
        Step { loss, correct: count_labels(&logits, &labels) }
    }

    /// A batch's inputs, moved as the phase's augmentation says.
    fn input(&self, inputs: &Inputs<'_>, images: &[usize]) -> Vec<f32> {
        let len: usize = self.prepared.network.input_shape().iter().product();
        let mut values = vec![0.0; images.len() * len];
        let Moment { phase, epoch, .. } = self.moment(0);
        let seed = EpochSeed { seed: self.prepared.recipe.seed, phase, epoch };
        let fill = |images: &[usize], values: &mut [f32]| match &self.spec().augmentation {
            Some(augmentation) => augmentation.fill(inputs, images, seed, values),
            None => inputs.fill(images.iter().copied(), values),
        };
        let share = images.len().div_ceil(rayon::current_num_threads());
        let parts = values.par_chunks_mut(share * len).zip(images.par_chunks(share));
        parts.for_each(|(values, images)| fill(images, values));
        values
    }

    /// Runs a batch forwards, with the parameters themselves unless something else is held.
    fn forward(&mut self, held: Option<&Held>, input: &Tensor<2>) -> Forward {
        let stored = &self.phase.stored;
        let statistics = match self.spec().batch_norm {
            StatisticsSpec::Batch => Statistics::Batch,
            StatisticsSpec::Running => Statistics::Running,
        };
        let observed: Vec<NodeId> = self.phase.regularised.iter().map(|(node, _)| *node).collect();
        let Some(held) = held else {
            let pass = Pass { observed: &observed, ..Pass::plain(statistics) };
            let parameters = mem::take(&mut self.parameters.values);
            return self.function.forward(parameters, &self.phase.trained, input, &pass);
        };
        stored.forward(&self.function, held, &self.phase.trained, input, statistics, &observed)
    }

    /// The loss with the phase's regularisers.
    fn regularise(&self, loss: Tensor<1>, forward: &Forward, images: usize) -> Tensor<1> {
        let terms = self.phase.regularised.iter().zip(&forward.observed);
        terms.fold(loss, |loss, ((_, strength), output)| {
            loss + output.clone().abs().sum() * (*strength / images as f32)
        })
    }

    /// Lets the optimiser make a step. A parameter that the loss does not depend on has the gradient zero.
    fn update(&mut self, epoch: usize, batch: usize, mut gradients: Gradients) {
        let Phase { schedule, optimizer, places, stored, .. } = &mut self.phase;
        let (lr, momentum) = (schedule.lr(epoch, batch), schedule.momentum(epoch, batch));
        optimizer.begin_step();
        for (number, &place) in places.iter().enumerate() {
            let values = &mut self.parameters.values[place];
            let gradient = gradients.parameters[place].take().unwrap_or_else(|| vec![0.0; values.len()]);
            optimizer.step(number, lr, momentum, values, &gradient);
        }
        for (number, tap) in (places.len()..).zip(stored.learned_taps()) {
            let mut size = [stored.step_size(tap)];
            let gradient = gradients.steps[tap].unwrap_or(0.0);
            optimizer.step(number, lr, momentum, &mut size, &[gradient]);
            stored.set_step_size(tap, size[0]);
        }
    }
}

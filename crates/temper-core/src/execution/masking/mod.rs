//! Proofs of masking: that faults cannot change an image's top class, without running the image to its end.
//!
//! A difference Δ in one value moves the input of the last linear layer, the *anchor*, by at most ‖ω ⊙ Δ‖₂, where ω follows from the
//! weights alone (`sensitivity`): convolutions and linear layers lengthen a difference by at most their largest singular value
//! (`spectral`), ReLU, clipping and pooling hardly lengthen it, branches add up. How far the anchor may move before another class comes
//! to the top follows from the golden logits of each image (`margins`). Where the first is less than the second, the top class stays.
//!
//! Sound means: for the bits that are really computed. Both runs round, and differently; the rounding errors of the golden run are
//! bounded from its partial sums, those of the faulty run by the same plus what the difference adds, and all are taken to conspire.
//! Bounds are computed in double precision and inflated by more than their own errors.

mod margins;
mod sensitivity;
mod spectral;

use temper_kernels::PackedWeights;

use self::margins::{Distances, Margins};
use self::sensitivity::{ROUNDOFF, Sensitivities};
use super::extent::Extent;
use super::program::{Program, Step, StepOp};
use super::run::Workspace;
use super::taps::TapId;
use super::weights::{Field, ParameterId, Weights};

/// How far differences travel through a network, whatever runs through it.
#[derive(Debug)]
pub struct Masking {
    sensitivities: Sensitivities,
    distances: Distances,
}

/// What is needed to prove masking for a batch of images.
#[derive(Debug)]
pub struct MaskingBatch(Margins);

/// A difference that struck parameters of one step make in its output.
#[derive(Debug, Clone)]
pub struct Source {
    step: usize,
    /// By how much the step's rounding errors can change with its weights, relatively.
    chain: f64,
    terms: Vec<Term>,
}

/// One struck value of a parameter.
#[derive(Debug, Clone, Copy)]
struct Term {
    channel: usize,
    /// The input that it multiplies: values `start .. start + count` of an image. None for a bias.
    input: Option<(usize, usize)>,
    /// How much larger or smaller it has become, times the channel's scale.
    gain: f64,
}

impl Masking {
    /// Looks at a network's weights. `is_exact` says of a tap whether it leaves values without faults as they are.
    pub fn new(program: &Program, weights: &Weights, is_exact: &dyn Fn(TapId) -> bool) -> Self {
        let sensitivities = Sensitivities::new(program, weights, is_exact);
        let distances = Distances::new(program, weights, sensitivities.last);
        Self { sensitivities, distances }
    }

    /// Whether anything can be proven at all.
    pub fn is_useful(&self, program: &Program) -> bool {
        program.steps.iter().any(|step| self.sensitivities.of_value[step.output].is_some())
    }

    /// The bytes that a [`MaskingBatch`] takes for each image.
    pub fn bytes_per_image(&self, program: &Program) -> usize {
        let bounded = |step: &&Step| self.sensitivities.of_value[step.output].is_some();
        let channels = |step: &Step| program.values[step.output].shape[0];
        let own: usize = program.steps.iter().filter(bounded).map(channels).sum();
        // A list of channels for each, and what is left to later steps.
        own * size_of::<f64>() + program.steps.len() * (size_of::<Vec<f64>>() + size_of::<f64>())
    }

    /// Looks at the golden run of some images, at the price of some runs of what can be proven.
    pub fn batch(&self, program: &Program, weights: &Weights, golden: &Workspace) -> MaskingBatch {
        MaskingBatch(Margins::new(program, weights, &self.sensitivities, &self.distances, golden))
    }

    /// What struck parameters do at once, given what they become; `None` where that is not bounded: in several steps, or in batch norms.
    pub fn source(
        &self,
        program: &Program,
        weights: &Weights,
        changes: impl Iterator<Item = (ParameterId, usize, f32)>,
    ) -> Option<Source> {
        let mut source: Option<Source> = None;
        for (parameter, index, value) in changes {
            let step = program.step_of(parameter).0;
            let known = source.get_or_insert_with(|| {
                let product = weights.steps[step].product.as_ref();
                let chain = ROUNDOFF * product.map_or(0.0, PackedWeights::rounding_gain);
                Source { step, chain, terms: Vec::new() }
            });
            if known.step != step {
                return None;
            }
            known.terms.push(term(program, weights, parameter, index, value)?);
        }
        let source = source?;
        self.sensitivities.of_value[program.steps[source.step].output].as_ref()?;
        Some(source)
    }
}

fn term(
    program: &Program,
    weights: &Weights,
    parameter: ParameterId,
    index: usize,
    value: f32,
) -> Option<Term> {
    let place = weights.places[parameter.0];
    let (step, own) = (&program.steps[place.step], &weights.steps[place.step]);
    let channel = weights.channel_of(parameter, index)?;
    let scale = own.batch_norm.as_ref().map_or(1.0, |norm| f64::from(norm.scale[channel]).abs());
    let gain = (f64::from(value) - f64::from(weights.get(parameter, index))).abs() * scale;
    let from = program.values[step.inputs[0]].shape;
    let column = index % own.product.as_ref()?.columns();
    let input = match (place.field, &step.op) {
        (Field::Bias, _) => None,
        (Field::Product, StepOp::Conv { shape, .. }) if shape.groups == 1 && from == shape.input => {
            let plane = from[1] * from[2];
            Some((column / (shape.kernel[0] * shape.kernel[1]) * plane, plane))
        }
        (Field::Product, StepOp::Linear { .. }) => Some((column, 1)),
        _ => return None,
    };
    Some(Term { channel, input, gain })
}

impl MaskingBatch {
    /// Whether struck parameters, and nothing else, provably leave an image's top class as it is. The image counts within the batch.
    pub fn masks_source(
        &self,
        masking: &Masking,
        program: &Program,
        source: &Source,
        golden: &Workspace,
        image: usize,
    ) -> bool {
        let step = &program.steps[source.step];
        let Some(sensitivity) = &masking.sensitivities.of_value[step.output] else { return false };
        let Some(left) = self.0.left_behind(source.step, image) else { return false };
        let (from, to) = (&program.values[step.inputs[0]], &program.values[step.output]);
        let input = &golden.value(program, step.inputs[0])[image * from.len..][..from.len];
        // Every later partial sum differs as much.
        let chain = 1.0 + source.chain;
        let bound: f64 = source
            .terms
            .iter()
            .map(|term| {
                let length = match term.input {
                    Some((start, count)) => norm(&input[start..][..count]),
                    None => ((to.shape[1] * to.shape[2]) as f64).sqrt(),
                };
                let rounding = 2.0 * self.0.own(source.step, image, term.channel);
                sensitivity.one[term.channel] * (term.gain * length * chain + rounding)
            })
            .sum();
        bound < left
    }

    /// Whether an image provably keeps its top class that differs from the golden run in `open` values read after `step`; `differs` says of a
    /// value in which box, and gives the image's golden and faulty values.
    pub(super) fn masks_differences<'a>(
        &self,
        masking: &Masking,
        program: &Program,
        step: usize,
        image: usize,
        open: u32,
        differs: impl Fn(usize) -> (Extent, [&'a [f32]; 2]),
    ) -> bool {
        let Some(left) = self.0.left_behind(step, image) else { return false };
        let read = || masking.sensitivities.read_after(program, step);
        let bounded = || read().filter(|(value, _)| !differs(*value).0.is_empty());
        if bounded().count() != open as usize {
            return false;
        }
        let bound = bounded().map(|(value, sensitivity)| {
            let (extent, values) = differs(value);
            sensitivity.bound(program.values[value].shape, extent, values)
        });
        // Not so where anything is not a number.
        bound.sum::<f64>() < left
    }
}

fn norm(values: &[f32]) -> f64 {
    values.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt()
}

//! How far an image's decision is from another one, and how much rounding may move it.

use temper_kernels::{ConvShape, Scratch, avg_pool2d, conv2d_partial_sums};

use super::sensitivity::{ROUNDOFF, Sensitivities};
use crate::execution::program::{Program, Step, StepOp};
use crate::execution::run::Workspace;
use crate::execution::weights::{StepWeights, Weights};

/// Covers products of roundoffs and the rounding of partial sums themselves.
const SECOND_ORDER: f64 = 1.01;

/// Covers the factors 1 + roundoff of additions along the way, and this computation's own rounding.
const CAUTION: f64 = 0.999;

/// Rounding and decisions of a batch of golden inferences.
#[derive(Debug)]
pub(super) struct Margins {
    /// For each image, how far the anchor may move before another class can come to the top.
    allowance: Vec<f64>,
    /// For each step and image, how far the rounding of this and all later steps may move the anchor; infinite where later ones leave
    /// nothing.
    rest: Vec<Vec<f64>>,
    /// For each step, image and channel, a bound on the norm of the step's rounding errors; none where nothing can be proven.
    own: Vec<Vec<Vec<f64>>>,
}

impl Margins {
    pub(super) fn new(
        program: &Program,
        weights: &Weights,
        sensitivities: &Sensitivities,
        distances: &Distances,
        golden: &Workspace,
    ) -> Self {
        let (images, mut scratch) = (golden.images(), Scratch::default());
        let mut rounding = |index: usize, image: usize| {
            let step = &program.steps[index];
            Rounding { program, step, weights: &weights.steps[index], golden }
                .of_channels(image, &mut scratch)
        };
        let logits = golden.output(program).chunks_exact(program.output_len());
        let of_logits = logits.enumerate().map(|(image, logits)| {
            let rounding = sensitivities.last.map(|last| rounding(last, image));
            distances.allowance(logits, &rounding.unwrap_or_default())
        });
        let allowance: Vec<f64> = of_logits.collect();
        let mut own: Vec<Vec<Vec<f64>>> = vec![Vec::new(); program.steps.len()];
        let mut rest = vec![vec![0.0; images]; program.steps.len() + 1];
        for (index, step) in program.steps.iter().enumerate().rev() {
            let (before, later) = rest.split_at_mut(index + 1);
            before[index].clone_from(&later[0]);
            let Some(sensitivity) = sensitivities.of_value[step.output].as_ref() else { continue };
            for (image, rest) in before[index].iter_mut().enumerate() {
                // Where later steps' rounding leaves nothing, nothing can be proven of this step either.
                let is_left = *rest < allowance[image];
                let channels = if is_left { rounding(index, image) } else { Vec::new() };
                let squares =
                    channels.iter().zip(&sensitivity.all).map(|(own, weight)| (own * weight).powi(2));
                // Of the golden run and of the faulty one.
                *rest += if is_left { 2.0 * squares.sum::<f64>().sqrt() } else { f64::INFINITY };
                own[index].push(channels);
            }
        }
        Self { allowance, rest, own }
    }

    /// How far the anchor may move by the difference that a step's output has, other than by later steps' rounding; `None` where that is
    /// too much already.
    pub(super) fn left_behind(&self, step: usize, image: usize) -> Option<f64> {
        let left = self.allowance[image] - self.rest[step + 1][image];
        // Not so where it is not a number, nor where there is no other class: there only a logit that is no number is a change.
        (left > 0.0 && left.is_finite()).then_some(left)
    }

    /// A bound on the norm of the rounding errors in one channel of a step's output, of one run.
    pub(super) fn own(&self, step: usize, image: usize, channel: usize) -> f64 {
        let channels = self.own[step].get(image).map_or(&[][..], Vec::as_slice);
        channels.get(channel).copied().unwrap_or(f64::INFINITY)
    }
}

/// How far the anchor has to move for one logit to overtake another, by difference of logits.
#[derive(Debug)]
pub(super) struct Distances {
    /// For each pair of classes, how much the difference of their logits moves with the anchor.
    gains: Vec<f64>,
    classes: usize,
}

/// Beyond so many classes pairs are bounded by the sum of both rows' norms.
const MOST_CLASSES: usize = 256;

impl Distances {
    pub(super) fn new(program: &Program, weights: &Weights, last: Option<usize>) -> Self {
        let classes = program.output_len();
        let Some(product) = last.and_then(|last| weights.steps[last].product.as_ref()) else {
            // Two logits move by √2 of the output's norm at most.
            return Self { gains: vec![std::f64::consts::SQRT_2; classes * classes], classes };
        };
        let features = product.columns();
        let chain = (features + 16) as f64 * ROUNDOFF;
        let rows: Vec<Vec<f64>> = (0..classes)
            .map(|class| (0..features).map(|i| f64::from(product.get(class * features + i))).collect())
            .collect();
        let norm = |squares: f64| squares.sqrt();
        let norms: Vec<f64> = rows.iter().map(|row| norm(row.iter().map(|w| w * w).sum())).collect();
        let gain = |(a, b): (usize, usize)| {
            let both = norms[a] + norms[b];
            let apart = if classes <= MOST_CLASSES {
                norm(rows[a].iter().zip(&rows[b]).map(|(a, b)| (a - b).powi(2)).sum())
            } else {
                both
            };
            apart + 2.0 * chain * both
        };
        let pairs = (0..classes).flat_map(|a| (0..classes).map(move |b| (a, b)));
        Self { gains: pairs.map(gain).collect(), classes }
    }

    /// How far the anchor may move without another class coming to the top; not a number, or below zero, where nothing is certain.
    fn allowance(&self, logits: &[f32], rounding: &[f64]) -> f64 {
        let Some(top) = crate::execution::top_class(logits) else { return f64::NAN };
        let of = |class: usize| rounding.get(class).copied().unwrap_or(0.0);
        let others = (0..self.classes).filter(|&class| class != top);
        let least = others.map(|class| {
            let margin = f64::from(logits[top]) - f64::from(logits[class]);
            (margin - 2.0 * (of(top) + of(class))) / self.gains[top * self.classes + class].max(1e-300)
        });
        CAUTION * least.fold(f64::INFINITY, |least, x| if x.is_nan() || x < least { x } else { least })
    }
}

/// Rounding errors of one step in a golden run.
struct Rounding<'a> {
    program: &'a Program,
    step: &'a Step,
    weights: &'a StepWeights,
    golden: &'a Workspace,
}

impl Rounding<'_> {
    /// The value of one image.
    fn value(&self, value: usize, image: usize) -> &[f32] {
        let len = self.program.values[value].len;
        &self.golden.value(self.program, value)[image * len..][..len]
    }

    /// For each channel of the output, a bound on the norm of its rounding errors.
    fn of_channels(&self, image: usize, scratch: &mut Scratch) -> Vec<f64> {
        let shape = self.program.values[self.step.output].shape;
        let errors = self.of_values(image, scratch);
        let plane = shape[1] * shape[2];
        let norm = |values: &[f64]| SECOND_ORDER * values.iter().map(|e| e * e).sum::<f64>().sqrt();
        if errors.is_empty() { vec![0.0; shape[0]] } else { errors.chunks_exact(plane).map(norm).collect() }
    }

    /// For each value of the output, to first order; empty for steps that do not round.
    fn of_values(&self, image: usize, scratch: &mut Scratch) -> Vec<f64> {
        let magnitude = |x: &f32| f64::from(*x).abs();
        match &self.step.op {
            StepOp::Conv { shape, fused, .. } => self.of_product(shape, fused.residual, image, scratch),
            StepOp::Linear { fused, .. } => {
                let features = self.program.values[self.step.inputs[0]].len;
                let shape = ConvShape {
                    input: [features, 1, 1],
                    out_channels: self.program.values[self.step.output].len,
                    kernel: [1, 1],
                    stride: [1, 1],
                    padding: [0; 4],
                    dilation: [1, 1],
                    groups: 1,
                };
                self.of_product(&shape, fused.residual, image, scratch)
            }
            StepOp::BatchNorm { .. } | StepOp::Add(_) | StepOp::Activation(_) => {
                self.value(self.step.output, image).iter().map(|x| 2.0 * ROUNDOFF * magnitude(x)).collect()
            }
            StepOp::AvgPool { shape, count_include_pad } => {
                let magnitudes: Vec<f32> =
                    self.value(self.step.inputs[0], image).iter().map(|x| x.abs()).collect();
                let mut means = vec![0.0; self.program.values[self.step.output].len];
                avg_pool2d(shape, *count_include_pad, &magnitudes, &mut means);
                let chain = (shape.kernel[0] * shape.kernel[1] + 2) as f64 * ROUNDOFF;
                means.iter().map(|x| chain * magnitude(x)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// `activation((sum + bias) · scale + shift + residual)`: the chain's error, and one roundoff of every intermediate result.
    fn of_product(&self, shape: &ConvShape, residual: bool, image: usize, scratch: &mut Scratch) -> Vec<f64> {
        let product = self.weights.product.as_ref().expect("packed with its step");
        let len = self.program.values[self.step.output].len;
        let (mut sums, mut partial) = (vec![0.0; len], vec![0.0; len]);
        let input = self.value(self.step.inputs[0], image);
        conv2d_partial_sums(shape, input, product, &mut sums, &mut partial, scratch);
        let residual = residual.then(|| self.value(self.step.inputs[1], image));
        let plane = len / shape.out_channels;
        let error = |(place, (&sum, &partial)): (usize, (&f32, &f32))| {
            let channel = place / plane;
            let bias = self.weights.bias.as_ref().map_or(0.0, |bias| f64::from(bias[channel]).abs());
            let (scale, shift) = self.weights.batch_norm.as_ref().map_or((1.0, 0.0), |norm| {
                (f64::from(norm.scale[channel]).abs(), f64::from(norm.shift[channel]).abs())
            });
            let residual = residual.map_or(0.0, |residual| f64::from(residual[place]).abs());
            let chain = f64::from(partial) + 4.0 * (f64::from(sum) + bias);
            ROUNDOFF * (scale * chain + 3.0 * (shift + residual)) + SUBNORMAL * (1.0 + scale)
        };
        sums.iter().zip(&partial).enumerate().map(error).collect()
    }
}

/// More than all roundings among subnormal numbers can add up to in one chain, or in one output by Winograd's algorithm: there a transformed
/// weight may be off by 2⁻¹⁵⁰, times 2.6·10⁴ for the largest input, 361 for the last transform, and the number of channels.
const SUBNORMAL: f64 = 1e-33;

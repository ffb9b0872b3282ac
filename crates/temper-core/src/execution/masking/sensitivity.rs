//! How far a difference in one value can move the network's decision.

use std::ops::Range;

use temper_kernels::{Activation, ConvShape, PoolShape};

use super::spectral::{Gain, Kernel, TINY, larger};
use crate::execution::TapId;
use crate::execution::extent::Extent;
use crate::execution::program::{Fused, Program, Step, StepOp};
use crate::execution::weights::{StepWeights, Weights};

/// Unit roundoff of `f32`.
pub(super) const ROUNDOFF: f64 = 1.0 / (1u64 << 24) as f64;

/// Bounds on how a difference Δ of a value moves the anchor, whatever the value is.
#[derive(Debug, Clone)]
pub(super) struct Sensitivity {
    /// For each channel c a weight ω: the anchor moves by at most ‖ω ⊙ Δ‖₂.
    pub(super) all: Vec<f64>,
    /// For each channel: if Δ is in that channel alone, by at most so many times ‖Δ‖₂.
    pub(super) one: Vec<f64>,
}

impl Sensitivity {
    /// How far a difference that lies in a box can move the anchor; not a number where either value is none.
    ///
    /// **Shapes**: `golden` and `faulty` as `shape` says.
    pub(super) fn bound(&self, shape: [usize; 3], differs: Extent, [golden, faulty]: [&[f32]; 2]) -> f64 {
        let (mut squares, mut sum) = (0.0, 0.0);
        for channel in differs.axis(0) {
            let mut own = 0.0;
            Extent::new([channel..channel + 1, differs.axis(1), differs.axis(2)]).for_each_run(
                shape,
                |start, len| {
                    own += squared_distance(&golden[start..][..len], &faulty[start..][..len]);
                },
            );
            squares += self.all[channel] * self.all[channel] * own;
            sum += self.one[channel] * own.sqrt();
        }
        // Each is a bound by itself, even where the other is not a number.
        squares.sqrt().min(sum)
    }

    fn is_finite(&self) -> bool {
        self.all.iter().chain(&self.one).all(|weight| weight.is_finite())
    }

    fn unit(channels: usize) -> Self {
        Self { all: vec![1.0; channels], one: vec![1.0; channels] }
    }

    fn scaled(&self, factor: impl Fn(usize) -> f64) -> Self {
        let scaled = |values: &[f64]| values.iter().enumerate().map(|(i, value)| value * factor(i)).collect();
        Self { all: scaled(&self.all), one: scaled(&self.one) }
    }

    fn part(&self, channels: Range<usize>) -> Self {
        Self { all: self.all[channels.clone()].to_vec(), one: self.one[channels].to_vec() }
    }

    /// Of a value that is read twice: ‖aΔ‖ + ‖bΔ‖ ≤ √(‖aΔ‖²/θ + ‖bΔ‖²/(1 − θ)) for any θ between 0 and 1 (Cauchy–Schwarz); the sizes of
    /// a and b give a good one.
    fn with(self, other: &Self) -> Self {
        let [a, b] = [&self.all, &other.all].map(|all| all.iter().sum::<f64>().max(TINY));
        // Neither may vanish: what is divided by it may not.
        let share = (a / (a + b)).clamp(1e-9, 1.0 - 1e-9);
        let join = |(a, b): (&f64, &f64)| (a * a / share + b * b / (1.0 - share)).sqrt();
        Self {
            all: self.all.iter().zip(&other.all).map(join).collect(),
            one: self.one.iter().zip(&other.one).map(|(a, b)| a + b).collect(),
        }
    }
}

/// Sensitivities of all values, as far as anything is known.
#[derive(Debug)]
pub(super) struct Sensitivities {
    pub(super) of_value: Vec<Option<Sensitivity>>,
    /// For each step, the values made before it that later steps read (too), as far as they are bounded; how a difference moves the anchor
    /// through those alone.
    still_read: Vec<Vec<(usize, Sensitivity)>>,
    /// The linear layer whose outputs are the logits: the anchor is its input. Without one the anchor is the output itself.
    pub(super) last: Option<usize>,
}

/// What is known of a value while steps are gone through from the last to the first.
enum Known {
    /// No later step reads it.
    Unread,
    Bounded(Sensitivity),
    Unbounded,
}

impl Sensitivities {
    /// `is_exact` says of a tap whether it leaves values without faults as they are.
    pub(super) fn new(program: &Program, weights: &Weights, is_exact: &dyn Fn(TapId) -> bool) -> Self {
        let last = last_layer(program, weights);
        let anchor = last.map_or(program.output, |step| program.steps[step].inputs[0]);
        let mut known: Vec<Known> = program.values.iter().map(|_| Known::Unread).collect();
        known[anchor] = Known::Bounded(Sensitivity::unit(program.values[anchor].shape[0]));
        let mut convolutions: Vec<Option<Convolution>> = program.steps.iter().map(|_| None).collect();
        let mut still_read = vec![Vec::new(); program.steps.len()];
        for (index, step) in program.steps.iter().enumerate().rev() {
            let is_before = |value: &usize| program.values[*value].made.is_none_or(|made| made < index);
            let bounded = |value| {
                if let Known::Bounded(known) = &known[value] { Some((value, known.clone())) } else { None }
            };
            still_read[index] = (0..known.len()).filter(is_before).filter_map(bounded).collect();
            if Some(index) == last {
                continue;
            }
            // The anchor counts as read once, by the decision.
            let of_inputs = match &known[step.output] {
                Known::Bounded(output) => {
                    let backward =
                        Backward { program, step, weights: &weights.steps[index], output, is_exact };
                    let next = only_product(program, step.output)
                        .and_then(|next| convolutions[next].as_ref())
                        .filter(|next| !next.is_joined);
                    let own = backward.convolution(next.is_some());
                    let of_inputs = backward.inputs(own.as_ref(), next);
                    convolutions[index] = own;
                    of_inputs
                }
                _ => step.inputs.iter().map(|_| None).collect(),
            };
            for (&input, more) in step.inputs.iter().zip(of_inputs) {
                let before = std::mem::replace(&mut known[input], Known::Unbounded);
                let joined = match (before, more) {
                    (Known::Unread, more) => more,
                    (Known::Bounded(before), Some(more)) => Some(before.with(&more)),
                    _ => None,
                };
                known[input] = joined.filter(Sensitivity::is_finite).map_or(Known::Unbounded, Known::Bounded);
            }
        }
        let bounded = |known| if let Known::Bounded(known) = known { Some(known) } else { None };
        Self { of_value: known.into_iter().map(bounded).collect(), still_read, last }
    }

    /// The values that are read after a step, as far as they are bounded, and how a difference moves the anchor from there.
    pub(super) fn read_after(
        &self,
        program: &Program,
        step: usize,
    ) -> impl Iterator<Item = (usize, &Sensitivity)> {
        let output = program.steps[step].output;
        let own = self.of_value[output].iter().map(move |sensitivity| (output, sensitivity));
        own.chain(self.still_read[step].iter().map(|(value, sensitivity)| (*value, sensitivity)))
    }
}

/// The step that makes the logits, if it is a linear layer and nothing more.
fn last_layer(program: &Program, weights: &Weights) -> Option<usize> {
    let made = program.values[program.output].made?;
    let plain = matches!(
        program.steps[made].op,
        StepOp::Linear { fused: Fused { residual: false, activation: Activation::Identity, .. }, rows: 1 }
    );
    (plain && is_bounded(&weights.steps[made]) && made + 1 == program.steps.len()).then_some(made)
}

/// The step that alone reads a value, if it does so once, to multiply it.
fn only_product(program: &Program, value: usize) -> Option<usize> {
    let read = program.values[value].last_read;
    let times: usize =
        program.steps.iter().flat_map(|step| &step.inputs).filter(|&&input| input == value).count();
    (times == 1 && program.steps.get(read)?.inputs[0] == value).then_some(read)
}

/// Chains longer than this are not analysed: the rounding of their partial sums' magnitudes would no longer be small.
const MOST_TAPS: usize = 100_000;

/// Whether a product is one of floats (integers round to their grids) in chains that are short enough.
fn is_bounded(weights: &StepWeights) -> bool {
    weights.product.as_ref().is_some_and(|product| product.columns() <= MOST_TAPS)
}

/// One step, from its output's sensitivity to its inputs'.
struct Backward<'a> {
    program: &'a Program,
    step: &'a Step,
    weights: &'a StepWeights,
    output: &'a Sensitivity,
    is_exact: &'a dyn Fn(TapId) -> bool,
}

impl Backward<'_> {
    /// `own`: this step, if it is a convolution; `next`: the one that alone reads its output, if that is one.
    fn inputs(&self, own: Option<&Convolution>, next: Option<&Convolution>) -> Vec<Option<Sensitivity>> {
        let shape = |value: usize| self.program.values[value].shape;
        let to = shape(self.step.output);
        let from = shape(self.step.inputs[0]);
        let same = || self.step.inputs.iter().map(|&input| (shape(input) == to).then(|| self.output.clone()));
        match &self.step.op {
            StepOp::Conv { .. } | StepOp::Linear { .. } if !is_bounded(self.weights) => {
                self.step.inputs.iter().map(|_| None).collect()
            }
            StepOp::Conv { fused, .. } if is_contraction(fused.activation) => {
                let next = next.filter(|_| is_increasing(fused.activation));
                let product = own.map(|own| own.sensitivity(next));
                std::iter::once(product).chain(same().skip(1)).collect()
            }
            StepOp::Linear { fused, rows: 1 } if is_contraction(fused.activation) => {
                std::iter::once(self.matrix(from)).chain(same().skip(1)).collect()
            }
            StepOp::BatchNorm { .. } if from == to => {
                let scale = &self.weights.batch_norm.as_ref().expect("packed with its step").scale;
                let grows = |channel: usize| f64::from(scale[channel]).abs() * (1.0 + 4.0 * ROUNDOFF);
                vec![Some(self.output.scaled(grows))]
            }
            StepOp::Activation(activation) if is_contraction(*activation) => same().collect(),
            StepOp::Add(None) => same().collect(),
            StepOp::Tap(taps) if taps.iter().all(|&tap| (self.is_exact)(tap)) => same().collect(),
            StepOp::MaxPool(pool) if from[0] == to[0] => {
                vec![Some(self.output.scaled(|_| overlap(pool).sqrt()))]
            }
            StepOp::AvgPool { shape: pool, .. } if from[0] == to[0] => {
                // ‖mean‖² ≤ ‖Δ‖² / count for each window.
                let padded = pool.padding != [0; 4];
                let count = if padded { 1 } else { pool.kernel[0] * pool.kernel[1] };
                let chain = 1.0 + (pool.kernel[0] * pool.kernel[1] + 2) as f64 * ROUNDOFF;
                vec![Some(self.output.scaled(|_| chain * (overlap(pool) / count as f64).sqrt()))]
            }
            StepOp::Pad(pad) => {
                vec![pad.corner(to).map(|[first, ..]| self.output.part(first..first + from[0]))]
            }
            _ => self.step.inputs.iter().map(|_| None).collect(),
        }
    }

    /// This step as a convolution that is bounded, if it is one.
    fn convolution(&self, is_joined: bool) -> Option<Convolution> {
        let StepOp::Conv { shape, .. } = &self.step.op else { return None };
        let from = self.program.values[self.step.inputs[0]].shape;
        if shape.groups != 1 || from != shape.input || !is_bounded(self.weights) {
            return None;
        }
        let reach = |axis: usize| shape.dilation[axis] * (shape.kernel[axis] - 1);
        let kernel = |values| Kernel {
            outputs: shape.out_channels,
            inputs: shape.input[0],
            size: shape.kernel,
            dilation: shape.dilation,
            // With room for what a convolution before this one makes of its padding.
            plane: [shape.input[1] + reach(0), shape.input[2] + reach(1)],
            values,
        };
        let [plain, weighted] =
            [false, true].map(|is_weighted| kernel(self.weighted(shape.out_channels, is_weighted)));
        let gain = weighted.gain();
        Some(Convolution { shape: *shape, plain, weighted, gain, chain: self.chain(), is_joined })
    }

    /// A linear layer, whose features are channels of one or more values each.
    fn matrix(&self, from: [usize; 3]) -> Option<Sensitivity> {
        let features: usize = from.iter().product();
        let outputs = self.output.all.len();
        let values = self.weighted(outputs, true);
        if values.len() != outputs * features {
            return None;
        }
        let kernel =
            Kernel { outputs, inputs: features, size: [1, 1], dilation: [1, 1], plane: [1, 1], values };
        let of_feature = through(&kernel.gain(), self.chain());
        let per_channel = features / from[0];
        let channels =
            |values: &[f64], join: fn(&[f64]) -> f64| values.chunks_exact(per_channel).map(join).collect();
        Some(Sensitivity {
            all: channels(&of_feature.all, |all| all.iter().copied().fold(0.0, larger)),
            // The norm of a matrix is at most the root of the sum of its columns' squares.
            one: channels(&of_feature.one, |one| one.iter().map(|value| value * value).sum::<f64>().sqrt()),
        })
    }

    /// By how much rounding errors can change with the inputs, in units of the gain of absolute values.
    fn chain(&self) -> f64 {
        let product = self.weights.product.as_ref().expect("packed with its step");
        product.rounding_gain() * ROUNDOFF
    }

    /// The weights, each row times its channel's scale and, if `is_weighted`, its sensitivity.
    fn weighted(&self, rows: usize, is_weighted: bool) -> Vec<f64> {
        let product = self.weights.product.as_ref().expect("packed with its step");
        let columns = product.columns();
        let scale =
            |row: usize| self.weights.batch_norm.as_ref().map_or(1.0, |norm| f64::from(norm.scale[row]));
        let weight = |row: usize| if is_weighted { self.output.all[row] } else { 1.0 };
        let factor: Vec<f64> = (0..rows).map(|row| weight(row) * scale(row)).collect();
        let weight = |i: usize| f64::from(product.get(i)) * factor[i / columns];
        (0..rows * columns).map(weight).collect()
    }
}

/// Products round differently for different inputs: a chain of K fused multiply-adds by at most K roundoffs of the magnitudes' sum.
fn through(gain: &Gain, chain: f64) -> Sensitivity {
    let all = gain.whole + chain * gain.absolute;
    Sensitivity {
        all: gain.columns.iter().map(|column| column * all).collect(),
        one: gain.columns.iter().map(|column| column * (1.0 + chain * gain.absolute)).collect(),
    }
}

/// A convolution with what is behind it.
struct Convolution {
    shape: ConvShape,
    /// Times the channels' scales.
    plain: Kernel,
    /// Times their sensitivities too.
    weighted: Kernel,
    gain: Gain,
    /// See [`Backward::chain`].
    chain: f64,
    /// Whether it is bounded together with the next one. Then it is not with the one before, which may reach beyond this one's input:
    /// the next one has no room for that.
    is_joined: bool,
}

impl Convolution {
    /// Of the input, given the convolution `next` that alone reads the output, after a function whose slope is between 0 and 1.
    ///
    /// That function makes a difference e a difference ½(e + R e), with |R| ≤ 1 for each value. So two convolutions A and B lengthen Δ to
    /// ½(‖B A Δ‖ + ‖B R A Δ‖): the former is that of one linear operator, the latter at most the product of both gains. What A makes of
    /// its padding, and is cut off before B, counts as values with R = −1.
    fn sensitivity(&self, next: Option<&Self>) -> Sensitivity {
        let (gain, chain) = (&self.gain, self.chain);
        let each = through(gain, chain);
        let has_room = |next: &&Self| {
            (0..2).all(|axis| self.shape.input[axis + 1] + self.plain.reach(axis) <= next.plain.plane[axis])
        };
        let Some(next) = next.filter(|_| self.shape.stride == [1, 1]).filter(has_room) else { return each };
        let Some((columns, whole)) = next.weighted.behind(&self.plain, &gain.columns) else { return each };
        // Both round: the second, as a part of its gain, what the first makes of Δ.
        let second = next.chain * next.gain.absolute / next.gain.whole.max(TINY);
        let slip = |gain: f64, rounding: f64| rounding + second * (gain + rounding);
        let rounding = chain * gain.absolute;
        let all = f64::midpoint(whole, gain.whole) + slip(gain.whole, rounding);
        let one = |(both, column): (&f64, &f64)| f64::midpoint(*both, *column) + column * slip(1.0, rounding);
        let all = gain.columns.iter().map(|column| column * all);
        Sensitivity {
            all: all.zip(&each.all).map(|(all, each)| all.min(*each)).collect(),
            one: columns
                .iter()
                .zip(&gain.columns)
                .map(one)
                .zip(&each.one)
                .map(|(one, each)| one.min(*each))
                .collect(),
        }
    }
}

/// Whether a function's slope is between 0 and 1 everywhere.
fn is_increasing(activation: Activation) -> bool {
    matches!(activation, Activation::Identity | Activation::Relu | Activation::Clip { .. })
}

/// Whether a function never takes values further apart. (Rounding of the others is not analysed.)
fn is_contraction(activation: Activation) -> bool {
    match activation {
        Activation::Identity | Activation::Relu | Activation::Clip { .. } => true,
        Activation::LeakyRelu(slope) => slope.abs() <= 1.0,
        Activation::Sigmoid | Activation::Tanh => false,
    }
}

/// The most windows that one input lies in.
fn overlap(pool: &PoolShape) -> f64 {
    let along = |axis: usize| {
        let windows = match pool.dilation[axis] {
            1 => pool.kernel[axis].div_ceil(pool.stride[axis]),
            _ => pool.kernel[axis],
        };
        windows.min(pool.output[axis])
    };
    (along(0) * along(1)) as f64
}

/// ‖a − b‖², in sums that do not wait for each other.
fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
    const LANES: usize = 8;
    let (a_blocks, a_rest) = a.as_chunks::<LANES>();
    let (b_blocks, b_rest) = b.as_chunks::<LANES>();
    let square = |a: f32, b: f32| (f64::from(a) - f64::from(b)) * (f64::from(a) - f64::from(b));
    let mut sums = [0.0; LANES];
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for (lane, sum) in sums.iter_mut().enumerate() {
            *sum += square(a[lane], b[lane]);
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(&a, &b)| square(a, b)).sum();
    sums.iter().sum::<f64>() + rest
}

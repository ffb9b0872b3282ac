//! From plain slices to Burn's graph.

use std::fmt::Debug;
use std::marker::PhantomData;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::{Autodiff, Flex, TensorMetadata};
use burn::tensor::{Tensor, TensorData};

type Tracked = burn::backend::tensor::FloatTensor<Autodiff<Flex>>;

/// An operator of `N` inputs on plain slices: forward and backward.
pub(super) trait Operation<const N: usize>: Clone + Debug + Send + 'static {
    /// What the backward pass needs beside inputs and output.
    type Saved: Clone + Debug + Send + 'static;

    /// Whether the backward pass needs the output.
    fn needs_output(&self) -> bool {
        false
    }

    /// The output, and what is saved.
    fn forward(&self, inputs: [&[f32]; N], images: usize) -> (Vec<f32>, Self::Saved);

    /// The gradients of the wanted inputs, from that of the output. `output` is empty unless it is needed.
    fn backward(
        &self,
        recorded: Recorded<'_, N, Self::Saved>,
        gradient: Vec<f32>,
        wanted: [bool; N],
    ) -> [Option<Vec<f32>>; N];

    /// The shape of the output, from the length of its values.
    fn output_shape(&self, images: usize, len: usize) -> Vec<usize> {
        vec![images, len / images.max(1)]
    }
}

/// What was recorded of a forward pass.
pub(super) struct Recorded<'a, const N: usize, T> {
    pub(super) inputs: [&'a [f32]; N],
    pub(super) images: usize,
    pub(super) output: &'a [f32],
    pub(super) saved: T,
}

/// An operation as Burn records it.
#[derive(Debug, Clone)]
struct Step<const N: usize, O>(PhantomData<O>);

#[derive(Debug, Clone)]
struct State<const N: usize, O: Operation<N>> {
    operation: O,
    inputs: [FlexTensor; N],
    output: Option<FlexTensor>,
    saved: O::Saved,
}

impl<const N: usize, O: Operation<N>> Backward<Flex, N> for Step<N, O> {
    type State = State<N, O>;

    fn backward(self, ops: Ops<Self::State, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = values_of(gradients.consume::<Flex>(&ops.node));
        let State { operation, inputs, output, saved } = ops.state;
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let recorded = Recorded {
            inputs: inputs.each_ref().map(slice),
            images: inputs[0].shape()[0],
            output: output.as_ref().map_or(&[], slice),
            saved,
        };
        let found = operation.backward(recorded, gradient, wanted);
        for ((parent, found), input) in ops.parents.into_iter().zip(found).zip(&inputs) {
            if let (Some(parent), Some(found)) = (parent, found) {
                let shape = input.shape();
                gradients.register::<Flex>(parent.id, FlexTensor::from_data(TensorData::new(found, shape)));
            }
        }
    }
}

/// A tensor as the graph holds it.
pub(super) fn lower<const D: usize>(x: Tensor<D>) -> Tracked {
    x.try_into_primitive::<Autodiff<Flex>>().expect("a tensor on the CPU")
}

/// A tensor for Burn's own operators.
pub(super) fn lift<const D: usize>(x: Tracked) -> Tensor<D> {
    Tensor::from_primitive::<Autodiff<Flex>>(x)
}

/// Runs an operation and records it; the first input has the images in its first dimension.
pub(super) fn record<const N: usize, O: Operation<N>>(
    operation: O,
    inputs: [Tracked; N],
) -> (Tracked, O::Saved) {
    let guards = inputs.each_ref().map(Tracked::node);
    let inputs = inputs.map(|input| plain(input.into_primitive()));
    let images = inputs[0].shape()[0];
    let (output, saved) = operation.forward(inputs.each_ref().map(slice), images);
    let shape = operation.output_shape(images, output.len());
    let output = FlexTensor::from_data(TensorData::new(output, shape));
    let step = Step::<N, O>(PhantomData);
    let tracked = match step.prepare::<NoCheckpointing>(guards).compute_bound().stateful() {
        OpsKind::UnTracked(prepared) => prepared.finish(output),
        OpsKind::Tracked(prepared) => {
            let kept = operation.needs_output().then(|| output.clone());
            let state = State { operation, inputs, output: kept, saved: saved.clone() };
            prepared.finish(state, output)
        }
    };
    (tracked, saved)
}

/// A tensor whose values lie in order from the start of its memory.
fn plain(x: FlexTensor) -> FlexTensor {
    if x.is_contiguous() && x.layout().start_offset() == 0 { x } else { x.to_contiguous() }
}

/// The values of a plain tensor.
fn slice(x: &FlexTensor) -> &[f32] {
    &x.storage::<f32>()[..x.layout().num_elements()]
}

/// The values of any tensor.
fn values_of(x: FlexTensor) -> Vec<f32> {
    x.into_data().try_into_vec().expect("gradients are f32")
}

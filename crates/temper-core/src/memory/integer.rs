//! Which layers can be computed in integers: those whose weights and inputs are stored as small integers.

use temper_kernels::SumError;
use thiserror::Error;

use super::image::{Memory, StoredTensor, TensorId};
use super::target::{Class, Part};
use crate::execution::{IntegerLayer, Tap};
use crate::network::{NodeId, Op, Padding2d, Pair};
use crate::number::NumberFormat;

/// Why a network cannot be computed in integers.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IntegerError {
    /// A layer of which only the inputs are stored in integers.
    #[error(
        "{layer} reads inputs stored in {inputs}, but its weights are stored in {weights}; store its weights as integers of at most 8 bits, or its inputs in f32"
    )]
    Weights {
        /// The layer.
        layer: String,
        /// The format of its inputs.
        inputs: NumberFormat,
        /// The format of its weights.
        weights: NumberFormat,
    },
    /// A layer of which only the weights are stored in integers.
    #[error(
        "the weights of {layer} are stored in {weights}, but {inputs}; store them as integers of at most 8 bits too (target = \"activation\", place = \"input\", layers = \"{layer}\"), or its weights in f32"
    )]
    Inputs {
        /// The layer.
        layer: String,
        /// The format of its weights.
        weights: NumberFormat,
        /// What was found of its inputs.
        inputs: String,
    },
    /// A layer of so many inputs that its sums do not fit.
    #[error("{layer} cannot be computed in integers; store its weights and inputs in f32")]
    Sum {
        /// The layer.
        layer: String,
        /// How many there are, and may be.
        source: SumError,
    },
    /// No layer at all.
    #[error(
        "no layer has its weights and its inputs stored as integers of at most 8 bits; add [[storage]] for target = \"weight\" and for target = \"activation\", place = \"input\""
    )]
    NoLayer,
}

/// Where the weights and inputs of a layer that is computed in integers lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntegerSource {
    /// The layer.
    pub node: NodeId,
    /// Its weights.
    pub weights: TensorId,
    /// Its inputs as stored.
    pub inputs: TensorId,
    /// What lies between them and the layer, stored as floats.
    pub between: Vec<TensorId>,
}

/// Where the inputs of a layer are stored as integers.
#[derive(Debug)]
pub(crate) struct StoredInputs {
    pub(crate) inputs: TensorId,
    /// What lies between them and the layer, stored as floats.
    between: Vec<TensorId>,
}

impl Memory {
    /// The layers whose weights and inputs are stored as [small integers](NumberFormat::is_small_integer). Those with neither are
    /// left out. Inputs count as stored where there are only views, ReLU, max-pooling and padding with zero between the place where they
    /// are and the layer: what these compute can be stored in the same codes.
    ///
    /// # Errors
    /// When there is none, a layer has only one of both, or its sums could exceed 32 bits.
    pub fn integer_sources(&self) -> Result<Vec<IntegerSource>, IntegerError> {
        let mut sources = Vec::new();
        for (number, weights) in self.tensors().iter().enumerate() {
            if weights.class != Class::Weight {
                continue;
            }
            let network = self.network();
            let Some(node) = network.find(&weights.layer) else { continue };
            let layer = weights.layer.clone();
            match (weights.format.is_small_integer(), self.stored_inputs(node)) {
                (false, Err(_)) => {}
                (false, Ok(StoredInputs { inputs, .. })) => {
                    let inputs = self.tensor(inputs).format;
                    return Err(IntegerError::Weights { layer, inputs, weights: weights.format });
                }
                (true, Err(inputs)) => {
                    return Err(IntegerError::Inputs { layer, weights: weights.format, inputs });
                }
                (true, Ok(StoredInputs { inputs, between })) => {
                    let taps = weights.values() / weights.shape[0];
                    temper_kernels::check_sum(taps, weights.is_affine())
                        .map_err(|source| IntegerError::Sum { layer, source })?;
                    sources.push(IntegerSource { node, weights: TensorId(number), inputs, between });
                }
            }
        }
        if sources.is_empty() { Err(IntegerError::NoLayer) } else { Ok(sources) }
    }

    /// Where the inputs of a layer are stored as small integers, or why they are not.
    pub(crate) fn stored_inputs(&self, layer: NodeId) -> Result<StoredInputs, String> {
        let network = self.network();
        let mut between = Vec::new();
        let mut reader = layer;
        loop {
            let source = network.node(reader).inputs[0];
            for tap in [Tap::input(reader), Tap::output(source)] {
                let Some(id) = self.tensor_at(tap) else { continue };
                match self.tensor(id).format {
                    format if format.is_small_integer() => return Ok(StoredInputs { inputs: id, between }),
                    // As exact as no storage at all.
                    NumberFormat::F32 | NumberFormat::F64 => between.push(id),
                    format => return Err(format!("its inputs are stored in {format}")),
                }
            }
            let node = network.node(source);
            match node.op {
                Op::Input { .. } => return Err("the network's input is not".to_owned()),
                Op::Relu
                | Op::Flatten
                | Op::Reshape { .. }
                | Op::Dropout
                | Op::Transpose { .. }
                | Op::GlobalMaxPool
                | Op::Pad { value: 0.0, .. } => {}
                // A window that is all padding would be minus infinity.
                Op::MaxPool2d { kernel, padding, dilation, .. }
                    if padding == Padding2d::NONE || no_empty_window(kernel, padding, dilation) => {}
                _ => {
                    let (kind, name) = (node.op.kind(), &node.name);
                    return Err(format!("its inputs, from {name} ({kind}), are not"));
                }
            }
            reader = source;
        }
    }

    /// Where the weights and inputs of a layer lie, or why its inputs are not stored as small integers.
    pub(crate) fn integer_source(&self, node: NodeId) -> Result<IntegerSource, String> {
        let layer = &self.network().node(node).name;
        let is_own = |tensor: &StoredTensor| tensor.class == Class::Weight && tensor.layer == *layer;
        let weights = TensorId(self.tensors().iter().position(is_own).expect("a layer with weights"));
        let StoredInputs { inputs, between } = self.stored_inputs(node)?;
        Ok(IntegerSource { node, weights, inputs, between })
    }

    /// The layers that can be computed in integers, with their grids.
    ///
    /// # Errors
    /// As [`Memory::integer_sources`].
    ///
    /// # Panics
    /// Before [`Memory::calibrate`].
    pub fn integer_layers(&self) -> Result<Vec<IntegerLayer>, IntegerError> {
        let grids = |id: TensorId| self.tensor(id).codec().signed_grids().expect("a small integer");
        let layer = |source: IntegerSource| IntegerLayer {
            node: source.node,
            weights: grids(source.weights),
            input: grids(source.inputs)[0],
        };
        Ok(self.integer_sources()?.into_iter().map(layer).collect())
    }
}

/// Whether every window of a padded pooling has an input in it, however small the image.
fn no_empty_window(kernel: Pair, padding: Padding2d, dilation: Pair) -> bool {
    let [top, left, bottom, right]: [usize; 4] = padding.into();
    dilation == Pair::square(1) && top.max(bottom) < kernel.height && left.max(right) < kernel.width
}

/// How far a fault may take values away from the codes they are stored as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Departure {
    /// To other words.
    Word,
    /// To zero.
    Zero,
    /// To their negatives.
    Negative,
    /// Anywhere.
    Value,
}

impl IntegerSource {
    /// Whether every value that this layer reads still stands for a code under faults: `departure` in a part of a tensor, `words`
    /// whether other faults make other words of the same tensor. What does not concern the layer does not hurt.
    pub fn holds(
        &self,
        memory: &Memory,
        id: TensorId,
        part: Part,
        departure: Departure,
        words: bool,
    ) -> bool {
        let between = self.between.contains(&id);
        if !between && id != self.weights && id != self.inputs {
            return true;
        }
        let tensor = memory.tensor(id);
        match departure {
            _ if part != Part::Values => false,
            Departure::Zero => true,
            Departure::Word => !between,
            Departure::Negative => !between && has_negatives(tensor, words),
            Departure::Value => false,
        }
    }
}

/// Whether the negative of every value has a code, those of words that no value is stored as included if there are any.
fn has_negatives(tensor: &StoredTensor, words: bool) -> bool {
    match tensor.format {
        NumberFormat::Sint(_) | NumberFormat::Binary => true,
        // The negative of the most negative code of 8 bits is 128.
        NumberFormat::Int(width) => !tensor.is_affine() && (width < 8 || !words),
        _ => false,
    }
}

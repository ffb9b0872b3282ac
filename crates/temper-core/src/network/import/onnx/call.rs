//! One node of the graph with its inputs looked up: what an operator's lowering sees.

use std::rc::Rc;

use super::super::super::graph::NodeId;
use super::attributes::Attributes;
use super::dense::{Dense, Extent, MAX_INTEGERS};
use super::proto::NodeProto;

/// What a value of the graph is.
#[derive(Clone)]
pub(super) enum Value {
    /// Computed from the input: the output of a node of the network.
    Activation(NodeId),
    /// The same for every image.
    Floats(Rc<Dense<f32>>),
    /// Integers that describe shapes.
    Integers(Rc<Dense<Extent>>),
    /// Made by a node that is not supported, or made from what such a node makes.
    Failed,
}

/// An input of a node.
pub(super) struct Input<'a> {
    pub(super) name: &'a str,
    pub(super) value: Value,
    /// How many inputs and outputs of the graph's nodes are this value.
    pub(super) uses: usize,
    /// Whether it is one of the graph's initialisers.
    pub(super) is_initialiser: bool,
}

/// A node of the graph.
pub(super) struct Call<'a> {
    pub(super) node: &'a NodeProto,
    /// Its place among the nodes that the output depends on.
    pub(super) index: usize,
    /// Version of the operator set.
    pub(super) opset: i64,
    /// Number of images that the file fixes, if it does.
    pub(super) fixed_batch: Option<usize>,
    /// Whether its output is the graph's, and nothing else uses it.
    pub(super) is_last: bool,
    /// `None` where an optional input is left out.
    pub(super) inputs: Vec<Option<Input<'a>>>,
    pub(super) attributes: Attributes<'a>,
}

impl Call<'_> {
    /// Fails unless the node has `min` to `max` inputs.
    pub(super) fn arity(&self, min: usize, max: usize) -> Result<(), String> {
        let found = self.inputs.len();
        if (min..=max).contains(&found) {
            Ok(())
        } else if min == max {
            Err(format!("it has {found} inputs; expected {min}"))
        } else {
            Err(format!("it has {found} inputs; expected {min} to {max}"))
        }
    }

    pub(super) fn input(&self, i: usize) -> Option<&Input<'_>> {
        self.inputs.get(i)?.as_ref()
    }

    /// Input `i`, which must be an activation.
    pub(super) fn activation(&self, i: usize) -> Result<NodeId, String> {
        match self.required(i)? {
            Value::Activation(id) => Ok(*id),
            _ => Err(format!("its input {i} is constant; expected an activation")),
        }
    }

    /// Input `i`, which must be a constant of floats.
    pub(super) fn floats(&self, i: usize) -> Result<Rc<Dense<f32>>, String> {
        match self.required(i)? {
            Value::Floats(values) => Ok(Rc::clone(values)),
            Value::Integers(_) => Err(format!("its input {i} holds integers; expected floats")),
            _ => Err(format!("its input {i} is not constant")),
        }
    }

    /// Input `i` if it is given; it must be a constant of floats.
    pub(super) fn optional_floats(&self, i: usize) -> Result<Option<Rc<Dense<f32>>>, String> {
        self.input(i).map(|_| self.floats(i)).transpose()
    }

    /// Input `i`, which must be a constant of integers.
    pub(super) fn integers(&self, i: usize) -> Result<Rc<Dense<Extent>>, String> {
        match self.required(i)? {
            Value::Integers(values) => Ok(Rc::clone(values)),
            Value::Floats(_) => Err(format!("its input {i} holds floats; expected integers")),
            _ => Err(format!("its input {i} is not known before the network runs")),
        }
    }

    /// A list of integers that newer operator sets give as input `i` and older ones as an attribute.
    pub(super) fn list(&mut self, i: usize, attribute: &str) -> Result<Option<Vec<i64>>, String> {
        if let Some(list) = self.attributes.ints(attribute)? {
            // As many as a constant may hold.
            return match list.len() {
                0..=MAX_INTEGERS => Ok(Some(list.to_vec())),
                found => Err(format!(
                    "attribute `{attribute}` holds {found} numbers; at most {MAX_INTEGERS} are supported"
                )),
            };
        }
        self.input(i).map(|_| self.integers(i)?.known()).transpose()
    }

    /// A number that newer operator sets give as input `i` and older ones as an attribute.
    pub(super) fn number(&mut self, i: usize, attribute: &str) -> Result<Option<f32>, String> {
        if let Some(number) = self.attributes.float(attribute)? {
            return Ok(Some(number));
        }
        match self.optional_floats(i)? {
            None => Ok(None),
            Some(values) => match values.data() {
                [number] => Ok(Some(*number)),
                _ => Err(format!("its input {i} has shape {:?}; expected a single number", values.shape())),
            },
        }
    }

    pub(super) fn required(&self, i: usize) -> Result<&Value, String> {
        self.input(i).map(|input| &input.value).ok_or_else(|| format!("its input {i} is missing"))
    }
}

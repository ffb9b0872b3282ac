//! The network under construction.

use std::collections::{BTreeMap, HashMap};

use super::super::super::graph::{INPUT, Network, NetworkError, Node, NodeId};
use super::super::super::op::Op;
use super::super::super::shape::output_shape;
use super::dense::{Dense, MAX_RANK};
use super::names::Names;
use crate::tensor::Tensor;

/// Parameters a small file may hold more values of than it has bytes, by using a stored tensor several times.
const FREE_VALUES: usize = 1 << 20;

/// Nodes, shapes and parameters so far.
pub(super) struct Builder {
    nodes: Vec<Node>,
    shapes: Vec<Vec<usize>>,
    parameters: BTreeMap<String, Tensor>,
    /// Values that may still be copied out of the file's tensors.
    budget: usize,
    /// Linear layers without a bias, by the name of the value they make: a following addition may give them one.
    bare_linears: HashMap<String, NodeId>,
    /// Where the network computes something else than the file, to the last bit.
    pub(super) notes: Vec<String>,
    /// Names of nodes.
    pub(super) names: Names,
}

impl Builder {
    /// A network of nothing but an input. `file_bytes` bounds what its parameters may take.
    pub(super) fn new(input: Vec<usize>, file_bytes: usize, names: Names) -> Self {
        let node =
            Node { name: INPUT.to_owned(), op: Op::Input { shape: input.clone() }, inputs: Vec::new() };
        Self {
            nodes: vec![node],
            shapes: vec![input],
            parameters: BTreeMap::new(),
            budget: file_bytes.max(FREE_VALUES),
            bare_linears: HashMap::new(),
            notes: Vec::new(),
            names,
        }
    }

    pub(super) fn input() -> NodeId {
        NodeId(0)
    }

    /// The shape of a node's output for one image.
    pub(super) fn shape(&self, id: NodeId) -> &[usize] {
        &self.shapes[id.0]
    }

    /// Adds a node without parameters.
    pub(super) fn add(&mut self, name: String, op: Op, inputs: Vec<NodeId>) -> Result<NodeId, String> {
        self.add_with(name, op, inputs, Vec::new())
    }

    /// Adds a node with the parameters its operator needs, each by the last part of its path.
    pub(super) fn add_with(
        &mut self,
        name: String,
        op: Op,
        inputs: Vec<NodeId>,
        parameters: Vec<(&str, Dense<f32>)>,
    ) -> Result<NodeId, String> {
        for (spec, (suffix, values)) in op.parameters().iter().zip(&parameters) {
            if spec.shape != values.shape() {
                return Err(format!(
                    "its {suffix} has shape {:?}, expected {:?}",
                    values.shape(),
                    spec.shape
                ));
            }
        }
        let shapes: Vec<&[usize]> = inputs.iter().map(|id| self.shape(*id)).collect();
        let shape = output_shape(&op, &shapes)?;
        if shape.len() > MAX_RANK {
            return Err(format!(
                "its output has {} dimensions; at most {MAX_RANK} are supported",
                shape.len()
            ));
        }
        for (suffix, values) in parameters {
            self.set_parameter(&name, suffix, values)?;
        }
        self.nodes.push(Node { name, op, inputs });
        self.shapes.push(shape);
        Ok(NodeId(self.nodes.len() - 1))
    }

    /// Counts `values` more values copied out of the file's tensors.
    pub(super) fn charge(&mut self, values: usize) -> Result<(), String> {
        self.budget = self
            .budget
            .checked_sub(values)
            .ok_or("the file's tensors are used so often that the network would be larger than the file")?;
        Ok(())
    }

    /// Remembers that the value `name` is a linear layer's output, to which a bias may yet be added.
    pub(super) fn remember_bare_linear(&mut self, name: &str, id: NodeId) {
        self.bare_linears.insert(name.to_owned(), id);
    }

    /// The linear layer without a bias whose output is the value `name`, with its number of outputs.
    pub(super) fn bare_linear(&self, name: &str) -> Option<(NodeId, usize)> {
        let id = *self.bare_linears.get(name)?;
        match self.nodes[id.0].op {
            Op::Linear { out_features, bias: false, .. } => Some((id, out_features)),
            _ => None,
        }
    }

    /// Gives a linear layer its bias, `[out_features]`.
    pub(super) fn set_bias(&mut self, id: NodeId, values: Dense<f32>) -> Result<(), String> {
        let name = self.nodes[id.0].name.clone();
        self.set_parameter(&name, "bias", values)?;
        if let Op::Linear { bias, .. } = &mut self.nodes[id.0].op {
            *bias = true;
        }
        Ok(())
    }

    /// The finished network.
    pub(super) fn finish(self, output: NodeId) -> Result<(Network, Vec<String>), NetworkError> {
        Ok((Network::new(self.nodes, output, self.parameters)?, self.notes))
    }

    fn set_parameter(&mut self, node: &str, suffix: &str, values: Dense<f32>) -> Result<(), String> {
        self.charge(values.data().len())?;
        let (shape, data) = values.into_parts();
        let tensor = Tensor::new(shape, data).map_err(|error| error.to_string())?;
        self.parameters.insert(format!("{node}.{suffix}"), tensor);
        Ok(())
    }
}

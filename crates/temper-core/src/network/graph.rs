//! A network: nodes, their parameters, and the checks that make one runnable.

use std::collections::{BTreeMap, HashMap};

use thiserror::Error;

use super::op::{Op, ParameterKind};
use super::shape::{MAX_PARAMETER, output_shape};
use crate::tensor::{Tensor, element_count};

/// The name of every network's input node.
pub const INPUT: &str = "input";

/// A node's place in execution order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub usize);

/// One operator applied to the outputs of earlier nodes.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Its name, unique in the network: the module's dotted path (`layer1.0.conv1`).
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// Where its inputs come from.
    pub inputs: Vec<NodeId>,
}

/// A parameter of a network, found by its path.
#[derive(Debug, Clone, Copy)]
pub struct Parameter<'a> {
    /// The node that uses it.
    pub node: NodeId,
    /// What it is for.
    pub kind: ParameterKind,
    /// Its values.
    pub tensor: &'a Tensor,
}

/// A network as run-time data: checked nodes in execution order, the shape of every output, and named parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    nodes: Vec<Node>,
    shapes: Vec<Vec<usize>>,
    output: NodeId,
    parameters: BTreeMap<String, Tensor>,
}

/// Why nodes and parameters do not make a network.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum NetworkError {
    /// The first node is not an input, or a later one is.
    #[error(
        "the first node, and no other, must be an input named \"{INPUT}\"; found one that breaks this: \"{name}\""
    )]
    Input {
        /// The node in question.
        name: String,
    },
    /// Two nodes of one name.
    #[error("two nodes are named \"{name}\"; names must be unique")]
    DuplicateName {
        /// The name.
        name: String,
    },
    /// A node takes an input that does not come before it.
    #[error("node \"{node}\" takes its input from \"{input}\", which is not an earlier node")]
    UnknownInput {
        /// The node.
        node: String,
        /// What it names as input.
        input: String,
    },
    /// The output is not a node.
    #[error("the output \"{name}\" is not a node of the network")]
    UnknownOutput {
        /// The name.
        name: String,
    },
    /// An operator does not accept its inputs' shapes.
    #[error("node \"{node}\" ({kind}): {reason}")]
    Shape {
        /// The node.
        node: String,
        /// Its operator.
        kind: &'static str,
        /// What was found and expected.
        reason: String,
    },
    /// A parameter is absent.
    #[error("parameter \"{path}\" of shape {expected:?} is missing")]
    MissingParameter {
        /// Its dotted path.
        path: String,
        /// The shape it should have.
        expected: Vec<usize>,
    },
    /// A parameter has another shape than its operator needs.
    #[error("parameter \"{path}\" has shape {found:?}, expected {expected:?}")]
    ParameterShape {
        /// Its dotted path.
        path: String,
        /// The shape it should have.
        expected: Vec<usize>,
        /// The shape it has.
        found: Vec<usize>,
    },
    /// A parameter that no node uses.
    #[error("parameter \"{path}\" belongs to no node")]
    UnusedParameter {
        /// Its dotted path.
        path: String,
    },
}

impl Network {
    /// A network from nodes in execution order and all their parameters.
    ///
    /// # Errors
    /// When the first node is not the only input, names repeat, an input is not an earlier node, shapes do not fit, or the
    /// parameters are not exactly those that the operators need.
    pub fn new(
        nodes: Vec<Node>,
        output: NodeId,
        parameters: BTreeMap<String, Tensor>,
    ) -> Result<Self, NetworkError> {
        let shapes = check_nodes(&nodes, output)?;
        let network = Self { nodes, shapes, output, parameters };
        network.check_parameters()?;
        Ok(network)
    }

    /// A network whose parameters are all zero, but for batch-norm scales and variances, which are one: to be filled by an
    /// import or by training.
    ///
    /// # Errors
    /// As [`Network::new`].
    pub fn with_blank_parameters(nodes: Vec<Node>, output: NodeId) -> Result<Self, NetworkError> {
        let shapes = check_nodes(&nodes, output)?;
        let parameters = nodes
            .iter()
            .flat_map(|node| {
                node.op.parameters().into_iter().map(|spec| {
                    let one = spec.kind == ParameterKind::BatchNorm
                        && matches!(spec.suffix, "weight" | "running_var");
                    let tensor = Tensor::full(&spec.shape, if one { 1.0 } else { 0.0 });
                    (format!("{}.{}", node.name, spec.suffix), tensor)
                })
            })
            .collect();
        Ok(Self { nodes, shapes, output, parameters })
    }

    /// The same nodes with other parameters.
    ///
    /// # Errors
    /// When the parameters are not exactly those that the operators need.
    pub fn with_parameters(self, parameters: BTreeMap<String, Tensor>) -> Result<Self, NetworkError> {
        let network = Self { parameters, ..self };
        network.check_parameters()?;
        Ok(network)
    }

    /// The nodes in execution order; the first is the input.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// One node.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// The node of that name.
    pub fn find(&self, name: &str) -> Option<NodeId> {
        self.nodes.iter().position(|node| node.name == name).map(NodeId)
    }

    /// The shape of a node's output for one image.
    pub fn shape(&self, id: NodeId) -> &[usize] {
        &self.shapes[id.0]
    }

    /// The shape of one input.
    pub fn input_shape(&self) -> &[usize] {
        &self.shapes[0]
    }

    /// The node whose output is the network's.
    pub fn output(&self) -> NodeId {
        self.output
    }

    /// All parameters by dotted path, in the order of the paths.
    pub fn tensors(&self) -> &BTreeMap<String, Tensor> {
        &self.parameters
    }

    /// All parameters in execution order, with their dotted paths.
    pub fn parameters(&self) -> impl Iterator<Item = (String, Parameter<'_>)> {
        self.nodes.iter().enumerate().flat_map(move |(i, node)| {
            node.op.parameters().into_iter().map(move |spec| {
                let path = format!("{}.{}", node.name, spec.suffix);
                let tensor = &self.parameters[&path];
                (path, Parameter { node: NodeId(i), kind: spec.kind, tensor })
            })
        })
    }

    fn check_parameters(&self) -> Result<(), NetworkError> {
        let mut used = 0;
        for node in &self.nodes {
            for spec in node.op.parameters() {
                let path = format!("{}.{}", node.name, spec.suffix);
                let Some(tensor) = self.parameters.get(&path) else {
                    return Err(NetworkError::MissingParameter { path, expected: spec.shape });
                };
                if tensor.shape() != spec.shape {
                    let found = tensor.shape().to_vec();
                    return Err(NetworkError::ParameterShape { path, expected: spec.shape, found });
                }
                used += 1;
            }
        }
        if used == self.parameters.len() {
            return Ok(());
        }
        let needed: std::collections::HashSet<String> = self.parameters().map(|(path, _)| path).collect();
        let path = self.parameters.keys().find(|path| !needed.contains(*path)).cloned().unwrap_or_default();
        Err(NetworkError::UnusedParameter { path })
    }
}

/// Checks nodes and returns the shape of every output.
fn check_nodes(nodes: &[Node], output: NodeId) -> Result<Vec<Vec<usize>>, NetworkError> {
    let mut names = HashMap::new();
    let mut shapes: Vec<Vec<usize>> = Vec::with_capacity(nodes.len());
    for (i, node) in nodes.iter().enumerate() {
        let is_input = matches!(node.op, Op::Input { .. });
        if is_input != (i == 0) || is_input != (node.name == INPUT) {
            return Err(NetworkError::Input { name: node.name.clone() });
        }
        if names.insert(node.name.as_str(), i).is_some() {
            return Err(NetworkError::DuplicateName { name: node.name.clone() });
        }
        if let Some(bad) = node.inputs.iter().find(|input| input.0 >= i) {
            let input = nodes.get(bad.0).map_or_else(|| format!("#{}", bad.0), |n| n.name.clone());
            return Err(NetworkError::UnknownInput { node: node.name.clone(), input });
        }
        let error = |reason| NetworkError::Shape { node: node.name.clone(), kind: node.op.kind(), reason };
        let inputs: Vec<&[usize]> = node.inputs.iter().map(|input| shapes[input.0].as_slice()).collect();
        let shape = output_shape(&node.op, &inputs).map_err(error)?;
        let small =
            |spec: &super::op::ParameterSpec| element_count(&spec.shape).is_some_and(|n| n <= MAX_PARAMETER);
        if !node.op.parameters().iter().all(small) {
            return Err(error("its parameters are too large".to_owned()));
        }
        shapes.push(shape);
    }
    match nodes.get(output.0) {
        Some(_) => Ok(shapes),
        None if nodes.is_empty() => Err(NetworkError::Input { name: String::new() }),
        None => Err(NetworkError::UnknownOutput { name: format!("#{}", output.0) }),
    }
}

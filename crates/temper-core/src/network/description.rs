//! The written form of a graph: what a model file's header and an architecture file hold.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::graph::{INPUT, Network, NetworkError, Node, NodeId};
use super::op::Op;
use crate::tensor::Tensor;
use crate::tensor::element_count;

/// A network's nodes as written by hand or in a file: inputs by name, no parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GraphDescription {
    /// Shape of one input, usually `[C, H, W]`.
    pub input: Vec<usize>,
    /// The nodes after the input, in execution order.
    #[serde(rename = "node")]
    pub nodes: Vec<NodeDescription>,
    /// The node whose output is the network's; the last one if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
}

/// One node as written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeDescription {
    /// Its unique name.
    pub name: String,
    /// Names of the nodes it takes its inputs from; the node before it if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<Vec<String>>,
    /// What it computes.
    pub op: Op,
}

impl GraphDescription {
    /// Number of values in all parameters that the nodes need, as far as it can be counted.
    pub fn parameter_count(&self) -> usize {
        let specs = self.nodes.iter().flat_map(|node| node.op.parameters());
        specs.map(|spec| element_count(&spec.shape).unwrap_or(usize::MAX)).fold(0, usize::saturating_add)
    }

    /// The network described, with blank parameters (see [`Network::with_blank_parameters`]).
    ///
    /// # Errors
    /// When a name is unknown or the nodes do not make a network.
    pub fn build(self) -> Result<Network, NetworkError> {
        let (nodes, output) = self.resolve()?;
        Network::with_blank_parameters(nodes, output)
    }

    /// The network described, with these parameters by dotted path. Nothing is allocated for what the description claims.
    ///
    /// # Errors
    /// As [`GraphDescription::build`], and when the parameters are not exactly those that the operators need.
    pub fn build_with(self, parameters: BTreeMap<String, Tensor>) -> Result<Network, NetworkError> {
        let (nodes, output) = self.resolve()?;
        Network::new(nodes, output, parameters)
    }

    /// The nodes with their inputs found, and the output.
    fn resolve(self) -> Result<(Vec<Node>, NodeId), NetworkError> {
        let mut ids = HashMap::from([(INPUT.to_owned(), NodeId(0))]);
        let mut nodes =
            vec![Node { name: INPUT.to_owned(), op: Op::Input { shape: self.input }, inputs: Vec::new() }];
        for description in self.nodes {
            let NodeDescription { name, inputs, op } = description;
            let id = NodeId(nodes.len());
            let inputs = match inputs {
                Some(names) => names
                    .into_iter()
                    .map(|input| {
                        ids.get(&input)
                            .copied()
                            .ok_or_else(|| NetworkError::UnknownInput { node: name.clone(), input })
                    })
                    .collect::<Result<_, _>>()?,
                None if matches!(op, Op::Constant { .. }) => Vec::new(),
                None => vec![NodeId(id.0 - 1)],
            };
            if ids.insert(name.clone(), id).is_some() {
                return Err(NetworkError::DuplicateName { name });
            }
            nodes.push(Node { name, op, inputs });
        }
        let output = match self.output {
            Some(name) => ids.get(&name).copied().ok_or(NetworkError::UnknownOutput { name })?,
            None => NodeId(nodes.len() - 1),
        };
        Ok((nodes, output))
    }
}

impl From<&Network> for GraphDescription {
    fn from(network: &Network) -> Self {
        let name = |id: &NodeId| network.node(*id).name.clone();
        let nodes = network.nodes()[1..].iter().map(|node| NodeDescription {
            name: node.name.clone(),
            inputs: Some(node.inputs.iter().map(name).collect()),
            op: node.op.clone(),
        });
        Self {
            input: network.input_shape().to_vec(),
            nodes: nodes.collect(),
            output: Some(name(&network.output())),
        }
    }
}

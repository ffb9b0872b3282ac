//! Names of nodes: the module's dotted path, as PyTorch would write it, wherever the file tells it.
//!
//! Exporters name things differently, and all of it is a convention:
//!
//! - An initialiser `layer1.0.conv1.weight` names the module of the node that uses it.
//! - PyTorch's exporter names a node by the modules around it, each with its full path inside the enclosing `Sequential`, and
//!   the operator: `/layer1/layer1.0/conv1/Conv`.
//! - tf2onnx writes the scope of the layer and the operation: `StatefulPartitionedCall/sequential/conv2d/BiasAdd`.
//! - Others write a plain name, or none.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::super::super::graph::INPUT;
use super::proto::NodeProto;

/// What an exporter tells about the name of a node.
struct Candidate {
    /// The module's dotted path; may be empty.
    module: String,
    /// What tells the node from others of its module; may be empty.
    detail: String,
    /// Whether the node owns the module's parameters.
    owner: bool,
}

/// Hands out unique names.
pub(super) struct Names {
    candidates: Vec<Candidate>,
    /// Paths of modules.
    modules: BTreeSet<String>,
    /// Paths of modules whose parameters are known to belong to one node.
    owned: HashSet<String>,
    taken: HashSet<String>,
    /// The last number appended to a name, so that many nodes of one name do not cost quadratic time.
    counters: HashMap<String, usize>,
}

impl Names {
    /// Prepares names for `nodes`, each with the name of the initialiser that is its weight, if it has one.
    pub(super) fn new(nodes: &[(&NodeProto, Option<&str>)]) -> Self {
        let scope = common_scope(nodes);
        let candidates: Vec<Candidate> =
            nodes.iter().map(|(node, weight)| candidate(node, *weight, &scope)).collect();
        let modules = candidates.iter().map(|c| c.module.clone()).collect();
        let owned = candidates.iter().filter(|c| c.owner).map(|c| c.module.clone()).collect();
        let taken = HashSet::from([INPUT.to_owned()]);
        Self { candidates, modules, owned, taken, counters: HashMap::new() }
    }

    /// The name of node `index`.
    pub(super) fn of(&mut self, index: usize) -> String {
        let Candidate { module, detail, owner } = &self.candidates[index];
        let module_is_free = !self.taken.contains(module)
            && !self.is_container(module)
            && (*owner || !self.owned.contains(module));
        let name = match (module.is_empty(), detail.is_empty()) {
            (true, _) => detail.clone(),
            (false, true) => module.clone(),
            (false, false) if module_is_free => module.clone(),
            (false, false) => format!("{module}.{detail}"),
        };
        self.unique(&name)
    }

    /// Whether a module holds other modules.
    fn is_container(&self, module: &str) -> bool {
        let prefix = format!("{module}.");
        self.modules.range(prefix.clone()..).next().is_some_and(|other| other.starts_with(&prefix))
    }

    /// `name`, or if it is taken, `name` with a number.
    pub(super) fn unique(&mut self, name: &str) -> String {
        let mut unique = name.to_owned();
        while !self.taken.insert(unique.clone()) {
            let counter = self.counters.entry(name.to_owned()).or_default();
            *counter += 1;
            unique = format!("{name}_{counter}");
        }
        unique
    }
}

/// A name as parts of a dotted path: letters, digits, `_` and `-`; parts are split at dots and slashes.
pub(super) fn dotted(name: &str) -> String {
    let parts = name.split(['/', '.']).map(clean).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(".")
}

fn clean(part: &str) -> String {
    // A number after a colon tells which of an operation's outputs it is.
    let part = match part.rsplit_once(':') {
        Some((name, output)) if output.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => part,
    };
    part.chars().map(|c| if c.is_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' }).collect()
}

fn candidate(node: &NodeProto, weight: Option<&str>, scope: &[&str]) -> Candidate {
    let operator = clean(&node.op_type).to_lowercase();
    let module = weight.and_then(|name| name.strip_suffix(".weight")).map(dotted).unwrap_or_default();
    if !module.is_empty() {
        return Candidate { module, detail: operator, owner: true };
    }
    let owner = weight.is_some();
    let parts: Vec<&str> = node.name.split('/').filter(|part| !part.is_empty()).collect();
    match parts.split_last() {
        Some((last, modules)) if node.name.contains('/') => {
            let modules = modules.strip_prefix(scope).unwrap_or(modules);
            let detail = Some(clean(last).to_lowercase()).filter(|detail| !detail.is_empty());
            Candidate { module: module_path(modules), detail: detail.unwrap_or(operator), owner }
        }
        _ => match dotted(&node.name) {
            name if name.is_empty() => Candidate { module: String::new(), detail: operator, owner },
            name => Candidate { module: name, detail: String::new(), owner },
        },
    }
}

/// Joins the modules around a node. PyTorch writes a child of a `Sequential` with its parent's name, `layer1/layer1.0`.
fn module_path(modules: &[&str]) -> String {
    let mut path: Vec<&str> = Vec::new();
    for module in modules {
        if path
            .last()
            .is_some_and(|parent| module.strip_prefix(parent).is_some_and(|rest| rest.starts_with('.')))
        {
            path.pop();
        }
        path.push(module);
    }
    dotted(&path.join("."))
}

/// The scope that all scoped names share, such as `StatefulPartitionedCall/sequential`; none in PyTorch's way of naming, where
/// names begin with a slash.
fn common_scope<'a>(nodes: &[(&'a NodeProto, Option<&str>)]) -> Vec<&'a str> {
    let scopes = nodes.iter().filter(|(node, _)| node.name.contains('/')).map(|(node, _)| {
        let mut parts: Vec<&str> = node.name.split('/').collect();
        parts.pop();
        parts
    });
    let shared = scopes.reduce(|shared, scope| {
        shared.into_iter().zip(scope).take_while(|(a, b)| a == b).map(|(a, _)| a).collect()
    });
    shared.filter(|scope| scope.first().is_some_and(|part| !part.is_empty())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of nodes given as (name, operator, weight).
    fn names(nodes: &[(&str, &str, Option<&str>)]) -> Vec<String> {
        let protos: Vec<NodeProto> = nodes
            .iter()
            .map(|(name, op_type, _)| NodeProto {
                name: (*name).to_owned(),
                op_type: (*op_type).to_owned(),
                ..NodeProto::default()
            })
            .collect();
        let pairs: Vec<_> = protos.iter().zip(nodes.iter().map(|(_, _, weight)| *weight)).collect();
        let mut names = Names::new(&pairs);
        (0..pairs.len()).map(|i| names.of(i)).collect()
    }

    #[test]
    fn pytorch_modules() {
        let found = names(&[
            ("/conv1/Conv", "Conv", Some("onnx::Conv_40")),
            ("/relu/Relu", "Relu", None),
            ("/layer1/layer1.0/conv1/Conv", "Conv", Some("layer1.0.conv1.weight")),
            ("/layer1/layer1.0/Add", "Add", None),
            ("/layer1/layer1.0/relu_1/Relu", "Relu", None),
            ("/features/features.2/features.2.0/Clip", "Clip", None),
            ("/Flatten", "Flatten", None),
            ("/fc/Gemm", "Gemm", Some("fc.weight")),
            ("/fc/Add", "Add", None),
        ]);
        let expected = [
            "conv1",
            "relu",
            "layer1.0.conv1",
            "layer1.0.add",
            "layer1.0.relu_1",
            "features.2.0",
            "flatten",
            "fc",
            "fc.add",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn tensorflow_scopes_are_shortened() {
        let weight = Some("Call/seq/conv2d/Conv2D/ReadVariableOp:0");
        let found = names(&[
            ("Call/seq/conv2d/BiasAdd__6", "Reshape", None),
            ("Call/seq/conv2d/BiasAdd", "Conv", weight),
            ("Call/seq/conv2d/Relu", "Relu", None),
            ("Call/seq/flatten/Reshape", "Reshape", None),
        ]);
        assert_eq!(found, ["conv2d.biasadd__6", "conv2d", "conv2d.relu", "flatten"]);
    }

    #[test]
    fn plain_names_are_unique_and_never_the_input() {
        let found = names(&[
            ("", "Relu", None),
            ("", "Relu", None),
            ("relu_1", "Relu", None),
            ("input", "Relu", None),
            ("a b*?[", "Relu", None),
            ("shared", "Conv", Some("conv.weight")),
            ("again", "Conv", Some("conv.weight")),
            ("/", "Tanh", None),
            ("...", "Tanh", None),
        ]);
        let expected =
            ["relu", "relu_1", "relu_1_1", "input_1", "a_b___", "conv", "conv.conv", "tanh", "tanh_1"];
        assert_eq!(found, expected);
    }
}

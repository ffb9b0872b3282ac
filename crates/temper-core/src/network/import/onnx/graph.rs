//! From the graph of an ONNX file to a network: which nodes count, in which order, and what is wrong with them.

use std::collections::{BTreeMap, HashMap};

use super::super::super::op::Op;
use super::attributes::Attributes;
use super::builder::Builder;
use super::call::{Call, Input, Value};
use super::dense::MAX_RANK;
use super::names::Names;
use super::proto::{Extent, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto};
use super::tensor::{data_type, data_type_name};
use super::{NEWEST_OPSET, OLDEST_OPSET, OnnxError, OnnxImport, UnsupportedNode};
use super::{arithmetic, constants, layout, pointwise, spatial};

/// What turns a node of the graph into nodes of the network, or a sentence on why it cannot.
type Lower = fn(&mut Builder, &mut Call<'_>) -> Result<Value, String>;

/// Every supported operator.
fn operator(op_type: &str) -> Option<Lower> {
    let lower: Lower = match op_type {
        "Add" => |b, c| arithmetic::add(b, c),
        "AveragePool" => spatial::average_pool,
        "BatchNormalization" => pointwise::batch_normalization,
        "Cast" => |_, c| pointwise::cast(c),
        "Clip" => pointwise::clip,
        "Concat" => layout::concat,
        "Constant" => constants::constant,
        "ConstantOfShape" => constants::constant_of_shape,
        "Conv" => spatial::conv,
        "Div" => |b, c| arithmetic::div(b, c),
        "Dropout" => pointwise::dropout,
        "Flatten" => layout::flatten,
        "Gather" => |_, c| constants::gather(c),
        "Gemm" => arithmetic::gemm,
        "GlobalAveragePool" => |b, c| pointwise::map(b, c, Op::GlobalAvgPool),
        "GlobalMaxPool" => |b, c| pointwise::map(b, c, Op::GlobalMaxPool),
        "Identity" => |_, c| pointwise::identity(c),
        "LeakyRelu" => pointwise::leaky_relu,
        "LogSoftmax" => pointwise::log_softmax,
        "MatMul" => |b, c| arithmetic::mat_mul(b, c),
        "MaxPool" => spatial::max_pool,
        "Mul" => |b, c| arithmetic::mul(b, c),
        "Pad" => layout::pad,
        "ReduceMean" => spatial::reduce_mean,
        "Relu" => |b, c| pointwise::map(b, c, Op::Relu),
        "Reshape" => layout::reshape,
        "Shape" => constants::shape,
        "Sigmoid" => |b, c| pointwise::map(b, c, Op::Sigmoid),
        "Slice" => layout::slice,
        "Softmax" => pointwise::softmax,
        "Squeeze" => layout::squeeze,
        "Sub" => |b, c| arithmetic::sub(b, c),
        "Tanh" => |b, c| pointwise::map(b, c, Op::Tanh),
        "Transpose" => layout::transpose,
        "Unsqueeze" => layout::unsqueeze,
        _ => return None,
    };
    Some(lower)
}

/// The network of a decoded file of `file_bytes` bytes.
pub(super) fn lower(model: &ModelProto, file_bytes: usize) -> Result<OnnxImport, OnnxError> {
    let graph = model.graph.as_ref().ok_or(OnnxError::NoGraph)?;
    let opset = opset(model)?;
    let initialisers = graph.initializer.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect();
    let (input, output) = ends(graph, &initialisers)?;
    let (fixed_batch, shape) = input_shape(input)?;
    let live = live_nodes(graph, output);
    let weights: Vec<_> = live.iter().map(|node| (*node, weight(node, &initialisers))).collect();
    let mut uses: HashMap<&str, usize> = HashMap::from([(output, 1)]);
    for name in live.iter().flat_map(|node| &node.input) {
        *uses.entry(name).or_default() += 1;
    }
    let mut builder = Builder::new(shape, file_bytes, Names::new(&weights));
    builder.notes.extend(shared_weights(&weights));
    let walk = Walk {
        opset,
        fixed_batch,
        output,
        initialisers,
        uses,
        values: HashMap::from([(input.name.as_str(), Value::Activation(Builder::input()))]),
        builder,
        problems: Vec::new(),
    };
    walk.run(&live)
}

/// Version of the standard operator set.
fn opset(model: &ModelProto) -> Result<i64, OnnxError> {
    let standard = model.opset_import.iter().find(|set| is_standard(&set.domain));
    let found = standard.map(|set| set.version);
    match found {
        Some(version) if (OLDEST_OPSET..=NEWEST_OPSET).contains(&version) => Ok(version),
        _ => Err(OnnxError::OperatorSet { found }),
    }
}

fn is_standard(domain: &str) -> bool {
    matches!(domain, "" | "ai.onnx")
}

/// The one input and the name of the one output. Old files list initialisers among the inputs.
fn ends<'a>(
    graph: &'a GraphProto,
    initialisers: &HashMap<&str, &TensorProto>,
) -> Result<(&'a ValueInfoProto, &'a str), OnnxError> {
    let inputs: Vec<&ValueInfoProto> =
        graph.input.iter().filter(|input| !initialisers.contains_key(input.name.as_str())).collect();
    let [input] = inputs[..] else {
        return Err(OnnxError::Inputs { found: inputs.iter().map(|input| input.name.clone()).collect() });
    };
    let [output] = &graph.output[..] else {
        return Err(OnnxError::Outputs {
            found: graph.output.iter().map(|output| output.name.clone()).collect(),
        });
    };
    Ok((input, &output.name))
}

/// The number of images, if the file fixes it, and the shape of one.
fn input_shape(input: &ValueInfoProto) -> Result<(Option<usize>, Vec<usize>), OnnxError> {
    let error = |reason| OnnxError::Input { name: input.name.clone(), reason };
    let tensor = input.r#type.as_ref().and_then(|kind| kind.tensor_type.as_ref());
    let tensor = tensor.ok_or_else(|| error("it is not a tensor".to_owned()))?;
    if tensor.elem_type != data_type::FLOAT {
        let found = data_type_name(tensor.elem_type);
        return Err(error(format!("its values are {found}; expected float32, so convert the model to it")));
    }
    let dims = tensor.shape.as_ref().map(|shape| shape.dim.as_slice()).unwrap_or_default();
    if !(2..=MAX_RANK).contains(&dims.len()) {
        return Err(error(format!(
            "it has {} dimensions; expected the batch and at least one more",
            dims.len()
        )));
    }
    let mut extents = dims.iter().map(|dim| match dim.value {
        Some(Extent::Value(extent)) => usize::try_from(extent).ok().filter(|&extent| extent > 0),
        Some(Extent::Param(_)) | None => None,
    });
    let batch = extents.next().flatten();
    let open = "only the first dimension, the batch, may be open; export the model with a fixed image size";
    let shape: Option<Vec<usize>> = extents.collect();
    Ok((batch, shape.ok_or_else(|| error(open.to_owned()))?))
}

/// The nodes that the output depends on, in the file's order.
fn live_nodes<'a>(graph: &'a GraphProto, output: &str) -> Vec<&'a NodeProto> {
    let mut makers: HashMap<&str, Vec<usize>> = HashMap::new();
    for (i, node) in graph.node.iter().enumerate() {
        for name in node.output.iter().filter(|name| !name.is_empty()) {
            makers.entry(name).or_default().push(i);
        }
    }
    let mut is_live = vec![false; graph.node.len()];
    let mut pending: Vec<&str> = vec![output];
    while let Some(name) = pending.pop() {
        // Each maker is visited once, even if a hostile file names it a million times.
        for i in makers.remove(name).unwrap_or_default() {
            if !std::mem::replace(&mut is_live[i], true) {
                pending.extend(graph.node[i].input.iter().map(String::as_str));
            }
        }
    }
    graph.node.iter().zip(is_live).filter(|(_, live)| *live).map(|(node, _)| node).collect()
}

/// The initialiser that is the weight of `node`, if it is of a kind that has one.
fn weight<'a>(node: &NodeProto, initialisers: &HashMap<&'a str, &TensorProto>) -> Option<&'a str> {
    if !matches!(node.op_type.as_str(), "Conv" | "Gemm" | "MatMul" | "BatchNormalization") {
        return None;
    }
    initialisers.get_key_value(node.input.get(1)?.as_str()).map(|(name, _)| *name)
}

/// A note for each weight that several nodes use: here each has its own, and a fault in one is not a fault in the other.
fn shared_weights(weights: &[(&NodeProto, Option<&str>)]) -> Vec<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for name in weights.iter().filter_map(|(_, weight)| *weight) {
        *counts.entry(name).or_default() += 1;
    }
    let shared = counts.into_iter().filter(|(_, count)| *count > 1);
    shared
        .map(|(name, count)| format!("\"{name}\" is used by {count} nodes; each has a copy of its own"))
        .collect()
}

/// The walk over the graph's nodes.
struct Walk<'a> {
    opset: i64,
    fixed_batch: Option<usize>,
    output: &'a str,
    initialisers: HashMap<&'a str, &'a TensorProto>,
    uses: HashMap<&'a str, usize>,
    values: HashMap<&'a str, Value>,
    builder: Builder,
    problems: Vec<UnsupportedNode>,
}

impl<'a> Walk<'a> {
    fn run(mut self, nodes: &[&'a NodeProto]) -> Result<OnnxImport, OnnxError> {
        for (index, node) in nodes.iter().enumerate() {
            let value = self.lower_node(index, node).unwrap_or_else(|reason| {
                let (name, op_type) = (node.name.clone(), node.op_type.clone());
                let output = node.output.first().cloned().unwrap_or_default();
                self.problems.push(UnsupportedNode { name, output, op_type, reason });
                Value::Failed
            });
            for name in node.output.iter().filter(|name| !name.is_empty()) {
                self.values.insert(name, value.clone());
            }
        }
        if !self.problems.is_empty() {
            return Err(OnnxError::Unsupported { nodes: self.problems });
        }
        let Some(Value::Activation(output)) = self.values.get(self.output) else {
            return Err(OnnxError::ConstantOutput { name: self.output.to_owned() });
        };
        let (network, notes) = self.builder.finish(*output)?;
        Ok(OnnxImport { network, notes })
    }

    fn lower_node(&mut self, index: usize, node: &'a NodeProto) -> Result<Value, String> {
        if !is_standard(&node.domain) {
            return Err(format!("operators of domain \"{}\" are not supported", node.domain));
        }
        let lower = operator(&node.op_type).ok_or("the operator is not supported")?;
        self.check_outputs(node)?;
        let inputs = node.input.iter().map(|name| self.input(name)).collect::<Result<Vec<_>, _>>()?;
        if inputs.iter().flatten().any(|input| matches!(input.value, Value::Failed)) {
            return Ok(Value::Failed);
        }
        let mut call = Call {
            node,
            index,
            opset: self.opset,
            fixed_batch: self.fixed_batch,
            is_last: node.output[0] == self.output && self.uses.get(self.output) == Some(&1),
            inputs,
            attributes: Attributes::new(&node.attribute),
        };
        let value = lower(&mut self.builder, &mut call)?;
        call.attributes.finish()?;
        Ok(value)
    }

    fn check_outputs(&self, node: &NodeProto) -> Result<(), String> {
        let (first, rest) = node.output.split_first().ok_or("it has no output")?;
        if first.is_empty() || rest.iter().any(|name| self.uses.contains_key(name.as_str())) {
            return Err("only its first output is supported".to_owned());
        }
        if self.values.contains_key(first.as_str()) || self.initialisers.contains_key(first.as_str()) {
            return Err(format!("its output \"{first}\" exists already"));
        }
        Ok(())
    }

    /// The input `name`; `None` for the empty name, which stands for an optional input left out.
    fn input(&mut self, name: &'a str) -> Result<Option<Input<'a>>, String> {
        if name.is_empty() {
            return Ok(None);
        }
        let tensor = self.initialisers.get(name).copied();
        let value = match (self.values.get(name), tensor) {
            (Some(value), _) => value.clone(),
            (None, Some(tensor)) => {
                let stored = constants::stored(&mut self.builder, tensor, name);
                self.values.insert(name, stored.clone().unwrap_or(Value::Failed));
                stored.map_err(|reason| format!("initialiser \"{name}\": {reason}"))?
            }
            (None, None) => return Err(format!("its input \"{name}\" is made by no earlier node")),
        };
        let uses = self.uses.get(name).copied().unwrap_or_default();
        Ok(Some(Input { name, value, uses, is_initialiser: tensor.is_some() }))
    }
}

//! Networks from ONNX files.
//!
//! [`read`] takes the bytes of an ONNX model and returns the [`Network`] that computes the same, image by image: the first
//! dimension of the model's input is the batch, of which a network knows nothing. What is not supported is an error that lists
//! every node in question; where the network differs from the file in rounding or in what it returns, a note says so.
//!
//! The format and the meaning of its operators are those of ONNX 1.17 to 1.23
//! (<https://onnx.ai/onnx/operators/>), operator sets [`OLDEST_OPSET`] to [`NEWEST_OPSET`]:
//!
//! - `Conv`, `Gemm`, `MatMul` with a constant matrix (an addition that follows becomes its bias), `BatchNormalization`;
//! - `Relu`, `LeakyRelu`, `Clip`, `Sigmoid`, `Tanh`, `Softmax`, and `LogSoftmax` as the last node;
//! - `MaxPool`, `AveragePool`, `GlobalMaxPool`, `GlobalAveragePool`, `ReduceMean` over rows and columns. Windows that start in
//!   the padding after the image do not count under `ceil_mode`, as operator set 22 makes explicit;
//! - `Add`, `Mul`, `Concat`, and `Sub` and `Div` by constants;
//! - `Flatten`, `Reshape`, `Transpose`, `Squeeze`, `Unsqueeze`, `Pad`, `Identity`, `Dropout`, `Cast` to float32, and `Slice` that
//!   takes every s-th row and column;
//! - arithmetic on shapes (`Shape`, `Gather`, `Slice`, `Concat`, …) whose result is known before the network runs.

mod arithmetic;
mod attributes;
mod builder;
mod call;
mod constants;
mod dense;
mod graph;
mod layout;
#[cfg(test)]
mod mutation_tests;
mod names;
mod pointwise;
mod proto;
mod slice;
mod spatial;
mod tensor;
#[cfg(test)]
mod tests;

use std::fmt;

use prost::Message;
use thiserror::Error;

use super::super::graph::{Network, NetworkError};

/// The oldest version of the standard operator set that is read: from it on, operators broadcast as in NumPy.
pub const OLDEST_OPSET: i64 = 7;

/// The newest version of the standard operator set that is read.
pub const NEWEST_OPSET: i64 = 28;

/// A network read from an ONNX file.
#[derive(Debug, Clone, PartialEq)]
pub struct OnnxImport {
    /// The network.
    pub network: Network,
    /// Sentences on where the network computes or returns something else than the file, for the user to read.
    pub notes: Vec<String>,
}

/// Why an ONNX file does not make a network.
#[derive(Debug, Error)]
pub enum OnnxError {
    /// The bytes are not an ONNX model.
    #[error("the file is not an ONNX model, or it is damaged")]
    Decode(#[from] prost::DecodeError),
    /// A message without a graph; an empty file is one.
    #[error("the file holds no graph; is it an ONNX model?")]
    NoGraph,
    /// The version of the standard operator set is missing or not supported.
    #[error(
        "the file uses {}; versions {OLDEST_OPSET} to {NEWEST_OPSET} are supported, so export the model with `opset_version=17`",
        found.map_or("no version of the standard operator set".to_owned(), |v| format!("version {v} of the operator set"))
    )]
    OperatorSet {
        /// The version found.
        found: Option<i64>,
    },
    /// Not exactly one input.
    #[error(
        "the graph has {}; expected one, the images, so export the model with that input alone",
        listed(found, "input")
    )]
    Inputs {
        /// Names of the inputs that are not stored tensors.
        found: Vec<String>,
    },
    /// Not exactly one output.
    #[error(
        "the graph has {}; expected one, the logits, so export the model with that output alone",
        listed(found, "output")
    )]
    Outputs {
        /// Names of the outputs.
        found: Vec<String>,
    },
    /// The input's type or shape is not supported.
    #[error("the graph's input \"{name}\": {reason}")]
    Input {
        /// Its name.
        name: String,
        /// What was found and expected.
        reason: String,
    },
    /// The output does not depend on the input, or no node makes it.
    #[error("the graph's output \"{name}\" is not computed from its input; is the file complete?")]
    ConstantOutput {
        /// Its name.
        name: String,
    },
    /// Nodes that are not supported. A node behind one of them is listed only if its own operator is not supported.
    #[error("{} of the graph {} not supported:{}", counted(nodes.len()), if nodes.len() == 1 { "is" } else { "are" }, lines(nodes))]
    Unsupported {
        /// All such nodes that the output depends on.
        nodes: Vec<UnsupportedNode>,
    },
    /// The nodes do not make a network.
    #[error(transparent)]
    Network(#[from] NetworkError),
}

/// A node of an ONNX graph that has no counterpart in a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsupportedNode {
    /// Its name; may be empty.
    pub name: String,
    /// The name of its first output.
    pub output: String,
    /// Its operator.
    pub op_type: String,
    /// What was found and expected.
    pub reason: String,
}

impl fmt::Display for UnsupportedNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.name.is_empty() { &self.output } else { &self.name };
        write!(f, "\"{name}\" ({}): {}", self.op_type, self.reason)
    }
}

/// The network of an ONNX model, from the file's bytes.
///
/// Shapes leave the batch out: an input `[N, C, H, W]` becomes `[C, H, W]`, an input `[N, H, W, C]` stays in that order and is
/// transposed by nodes of the graph. Nodes are named by the modules' dotted paths as far as the file tells them
/// (`layer1.0.conv1`); nodes that the output does not depend on are left out.
///
/// # Errors
/// When the bytes are not an ONNX model, the operator set is too old or too new, the graph has several inputs or outputs or an
/// input of unknown size, or nodes are not supported, in which case the error lists all of them.
pub fn read(bytes: &[u8]) -> Result<OnnxImport, OnnxError> {
    graph::lower(&proto::ModelProto::decode(bytes)?, bytes.len())
}

fn listed(names: &[String], what: &str) -> String {
    match names {
        [] => format!("no {what}"),
        _ => format!("{} {what}s ({})", names.len(), names.join(", ")),
    }
}

fn counted(nodes: usize) -> String {
    format!("{nodes} node{}", if nodes == 1 { "" } else { "s" })
}

fn lines(nodes: &[UnsupportedNode]) -> String {
    nodes.iter().fold(String::new(), |lines, node| lines + "\n  " + &node.to_string())
}

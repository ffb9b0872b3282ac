//! Networks as run-time data.
//!
//! A [`Network`] is a list of named [`Node`]s in execution order, each an [`Op`] applied to the outputs of earlier nodes, and a
//! map from dotted PyTorch-style paths (`layer1.0.conv1.weight`) to parameters. It knows nothing of faults.
//!
//! Shapes of activations leave the batch dimension out: an image is `[C, H, W]`, a feature vector `[features]`. Every operator
//! treats the images of a batch independently.
//!
//! A [`Model`], a network with the preprocessing of its inputs, is what a model file holds; [`import`] reads the weights that other
//! programs wrote.

mod cost;
mod description;
mod float;
mod geometry;
mod graph;
pub mod import;
mod model_file;
mod op;
mod shape;
mod windows;
pub mod zoo;

pub use description::{GraphDescription, NodeDescription};
pub use geometry::{Padding2d, Pair};
pub use graph::{INPUT, Network, NetworkError, Node, NodeId, Parameter};
pub use model_file::{Model, ModelError};
pub use op::{Op, ParameterKind, ParameterSpec};

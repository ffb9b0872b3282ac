//! `temper model`: import and inspect.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Args, Subcommand};
use serde::Serialize;
use temper_core::data::Preprocessing;
use temper_core::network::import::{StateDict, read_weights};
use temper_core::network::{Model, ModelError, Network, NodeId};

use super::model_import::{ImportArgs, import};
use super::print_json;
use crate::output::table::{Table, grouped, shape};

/// Arguments of `temper model`.
#[derive(Debug, Args)]
pub(crate) struct ModelArgs {
    #[command(subcommand)]
    command: ModelCommand,
}

#[derive(Debug, Subcommand)]
enum ModelCommand {
    /// Make a model file of a trained network: of weights and an architecture, or of an ONNX file
    Import(Box<ImportArgs>),
    /// Show a network's layers, shapes, parameters and multiply-accumulates; of a plain checkpoint its tensors
    Inspect {
        /// Model file, or a checkpoint (.safetensors, .pt, .pth, .th)
        file: PathBuf,
        /// Print JSON instead of text
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(args: &ModelArgs, out: &mut dyn Write) -> Result<()> {
    match &args.command {
        ModelCommand::Import(args) => import(args, out),
        ModelCommand::Inspect { file, json } => inspect(file, *json, out),
    }
}

/// A node as shown.
#[derive(Debug, Serialize)]
struct NodeInfo<'a> {
    name: &'a str,
    op: &'static str,
    output_shape: &'a [usize],
    parameters: usize,
    multiply_accumulates: u64,
}

/// A model as shown.
#[derive(Debug, Serialize)]
struct ModelInfo<'a> {
    input_shape: &'a [usize],
    preprocessing: &'a Preprocessing,
    nodes: Vec<NodeInfo<'a>>,
    parameters: usize,
    multiply_accumulates: u64,
}

fn describe(model: &Model) -> ModelInfo<'_> {
    let network: &Network = &model.network;
    let mut counts = vec![0; network.nodes().len()];
    for (_, parameter) in network.parameters() {
        counts[parameter.node.0] += parameter.tensor.data().len();
    }
    let nodes = network.nodes().iter().zip(counts).enumerate().map(|(i, (node, parameters))| NodeInfo {
        name: &node.name,
        op: node.op.kind(),
        output_shape: network.shape(NodeId(i)),
        parameters,
        multiply_accumulates: network.multiply_accumulates(NodeId(i)),
    });
    let nodes = nodes.collect::<Vec<_>>();
    ModelInfo {
        input_shape: network.input_shape(),
        preprocessing: &model.preprocessing,
        parameters: nodes.iter().map(|node| node.parameters).sum(),
        multiply_accumulates: nodes.iter().map(|node| node.multiply_accumulates).sum(),
        nodes,
    }
}

fn inspect(file: &Path, json: bool, out: &mut dyn Write) -> Result<()> {
    let model = match Model::load(file) {
        Ok(model) => model,
        Err(error) if is_no_model_file(&error) => {
            return inspect_weights(&read_weights(file, None)?, json, out);
        }
        Err(error) => return Err(error.into()),
    };
    let info = describe(&model);
    if json {
        return print_json(&info, out);
    }
    let mut table = Table::new(&["layer", "operator", "output", "parameters", "MACs"]).right(3).right(4);
    for node in &info.nodes {
        let count = |n: u64| if n == 0 { String::new() } else { grouped(n) };
        table.row([
            node.name.to_owned(),
            node.op.to_owned(),
            shape(node.output_shape),
            count(node.parameters as u64),
            count(node.multiply_accumulates),
        ]);
    }
    write!(out, "{table}")?;
    let Preprocessing { mean, std, layout } = &model.preprocessing;
    writeln!(
        out,
        "\n{} parameters, {} multiply-accumulates an image",
        grouped(info.parameters as u64),
        grouped(info.multiply_accumulates)
    )?;
    writeln!(
        out,
        "input {} ({layout}), pixels scaled to 0..1, minus {mean:?}, divided by {std:?}",
        shape(info.input_shape)
    )?;
    Ok(())
}

/// Whether a file is no model file at all, rather than a bad one.
fn is_no_model_file(error: &ModelError) -> bool {
    match error {
        ModelError::Load { source, .. } => is_no_model_file(source),
        ModelError::PlainWeights | ModelError::SafeTensors(_) => true,
        _ => false,
    }
}

/// A tensor as shown.
#[derive(Debug, Serialize)]
struct TensorInfo<'a> {
    name: &'a str,
    shape: &'a [usize],
}

fn inspect_weights(weights: &StateDict, json: bool, out: &mut dyn Write) -> Result<()> {
    let tensors: Vec<_> =
        weights.entries().iter().map(|(name, tensor)| TensorInfo { name, shape: tensor.shape() }).collect();
    if json {
        return print_json(&tensors, out);
    }
    let mut table = Table::new(&["tensor", "shape", "values"]).right(2);
    let mut total = 0;
    for TensorInfo { name, shape: extents } in tensors {
        let count = extents.iter().product::<usize>() as u64;
        total += count;
        table.row([name.to_owned(), shape(extents), grouped(count)]);
    }
    writeln!(
        out,
        "{table}\n{} values; plain weights without a network: see `temper model import`",
        grouped(total)
    )?;
    Ok(())
}

//! `temper model import`: a model file from someone else's network.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};
use serde_json::Value;
use temper_core::data::{Layout, Preprocessing};
use temper_core::network::import::{fit, onnx, read_weights};
use temper_core::network::zoo::{ArchitectureOptions, Family, Nonlinearity, Pooling, Shortcut};
use temper_core::network::{GraphDescription, Model, Network};

use crate::output::table::{grouped, shape};

/// Arguments of `temper model import`.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// Architecture of the weights: mlp, lenet5, vgg13, vgg16, resnet18, resnet34, resnet20 (or another 6n+2), or a TOML file
    /// that describes the network
    #[arg(long, value_name = "NAME|FILE", requires = "weights", required_unless_present = "onnx")]
    arch: Option<String>,
    /// Trained weights: safetensors, or a PyTorch checkpoint (.pt, .pth, .th)
    #[arg(long, value_name = "FILE", requires = "arch")]
    weights: Option<PathBuf>,
    /// Which part of a PyTorch checkpoint holds the weights, if it cannot be told
    #[arg(long, value_name = "KEY", requires = "weights")]
    key: Option<String>,
    /// A network with its weights in ONNX form
    #[arg(long, value_name = "FILE", conflicts_with_all = ["arch", "weights"])]
    onnx: Option<PathBuf>,
    /// Mean of each channel, of pixels scaled to 0..1 [default: 0]
    #[arg(long, value_name = "M,…", value_delimiter = ',', allow_negative_numbers = true)]
    mean: Vec<f32>,
    /// Standard deviation of each channel, of pixels scaled to 0..1 [default: 1]
    #[arg(long, value_name = "S,…", value_delimiter = ',', allow_negative_numbers = true)]
    std: Vec<f32>,
    /// Order of an input image's dimensions [default: told from the network's input]
    #[arg(long)]
    layout: Option<LayoutArg>,
    /// Change a field of a layer, such as bn1.eps=1e-3; may be repeated
    #[arg(long = "set", value_name = "LAYER.FIELD=VALUE")]
    changes: Vec<String>,
    /// Where the model file goes
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    architecture: ArchitectureArgs,
}

/// Options of an architecture; what is not given is read off the weights.
#[derive(Debug, Args)]
#[group(conflicts_with = "onnx")]
#[command(next_help_heading = "Architecture (what is not given is read off the weights)")]
struct ArchitectureArgs {
    /// Shape of an input image
    #[arg(long, value_name = "C,H,W", value_delimiter = ',')]
    input: Option<Vec<usize>>,
    /// Number of classes
    #[arg(long, value_name = "N")]
    classes: Option<usize>,
    /// Widths: hidden layers of an MLP; channels and features of LeNet-5; stages of a ResNet or VGG
    #[arg(long, value_name = "W,…", value_delimiter = ',')]
    widths: Option<Vec<usize>>,
    /// Shortcut of a CIFAR ResNet: a (zero padding) or b (1×1 convolution)
    #[arg(long)]
    shortcut: Option<ShortcutArg>,
    /// Padding of LeNet-5's first convolution
    #[arg(long, value_name = "N")]
    padding: Option<usize>,
    /// Nonlinearity of an MLP or LeNet-5 [default: relu]
    #[arg(long)]
    nonlinearity: Option<NonlinearityArg>,
    /// Pooling of LeNet-5 [default: max]
    #[arg(long)]
    pooling: Option<PoolingArg>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LayoutArg {
    Nchw,
    Nhwc,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ShortcutArg {
    A,
    B,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum NonlinearityArg {
    Relu,
    Tanh,
    Sigmoid,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PoolingArg {
    Max,
    Avg,
}

impl ArchitectureArgs {
    fn options(&self) -> ArchitectureOptions {
        ArchitectureOptions {
            input: self.input.clone(),
            classes: self.classes,
            widths: self.widths.clone(),
            shortcut: self.shortcut.map(|shortcut| match shortcut {
                ShortcutArg::A => Shortcut::A,
                ShortcutArg::B => Shortcut::B,
            }),
            padding: self.padding,
            nonlinearity: self.nonlinearity.map(|nonlinearity| match nonlinearity {
                NonlinearityArg::Relu => Nonlinearity::Relu,
                NonlinearityArg::Tanh => Nonlinearity::Tanh,
                NonlinearityArg::Sigmoid => Nonlinearity::Sigmoid,
            }),
            pooling: self.pooling.map(|pooling| match pooling {
                PoolingArg::Max => Pooling::Max,
                PoolingArg::Avg => Pooling::Avg,
            }),
        }
    }
}

/// A network and what the user should know of how it came about.
type Imported = (Network, Vec<String>);

pub(super) fn import(args: &ImportArgs, out: &mut dyn Write) -> Result<()> {
    let (network, mut notes) = match (&args.onnx, &args.arch, &args.weights) {
        (Some(file), ..) => import_onnx(file)?,
        (None, Some(arch), Some(weights)) => import_weights(arch, weights, args)?,
        _ => bail!("give either --onnx, or --arch and --weights"),
    };
    let network = change(network, &args.changes)?;
    if args.mean.is_empty() && args.std.is_empty() {
        notes.push("pixels are only scaled to 0..1: if the network was trained on normalised images, give --mean and --std".to_owned());
    }
    let preprocessing = preprocessing(args, &network)?;
    let model = Model { network, preprocessing };
    model.save(&args.output)?;
    for note in notes {
        eprintln!("note: {note}");
    }
    let parameters: usize = model.network.tensors().values().map(|tensor| tensor.data().len()).sum();
    let input = shape(model.network.input_shape());
    writeln!(out, "{}: {} parameters, input {input}", args.output.display(), grouped(parameters as u64))?;
    Ok(())
}

fn import_onnx(file: &Path) -> Result<Imported> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let import = onnx::read(&bytes).with_context(|| format!("cannot import {}", file.display()))?;
    Ok((import.network, import.notes))
}

fn import_weights(arch: &str, file: &Path, args: &ImportArgs) -> Result<Imported> {
    let weights = read_weights(file, args.key.as_deref())?;
    let blank = if Path::new(arch).extension().is_some() {
        let given = args.architecture.options() != ArchitectureOptions::default();
        ensure!(!given, "{arch} describes the whole network: leave the options of architectures out");
        let text = std::fs::read_to_string(arch).with_context(|| format!("cannot read {arch}"))?;
        let description: GraphDescription =
            toml::from_str(&text).with_context(|| format!("{arch} describes no network"))?;
        let (described, held) = (
            description.parameter_count(),
            weights.entries().iter().map(|(_, tensor)| tensor.data().len()).sum(),
        );
        // Before any memory is taken for them.
        ensure!(
            described <= usize::max(held, 1 << 24),
            "{arch} describes {described} parameters, but {} holds only {held}",
            file.display()
        );
        description.build().with_context(|| format!("{arch} describes no network"))?
    } else {
        let family: Family = arch.parse()?;
        let unused = args.architecture.options().unused(family);
        ensure!(unused.is_empty(), "{arch} has no option {}", unused.join(", "));
        let shapes = weights.entries().iter().map(|(_, tensor)| tensor.shape());
        let shapes: Vec<&[usize]> = shapes.filter(|shape| shape.len() > 1).collect();
        args.architecture
            .options()
            .infer(family, &shapes)
            .build()
            .with_context(|| format!("{arch} with these options"))?
    };
    let fitted = fit(weights, blank).with_context(|| format!("cannot use {} as {arch}", file.display()))?;
    Ok((fitted.network, fitted.notes))
}

/// Applies `--set LAYER.FIELD=VALUE`.
fn change(network: Network, changes: &[String]) -> Result<Network> {
    if changes.is_empty() {
        return Ok(network);
    }
    let mut description = GraphDescription::from(&network);
    for change in changes {
        let parts = change.split_once('=').and_then(|(path, value)| Some((path.rsplit_once('.')?, value)));
        let Some(((layer, field), value)) = parts else {
            bail!("--set {change}: expected LAYER.FIELD=VALUE, such as bn1.eps=1e-3");
        };
        let Some(node) = description.nodes.iter_mut().find(|node| node.name == layer) else {
            bail!("--set {change}: the network has no layer \"{layer}\"; see `temper model inspect`");
        };
        let mut op = serde_json::to_value(&node.op)?;
        let Some(slot) = op.get_mut(field).filter(|_| field != "kind") else {
            bail!("--set {change}: {} has no field \"{field}\"", node.op.kind());
        };
        *slot = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
        node.op = serde_json::from_value(op).with_context(|| format!("--set {change}"))?;
    }
    let parameters = network.tensors().clone();
    description.build_with(parameters).context("--set")
}

fn preprocessing(args: &ImportArgs, network: &Network) -> Result<Preprocessing> {
    let or = |values: &[f32], default| if values.is_empty() { vec![default] } else { values.to_vec() };
    // Grey or colour images whose channels come last.
    let channels_last = matches!(network.input_shape(), [first, _, 1 | 3] if !matches!(first, 1 | 3));
    let layout = match args.layout {
        Some(LayoutArg::Nhwc) => Layout::Nhwc,
        None if channels_last => Layout::Nhwc,
        Some(LayoutArg::Nchw) | None => Layout::Nchw,
    };
    let preprocessing = Preprocessing { mean: or(&args.mean, 0.0), std: or(&args.std, 1.0), layout };
    preprocessing.check_values().context("--mean and --std")?;
    let channels = match (layout, network.input_shape()) {
        (Layout::Nchw, [channels, ..]) | (Layout::Nhwc, [.., channels]) => *channels,
        _ => 1,
    };
    for (option, values) in [("--mean", &preprocessing.mean), ("--std", &preprocessing.std)] {
        if values.len() != 1 && values.len() != channels {
            bail!(
                "{option} has {} values; expected 1, or one for each of the {channels} channels",
                values.len()
            );
        }
    }
    Ok(preprocessing)
}

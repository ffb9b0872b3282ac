//! `temper eval`: accuracy without faults.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Result;
use clap::{Args, ValueEnum};
use serde::Serialize;
use temper_core::data::{Dataset, Split, load};
use temper_core::execution::{Program, count_correct, logits};
use temper_core::network::Model;

use super::data_dir::{DATA_DIR_HELP, resolve_data_dir};
use super::{Threads, print_json};
use crate::progress::Inferences;
use temper_core::campaign::Observer;

/// Arguments of `temper eval`.
#[derive(Debug, Args)]
pub(crate) struct EvalArgs {
    /// Model file (see `temper model import`)
    model: PathBuf,
    /// Name of the data set (see `temper data list`)
    #[arg(long, value_name = "NAME")]
    data: String,
    /// Part of the data set
    #[arg(long, default_value = "test")]
    split: SplitArg,
    /// Use only the first N images
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    #[arg(long, value_name = "DIR", help = DATA_DIR_HELP)]
    data_dir: Option<PathBuf>,
    /// Evaluate N times, and time the fastest
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    repeat: u16,
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    threads: Threads,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SplitArg {
    Train,
    Test,
}

impl From<SplitArg> for Split {
    fn from(split: SplitArg) -> Self {
        match split {
            SplitArg::Train => Self::Train,
            SplitArg::Test => Self::Test,
        }
    }
}

/// What is printed.
#[derive(Debug, Serialize)]
struct Evaluation {
    model: PathBuf,
    data: String,
    split: Split,
    images: usize,
    correct: u64,
    accuracy: f64,
    /// Of the fastest evaluation, without loading.
    seconds: f64,
    images_per_second: f64,
}

/// Loads the first `limit` images of a data set, or all of it; with a seed, so many images chosen at random.
pub(crate) fn load_data(
    name: &str,
    split: Split,
    limit: Option<usize>,
    selection_seed: Option<u64>,
    data_dir: Option<&Path>,
) -> Result<Dataset> {
    let dir = resolve_data_dir(data_dir)?;
    match (limit, selection_seed) {
        (Some(count), Some(seed)) => Ok(load(name, split, None, &dir)?.sample(count, seed)?),
        (limit, _) => Ok(load(name, split, limit, &dir)?),
    }
}

pub(super) fn run(args: &EvalArgs, out: &mut (dyn Write + Send)) -> Result<()> {
    let model = Model::load(&args.model)?;
    let data = load_data(&args.data, args.split.into(), args.limit, None, args.data_dir.as_deref())?;
    let inputs = model.preprocessing.bind(&data, model.network.input_shape())?;
    let (mut program, mut weights) = Program::compile(&model.network, &[], &[]);
    program.use_winograd(&mut weights);
    program.check_classes(&data)?;
    let bar = Inferences::new("evaluating", data.len() as u64 * u64::from(args.repeat));
    let mut seconds = f64::INFINITY;
    let mut outputs = Vec::new();
    args.threads.install(|| {
        for _ in 0..args.repeat {
            let began = Instant::now();
            outputs = logits(&program, &weights, &inputs, &|images| bar.inferences(images));
            seconds = seconds.min(began.elapsed().as_secs_f64());
        }
    })?;
    bar.finish();
    let correct = count_correct(&outputs, data.labels());
    let images = data.len();
    let evaluation = Evaluation {
        model: args.model.clone(),
        data: data.name().to_owned(),
        split: data.split(),
        images,
        correct,
        accuracy: correct as f64 / images as f64,
        seconds,
        images_per_second: images as f64 / seconds,
    };
    if args.json {
        return print_json(&evaluation, out);
    }
    let Evaluation { accuracy, images_per_second, .. } = evaluation;
    writeln!(
        out,
        "accuracy {accuracy:.4} ({correct} of {images} images of {}, {})",
        data.name(),
        data.split()
    )?;
    eprintln!("{seconds:.1} s, {images_per_second:.0} images/s");
    Ok(())
}

//! `temper train`.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use temper_train::device::Device;
use temper_train::recipe::RecipeSpec;
use temper_train::training::{Ended, Folder, Prepared, Training, TrainingResult};

use super::data_dir::{DATA_DIR_HELP, resolve_data_dir};
use super::device::DeviceArgs;
use super::{Threads, print_json};
use crate::exit::StoppedTraining;
use crate::output::table::Table;
use crate::progress::{Epochs, stop_on_ctrl_c};

/// Below the options in `--help`.
const HELP: &str = "\
The smallest recipe:

  seed = 1
  [data]
  set = \"digits\"
  [network]
  architecture = \"mlp\"
  [[phase]]
  epochs = 10
  batch_size = 50
  optimizer = { kind = \"adam\" }

Ctrl-C stops after the step in flight and leaves a checkpoint (exit code 4); with --resume the same command goes on, and ends with the \
same network, bit for bit. The best network becomes DIR/model.safetensors.";

/// Arguments of `temper train`.
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub(crate) struct TrainArgs {
    /// Recipe (see docs/recipe-reference.md)
    recipe: PathBuf,
    /// Folder of the run: records, checkpoints, networks; made if absent
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Go on from the folder's checkpoint
    #[arg(long)]
    resume: bool,
    #[command(flatten)]
    device: DeviceArgs,
    #[arg(long, value_name = "DIR", help = DATA_DIR_HELP)]
    data_dir: Option<PathBuf>,
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    threads: Threads,
}

pub(super) fn run(args: &TrainArgs, out: &mut (dyn Write + Send)) -> Result<()> {
    let text = fs::read_to_string(&args.recipe)
        .with_context(|| format!("cannot read the recipe {}", args.recipe.display()))?;
    let in_file = || args.recipe.display().to_string();
    let recipe = RecipeSpec::parse(&text).with_context(in_file)?;
    let base = args.recipe.parent().unwrap_or_else(|| "".as_ref());
    let data_dir = resolve_data_dir(args.data_dir.as_deref())?;
    let device = args.device.open()?;
    let prepared = Prepared::new(recipe, base, &data_dir).with_context(in_file)?;
    for warning in prepared.warnings() {
        eprintln!("warning: {warning}");
    }
    let find = if args.resume { Folder::find } else { Folder::open };
    let folder = find(&args.output, &prepared.recipe)?;
    if folder.has_checkpoint() && !args.resume {
        bail!(
            "{} holds a training already; go on with it with --resume, or give another folder with -o",
            args.output.display()
        );
    }
    let result = args.threads.install(|| train(&prepared, &folder, &device, ""))??;
    report(&result, &folder, args.json, out)
}

/// Trains, or goes on training, to the end. Lines about it begin with `name`, if it has one.
pub(crate) fn train(
    prepared: &Prepared,
    folder: &Folder,
    device: &Device,
    name: &str,
) -> Result<TrainingResult> {
    let mut training = Training::new(prepared, device)?;
    if folder.has_checkpoint() {
        training.resume(folder)?;
        eprintln!("{} of {} epochs are done already", training.history().len(), prepared.recipe.epochs());
    }
    stop_on_ctrl_c("stopping after this step");
    let epochs = Epochs::new(name, prepared.recipe.epochs(), prepared.train.len());
    let ended = training.run(folder, &epochs);
    epochs.finish();
    match ended? {
        Ended::Complete => Ok(training.result()),
        Ended::Stopped => {
            let (done, all) = (training.history().len(), prepared.recipe.epochs());
            Err(StoppedTraining { done, all }.into())
        }
    }
}

/// Tells what became of a training.
fn report(result: &TrainingResult, folder: &Folder, json: bool, out: &mut dyn Write) -> Result<()> {
    if json {
        return print_json(result, out);
    }
    let headings = ["phase", "epochs", "seconds", "start", "best", "at epoch", "test at best", "test at end"];
    let mut table = (1..headings.len()).fold(Table::new(&headings), Table::right);
    let share = |accuracy: f64| format!("{accuracy:.4}");
    for phase in &result.phases {
        table.row([
            phase.name.clone(),
            phase.epochs.to_string(),
            format!("{:.1}", phase.seconds),
            share(phase.start_accuracy),
            share(phase.best_accuracy),
            phase.best_epoch.to_string(),
            share(phase.best_test_accuracy),
            share(phase.last_test_accuracy),
        ]);
    }
    writeln!(out, "{table}\n{}", result.verdict.describe())?;
    // Before what goes to standard error.
    out.flush()?;
    eprintln!("the best network: {}", folder.path().join("model.safetensors").display());
    Ok(())
}

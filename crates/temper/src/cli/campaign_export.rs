//! `temper campaign export`.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use temper_core::campaign::CampaignDir;
use temper_core::write_atomically;

use crate::output::export::TrialColumns;
use crate::output::table::grouped;

/// Arguments of `temper campaign export`.
#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// Folder of the campaign
    dir: PathBuf,
    /// Form of the output
    #[arg(long, default_value = "csv")]
    format: Format,
    /// File to write, whole or not at all [default: standard output; required for parquet]
    #[arg(short, long, value_name = "FILE", required_if_eq("format", "parquet"))]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Csv,
    Json,
    Parquet,
}

pub(super) fn run(args: &ExportArgs, out: &mut (dyn Write + Send)) -> Result<()> {
    let dir = CampaignDir::open(&args.dir)?;
    let records = dir.records()?;
    let (done, all) = (records.by_trial.len() as u64, dir.info().trials());
    if done < all {
        eprintln!("note: {} of {} trials are not done yet", grouped(all - done), grouped(all));
    }
    let columns = TrialColumns::new(dir.info(), &records);
    let Some(file) = &args.output else { return write(&columns, args.format, out) };
    let mut content = Vec::new();
    write(&columns, args.format, &mut content)?;
    write_file(file, &content).with_context(|| format!("cannot write {}", file.display()))
}

fn write(columns: &TrialColumns, format: Format, out: &mut (dyn Write + Send)) -> Result<()> {
    match format {
        Format::Csv => columns.csv(out),
        Format::Json => columns.json(out),
        Format::Parquet => columns.parquet(out),
    }
}

/// Writes a file whole or not at all. What is there but is no ordinary file, such as a pipe or a device, is written to as it
/// stands: renaming would put a file in its place.
fn write_file(path: &Path, content: &[u8]) -> std::io::Result<()> {
    match fs::metadata(path) {
        Ok(found) if !found.is_file() => OpenOptions::new().write(true).open(path)?.write_all(content),
        _ => write_atomically(path, content),
    }
}

//! `temper campaign export`.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use temper_core::campaign::CampaignDir;
use temper_core::fault::ListedFault;
use temper_core::write_atomically;

use super::note_missing;
use super::replay::{ensure_same, load};
use crate::cli::data_dir::DATA_DIR_HELP;
use crate::cli::print_json;
use crate::output::export::TrialColumns;

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
    /// Write the faults of these trials instead, as a list that a `[[fault]]` can read (all conditions must be of one trial's)
    #[arg(long, conflicts_with = "all_faults")]
    faults: bool,
    /// The trial whose faults are written
    #[arg(long, value_name = "ID", requires = "faults")]
    trial: Option<u64>,
    /// Model file, if it is no longer where it was; for --faults
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    #[arg(long, value_name = "DIR", help = DATA_DIR_HELP)]
    data_dir: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum Format {
    Csv,
    Json,
    Parquet,
}

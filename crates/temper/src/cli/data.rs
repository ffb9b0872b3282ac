//! `temper data`: list, verify and fetch data sets.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use temper_core::data::{CatalogEntry, FileReport, FileStatus, Source, catalog, find, verify};
use thiserror::Error;

use super::data_dir::{DATA_DIR_HELP, resolve_data_dir};
use super::print_json;
use crate::fetch::{Fetched, Progress, fetch};

/// Arguments of `temper data`.
#[derive(Debug, Args)]
pub(crate) struct DataArgs {
    #[command(subcommand)]
    command: DataCommand,
    #[arg(long, value_name = "DIR", global = true, help = DATA_DIR_HELP)]
    data_dir: Option<PathBuf>,
    /// Print JSON instead of text
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum DataCommand {
    /// List the data sets known by name
    List,
    /// Compare the files of data sets with their checksums
    Verify {
        /// The data sets [default: all that are there]
        #[arg(value_name = "NAME")]
        names: Vec<String>,
    },
    /// Download the files of a data set that are missing or damaged
    Fetch {
        /// The data set
        name: String,
        /// Server to use instead of the official one: what stands before the file names
        #[arg(long, value_name = "URL")]
        mirror: Option<String>,
    },
}

/// Files were found that are not as they should be; which ones was printed.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "{count} of the files are missing or differ from their checksums; `temper data fetch NAME` gets them anew"
)]
pub(crate) struct NotWhole {
    /// How many.
    pub(crate) count: usize,
}

/// Runs `temper data`; what was asked for goes to `out`, progress to a terminal on standard error.
///
/// # Errors
/// When a data set is unknown, fetching fails, a verified file is not whole ([`NotWhole`]) or `out` cannot be written.
pub(crate) fn run(args: &DataArgs, out: &mut dyn Write) -> Result<()> {
    let data_dir = resolve_data_dir(args.data_dir.as_deref())?;
    match &args.command {
        DataCommand::List => list(&data_dir, args.json, out),
        DataCommand::Verify { names } => verify_all(names, &data_dir, args.json, out),
        DataCommand::Fetch { name, mirror } => fetch_one(name, mirror.as_deref(), &data_dir, args.json, out),
    }
}

/// A data set as listed.
#[derive(Debug, Serialize)]
struct Listed {
    name: &'static str,
    summary: &'static str,
    citation: &'static str,
    shape: [usize; 3],
    classes: usize,
    train_images: usize,
    test_images: usize,
    download_bytes: u64,
    files: usize,
    files_there: usize,
}

impl Listed {
    fn new(entry: &CatalogEntry, data_dir: &Path) -> Self {
        Self {
            name: entry.name,
            summary: entry.summary,
            citation: entry.citation,
            shape: entry.shape,
            classes: entry.classes,
            train_images: entry.train_images,
            test_images: entry.test_images,
            download_bytes: entry.download_bytes(),
            files: entry.files.len(),
            files_there: entry.files.iter().filter(|file| file.is_there(data_dir)).count(),
        }
    }

    fn state(&self) -> String {
        match self.files_there {
            _ if self.files == 0 => "built in".to_owned(),
            0 => "not here".to_owned(),
            there if there == self.files => "here".to_owned(),
            there => format!("{there} of {} files here", self.files),
        }
    }
}

fn list(data_dir: &Path, json: bool, out: &mut dyn Write) -> Result<()> {
    let listed: Vec<_> = catalog().iter().map(|entry| Listed::new(entry, data_dir)).collect();
    if json {
        return print_json(&listed, out);
    }
    writeln!(out, "data directory: {}\n", data_dir.display())?;
    writeln!(out, "{:<14} {:>6} {:>6}  {:<8} {:>9}  state", "name", "train", "test", "image", "download")?;
    for data in &listed {
        let [c, h, w] = data.shape;
        let image = format!("{c}x{h}x{w}");
        let download = match data.download_bytes {
            0 => "-".to_owned(),
            bytes => format!("{:.1} MB", bytes as f64 / 1e6),
        };
        let (name, train, test, state) = (data.name, data.train_images, data.test_images, data.state());
        writeln!(out, "{name:<14} {train:>6} {test:>6}  {image:<8} {download:>9}  {state}")?;
    }
    Ok(())
}

/// The files of a data set as verified.
#[derive(Debug, Serialize)]
struct Verified {
    name: &'static str,
    files: Vec<FileReport>,
}

fn verify_all(names: &[String], data_dir: &Path, json: bool, out: &mut dyn Write) -> Result<()> {
    let entries: Vec<&CatalogEntry> = if names.is_empty() {
        let is_there = |entry: &&CatalogEntry| entry.files.iter().any(|file| file.is_there(data_dir));
        catalog().iter().filter(is_there).collect()
    } else {
        names.iter().map(|name| find(name)).collect::<Result<_, _>>()?
    };
    let mut verified = Vec::new();
    for entry in entries {
        verified.push(Verified { name: entry.name, files: verify(entry.name, data_dir)? });
    }
    if json {
        print_json(&verified, out)?;
    } else {
        print_verified(&verified, data_dir, out)?;
    }
    let count = verified.iter().flat_map(|data| &data.files).filter(|file| !file.status.is_ok()).count();
    if count > 0 { Err(NotWhole { count }.into()) } else { Ok(()) }
}

fn print_verified(verified: &[Verified], data_dir: &Path, out: &mut dyn Write) -> Result<()> {
    if verified.is_empty() {
        writeln!(out, "no data set is in {}", data_dir.display())?;
    }
    for Verified { name, files } in verified {
        if files.is_empty() {
            writeln!(out, "built in    {name}")?;
        }
        for FileReport { path, status } in files {
            let path = path.display();
            match status {
                FileStatus::Ok { .. } => writeln!(out, "ok          {path}")?,
                FileStatus::Missing => writeln!(out, "missing     {path}")?,
                FileStatus::Differs { algorithm, expected, found } => {
                    writeln!(out, "differs     {path}: {algorithm} {found}, expected {expected}")?;
                }
                FileStatus::Unreadable { reason } => writeln!(out, "unreadable  {path}: {reason}")?,
            }
        }
    }
    Ok(())
}

fn fetch_one(
    name: &str,
    mirror: Option<&str>,
    data_dir: &Path,
    json: bool,
    out: &mut dyn Write,
) -> Result<()> {
    let entry = find(name)?;
    // Draws only where standard error is a terminal.
    let bar = ProgressBar::new(0).with_style(ProgressStyle::with_template(
        "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
    )?);
    let outcomes = fetch(entry, data_dir, mirror, &mut |Progress { file, done, total }| {
        if bar.message() != file {
            bar.set_message(file.to_owned());
            bar.set_length(total);
            bar.reset_eta();
        }
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let outcomes = outcomes?;
    if json {
        return print_json(&outcomes, out);
    }
    if entry.source == Source::Embedded {
        writeln!(out, "built in       {name}")?;
    }
    for Fetched { path, fetched } in outcomes {
        let what = if fetched { "fetched" } else { "already there" };
        writeln!(out, "{what:<13}  {}", path.display())?;
    }
    Ok(())
}

#[cfg(test)]
#[path = "data_tests.rs"]
mod tests;

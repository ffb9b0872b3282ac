//! `temper report`.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use temper_report::{read, write};

use super::print_json;

/// The folder of a report in the directory it is about.
pub(crate) const REPORT: &str = "report";

/// Arguments of `temper report`.
#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// Folder of an experiment, a campaign, a training or a study; it need not be complete
    dir: PathBuf,
    /// Folder for the report; made if absent [default: DIR/report]
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,
    /// Open the page in the browser
    #[arg(long)]
    open: bool,
    /// Print the paths of all files as JSON instead of that of the page
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &ReportArgs, out: &mut dyn Write) -> Result<()> {
    let report = read(&args.dir)?;
    let folder = args.output.clone().unwrap_or_else(|| args.dir.join(REPORT));
    let written = write(&report, &folder)?;
    if args.json {
        print_json(&written, out)?;
    } else {
        writeln!(out, "{}", written.page.display())?;
        eprintln!(
            "{} figures (SVG and PNG) and {} tables (CSV) are beside it",
            written.figures.len() / 2,
            written.tables.len()
        );
    }
    out.flush()?;
    if args.open {
        open::that(&written.page).with_context(|| format!("cannot open {}", written.page.display()))?;
    }
    Ok(())
}

//! The `temper` command: finds out how a neural network fails on faulty hardware.

mod cli;
mod exit;
mod experiment;
mod fetch;
mod output;
mod progress;
mod quickstart;

use std::io::{BufWriter, Write};
use std::process::ExitCode;

use clap::Parser;
use temper_kernels::LargePages;

#[global_allocator]
static ALLOCATOR: LargePages = LargePages;

fn main() -> ExitCode {
    let arguments = cli::Arguments::parse();
    exit::report_bugs();
    let run = || {
        let mut out = BufWriter::new(std::io::stdout());
        let result = cli::run(&arguments, &mut out);
        // What was printed before an error belongs to the output too.
        let flushed = out.flush().map_err(anyhow::Error::from);
        exit::code(result.and(flushed))
    };
    std::panic::catch_unwind(run).unwrap_or(ExitCode::from(exit::BUG))
}

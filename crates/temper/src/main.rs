//! The `temper` command.

mod cli;
mod fetch;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Find out how a neural network fails on faulty hardware
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List, verify and fetch data sets
    Data(cli::data::DataArgs),
}

fn main() -> ExitCode {
    let Command::Data(args) = Arguments::parse().command;
    match cli::data::run(&args, &mut std::io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(3)
        }
    }
}

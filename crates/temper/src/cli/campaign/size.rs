//! `temper campaign size`: how many faults a margin of error asks for.

use std::io::Write;

use anyhow::{Context, Result};
use clap::{ArgGroup, Args};
use serde::Serialize;
use temper_core::statistics::{margin, normal_quantile, sample_size, table_quantile};

use crate::cli::print_json;
use crate::output::table::grouped;

/// Arguments of `temper campaign size`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("wanted").required(true).args(["margin", "sample"]))]
pub(super) struct SizeArgs {
    /// Number of different faults there are; infinitely many, if absent
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    population: Option<u64>,
    /// Margin of error of the share to estimate, such as 0.01: print the sample size it takes
    #[arg(long, value_name = "E")]
    margin: Option<f64>,
    /// Number of faults in a sample: print the margin of error it gives
    #[arg(long, value_name = "N")]
    sample: Option<u64>,
    /// Confidence level of the margin
    #[arg(long, value_name = "C", default_value_t = 0.95)]
    confidence: f64,
    /// The share expected; 0.5 is right for any
    #[arg(long, value_name = "P", default_value_t = 0.5)]
    proportion: f64,
    /// Use the exact quantile of the normal distribution, not that of printed tables (2.58 for 99 %)
    #[arg(long)]
    exact_quantile: bool,
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
}

/// What is printed.
#[derive(Debug, Serialize)]
struct SizeReport {
    sample_size: u64,
    population: Option<u64>,
    margin: f64,
    confidence: f64,
    proportion: f64,
    quantile: f64,
}

impl SizeArgs {
    fn size(&self) -> Result<SizeReport> {
        let Self { population, confidence, proportion, .. } = *self;
        let quantile = if self.exact_quantile { normal_quantile } else { table_quantile };
        let quantile = quantile(confidence).with_context(|| {
            format!("--confidence: expected more than 0 and less than 1, such as 0.95, found {confidence}")
        })?;
        let (sample_size, margin) = match (self.margin, self.sample) {
            (Some(wanted), _) => (sample_size(population, wanted, quantile, proportion)?, wanted),
            (None, Some(sample)) => (sample, margin(sample, population, quantile, proportion)?),
            (None, None) => anyhow::bail!("expected --margin or --sample"),
        };
        Ok(SizeReport { sample_size, population, margin, confidence, proportion, quantile })
    }
}

pub(super) fn run(args: &SizeArgs, out: &mut dyn Write) -> Result<()> {
    let size = args.size()?;
    if args.json {
        return print_json(&size, out);
    }
    let SizeReport { sample_size, population, margin, confidence, proportion, quantile } = size;
    let population = population.map_or("infinitely many".to_owned(), grouped);
    writeln!(
        out,
        "{} of {population} faults: margin {margin} at confidence {confidence}",
        grouped(sample_size)
    )?;
    writeln!(out, "for an expected share of {proportion}, with the quantile {quantile}")?;
    Ok(())
}

//! `temper preset`: the specifications that the program carries.

use std::io::Write;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use serde::Serialize;

use super::print_json;
use crate::output::table::Table;

/// A built-in campaign specification.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Preset {
    /// Its name.
    pub(crate) name: &'static str,
    /// The specification, in TOML; its first comment says what it is and where it comes from.
    pub(crate) text: &'static str,
}

macro_rules! preset {
    ($name:literal) => {
        Preset { name: $name, text: include_str!(concat!("../../presets/", $name, ".toml")) }
    };
}

/// All of them.
pub(crate) const PRESETS: [Preset; 10] = [
    preset!("thesis-zeroing-0.1"),
    preset!("thesis-zeroing-1"),
    preset!("thesis-bits"),
    preset!("flatenn"),
    preset!("ares"),
    preset!("pytorchfi-neuron"),
    preset!("pytorchfi-weight"),
    preset!("sfi-network"),
    preset!("sfi-layer"),
    preset!("sfi-bit"),
];

/// Arguments of `temper preset`.
#[derive(Debug, Args)]
pub(crate) struct PresetArgs {
    #[command(subcommand)]
    command: PresetCommand,
}

#[derive(Debug, Subcommand)]
enum PresetCommand {
    /// List the built-in campaigns
    List {
        /// Print JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// Print one, as a specification to be changed
    Show {
        /// Its name
        name: String,
    },
}

/// The preset of that name.
pub(crate) fn find(name: &str) -> Result<&'static Preset> {
    let names = || PRESETS.map(|preset| preset.name).join(", ");
    PRESETS
        .iter()
        .find(|preset| preset.name == name)
        .with_context(|| format!("there is no preset \"{name}\"; expected one of {}", names()))
}

impl Preset {
    /// The first sentence of its first comment.
    fn summary(&self) -> String {
        let comment = self.text.lines().map_while(|line| line.strip_prefix("# "));
        let comment = comment.collect::<Vec<_>>().join(" ");
        comment.split_inclusive(". ").next().unwrap_or(&comment).trim().to_owned()
    }
}

pub(super) fn run(args: &PresetArgs, out: &mut dyn Write) -> Result<()> {
    match &args.command {
        PresetCommand::List { json: true } => print_json(&PRESETS, out),
        PresetCommand::List { json: false } => {
            let mut table = Table::new(&["preset", "what it does"]);
            for preset in PRESETS {
                table.row([preset.name.to_owned(), preset.summary()]);
            }
            writeln!(
                out,
                "{table}\nrun one:  temper campaign run preset:NAME --model FILE --data SET -o DIR\n\
                 adapt it: temper preset show NAME > campaign.toml"
            )?;
            Ok(())
        }
        PresetCommand::Show { name } => Ok(out.write_all(find(name)?.text.as_bytes())?),
    }
}

#[cfg(test)]
mod tests {
    use temper_core::campaign::CampaignSpec;

    use super::PRESETS;

    #[test]
    fn every_preset_is_a_sound_specification_and_says_what_it_is() {
        for preset in PRESETS {
            CampaignSpec::parse(preset.text).unwrap_or_else(|error| panic!("{}: {error}", preset.name));
            assert!(preset.summary().len() > 30, "{}: {}", preset.name, preset.summary());
            assert!(preset.summary().len() < 160, "{}: {}", preset.name, preset.summary());
        }
    }
}

//! `temper preset`: the specifications that the program carries.

mod acims;

use std::borrow::Cow;
use std::io::Write;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use serde::Serialize;

use super::print_json;
use crate::output::table::Table;

/// A built-in specification.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Preset {
    /// Its name.
    name: Cow<'static, str>,
    /// What it specifies.
    kind: PresetKind,
    /// The specification, in TOML; its first comment says what it is and where it comes from.
    pub(crate) text: Cow<'static, str>,
}

/// What a preset specifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum PresetKind {
    /// A campaign, for `temper campaign run`.
    Campaign,
    /// An experiment, for `temper run`.
    Experiment,
    /// A study of chips and repairs, for `temper run`.
    Study,
}

impl PresetKind {
    /// How one is run.
    fn command(self) -> &'static str {
        match self {
            Self::Campaign => "temper campaign run preset:NAME --model FILE --data SET -o DIR",
            Self::Experiment | Self::Study => "temper run preset:NAME -o DIR",
        }
    }
}

macro_rules! preset {
    ($kind:ident, $name:literal) => {
        Preset {
            name: Cow::Borrowed($name),
            kind: PresetKind::$kind,
            text: Cow::Borrowed(include_str!(concat!("../../../presets/", $name, ".toml"))),
        }
    };
}

/// Those that are written out.
const WRITTEN: [Preset; 14] = [
    preset!(Campaign, "thesis-zeroing-0.1"),
    preset!(Campaign, "thesis-zeroing-1"),
    preset!(Campaign, "thesis-bits"),
    preset!(Campaign, "flatenn"),
    preset!(Campaign, "ares"),
    preset!(Campaign, "pytorchfi-neuron"),
    preset!(Campaign, "pytorchfi-weight"),
    preset!(Campaign, "sfi-network"),
    preset!(Campaign, "sfi-layer"),
    preset!(Campaign, "sfi-bit"),
    preset!(Experiment, "fashion-mnist-optimizers"),
    preset!(Study, "acims-mnist-mlp-s"),
    preset!(Study, "acims-mnist-mlp-m"),
    preset!(Study, "acims-mnist-mlp-l"),
];

/// All of them.
fn presets() -> Vec<Preset> {
    WRITTEN.into_iter().chain(acims::presets()).collect()
}

/// Arguments of `temper preset`.
#[derive(Debug, Args)]
pub(crate) struct PresetArgs {
    #[command(subcommand)]
    command: PresetCommand,
}

#[derive(Debug, Subcommand)]
enum PresetCommand {
    /// List them
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
fn find(name: &str) -> Result<Preset> {
    let mut presets = presets();
    let Some(found) = presets.iter().position(|preset| preset.name == name) else {
        let names: Vec<&str> = presets.iter().map(|preset| preset.name.as_ref()).collect();
        bail!("there is no preset \"{name}\"; expected one of {}", names.join(", "));
    };
    Ok(presets.swap_remove(found))
}

/// The campaign of that name.
pub(crate) fn find_campaign(name: &str) -> Result<Preset> {
    find_if(name, |kind| kind == PresetKind::Campaign)
}

/// The experiment or study of that name.
pub(crate) fn find_run(name: &str) -> Result<Preset> {
    find_if(name, |kind| kind != PresetKind::Campaign)
}

fn find_if(name: &str, is_right: impl Fn(PresetKind) -> bool) -> Result<Preset> {
    let preset = find(name)?;
    if !is_right(preset.kind) {
        bail!("the preset \"{name}\" is run by `{}`", preset.kind.command().replace("NAME", name));
    }
    Ok(preset)
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
        PresetCommand::List { json: true } => print_json(&presets(), out),
        PresetCommand::List { json: false } => {
            let kinds = [
                ("campaign", PresetKind::Campaign),
                ("experiment", PresetKind::Experiment),
                ("study", PresetKind::Study),
            ];
            for (heading, kind) in kinds {
                let mut table = Table::new(&[heading, "what it does"]);
                for preset in presets().iter().filter(|preset| preset.kind == kind) {
                    table.row([preset.name.clone().into_owned(), preset.summary()]);
                }
                writeln!(out, "{table}\nrun one:  {}\n", kind.command())?;
            }
            writeln!(
                out,
                "adapt it: temper preset show NAME > my.toml, and give the file in place of preset:NAME"
            )?;
            Ok(())
        }
        PresetCommand::Show { name } => Ok(out.write_all(find(name)?.text.as_bytes())?),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use temper_core::campaign::CampaignSpec;
    use temper_train::experiment::{ExperimentSpec, World};
    use temper_train::study::StudySpec;

    use super::{PresetKind, presets};

    /// What is wrong with an experiment, or with any of its variants, as far as that can be told without data.
    fn plan(text: &str) -> Option<String> {
        let hash = |_: &_| Ok(String::new());
        let file = |_: &Path| Ok(String::new());
        let world = World { data: &hash, model: &file, folders: &[] };
        let plan = ExperimentSpec::parse(text).and_then(|spec| spec.plan(&world));
        match plan {
            Ok(plan) => plan.variants.into_iter().find_map(|variant| variant.problem),
            Err(error) => Some(error.to_string()),
        }
    }

    #[test]
    fn every_preset_is_a_sound_specification_and_says_what_it_is() {
        for preset in presets() {
            let fault = match preset.kind {
                PresetKind::Campaign => {
                    CampaignSpec::parse(&preset.text).err().map(|error| error.to_string())
                }
                PresetKind::Experiment => plan(&preset.text),
                PresetKind::Study => StudySpec::parse(&preset.text).err().map(|error| error.to_string()),
            };
            assert!(!preset.text.contains('@'), "{}", preset.name);
            assert_eq!(fault, None, "{}", preset.name);
            assert!(preset.summary().len() > 30, "{}: {}", preset.name, preset.summary());
            assert!(preset.summary().len() < 160, "{}: {}", preset.name, preset.summary());
        }
    }
}

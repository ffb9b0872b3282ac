//! A specification from the command line, with all that it names.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use clap::Args;
use temper_core::campaign::{Campaign, CampaignError, CampaignSpec, SpecError, place_of};
use temper_core::data::Dataset;
use temper_core::fault::read_list;
use temper_core::network::Model;

use crate::cli::data_dir::DATA_DIR_HELP;
use crate::cli::eval::load_data;
use crate::cli::preset;

/// A specification and where its data lies.
#[derive(Debug, Args)]
pub(crate) struct SpecArgs {
    /// The campaign's specification (see docs/campaign-reference.md), or a built-in one as preset:NAME
    #[arg(value_name = "SPEC.toml|preset:NAME")]
    spec: String,
    /// Model file, instead of the one that the specification names
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Data set, instead of the one that the specification names
    #[arg(long, value_name = "NAME")]
    data: Option<String>,
    /// Number of images, instead of the one that the specification gives
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Seed, instead of the one that the specification gives
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,
    #[arg(long, value_name = "DIR", help = DATA_DIR_HELP)]
    data_dir: Option<PathBuf>,
}

/// A specification with what it names.
pub(crate) struct Loaded {
    /// What is shown in front of an error.
    name: String,
    text: String,
    pub(crate) spec: CampaignSpec,
    pub(crate) model_file: PathBuf,
    model: Model,
    data: Dataset,
    calibration: Option<Dataset>,
}

impl SpecArgs {
    /// Reads the specification and everything it names.
    pub(crate) fn load(&self) -> Result<Loaded> {
        let (text, folder) = if let Some(name) = self.spec.strip_prefix("preset:") {
            (preset::find_campaign(name)?.text.into_owned(), PathBuf::new())
        } else {
            let file = Path::new(&self.spec);
            let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", self.spec))?;
            (text, file.parent().unwrap_or(Path::new("")).to_owned())
        };
        let mut spec = CampaignSpec::parse(&text).map_err(|error| placed(&self.spec, &text, error.into()))?;
        if let Some(data) = &self.data {
            spec.data.set.clone_from(data);
        }
        spec.data.limit = self.limit.or(spec.data.limit);
        spec.seed = self.seed.unwrap_or(spec.seed);
        let model_file = self.model.clone().unwrap_or_else(|| folder.join(&spec.model.file));
        Loaded::new(&self.spec, text, spec, &model_file, &folder, self.data_dir.as_deref())
    }
}

impl Loaded {
    /// Reads what a specification names; lists of faults lie in `folder`.
    pub(crate) fn new(
        name: &str,
        text: String,
        spec: CampaignSpec,
        model_file: &Path,
        folder: &Path,
        data_dir: Option<&Path>,
    ) -> Result<Self> {
        let model = Model::load(model_file)?;
        Self::with_model(name, text, spec, (model, model_file), folder, data_dir)
    }

    /// The same of a network that is known already, and the file that it is, or will be, in.
    pub(crate) fn with_model(
        name: &str,
        text: String,
        mut spec: CampaignSpec,
        (model, model_file): (Model, &Path),
        folder: &Path,
        data_dir: Option<&Path>,
    ) -> Result<Self> {
        for fault in &mut spec.faults {
            if let (Some(list), None) = (&fault.list, &fault.listed) {
                let file = folder.join(list);
                let bytes = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
                fault.listed = Some(read_list(&bytes).with_context(|| file.display().to_string())?);
            }
        }
        let data =
            load_data(&spec.data.set, spec.data.split, spec.data.limit, spec.data.selection_seed, data_dir)
                .with_context(|| name.to_owned())?;
        let images = &spec.calibration;
        let calibration = spec
            .needs_calibration()
            .then(|| load_data(&spec.data.set, images.split, Some(images.limit), None, data_dir))
            .transpose()
            .context("calibration")?;
        let model_file = std::path::absolute(model_file).unwrap_or_else(|_| model_file.to_owned());
        Ok(Self { name: name.to_owned(), text, spec, model_file, model, data, calibration })
    }

    /// The campaign it describes.
    pub(crate) fn campaign(&self) -> Result<Campaign<'_>> {
        let Model { network, preprocessing } = &self.model;
        Campaign::new(&self.spec, network, preprocessing, &self.data, self.calibration.as_ref())
            .map_err(|error| placed(&self.name, &self.text, error))
    }
}

/// An error with the specification's name and the line it is on.
fn placed(name: &str, text: &str, error: CampaignError) -> anyhow::Error {
    let place = error.path().and_then(|path| place_of(text, &path));
    let context = match (&error, place) {
        // The parser shows the place itself.
        (CampaignError::Spec(SpecError::Toml(_)), _) | (_, None) => name.to_owned(),
        (_, Some(place)) => format!("{name}, {place}"),
    };
    anyhow!(error).context(context)
}

//! One training or campaign of an experiment.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::Deserialize;
use temper_core::campaign::{CampaignSpec, RunOptions, Shard};
use temper_core::memory::StorageSpec;
use temper_train::device::Device;
use temper_train::experiment::{ExperimentDir, PlannedCampaign, PlannedTraining, Stage};
use temper_train::training::{Folder, Prepared, Verdict};

use super::inputs::Places;
use crate::cli::campaign::run::run_campaign;
use crate::cli::campaign::spec::Loaded;
use crate::cli::train::train;
use crate::exit::{Incomplete, StoppedTraining};

/// How a stage ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ended {
    /// It is done; of a training that is of no use, with its verdict.
    Done(Option<Verdict>),
    /// It was stopped before its end.
    Stopped,
    /// It could not be run.
    Failed(String),
}

/// What stages are run with.
pub(super) struct Bench<'a> {
    pub(super) dir: &'a ExperimentDir,
    pub(super) places: Places<'a>,
    pub(super) device: &'a Device,
    /// Whether one stage runs at a time: then its lines need no name.
    pub(super) is_alone: bool,
}

impl Bench<'_> {
    /// Runs a stage, or goes on with it, on the current rayon pool.
    pub(super) fn run(&self, stage: Stage) -> Ended {
        let ended = match stage {
            Stage::Training(place) => self.train(stage, &self.dir.plan.trainings[place]),
            Stage::Campaign(place) => self.strike(stage, &self.dir.plan.campaigns[place]),
        };
        match ended {
            Ok(ended) => ended,
            Err(error) if error.is::<StoppedTraining>() || error.is::<Incomplete>() => Ended::Stopped,
            Err(error) => Ended::Failed(format!("{error:#}")),
        }
    }

    fn train(&self, stage: Stage, training: &PlannedTraining) -> Result<Ended> {
        let prepared = self.prepared(training)?;
        let folder = Folder::open(&self.dir.folder(stage), &prepared.recipe)?;
        let result =
            train(&prepared, &folder, self.device, if self.is_alone { "" } else { &training.variant })?;
        Ok(Ended::Done(Some(result.verdict).filter(|verdict| *verdict != Verdict::Learned)))
    }

    /// A training with all that it names.
    fn prepared(&self, training: &PlannedTraining) -> Result<Prepared> {
        let base = if training.start.is_some() { self.dir.path() } else { self.places.base };
        Ok(Prepared::new(training.recipe.clone(), base, self.places.data)?)
    }

    fn strike(&self, stage: Stage, campaign: &PlannedCampaign) -> Result<Ended> {
        let (spec, file) = self.with_trained_storage(campaign)?;
        let place = format!("[campaign.{}]", campaign.name);
        let loaded =
            Loaded::new(&place, String::new(), spec, &file, self.places.base, Some(self.places.data))?;
        let struck = loaded.campaign()?;
        for warning in struck.warnings() {
            eprintln!("warning: {warning}");
        }
        let options = RunOptions::default();
        run_campaign(
            &struck,
            &loaded.spec,
            &loaded.model_file,
            Shard::WHOLE,
            &options,
            &self.dir.folder(stage),
        )?;
        Ok(Ended::Done(None))
    }

    /// The specification of a campaign, and its model file. A trained network is stored as it was trained to be, with the ranges of activations that
    /// training found; the campaign's own entries come behind.
    fn with_trained_storage(&self, campaign: &PlannedCampaign) -> Result<(CampaignSpec, PathBuf)> {
        #[derive(Deserialize)]
        struct Entries {
            storage: Vec<StorageSpec>,
        }
        let mut spec = campaign.spec.clone();
        if campaign.training.is_none() {
            let file = self.places.base.join(&spec.model.file);
            return Ok((spec, file));
        }
        let file = self.dir.path().join(&spec.model.file);
        let beside = file.with_extension("storage.toml");
        match fs::read_to_string(&beside) {
            Ok(text) => {
                let Entries { storage } =
                    toml::from_str(&text).with_context(|| beside.display().to_string())?;
                spec.storage.splice(..0, storage);
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", beside.display())),
        }
        Ok((spec, file))
    }
}

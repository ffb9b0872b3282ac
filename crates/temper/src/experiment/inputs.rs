//! What an experiment's hashes are made of.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use temper_core::ContentHash;
use temper_core::data::load;
use temper_train::experiment::{ExperimentPlan, ExperimentSpec, Images, World};

/// Where an experiment's inputs lie.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places<'a> {
    /// The folder of the experiment's file.
    pub(super) base: &'a Path,
    /// The folder of the data sets.
    pub(super) data: &'a Path,
    /// The experiment's directory.
    pub(super) output: &'a Path,
}

/// Plans an experiment. What it reads is hashed once.
pub(super) fn plan(spec: &ExperimentSpec, places: Places<'_>) -> Result<ExperimentPlan> {
    let known: RefCell<HashMap<Images, Result<String, String>>> = RefCell::default();
    let data = |images: &Images| {
        let read = || {
            let found = load(&images.set, images.split, images.limit, places.data);
            found
                .map(|found| found.content_hash())
                .map_err(|error| format!("{:#}", anyhow::Error::from(error)))
        };
        known.borrow_mut().entry(images.clone()).or_insert_with(read).clone()
    };
    let model = |file: &Path| {
        let path = places.base.join(file);
        let content = fs::read(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        Ok(ContentHash::of([content.as_slice()]))
    };
    let folders = folders(places.output)?;
    Ok(spec.plan(&World { data: &data, model: &model, folders: &folders })?)
}

/// The folders of trainings and campaigns that an experiment's directory has.
fn folders(output: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for below in ["trainings", "campaigns"] {
        let entries = match fs::read_dir(output.join(below)) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            entries => entries.with_context(|| format!("cannot read {}", output.join(below).display()))?,
        };
        for entry in entries {
            let entry = entry.with_context(|| format!("cannot read {}", output.join(below).display()))?;
            found.push(Path::new(below).join(entry.file_name()));
        }
    }
    found.sort();
    Ok(found)
}

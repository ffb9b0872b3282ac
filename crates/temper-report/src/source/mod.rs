//! From directories to reports.

pub(crate) mod campaign;
pub(crate) mod experiment;
mod names;
mod study;
mod training;

use std::fs;
use std::path::Path;

use serde::Serialize;
use temper_train::experiment::ExperimentDir;

use crate::error::ReportError;
use crate::report::{Block, Code, Report, Section};

/// The confidence level of intervals, where a specification names none.
const CONFIDENCE: f64 = 0.95;

/// What a directory holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DirectoryKind {
    /// A campaign: `campaign.json`.
    Campaign,
    /// An experiment: `experiment.json`.
    Experiment,
    /// A study of chips and repairs: `study.toml`.
    Study,
    /// A training: `recipe.toml` and networks.
    Training,
}

impl DirectoryKind {
    /// What a directory holds.
    ///
    /// # Errors
    /// When it holds nothing of Temper's; the message says which folders in it do.
    pub fn find(dir: &Path) -> Result<Self, ReportError> {
        match Self::of(dir) {
            Some(kind) => Ok(kind),
            None => Err(ReportError::Nothing { path: dir.to_owned(), hint: hint(dir)? }),
        }
    }

    /// What a directory holds, if it is one of Temper's.
    fn of(dir: &Path) -> Option<Self> {
        if dir.join("campaign.json").is_file() {
            Some(Self::Campaign)
        } else if ExperimentDir::is_one(dir) {
            Some(Self::Experiment)
        } else if dir.join("study.toml").is_file() {
            Some(Self::Study)
        // A recipe alone is a file that somebody wrote.
        } else if dir.join("recipe.toml").is_file() && dir.join("models").is_dir() {
            Some(Self::Training)
        } else {
            None
        }
    }
}

/// Reads a directory of an experiment, a campaign, a training or a study, complete or not.
///
/// # Errors
/// When it holds none of them, or a file in it cannot be read, is damaged, or has another version of its format.
pub fn read(dir: &Path) -> Result<Report, ReportError> {
    match DirectoryKind::find(dir)? {
        DirectoryKind::Campaign => campaign::read(dir),
        DirectoryKind::Experiment => experiment::read_experiment(dir).map(|(_, report)| report),
        DirectoryKind::Study => study::read(dir),
        DirectoryKind::Training => training::read(dir),
    }
}

/// Which folders in a directory can be reported.
fn hint(dir: &Path) -> Result<String, ReportError> {
    let read = |source| ReportError::Read { path: dir.to_owned(), source };
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(read)? {
        let path = entry.map_err(read)?.path();
        if DirectoryKind::of(&path).is_some() {
            found.push(path.display().to_string());
        }
    }
    found.sort();
    Ok(if found.is_empty() { String::new() } else { format!("; there is one in {}", found.join(" and in ")) })
}

/// The text of a file.
fn text_of(path: &Path) -> Result<String, ReportError> {
    fs::read_to_string(path).map_err(|source| ReportError::Read { path: path.to_owned(), source })
}

/// The last section: how it was measured, and how to do it again.
fn methods(paragraphs: Vec<String>, specification: &str, text: String, command: &str) -> Section {
    let mut blocks: Vec<Block> = paragraphs.into_iter().map(Block::text).collect();
    blocks.push(Block::Code(Code { caption: format!("{specification}; {command} runs it again"), text }));
    blocks.push(Block::text(
        "This page, its figures (SVG and PNG) and its tables (CSV) were made from the records by temper report DIR; the same records give \
         the same bytes.",
    ));
    Section { id: "methods".to_owned(), title: "How this was measured".to_owned(), blocks }
}

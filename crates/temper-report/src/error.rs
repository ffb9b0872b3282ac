//! What can go wrong with a report.

use std::io;
use std::path::PathBuf;

use temper_core::analysis::AnalysisError;
use temper_core::campaign::StoreError;
use temper_core::statistics::StatisticsError;
use temper_train::experiment::DirectoryError;
use temper_train::recipe::RecipeError;
use temper_train::study::StudyError;
use temper_train::training::TrainError;
use thiserror::Error;

/// Why there is no report.
#[derive(Debug, Error)]
pub enum ReportError {
    /// A folder of nothing that can be reported.
    #[error(
        "{path} holds nothing to report: expected experiment.json (an experiment), campaign.json (a campaign), recipe.toml (a training) or study.toml (a study) in it{hint}",
        path = path.display()
    )]
    Nothing {
        /// The folder.
        path: PathBuf,
        /// Which folders in it can be reported, in words; empty if none can.
        hint: String,
    },
    /// A file that cannot be read.
    #[error("cannot read {path}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file that is damaged, or of another version of the format.
    #[error("{path} is damaged: expected {expected}", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What should be in it.
        expected: &'static str,
        /// What was found.
        source: serde_json::Error,
    },
    /// A recipe that cannot be understood.
    #[error("{path} is no recipe", path = path.display())]
    Recipe {
        /// The file.
        path: PathBuf,
        /// Why.
        source: RecipeError,
    },
    /// A study that cannot be understood.
    #[error("{path} is no study", path = path.display())]
    StudySpec {
        /// The file.
        path: PathBuf,
        /// Why.
        source: StudyError,
    },
    /// Records of a study that do not belong to it.
    #[error("{path}, line {line}: found condition {found}, expected one of the study's {conditions}, from 0", path = path.display())]
    NoCondition {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The condition it names.
        found: usize,
        /// How many there are.
        conditions: usize,
    },
    /// An experiment's directory.
    #[error(transparent)]
    Experiment(#[from] DirectoryError),
    /// A campaign's directory.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A training's directory.
    #[error(transparent)]
    Training(#[from] TrainError),
    /// A study's directory.
    #[error(transparent)]
    Study(#[from] StudyError),
    /// Records of which nothing can be computed.
    #[error(transparent)]
    Analysis(#[from] AnalysisError),
    /// Numbers of which no statistic can be computed.
    #[error(transparent)]
    Statistics(#[from] StatisticsError),
    /// A specification that cannot be written as TOML.
    #[error("the specification cannot be written as TOML")]
    Toml(#[from] toml::ser::Error),
    /// A picture that cannot be drawn.
    #[error("cannot draw the figure {figure}: {reason}")]
    Draw {
        /// The figure.
        figure: String,
        /// Why.
        reason: String,
    },
    /// A file that cannot be written.
    #[error("cannot write {path}", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

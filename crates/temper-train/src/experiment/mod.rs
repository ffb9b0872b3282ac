//! An experiment: many trainings and campaigns, from one file.
//!
//! - An [`ExperimentSpec`] is a base, named changes of it, and a grid of fields with several values: [`ExperimentSpec::plan`] resolves every
//!   combination, a *variant*, into the training and the campaigns that it needs.
//! - An [`ExperimentPlan`] is plain data. Each training and campaign is named by a hash of all that its result depends on, so equal ones of
//!   several variants are made once, and what is there already is not made again.
//! - [`State`] says how far an experiment's directory is.
//!
//! Nothing here trains or strikes: the program that runs a plan does.

mod error;
mod patch;
mod plan;
mod resolve;
mod spec;
mod state;

pub use error::ExperimentError;
pub use plan::{ExperimentPlan, FORMAT_VERSION, Images, PlannedCampaign, PlannedTraining, Variant, World};
pub use spec::{ExperimentSpec, StruckSpec, TrainedEpoch};
pub use state::{DirectoryError, ExperimentDir, Failures, Stage, State};

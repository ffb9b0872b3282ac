//! Campaigns: from a specification to records.
//!
//! A [`CampaignSpec`] is what a user writes. Resolved against a network and a data set it becomes a [`Campaign`], whose [`Plan`]
//! is a pure list of [`Trial`]s that can be counted and split before anything runs; where draws stop by precision, a [`Schedule`] says
//! from the records what is to be run next, and on how many images. Each trial draws its faults from a stream that
//! is a pure function of (campaign seed, trial id), strikes the weights, runs its images, compares every output with the golden
//! one and takes the strike back; layers on hardware lie on the chip of its draw. What is left of it is a [`TrialRecord`] in the
//! append-only log of a [`CampaignDir`]. A [`Shard`] is a slice of a plan for one of several machines, whose directories are merged
//! afterwards.
//!
//! Results are the same, bit for bit, for any number of threads, any order, any sharding and any resume. The
//! engine never prints: it calls back.

mod arithmetic;
mod armed;
mod chip;
mod chunk;
mod combination;
mod engine;
mod error;
mod identity;
mod images;
mod outcome;
mod pace;
mod plan;
mod record;
mod replay;
mod resolved;
mod resolver;
mod schedule;
mod shard;
mod spec;
mod store;
mod sweep;
mod trials;
mod variant;
mod verify;

pub use arithmetic::Arithmetic;
pub use engine::{Golden, Observer, ProofPolicy, RunError, RunOptions};
pub use error::CampaignError;
pub use identity::Identity;
pub use images::DrawImages;
pub use outcome::Outcomes;
pub use plan::{Condition, Plan, Trial};
pub use record::{RecordError, TrialRecord};
pub use replay::{Departure, Replay};
pub use resolved::Campaign;
pub use schedule::Schedule;
pub(crate) use schedule::subsampled;
pub use shard::{Shard, ShardError};
pub use spec::{
    CalibrationSpec, CampaignSpec, DataSpec, ModelSpec, RecordSpec, SpecError, SpecPath, place_of,
};
pub use store::{
    AttemptLog, CampaignDir, CampaignInfo, FORMAT_VERSION, GoldenAnswers, GoldenInfo, Records, StoreError,
};
pub use sweep::{AxisValues, Each, SweepSpec, Swept, SweptValue, label};
pub use trials::{Precision, Statistical, TrialsSpec};
pub use verify::Mismatch;

//! Exit codes.

use std::process::ExitCode;

use temper_core::campaign::RunError;
use thiserror::Error;

/// What was asked for is done.
pub(crate) const DONE: u8 = 0;
/// A bug in this program.
pub(crate) const BUG: u8 = 1;
/// Bad input or data. (2, a usage error, is given by the parser of arguments.)
pub(crate) const BAD_INPUT: u8 = 3;
/// A campaign or a training is stopped before its end; running it again goes on.
pub(crate) const INCOMPLETE: u8 = 4;

/// The command did its work, and a limit is not met.
pub(crate) const NOT_MET: u8 = 5;

/// Parts of an experiment failed; all others are done.
pub(crate) const PARTLY_FAILED: u8 = 6;

/// What the codes mean, for `--help`.
pub(crate) const HELP: &str = "Exit codes:
  0  done
  1  a bug in temper
  2  usage: unknown command, option or value
  3  bad input or data
  4  incomplete: a campaign, a training or an experiment is stopped before its end; running it again goes on
  5  a threshold is not met
  6  parts of an experiment failed; all others are done";

/// A command was stopped before its end.
#[derive(Debug, Error)]
#[error("stopped after {done} of {all} trials; the same command goes on from there")]
pub(crate) struct Incomplete {
    /// Trials done.
    pub(crate) done: u64,
    /// Trials planned.
    pub(crate) all: u64,
}

/// A training was stopped before its end.
#[derive(Debug, Error)]
#[error("stopped after {done} of {all} epochs; the same command with --resume goes on from there")]
pub(crate) struct StoppedTraining {
    /// Epochs done.
    pub(crate) done: usize,
    /// Epochs of the recipe.
    pub(crate) all: usize,
}

/// A study was stopped before its end.
#[derive(Debug, Error)]
#[error("stopped before the end; the same command goes on from there")]
pub(crate) struct StoppedStudy;

/// An experiment was stopped before its end.
#[derive(Debug, Error)]
#[error("stopped before the end; the same command goes on from there")]
pub(crate) struct StoppedExperiment;

/// Parts of an experiment failed.
#[derive(Debug, Error)]
#[error(
    "parts of the experiment failed, {failed} in all, as told above and in its report; all others are done"
)]
pub(crate) struct PartlyFailed {
    /// Variants that make no sense, and trainings and campaigns that failed.
    pub(crate) failed: usize,
}

/// A campaign is not complete, and a verdict on part of it was not asked for.
#[derive(Debug, Error)]
#[error(
    "{recorded} of {planned} trials are recorded; run the campaign to its end, or judge what there is with --partial"
)]
pub(crate) struct Unfinished {
    /// Trials recorded.
    pub(crate) recorded: u64,
    /// Trials planned; the most there can be, where draws stop by precision.
    pub(crate) planned: u64,
}

/// Limits are not met.
#[derive(Debug, Error)]
#[error("{failed} of {all} limits are not met")]
pub(crate) struct NotMet {
    /// Limits that are not met, one for each quantity and condition.
    pub(crate) failed: usize,
    /// All of them.
    pub(crate) all: usize,
}

/// Parts of an experiment cannot be run.
#[derive(Debug, Error)]
#[error("parts of the experiment cannot be run, {parts} in all, as told above; nothing was run or written")]
pub(crate) struct CannotRun {
    /// Variants that make no sense, and trainings and campaigns that cannot be run.
    pub(crate) parts: usize,
}

/// From now on a panic says that it is a bug, and where, in one line.
pub(crate) fn report_bugs() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or(String::new(), |location| format!(" ({location})"));
        let payload = panic.payload();
        let text = payload.downcast_ref::<&str>().copied();
        let what =
            text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
        eprintln!("error: a bug in temper{place}: {what}; please report it with the command that led here");
    }));
}

/// The exit code of a result; an error is told on standard error.
pub(crate) fn code(result: anyhow::Result<()>) -> ExitCode {
    let Err(error) = result else { return ExitCode::from(DONE) };
    let broken_pipe = |cause: &(dyn std::error::Error + 'static)| {
        let io = cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        let json = cause.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind);
        io.or(json) == Some(std::io::ErrorKind::BrokenPipe)
    };
    // Whoever reads our output has seen enough (`temper … | head`).
    if error.chain().any(broken_pipe) {
        return ExitCode::from(DONE);
    }
    eprintln!("error: {error:#}");
    let is_incomplete = error.is::<Incomplete>()
        || error.is::<Unfinished>()
        || error.is::<StoppedTraining>()
        || error.is::<StoppedStudy>()
        || error.is::<StoppedExperiment>();
    let code = if is_incomplete {
        INCOMPLETE
    } else if error.is::<NotMet>() {
        NOT_MET
    } else if error.is::<PartlyFailed>() || error.is::<CannotRun>() {
        PARTLY_FAILED
    } else if matches!(error.downcast_ref(), Some(RunError::Mismatch(_))) {
        BUG
    } else {
        BAD_INPUT
    };
    ExitCode::from(code)
}

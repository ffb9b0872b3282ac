//! `temper run --dry-run`: what would be done, and what it would cost.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use anyhow::Result;
use serde::Serialize;
use temper_train::experiment::{ExperimentDir, Stage, State, Variant};

use super::check::{Checked, Cost};
use super::title;
use crate::cli::print_json;
use crate::output::experiment::describe;
use crate::output::table::{Table, duration, grouped};

/// A stage as shown.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    stage: String,
    folder: &'a Path,
    #[serde(flatten)]
    state: State,
    /// Epochs or trials that it has in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    units: Option<u64>,
    /// Images that go through the network; of a campaign at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    inferences: Option<u64>,
    /// A rough guess of the time that all of it takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Plan<'a> {
    variants: &'a [Variant],
    stages: Vec<Shown<'a>>,
}

pub(super) fn print(
    dir: &ExperimentDir,
    chosen: &BTreeSet<Stage>,
    checked: &Checked,
    json: bool,
    out: &mut dyn Write,
) -> Result<()> {
    let shown = |&stage: &Stage| {
        let folder = dir.relative(stage);
        let cost = checked.costs.iter().find(|(other, _)| *other == stage).map(|(_, cost)| cost);
        let state = match checked.failures.get(folder) {
            Some(reason) => State::Failed { reason: reason.clone() },
            None => dir.state(stage),
        };
        Shown {
            stage: title(dir, stage),
            folder,
            state,
            units: cost.map(|cost| cost.units),
            inferences: cost.map(|cost| cost.inferences),
            seconds: cost.map(Cost::seconds),
        }
    };
    let plan = Plan { variants: &dir.plan.variants, stages: chosen.iter().map(shown).collect() };
    if json {
        return print_json(&plan, out);
    }
    let mut table =
        Table::new(&["stage", "state", "epochs or trials", "images", "about"]).right(2).right(3).right(4);
    for Shown { stage, state, units, inferences, seconds, .. } in &plan.stages {
        let count = |count: Option<u64>| count.map_or(String::new(), grouped);
        let about = seconds.map_or(String::new(), duration);
        table.row([stage.clone(), describe(state, "done"), count(*units), count(*inferences), about]);
    }
    write!(out, "{table}")?;
    let all: f64 = plan.stages.iter().filter_map(|shown| shown.seconds).sum();
    writeln!(
        out,
        "\n{} variants, {} stages; what is to be done takes about {}, or less: campaigns skip what faults cannot change, and what is \n\
         recorded is not run again. Guessed from a short run of each network; quantisation, faults and hardware in training take longer.",
        plan.variants.len(),
        plan.stages.len(),
        duration(all)
    )?;
    for variant in plan.variants {
        if let Some(problem) = &variant.problem {
            writeln!(out, "cannot be run: {}: {problem}", variant.name)?;
        }
    }
    for Shown { stage, state, .. } in &plan.stages {
        if let State::Failed { reason } = state {
            writeln!(out, "cannot be run: {stage}: {reason}")?;
        }
    }
    Ok(())
}

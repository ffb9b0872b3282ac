//! `temper campaign plan`.

use std::io::Write;

use anyhow::Result;
use serde::Serialize;
use temper_core::campaign::{Condition, Precision};

use super::spec::SpecArgs;
use crate::cli::print_json;
use crate::output::table::{Table, grouped};

/// Conditions shown; a plan of every layer and bit has many.
const SHOWN: usize = 40;

/// A plan as shown.
#[derive(Debug, Serialize)]
struct PlanInfo<'a> {
    campaign: &'a str,
    conditions: &'a [Condition],
    precision: Option<Precision>,
    /// Number of different sites, over all conditions.
    sites: u64,
    /// The most there can be, where draws stop by precision.
    trials: u64,
    images: usize,
    inferences: u64,
    /// Ways in which the conditions store the network.
    golden_runs: usize,
}

pub(super) fn run(spec: &SpecArgs, json: bool, out: &mut dyn Write) -> Result<()> {
    let loaded = spec.load()?;
    let campaign = loaded.campaign()?;
    let plan = campaign.plan();
    let info = PlanInfo {
        campaign: &campaign.identity().campaign,
        conditions: &plan.conditions,
        precision: plan.precision,
        sites: plan.conditions.iter().map(|condition| condition.sites).sum(),
        trials: plan.len(),
        images: campaign.images(),
        inferences: plan.len().saturating_mul(campaign.images() as u64),
        golden_runs: campaign.golden_runs(),
    };
    if json {
        return print_json(&info, out);
    }
    let mut table = Table::new(&["condition", "sites", "draws"]).right(1).right(2);
    for condition in info.conditions.iter().take(SHOWN) {
        table.row([condition.label(), grouped(condition.sites), grouped(condition.draws)]);
    }
    write!(out, "{table}")?;
    if let Some(hidden) = info.conditions.len().checked_sub(SHOWN).filter(|hidden| *hidden > 0) {
        writeln!(out, "… and {} conditions more; --json shows all", grouped(hidden as u64))?;
    }
    let most = if info.precision.is_some() { "at most " } else { "" };
    writeln!(
        out,
        "\n{most}{} trials of {} images: {most}{} inferences, after {} without faults",
        grouped(info.trials),
        grouped(info.images as u64),
        grouped(info.inferences),
        grouped((info.golden_runs * info.images) as u64)
    )?;
    Ok(())
}

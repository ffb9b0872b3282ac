//! `temper campaign plan`.

use std::io::Write;

use anyhow::Result;
use serde::Serialize;
use temper_core::campaign::{Condition, DrawImages, Plan, Precision};

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
    images: u64,
    /// Images of each draw: all, a number, or chosen after a pilot.
    draw_images: DrawImages,
    /// The most there can be, where draws stop by precision.
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
        images: plan.images,
        draw_images: plan.draw_images,
        inferences: most_inferences(plan),
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
    let images = match (plan.draw_images, plan.pilot_draws()) {
        (DrawImages::Auto, Some(pilot)) => format!(
            "some of {} images ({} draws of {} under each condition choose how many: [trials] images)",
            grouped(plan.images),
            grouped(pilot),
            grouped(plan.first_images().total())
        ),
        (DrawImages::Count(images), _) => format!("{} of {} images", grouped(images), grouped(plan.images)),
        _ => format!("{} images", grouped(plan.images)),
    };
    let most = if info.precision.is_some() { "at most " } else { "" };
    writeln!(
        out,
        "\n{most}{} trials of {images}: {most}{} inferences, after {} without faults",
        grouped(info.trials),
        grouped(info.inferences),
        grouped(info.golden_runs as u64 * info.images)
    )?;
    Ok(())
}

/// The most inferences that a plan may come to: behind a pilot, draws may run all images.
pub(crate) fn most_inferences(plan: &Plan) -> u64 {
    let pilot = plan.pilot_draws().unwrap_or(u64::MAX);
    let later = if plan.draw_images == DrawImages::Auto { plan.images } else { plan.first_images().total() };
    let of_condition = |condition: &Condition| {
        let first = condition.draws.min(pilot);
        let further = (condition.draws - first).saturating_mul(later);
        first.saturating_mul(plan.first_images().total()).saturating_add(further)
    };
    plan.conditions.iter().map(of_condition).fold(0, u64::saturating_add)
}

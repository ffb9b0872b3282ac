//! `--only`: which stages are run.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use temper_train::experiment::{ExperimentPlan, Stage, Variant};

/// The stages that words choose: `train`, `campaign`, a campaign's name, a variant's or a group's; with what these need. All, if there are none;
/// `report` chooses nothing.
pub(super) fn select(plan: &ExperimentPlan, only: &[String]) -> Result<BTreeSet<Stage>> {
    let trainings = || (0..plan.trainings.len()).map(Stage::Training);
    let campaigns = || (0..plan.campaigns.len()).map(Stage::Campaign);
    if only.is_empty() {
        return Ok(trainings().chain(campaigns()).collect());
    }
    let mut chosen = BTreeSet::new();
    for word in only {
        let variants = plan.variants.iter().filter(|variant| is_called(variant, word));
        let of_variants = variants.flat_map(|variant| {
            variant
                .training
                .map(Stage::Training)
                .into_iter()
                .chain(variant.campaigns.iter().copied().map(Stage::Campaign))
        });
        let named = (0..plan.campaigns.len())
            .filter(|&place| plan.campaigns[place].name == *word)
            .map(Stage::Campaign);
        let found: Vec<Stage> = match word.as_str() {
            "train" => trainings().collect(),
            "campaign" => campaigns().collect(),
            "report" => continue,
            _ => of_variants.chain(named).collect(),
        };
        if found.is_empty() {
            let variants = plan.variants.iter().map(|variant| variant.name.as_str());
            let names: BTreeSet<&str> =
                plan.campaigns.iter().map(|campaign| campaign.name.as_str()).chain(variants).collect();
            let names: Vec<&str> = names.into_iter().take(20).collect();
            bail!(
                "--only {word}: expected train, campaign, report, or the name of a campaign or a variant: {}",
                names.join("; ")
            );
        }
        chosen.extend(found);
    }
    // What is needed may need something itself.
    let mut open: Vec<Stage> = chosen.iter().copied().collect();
    while let Some(stage) = open.pop() {
        let needed = match stage {
            Stage::Training(place) => plan.trainings[place].start,
            Stage::Campaign(place) => plan.campaigns[place].training,
        };
        open.extend(needed.map(Stage::Training).filter(|needed| chosen.insert(*needed)));
    }
    Ok(chosen)
}

/// Whether a word is a variant's name, its group's, or a part of these.
fn is_called(variant: &Variant, word: &str) -> bool {
    variant.name == word || variant.group == word || variant.name.split(", ").any(|part| part == word)
}

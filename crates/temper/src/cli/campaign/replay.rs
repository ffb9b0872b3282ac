//! `temper campaign replay`.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde::Serialize;
use temper_core::campaign::{Campaign, CampaignDir, Plan, Replay, Schedule, Trial, TrialRecord};
use temper_core::fault::ListedFault;

use super::spec::Loaded;
use crate::cli::data_dir::DATA_DIR_HELP;
use crate::cli::{Threads, print_json};
use crate::output::table::{Table, grouped};
use crate::progress::Inferences;

/// Arguments of `temper campaign replay`.
#[derive(Debug, Args)]
pub(super) struct ReplayArgs {
    /// Folder of the campaign
    dir: PathBuf,
    /// Number of the trial, as in `export`
    #[arg(long, value_name = "ID")]
    trial: u64,
    /// Model file, if it is no longer where it was
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    #[arg(long, value_name = "DIR", help = DATA_DIR_HELP)]
    data_dir: Option<PathBuf>,
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    threads: Threads,
}

/// A replayed trial as printed.
#[derive(Debug, Serialize)]
struct Report {
    trial: u64,
    condition: String,
    draw: u64,
    /// The seed of the chip that it runs on; `null` without hardware.
    chip_seed: Option<u64>,
    /// Whether the outcomes are those that are recorded; `null` if the trial is not recorded yet.
    agrees_with_record: Option<bool>,
    faults: Vec<ListedFault>,
    #[serde(flatten)]
    replay: Replay,
}

/// Faults shown as text.
const SHOWN: usize = 10;

/// A campaign's directory with what its specification names.
pub(super) fn load(dir: &CampaignDir, model: Option<&Path>, data_dir: Option<&Path>) -> Result<Loaded> {
    let info = dir.info();
    let name = dir.path().display().to_string();
    let model = model.unwrap_or(&info.model_file);
    Loaded::new(&name, String::new(), info.spec.clone(), model, Path::new(""), data_dir)
}

/// Fails unless a campaign is the one that a directory holds.
pub(super) fn ensure_same(dir: &CampaignDir, campaign: &Campaign<'_>) -> Result<()> {
    let differs = dir.info().identity.differences(campaign.identity());
    ensure!(
        differs.is_empty(),
        "{} is not what it was: {} changed since the campaign was begun",
        dir.path().display(),
        differs.join(" and ")
    );
    Ok(())
}

/// The trial of that number, with the images that it ran or would run.
pub(super) fn find(plan: &Plan, schedule: &Schedule<'_>, id: u64) -> Result<Trial> {
    plan.find(id).with_context(|| format!("--trial: there is no trial {id}; export lists them"))?;
    schedule.find(id).with_context(|| {
        format!("--trial: how many images trial {id} runs is not chosen yet; run the campaign on, or take an earlier draw")
    })
}

pub(super) fn run(args: &ReplayArgs, out: &mut (dyn Write + Send)) -> Result<()> {
    let dir = CampaignDir::open(&args.dir)?;
    let records = dir.records()?.by_trial;
    let trial = find(&dir.info().plan, &dir.info().schedule(&records), args.trial)?;
    let record = records.get(&args.trial);
    let loaded = load(&dir, args.model.as_deref(), args.data_dir.as_deref())?;
    let report = args.threads.install(|| replay(&dir, &loaded, trial, record))??;
    if args.json { print_json(&report, out) } else { report.print(out) }
}

fn replay(dir: &CampaignDir, loaded: &Loaded, trial: Trial, record: Option<&TrialRecord>) -> Result<Report> {
    let campaign = loaded.campaign()?;
    ensure_same(dir, &campaign)?;
    let images = campaign.images() as u64;
    let bar = Inferences::new("replay", images * campaign.golden_runs() as u64 + trial.images.total());
    let golden = campaign.golden(&bar);
    let replay = campaign.replay(&golden, trial, &bar);
    bar.finish();
    Ok(Report {
        trial: trial.id,
        condition: dir.info().plan.conditions[trial.condition].label(),
        draw: trial.draw,
        chip_seed: campaign.chip_seed(trial),
        agrees_with_record: record.map(|record| record.outcomes.agrees_with(&replay.outcomes)),
        faults: campaign.listed_faults(trial, campaign.images_of(&golden, trial).as_deref()),
        replay,
    })
}

impl Report {
    fn print(&self, out: &mut dyn Write) -> Result<()> {
        let under =
            if self.condition.is_empty() { String::new() } else { format!(" under {}", self.condition) };
        writeln!(out, "trial {}: draw {}{under}", self.trial, self.draw)?;
        if let Some(seed) = self.chip_seed {
            writeln!(out, "  on the chip of seed {seed}")?;
        }
        for fault in self.faults.iter().take(SHOWN) {
            writeln!(out, "  {fault}")?;
        }
        if let Some(more) = self.faults.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            writeln!(out, "  … and {} more; --json shows all", grouped(more as u64))?;
        }
        let mut table =
            Table::new(&["node", "kind", "changed", "images", "rms error", "max error", "not finite"]);
        for column in 2..7 {
            table = table.right(column);
        }
        let departures = &self.replay.departures;
        let first = departures.iter().position(|departure| departure.changed > 0);
        for departure in &departures[first.unwrap_or(departures.len())..] {
            let share = departure.changed as f64 / departure.values.max(1) as f64;
            table.row([
                departure.node.clone(),
                departure.kind.to_owned(),
                format!("{:.4} %", 100.0 * share),
                grouped(departure.changed_images),
                format!("{:.3e}", departure.rms_error),
                format!("{:.3e}", departure.max_error),
                grouped(departure.not_finite),
            ]);
        }
        match first {
            None => writeln!(out, "\nno node departs from the golden run\n")?,
            Some(0) => write!(out, "\n{table}\n")?,
            Some(count) => write!(out, "\nthe first {count} nodes are as in the golden run\n{table}\n")?,
        }
        let outcomes = &self.replay.outcomes;
        let total = outcomes.images;
        writeln!(
            out,
            "{} images: {} correct, {} masked ({} exactly), {} sdc, {} due",
            grouped(total),
            grouped(outcomes.correct),
            grouped(outcomes.masked),
            grouped(outcomes.masked_exact.unwrap_or(0)),
            grouped(outcomes.sdc),
            grouped(outcomes.due)
        )?;
        if let Some(node) = &self.replay.masked_at {
            writeln!(out, "masked in every image: from {node} on nothing departs from the golden run")?;
        }
        match self.agrees_with_record {
            Some(true) => writeln!(out, "the record says the same")?,
            Some(false) => anyhow::bail!(
                "the record says otherwise: it was made by another version of the program, or altered"
            ),
            None => writeln!(out, "there is no record of this trial yet")?,
        }
        Ok(())
    }
}

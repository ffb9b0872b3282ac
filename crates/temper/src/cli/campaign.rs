//! `temper campaign`: plan, run, merge, status.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use serde::Serialize;
use temper_core::campaign::{
    Campaign, CampaignDir, CampaignInfo, CampaignSpec, FORMAT_VERSION, GoldenInfo, Plan, Records, Shard,
    TrialRecord,
};
use temper_core::data::Dataset;
use temper_core::network::Model;

use super::campaign_export::{self, ExportArgs};
use super::data_dir::DATA_DIR_HELP;
use super::eval::load_data;
use super::{Threads, print_json};
use crate::exit::Incomplete;
use crate::output::summary::CampaignReport;
use crate::output::table::{Table, grouped};
use crate::progress::{Inferences, stop_on_ctrl_c};

/// Arguments of `temper campaign`.
#[derive(Debug, Args)]
pub(crate) struct CampaignArgs {
    #[command(subcommand)]
    command: CampaignCommand,
}

#[derive(Debug, Subcommand)]
enum CampaignCommand {
    /// Run a campaign, or go on with it: what is recorded already is not run again
    Run {
        #[command(flatten)]
        spec: SpecArgs,
        /// Folder of the campaign's records; made if absent
        #[arg(short, long, value_name = "DIR")]
        output: PathBuf,
        /// Run this slice of the campaign only, such as 2/3; slices on several machines are merged afterwards
        #[arg(long, value_name = "K/N", default_value_t = Shard::WHOLE)]
        shard: Shard,
        #[command(flatten)]
        threads: Threads,
    },
    /// Check a specification and show what it would run
    Plan {
        #[command(flatten)]
        spec: SpecArgs,
    },
    /// Show how far a campaign is, and its results so far
    Status {
        /// Folder of the campaign
        dir: PathBuf,
        /// Print JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// Merge the records of one campaign from several folders into a new one
    Merge {
        /// Folders of the campaign
        #[arg(value_name = "DIR", required = true)]
        dirs: Vec<PathBuf>,
        /// Folder to make; appears whole or not at all
        #[arg(short, long, value_name = "DIR")]
        output: PathBuf,
        /// Print JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// Write a campaign's records, one row or object a trial
    Export(ExportArgs),
}

/// A specification and where its data lies.
#[derive(Debug, Args)]
struct SpecArgs {
    /// The campaign's specification (see docs/campaign-reference.md)
    #[arg(value_name = "SPEC.toml")]
    spec: PathBuf,
    #[arg(long, value_name = "DIR", help = DATA_DIR_HELP)]
    data_dir: Option<PathBuf>,
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
}

/// A specification with what it names.
struct Loaded {
    spec: CampaignSpec,
    model: Model,
    data: Dataset,
}

impl SpecArgs {
    fn load(&self) -> Result<Loaded> {
        let file = self.spec.display();
        let text = fs::read_to_string(&self.spec).with_context(|| format!("cannot read {file}"))?;
        let spec = CampaignSpec::parse(&text).with_context(|| file.to_string())?;
        let folder = self.spec.parent().unwrap_or(Path::new(""));
        let model = Model::load(&folder.join(&spec.model.file))?;
        let data = load_data(&spec.data.set, spec.data.split, spec.data.limit, self.data_dir.as_deref())
            .with_context(|| file.to_string())?;
        Ok(Loaded { spec, model, data })
    }
}

impl Loaded {
    fn campaign(&self, file: &Path) -> Result<Campaign<'_>> {
        Campaign::new(&self.spec, &self.model.network, &self.model.preprocessing, &self.data)
            .with_context(|| file.display().to_string())
    }
}

pub(super) fn run(args: &CampaignArgs, out: &mut (dyn Write + Send)) -> Result<()> {
    match &args.command {
        CampaignCommand::Run { spec, output, shard, threads } => {
            let loaded = spec.load()?;
            let campaign = loaded.campaign(&spec.spec)?;
            let dir = threads.install(|| run_campaign(&campaign, &loaded.spec, *shard, output))??;
            report(&dir, spec.json, out)
        }
        CampaignCommand::Merge { dirs, output, json } => report(&merge(dirs, output)?, *json, out),
        CampaignCommand::Plan { spec } => {
            let loaded = spec.load()?;
            print_plan(&loaded.campaign(&spec.spec)?, spec.json, out)
        }
        CampaignCommand::Status { dir, json } => {
            CampaignReport::new(&CampaignDir::open(dir)?)?.print(*json, out)
        }
        CampaignCommand::Export(args) => campaign_export::run(args, out),
    }
}

/// Prints what a directory's records amount to, and says where they are.
fn report(dir: &CampaignDir, json: bool, out: &mut dyn Write) -> Result<()> {
    CampaignReport::new(dir)?.print(json, out)?;
    out.flush()?;
    eprintln!("records: {}", dir.path().display());
    Ok(())
}

fn merge(dirs: &[PathBuf], output: &Path) -> Result<CampaignDir> {
    let dirs = dirs.iter().map(|dir| CampaignDir::open(dir)).collect::<Result<Vec<_>, _>>()?;
    let (first, others) = dirs.split_first().context("expected a folder to merge, found none")?;
    let (merged, records) = first.merge(others, output)?;
    note_torn(&records);
    let (done, all) = (records.by_trial.len() as u64, merged.info().trials());
    if done < all {
        eprintln!("note: {} of {} trials are in none of these folders", grouped(all - done), grouped(all));
    }
    Ok(merged)
}

fn note_torn(Records { torn, .. }: &Records) {
    if *torn > 0 {
        eprintln!("note: {torn} unfinished records of killed runs are dropped; their trials run again");
    }
}

/// Runs what is not recorded yet of a campaign's shard in `output`, on the current rayon pool.
pub(crate) fn run_campaign(
    campaign: &Campaign<'_>,
    spec: &CampaignSpec,
    shard: Shard,
    output: &Path,
) -> Result<CampaignDir> {
    stop_on_ctrl_c();
    let images = campaign.images() as u64;
    let bar = Inferences::new("golden run", images);
    let golden = campaign.golden(&bar);
    bar.finish();
    let info = CampaignInfo {
        format_version: FORMAT_VERSION,
        identity: campaign.identity().clone(),
        spec: spec.clone(),
        conditions: campaign.plan().conditions.clone(),
        golden: GoldenInfo { images, correct: golden.correct },
    };
    let dir = CampaignDir::open_or_create(output, &info)?;
    let records = dir.records()?;
    note_torn(&records);
    let done = records.by_trial;
    let (all, mut recorded) = progress(campaign.plan(), shard, &done);
    if recorded == all {
        return Ok(dir);
    }
    if recorded > 0 {
        eprintln!("{} of {} trials are recorded already", grouped(recorded), grouped(all));
    }
    let mut log = dir.begin_attempt(shard, &attempt_name())?;
    let bar = Inferences::new("campaign", (all - recorded).saturating_mul(images));
    let trials = shard.trials(campaign.plan()).filter(|trial| !done.contains_key(&trial.id));
    let failed = campaign.run(&golden, trials, &bar, |records| match log.append(&records) {
        Ok(()) => {
            recorded += records.len() as u64;
            ControlFlow::Continue(())
        }
        Err(error) => ControlFlow::Break(error),
    });
    bar.finish();
    if let Some(error) = failed {
        return Err(error.into());
    }
    if recorded < all { Err(Incomplete { done: recorded, all }.into()) } else { Ok(dir) }
}

/// How many trials a shard has, and how many of them are recorded.
fn progress(plan: &Plan, shard: Shard, done: &BTreeMap<u64, TrialRecord>) -> (u64, u64) {
    if shard == Shard::WHOLE {
        return (plan.len(), done.len() as u64);
    }
    shard
        .trials(plan)
        .fold((0, 0), |(all, recorded), trial| (all + 1, recorded + u64::from(done.contains_key(&trial.id))))
}

/// A name that no other attempt has: host, process, time.
fn attempt_name() -> String {
    let host =
        gethostname::gethostname().to_string_lossy().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    let start = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    format!("{host}-{}-{start}", std::process::id())
}

/// A plan as shown.
#[derive(Debug, Serialize)]
struct PlanInfo {
    campaign: String,
    conditions: Vec<PlannedCondition>,
    draws: u64,
    trials: u64,
    images: usize,
    inferences: u64,
}

#[derive(Debug, Serialize)]
struct PlannedCondition {
    swept: String,
    sites: u64,
}

fn print_plan(campaign: &Campaign<'_>, json: bool, out: &mut dyn Write) -> Result<()> {
    let plan = campaign.plan();
    let conditions = plan.conditions.iter().map(|condition| PlannedCondition {
        swept: condition.swept.map_or(String::new(), |(axis, value)| format!("{} = {value}", axis.name())),
        sites: campaign.sites(condition.id),
    });
    let info = PlanInfo {
        campaign: campaign.identity().campaign.clone(),
        conditions: conditions.collect(),
        draws: plan.draws,
        trials: plan.len(),
        images: campaign.images(),
        inferences: plan.len().saturating_mul(campaign.images() as u64),
    };
    if json {
        return print_json(&info, out);
    }
    let mut table = Table::new(&["condition", "sites", "draws"]).right(1).right(2);
    for PlannedCondition { swept, sites } in &info.conditions {
        table.row([swept.clone(), grouped(*sites), grouped(info.draws)]);
    }
    writeln!(
        out,
        "{table}\n{} trials of {} images: {} inferences",
        grouped(info.trials),
        grouped(info.images as u64),
        grouped(info.inferences)
    )?;
    Ok(())
}

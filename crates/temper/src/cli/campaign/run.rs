//! `temper campaign run`.

use std::collections::BTreeSet;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};
use bytesize::ByteSize;
use clap::Args;
use temper_core::campaign::{
    Campaign, CampaignDir, CampaignInfo, CampaignSpec, GoldenAnswers, Observer, ProofPolicy, RunOptions,
    Schedule, Shard, Trial,
};

use super::spec::SpecArgs;
use super::{note_torn, report};
use crate::cli::Threads;
use crate::exit::Incomplete;
use crate::output::images::{prefix, reason};
use crate::output::table::grouped;
use crate::progress::{Inferences, stop_on_ctrl_c};

/// Arguments of `temper campaign run`.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    spec: SpecArgs,
    /// Folder of the campaign's records; made if absent
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Run this slice of the campaign only, such as 2/3; slices on several machines are merged afterwards
    #[arg(long, value_name = "K/N", default_value_t = Shard::WHOLE)]
    shard: Shard,
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    engine: EngineArgs,
}

/// How trials are run. Records do not depend on it.
#[derive(Debug, Args)]
struct EngineArgs {
    /// Memory that the activations of all threads may take together, such as 512MiB
    #[arg(long, value_name = "SIZE", default_value_t = ByteSize(RunOptions::default().memory))]
    memory: ByteSize,
    /// Run this share of the trials again by brute force, every image through the whole network, and fail on any difference
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    verify: f64,
    /// Run every inference to its end, even where its top class provably stays as it is
    #[arg(long)]
    no_proofs: bool,
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("expected a share from 0 to 1".to_owned()),
    }
}

pub(super) fn run(args: &RunArgs, out: &mut (dyn Write + Send)) -> Result<()> {
    let loaded = args.spec.load()?;
    let (dir, seconds) = args.threads.install(|| {
        let campaign = loaded.campaign()?;
        for warning in campaign.warnings() {
            eprintln!("warning: {warning}");
        }
        let EngineArgs { memory, verify, no_proofs } = args.engine;
        let proofs = if no_proofs { ProofPolicy::Never } else { ProofPolicy::WhereTheyPay };
        let options = RunOptions { memory: memory.as_u64(), verify, proofs };
        let began = Instant::now();
        run_campaign(&campaign, &loaded.spec, &loaded.model_file, args.shard, &options, &args.output)
            .map(|dir| (dir, began.elapsed().as_secs_f64()))
    })??;
    eprintln!("golden run, trials and records: {seconds:.3} s");
    report(&dir, args.json, out)
}

/// Trials listed at a time.
const ROUND: usize = 1 << 20;

/// Runs what is not recorded yet of a campaign's shard in `output`, on the current rayon pool.
pub(crate) fn run_campaign(
    campaign: &Campaign<'_>,
    spec: &CampaignSpec,
    model_file: &Path,
    shard: Shard,
    options: &RunOptions,
    output: &Path,
) -> Result<CampaignDir> {
    let plan = campaign.plan();
    if plan.precision.is_some() && shard != Shard::WHOLE {
        bail!(
            "--shard: draws that stop by precision depend on all that went before; run this campaign whole"
        );
    }
    stop_on_ctrl_c("stopping: trials in flight will run again");
    let images = campaign.images() as u64;
    let bar = Inferences::new("golden run", images * campaign.golden_runs() as u64);
    let golden = campaign.golden(&bar);
    bar.finish();
    let info = CampaignInfo::new(campaign, spec, model_file, &golden);
    let dir = CampaignDir::open_or_create(output, &info)?;
    if spec.record.predictions {
        dir.keep_golden_answers(&GoldenAnswers::of(campaign, &golden))?;
    }
    let records = dir.records()?;
    note_torn(&records);
    let mut done = records.by_trial;
    let mine = shard.holds(plan);
    let all = if shard == Shard::WHOLE { plan.len() } else { plan.trials().filter(&mine).count() as u64 };
    let mut recorded = done.keys().filter_map(|&id| plan.find(id)).filter(&mine).count() as u64;
    let mut choices = Choices::default();
    let mut log = None;
    let (mut proven, mut inferences) = (0, 0);
    // Trials come in rounds; draws that stop by precision up to the next look, then what that says.
    loop {
        let schedule = info.schedule(&done);
        let pending: Vec<Trial> = schedule.pending().filter(&mine).take(ROUND).collect();
        choices.note(&info, &schedule);
        if pending.is_empty() {
            if proven > 0 {
                let (proven, inferences) = (grouped(proven), grouped(inferences));
                eprintln!("{proven} of {inferences} inferences ended early: their answer is proven");
            }
            return Ok(dir);
        }
        if recorded > 0 && log.is_none() {
            let most = if plan.precision.is_some() { "at most " } else { "" };
            eprintln!("{} of {most}{} trials are recorded already", grouped(recorded), grouped(all));
        }
        let log = match &mut log {
            Some(log) => log,
            none => none.insert(dir.begin_attempt(shard, &attempt_name())?),
        };
        let planned = pending.iter().fold(0u64, |sum, trial| sum.saturating_add(trial.images.total()));
        let bar = Inferences::new("campaign", planned);
        let failed = campaign.run(&golden, pending, options, &bar, |records| match log.append(&records) {
            Ok(()) => {
                recorded += records.len() as u64;
                proven += records.iter().map(|record| record.masked_proven).sum::<u64>();
                inferences += records.iter().map(|record| record.outcomes.images).sum::<u64>();
                done.extend(records.into_iter().map(|record| (record.trial, record)));
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(error),
        });
        bar.finish();
        if let Some(error) = failed? {
            return Err(error.into());
        }
        if bar.is_cancelled() && info.schedule(&done).pending().any(|trial| mine(&trial)) {
            return Err(Incomplete { done: recorded, all }.into());
        }
    }
}

/// The numbers of images chosen for conditions that have been told.
#[derive(Default)]
struct Choices {
    told: BTreeSet<usize>,
}

impl Choices {
    /// Tells what has been chosen since.
    fn note(&mut self, info: &CampaignInfo, schedule: &Schedule<'_>) {
        for condition in &info.plan.conditions {
            if let Some(choice) = schedule.choice(condition.id)
                && self.told.insert(condition.id)
            {
                eprintln!("{}{}", prefix(condition), reason(choice, info.plan.images));
            }
        }
    }
}

/// A name that no other attempt has: host, process, time.
fn attempt_name() -> String {
    let host =
        gethostname::gethostname().to_string_lossy().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    let start = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    format!("{host}-{}-{start}", std::process::id())
}

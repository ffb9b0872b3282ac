//! A campaign's directory.

mod confusion;
pub(super) mod curves;
mod draws;
mod layers;
mod method;
mod rows;
mod summary;

use std::path::Path;

use temper_core::analysis::{
    AccuracyFloor, ConditionSummary, SummaryOptions, Unit, samples, summarise, yield_of,
};
use temper_core::campaign::{CampaignDir, CampaignInfo};
use temper_core::statistics::Proportion;

use rows::Rows;

use super::{CONFIDENCE, names};
use crate::error::ReportError;
use crate::number::counted;
use crate::report::{Block, Report, Section};

/// Records that are whole at a time, unless a single condition has more.
const BATCH: u64 = 50_000;
/// Dots drawn of a condition's draws.
const MOST_DOTS: usize = 120;
/// A chip that loses at most so much accuracy is good.
const TOLERANCE: f64 = 0.01;

/// What is known of a condition.
pub(super) struct Found {
    pub(super) summary: ConditionSummary,
    /// Its name for readers; empty for the only one.
    pub(super) label: String,
    /// The share of good draws, where it can be known.
    good: Option<Proportion>,
    /// Accuracies of draws, and their numbers; evenly spaced ones by rank, where there are many. None where draws ran part of the images.
    dots: Vec<(f64, u64)>,
    /// Whether all its draws are made.
    is_complete: bool,
    /// Whether all draws that the specification allows were not enough for the precision that it asks.
    is_imprecise: bool,
    /// Trials recorded.
    recorded: u64,
}

/// All that a report says of a campaign.
pub(super) struct Campaign {
    info: CampaignInfo,
    axes: Vec<String>,
    confidence: f64,
    conditions: Vec<Found>,
    changes: Option<confusion::Changes>,
    torn: usize,
}

impl Campaign {
    pub(super) fn read(dir: &Path) -> Result<Self, ReportError> {
        let dir = CampaignDir::open(dir)?;
        let info = dir.info().clone();
        let rows = Rows::read(&dir)?;
        let trials = &info.spec.trials;
        let named = trials.statistical.map(|statistical| statistical.confidence);
        let named = named.or(trials.precision.map(|precision| precision.confidence));
        let options = SummaryOptions {
            confidence: named.unwrap_or(CONFIDENCE),
            bootstrap: false,
            ..SummaryOptions::default()
        };
        let axes = names::axes(&info.plan.conditions);
        let mut conditions = Vec::new();
        let mut begin = 0;
        while begin < info.plan.conditions.len() {
            let (mut end, mut records) = (begin, 0);
            while end < info.plan.conditions.len()
                && (end == begin || records + rows.recorded_of(end) <= BATCH)
            {
                records += rows.recorded_of(end);
                end += 1;
            }
            conditions.extend(found(&info, &rows, begin..end, &options, &axes)?);
            begin = end;
        }
        let Rows { torn, changes, .. } = rows;
        Ok(Self { info, axes, confidence: options.confidence, conditions, changes, torn })
    }

    /// How many conditions are not known as well as the specification asks.
    pub(super) fn imprecise(&self) -> usize {
        self.conditions.iter().filter(|found| found.is_imprecise).count()
    }

    /// Images of the golden run.
    pub(super) fn images(&self) -> u64 {
        self.info.plan.images
    }

    fn recorded(&self) -> u64 {
        self.conditions.iter().map(|found| found.recorded).sum()
    }

    /// What a draw is called.
    fn unit(&self) -> &'static str {
        match self.conditions[0].summary.unit {
            Unit::Chip => "chip",
            Unit::Fault | Unit::DistinctFault | Unit::EveryFault => "fault",
        }
    }

    /// The conditions with draws.
    pub(super) fn measured(&self) -> impl Iterator<Item = &Found> {
        self.conditions.iter().filter(|found| found.summary.accuracy.is_some())
    }

    /// The conditions' only golden accuracy, if they have the same.
    fn golden(&self) -> Option<f64> {
        only_golden(self.conditions.iter().map(|found| &found.summary))
    }

    /// What costs accuracy, in words.
    fn cause(&self) -> &'static str {
        let spec = &self.info.spec;
        match (spec.faults.is_empty(), spec.hardware.is_empty()) {
            (_, true) => "faults",
            (true, false) => "hardware",
            (false, false) => "faults and hardware",
        }
    }

    /// What curves are compared with: the golden accuracy, if all conditions have the same.
    fn reference(&self) -> Option<(f64, String)> {
        Some((self.golden()?, format!("without {}", self.cause())))
    }

    /// What is struck, in words.
    fn title(&self) -> String {
        let spec = &self.info.spec;
        let how = if spec.faults.is_empty() { "on analog hardware" } else { "under faults" };
        format!("{} on {}, {how}", model_name(&spec.model.file), spec.data.set)
    }
}

/// What a model is called: its file, or where that is one of those that a training leaves, the training's folder.
fn model_name(file: &Path) -> String {
    const USUAL: [&str; 6] = ["model", "last", "models", "golden", "training", "."];
    let stem = file.with_extension("");
    let mut names = stem.components().rev().filter_map(|part| match part {
        std::path::Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
        _ => None,
    });
    names.find(|name| !USUAL.contains(&name.as_str())).unwrap_or_else(|| "A network".to_owned())
}

/// The golden accuracy, if all conditions have the same.
fn only_golden<'a>(mut conditions: impl Iterator<Item = &'a ConditionSummary>) -> Option<f64> {
    let first = conditions.next()?.golden_accuracy;
    conditions.all(|condition| condition.golden_accuracy == first).then_some(first)
}

/// What is known of some conditions.
fn found(
    info: &CampaignInfo,
    rows: &Rows,
    conditions: std::ops::Range<usize>,
    options: &SummaryOptions,
    axes: &[String],
) -> Result<Vec<Found>, ReportError> {
    let records = rows.records(info, conditions.clone());
    let summaries = summarise(info, &records, options)?;
    let samples = samples(info, &records)?;
    let of_condition = |(summary, sample): (ConditionSummary, &temper_core::analysis::Sample<'_>)| {
        let recorded = rows.recorded_of(summary.condition.id);
        let is_complete = sample.stopped.is_some() || recorded >= summary.condition.draws;
        // What a yield needs and cannot have is no error of the directory: draws on all images, a sample of all faults.
        let floor = AccuracyFloor::BelowGolden(TOLERANCE);
        let good = yield_of(sample, floor, options.confidence).ok();
        let dots = if sample.has_all_images() { dots(sample) } else { Vec::new() };
        let label = names::condition(&summary.condition, axes, None);
        Found { summary, label, good, dots, is_complete, is_imprecise: sample.is_imprecise, recorded }
    };
    let both = summaries.into_iter().zip(&samples).skip(conditions.start).take(conditions.len());
    Ok(both.map(of_condition).collect())
}

/// A condition's draws, or so many of them that the eye sees the same: evenly spaced in the order of their accuracies, the ends included.
fn dots(sample: &temper_core::analysis::Sample<'_>) -> Vec<(f64, u64)> {
    let draws = sample.records.iter().map(|record| record.draw);
    let mut dots: Vec<(f64, u64)> = sample.accuracies().into_iter().zip(draws).collect();
    dots.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    if dots.len() <= MOST_DOTS {
        return dots;
    }
    let last = dots.len() - 1;
    (0..MOST_DOTS).map(|i| dots[i * last / (MOST_DOTS - 1)]).collect()
}

/// Reports a campaign.
pub(super) fn read(dir: &Path) -> Result<Report, ReportError> {
    let campaign = Campaign::read(dir)?;
    let mut sections = vec![Section {
        id: "summary".to_owned(),
        title: "Summary".to_owned(),
        blocks: summary::blocks(&campaign),
    }];
    let mut add = |id: &str, title: &str, blocks: Vec<Block>| {
        if !blocks.is_empty() {
            sections.push(Section { id: id.to_owned(), title: title.to_owned(), blocks });
        }
    };
    add("accuracy", "Accuracy", curves::blocks(&campaign));
    add("layers", "Layers and bits", layers::blocks(&campaign)?);
    add(
        "draws",
        if campaign.unit() == "chip" { "Single chips" } else { "Single faults" },
        draws::swarm(&campaign),
    );
    add("outcomes", "What becomes of inferences", draws::outcomes(&campaign));
    let table = summary::table(&campaign);
    add("conditions", "All conditions", vec![table]);
    let (spec, identity) = (&campaign.info.spec, &campaign.info.identity);
    sections.push(method::section(&campaign)?);
    Ok(Report {
        title: campaign.title(),
        subtitle: format!(
            "{} under {}, {} each.",
            counted(campaign.recorded(), "trial", "trials"),
            counted(campaign.conditions.len() as u64, "condition", "conditions"),
            counted(campaign.info.plan.images, "image", "images")
        ),
        facts: vec![
            (
                "model".to_owned(),
                spec.model.file.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            ),
            ("data set".to_owned(), format!("{}, {}", spec.data.set, spec.data.split)),
            ("seed".to_owned(), spec.seed.to_string()),
            ("campaign".to_owned(), identity.campaign.clone()),
            ("network".to_owned(), identity.network.clone()),
            ("data".to_owned(), identity.data.clone()),
            ("format of the directory".to_owned(), campaign.info.format_version.to_string()),
            ("report by".to_owned(), concat!("temper ", env!("CARGO_PKG_VERSION")).to_owned()),
        ],
        sections,
    })
}

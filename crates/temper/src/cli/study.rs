//! `temper run` of a study: a network trained, put on chips, and repaired on each.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use temper_core::write_atomically;
use temper_train::device::Device;
use temper_train::study::{Repair, RepairSummary, Study, StudyRecord, StudySpec, StudySummary};
use temper_train::training::{Ended, TrainingResult};

use super::print_json;
use super::report::REPORT;
use crate::exit::StoppedStudy;
use crate::output::table::Table;
use crate::progress::{Chips, stop_on_ctrl_c};

/// The confidence level of intervals.
const CONFIDENCE: f64 = 0.95;

/// Runs the study that a text describes; `name` stands before errors. Places: the folder that its paths start at, its own, that of data sets.
pub(super) fn run(
    name: &str,
    text: &str,
    (base, output, data_dir): (&Path, &Path, &Path),
    device: &Device,
    json: bool,
    out: &mut dyn Write,
) -> Result<()> {
    let spec = StudySpec::parse(text).with_context(|| name.to_owned())?;
    let study = Study::new(spec, base, data_dir).with_context(|| name.to_owned())?;
    for warning in study.warnings() {
        eprintln!("warning: {warning}");
    }
    stop_on_ctrl_c("stopping after the steps in flight");
    let chips = Chips::new(&study);
    let ended = study.run(output, device, &chips);
    chips.finish();
    let ended = ended?;
    if let Some(found) = Found::read(&study, output)? {
        found.print(json, out)?;
        out.flush()?;
        found.write(output)?;
    }
    match ended {
        Ended::Complete => Ok(()),
        Ended::Stopped => Err(StoppedStudy.into()),
    }
}

/// What a study's folder holds so far.
struct Found {
    summary: StudySummary,
}

impl Found {
    /// Reads it; nothing, before something is measured.
    fn read(study: &Study, folder: &Path) -> Result<Option<Self>> {
        let records = StudyRecord::read_all(folder)?;
        if records.is_empty() {
            return Ok(None);
        }
        let golden = folder.join("golden/result.json");
        let text = fs::read(&golden).with_context(|| format!("cannot read {}", golden.display()))?;
        let result: TrainingResult =
            serde_json::from_slice(&text).with_context(|| golden.display().to_string())?;
        let golden = result.phases.last().context("the golden training has no phase")?.best_test_accuracy;
        let summary = StudySummary::new(study.spec(), study.conditions(), golden, &records, CONFIDENCE);
        Ok(Some(Self { summary }))
    }

    /// Writes the summary and the report to the study's folder; says where the page is.
    fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join("summary.json");
        let json = serde_json::to_string_pretty(&self.summary)? + "\n";
        write_atomically(&path, json.as_bytes())
            .with_context(|| format!("cannot write {}", path.display()))?;
        let written = temper_report::write(&temper_report::read(folder)?, &folder.join(REPORT))?;
        eprintln!("report: {}", written.page.display());
        Ok(())
    }

    /// Prints the summary.
    fn print(&self, json: bool, out: &mut dyn Write) -> Result<()> {
        if json {
            return print_json(&self.summary, out);
        }
        let StudySummary { golden_accuracy, yield_accuracy, repairs } = &self.summary;
        writeln!(out, "golden network: test accuracy {golden_accuracy:.4}\n")?;
        let headings =
            ["repair", "chips", "accuracy", "95 % interval", "worst", "lost", "recovered", "good", "seconds"];
        for of_condition in repairs.chunk_by(|a, b| a.condition == b.condition) {
            let mut table = (1..headings.len()).fold(Table::new(&headings), Table::right);
            for repair in of_condition {
                table.row(row(repair));
            }
            if !of_condition[0].label.is_empty() {
                writeln!(out, "{}", of_condition[0].label)?;
            }
            writeln!(out, "{table}")?;
        }
        writeln!(
            out,
            "lost: share of the golden accuracy; recovered: share of what is lost without a repair, with its 95 % interval;\n\
             good: share of the chips with an accuracy of {yield_accuracy:.4} or more, with its 95 % interval (Clopper and Pearson)"
        )?;
        Ok(())
    }
}

fn row(repair: &RepairSummary) -> [String; 9] {
    let interval = |(low, high): (f64, f64)| format!("{low:.4} to {high:.4}");
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    let recovered = repair.recovered.filter(|_| repair.repair != Repair::Nothing);
    let (low, high) = repair.good.clopper_pearson;
    [
        repair.repair.to_string(),
        repair.accuracy.draws.to_string(),
        format!("{:.4}", repair.accuracy.mean),
        repair.accuracy.interval.map_or(String::new(), interval),
        format!("{:.4}", repair.accuracy.min),
        percent(repair.lost.mean),
        recovered.map_or(String::new(), |ratio| match ratio.interval {
            Some((low, high)) => format!("{:.3} ({low:.3} to {high:.3})", ratio.ratio),
            None => format!("{:.3}", ratio.ratio),
        }),
        format!("{} ({} to {})", percent(repair.good.estimate), percent(low), percent(high)),
        format!("{:.1}", repair.seconds),
    ]
}

//! Records for other programs: one row or object a trial, the same bytes for the same results.

use std::io::Write;

use anyhow::Result;
use serde_json::{Map, Value, json};
use temper_core::campaign::{CampaignInfo, Outcomes, TrialRecord};

/// The columns, in their order. The time a trial took is left out: it differs from run to run.
fn columns(info: &CampaignInfo) -> Vec<&'static str> {
    let swept = info.conditions.first().and_then(|condition| condition.swept).map(|(axis, _)| axis.name());
    let mut columns = vec!["trial", "condition"];
    columns.extend(swept);
    columns.extend([
        "draw",
        "faults",
        "images",
        "correct",
        "accuracy",
        "masked",
        "masked_exact",
        "sdc",
        "sdc5",
        "sdc10",
        "sdc20",
        "critical",
        "due",
    ]);
    columns
}

/// A trial's values, one for each column.
fn values(info: &CampaignInfo, record: &TrialRecord) -> Vec<Value> {
    let swept = info.conditions.get(record.condition).and_then(|condition| condition.swept);
    let mut values = vec![json!(record.trial), json!(record.condition)];
    values.extend(swept.map(|(_, value)| json!(value)));
    let Outcomes { images, correct, masked, masked_exact, sdc, sdc5, sdc10, sdc20, critical, due } =
        record.outcomes;
    values.extend([json!(record.draw), json!(record.faults), json!(images), json!(correct)]);
    values.push(json!(record.outcomes.accuracy()));
    values.extend([masked, masked_exact, sdc, sdc5, sdc10, sdc20, critical, due].map(|count| json!(count)));
    values
}

/// Writes a header and one line a trial. All fields are numbers, so nothing needs quotes.
pub(crate) fn csv<'a>(
    info: &CampaignInfo,
    records: impl IntoIterator<Item = &'a TrialRecord>,
    out: &mut dyn Write,
) -> Result<()> {
    writeln!(out, "{}", columns(info).join(","))?;
    for record in records {
        let values: Vec<_> = values(info, record).iter().map(Value::to_string).collect();
        writeln!(out, "{}", values.join(","))?;
    }
    Ok(())
}

/// Writes an array with one object a trial.
pub(crate) fn json<'a>(
    info: &CampaignInfo,
    records: impl IntoIterator<Item = &'a TrialRecord>,
    out: &mut dyn Write,
) -> Result<()> {
    let columns = columns(info);
    let object = |record| -> Map<String, Value> {
        columns.iter().map(|&name| name.to_owned()).zip(values(info, record)).collect()
    };
    let objects: Vec<_> = records.into_iter().map(object).collect();
    crate::cli::print_json(&objects, out)
}

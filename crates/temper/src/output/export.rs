//! Records for other programs: one row or object a trial, the same bytes for the same results.

use std::io::Write;

use anyhow::Result;
use serde_json::{Map, Value, json};
use temper_core::campaign::{CampaignInfo, TrialRecord};

/// Name and value of every field of a trial, in the order of the columns. The time a trial took is left out: it differs from run
/// to run.
fn fields(info: &CampaignInfo, record: &TrialRecord) -> Vec<(&'static str, Value)> {
    let mut fields = vec![("trial", json!(record.trial)), ("condition", json!(record.condition))];
    if let Some((axis, value)) = info.conditions.get(record.condition).and_then(|condition| condition.swept) {
        fields.push((axis.name(), json!(value)));
    }
    let outcomes = &record.outcomes;
    fields.extend([
        ("draw", json!(record.draw)),
        ("faults", json!(record.faults)),
        ("images", json!(outcomes.images)),
        ("correct", json!(outcomes.correct)),
        ("accuracy", json!(outcomes.accuracy())),
        ("masked", json!(outcomes.masked)),
        ("masked_exact", json!(outcomes.masked_exact)),
        ("sdc", json!(outcomes.sdc)),
        ("sdc5", json!(outcomes.sdc5)),
        ("sdc10", json!(outcomes.sdc10)),
        ("sdc20", json!(outcomes.sdc20)),
        ("critical", json!(outcomes.critical)),
        ("due", json!(outcomes.due)),
    ]);
    fields
}

/// Writes a header and one line a trial. All fields are numbers, so nothing needs quotes.
pub(crate) fn csv<'a>(
    info: &CampaignInfo,
    records: impl IntoIterator<Item = &'a TrialRecord>,
    out: &mut dyn Write,
) -> Result<()> {
    let mut header = true;
    for record in records {
        let fields = fields(info, record);
        if header {
            let names: Vec<_> = fields.iter().map(|(name, _)| *name).collect();
            writeln!(out, "{}", names.join(","))?;
            header = false;
        }
        let values: Vec<_> = fields.iter().map(|(_, value)| value.to_string()).collect();
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
    let object = |record| -> Map<String, Value> {
        fields(info, record).into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    };
    let objects: Vec<_> = records.into_iter().map(object).collect();
    crate::cli::print_json(&objects, out)
}

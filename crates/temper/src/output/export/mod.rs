//! Records for other programs: one row or object a trial, the same bytes for the same results.

mod parquet;

use std::io::Write;

use anyhow::Result;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use temper_core::campaign::{CampaignInfo, Condition, GoldenInfo, Outcomes, Records, TrialRecord};

use crate::cli::print_json;

/// One of a trial's counts.
type Count = fn(&Outcomes) -> u64;
type OptionalCount = fn(&Outcomes) -> Option<u64>;

/// Counts of inferences, before the accuracy that follows from them.
const INFERENCES: [(&str, Count); 3] = [
    ("images", |outcomes| outcomes.images),
    ("correct", |outcomes| outcomes.correct),
    ("golden_correct", |outcomes| outcomes.golden_correct),
];

/// Counts of outcomes, behind it; some of them are not in every campaign.
const OUTCOMES: [(&str, OptionalCount); 8] = [
    ("masked", |outcomes| Some(outcomes.masked)),
    ("masked_exact", |outcomes| outcomes.masked_exact),
    ("sdc", |outcomes| Some(outcomes.sdc)),
    ("sdc5", |outcomes| Some(outcomes.sdc5)),
    ("sdc10", |outcomes| outcomes.sdc10),
    ("sdc20", |outcomes| outcomes.sdc20),
    ("critical", |outcomes| Some(outcomes.critical)),
    ("due", |outcomes| Some(outcomes.due)),
];

/// Trials as columns of equal length, in the order of their ids.
pub(crate) struct TrialColumns {
    columns: Vec<Column>,
    rows: usize,
}

struct Column {
    name: String,
    values: Values,
}

/// The values of a column, one for each trial.
enum Values {
    Integers(Vec<u64>),
    Reals(Vec<f64>),
    Texts(Vec<String>),
}

/// One value.
#[derive(Serialize)]
#[serde(untagged)]
enum Cell<'a> {
    Integer(u64),
    Real(f64),
    Text(&'a str),
}

/// A swept field: its name, and its value under each condition.
struct Axis {
    name: String,
    values: Vec<Value>,
}

impl TrialColumns {
    /// All that is known of each trial, but for the time it took, which differs from run to run.
    pub(crate) fn new(info: &CampaignInfo, records: &Records) -> Self {
        Self::with_axes(&axes(&info.plan.conditions), &info.golden, records)
    }

    fn with_axes(axes: &[Axis], golden: &[GoldenInfo], records: &Records) -> Self {
        let records: Vec<&TrialRecord> = records.by_trial.values().collect();
        let column = |name: &str, values| Column { name: name.to_owned(), values };
        let count = |name, count: fn(&TrialRecord) -> u64| {
            column(name, Values::Integers(records.iter().map(|record| count(record)).collect()))
        };
        let outcome = |(name, of): (&'static str, Count)| {
            column(name, Values::Integers(records.iter().map(|record| of(&record.outcomes)).collect()))
        };
        let optional = |&(name, of): &(&'static str, OptionalCount)| {
            let counts: Option<Vec<u64>> = records.iter().map(|record| of(&record.outcomes)).collect();
            counts.map(|counts| column(name, Values::Integers(counts)))
        };
        let accuracy = records.iter().map(|record| golden[record.condition].accuracy_of(record)).collect();
        let mut columns =
            vec![count("trial", |record| record.trial), count("condition", |record| record.condition as u64)];
        columns.extend(axes.iter().map(|axis| column(&axis.name, axis.of(&records))));
        columns.push(count("draw", |record| record.draw));
        columns.push(count("faults", |record| record.faults));
        columns.extend(INFERENCES.map(outcome));
        columns.push(column("accuracy", Values::Reals(accuracy)));
        columns.extend(OUTCOMES.iter().filter_map(optional));
        Self { columns, rows: records.len() }
    }

    /// Writes a header and one line a trial.
    pub(crate) fn csv(&self, out: &mut dyn Write) -> Result<()> {
        let mut csv = csv::WriterBuilder::new().has_headers(false).from_writer(out);
        csv.write_record(self.columns.iter().map(|column| &column.name))?;
        for row in 0..self.rows {
            let cells: Vec<Cell<'_>> = self.columns.iter().map(|column| column.values.get(row)).collect();
            csv.serialize(cells)?;
        }
        Ok(csv.flush()?)
    }

    /// Writes an array with one object a trial.
    pub(crate) fn json(&self, out: &mut dyn Write) -> Result<()> {
        print_json(self, out)
    }
}

impl Serialize for TrialColumns {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((0..self.rows).map(|row| Row { columns: &self.columns, row }))
    }
}

/// One trial, as an object.
struct Row<'a> {
    columns: &'a [Column],
    row: usize,
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(
            self.columns.iter().map(|column| (column.name.as_str(), column.values.get(self.row))),
        )
    }
}

impl Values {
    fn get(&self, row: usize) -> Cell<'_> {
        match self {
            Self::Integers(values) => Cell::Integer(values[row]),
            Self::Reals(values) => Cell::Real(values[row]),
            Self::Texts(values) => Cell::Text(&values[row]),
        }
    }
}

impl Axis {
    /// The value of each record's condition: all integers, all numbers, or all text.
    fn of(&self, records: &[&TrialRecord]) -> Values {
        let rows = || records.iter().map(|record| &self.values[record.condition]);
        if self.values.iter().all(Value::is_u64) {
            Values::Integers(rows().filter_map(Value::as_u64).collect())
        } else if self.values.iter().all(Value::is_number) {
            Values::Reals(rows().filter_map(Value::as_f64).collect())
        } else {
            let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            Values::Texts(rows().map(text).collect())
        }
    }
}

/// The fields that the conditions sweep, in the order of the axes.
fn axes(conditions: &[Condition]) -> Vec<Axis> {
    let names = conditions.first().map(|condition| condition.swept.iter().map(|swept| swept.axis.clone()));
    let axis = |(number, name): (usize, String)| {
        let values = conditions.iter().filter_map(|condition| condition.swept.get(number));
        Axis { name, values: values.map(|swept| json!(swept.value)).collect() }
    };
    names.into_iter().flatten().enumerate().map(axis).collect()
}

#[cfg(test)]
mod tests;

//! Which answers turn into which others.

use temper_core::campaign::{CampaignInfo, TrialRecord};

use crate::chart::{Chart, Heat};
use crate::number::{Format, counted};
use crate::report::Figure;
use crate::table::{Cell, Table};

/// More classes than these make no picture that can be read.
const MOST_CLASSES: usize = 40;

/// Golden answers and what they turned into, counted over images and draws.
///
/// Records hold the answers of faulty runs only. The golden ones are those of a draw under which every image was masked.
pub(super) struct Changes {
    /// The golden answers of each condition, once they are known.
    golden: Vec<Option<Vec<u8>>>,
    /// Whether all conditions have the same golden run.
    is_shared: bool,
    /// `counts[golden][faulty]`, the last column for outputs with a NaN.
    counts: Vec<Vec<u64>>,
    /// Draws counted.
    draws: u64,
}

impl Changes {
    pub(super) fn new(info: &CampaignInfo) -> Self {
        // Axes that change how often and how faults strike, but not what is stored.
        let is_of_fault = |axis: &str| {
            let field = axis.rsplit('.').next().unwrap_or(axis);
            axis.starts_with("hardware.")
                || field.ends_with("rate")
                || matches!(field, "count" | "bit" | "sigma")
        };
        let is_shared = info.spec.sweep.axes.iter().all(|(axis, _)| is_of_fault(axis));
        let golden = vec![None; info.plan.conditions.len()];
        Self { golden, is_shared, counts: Vec::new(), draws: 0 }
    }

    fn place(&self, condition: usize) -> usize {
        if self.is_shared { 0 } else { condition }
    }

    /// Takes the golden answers from a draw that changed none.
    pub(super) fn learn(&mut self, record: &TrialRecord) {
        let place = self.place(record.condition);
        let is_golden = record.outcomes.masked == record.outcomes.images && record.near.is_none();
        if self.golden[place].is_none()
            && is_golden
            && let Some(predictions) = &record.predictions
        {
            self.golden[place] = predictions.iter().copied().collect();
        }
    }

    /// Whether the golden answers of any condition are known.
    pub(super) fn is_known(&self) -> bool {
        self.golden.iter().any(Option::is_some)
    }

    /// Counts a draw's answers.
    pub(super) fn count(&mut self, record: &TrialRecord) {
        let place = self.place(record.condition);
        let (Some(golden), Some(predictions)) = (&self.golden[place], &record.predictions) else { return };
        if record.near.is_some() || golden.len() != predictions.len() {
            return;
        }
        let known = predictions.iter().flatten().chain(golden).copied().max().unwrap_or(0);
        let classes = self.counts.len().max(usize::from(known) + 1);
        if classes > self.counts.len() {
            // The column of NaN stays the last.
            for row in &mut self.counts {
                let nan = row.pop().unwrap_or(0);
                row.resize(classes, 0);
                row.push(nan);
            }
            self.counts.resize(classes, vec![0; classes + 1]);
        }
        for (&golden, prediction) in golden.iter().zip(predictions) {
            let column = prediction.map_or(classes, usize::from);
            self.counts[usize::from(golden)][column] += 1;
        }
        self.draws += 1;
    }

    /// The figure: of the images with each golden answer, the share with each other answer.
    pub(super) fn figure(&self) -> Option<Figure> {
        let classes = self.counts.len();
        if self.draws == 0 || classes > MOST_CLASSES {
            return None;
        }
        let name = |class: usize| if class == classes { "none".to_owned() } else { class.to_string() };
        let mut table = Table::new(&[
            ("golden answer", None),
            ("faulty answer", None),
            ("inferences", Some(Format::Count)),
            ("share", Some(Format::Share)),
        ]);
        let mut values = Vec::new();
        for (golden, row) in self.counts.iter().enumerate() {
            let all: u64 = row.iter().sum();
            for (faulty, &count) in row.iter().enumerate() {
                let share = if all == 0 { f64::NAN } else { count as f64 / all as f64 };
                values.push(if golden == faulty { f64::NAN } else { share });
                table.rows.push(vec![
                    Cell::text(name(golden)),
                    Cell::text(name(faulty)),
                    Cell::Number(count as f64),
                    Cell::Number(share),
                ]);
            }
        }
        Some(Figure {
            id: "answers".to_owned(),
            title: "Answers that faults change".to_owned(),
            caption: format!(
                "Of the inferences with each golden answer, the share with each other answer, over {} of all conditions whose golden answers are \
                 known. Those that stay are left out of the picture; none: an output with a NaN.",
                counted(self.draws, "draw", "draws")
            ),
            alt: "A matrix: golden answers from top to bottom, faulty answers from left to right; the colour is the share of inferences.".to_owned(),
            chart: Chart::Heat(Heat {
                x_title: "faulty answer".to_owned(),
                y_title: "golden".to_owned(),
                value_title: "share of inferences with that golden answer".to_owned(),
                columns: (0..=classes).map(name).collect(),
                rows: (0..classes).map(name).collect(),
                values,
            }),
            table,
        })
    }
}

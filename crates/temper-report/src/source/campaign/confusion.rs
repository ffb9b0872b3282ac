//! Which answers turn into which others.

use std::iter::repeat_n;

use temper_core::campaign::{GoldenAnswers, TrialRecord};

use crate::chart::{Chart, Heat};
use crate::number::{Format, counted};
use crate::report::Figure;
use crate::table::{Cell, Table};

/// More classes than these make no picture that can be read.
const MOST_CLASSES: usize = 40;

/// Golden answers and what they turned into, counted over images and draws.
pub(super) struct Changes {
    /// The golden answers of all golden runs.
    golden: Vec<GoldenAnswers>,
    /// Which of them are each condition's.
    of_condition: Vec<Option<usize>>,
    /// `counts[golden][faulty]`; the last row is that of golden outputs with a NaN, the last column that of faulty ones.
    counts: Vec<Vec<u64>>,
    /// Draws counted.
    draws: u64,
}

impl Changes {
    /// Nothing counted yet.
    pub(super) fn new(conditions: usize, golden: Vec<GoldenAnswers>) -> Self {
        let run = |condition| golden.iter().position(|answers| answers.conditions.contains(&condition));
        let of_condition = (0..conditions).map(run).collect();
        Self { golden, of_condition, counts: vec![vec![0]], draws: 0 }
    }

    /// Counts a draw's answers.
    ///
    /// Only those of draws on all images: records do not say which images others ran.
    pub(super) fn count(&mut self, record: &TrialRecord) {
        let run = self.of_condition[record.condition].map(|run| &self.golden[run].predictions);
        let (Some(golden), Some(predictions)) = (run, &record.predictions) else { return };
        if record.near.is_some() || golden.len() != predictions.len() {
            return;
        }
        let known = predictions.iter().chain(golden).flatten().map(|&class| usize::from(class) + 1).max();
        let classes = (self.counts.len() - 1).max(known.unwrap_or(0));
        grow(&mut self.counts, classes);
        for (golden, faulty) in golden.iter().zip(predictions) {
            let place = |class: &Option<u8>| class.map_or(classes, usize::from);
            self.counts[place(golden)][place(faulty)] += 1;
        }
        self.draws += 1;
    }

    /// Whether no draw was counted.
    pub(super) fn is_empty(&self) -> bool {
        self.draws == 0
    }

    /// The figure: of the images with each golden answer, the share with each other answer.
    pub(super) fn figure(&self) -> Option<Figure> {
        let classes = self.counts.len() - 1;
        if self.is_empty() || classes > MOST_CLASSES {
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
        // A golden output with a NaN is rare: it has a row only where there is one.
        let rows = if self.counts[classes].iter().all(|&count| count == 0) { classes } else { classes + 1 };
        for (golden, row) in self.counts[..rows].iter().enumerate() {
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
                "Of the inferences with each golden answer, the share with each other answer, over {} of all conditions. Those that stay are left out of the picture; none: an output with a NaN.",
                counted(self.draws, "draw", "draws")
            ),
            alt: "A matrix: golden answers from top to bottom, faulty answers from left to right; the colour is the share of inferences.".to_owned(),
            chart: Chart::Heat(Heat {
                x_title: "faulty answer".to_owned(),
                y_title: "golden".to_owned(),
                value_title: "share of inferences with that golden answer".to_owned(),
                columns: (0..=classes).map(name).collect(),
                rows: (0..rows).map(name).collect(),
                values,
            }),
            table,
        })
    }
}

/// Makes room for so many classes; the row and the column of NaN stay the last.
fn grow(counts: &mut Vec<Vec<u64>>, classes: usize) {
    let known = counts.len() - 1;
    let insert = classes - known;
    for row in counts.iter_mut() {
        row.splice(known..known, repeat_n(0, insert));
    }
    counts.splice(known..known, repeat_n(vec![0; classes + 1], insert));
}

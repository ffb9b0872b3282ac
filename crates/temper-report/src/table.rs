//! Tables: what is behind every figure.

use crate::number::Format;

/// A table.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Table {
    /// Its columns.
    pub columns: Vec<Column>,
    /// Its rows, each with a cell for every column.
    pub rows: Vec<Vec<Cell>>,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its heading, as people read it; `snake_case` of it names the column of the CSV file.
    pub title: String,
    /// How its numbers are written; `None` for text.
    pub format: Option<Format>,
}

/// A cell of a table.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Words.
    Text(String),
    /// A number; any may be NaN or infinite.
    Number(f64),
    /// The bounds of an interval: two columns in a CSV file.
    Interval(f64, f64),
    /// Nothing is known.
    Empty,
}

impl Cell {
    /// A number, if there is one.
    pub(crate) fn number(value: Option<f64>) -> Self {
        value.map_or(Self::Empty, Self::Number)
    }

    /// An interval, if there is one.
    pub(crate) fn interval(bounds: Option<(f64, f64)>) -> Self {
        bounds.map_or(Self::Empty, |(low, high)| Self::Interval(low, high))
    }

    /// Words.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// As people read it.
    pub(crate) fn shown(&self, column: &Column) -> String {
        let format = column.format.unwrap_or(Format::Plain);
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(value) => format.text(*value),
            Self::Interval(low, high) => format!("{} to {}", format.text(*low), format.text(*high)),
            Self::Empty => String::new(),
        }
    }
}

impl Table {
    /// A table with these columns and no rows.
    pub(crate) fn new(columns: &[(&str, Option<Format>)]) -> Self {
        let column = |&(title, format): &(&str, Option<Format>)| Column { title: title.to_owned(), format };
        Self { columns: columns.iter().map(column).collect(), rows: Vec::new() }
    }

    /// The table as CSV (RFC 4180), numbers in full precision, what is not known left empty.
    pub(crate) fn csv(&self) -> Vec<u8> {
        let is_interval =
            |column: usize| self.rows.iter().any(|row| matches!(row[column], Cell::Interval(..)));
        let two: Vec<bool> = (0..self.columns.len()).map(is_interval).collect();
        let mut csv = csv::WriterBuilder::new().from_writer(Vec::new());
        let names = self.columns.iter().zip(&two).flat_map(|(column, &two)| {
            let name = snake(&column.title);
            if two { vec![format!("{name}_low"), format!("{name}_high")] } else { vec![name] }
        });
        csv.write_record(names).expect("memory takes everything");
        for row in &self.rows {
            let cells = row.iter().zip(&two).flat_map(|(cell, &two)| {
                let mut cells = match cell {
                    Cell::Text(text) => vec![text.clone()],
                    Cell::Number(value) => vec![value.to_string()],
                    Cell::Interval(low, high) => vec![low.to_string(), high.to_string()],
                    Cell::Empty => vec![String::new()],
                };
                cells.resize(1 + usize::from(two), String::new());
                cells
            });
            csv.write_record(cells).expect("memory takes everything");
        }
        csv.into_inner().expect("memory takes everything")
    }
}

/// A heading as a name: `95 % interval` becomes `95_interval`.
fn snake(title: &str) -> String {
    let words = title.split(|c: char| !c.is_alphanumeric() && c != '.').filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("_").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_two_columns_and_commas_are_quoted() {
        let mut table = Table::new(&[
            ("Layer", None),
            ("Mean accuracy", Some(Format::Share)),
            ("95 % interval", Some(Format::Share)),
        ]);
        table.rows.push(vec![Cell::text("a,\"b\""), Cell::Number(0.123_456), Cell::Interval(0.1, f64::NAN)]);
        table.rows.push(vec![Cell::text("c"), Cell::Number(f64::INFINITY), Cell::Empty]);
        assert_eq!(
            String::from_utf8(table.csv()).expect("text"),
            "layer,mean_accuracy,95_interval_low,95_interval_high\n\"a,\"\"b\"\"\",0.123456,0.1,NaN\nc,inf,,\n"
        );
        assert_eq!(table.rows[0][2].shown(&table.columns[2]), "0.1000 to –");
    }
}

//! A report as plain data: what is said, not how it looks.

use crate::chart::Chart;
use crate::table::Table;

/// A report.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// What it is about.
    pub title: String,
    /// One sentence below the title.
    pub subtitle: String,
    /// Facts about the whole, as name and value.
    pub facts: Vec<(String, String)>,
    /// Its sections.
    pub sections: Vec<Section>,
}

/// A section of a report.
#[derive(Debug, Clone, PartialEq)]
pub struct Section {
    /// Its name in links: lower-case letters, digits and hyphens; unique.
    pub id: String,
    /// Its heading.
    pub title: String,
    /// What it holds, from top to bottom.
    pub blocks: Vec<Block>,
}

/// A part of a section.
#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    /// A paragraph.
    Text(Text),
    /// The figures that matter most.
    KeyFigures(Vec<KeyFigure>),
    /// A picture with its data.
    Figure(Box<Figure>),
    /// A table of its own.
    Table {
        /// Its name in links and files; unique.
        id: String,
        /// What it says.
        caption: String,
        /// The table.
        table: Table,
    },
    /// A text to be copied: a specification.
    Code(Code),
}

/// How a paragraph or a figure is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As it is.
    Plain,
    /// As something the reader must not miss.
    Warning,
}

/// A paragraph.
#[derive(Debug, Clone, PartialEq)]
pub struct Text {
    /// Its words.
    pub text: String,
    /// How it is to be taken.
    pub tone: Tone,
}

/// A number that a reader takes home.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyFigure {
    /// What it is.
    pub label: String,
    /// The number, in words.
    pub value: String,
    /// What it rests on: an interval, a condition.
    pub note: String,
    /// How it is to be taken.
    pub tone: Tone,
}

/// A text to be copied.
#[derive(Debug, Clone, PartialEq)]
pub struct Code {
    /// What it is.
    pub caption: String,
    /// The text.
    pub text: String,
}

/// A picture, what it shows, and the data behind it.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Its name in links and files: lower-case letters, digits and hyphens; unique.
    pub id: String,
    /// What it is called.
    pub title: String,
    /// How it is to be read.
    pub caption: String,
    /// What is to be seen in it, for those who do not see it.
    pub alt: String,
    /// What is drawn.
    pub chart: Chart,
    /// The data.
    pub table: Table,
}

impl Report {
    /// The figures, in order.
    pub fn figures(&self) -> impl Iterator<Item = &Figure> {
        self.sections.iter().flat_map(|section| &section.blocks).filter_map(|block| match block {
            Block::Figure(figure) => Some(&**figure),
            _ => None,
        })
    }

    /// The tables, those of figures too, with their names.
    pub fn tables(&self) -> impl Iterator<Item = (&str, &Table)> {
        self.sections.iter().flat_map(|section| &section.blocks).filter_map(|block| match block {
            Block::Figure(figure) => Some((figure.id.as_str(), &figure.table)),
            Block::Table { id, table, .. } => Some((id.as_str(), table)),
            _ => None,
        })
    }
}

impl Block {
    /// A paragraph.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(Text { text: text.into(), tone: Tone::Plain })
    }

    /// A picture.
    pub(crate) fn figure(figure: Figure) -> Self {
        Self::Figure(Box::new(figure))
    }

    /// A paragraph that must not be missed.
    pub(crate) fn warning(text: impl Into<String>) -> Self {
        Self::Text(Text { text: text.into(), tone: Tone::Warning })
    }
}

impl KeyFigure {
    /// A number as it is.
    pub(crate) fn new(label: impl Into<String>, value: impl Into<String>, note: impl Into<String>) -> Self {
        Self { label: label.into(), value: value.into(), note: note.into(), tone: Tone::Plain }
    }

    /// The same, as something that must not be missed.
    pub(crate) fn warning(self) -> Self {
        Self { tone: Tone::Warning, ..self }
    }
}

//! Files: the page, every figure as SVG and PNG, every table as CSV.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};
use serde::Serialize;
use temper_core::write_atomically;

use crate::error::ReportError;
use crate::figure::{Width, draw};
use crate::html::page;
use crate::report::{Figure, Report};

/// Pixels of a PNG for each of its SVG's.
const RESOLUTION: f32 = 2.0;

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Written {
    /// The page.
    pub page: PathBuf,
    /// All figures.
    pub figures: Vec<PathBuf>,
    /// All tables.
    pub tables: Vec<PathBuf>,
}

/// Writes a report to a folder, which is made if absent: `report.html`, `figures/` and `tables/`. Every file is old or new, never half; the page
/// comes last.
///
/// # Errors
/// When a figure cannot be drawn, or a file not be written.
pub fn write(report: &Report, folder: &Path) -> Result<Written, ReportError> {
    let (figures, tables) = (folder.join("figures"), folder.join("tables"));
    for path in [&figures, &tables] {
        fs::create_dir_all(path).map_err(|source| ReportError::Write { path: path.clone(), source })?;
    }
    let mut written = Written { page: folder.join("report.html"), figures: Vec::new(), tables: Vec::new() };
    let fonts = fonts();
    for figure in report.figures() {
        let svg = draw(figure, Width::Wide)?;
        let png = png(figure, &svg, &fonts)?;
        for (extension, content) in [("svg", svg.as_bytes()), ("png", &png)] {
            let path = figures.join(format!("{}.{extension}", figure.id));
            put(&path, content)?;
            written.figures.push(path);
        }
    }
    for (id, table) in report.tables() {
        let path = tables.join(format!("{id}.csv"));
        put(&path, &table.csv())?;
        written.tables.push(path);
    }
    put(&written.page, page(report)?.as_bytes())?;
    Ok(written)
}

fn put(path: &Path, content: &[u8]) -> Result<(), ReportError> {
    write_atomically(path, content).map_err(|source| ReportError::Write { path: path.to_owned(), source })
}

/// The program's own fonts and no others: pictures are the same on every machine. The second has what the first lacks, such as raised minus signs.
fn fonts() -> Arc<fontdb::Database> {
    let mut fonts = fontdb::Database::new();
    for font in [epaint_default_fonts::UBUNTU_LIGHT, epaint_default_fonts::HACK_REGULAR] {
        fonts.load_font_data(font.to_vec());
    }
    let family = fonts.faces().next().and_then(|face| face.families.first()).map(|(name, _)| name.clone());
    fonts.set_sans_serif_family(family.unwrap_or_default());
    Arc::new(fonts)
}

fn png(figure: &Figure, svg: &str, fonts: &Arc<fontdb::Database>) -> Result<Vec<u8>, ReportError> {
    let failed = |reason: String| ReportError::Draw { figure: figure.id.clone(), reason };
    let options = Options { fontdb: Arc::clone(fonts), ..Options::default() };
    let tree = Tree::from_str(svg, &options).map_err(|error| failed(error.to_string()))?;
    let size = tree.size();
    let pixels = |length: f32| (length * RESOLUTION).ceil() as u32;
    let mut pixmap = Pixmap::new(pixels(size.width()), pixels(size.height()))
        .ok_or_else(|| failed("it is too large for a PNG".to_owned()))?;
    resvg::render(&tree, Transform::from_scale(RESOLUTION, RESOLUTION), &mut pixmap.as_mut());
    pixmap.encode_png().map_err(|error| failed(error.to_string()))
}

//! One page, which needs no other file and no network.

mod hash;
mod table;

use std::fmt::Write;

use hash::source;

use crate::error::ReportError;
use crate::figure::{Width, draw, escape};
use crate::number::counted;
use crate::report::{Block, Figure, KeyFigure, Report, Section, Tone};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// Tables of more rows are folded up.
const MOST_OPEN_ROWS: usize = 16;

/// The page of a report. Its content security policy allows its own style and script, by their hashes, and nothing else: no file, no request.
///
/// # Errors
/// When a figure cannot be drawn.
pub fn page(report: &Report) -> Result<String, ReportError> {
    let title = escape(&report.title);
    let policy = format!(
        "default-src 'none'; style-src '{}'; script-src '{}'; img-src data:; base-uri 'none'; form-action 'none'",
        source(STYLE),
        source(SCRIPT)
    );
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"generator\" content=\"Temper\">\n<link rel=\"icon\" href=\"data:,\">\n<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <header class=\"masthead\">\n<p class=\"kicker\">Temper · report</p>\n<h1>{title}</h1>\n<p class=\"subtitle\">{}</p>\n",
        escape(&report.subtitle)
    );
    navigation(&mut page, report);
    page.push_str("</header>\n<main>\n");
    for section in &report.sections {
        put_section(&mut page, section)?;
    }
    page.push_str("</main>\n<footer>\n<dl>\n");
    for (name, value) in &report.facts {
        put(&mut page, format_args!("<div><dt>{}</dt><dd>{}</dd></div>\n", escape(name), escape(value)));
    }
    page.push_str("</dl>\n</footer>\n<div id=\"tip\" role=\"status\" hidden></div>\n");
    put(&mut page, format_args!("<script>{SCRIPT}</script>\n</body>\n</html>\n"));
    Ok(page)
}

/// Adds to a page.
fn put(page: &mut String, text: std::fmt::Arguments<'_>) {
    page.write_fmt(text).expect("memory takes everything");
}

fn navigation(page: &mut String, report: &Report) {
    page.push_str("<nav aria-label=\"Sections\"><ul>\n");
    for section in &report.sections {
        put(page, format_args!("<li><a href=\"#{}\">{}</a></li>\n", section.id, escape(&section.title)));
    }
    page.push_str("</ul></nav>\n");
}

fn put_section(page: &mut String, section: &Section) -> Result<(), ReportError> {
    let (id, title) = (&section.id, escape(&section.title));
    put(
        page,
        format_args!(
            "<section id=\"{id}\" aria-labelledby=\"{id}-title\">\n<h2 id=\"{id}-title\">{title}</h2>\n"
        ),
    );
    for block in &section.blocks {
        match block {
            Block::Text(text) => {
                let tone = match text.tone {
                    Tone::Plain => "",
                    Tone::Warning => " class=\"warning\" role=\"note\"",
                };
                put(page, format_args!("<p{tone}>{}</p>\n", escape(&text.text)));
            }
            Block::KeyFigures(figures) => put_key_figures(page, figures),
            Block::Figure(figure) => put_figure(page, figure)?,
            Block::Table { id, caption, table } => {
                let id = escape(id);
                put(
                    page,
                    format_args!(
                        "<div class=\"table\" id=\"table-{id}\">\n<p class=\"caption\">{} <span class=\"source\">{}</span></p>\n",
                        escape(caption),
                        file("tables", &id, "csv")
                    ),
                );
                put_table(page, table, caption, table.rows.len() > MOST_OPEN_ROWS);
                page.push_str("</div>\n");
            }
            Block::Code(code) => put(
                page,
                format_args!(
                    "<details class=\"code\"><summary>{}</summary><pre tabindex=\"0\">{}</pre></details>\n",
                    escape(&code.caption),
                    escape(&code.text)
                ),
            ),
        }
    }
    page.push_str("</section>\n");
    Ok(())
}

fn put_key_figures(page: &mut String, figures: &[KeyFigure]) {
    page.push_str("<dl class=\"key\">\n");
    for KeyFigure { label, value, note, tone } in figures {
        let tone = if *tone == Tone::Warning { " class=\"warning\"" } else { "" };
        put(
            page,
            format_args!(
                "<div{tone}><dt>{}</dt><dd><b>{}</b><span>{}</span></dd></div>\n",
                escape(label),
                escape(value),
                escape(note)
            ),
        );
    }
    page.push_str("</dl>\n");
}

fn put_figure(page: &mut String, figure: &Figure) -> Result<(), ReportError> {
    let id = escape(&figure.id);
    put(
        page,
        format_args!(
            "<figure id=\"figure-{id}\" aria-labelledby=\"figure-{id}-title\">\n<h3 id=\"figure-{id}-title\">{}</h3>\n",
            escape(&figure.title)
        ),
    );
    for (width, class) in [(Width::Wide, "wide"), (Width::Narrow, "narrow")] {
        put(page, format_args!("<div class=\"{class}\">{}</div>\n", draw(figure, width)?));
    }
    let files = [file("figures", &id, "svg"), file("figures", &id, "png"), file("tables", &id, "csv")];
    put(
        page,
        format_args!(
            "<figcaption>{} <span class=\"source\">{}. Made by <code>temper report DIR</code>.</span></figcaption>\n",
            escape(&figure.caption),
            files.join(", ")
        ),
    );
    put_table(page, &figure.table, &figure.title, true);
    page.push_str("</figure>\n");
    Ok(())
}

/// A link to a file beside the page.
fn file(folder: &str, id: &str, extension: &str) -> String {
    format!("<a href=\"{folder}/{id}.{extension}\">{folder}/{id}.{extension}</a>")
}

fn put_table(page: &mut String, table: &crate::table::Table, label: &str, is_folded: bool) {
    if is_folded {
        let rows = counted(table.rows.len() as u64, "row", "rows");
        put(page, format_args!("<details class=\"data\"><summary>Data: {rows}</summary>\n"));
    }
    table::put(page, table, label);
    if is_folded {
        page.push_str("</details>\n");
    }
}

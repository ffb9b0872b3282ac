//! Tables in a page.

use super::put as write;
use crate::figure::escape;
use crate::number::counted;
use crate::table::{Cell, Column, Table};

/// Rows in the page; files have all.
const MOST_ROWS: usize = 400;

/// Adds a table whose columns can be sorted by.
pub(super) fn put(page: &mut String, table: &Table, label: &str) {
    let label = escape(label);
    write(
        page,
        format_args!(
            "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{label}\">\n<table>\n<thead><tr>"
        ),
    );
    for column in &table.columns {
        let class = class(column);
        let title = escape(&column.title);
        write(
            page,
            format_args!(
                "<th scope=\"col\"{class} aria-sort=\"none\"><button type=\"button\">{title}</button></th>"
            ),
        );
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for row in table.rows.iter().take(MOST_ROWS) {
        page.push_str("<tr>");
        for (cell, column) in row.iter().zip(&table.columns) {
            let key = match cell {
                Cell::Number(value) | Cell::Interval(value, _) if !value.is_nan() => {
                    format!(" data-v=\"{value}\"")
                }
                _ => String::new(),
            };
            write(page, format_args!("<td{}{key}>{}</td>", class(column), escape(&cell.shown(column))));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody>\n</table>\n</div>\n");
    if table.rows.len() > MOST_ROWS {
        let rows = counted(table.rows.len() as u64, "row", "rows");
        write(
            page,
            format_args!("<p class=\"caption\">The first {MOST_ROWS} of {rows}; the CSV file has all.</p>\n"),
        );
    }
}

fn class(column: &Column) -> &'static str {
    if column.format.is_some() { " class=\"n\"" } else { "" }
}

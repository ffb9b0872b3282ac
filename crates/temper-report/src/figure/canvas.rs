//! A sheet to draw on, measured in pixels of the page.

use std::fmt::Write;
use std::sync::Once;

use plotters::backend::SVGBackend;
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::element::{
    Circle, DashedPathElement, Drawable, PathElement, PointCollection, Polygon, Rectangle, Text,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{
    Color, FontStyle, IntoFont, IntoTextStyle, RGBColor, ShapeStyle, TextStyle, register_font,
};

use super::palette::PAPER;

/// Plotters knows whole units only: so many of them are a pixel.
pub(super) const UNITS: f64 = 10.0;
/// What plotters divides the size of a font by.
const FONT_RATIO: f64 = 1.24;
/// The family of all text: pages and readers of SVG choose the font.
const FAMILY: &str = "sans-serif";
/// A figure has at most so many marks.
const MOST_MARKS: usize = 400;

/// Where a text stands, relative to its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    /// Begins there.
    Start,
    /// Is centred there.
    Middle,
    /// Ends there.
    End,
}

/// A place that tells its value to whoever points at it.
struct Mark {
    x: f64,
    y: f64,
    radius: f64,
    text: String,
}

/// A picture being drawn.
pub(super) struct Canvas<'a> {
    area: DrawingArea<SVGBackend<'a>, Shift>,
    marks: Vec<Mark>,
    error: Option<String>,
}

/// Draws a picture of so many pixels as SVG; `label` says what it shows.
pub(super) fn svg(
    (width, height): (f64, f64),
    label: &str,
    draw: impl FnOnce(&mut Canvas<'_>),
) -> Result<String, String> {
    let mut drawn = String::new();
    let marks = plot((width, height), &mut drawn, draw)?;
    // Plotters' first and last line are the element itself.
    let inside = drawn.split_once(">\n").map_or("", |(_, rest)| rest);
    let inside = inside.trim_end().trim_end_matches("</svg>");
    let (w, h) = (width * UNITS, height * UNITS);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {w} {h}\" role=\"group\" aria-label=\"{}\">\n{inside}",
        escape(label)
    );
    let step = marks.len().div_ceil(MOST_MARKS).max(1);
    for (i, mark) in marks.iter().step_by(step).enumerate() {
        let focus = if i == 0 { 0 } else { -1 };
        let unit = |pixels: f64| (pixels * UNITS).round();
        writeln!(
            svg,
            "<circle class=\"mark\" tabindex=\"{focus}\" role=\"img\" cx=\"{}\" cy=\"{}\" r=\"{}\" fill=\"none\" pointer-events=\"all\"><title>{}</title></circle>",
            unit(mark.x),
            unit(mark.y),
            unit(mark.radius),
            escape(&mark.text)
        )
        .expect("memory takes everything");
    }
    svg.push_str("</svg>\n");
    Ok(svg)
}

/// Draws by Plotters into a text; returns the places that tell values.
fn plot(
    (width, height): (f64, f64),
    drawn: &mut String,
    draw: impl FnOnce(&mut Canvas<'_>),
) -> Result<Vec<Mark>, String> {
    let size = ((width * UNITS) as u32, (height * UNITS) as u32);
    let area = SVGBackend::with_string(drawn, size).into_drawing_area();
    let mut canvas = Canvas { area, marks: Vec::new(), error: None };
    canvas.rectangle((0.0, 0.0), (width, height), PAPER);
    draw(&mut canvas);
    let presented = canvas.area.present().map_err(|error| error.to_string());
    canvas.error.map_or(presented, Err)?;
    Ok(canvas.marks)
}

/// Text with everything in it that XML and HTML would take for their own written otherwise; control characters, which neither can hold,
/// become spaces.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' | '\t' => escaped.push(character),
            character if character.is_control() => escaped.push(' '),
            character => escaped.push(character),
        }
    }
    escaped
}

fn style(color: RGBColor, width: f64) -> ShapeStyle {
    color.stroke_width((width * UNITS).round() as u32)
}

fn units((x, y): (f64, f64)) -> (i32, i32) {
    ((x * UNITS).round() as i32, (y * UNITS).round() as i32)
}

fn font(size: f64) -> TextStyle<'static> {
    static FONT: Once = Once::new();
    FONT.call_once(|| {
        // The font is part of the program; without it the first text that is drawn says so.
        drop(register_font(FAMILY, FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT));
    });
    (FAMILY, size * UNITS * FONT_RATIO).into_font().into_text_style(&(0, 0))
}

impl Canvas<'_> {
    fn put<'b, E>(&mut self, element: &'b E)
    where
        &'b E: PointCollection<'b, (i32, i32)>,
        E: for<'s> Drawable<SVGBackend<'s>>,
    {
        if let Err(error) = self.area.draw(element) {
            self.error.get_or_insert(error.to_string());
        }
    }

    /// A line through places.
    pub(super) fn line(&mut self, places: impl IntoIterator<Item = (f64, f64)>, color: RGBColor, width: f64) {
        let places: Vec<_> = places.into_iter().map(units).collect();
        self.put(&PathElement::new(places, style(color, width)));
    }

    /// A dashed line through places.
    pub(super) fn dashed(
        &mut self,
        places: impl IntoIterator<Item = (f64, f64)>,
        color: RGBColor,
        width: f64,
        (dash, gap): (f64, f64),
    ) {
        let places: Vec<_> = places.into_iter().map(units).collect();
        let (dash, gap) = ((dash * UNITS) as i32, (gap * UNITS) as i32);
        self.put(&DashedPathElement::new(places, dash, gap, style(color, width)));
    }

    /// A filled area.
    pub(super) fn polygon(
        &mut self,
        places: impl IntoIterator<Item = (f64, f64)>,
        color: RGBColor,
        opacity: f64,
    ) {
        let places: Vec<_> = places.into_iter().map(units).collect();
        self.put(&Polygon::new(places, color.mix(opacity)));
    }

    /// A filled rectangle.
    pub(super) fn rectangle(&mut self, from: (f64, f64), to: (f64, f64), color: RGBColor) {
        self.put(&Rectangle::new([units(from), units(to)], color.filled()));
    }

    /// A dot.
    pub(super) fn dot(&mut self, place: (f64, f64), radius: f64, color: RGBColor, opacity: f64) {
        self.put(&Circle::new(units(place), (radius * UNITS) as i32, color.mix(opacity).filled()));
    }

    /// A line of text, its middle at the height of `y`.
    pub(super) fn text(
        &mut self,
        (x, y): (f64, f64),
        anchor: Anchor,
        size: f64,
        color: RGBColor,
        text: &str,
    ) {
        let horizontal = match anchor {
            Anchor::Start => HPos::Left,
            Anchor::Middle => HPos::Center,
            Anchor::End => HPos::Right,
        };
        // Control characters cannot stand in XML.
        let text: String =
            text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect();
        // Plotters centres on small letters; capitals and digits are higher.
        let place = units((x, y + 0.09 * size));
        let style = font(size).color(&color).pos(Pos::new(horizontal, VPos::Center));
        self.put(&Text::new(text, place, style));
    }

    /// A place that tells a value.
    pub(super) fn mark(&mut self, (x, y): (f64, f64), radius: f64, text: String) {
        self.marks.push(Mark { x, y, radius, text });
    }
}

/// The fonts of readers' systems are up to so much wider than ours, which Plotters measures a tenth too wide.
const AMPLE: f64 = 1.12;

/// The width of a text, in pixels; ample, since the reader's font is not known.
pub(super) fn width(text: &str, size: f64) -> f64 {
    font(size)
        .font
        .box_size(text)
        .map_or(0.6 * size * text.chars().count() as f64, |(width, _)| AMPLE * f64::from(width) / UNITS)
}

/// A text cut with an ellipsis to fit a width: in its middle, since names tell themselves apart at both ends.
pub(super) fn fitted(text: &str, size: f64, room: f64) -> String {
    if width(text, size) <= room {
        return text.to_owned();
    }
    let characters: Vec<char> = text.chars().collect();
    let cut = |kept: usize| -> String {
        let (head, tail) = (kept.div_ceil(2), kept / 2);
        let tail = &characters[characters.len() - tail..];
        characters[..head].iter().chain(&['…']).chain(tail).collect()
    };
    (1..characters.len())
        .rev()
        .map(cut)
        .find(|text| width(text, size) <= room)
        .unwrap_or_else(|| "…".to_owned())
}

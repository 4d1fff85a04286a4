//! Line charts of values over time: in a terminal, as SVG and as PNG.
//!
//! ```text
//! points ──> [`Line`]: per pixel column first, least, greatest and last ──> [`Chart`] ──> frame
//! frame: where everything stands ──> terminal | svg | png
//! ```
//!
//! JSON has the same points without places.
//!
//! Whatever is drawn is drawn from the same frame, so that the three show the same.

mod column;
mod frame;
mod json;
mod png;
mod scale;
mod svg;
mod terminal;
mod ticks;

pub use column::{Gap, Line, LineBuilder};
pub use frame::Size;
pub use png::PngError;
pub use scale::Scale;
pub use terminal::Style;

use jiff::tz::TimeZone;
use serde_json::Value;

/// A chart: lines over one span of time.
#[derive(Debug, Clone)]
pub struct Chart {
    /// What it shows.
    pub title: String,
    /// The lines, in the order of the legend.
    pub lines: Vec<Line>,
    /// The first and the last time shown, nanoseconds since the epoch.
    pub span_ns: (i64, i64),
    /// How values are placed.
    pub scale: Scale,
    /// In which zone times are written.
    pub zone: TimeZone,
    /// What the reader should know of what is not drawn.
    pub notes: Vec<String>,
}

/// The colours of lines, as red, green and blue: those of Okabe and Ito (2008), which people with
/// any colour vision tell apart; the lightest is left out. After the last comes the first again.
pub(crate) const COLORS: [(u8, u8, u8); 7] = [
    (0, 114, 178),
    (213, 94, 0),
    (0, 158, 115),
    (204, 121, 167),
    (230, 159, 0),
    (86, 180, 233),
    (60, 60, 60),
];

impl Chart {
    /// The least and the greatest value that can be drawn; `None` where there is nothing to draw.
    #[must_use]
    pub fn bounds(&self) -> Option<(f64, f64)> {
        let points = self.lines.iter().flat_map(Line::points);
        let values = points.map(|(_, value)| value).filter(|value| self.scale.can_show(*value));
        values.fold(None, |bounds: Option<(f64, f64)>, value| match bounds {
            None => Some((value, value)),
            Some((low, high)) => Some((low.min(value), high.max(value))),
        })
    }

    /// The pieces of a line that are drawn; what the scale cannot show ends a piece.
    pub(crate) fn shown<'a>(&self, line: &'a Line) -> impl Iterator<Item = &'a [(i64, f64)]> {
        let scale = self.scale;
        let pieces = line.pieces.iter();
        let shown =
            pieces.flat_map(move |piece| piece.split(move |(_, value)| !scale.can_show(*value)));
        shown.filter(|piece| !piece.is_empty())
    }

    /// The chart as JSON: of each line the points that are drawn, in pieces between gaps.
    #[must_use]
    pub fn json(&self) -> Value {
        json::document(self)
    }

    /// The chart as an SVG document.
    #[must_use]
    pub fn svg(&self, size: Size) -> String {
        svg::document(self, size)
    }

    /// The chart as a PNG picture.
    pub fn png(&self, size: Size) -> Result<Vec<u8>, PngError> {
        png::picture(self, size)
    }

    /// The chart as text of so many columns and rows.
    #[must_use]
    pub fn text(&self, columns: usize, rows: usize, style: Style) -> String {
        terminal::text(self, columns, rows, style)
    }
}

#[cfg(test)]
mod tests;

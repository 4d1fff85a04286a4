//! Where everything of a picture stands.

use super::Chart;
use super::scale::time_place;
use super::ticks::{self, Tick};

/// The size of a picture: pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Its width.
    pub width: u32,
    /// Its height.
    pub height: u32,
}

impl Size {
    /// The smallest that has room for axes.
    pub const MIN: Self = Self { width: 160, height: 120 };
    /// The largest that is made.
    pub const MAX: Self = Self { width: 8_192, height: 8_192 };
}

/// The most lines that the legend names.
const LEGEND_MAX: usize = 12;
/// The width of a character: pixels.
pub(crate) const CHARACTER_WIDTH: f64 = 7.0;
/// The height of a line of text: pixels.
pub(crate) const TEXT_HEIGHT: f64 = 16.0;

/// Where everything of a picture stands: pixels from the upper left corner.
pub(crate) struct Frame<'a> {
    chart: &'a Chart,
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) right: f64,
    pub(crate) bottom: f64,
    /// What is shown of the values; `None` where nothing is.
    pub(crate) values: Option<(f64, f64)>,
    pub(crate) value_ticks: Vec<Tick<f64>>,
    pub(crate) time_ticks: Vec<Tick<i64>>,
    /// What stands below the axis of time.
    pub(crate) span: String,
    /// The names of the legend, each with the number of its line, or without one where more are
    /// left out.
    pub(crate) legend: Vec<(Option<usize>, String)>,
}

/// A text cut to so many characters.
pub(crate) fn cut(text: &str, characters: usize) -> String {
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    if text.chars().count() <= characters {
        return text.chars().map(shown).collect();
    }
    let kept = text.chars().take(characters.saturating_sub(1)).map(shown);
    kept.chain(['…']).collect()
}

/// The names of lines for a legend.
pub(crate) fn legend(chart: &Chart, characters: usize) -> Vec<(Option<usize>, String)> {
    let mut legend: Vec<(Option<usize>, String)> = chart
        .lines
        .iter()
        .enumerate()
        .take(LEGEND_MAX)
        .map(|(number, line)| (Some(number), cut(&line.name, characters)))
        .collect();
    if chart.lines.len() > LEGEND_MAX {
        legend.push((None, format!("and {} more", chart.lines.len() - LEGEND_MAX)));
    }
    legend
}

impl<'a> Frame<'a> {
    pub(crate) fn new(chart: &'a Chart, size: Size) -> Self {
        let (width, height) = (f64::from(size.width), f64::from(size.height));
        let legend = legend(chart, (width / CHARACTER_WIDTH) as usize - 6);
        let below = TEXT_HEIGHT * (2.0 + legend.len() as f64 + chart.notes.len() as f64) + 14.0;
        let top = 2.0 * TEXT_HEIGHT;
        // A long legend takes no more than half of the picture; the rest of it is cut off.
        let bottom = (height - below).max(height / 2.0);
        let values = chart.bounds().map(|(low, high)| chart.scale.around(low, high));
        let count = ((bottom - top) / 40.0).max(2.0) as usize;
        let value_ticks = match values {
            Some((low, high)) => ticks::of_values(chart.scale, low, high, count),
            None => Vec::new(),
        };
        let widest = value_ticks.iter().map(|tick| tick.label.chars().count()).max().unwrap_or(0);
        let left = (widest as f64 * CHARACTER_WIDTH + 14.0).min(width / 3.0);
        let right = width - 2.0 * CHARACTER_WIDTH;
        let count = ((right - left) / 80.0).max(1.0) as usize;
        let time_ticks = ticks::of_times(chart.span_ns, &chart.zone, count);
        let span = ticks::described(chart.span_ns, &chart.zone);
        Self { chart, left, top, right, bottom, values, value_ticks, time_ticks, span, legend }
    }

    /// Where a time stands from the left.
    pub(crate) fn x(&self, time_ns: i64) -> f64 {
        self.left + time_place(time_ns, self.chart.span_ns) * (self.right - self.left)
    }

    /// Where a value stands from the top.
    pub(crate) fn y(&self, value: f64) -> f64 {
        let (low, high) = self.values.unwrap_or((0.0, 1.0));
        self.bottom - self.chart.scale.place(value, low, high) * (self.bottom - self.top)
    }

    /// The pieces of a line as places; what the scale cannot show ends a piece.
    pub(crate) fn pieces(&self, line: usize) -> Vec<Vec<(f64, f64)>> {
        let place = |(time, value): &(i64, f64)| (self.x(*time), self.y(*value));
        let shown = self.chart.shown(&self.chart.lines[line]);
        shown.map(|piece| piece.iter().map(place).collect()).collect()
    }
}

//! Lines with no more points than can be seen.
//!
//! Of each pixel column the first, the least, the greatest and the last point are kept: a line
//! through them covers the same pixels as one through all points (M4: Jugel, Jerzak, Hackenbroich,
//! Markl, "M4: A Visualization-Oriented Time Series Data Aggregation", VLDB 2014). Points come in
//! the order of time and only one column is held, so that millions of them cost no memory.

/// From which distance on two neighbouring points are not joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gap {
    /// Never.
    Never,
    /// Where they are further apart than this: nanoseconds.
    Above(i64),
}

/// A line: pieces between gaps, each a run of points in the order of time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Line {
    /// What the legend says.
    pub name: String,
    /// The pieces; a piece of one point is a dot.
    pub pieces: Vec<Vec<(i64, f64)>>,
    /// How many points it was made of.
    pub points: u64,
    /// How many of them are infinite.
    pub infinite: u64,
}

impl Line {
    /// The points that are kept.
    pub fn points(&self) -> impl Iterator<Item = (i64, f64)> + '_ {
        self.pieces.iter().flatten().copied()
    }
}

/// The extreme points of one column.
#[derive(Debug, Clone, Copy)]
struct Extremes {
    column: u64,
    first: (i64, f64),
    least: (i64, f64),
    greatest: (i64, f64),
    last: (i64, f64),
}

/// Makes a line of points that come in the order of time.
#[derive(Debug)]
pub struct LineBuilder {
    line: Line,
    span_ns: (i64, i64),
    columns: u64,
    gap: Gap,
    piece: Vec<(i64, f64)>,
    current: Option<Extremes>,
    last_ns: Option<i64>,
}

impl LineBuilder {
    /// A line over a span of time that is so many columns wide.
    #[must_use]
    pub fn new(name: impl Into<String>, span_ns: (i64, i64), columns: u32, gap: Gap) -> Self {
        let line = Line { name: name.into(), ..Line::default() };
        let columns = u64::from(columns.max(1));
        Self { line, span_ns, columns, gap, piece: Vec::new(), current: None, last_ns: None }
    }

    fn column(&self, time_ns: i64) -> u64 {
        let length = u128::from(self.span_ns.0.abs_diff(self.span_ns.1)) + 1;
        let from_start = u128::from(self.span_ns.0.abs_diff(time_ns));
        // Less than the number of columns, since the time is in the span.
        (from_start * u128::from(self.columns) / length) as u64
    }

    /// Adds a point. NaN and infinities are gaps; what is outside of the span is passed over.
    pub fn push(&mut self, time_ns: i64, value: f64) {
        if !(self.span_ns.0..=self.span_ns.1).contains(&time_ns) {
            return;
        }
        self.line.points += 1;
        let is_apart = match (self.gap, self.last_ns) {
            (Gap::Above(most), Some(last)) => time_ns.saturating_sub(last) > most,
            _ => false,
        };
        self.last_ns = Some(time_ns);
        if is_apart || !value.is_finite() {
            self.end_piece();
        }
        if !value.is_finite() {
            self.line.infinite += u64::from(value.is_infinite());
            return;
        }
        let (column, point) = (self.column(time_ns), (time_ns, value));
        match &mut self.current {
            Some(extremes) if extremes.column == column => {
                if value < extremes.least.1 {
                    extremes.least = point;
                }
                if value > extremes.greatest.1 {
                    extremes.greatest = point;
                }
                extremes.last = point;
            }
            _ => {
                self.end_column();
                let (first, least, greatest, last) = (point, point, point, point);
                self.current = Some(Extremes { column, first, least, greatest, last });
            }
        }
    }

    fn end_column(&mut self) {
        let Some(Extremes { first, least, greatest, last, .. }) = self.current.take() else {
            return;
        };
        let mut points = [first, least, greatest, last];
        // Stable: of points of one time the order stays that of their coming.
        points.sort_by_key(|(time_ns, _)| *time_ns);
        for point in points {
            if self.piece.last() != Some(&point) {
                self.piece.push(point);
            }
        }
    }

    fn end_piece(&mut self) {
        self.end_column();
        if !self.piece.is_empty() {
            self.line.pieces.push(std::mem::take(&mut self.piece));
        }
    }

    /// The line.
    #[must_use]
    pub fn finish(mut self) -> Line {
        self.end_piece();
        self.line
    }
}

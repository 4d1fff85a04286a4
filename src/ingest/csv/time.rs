//! Which column holds the time, and how it is written.

use super::decimal::with_point;
use super::header::Header;
use super::split::Row;
use crate::ingest::error::shown;
use crate::ingest::time::{Shape, TimeReader};
use crate::ingest::{IngestOptions, TimeError, TimeFormat, TimeUnit};

/// The time column of a file: candidates, until the first time that is read decides.
pub(super) struct TimeColumn {
    candidates: Vec<Candidate>,
    /// Whether the user named the column.
    named: bool,
    chosen: Option<(Candidate, TimeReader)>,
    joined: String,
    /// Our own export: a number is nanoseconds.
    export: bool,
    note: Option<String>,
}

/// One column, or two whose cells are joined by a blank (date and time of day).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Candidate {
    first: usize,
    second: Option<usize>,
}

impl TimeColumn {
    /// Finds the columns that may hold the time.
    pub(super) fn new(header: &Header, options: &IngestOptions) -> Result<Self, String> {
        let candidates = match &options.time_column {
            Some(name) => vec![named(header, name)?],
            // A tag of an export may have any name.
            None if header.is_export() => vec![Candidate::single(0)],
            None => header.time_candidates().into_iter().map(Candidate::single).collect(),
        };
        if candidates.is_empty() {
            return Err(format!(
                "no column has a usual name for times; give --time COLUMN; columns are {}",
                header.list()
            ));
        }
        Ok(Self {
            candidates,
            named: options.time_column.is_some(),
            chosen: None,
            joined: String::new(),
            export: header.is_export(),
            note: None,
        })
    }

    /// Whether a column holds the time. Before the first time is read, all candidates may.
    pub(super) fn is(&self, column: usize) -> bool {
        let holds =
            |candidate: &Candidate| candidate.first == column || candidate.second == Some(column);
        match &self.chosen {
            Some((candidate, _)) => holds(candidate),
            None => self.candidates.iter().any(holds),
        }
    }

    /// Decides by the first row that has a time; true once it is decided. An error says which
    /// options are needed.
    pub(super) fn decide(
        &mut self,
        row: &Row<'_>,
        header: &Header,
        options: &IngestOptions,
    ) -> Result<bool, String> {
        if self.chosen.is_some() {
            return Ok(true);
        }
        let seen = Seen::new(row, header, options, &self.candidates, self.export);
        let Some((candidate, format)) = seen.choice(self.named)? else { return Ok(false) };
        self.note = match (&format, candidate.second, self.named) {
            (_, Some(second), false) => {
                let [date, clock] = [candidate.first, second].map(|column| header.name(column));
                Some(format!("times are {date} and {clock} together"))
            }
            (TimeFormat::Pattern(pattern), ..) if options.time_format.is_none() => {
                Some(format!("times are read as --time-format {pattern:?}"))
            }
            _ => None,
        };
        let reader = TimeReader::new(format, options.start_ns, options.zone.clone());
        self.chosen = Some((candidate, reader));
        Ok(true)
    }

    /// The time of a row, or what is wrong and in which column.
    pub(super) fn read(
        &mut self,
        row: &Row<'_>,
        decimal_comma: bool,
    ) -> Result<i64, (usize, TimeError)> {
        let Some((candidate, reader)) = &mut self.chosen else {
            let column = self.candidates.first().map_or(0, |candidate| candidate.first);
            return Err((column, TimeError::Missing));
        };
        if let Some(empty) = candidate.empty_half(row) {
            let half = shown(candidate.text(row, &mut self.joined));
            return Err((empty, TimeError::Half { half }));
        }
        let text = candidate.text(row, &mut self.joined);
        let point = if decimal_comma { with_point(text) } else { None };
        reader.read(point.as_deref().unwrap_or(text)).map_err(|error| (candidate.first, error))
    }

    /// What the user should know of how times were read.
    pub(super) fn notes(&self) -> impl Iterator<Item = String> {
        let of_reader = self.chosen.as_ref().and_then(|(_, reader)| reader.note());
        self.note.clone().into_iter().chain(of_reader)
    }
}

impl Candidate {
    const fn single(first: usize) -> Self {
        Self { first, second: None }
    }

    const fn pair(first: usize, second: usize) -> Self {
        Self { first, second: Some(second) }
    }

    /// The cell, or the two cells with a blank between them.
    fn text<'a>(self, row: &Row<'a>, joined: &'a mut String) -> &'a str {
        let of = |index| row.cell(index).map_or("", |cell| cell.text);
        let Some(second) = self.second else { return of(self.first) };
        joined.clear();
        joined.push_str(of(self.first));
        joined.push(' ');
        joined.push_str(of(second));
        joined.trim()
    }

    /// The column of a pair that is empty where the other is not.
    fn empty_half(self, row: &Row<'_>) -> Option<usize> {
        let is_empty = |index| row.cell(index).is_none_or(|cell| cell.is_empty());
        let second = self.second?;
        match (is_empty(self.first), is_empty(second)) {
            (true, false) => Some(self.first),
            (false, true) => Some(second),
            _ => None,
        }
    }
}

/// The candidates of a row that are not empty, the likeliest first.
struct Seen<'a> {
    row: &'a Row<'a>,
    header: &'a Header,
    options: &'a IngestOptions,
    export: bool,
    candidates: Vec<(Candidate, String, Shape)>,
    /// The likeliest column that is empty in this row.
    empty: Option<usize>,
}

impl<'a> Seen<'a> {
    fn new(
        row: &'a Row<'a>,
        header: &'a Header,
        options: &'a IngestOptions,
        candidates: &[Candidate],
        export: bool,
    ) -> Self {
        let mut joined = String::new();
        let seen = candidates.iter().filter(|candidate| candidate.empty_half(row).is_none());
        let seen = seen.filter_map(|candidate| {
            let text = candidate.text(row, &mut joined);
            let shape = Shape::of(&with_point(text).unwrap_or_else(|| text.to_owned()));
            (!text.is_empty()).then(|| (*candidate, text.to_owned(), shape))
        });
        let seen = seen.collect();
        let is_empty = |column: &usize| row.cell(*column).is_none_or(|cell| cell.text.is_empty());
        let empty = candidates.iter().map(|candidate| candidate.first).find(is_empty);
        Self { row, header, options, export, candidates: seen, empty }
    }

    /// The column and format to read; none where the row has no time.
    fn choice(&self, named: bool) -> Result<Option<(Candidate, TimeFormat)>, String> {
        let Some(likeliest) = self.candidates.first() else { return Ok(None) };
        if let Some(format) = &self.options.time_format {
            let (candidate, ..) = self.fitting(format).unwrap_or(likeliest);
            return match self.pair().filter(|_| !named && self.fitting(format).is_none()) {
                Some(pair) => Ok(Some((pair, format.clone()))),
                None => Ok(Some((*candidate, format.clone()))),
            };
        }
        if let Some(found) = self.first(|shape| matches!(shape, Shape::DateTime(_))) {
            return Ok(Some(found));
        }
        if let Some((candidate, ..)) = self.of_shape(|shape| *shape == Shape::Number) {
            if self.options.start_ns.is_some() {
                return Ok(Some((*candidate, TimeFormat::Epoch(TimeUnit::Seconds))));
            }
            if self.export {
                return Ok(Some((*candidate, TimeFormat::Epoch(TimeUnit::Nanos))));
            }
        }
        if named {
            return match self.first(|shape| matches!(shape, Shape::Date(_) | Shape::TimeOfDay)) {
                Some(found) => Ok(Some(found)),
                None => Err(self.advice(likeliest)),
            };
        }
        if let Some((candidate, text, shape)) = self.date() {
            return self.beside_date(*candidate, text, shape).map(Some);
        }
        match self.first(|shape| *shape == Shape::TimeOfDay) {
            Some(found) => Ok(Some(found)),
            None => Err(self.advice(likeliest)),
        }
    }

    /// What goes with a column of dates: a time of day beside it, or nothing.
    fn beside_date(
        &self,
        date: Candidate,
        text: &str,
        shape: &Shape,
    ) -> Result<(Candidate, TimeFormat), String> {
        let name = self.header.name(date.first);
        if let Some(pair) = self.pair() {
            let mut joined = String::new();
            let both = pair.text(self.row, &mut joined).to_owned();
            return match Shape::of(&both) {
                Shape::DateTime(format) => Ok((pair, format)),
                shape => Err(self.advice(&(pair, both, shape))),
            };
        }
        let mut others = self.candidates.iter().filter(|(other, ..)| *other != date);
        let passed_over = others.next().map(|(other, text, _)| (other.first, text.clone()));
        // What is empty here may hold the time of day further down.
        let passed_over = passed_over.or_else(|| Some((self.empty?, String::new())));
        if let Some((other, held)) = passed_over.or_else(|| self.clock_beside(date.first)) {
            let other = self.header.name(other);
            let held = shown(&held);
            let (name, other) = (bare(&name), bare(&other));
            return Err(format!(
                "the column {name} holds dates alone, and {other} ({held}) may hold the time of \
                 day; give --time {name}+{other} where it does (with --time-format PATTERN for \
                 both with a blank between them), --time {other} with its --time-format where it \
                 is the whole time, or --time {name} for midnight"
            ));
        }
        match shape {
            Shape::Date(format) => Ok((date, format.clone())),
            shape => Err(self.advice(&(date, text.to_owned(), shape.clone()))),
        }
    }

    /// A date and a time of day, both of usual names.
    fn pair(&self) -> Option<Candidate> {
        let (date, ..) = self.date()?;
        let (clock, ..) = self.of_shape(|shape| *shape == Shape::TimeOfDay)?;
        Some(Candidate::pair(date.first, clock.first))
    }

    fn date(&self) -> Option<&(Candidate, String, Shape)> {
        self.of_shape(|shape| {
            matches!(shape, Shape::Date(_))
                || matches!(shape, Shape::EitherDate { rest, .. } if rest.is_empty())
        })
    }

    /// A time of day in the column to the right or left of another.
    fn clock_beside(&self, column: usize) -> Option<(usize, String)> {
        let beside = [Some(column + 1), column.checked_sub(1)].into_iter().flatten();
        let mut cells = beside.filter_map(|other| Some((other, self.row.cell(other)?.text)));
        let found = cells.find(|(_, text)| Shape::of(text) == Shape::TimeOfDay);
        found.map(|(other, text)| (other, text.to_owned()))
    }

    fn of_shape(&self, test: impl Fn(&Shape) -> bool) -> Option<&(Candidate, String, Shape)> {
        self.candidates.iter().find(|(.., shape)| test(shape))
    }

    /// The first candidate of a shape that has a format.
    fn first(&self, test: impl Fn(&Shape) -> bool) -> Option<(Candidate, TimeFormat)> {
        let (candidate, _, shape) = self.of_shape(test)?;
        match shape {
            Shape::DateTime(format) | Shape::Date(format) => Some((*candidate, format.clone())),
            // Without a start nothing says the day.
            Shape::TimeOfDay if self.options.start_ns.is_some() => {
                Some((*candidate, TimeFormat::TimeOfDay))
            }
            _ => None,
        }
    }

    /// The first candidate that a format reads.
    fn fitting(&self, format: &TimeFormat) -> Option<&(Candidate, String, Shape)> {
        let (start_ns, zone) = (self.options.start_ns, &self.options.zone);
        self.candidates.iter().find(|(_, text, shape)| {
            // A date alone is no reason to pass over the time of day beside it.
            let is_half = matches!(shape, Shape::Date(_)) && self.pair().is_some();
            !is_half && TimeReader::new(format.clone(), start_ns, zone.clone()).read(text).is_ok()
        })
    }

    /// What to do about times that nothing says the format of.
    fn advice(&self, (candidate, text, shape): &(Candidate, String, Shape)) -> String {
        let (name, text) = (self.header.name(candidate.first), shown(text));
        let column = match candidate.second {
            None => format!("the time column {name} holds"),
            Some(second) => format!("{name} and {} hold", self.header.name(second)),
        };
        match shape {
            Shape::Number => format!(
                "{column} numbers such as {text}; say what they count: \
                 --time-format s (or ms, us, ns) since 1970, or --start TIME for seconds since TIME"
            ),
            Shape::TimeOfDay => match self.date_beside(candidate.first) {
                Some(date) => format!(
                    "{column} {text}, a time of day; give --time {}+{} for the date in {date} as \
                     well",
                    bare(&date),
                    bare(&name)
                ),
                None => format!(
                    "{column} {text}, a time of day, and no column holds the date; give --start \
                     DATE for the first day"
                ),
            },
            Shape::EitherDate { sign, rest } => {
                let time = match candidate.second {
                    Some(second) => {
                        let second = self.header.name(second);
                        format!("--time {}+{} ", bare(&name), bare(&second))
                    }
                    None => String::new(),
                };
                format!(
                    "{column} {text}, which may begin with the day or the month; give \
                     {time}--time-format \"%d{sign}%m{sign}%Y{rest}\" or \
                     \"%m{sign}%d{sign}%Y{rest}\""
                )
            }
            _ => format!(
                "{column} {text}, which is no ISO date and time; give a pattern \
                 such as --time-format \"%d-%b-%Y %H:%M:%S%.f\", and --time DATE+TIME where they \
                 are in two columns"
            ),
        }
    }

    /// The column of a date to the left or right of another.
    fn date_beside(&self, column: usize) -> Option<String> {
        let beside = [column.checked_sub(1), Some(column + 1)].into_iter().flatten();
        let is_date = |other: &usize| {
            let shape = self.row.cell(*other).map(|cell| Shape::of(cell.text));
            matches!(shape, Some(Shape::Date(_) | Shape::EitherDate { .. }))
        };
        beside.filter(is_date).map(|other| self.header.name(other)).next()
    }
}

/// A quoted name without its quotes, for an option.
fn bare(name: &str) -> &str {
    let inner = name.trim_matches('"');
    if inner.contains(' ') { name } else { inner }
}

/// The column of a name, or the two columns of `date+time`.
fn named(header: &Header, name: &str) -> Result<Candidate, String> {
    if header.find(name).is_none()
        && let Some((first, second)) = name.split_once('+')
    {
        let [first, second] = [first, second].map(|name| header.require("--time", name));
        return Ok(Candidate::pair(first?, second?));
    }
    Ok(Candidate::single(header.require("--time", name)?))
}

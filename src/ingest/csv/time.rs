//! Which column holds the time, and how it is written.

use super::header::Header;
use super::split::Row;
use crate::ingest::error::shown;
use crate::ingest::time::{Decimal, TimeReader, looks_iso};
use crate::ingest::{IngestOptions, TimeError, TimeFormat, TimeUnit};

/// The time column of a file: candidates, until the first time that is read decides.
pub(super) struct TimeColumn {
    candidates: Vec<Candidate>,
    chosen: Option<(Candidate, TimeReader)>,
    joined: String,
    /// Our own export: a number is nanoseconds.
    export: bool,
}

/// One column, or two whose cells are joined by a blank (date and time of day).
#[derive(Debug, Clone, Copy)]
struct Candidate {
    first: usize,
    second: Option<usize>,
}

impl TimeColumn {
    /// Finds the columns that may hold the time.
    pub(super) fn new(header: &Header, options: &IngestOptions) -> Result<Self, String> {
        let single = |first| Candidate { first, second: None };
        let candidates = match &options.time_column {
            Some(name) => vec![named(header, name)?],
            // A tag of an export may have any name.
            None if header.is_export() => vec![single(0)],
            None => header.time_candidates().into_iter().map(single).collect(),
        };
        if candidates.is_empty() {
            return Err(format!(
                "no column has a usual name for times; give --time COLUMN; columns are {}",
                header.list()
            ));
        }
        let export = header.is_export();
        Ok(Self { candidates, chosen: None, joined: String::new(), export })
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
        let mut first_problem = None;
        for candidate in self.candidates.clone() {
            let text = candidate.text(row, &mut self.joined).to_owned();
            if text.is_empty() {
                continue;
            }
            let is_number = Decimal::parse(&text).is_some();
            let format = match &options.time_format {
                Some(format) => format.clone(),
                None if looks_iso(&text) => TimeFormat::Iso,
                None if is_number && options.start_ns.is_some() => {
                    TimeFormat::Epoch(TimeUnit::Seconds)
                }
                None if is_number && self.export => TimeFormat::Epoch(TimeUnit::Nanos),
                None => {
                    let name = &header.columns[candidate.first].header;
                    first_problem.get_or_insert_with(|| advice(name, &text, is_number));
                    if is_number { continue } else { break }
                }
            };
            let reader = TimeReader::new(format, options.start_ns, options.zone.clone());
            self.chosen = Some((candidate, reader));
            return Ok(true);
        }
        first_problem.map_or(Ok(false), Err)
    }

    /// The time of a row, or what is wrong and in which column.
    pub(super) fn read(&mut self, row: &Row<'_>) -> Result<i64, (usize, TimeError)> {
        let Some((candidate, reader)) = &mut self.chosen else {
            let column = self.candidates.first().map_or(0, |candidate| candidate.first);
            return Err((column, TimeError::Missing));
        };
        let text = candidate.text(row, &mut self.joined);
        reader.read(text).map_err(|error| (candidate.first, error))
    }

    /// What the user should know of how times were read.
    pub(super) fn note(&self) -> Option<String> {
        self.chosen.as_ref()?.1.note()
    }
}

impl Candidate {
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
}

/// The column of a name, or the two columns of `date+time`.
fn named(header: &Header, name: &str) -> Result<Candidate, String> {
    if header.find(name).is_none()
        && let Some((first, second)) = name.split_once('+')
        && let (Some(first), Some(second)) = (header.find(first), header.find(second))
    {
        return Ok(Candidate { first, second: Some(second) });
    }
    Ok(Candidate { first: header.require("--time", name)?, second: None })
}

/// What to do about times that nothing says the format of.
fn advice(name: &str, text: &str, is_number: bool) -> String {
    let text = shown(text);
    if is_number {
        format!(
            "the time column {name:?} holds numbers such as {text}; say what they count: \
             --time-format s (or ms, us, ns) since 1970, or --start TIME for seconds since TIME"
        )
    } else {
        format!(
            "the time column {name:?} holds {text}, which is no ISO date and time; give a pattern \
             such as --time-format \"%d-%b-%Y %H:%M:%S%.f\", and --time DATE+TIME where they are \
             in two columns"
        )
    }
}

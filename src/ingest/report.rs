//! What was rejected, where and why; and what a file came to.

use std::fmt;
use std::io::Write;

use serde::Serialize;

use super::{Format, IngestError, Reason};

/// One rejected row with everything that was wrong in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rejection {
    /// The file.
    pub file: String,
    /// The line of the file, from 1.
    pub line: u64,
    /// How many records (cells) of the row were rejected; a row that cannot be taken apart is one.
    pub records: u64,
    /// The first problem.
    #[serde(flatten)]
    pub problem: Problem,
    /// Further problems of the same row, at most 63.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub more: Vec<Problem>,
}

/// One problem of a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The byte of the line, from 1.
    pub column: u64,
    /// The name of the column, field or signal, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column_name: Option<String>,
    /// What is wrong.
    pub reason: String,
}

/// `file:line:column (name): reason`.
impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Problem { column, column_name, reason } = &self.problem;
        write!(f, "{}:{}:{column}", self.file, self.line)?;
        if let Some(name) = column_name {
            write!(f, " ({name})")?;
        }
        write!(f, ": {reason}")?;
        match self.more.len() {
            0 => Ok(()),
            more => write!(f, " (and {more} more in this row)"),
        }
    }
}

/// Where a problem is.
#[derive(Debug, Clone, Copy)]
pub struct At<'a> {
    /// The line of the file, from 1.
    pub line: u64,
    /// The byte of the line, from 1.
    pub column: u64,
    /// The name of the column, field or signal, where it has one.
    pub name: Option<&'a str>,
}

impl<'a> At<'a> {
    /// A place without a name; `offset` counts bytes of the line from 0.
    #[must_use]
    pub const fn new(line: u64, offset: usize) -> Self {
        Self { line, column: offset as u64 + 1, name: None }
    }

    /// The same place with a name.
    #[must_use]
    pub const fn named(self, name: &'a str) -> Self {
        Self { name: Some(name), ..self }
    }
}

/// Collects rejections over any number of files: counts all, keeps the first few, and writes one
/// JSON object for each rejected row where it was given a writer.
pub struct Report {
    file: String,
    pending: Option<Rejection>,
    last_line: Option<u64>,
    sample: Vec<Rejection>,
    sample_limit: usize,
    errors: Option<Box<dyn Write + Send>>,
    failure: Option<std::io::Error>,
    rows: u64,
    records: u64,
}

impl Default for Report {
    fn default() -> Self {
        Self::new(10)
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Report");
        debug.field("rows", &self.rows).field("records", &self.records);
        debug.field("sample", &self.sample).finish_non_exhaustive()
    }
}

impl Report {
    /// How many problems of one row are listed.
    const PROBLEMS_OF_A_ROW: usize = 64;

    /// A report that keeps the first `sample_limit` rejected rows.
    #[must_use]
    pub fn new(sample_limit: usize) -> Self {
        Self {
            file: String::new(),
            pending: None,
            last_line: None,
            sample: Vec::new(),
            sample_limit,
            errors: None,
            failure: None,
            rows: 0,
            records: 0,
        }
    }

    /// The same, writing one JSON object a line for each rejected row.
    #[must_use]
    pub fn with_errors(mut self, writer: impl Write + Send + 'static) -> Self {
        self.errors = Some(Box::new(writer));
        self
    }

    /// The rejected rows.
    #[must_use]
    pub const fn rejected_rows(&self) -> u64 {
        self.rows
    }

    /// The rejected records; a row that cannot be taken apart counts as one.
    #[must_use]
    pub const fn rejected_records(&self) -> u64 {
        self.records
    }

    /// The first rejected rows.
    #[must_use]
    pub fn sample(&self) -> &[Rejection] {
        &self.sample
    }

    /// Says which file the next rejections are of.
    pub(super) fn begin_file(&mut self, name: &str) {
        self.settle();
        self.last_line = None;
        name.clone_into(&mut self.file);
    }

    /// Counts and keeps one problem, which cost so many records.
    pub(super) fn reject(&mut self, at: At<'_>, records: u64, reason: impl Into<Reason>) {
        self.records += records;
        if self.last_line != Some(at.line) {
            self.settle();
            self.last_line = Some(at.line);
            self.rows += 1;
        } else if let Some(row) = &mut self.pending {
            row.records += records;
            if row.more.len() + 1 < Self::PROBLEMS_OF_A_ROW {
                row.more.push(problem(at, &reason.into()));
            }
            return;
        }
        if self.errors.is_none() && self.sample.len() >= self.sample_limit {
            return;
        }
        self.pending = Some(Rejection {
            file: self.file.clone(),
            line: at.line,
            records,
            problem: problem(at, &reason.into()),
            more: Vec::new(),
        });
    }

    /// Writes what is held back; an error of the writer comes out here.
    pub(super) fn end_file(&mut self) -> Result<(), IngestError> {
        self.settle();
        if let Some(writer) = &mut self.errors
            && let Err(error) = writer.flush()
        {
            self.failure.get_or_insert(error);
        }
        self.failure.take().map_or(Ok(()), |error| Err(IngestError::Report(error)))
    }

    /// Closes the row that problems were collected for.
    fn settle(&mut self) {
        let Some(row) = self.pending.take() else { return };
        if let Some(writer) = &mut self.errors
            && self.failure.is_none()
        {
            let written = serde_json::to_writer(&mut *writer, &row)
                .map_err(std::io::Error::from)
                .and_then(|()| writer.write_all(b"\n"));
            self.failure = written.err();
        }
        if self.sample.len() < self.sample_limit {
            self.sample.push(row);
        }
    }
}

fn problem(at: At<'_>, reason: &Reason) -> Problem {
    let column_name = at.name.map(str::to_owned);
    Problem { column: at.column, column_name, reason: reason.to_string() }
}

/// What one file came to. `rows` and `cells` add up:
/// rows = rows_accepted + rows_rejected + rows_skipped, and
/// cells = accepted + rejected + empty + skipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The format that the file was read as.
    pub format: Format,
    /// Whether the format was found out and not given.
    pub detected: bool,
    /// Rows of input: data rows, lines, frames, sentences; headers are none.
    pub rows: u64,
    /// Rows in which nothing was rejected.
    pub rows_accepted: u64,
    /// Rows in which something was rejected.
    pub rows_rejected: u64,
    /// Rows that hold no records: blank lines, comments, unknown frames, other sentences.
    pub rows_skipped: u64,
    /// Records that the sink took.
    pub accepted: u64,
    /// Records that were rejected; a row that cannot be taken apart counts as one.
    pub rejected: u64,
    /// Cells without a value.
    pub empty: u64,
    /// Values that the format has no place for: arrays in JSON.
    pub skipped: u64,
    /// Rows with the time of the row before.
    pub equal_times: u64,
    /// The earliest time of an accepted row, in nanoseconds.
    pub first_time_ns: Option<i64>,
    /// The latest time of an accepted row, in nanoseconds.
    pub last_time_ns: Option<i64>,
    /// Bytes read, as stored (compressed).
    pub bytes: u64,
    /// What the user should know of how the file was read.
    pub notes: Vec<String>,
}

impl Summary {
    /// The summary of nothing.
    #[must_use]
    pub const fn new(format: Format) -> Self {
        Self {
            format,
            detected: false,
            rows: 0,
            rows_accepted: 0,
            rows_rejected: 0,
            rows_skipped: 0,
            accepted: 0,
            rejected: 0,
            empty: 0,
            skipped: 0,
            equal_times: 0,
            first_time_ns: None,
            last_time_ns: None,
            bytes: 0,
            notes: Vec::new(),
        }
    }

    /// Adds the counts of another file; the format stays.
    pub fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.rows_accepted += other.rows_accepted;
        self.rows_rejected += other.rows_rejected;
        self.rows_skipped += other.rows_skipped;
        self.accepted += other.accepted;
        self.rejected += other.rejected;
        self.empty += other.empty;
        self.skipped += other.skipped;
        self.equal_times += other.equal_times;
        self.bytes += other.bytes;
        for time in [other.first_time_ns, other.last_time_ns].into_iter().flatten() {
            self.saw_time(time);
        }
        self.notes.extend(other.notes.iter().cloned());
    }

    /// Widens the range of times.
    pub(super) fn saw_time(&mut self, time_ns: i64) {
        self.first_time_ns = Some(self.first_time_ns.map_or(time_ns, |first| first.min(time_ns)));
        self.last_time_ns = Some(self.last_time_ns.map_or(time_ns, |last| last.max(time_ns)));
    }
}

//! What ends an ingest, and what rejects a row or a cell.

use std::io;

use super::time::TimeError;
use super::value::ValueError;
use super::{Format, Refusal, Summary};

/// What ends the ingest of a file. Records handed over before it are with the sink.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IngestError {
    /// The file cannot be opened.
    #[error("cannot open {file}: {source}")]
    Open {
        /// The file.
        file: String,
        /// What the system says.
        source: io::Error,
    },
    /// Reading stopped in the middle.
    #[error(
        "{file}: reading failed at byte {byte}, after line {line}: {source}; \
         the {rows} rows before it were taken"
    )]
    Read {
        /// The file.
        file: String,
        /// The last whole line.
        line: u64,
        /// Rows that were read before.
        rows: u64,
        /// How far the file was read, as it is stored: bytes.
        byte: u64,
        /// What the system or the decompressor says.
        source: io::Error,
    },
    /// A file of batches of columns (Parquet, Arrow IPC) cannot be read on.
    #[error("{file}: reading failed after row {row}: {problem}; the rows before it were taken")]
    Batches {
        /// The file.
        file: String,
        /// The last row that was read.
        row: u64,
        /// What the decoder says.
        problem: String,
    },
    /// Reading was stopped by [`IngestOptions::stop`](super::IngestOptions::stop).
    #[error("{file}: stopped after line {line}; the rows before were taken")]
    Stopped {
        /// The file.
        file: String,
        /// The last line that was taken.
        line: u64,
    },
    /// The text is not UTF-8 but UTF-16.
    #[error("{file} is UTF-16 text; convert it first: iconv -f UTF-16 -t UTF-8 {file} > utf8.txt")]
    Utf16 {
        /// The file.
        file: String,
    },
    /// Nothing says what format the input has.
    #[error(
        "cannot tell the format of {file}: {why}; \
         give --format csv|line|jsonl|candump|asc|gvret|nmea|parquet|arrow"
    )]
    UnknownFormat {
        /// The file.
        file: String,
        /// What was seen.
        why: String,
    },
    /// An option does not fit the input.
    #[error("{file}: {problem}")]
    Option {
        /// The file.
        file: String,
        /// What does not fit and what would.
        problem: String,
    },
    /// A DBC file cannot be used.
    #[error("{file} cannot be used as a DBC file: {problem}")]
    Dbc {
        /// The DBC file.
        file: String,
        /// What is wrong.
        problem: String,
    },
    /// The file of rejected rows cannot be written.
    #[error("cannot write the rejected rows: {0}")]
    Report(io::Error),
    /// The sink cannot go on.
    #[error(transparent)]
    Sink(Box<dyn std::error::Error + Send + Sync>),
}

impl IngestError {
    /// A failure to read; the rows are known at the end of the file only.
    pub(super) fn read(file: &str, line: u64, byte: u64, source: io::Error) -> Self {
        Self::Read { file: file.to_owned(), line, rows: 0, byte, source }
    }

    /// A failure to decode columns behind a row.
    #[cfg(feature = "sql")]
    pub(super) fn batches(file: &str, row: u64, problem: String) -> Self {
        Self::Batches { file: file.to_owned(), row, problem }
    }
}

/// An input that was not read to its end.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Broken {
    /// What ended it.
    pub error: IngestError,
    /// What it came to before; absent where no row was read.
    pub summary: Option<Box<Summary>>,
}

impl From<IngestError> for Broken {
    fn from(error: IngestError) -> Self {
        Self { error, summary: None }
    }
}

/// Why a row or a cell was rejected.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// Its time cannot be read.
    #[error(transparent)]
    Time(#[from] TimeError),
    /// Its value cannot be read.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// The sink refused it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Bytes that are not UTF-8.
    #[error("the row is not UTF-8 text (byte 0x{0:02x})")]
    NotUtf8(u8),
    /// A row longer than the bound.
    #[error("the row is longer than {limit_bytes} bytes")]
    TooLong {
        /// The bound.
        limit_bytes: usize,
    },
    /// The row does not follow the format.
    #[error("not {format}: {problem}")]
    Syntax {
        /// The format.
        format: Format,
        /// What is wrong.
        problem: &'static str,
    },
    /// The row follows the format, but something in it cannot be used.
    #[error("{0}")]
    Unusable(String),
}

impl Reason {
    /// The reason for text that does not follow its format.
    pub(super) const fn syntax(format: Format, problem: &'static str) -> Self {
        Self::Syntax { format, problem }
    }
}

/// A piece of input for a message: quoted, and cut after 48 characters.
pub(super) fn shown(text: &str) -> String {
    let mut cut: String = text.chars().take(48).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    format!("{cut:?}")
}

/// The name among `names` that is nearest to `wanted`, where one is near.
pub(crate) fn nearest<'a>(
    wanted: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let wanted = wanted.to_lowercase();
    let score = |name: &str| {
        let name = name.to_lowercase();
        if name.starts_with(&wanted) && wanted.len() > 2 { 1 } else { distance(&wanted, &name) }
    };
    let (score, name) =
        names.into_iter().map(|name| (score(name), name)).min_by_key(|(score, _)| *score)?;
    (score <= 1 + wanted.chars().count() / 3).then_some(name)
}

/// The number of insertions, deletions and replacements between two short texts (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) =
        (a.chars().take(64).collect(), b.chars().take(64).collect());
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

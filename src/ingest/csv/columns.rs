//! What wide and long rows have in common: names, the time, the device, how numbers are written,
//! and cells beyond the header.

use std::borrow::Cow;

use chronolith_engine::Kind;

use super::header::Header;
use super::split::{Cell, Row};
use super::time::TimeColumn;
use super::{Numbers, decimal};
use crate::ingest::error::{Reason, shown};
use crate::ingest::intake::Intake;
use crate::ingest::{
    At, DeviceSource, Format, IngestError, RecordSink, TimeError, ValueError, value,
};

/// The columns of a file, and those with a role.
pub(super) struct Columns {
    pub(super) header: Header,
    time: TimeColumn,
    device_name: String,
    /// The column that names the device.
    pub(super) device: Option<usize>,
    numbers: Numbers,
    /// Cells of text columns that hold a word for "no value".
    words: u64,
    /// A number with separators that was taken for text.
    number_as_text: Option<String>,
}

impl Columns {
    /// Finds the columns of the time and the device.
    pub(super) fn new<S: RecordSink + ?Sized>(
        header: Header,
        numbers: Numbers,
        intake: &Intake<'_, S>,
    ) -> Result<Self, IngestError> {
        let failed = |problem| intake.option_error(problem);
        let (device_name, device) = match &intake.options.device {
            DeviceSource::Named(name) => (name.clone(), None),
            DeviceSource::Column(name) => {
                let column = header.require("--device-column", name).map_err(failed)?;
                (String::new(), Some(column))
            }
            _ => (String::new(), header.find("device")),
        };
        let time = TimeColumn::new(&header, intake.options).map_err(failed)?;
        Ok(Self { header, time, device_name, device, numbers, words: 0, number_as_text: None })
    }

    /// The device of a row.
    pub(super) fn device<'a>(&'a self, row: &Row<'a>) -> &'a str {
        let of = |column: usize| row.cell(column).map_or("", |cell| cell.text);
        self.device.map_or(self.device_name.as_str(), of)
    }

    /// Whether a column holds the time.
    pub(super) fn is_time(&self, column: usize) -> bool {
        self.time.is(column)
    }

    /// Decides by a row which column holds the time; true once it is decided.
    pub(super) fn decide_time<S: RecordSink + ?Sized>(
        &mut self,
        row: &Row<'_>,
        intake: &Intake<'_, S>,
    ) -> Result<bool, IngestError> {
        let decided = self.time.decide(row, &self.header, intake.options);
        decided.map_err(|problem| intake.option_error(problem))
    }

    /// The time of a row, or what is wrong and in which column.
    pub(super) fn read_time(&mut self, row: &Row<'_>) -> Result<i64, (usize, TimeError)> {
        self.time.read(row, self.numbers == Numbers::Comma)
    }

    /// Counts a cell without a value.
    pub(super) fn empty_cell<S: RecordSink + ?Sized>(
        &mut self,
        cell: Option<Cell<'_>>,
        is_text: bool,
        intake: &mut Intake<'_, S>,
    ) {
        self.words += u64::from(is_text && cell.is_some_and(|cell| !cell.text.is_empty()));
        intake.empty(1);
    }

    /// Reads a cell as a kind.
    #[inline]
    pub(super) fn read_value<'a>(
        &self,
        text: &'a str,
        kind: Kind,
    ) -> Result<value::Cell<'a>, ValueError> {
        if self.numbers == Numbers::Point || !matches!(kind, Kind::F64 | Kind::I64 | Kind::U64) {
            return value::read(text, kind);
        }
        match decimal::read(text) {
            Some(Cow::Borrowed(text)) => value::read(text, kind),
            Some(Cow::Owned(point)) => value::read(&point, kind).map(value::Cell::into_owned),
            None => Err(ValueError::NotA { kind, text: shown(text) }),
        }
    }

    /// The kind of a column by its first value.
    pub(super) fn kind_of(&mut self, text: &str) -> Kind {
        let number = match self.numbers {
            Numbers::Point => Some(Cow::Borrowed(text)),
            Numbers::Comma => decimal::read(text),
        };
        let kind = value::kind_of(number.as_deref().unwrap_or(text));
        let is_number = |c: char| c.is_ascii_digit() || matches!(c, '.' | ',' | '\'' | '-' | '+');
        if kind == Kind::Text && text.contains(',') && text.chars().all(is_number) {
            self.number_as_text.get_or_insert_with(|| shown(text));
        }
        kind
    }

    /// Where a column is in a row.
    pub(super) fn at<'a>(&'a self, row: &Row<'_>, column: usize) -> At<'a> {
        let offset = row.cell(column).map_or(0, |cell| cell.offset);
        At::new(row.line, offset).named(&self.header.columns[column].header)
    }

    /// Rejects values beyond the last column.
    #[inline]
    pub(super) fn reject_extra_cells<S: RecordSink + ?Sized>(
        &self,
        row: &Row<'_>,
        intake: &mut Intake<'_, S>,
    ) {
        for index in self.header.columns.len()..row.len() {
            if let Some(cell) = row.cell(index).filter(|cell| !cell.is_empty()) {
                let problem = "the row has more values than the header has names";
                let reason = Reason::syntax(Format::Csv, problem);
                intake.reject(At::new(row.line, cell.offset), 1, reason);
            }
        }
    }

    /// What the user should know of how the file was read.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes: Vec<String> = self.time.notes().collect();
        notes.extend(self.header.notes());
        if self.words > 0 {
            notes.push(format!(
                "{} cells of text columns hold NA, N/A, #N/A, null or - and count as empty; \
                 --type COLUMN=text keeps them",
                self.words
            ));
        }
        if let Some(number) = &self.number_as_text {
            notes.push(format!(
                "{number} was taken for text; --decimal comma reads commas as decimal signs"
            ));
        }
        notes
    }
}

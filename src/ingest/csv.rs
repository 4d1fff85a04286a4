//! Delimited text with a header: wide (each value column is a metric) or long (each row is one
//! record, with columns that name its metric and value).
//!
//! Rows are cut here and not by the `csv` crate for two reasons: a rejection names the byte of the
//! line where a cell starts, and a quote that is never closed costs its own line and not the rest
//! of the file. The tests compare the cutting with that crate.

mod columns;
mod decimal;
pub(super) mod header;
mod long;
mod preamble;
mod split;
mod time;
mod wide;

use super::input::Source;
use super::intake::Intake;
use super::{At, DeviceSource, Format, IngestError, Reason, RecordSink};
use columns::Columns;
pub(super) use header::is_gvret_header;
use preamble::Preamble;
use split::{Cut, Row, Splitter};

/// The two shapes of files.
enum Shape {
    Wide(wide::Wide),
    Long(long::Long),
}

/// The sign before the fraction of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbers {
    /// `1234.5`.
    Point,
    /// `1234,5` or `1.234,5`.
    Comma,
}

/// Reads the whole input.
pub(super) fn run<S: RecordSink + ?Sized>(
    source: &mut Source<'_>,
    intake: &mut Intake<'_, S>,
) -> Result<(), IngestError> {
    if matches!(intake.options.device, DeviceSource::Tag(_)) {
        return Err(intake
            .option_error("--device-tag is for line protocol; CSV takes --device-column COLUMN"));
    }
    let Some(mut preamble) = preamble::read(source, intake)? else {
        intake.note("the file is empty".to_owned());
        return Ok(());
    };
    // The first row decides what more is known of the file.
    if memchr::memchr(b'\n', source.window()).is_none() {
        source.fill_lines(source.window().len() + 1)?;
    }
    if preamble::take_units(source, &mut preamble) {
        intake.skip_row();
        intake.note("the first row holds the units of the columns".to_owned());
    }
    let Preamble { header, mut splitter, has_comments } = preamble;
    let numbers = numbers(source, splitter.delimiter, header.is_export(), intake)?;
    let is_long = header.is_long(intake.options);
    let width = header.columns.len();
    let columns = Columns::new(header, numbers, intake)?;
    let mut shape = match is_long {
        true => Shape::Long(long::Long::new(columns, intake)?),
        false => Shape::Wide(wide::Wide::new(columns, intake)?),
    };
    let read = each_row(source, &mut splitter, has_comments, intake, |row, intake| {
        if row.is_comment(width) {
            intake.skip_row();
            return Ok(());
        }
        match &mut shape {
            Shape::Wide(wide) => wide.row(row, intake),
            Shape::Long(long) => long.row(row, intake),
        }
    });
    let notes = match &shape {
        Shape::Wide(wide) => wide.notes(),
        Shape::Long(long) => long.notes(),
    };
    notes.into_iter().for_each(|note| intake.note(note));
    read
}

/// How numbers are written: as the user says, or as the rows show that are there already.
fn numbers<S: RecordSink + ?Sized>(
    source: &Source<'_>,
    delimiter: u8,
    is_export: bool,
    intake: &mut Intake<'_, S>,
) -> Result<Numbers, IngestError> {
    if let Some(numbers) = intake.options.decimal {
        return Ok(numbers);
    }
    if is_export {
        return Ok(Numbers::Point);
    }
    match decimal::sniff(source.window(), delimiter) {
        Ok(None) => Ok(Numbers::Point),
        Ok(Some(number)) => {
            intake.note(format!("numbers such as {number} are read with a decimal comma"));
            Ok(Numbers::Comma)
        }
        Err((comma, point)) => Err(intake.option_error(format!(
            "some numbers have a comma ({comma}) and some a point ({point}); give --decimal comma \
             or --decimal point"
        ))),
    }
}

/// Cuts the rest of the input into rows.
fn each_row<'a, S: RecordSink + ?Sized>(
    source: &mut Source<'_>,
    splitter: &mut Splitter,
    has_comments: bool,
    intake: &mut Intake<'a, S>,
    mut take: impl FnMut(Row<'_>, &mut Intake<'a, S>) -> Result<(), IngestError>,
) -> Result<(), IngestError> {
    loop {
        source.close_last_line();
        let line = source.line_number();
        if has_comments && source.window().first() == Some(&b'#') {
            // Its quotes are none.
            source.skip_line()?;
            intake.skip_row();
            continue;
        }
        match splitter.cut(source.window()) {
            Cut::Row { bytes, lines } => {
                let window = source.window();
                if bytes > source.limit() {
                    let limit_bytes = source.limit();
                    intake.reject_row(At::new(line, 0), 1, Reason::TooLong { limit_bytes });
                } else {
                    match Row::new(window, bytes, line, splitter) {
                        Ok(row) if row.is_blank() => intake.skip_row(),
                        Ok(row) => take(row, intake)?,
                        Err((at, byte)) => {
                            intake.reject_row(At::new(line, at), 1, Reason::NotUtf8(byte));
                        }
                    }
                }
                source.consume(bytes, lines);
            }
            Cut::More if source.window().is_empty() && source.at_end() => return Ok(()),
            Cut::More if source.at_end() || source.window().len() > source.limit() => {
                reject_uncut(source, intake)?;
            }
            Cut::More => source.fill_lines(source.window().len() * 2 + 1)?,
        }
    }
}

/// Rejects a line that has no end within the limit, or whose quote has none.
fn reject_uncut<S: RecordSink + ?Sized>(
    source: &mut Source<'_>,
    intake: &mut Intake<'_, S>,
) -> Result<(), IngestError> {
    let (line, limit_bytes) = (source.line_number(), source.limit());
    let first = memchr::memchr(b'\n', source.window());
    let reason = match first {
        Some(length) if length <= limit_bytes => {
            Reason::syntax(Format::Csv, "a quote is opened and not closed")
        }
        _ => Reason::TooLong { limit_bytes },
    };
    let at = first.and_then(|length| memchr::memchr(b'"', &source.window()[..length]));
    intake.reject_row(At::new(line, at.unwrap_or_default()), 1, reason);
    source.skip_line()
}

#[cfg(test)]
mod tests;

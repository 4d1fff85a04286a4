//! Delimited text with a header: wide (each value column is a metric) or long (each row is one
//! record, with columns that name its metric and value).
//!
//! Rows are cut here and not by the `csv` crate for two reasons: a rejection names the byte of the
//! line where a cell starts, and a quote that is never closed costs its own line and not the rest
//! of the file. The tests compare the cutting with that crate.

pub(super) mod header;
mod long;
mod split;
mod time;
mod wide;

use super::input::Source;
use super::intake::Intake;
use super::{At, DeviceSource, Format, IngestError, Reason, RecordSink};
use header::Header;
pub(super) use header::is_gvret_header;
use split::{Cut, Row, Splitter};

/// The two shapes of files.
enum Shape {
    Wide(wide::Wide),
    Long(long::Long),
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
    for _ in 0..intake.options.skip_lines {
        source.next_line()?;
    }
    let Some((header, mut splitter)) = read_header(source, intake)? else {
        intake.note("the file is empty".to_owned());
        return Ok(());
    };
    let mut shape = if header.is_long(intake.options) {
        Shape::Long(long::Long::new(header, intake)?)
    } else {
        Shape::Wide(wide::Wide::new(header, intake)?)
    };
    each_row(source, &mut splitter, intake, |row, intake| match &mut shape {
        Shape::Wide(wide) => wide.row(row, intake),
        Shape::Long(long) => long.row(row, intake),
    })?;
    let note = match &shape {
        Shape::Wide(wide) => wide.note(),
        Shape::Long(long) => long.note(),
    };
    note.into_iter().for_each(|note| intake.note(note));
    Ok(())
}

/// The header, from the options or from the first line that is not blank.
fn read_header<S: RecordSink + ?Sized>(
    source: &mut Source<'_>,
    intake: &Intake<'_, S>,
) -> Result<Option<(Header, Splitter)>, IngestError> {
    let options = intake.options;
    let mut splitter = Splitter::new(b',');
    loop {
        source.close_last_line();
        let sniffed = header::sniff_delimiter(source.window());
        splitter.delimiter = options.delimiter.unwrap_or(sniffed);
        if !options.columns.is_empty() {
            return Ok(Some((Header::new(&options.columns), splitter)));
        }
        match splitter.cut(source.window()) {
            Cut::Row { bytes, lines } => {
                let row = Row::new(source.window(), bytes, source.line_number(), &splitter);
                let row = row.map_err(|_| intake.option_error("the header is not UTF-8 text"))?;
                let names: Vec<String> = row.cells().map(|cell| cell.text.to_owned()).collect();
                let blank = names.iter().all(String::is_empty);
                source.consume(bytes, lines);
                if !blank {
                    return Ok(Some((Header::new(&names), splitter)));
                }
            }
            Cut::More if source.at_end() && source.window().is_empty() => return Ok(None),
            Cut::More if source.at_end() || source.window().len() > source.limit() => {
                return Err(intake.option_error(
                    "the header is not one line of column names; \
                     give --skip-lines N for lines before it",
                ));
            }
            Cut::More => source.fill_lines(source.window().len() * 2 + 1)?,
        }
    }
}

/// Cuts the rest of the input into rows.
fn each_row<'a, S: RecordSink + ?Sized>(
    source: &mut Source<'_>,
    splitter: &mut Splitter,
    intake: &mut Intake<'a, S>,
    mut take: impl FnMut(Row<'_>, &mut Intake<'a, S>) -> Result<(), IngestError>,
) -> Result<(), IngestError> {
    loop {
        source.close_last_line();
        let line = source.line_number();
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

//! What stands before the rows: lines to skip, `sep=;`, comments, and the header.
//!
//! Lines that begin with `#` are comments. The last of them, units apart, is the header itself where it has as
//! many names as the line below has cells and that line is data. A comment `# units: s, km/h` with
//! as many units as there are columns is taken for them, and so is a row of units below the header.

use super::header::{self, Header};
use super::split::{Cut, Row, Splitter};
use crate::ingest::input::Source;
use crate::ingest::intake::Intake;
use crate::ingest::time::Shape;
use crate::ingest::{IngestError, RecordSink};

/// What the rows are read by.
pub(super) struct Preamble {
    pub(super) header: Header,
    pub(super) splitter: Splitter,
    /// Whether lines that begin with `#` are comments in this file.
    pub(super) has_comments: bool,
}

/// The comments before the header, as far as they matter.
#[derive(Default)]
struct Comments {
    any: bool,
    /// The last that names no units.
    last: Option<String>,
    units: Option<String>,
}

/// Reads up to the first row; none where the input has no header.
pub(super) fn read<S: RecordSink + ?Sized>(
    source: &mut Source<'_>,
    intake: &Intake<'_, S>,
) -> Result<Option<Preamble>, IngestError> {
    let options = intake.options;
    for _ in 0..options.skip_lines {
        source.next_line()?;
    }
    let mut separator = None;
    let mut comments = Comments::default();
    loop {
        source.close_last_line();
        let window = source.window();
        if !options.columns.is_empty() {
            let sniffed = header::sniff_delimiter(window);
            let splitter = Splitter::new(options.delimiter.or(separator).unwrap_or(sniffed));
            let header = Header::new(&options.columns);
            return Ok(Some(Preamble { header, splitter, has_comments: false }));
        }
        let Some(length) = memchr::memchr(b'\n', window) else {
            if source.at_end() && window.is_empty() {
                return Ok(None);
            }
            more(source, intake)?;
            continue;
        };
        let line = window[..length].trim_ascii();
        let chosen = match line {
            [] => None,
            [b's', b'e', b'p', b'=', sign] | [b'"', b's', b'e', b'p', b'=', sign, b'"'] => {
                separator = Some(*sign);
                None
            }
            [b'#', comment @ ..] => {
                comments.take(comment);
                None
            }
            _ => Some(options.delimiter.or(separator)),
        };
        let Some(delimiter) = chosen else {
            source.consume(length + 1, 1);
            continue;
        };
        let delimiter = delimiter.unwrap_or_else(|| header::sniff_delimiter(window));
        let mut splitter = Splitter::new(delimiter);
        let Cut::Row { bytes, lines } = splitter.cut(window) else {
            more(source, intake)?;
            continue;
        };
        let row = Row::new(window, bytes, source.line_number(), &splitter);
        let row = row.map_err(|_| intake.option_error("the header is not UTF-8 text"))?;
        let names: Vec<String> = row.cells().map(|cell| cell.text.to_owned()).collect();
        let has_comments = comments.any;
        let (mut header, is_comment) = match comments.header(&names, delimiter) {
            Some(names) => (Header::new(&names), true),
            None if names.iter().all(String::is_empty) => {
                source.consume(bytes, lines);
                continue;
            }
            None => (Header::new(&names), false),
        };
        if !is_comment {
            source.consume(bytes, lines);
        }
        if let Some(units) = comments.units(header.columns.len(), delimiter) {
            header.set_units(&units);
        }
        return Ok(Some(Preamble { header, splitter, has_comments }));
    }
}

/// What a row of units has in the column of the time.
const TIME_UNITS: [&str; 12] =
    ["s", "sec", "secs", "second", "seconds", "ms", "us", "\u{b5}s", "ns", "min", "h", "utc"];

/// Takes the first row for the units of the columns, where it can be nothing else: it has a unit of
/// time below a usual name of times, and neither number nor date anywhere. Whether it was so.
pub(super) fn take_units(source: &mut Source<'_>, preamble: &mut Preamble) -> bool {
    let Preamble { header, splitter, .. } = preamble;
    source.close_last_line();
    let Cut::Row { bytes, lines } = splitter.cut(source.window()) else { return false };
    let Ok(row) = Row::new(source.window(), bytes, 0, splitter) else { return false };
    let bare = |text: &str| text.trim_matches(['[', ']', '(', ')']).trim().to_owned();
    let units: Vec<String> = row.cells().map(|cell| bare(cell.text)).collect();
    let is_time = |column: &usize| {
        let unit = units.get(*column).map(|unit| unit.to_lowercase());
        unit.is_some_and(|unit| TIME_UNITS.contains(&unit.as_str()))
    };
    let is_words = units.iter().all(|unit| Shape::of(unit) == Shape::Other);
    if !is_words
        || units.len() > header.columns.len()
        || !header.time_candidates().iter().any(is_time)
    {
        return false;
    }
    header.set_units(&units);
    source.consume(bytes, lines);
    true
}

/// Reads more of a header that goes beyond the window.
fn more<S: RecordSink + ?Sized>(
    source: &mut Source<'_>,
    intake: &Intake<'_, S>,
) -> Result<(), IngestError> {
    if source.at_end() || source.window().len() > source.limit() {
        return Err(intake.option_error(
            "the header is not one line of column names; \
             give --skip-lines N for lines before it",
        ));
    }
    source.fill_lines(source.window().len() * 2 + 1)
}

impl Comments {
    fn take(&mut self, comment: &[u8]) {
        let text = String::from_utf8_lossy(comment).trim().to_owned();
        if text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("unit")) {
            let rest = text[4..].trim_start_matches(['s', 'S']);
            self.units = rest.get(1..).map(|units| units.trim().to_owned());
        } else {
            self.last = Some(text);
        }
        self.any = true;
    }

    /// The names in the last comment, where the line below is data.
    fn header(&self, below: &[String], delimiter: u8) -> Option<Vec<String>> {
        let names = cells(self.last.as_deref()?, delimiter)?;
        let is_data =
            |cells: &[String]| cells.iter().any(|cell| !matches!(Shape::of(cell), Shape::Other));
        let fits = names.len() == below.len() && names.len() > 1;
        (fits && is_data(below) && !is_data(&names)).then_some(names)
    }

    /// The units of so many columns.
    fn units(&self, columns: usize, delimiter: u8) -> Option<Vec<String>> {
        let units = self.units.as_deref()?;
        let cut = [delimiter, b','].into_iter().filter_map(|delimiter| cells(units, delimiter));
        cut.into_iter().find(|units| units.len() == columns)
    }
}

/// The cells of a line.
fn cells(line: &str, delimiter: u8) -> Option<Vec<String>> {
    let line = format!("{line}\n");
    let mut splitter = Splitter::new(delimiter);
    let Cut::Row { bytes, .. } = splitter.cut(line.as_bytes()) else { return None };
    let row = Row::new(line.as_bytes(), bytes, 0, &splitter).ok()?;
    Some(row.cells().map(|cell| cell.text.to_owned()).collect())
}

//! Influx line protocol: `measurement,tag=value field=1.5,other=2i 1465839830100400200`.
//!
//! Escapes, types and errors are those of InfluxDB (`models/points.go`): a character is escaped
//! where the byte before it is a backslash; in keys `\,`, `\=` and `\ ` lose their backslash, in
//! strings `\"` and `\\` do. A field is a metric; the measurement is its tag `class` (a tag that
//! the input calls `class` itself is kept as `_class`); the device is the tag that `--device-tag`
//! names, by default the first of `device`, `vehicle` and `host` that is there.
//!
//! One bad field rejects its line. This is the hot path of the whole ingest: lines are parsed
//! where they lie in the read buffer, in one pass, and nothing is allocated for a line whose
//! series and fields were seen before.

mod number;
mod series;
mod text;

use memchr::{memchr, memrchr};

use chronolith_engine::Kind;

use super::input::Source;
use super::intake::Intake;
use super::time::TimeUnit;
use super::{
    At, DeviceSource, Format, IngestError, IngestOptions, Reason, RecordSink, Report, SinkMetric,
    Summary, TimeFormat,
};
use number::Scalar;
use series::Book;

/// Reads the whole input.
pub(super) fn run<'a, S: RecordSink + ?Sized>(
    source: &mut Source<'_>,
    intake: &mut Intake<'a, S>,
) -> Result<(), IngestError> {
    let mut parser = Parser::new(intake)?;
    loop {
        source.close_last_line();
        let window = source.window();
        let whole = memrchr(b'\n', window).map_or(0, |at| at + 1);
        let last = source.at_end() || window.len() > source.limit();
        let (bytes, lines) = parser.lines(&window[..whole], source.line_number(), last, intake)?;
        source.consume(bytes, lines);
        if bytes > 0 && source.fill()? {
            continue;
        }
        if source.window().is_empty() && source.at_end() {
            return Ok(());
        }
        if whole == 0 && source.window().len() > source.limit() {
            let (line, limit_bytes) = (source.line_number(), source.limit());
            source.skip_line()?;
            intake.reject_row(At::new(line, 0), 1, Reason::TooLong { limit_bytes });
        } else if bytes == 0 {
            // A line or a quoted string that goes beyond the window: look at twice as much.
            source.fill_lines(source.window().len() * 2 + 1)?;
        }
    }
}

/// Reads bodies of line protocol, one after the other, for one sink: what was found out of the series
/// and fields of one is known for the next.
pub struct LineReader {
    parser: Parser,
    options: IngestOptions,
}

impl Default for LineReader {
    fn default() -> Self {
        let options = IngestOptions::default();
        let parser = Parser::with_unit(&options, None);
        Self { parser, options }
    }
}

impl LineReader {
    /// Reads one body, whose times count so many nanoseconds each. A line that is refused costs no
    /// other.
    ///
    /// # Errors
    /// What ends the sink.
    pub fn read<S: RecordSink + ?Sized>(
        &mut self,
        body: &[u8],
        unit_ns: i64,
        sink: &mut S,
        report: &mut Report,
    ) -> Result<Summary, IngestError> {
        report.begin_file(BODY);
        self.parser.unit_ns = Some(unit_ns);
        let mut intake = Intake::new(BODY, Format::Line, &self.options, sink, report);
        let whole = memrchr(b'\n', body).map_or(0, |at| at + 1);
        let (bytes, lines) = self.parser.lines(&body[..whole], 1, false, &mut intake)?;
        if bytes < body.len() {
            // A line without its end, or a string that none closes.
            let mut rest = body[bytes..].to_vec();
            if !rest.ends_with(b"\n") {
                rest.push(b'\n');
            }
            self.parser.lines(&rest, lines + 1, true, &mut intake)?;
        }
        let summary = intake.finish();
        report.end_file()?;
        Ok(summary)
    }

    /// How much it remembers: bytes.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.parser.book.size_bytes()
    }
}

/// What messages call what is no file.
const BODY: &str = "body";

/// What stopped a line from being parsed, and where. Boxed, so that the way without faults is not
/// slowed by its size.
#[derive(Debug)]
struct Fault {
    /// The offset in the buffer.
    at: usize,
    reason: Reason,
    quote: Quote,
}

/// What a fault has to do with quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quote {
    None,
    /// A string closes where none can: its quote may be a stray one, so that the next line is
    /// read by itself.
    Stray,
    /// A string is open at the end of the buffer.
    Open,
}

impl Fault {
    fn new(at: usize, problem: &'static str) -> Box<Self> {
        Self::of(at, Reason::syntax(Format::Line, problem))
    }

    fn of(at: usize, reason: Reason) -> Box<Self> {
        Box::new(Self { at, reason, quote: Quote::None })
    }

    fn stray_quote(at: usize, problem: &'static str) -> Box<Self> {
        let reason = Reason::syntax(Format::Line, problem);
        Box::new(Self { at, reason, quote: Quote::Stray })
    }

    fn open_quote(at: usize) -> Box<Self> {
        let reason = Reason::syntax(Format::Line, "a quote is opened and not closed");
        Box::new(Self { at, reason, quote: Quote::Open })
    }
}

/// A field of the line at hand.
struct Value {
    scalar: Scalar,
    /// The offset of its key in the buffer.
    at: usize,
    /// Its number in the book.
    field: u32,
}

struct Parser {
    book: Book,
    values: Vec<Value>,
    unescaped: String,
    /// The nanoseconds of a unit of time; none until `auto` has seen the first time.
    unit_ns: Option<i64>,
    clock: fn() -> i64,
    arrived_ns: Option<i64>,
}

impl Parser {
    fn new<S: RecordSink + ?Sized>(intake: &Intake<'_, S>) -> Result<Self, IngestError> {
        let options = intake.options;
        if !options.types.is_empty() {
            return Err(intake.option_error(
                "--type is of no use with line protocol, whose values state their types",
            ));
        }
        if matches!(options.device, DeviceSource::Column(_)) {
            return Err(intake.option_error(
                "--device-column is for CSV and JSON lines; line protocol takes --device-tag",
            ));
        }
        let unit_ns = match &options.time_format {
            None => Some(1),
            Some(TimeFormat::Epoch(unit)) => Some(nanoseconds(*unit)),
            Some(TimeFormat::Auto) => None,
            Some(_) => {
                return Err(intake.option_error(
                    "times of line protocol are numbers; give --time-format ns, us, ms or s",
                ));
            }
        };
        Ok(Self::with_unit(options, unit_ns))
    }

    fn with_unit(options: &IngestOptions, unit_ns: Option<i64>) -> Self {
        let book = Book::new(options.device.clone());
        let (values, unescaped) = (Vec::new(), String::new());
        let (clock, arrived_ns) = (options.clock, options.arrived_ns);
        Self { book, values, unescaped, unit_ns, clock, arrived_ns }
    }

    /// Parses whole lines; the buffer ends with a line end. Gives the bytes and lines that are
    /// done with; it stops early at a string that is open at the end of the buffer, unless this is
    /// the `last` chance to read it.
    fn lines<'a, S: RecordSink + ?Sized>(
        &mut self,
        buffer: &[u8],
        first_line: u64,
        last: bool,
        intake: &mut Intake<'a, S>,
    ) -> Result<(usize, u64), IngestError> {
        let (mut start, mut line) = (0, first_line);
        while start < buffer.len() {
            let at = text::skip_blanks(buffer, start);
            if matches!(buffer.get(at), None | Some(b'\n' | b'\r' | b'#')) {
                start = line_end(buffer, at);
                line += 1;
                intake.skip_row();
                continue;
            }
            match self.line(buffer, at, intake) {
                Ok((time_ns, end)) => {
                    self.hand_over(buffer, start, line, time_ns, intake);
                    line += self.line_ends(buffer, start, end);
                    start = end;
                    intake.end_row(time_ns)?;
                }
                Err(fault) if fault.quote == Quote::Open && !last => {
                    return Ok((start, line - first_line));
                }
                Err(fault) => {
                    let resume = if fault.quote == Quote::None { fault.at } else { start };
                    let end = line_end(buffer, resume);
                    intake.reject_row(At::new(line, fault.at - start), 1, fault.reason);
                    line += memchr::memchr_iter(b'\n', &buffer[start..end]).count() as u64;
                    start = end;
                }
            }
        }
        Ok((start, line - first_line))
    }

    /// How many lines a parsed line takes: more than one where strings hold line ends.
    fn line_ends(&self, buffer: &[u8], start: usize, end: usize) -> u64 {
        if self.values.iter().any(|value| value.scalar.of.kind() == Kind::Text) {
            memchr::memchr_iter(b'\n', &buffer[start..end]).count() as u64
        } else {
            1
        }
    }

    /// Gives the values of the line to the sink.
    #[inline]
    fn hand_over<'a, S: RecordSink + ?Sized>(
        &mut self,
        buffer: &[u8],
        start: usize,
        line: u64,
        time_ns: i64,
        intake: &mut Intake<'a, S>,
    ) {
        for value in &self.values {
            let metric = SinkMetric(self.book.metric_of(value.field));
            let of_sink = value.scalar.value(buffer, &mut self.unescaped);
            intake.record(metric, time_ns, of_sink, At::new(line, value.at - start));
        }
    }

    /// Parses one line into `values`; gives its time and the offset behind its line end.
    #[inline]
    fn line<S: RecordSink + ?Sized>(
        &mut self,
        buffer: &[u8],
        start: usize,
        intake: &mut Intake<'_, S>,
    ) -> Result<(i64, usize), Box<Fault>> {
        self.values.clear();
        let (series, mut at) = self.book.series(buffer, start)?;
        at = text::skip_blanks(buffer, at);
        let mut expected = self.book.first_field(series);
        let mut previous = None;
        loop {
            let key = at;
            let (known, value_at) = match self.book.expect(expected, buffer, key) {
                Some(end) => (true, end + 1),
                None => (false, text::field_key_end(buffer, key)? + 1),
            };
            let scalar = number::value(buffer, value_at)?;
            let kind = scalar.of.kind();
            let field = if known && self.book.kind_of(expected) == kind {
                expected
            } else {
                let name = &buffer[key..value_at - 1];
                self.book.field(series, name, kind, key, intake)?
            };
            if self.book.is_refused(field) {
                return Err(Fault::of(key, self.book.refusal(field)));
            }
            expected = self.book.follow(series, previous, field);
            previous = Some(field);
            self.values.push(Value { scalar, at: key, field });
            match buffer.get(scalar.end) {
                Some(b',') => at = scalar.end + 1,
                _ => return self.time(buffer, scalar.end),
            }
        }
    }

    /// Parses the end of a line: a time or none, then the line end.
    #[inline]
    fn time(&mut self, buffer: &[u8], at: usize) -> Result<(i64, usize), Box<Fault>> {
        let at = text::skip_blanks(buffer, at);
        if let Some(end) = text::end_of_line(buffer, at) {
            return Ok((self.arrived_ns.unwrap_or_else(self.clock), end));
        }
        let (number, behind) = number::timestamp(buffer, at)?;
        let end = text::end_of_line(buffer, text::skip_blanks(buffer, behind))
            .ok_or_else(|| Fault::new(behind, "something follows the time"))?;
        let unit_ns = *self.unit_ns.get_or_insert_with(|| nanoseconds(number::likely_unit(number)));
        let time_ns = number
            .checked_mul(unit_ns)
            .ok_or_else(|| Fault::new(at, "the time is outside of the years 1677 to 2262"))?;
        Ok((time_ns, end))
    }
}

const fn nanoseconds(unit: TimeUnit) -> i64 {
    10i64.pow(unit.exponent().unsigned_abs())
}

/// The offset behind the next line end.
fn line_end(buffer: &[u8], at: usize) -> usize {
    memchr(b'\n', &buffer[at..]).map_or(buffer.len(), |found| at + found + 1)
}

/// Whether a line is line protocol, for the detection of formats.
pub(super) fn looks_like(line: &str) -> bool {
    let mut buffer = line.as_bytes().to_vec();
    buffer.push(b'\n');
    let parse = || -> Option<()> {
        let end = text::series_end(&buffer, 0).ok()?;
        text::tags(&buffer[..end]).ok()?;
        let mut at = text::skip_blanks(&buffer, end);
        loop {
            let value_at = text::field_key_end(&buffer, at).ok()? + 1;
            let end = number::value(&buffer, value_at).ok()?.end;
            if buffer.get(end) != Some(&b',') {
                let at = text::skip_blanks(&buffer, end);
                return match text::end_of_line(&buffer, at) {
                    Some(_) => Some(()),
                    None => number::timestamp(&buffer, at).ok().map(drop),
                };
            }
            at = end + 1;
        }
    };
    parse().is_some()
}

#[cfg(test)]
mod tests;

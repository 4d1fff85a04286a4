//! The CSV of GVRET and SavvyCAN: `Time Stamp,ID,Extended,Dir,Bus,LEN,D1,...,D8`, with
//! microseconds since the logger started and hexadecimal ids and bytes.

use super::candump::hex_byte;
use super::{Entry, Frame, LineError, LogReader, Payload, wrong};
use crate::ingest::csv::is_gvret_header;
use crate::ingest::time::TimeReader;
use crate::ingest::{Format, IngestOptions, TimeFormat, TimeUnit};

/// Reads GVRET lines.
pub(super) struct Reader {
    times: TimeReader,
    /// Whether the header has a column `Dir`.
    direction: bool,
}

impl Reader {
    /// A reader; an error says that the start of the logger must be given.
    pub(super) fn new(options: &IngestOptions) -> Result<Self, String> {
        if options.start_ns.is_none() && options.time_format.is_none() {
            return Err("times are microseconds since the logger started; give --start TIME, \
                        or --time-format us where they are since 1970"
                .to_owned());
        }
        let format = options.time_format.clone().unwrap_or(TimeFormat::Epoch(TimeUnit::Micros));
        let times = TimeReader::new(format, options.start_ns, options.zone.clone());
        Ok(Self { times, direction: false })
    }
}

/// A line cut at commas, with the places of the pieces.
struct Cells<'a> {
    line: &'a str,
    at: usize,
}

impl<'a> Cells<'a> {
    /// The next cell; empty at the end of the line.
    fn next(&mut self) -> (usize, &'a str) {
        let at = self.at.min(self.line.len());
        let rest = &self.line[at..];
        let cell = rest.split(',').next().unwrap_or_default();
        self.at = at + cell.len() + 1;
        (at, cell.trim())
    }
}

impl LogReader for Reader {
    fn entry<'a>(&mut self, line: &'a str) -> Result<Entry<'a>, LineError> {
        if is_gvret_header(line) {
            self.direction = line.split(',').nth(3).is_some_and(|name| name.trim() == "Dir");
            return Ok(Entry::Other);
        }
        if line.trim().is_empty() {
            return Ok(Entry::Other);
        }
        let fault = |at, problem| wrong(Format::Gvret, at, problem);
        let mut cells = Cells { line, at: 0 };
        let (at, stamp) = cells.next();
        let time_ns = self.times.read(stamp).map_err(|error| (at, error.into()))?;
        let (at, id) = cells.next();
        let id = u32::from_str_radix(id.trim_start_matches("0x"), 16)
            .map_err(|_| fault(at, "the id is not hexadecimal"))?;
        let (at, extended) = cells.next();
        let extended = match extended {
            "true" | "True" | "TRUE" | "1" => true,
            "false" | "False" | "FALSE" | "0" => false,
            _ => return Err(fault(at, "the column Extended is not true or false")),
        };
        if id > if extended { 0x1fff_ffff } else { 0x7ff } {
            return Err(fault(at, "the id is out of range"));
        }
        if self.direction {
            cells.next();
        }
        let (_, bus) = cells.next();
        let (at, length) = cells.next();
        let length = length
            .parse::<usize>()
            .ok()
            .filter(|length| *length <= super::MAX_PAYLOAD)
            .ok_or_else(|| fault(at, "the column LEN is not 0 to 64"))?;
        let payload_at = cells.at.min(line.len());
        let mut payload = Payload::EMPTY;
        for _ in 0..length {
            let (at, byte) = cells.next();
            let byte =
                hex_byte(byte).ok_or_else(|| fault(at, "a byte of the payload is missing"))?;
            payload.push(byte);
        }
        Ok(Entry::Frame(Frame { time_ns, id, extended, bus, payload, payload_at }))
    }
}

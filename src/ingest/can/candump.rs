//! The logs of candump: `(1410714882.622188) can0 09F80102#36729A16021AB80D` as `-l` and `-L` write
//! them, and the columns of the terminal: `(1410714882.622188)  can0  123   [2]  00 11`.

use super::{Entry, Frame, LineError, LogReader, Payload};
use crate::ingest::time::{Decimal, TimeReader};
use crate::ingest::value::nibble;
use crate::ingest::{Format, IngestOptions, TimeFormat, TimeUnit};

/// Frames with this bit report errors (linux/can.h, CAN_ERR_FLAG).
const ERROR_FLAG: u32 = 0x2000_0000;

/// Reads candump lines. Times are seconds since the epoch, or since `--start`, and dates with
/// `-t A`.
pub(super) struct Reader {
    seconds: TimeReader,
    dates: TimeReader,
}

impl Reader {
    pub(super) fn new(options: &IngestOptions) -> Self {
        let format = options.time_format.clone().unwrap_or(TimeFormat::Epoch(TimeUnit::Seconds));
        let zone = options.zone.clone();
        Self {
            seconds: TimeReader::new(format, options.start_ns, zone.clone()),
            dates: TimeReader::new(TimeFormat::Iso, None, zone),
        }
    }
}

const fn fault(at: usize, problem: &'static str) -> LineError {
    (at, crate::ingest::Reason::syntax(Format::Candump, problem))
}

/// A line cut at blanks, with the places of the pieces.
pub(super) fn pieces(line: &str) -> impl Iterator<Item = (usize, &str)> {
    let start = line.as_ptr() as usize;
    line.split_ascii_whitespace().map(move |piece| (piece.as_ptr() as usize - start, piece))
}

impl LogReader for Reader {
    fn entry<'a>(&mut self, line: &'a str) -> Result<Entry<'a>, LineError> {
        let start = line.len() - line.trim_start().len();
        let rest = line.trim_start();
        if rest.is_empty() || rest.starts_with('#') {
            return Ok(Entry::Other);
        }
        let stamp = rest
            .strip_prefix('(')
            .and_then(|rest| rest.split_once(')'))
            .ok_or_else(|| fault(start, "a frame starts with its time, (1410714882.622188)"))?;
        let (stamp, frame) = stamp;
        let reader = match Decimal::parse(stamp.trim()) {
            Some(_) => &mut self.seconds,
            None => &mut self.dates,
        };
        let time_ns = reader.read(stamp).map_err(|error| (start + 1, error.into()))?;
        let at = line.len() - frame.len();
        let mut parts = pieces(frame).map(|(offset, piece)| (at + offset, piece)).peekable();
        let (_, bus) = parts.next().ok_or_else(|| fault(at, "the bus is missing"))?;
        // candump -x puts direction and flags between the bus and the id.
        while parts.next_if(|(_, piece)| matches!(*piece, "RX" | "TX" | "-" | "B" | "E")).is_some()
        {
        }
        let (id_at, id) = parts.next().ok_or_else(|| fault(at, "the id is missing"))?;
        match id.split_once('#') {
            Some((id_text, data)) => {
                let data_at = id_at + id_text.len() + 1;
                compact(time_ns, bus, (id_at, id_text), (data_at, data))
            }
            None => columns(time_ns, bus, (id_at, id), parts),
        }
    }
}

/// An id of three (11 bits) or eight (29 bits) digits; None where the frame reports an error.
fn parse_id(at: usize, text: &str) -> Result<Option<(u32, bool)>, LineError> {
    let not_id = || fault(at, "the id is not three or eight hexadecimal digits");
    let hexadecimal = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !hexadecimal || !matches!(text.len(), 1..=3 | 8) {
        return Err(not_id());
    }
    let id = u32::from_str_radix(text, 16).map_err(|_| not_id())?;
    let extended = text.len() == 8;
    if extended && id & ERROR_FLAG != 0 {
        return Ok(None);
    }
    if id > if extended { 0x1fff_ffff } else { 0x7ff } {
        return Err(fault(at, "the id is out of range"));
    }
    Ok(Some((id, extended)))
}

/// `data`, `R`, or `#` with flags and data of CAN FD.
fn compact<'a>(
    time_ns: i64,
    bus: &'a str,
    (id_at, id): (usize, &str),
    (data_at, data): (usize, &str),
) -> Result<Entry<'a>, LineError> {
    let Some((id, extended)) = parse_id(id_at, id)? else { return Ok(Entry::Error) };
    let (payload_at, digits) = match data.as_bytes() {
        [b'R' | b'r', ..] => return Ok(Entry::Remote),
        [b'#', flags, digits @ ..] if flags.is_ascii_hexdigit() => (data_at + 2, digits),
        [b'#', ..] => return Err(fault(data_at + 1, "the flags of a CAN FD frame are missing")),
        digits => (data_at, digits),
    };
    let mut payload = Payload::EMPTY;
    let mut at = 0;
    while at < digits.len() {
        match digits[at] {
            b'.' => at += 1,
            // A data length code above 8 of a classic frame.
            b'_' => break,
            high => {
                let byte =
                    digits.get(at + 1).and_then(|low| Some(nibble(high)? << 4 | nibble(*low)?));
                let problem = "the payload is not pairs of hexadecimal digits";
                let byte = byte.ok_or_else(|| fault(payload_at + at, problem))?;
                if !payload.push(byte) {
                    return Err(fault(payload_at + at, "the payload has more than 64 bytes"));
                }
                at += 2;
            }
        }
    }
    Ok(Entry::Frame(Frame { time_ns, id, extended, bus, payload, payload_at }))
}

/// `[length] byte byte ...`.
fn columns<'a, 'b>(
    time_ns: i64,
    bus: &'a str,
    (id_at, id): (usize, &str),
    mut parts: impl Iterator<Item = (usize, &'b str)>,
) -> Result<Entry<'a>, LineError> {
    let Some((id, extended)) = parse_id(id_at, id)? else { return Ok(Entry::Error) };
    let (length_at, length) =
        parts.next().ok_or_else(|| fault(id_at, "neither # nor [length] follows the id"))?;
    let length = length
        .strip_prefix('[')
        .and_then(|length| length.strip_suffix(']')?.parse::<usize>().ok())
        .filter(|length| *length <= super::MAX_PAYLOAD)
        .ok_or_else(|| fault(length_at, "neither # nor [length] follows the id"))?;
    let mut payload = Payload::EMPTY;
    let mut payload_at = length_at;
    let mut parts = parts.peekable();
    if parts.peek().is_some_and(|(_, piece)| *piece == "remote") {
        return Ok(Entry::Remote);
    }
    for index in 0..length {
        let (at, piece) = parts.next().ok_or_else(|| fault(length_at, "bytes are missing"))?;
        if index == 0 {
            payload_at = at;
        }
        payload.push(hex_byte(piece).ok_or_else(|| fault(at, "not a byte"))?);
    }
    Ok(Entry::Frame(Frame { time_ns, id, extended, bus, payload, payload_at }))
}

/// A byte of two hexadecimal digits, or one.
pub(super) fn hex_byte(text: &str) -> Option<u8> {
    match text.as_bytes() {
        [digit] => nibble(*digit),
        [high, low] => Some(nibble(*high)? << 4 | nibble(*low)?),
        _ => None,
    }
}

/// Whether a line is one of candump, for the detection of formats.
pub(in crate::ingest) fn looks_like(line: &str) -> bool {
    let mut reader = Reader::new(&IngestOptions::default());
    line.trim_start().starts_with('(') && reader.entry(line).is_ok()
}

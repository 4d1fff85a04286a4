//! Vector's ASC text: a header with the date, the base of numbers and whether times are absolute
//! or relative, then an event a line: `0.153600 0  594  Rx   d 8 34 21 34 21 A0 61 04 20`.

use super::candump::pieces;
use super::{Entry, Frame, LineError, LogReader, Payload, wrong};
use crate::ingest::time::{Decimal, TimeReader};
use crate::ingest::{Format, IngestOptions, Reason, TimeError, TimeFormat};

/// How the date of a header is written: by CANoe and CANalyzer, and in mail headers.
const DATES: [&str; 6] = [
    "%a %b %d %I:%M:%S%.f %p %Y",
    "%a %b %d %H:%M:%S%.f %Y",
    "%b %d %I:%M:%S%.f %p %Y",
    "%a, %d %b %Y %H:%M:%S%.f",
    "%d.%m.%Y %H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f",
];

/// Reads ASC lines.
pub(super) struct Reader {
    options: IngestOptions,
    start_ns: Option<i64>,
    hexadecimal: bool,
    relative: bool,
    /// The time of the event before, since the start.
    last_ns: i64,
}

impl Reader {
    pub(super) fn new(options: &IngestOptions) -> Self {
        Self {
            options: options.clone(),
            start_ns: options.start_ns,
            hexadecimal: true,
            relative: false,
            last_ns: 0,
        }
    }

    /// The start of the measurement, from the line `date ...`; `--start` goes before it.
    fn date(&mut self, line: &str) -> Result<(), LineError> {
        if self.options.start_ns.is_some() {
            return Ok(());
        }
        let text = line.get(4..).unwrap_or_default().trim();
        let (text, utc) = match text.strip_suffix("GMT").or_else(|| text.strip_suffix("UTC")) {
            Some(bare) => (bare.trim_end(), true),
            None => (text, false),
        };
        let zone = if utc { None } else { self.options.zone.clone() };
        let start = DATES.iter().find_map(|pattern| {
            let format = TimeFormat::Pattern((*pattern).to_owned());
            TimeReader::new(format, None, zone.clone()).read(text).ok()
        });
        self.start_ns = Some(start.ok_or_else(|| {
            let at = line.len() - text.len();
            let problem = "the date cannot be read; --start TIME says it";
            (at, Reason::syntax(Format::Asc, problem))
        })?);
        Ok(())
    }

    fn number(&self, text: &str) -> Option<u32> {
        u32::from_str_radix(text, if self.hexadecimal { 16 } else { 10 }).ok()
    }

    /// The time of an event since the epoch.
    fn time(&mut self, at: usize, text: &str) -> Result<i64, LineError> {
        let range = || TimeError::OutOfRange { text: text.to_owned() };
        let since = Decimal::parse(text).and_then(|number| number.scaled(9));
        let mut since = since.ok_or_else(|| (at, range().into()))?;
        if self.relative {
            since = since.checked_add(self.last_ns).ok_or_else(|| (at, range().into()))?;
        }
        self.last_ns = since;
        let start = self.start_ns.ok_or((at, TimeError::NoStart.into()))?;
        start.checked_add(since).ok_or_else(|| (at, range().into()))
    }

    /// An id with `x` behind it has 29 bits.
    fn id(&self, at: usize, text: &str) -> Result<(u32, bool), LineError> {
        let (digits, extended) = match text.strip_suffix(['x', 'X']) {
            Some(digits) => (digits, true),
            None => (text, false),
        };
        let id = self.number(digits).ok_or_else(|| fault(at, "the id is not a number"))?;
        if id > if extended { 0x1fff_ffff } else { 0x7ff } {
            return Err(fault(at, "the id is out of range"));
        }
        Ok((id, extended))
    }

    fn payload<'a>(
        &self,
        length: usize,
        at: usize,
        parts: &mut impl Iterator<Item = (usize, &'a str)>,
    ) -> Result<(usize, Payload), LineError> {
        let mut payload = Payload::EMPTY;
        let mut payload_at = at;
        for index in 0..length.min(super::MAX_PAYLOAD) {
            let (at, text) = parts.next().ok_or_else(|| fault(at, "bytes are missing"))?;
            let byte = self.number(text).and_then(|number| u8::try_from(number).ok());
            payload.push(byte.ok_or_else(|| fault(at, "not a byte"))?);
            if index == 0 {
                payload_at = at;
            }
        }
        Ok((payload_at, payload))
    }

    /// `time channel id direction d length bytes`.
    fn classic<'a>(
        &self,
        time_ns: i64,
        bus: &'a str,
        id: (usize, &'a str),
        parts: &mut impl Iterator<Item = (usize, &'a str)>,
    ) -> Result<Entry<'a>, LineError> {
        let direction = parts.next().map(|(_, text)| text);
        let kind = parts.next().map(|(at, text)| (at, text.to_ascii_lowercase()));
        let directed = matches!(direction, Some("Rx" | "Tx" | "TxRq" | "RX" | "TX" | "rx" | "tx"));
        let (kind_at, kind) = match kind {
            Some(kind) if directed => kind,
            // Statistics, chip states and the like.
            _ => return Ok(Entry::Other),
        };
        match kind.as_str() {
            "d" => {}
            "r" => return Ok(Entry::Remote),
            _ => return Ok(Entry::Other),
        }
        let (id, extended) = self.id(id.0, id.1)?;
        let (at, length) = parts.next().ok_or_else(|| fault(kind_at, "the length is missing"))?;
        let length = usize::from_str_radix(length, 16)
            .ok()
            .filter(|length| *length <= 15)
            .ok_or_else(|| fault(at, "the length is not 0 to 8"))?;
        let (payload_at, payload) = self.payload(length.min(8), at, parts)?;
        Ok(Entry::Frame(Frame { time_ns, id, extended, bus, payload, payload_at }))
    }

    /// `time CANFD channel direction id [name] brs esi dlc length bytes`.
    fn fd<'a>(
        &self,
        time_ns: i64,
        at: usize,
        parts: &mut impl Iterator<Item = (usize, &'a str)>,
    ) -> Result<Entry<'a>, LineError> {
        let mut next = |problem| parts.next().ok_or_else(|| fault(at, problem));
        let (_, bus) = next("the channel is missing")?;
        let (_, direction) = next("the direction is missing")?;
        let (id_at, id) = next("the id is missing")?;
        if direction.eq_ignore_ascii_case("ErrorFrame") || id.eq_ignore_ascii_case("ErrorFrame") {
            return Ok(Entry::Error);
        }
        let (id, extended) = self.id(id_at, id)?;
        let is_bit = |text: &str| matches!(text, "0" | "1");
        let (mut brs_at, mut brs) = next("the bit rate switch is missing")?;
        if !is_bit(brs) {
            // The symbolic name of the message.
            (brs_at, brs) = next("the bit rate switch is missing")?;
        }
        let (_, esi) = next("the error state is missing")?;
        if !is_bit(brs) || !is_bit(esi) {
            return Err(fault(brs_at, "the bit rate switch and the error state are not 0 or 1"));
        }
        next("the data length code is missing")?;
        let (length_at, length) = next("the length is missing")?;
        let length = length.parse::<usize>().ok().filter(|length| *length <= super::MAX_PAYLOAD);
        let length = length.ok_or_else(|| fault(length_at, "the length is not 0 to 64"))?;
        let (payload_at, payload) = self.payload(length, length_at, parts)?;
        Ok(Entry::Frame(Frame { time_ns, id, extended, bus, payload, payload_at }))
    }
}

fn fault(at: usize, problem: &'static str) -> LineError {
    wrong(Format::Asc, at, problem)
}

impl LogReader for Reader {
    fn entry<'a>(&mut self, line: &'a str) -> Result<Entry<'a>, LineError> {
        let mut parts = pieces(line);
        let Some((at, first)) = parts.next() else { return Ok(Entry::Other) };
        if Decimal::parse(first).is_none() {
            match first.to_ascii_lowercase().as_str() {
                "date" => self.date(line.trim_start())?,
                "base" => {
                    let mut words = line.split_ascii_whitespace().skip(1);
                    self.hexadecimal = words.next().is_none_or(|word| word != "dec");
                    self.relative = words.any(|word| word == "relative");
                }
                "begin" | "end" | "internal" | "no" | "//" => {}
                word if word.starts_with("//") => {}
                _ => return Err(fault(at, "neither an event with its time nor a header line")),
            }
            return Ok(Entry::Other);
        }
        let time_ns = self.time(at, first)?;
        let Some((at, channel)) = parts.next() else {
            return Err(fault(at, "nothing follows the time"));
        };
        if channel.eq_ignore_ascii_case("CANFD") {
            return self.fd(time_ns, at, &mut parts);
        }
        let Some(id) = parts.next().filter(|_| channel.bytes().all(|byte| byte.is_ascii_digit()))
        else {
            return Ok(Entry::Other);
        };
        if id.1.eq_ignore_ascii_case("ErrorFrame") {
            return Ok(Entry::Error);
        }
        self.classic(time_ns, channel, id, &mut parts)
    }
}

/// Whether a line is the head of an ASC log, for the detection of formats.
pub(in crate::ingest) fn looks_like(line: &str) -> bool {
    let lower = line.to_ascii_lowercase();
    lower.starts_with("base hex") || lower.starts_with("base dec") || {
        let mut reader = Reader::new(&IngestOptions::default());
        lower.starts_with("date ") && reader.date(line).is_ok()
    }
}

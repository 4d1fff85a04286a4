//! CAN frames: from the text of a log to signals by a DBC file, or to raw bytes.
//!
//! With `--dbc`, each signal is a metric of physical values (raw x factor + offset), with the
//! tags `message` and `bus`. Without it, and with `--keep-unknown` for frames that no DBC file
//! describes, a frame is a record of the metric `frame` with the tags `id` and `bus`.

mod asc;
mod candump;
mod dbc;
mod gvret;
mod signal;

use std::collections::{HashMap, HashSet};

use chronolith_engine::{Kind, Metric, ValueRef};

use super::input::Source;
use super::intake::Intake;
use super::lines::{LineError, each_line};
use super::{
    At, DeviceSource, Format, IngestError, Reason, RecordSink, Refusal, SinkMetric, TimeError,
};
pub(super) use asc::looks_like as looks_like_asc;
pub(super) use candump::looks_like as looks_like_candump;
#[cfg(test)]
pub(super) use dbc::parse as parse_dbc;
use dbc::{Database, Message};
use signal::Physical;

/// The longest payload: CAN FD.
const MAX_PAYLOAD: usize = 64;

/// The bytes of a frame.
#[derive(Debug, Clone, Copy)]
struct Payload {
    bytes: [u8; MAX_PAYLOAD],
    length: usize,
}

impl Payload {
    const EMPTY: Self = Self { bytes: [0; MAX_PAYLOAD], length: 0 };

    /// Adds a byte; false where the payload is full.
    fn push(&mut self, byte: u8) -> bool {
        match self.bytes.get_mut(self.length) {
            Some(place) => {
                *place = byte;
                self.length += 1;
                true
            }
            None => false,
        }
    }

    fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// Fills up with zeros.
    fn pad(&mut self, length: usize) {
        self.length = self.length.max(length.min(MAX_PAYLOAD));
    }
}

/// A frame of a log.
#[derive(Debug, Clone, Copy)]
struct Frame<'a> {
    time_ns: i64,
    id: u32,
    /// Whether the id has 29 bits.
    extended: bool,
    bus: &'a str,
    payload: Payload,
    /// Where the payload starts in the line.
    payload_at: usize,
}

/// What a line of a log is.
enum Entry<'a> {
    Frame(Frame<'a>),
    /// Remote frames ask for data and carry none.
    Remote,
    /// Frames that report a bus error.
    Error,
    /// Headers, blank lines, comments and other events.
    Other,
}

/// Reads lines of one format.
trait LogReader {
    fn entry<'a>(&mut self, line: &'a str) -> Result<Entry<'a>, LineError>;
}

fn wrong(format: Format, at: usize, problem: &'static str) -> LineError {
    (at, Reason::syntax(format, problem))
}

/// Reads the whole input.
pub(super) fn run<S: RecordSink + ?Sized>(
    source: &mut Source<'_>,
    intake: &mut Intake<'_, S>,
) -> Result<(), IngestError> {
    let options = intake.options;
    let mut decoder = Decoder::new(intake)?;
    let outcome = match intake.format {
        Format::Asc => each_entry(source, intake, &mut decoder, &mut asc::Reader::new(options)),
        Format::Gvret => {
            let mut reader =
                gvret::Reader::new(options).map_err(|problem| intake.option_error(problem))?;
            each_entry(source, intake, &mut decoder, &mut reader)
        }
        _ => each_entry(source, intake, &mut decoder, &mut candump::Reader::new(options)),
    };
    decoder.notes().for_each(|note| intake.note(note));
    outcome
}

/// Hands the frames of a log to the decoder.
fn each_entry<S: RecordSink + ?Sized>(
    source: &mut Source<'_>,
    intake: &mut Intake<'_, S>,
    decoder: &mut Decoder,
    reader: &mut impl LogReader,
) -> Result<(), IngestError> {
    each_line(source, intake, |text, number, intake| {
        match reader.entry(text) {
            Ok(Entry::Frame(frame)) => decoder.frame(frame, number, intake)?,
            Ok(Entry::Remote) => decoder.skip_remote(intake),
            Ok(Entry::Error) => decoder.skip_error(intake),
            Ok(Entry::Other) => intake.skip_row(),
            Err((_, Reason::Time(TimeError::NoStart))) => {
                return Err(intake.option_error(TimeError::NoStart.to_string()));
            }
            Err((at, reason)) => intake.reject_row(At::new(number, at), 1, reason),
        }
        Ok(())
    })
}

/// A metric as the sink answered, and its kind; None before it was asked.
type Slot = Option<Result<(SinkMetric, Kind), Refusal>>;

/// Why a value is no value of its metric's kind.
fn inexact(value: Physical, kind: Kind) -> String {
    let value = match value {
        Physical::Integer(value) => value.to_string(),
        Physical::Float(value) => value.to_string(),
    };
    format!("the metric holds {kind} values, and {value} is none; give --tag KEY=VALUE for others")
}

/// What is known of the frames of one id on one bus.
struct Known {
    /// The database and message that describe it.
    message: Option<(usize, usize)>,
    /// For each signal of the message, or the one of the raw bytes.
    slots: Vec<Slot>,
}

/// Turns frames into records.
struct Decoder {
    device: String,
    databases: Vec<Database>,
    buses: HashMap<String, u32>,
    known: HashMap<(u32, u32, bool), Known>,
    keep_unknown: bool,
    pad: bool,
    unknown_ids: HashSet<(u32, bool)>,
    unknown_frames: u64,
    remote_frames: u64,
    error_frames: u64,
    repairs: Vec<String>,
}

impl Decoder {
    fn new<S: RecordSink + ?Sized>(intake: &Intake<'_, S>) -> Result<Self, IngestError> {
        let options = intake.options;
        let device = match &options.device {
            DeviceSource::Usual => String::new(),
            DeviceSource::Named(name) => name.clone(),
            DeviceSource::Column(_) | DeviceSource::Tag(_) => {
                return Err(intake.option_error("a CAN log names no device; give --device NAME"));
            }
        };
        let (mut databases, mut repairs) = (Vec::new(), Vec::new());
        for file in &options.dbc {
            let (database, repair) = dbc::load(file)?;
            databases.push(database);
            repairs.extend(repair);
        }
        Ok(Self {
            device,
            keep_unknown: options.keep_unknown || databases.is_empty(),
            databases,
            buses: HashMap::new(),
            known: HashMap::new(),
            pad: options.pad_payload,
            unknown_ids: HashSet::new(),
            unknown_frames: 0,
            remote_frames: 0,
            error_frames: 0,
            repairs,
        })
    }

    /// Takes one frame.
    fn frame<S: RecordSink + ?Sized>(
        &mut self,
        mut frame: Frame<'_>,
        line: u64,
        intake: &mut Intake<'_, S>,
    ) -> Result<(), IngestError> {
        let bus = match self.buses.get(frame.bus) {
            Some(bus) => *bus,
            None => {
                let bus = self.buses.len() as u32;
                self.buses.insert(frame.bus.to_owned(), bus);
                bus
            }
        };
        let key = (bus, frame.id, frame.extended);
        let mut known = match self.known.remove(&key) {
            Some(known) => known,
            None => self.look_up(&frame),
        };
        let message = known.message.and_then(|(at, index)| self.databases[at].message(index));
        let time_ns = frame.time_ns;
        match message {
            Some(message) => {
                if self.pad {
                    frame.payload.pad(message.size);
                }
                self.signals(message, &frame, line, &mut known.slots, intake);
                intake.end_row(time_ns)?;
            }
            None if self.keep_unknown => {
                self.raw(&frame, line, &mut known.slots, intake);
                intake.end_row(time_ns)?;
            }
            None => {
                self.unknown_frames += 1;
                self.unknown_ids.insert((frame.id, frame.extended));
                intake.skip_row();
            }
        }
        self.known.insert(key, known);
        Ok(())
    }

    /// The first message with signals that a database has for a frame.
    fn look_up(&self, frame: &Frame<'_>) -> Known {
        let found = self.databases.iter().enumerate().find_map(|(at, database)| {
            Some((at, database.find(frame.bus, frame.id, frame.extended)?))
        });
        let message = found.and_then(|(at, index)| self.databases[at].message(index));
        let slots = message.map_or(1, |message| message.signals.len());
        Known { message: found, slots: vec![None; slots] }
    }

    /// Records the signals of a frame; those beyond its payload are rejected.
    fn signals<S: RecordSink + ?Sized>(
        &self,
        message: &Message,
        frame: &Frame<'_>,
        line: u64,
        slots: &mut [Slot],
        intake: &mut Intake<'_, S>,
    ) {
        let payload = frame.payload.as_slice();
        let at = At::new(line, frame.payload_at);
        let mut outside = Vec::new();
        for (index, signal) in message.signals.iter().enumerate() {
            let value = match message.value(index, payload) {
                signal::Value::Physical(value) => value,
                signal::Value::Outside => {
                    outside.push(signal.name.as_str());
                    continue;
                }
                signal::Value::Inactive => continue,
            };
            let slot = slots[index].get_or_insert_with(|| {
                let metric = Metric::new(&self.device, &signal.name)
                    .tag("message", &message.name)
                    .tag("bus", frame.bus);
                let metric = intake.with_tags(metric);
                // A metric that holds floats keeps them as long as none would be rounded.
                let kind = match (signal.exact, intake.known_kind(&metric)) {
                    (true, Some(known @ (Kind::F64 | Kind::I64 | Kind::U64))) => known,
                    _ => signal.kind(),
                };
                Ok((intake.metric(&metric, kind, &signal.unit)?, kind))
            });
            let at = at.named(&signal.name);
            match slot {
                Ok((metric, kind)) => match value.of_kind(*kind) {
                    Some(value) => intake.record(*metric, frame.time_ns, value, at),
                    None => intake.reject(at, 1, Reason::Unusable(inexact(value, *kind))),
                },
                Err(refusal) => intake.reject(at, 1, refusal.clone()),
            }
        }
        if !outside.is_empty() {
            let reason = Reason::Unusable(format!(
                "message {} has {} bytes and the frame {}: {} is not in it \
                 (--pad-payload fills up with zeros)",
                message.name,
                message.size,
                payload.len(),
                outside.join(", ")
            ));
            intake.reject(at.named(&message.name), outside.len() as u64, reason);
        }
    }

    /// Records the bytes of a frame.
    fn raw<S: RecordSink + ?Sized>(
        &self,
        frame: &Frame<'_>,
        line: u64,
        slots: &mut [Slot],
        intake: &mut Intake<'_, S>,
    ) {
        let Some(slot) = slots.first_mut() else { return };
        let slot = slot.get_or_insert_with(|| {
            let id = if frame.extended {
                format!("{:08X}", frame.id)
            } else {
                format!("{:03X}", frame.id)
            };
            let metric = Metric::new(&self.device, "frame").tag("id", id).tag("bus", frame.bus);
            let metric = intake.with_tags(metric);
            Ok((intake.metric(&metric, Kind::Bytes, "")?, Kind::Bytes))
        });
        let at = At::new(line, frame.payload_at);
        match slot {
            Ok((metric, _)) => {
                let bytes = ValueRef::Bytes(frame.payload.as_slice());
                intake.record(*metric, frame.time_ns, bytes, at);
            }
            Err(refusal) => intake.reject(at, 1, refusal.clone()),
        }
    }

    const fn skip_remote<S: RecordSink + ?Sized>(&mut self, intake: &mut Intake<'_, S>) {
        self.remote_frames += 1;
        intake.skip_row();
    }

    const fn skip_error<S: RecordSink + ?Sized>(&mut self, intake: &mut Intake<'_, S>) {
        self.error_frames += 1;
        intake.skip_row();
    }

    /// What the user should know of what was passed over.
    fn notes(&mut self) -> impl Iterator<Item = String> {
        let mut notes = std::mem::take(&mut self.repairs);
        if self.unknown_frames > 0 {
            notes.push(format!(
                "{} frames of {} ids that no DBC file describes were passed over; \
                 --keep-unknown keeps them as bytes",
                self.unknown_frames,
                self.unknown_ids.len()
            ));
        }
        if self.remote_frames + self.error_frames > 0 {
            notes.push(format!(
                "{} remote frames and {} error frames carry no data and were passed over",
                self.remote_frames, self.error_frames
            ));
        }
        notes.into_iter()
    }
}

#[cfg(test)]
mod tests;

//! DBC files: messages and their signals, as far as decoding needs them.

use std::collections::HashMap;

use can_dbc::{ByteOrder, Dbc, MessageId, MultiplexIndicator, SignalExtendedValueType, ValueType};
use chronolith_engine::Kind;

use super::MAX_PAYLOAD;
use super::signal::{Coding, Multiplex, Signal, Value};
use crate::ingest::{DbcFile, IngestError};

/// The largest DBC file that is read: 64 MiB.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// How deep multiplexers may switch multiplexers.
const MAX_SWITCHES: usize = 8;

/// What a DBC file without these lines is given before its first message.
const USUAL_HEADER: &str = "VERSION \"\"\n\nNS_ :\n\nBS_:\n\nBU_:\n\n";

/// A message and its signals.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) name: String,
    /// Bytes of its payload.
    pub(super) size: usize,
    pub(super) signals: Vec<Signal>,
}

impl Message {
    /// What a payload holds of the signal of this number.
    pub(super) fn value(&self, index: usize, payload: &[u8]) -> Value {
        let Some(signal) = self.signals.get(index) else { return Value::Inactive };
        match self.is_active(signal, payload) {
            Some(false) => return Value::Inactive,
            Some(true) => {}
            None => return Value::Outside,
        }
        match signal.raw(payload) {
            Some(raw) => Value::Physical(signal.physical(raw)),
            None => Value::Outside,
        }
    }

    /// Whether the switches select a signal; none where a switch is beyond the payload.
    fn is_active(&self, signal: &Signal, payload: &[u8]) -> Option<bool> {
        let mut multiplex = signal.multiplex.as_ref();
        for _ in 0..MAX_SWITCHES {
            let Some(Multiplex { switch, ranges }) = multiplex else { return Some(true) };
            let Some(switch) = self.signals.get(*switch) else { return Some(false) };
            let raw = switch.raw(payload)?;
            if !ranges.iter().any(|(low, high)| (*low..=*high).contains(&raw)) {
                return Some(false);
            }
            multiplex = switch.multiplex.as_ref();
        }
        Some(false)
    }
}

/// The messages of a DBC file.
#[derive(Debug)]
pub(super) struct Database {
    /// The bus that it describes; all where absent.
    bus: Option<String>,
    messages: Vec<Message>,
    by_id: HashMap<(u32, bool), usize>,
}

impl Database {
    /// The number of the message with signals that a frame's id names.
    pub(super) fn find(&self, bus: &str, id: u32, extended: bool) -> Option<usize> {
        if self.bus.as_deref().is_some_and(|own| own != bus) {
            return None;
        }
        self.by_id.get(&(id, extended)).copied()
    }

    /// A message by its number.
    pub(super) fn message(&self, index: usize) -> Option<&Message> {
        self.messages.get(index)
    }
}

/// Reads a DBC file; tells what had to be repaired.
pub(super) fn load(file: &DbcFile) -> Result<(Database, Option<String>), IngestError> {
    let name = file.path.display().to_string();
    let open = |source| IngestError::Open { file: name.clone(), source };
    let size = std::fs::metadata(&file.path).map_err(open)?.len();
    let failed = |problem: String| IngestError::Dbc { file: name.clone(), problem };
    if size > MAX_FILE_BYTES {
        return Err(failed(format!("it has {size} bytes; at most {MAX_FILE_BYTES} are read")));
    }
    let bytes = std::fs::read(&file.path).map_err(open)?;
    // Tools on Windows write DBC files in code page 1252; every byte has a character there or in
    // Latin-1, and only names and units can hold them.
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => error.into_bytes().iter().map(|byte| char::from(*byte)).collect(),
    };
    let (dbc, repair) = parse(&text).map_err(failed)?;
    let database = database(&dbc, file.bus.clone());
    if database.by_id.is_empty() {
        return Err(failed("it describes no signals".to_owned()));
    }
    Ok((database, repair.map(|repair| format!("{name}: {repair}"))))
}

/// Parses DBC text: as it is, or else its messages and signals alone behind the usual header.
pub(in crate::ingest) fn parse(text: &str) -> Result<(Dbc, Option<String>), String> {
    let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
    let has_header = text.lines().any(|line| line.starts_with("BU_"));
    let first_error = match Dbc::try_from(text.as_str()) {
        Ok(dbc) if has_header && !dbc.messages.is_empty() => return Ok((dbc, None)),
        Ok(_) => None,
        Err(error) => Some(error.to_string()),
    };
    let reduced = reduce(&text);
    let dbc = Dbc::try_from(reduced.as_str())
        .map_err(|error| first_line(&first_error.clone().unwrap_or_else(|| error.to_string())))?;
    let repair = match first_error {
        None => "read with the usual header lines (BS_, BU_) put in".to_owned(),
        Some(error) => {
            let error = first_line(&error);
            format!("read by its messages and signals alone; the rest does not parse ({error})")
        }
    };
    Ok((dbc, Some(repair)))
}

/// The usual header and the lines that decoding needs.
fn reduce(text: &str) -> String {
    let needed = ["BO_ ", "SG_ ", "SG_MUL_VAL_ ", "SIG_VALTYPE_ "];
    let mut reduced = USUAL_HEADER.to_owned();
    for line in text.lines() {
        let bare = line.trim_start();
        if needed.iter().any(|start| bare.starts_with(start)) {
            let start = if bare.starts_with("SG_ ") { " " } else { "\n" };
            reduced.push_str(start);
            reduced.push_str(bare.trim_end());
            reduced.push('\n');
        }
    }
    reduced
}

/// The first lines of a parser's message, on one line.
fn first_line(message: &str) -> String {
    let lines = message.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.take(6).collect::<Vec<_>>().join(" ").chars().take(300).collect()
}

fn database(dbc: &Dbc, bus: Option<String>) -> Database {
    let (mut messages, mut by_id) = (Vec::new(), HashMap::new());
    for message in &dbc.messages {
        let (id, extended) = match message.id {
            MessageId::Standard(id) => (u32::from(id), false),
            MessageId::Extended(id) => (id, true),
        };
        let signals = signals(dbc, message);
        if !signals.is_empty() {
            by_id.entry((id, extended)).or_insert(messages.len());
            let size = usize::try_from(message.size).unwrap_or(MAX_PAYLOAD).min(MAX_PAYLOAD);
            messages.push(Message { name: message.name.clone(), size, signals });
        }
    }
    Database { bus, messages, by_id }
}

/// The signals of a message; one that no payload can hold is left out.
fn signals(dbc: &Dbc, message: &can_dbc::Message) -> Vec<Signal> {
    let fits = |signal: &&can_dbc::Signal| {
        (1..=64).contains(&signal.size) && signal.start_bit < 8 * MAX_PAYLOAD as u64
    };
    let kept: Vec<&can_dbc::Signal> = message.signals.iter().filter(fits).collect();
    let position = |name: &str| kept.iter().position(|signal| signal.name == name);
    let main_switch = kept
        .iter()
        .position(|signal| signal.multiplexer_indicator == MultiplexIndicator::Multiplexor);
    let multiplex = |signal: &can_dbc::Signal| -> Option<Multiplex> {
        let extended = dbc
            .extended_multiplex
            .iter()
            .find(|entry| entry.message_id == message.id && entry.signal_name == signal.name);
        if let Some(entry) = extended
            && let Some(switch) = position(&entry.multiplexor_signal_name)
        {
            let ranges = entry.mappings.iter().map(|range| (range.min_value, range.max_value));
            return Some(Multiplex { switch, ranges: ranges.collect() });
        }
        match signal.multiplexer_indicator {
            MultiplexIndicator::MultiplexedSignal(value)
            | MultiplexIndicator::MultiplexorAndMultiplexedSignal(value) => {
                Some(Multiplex { switch: main_switch?, ranges: vec![(value, value)] })
            }
            MultiplexIndicator::Multiplexor | MultiplexIndicator::Plain => None,
        }
    };
    let build = |signal: &&can_dbc::Signal| {
        let mut built = Signal {
            name: signal.name.clone(),
            unit: signal.unit.trim().to_owned(),
            start: signal.start_bit as usize,
            size: signal.size as usize,
            big_endian: signal.byte_order == ByteOrder::BigEndian,
            coding: coding(dbc, message, signal),
            factor: signal.factor,
            offset: signal.offset,
            exact: false,
            multiplex: multiplex(signal),
        };
        built.exact = built.kind() != Kind::F64;
        built
    };
    kept.iter().map(build).collect()
}

fn coding(dbc: &Dbc, message: &can_dbc::Message, signal: &can_dbc::Signal) -> Coding {
    let extended = dbc
        .signal_extended_value_type_list
        .iter()
        .find(|entry| entry.message_id == message.id && entry.signal_name == signal.name)
        .map(|entry| entry.signal_extended_value_type);
    match (extended, signal.size, signal.value_type) {
        (Some(SignalExtendedValueType::IEEEfloat32Bit), 32, _) => Coding::Float32,
        (Some(SignalExtendedValueType::IEEEdouble64bit), 64, _) => Coding::Float64,
        (_, _, ValueType::Signed) => Coding::Signed,
        (_, _, ValueType::Unsigned) => Coding::Unsigned,
    }
}

//! JSON lines: one object a line, wide (`{"time":..., "device":..., "speed":61.2}`) or long
//! (`{"time":..., "device":..., "metric":"speed", "value":61.2}`), both with `"tags":{...}`.
//!
//! Nested objects are flattened with dots; arrays are passed over and counted. A line is checked
//! whole by `serde_json`, and then walked in place, so that rejections name the byte and numbers
//! keep every digit that was written.

mod walk;

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use chronolith_engine::{Kind, Metric};
use serde::de::IgnoredAny;

use super::error::{Reason, shown};
use super::input::Source;
use super::intake::Intake;
use super::key::push_part;
use super::lines::each_line;
use super::time::{TimeReader, looks_iso};
use super::value::{self, ValueError};
use super::{
    At, DeviceSource, Format, IngestError, RecordSink, Refusal, SinkMetric, TimeError, TimeFormat,
    TimeUnit,
};
use walk::{Json, Leaf, leaves, members, unquote};

/// Keys of times where `--time` names none.
const TIME_KEYS: [&str; 5] = ["time", "timestamp", "datetime", "@timestamp", "ts"];

/// Past so many metrics, or bytes of their keys, the cache of their numbers starts anew.
const MAX_METRICS: usize = 1 << 20;
const MAX_KEYS_BYTES: usize = 256 << 20;
/// How long device and tags of a line may be together: bytes. All its values have them.
const MAX_SHARED_BYTES: usize = 16 << 10;

/// Reads the whole input.
pub(super) fn run<S: RecordSink + ?Sized>(
    source: &mut Source<'_>,
    intake: &mut Intake<'_, S>,
) -> Result<(), IngestError> {
    if matches!(intake.options.device, DeviceSource::Tag(_)) {
        return Err(intake.option_error(
            "--device-tag is for line protocol; JSON lines take --device-column KEY",
        ));
    }
    let mut reader = Reader::default();
    let outcome = each_line(source, intake, |text, number, intake| {
        if text.trim().is_empty() {
            intake.skip_row();
            return Ok(());
        }
        reader.line(text, number, intake)
    });
    reader.note().into_iter().for_each(|note| intake.note(note));
    outcome
}

/// A metric as the sink answered, and the kind that it was asked for.
type Known = (Kind, Result<SinkMetric, Refusal>);

/// A record to be: the metric's name and where its value is.
struct Value<'a> {
    name: Cow<'a, str>,
    json: Json<'a>,
    at: usize,
}

/// What a line says of all its records.
#[derive(Default)]
struct Parts<'a> {
    time: Option<(Json<'a>, usize)>,
    device: Cow<'a, str>,
    tags: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    unit: Cow<'a, str>,
    kind: Option<Kind>,
    values: Vec<Value<'a>>,
    /// Whether the line has the members of our own export.
    is_export: bool,
    /// What keeps the whole line from being read, and where it is.
    unusable: Option<(usize, &'static str)>,
}

/// Reads JSON lines.
#[derive(Default)]
struct Reader {
    times: Option<TimeReader>,
    known: HashMap<String, Known>,
    known_bytes: usize,
    key: String,
    arrays: BTreeSet<String>,
}

impl Reader {
    fn line<S: RecordSink + ?Sized>(
        &mut self,
        text: &str,
        number: u64,
        intake: &mut Intake<'_, S>,
    ) -> Result<(), IngestError> {
        if let Err(error) = serde_json::from_str::<IgnoredAny>(text) {
            let message = error.to_string();
            let message = message.split(" at line ").next().unwrap_or_default();
            let reason = Reason::Unusable(format!("not JSON: {message}"));
            intake.reject_row(At::new(number, error.column().saturating_sub(1)), 1, reason);
            return Ok(());
        }
        let start = text.len() - text.trim_start().len();
        let Json::Object(_) = Json::at(text, start) else {
            let reason = Reason::syntax(Format::Jsonl, "the line is not an object");
            intake.reject_row(At::new(number, start), 1, reason);
            return Ok(());
        };
        let parts = self.parts(text, start, intake);
        if let Some((at, problem)) = parts.unusable {
            let reason = Reason::Unusable(problem.to_owned());
            intake.reject_row(At::new(number, at), 1, reason);
            return Ok(());
        }
        let time_ns = match (parts.time, intake.options.arrived_ns) {
            (Some(time), _) => self.time(time, &parts, number, intake)?,
            (None, Some(arrived_ns)) => Some(arrived_ns),
            (None, None) => {
                self.without_time(&parts, number, start, intake);
                return Ok(());
            }
        };
        let Some(time_ns) = time_ns else {
            intake.end_row_without_records();
            return Ok(());
        };
        for value in &parts.values {
            self.value(value, &parts, time_ns, number, intake);
        }
        intake.end_row(time_ns)
    }

    /// Takes a line apart.
    fn parts<'a, S: RecordSink + ?Sized>(
        &mut self,
        text: &'a str,
        start: usize,
        intake: &mut Intake<'_, S>,
    ) -> Parts<'a> {
        let options = intake.options;
        let mut parts = Parts::default();
        let device_key = match &options.device {
            DeviceSource::Named(name) => {
                parts.device = Cow::Owned(name.clone());
                None
            }
            DeviceSource::Column(key) => Some(key.as_str()),
            _ => Some("device"),
        };
        let (metric_key, value_key) = (
            options.metric_column.as_deref().unwrap_or("metric"),
            options.value_column.as_deref().unwrap_or("value"),
        );
        let top = |wanted: &str| {
            members(text, start).find(|(key, ..)| *key == wanted).map(|(_, json, _)| json)
        };
        let long_name = match (top(metric_key), top(value_key)) {
            (Some(Json::String(name)), Some(value)) => {
                let at = members(text, start).find(|(key, ..)| *key == value_key);
                parts.unusable = match value {
                    Json::Object(_) => Some("the value is an object; a record has one value"),
                    Json::Array(_) => Some("the value is an array; a record has one value"),
                    _ => None,
                }
                .map(|problem| (at.map_or(start, |(.., at)| at), problem));
                parts.is_export = top("device").is_some();
                unquote(name)
            }
            _ => None,
        };
        let time_key = options
            .time_column
            .as_deref()
            .or_else(|| TIME_KEYS.into_iter().find(|key| top(key).is_some()));
        let found = match leaves(text, start) {
            Ok(found) => found,
            Err(at) => {
                let problem = "the keys that lead to the values are too long and too many";
                parts.unusable = Some((at, problem));
                return parts;
            }
        };
        for Leaf { path, json, at } in found {
            if Some(path.as_ref()) == time_key {
                parts.time = Some((json, at));
            } else if Some(path.as_ref()) == device_key {
                parts.device = json.text().unwrap_or_default();
            } else if let Some(tag) = path.strip_prefix("tags.") {
                match json.text() {
                    Some(value) => parts.tags.push((Cow::Owned(tag.to_owned()), value)),
                    None => self.pass_over(&path, json, intake),
                }
            } else if matches!(json, Json::Array(_)) {
                self.pass_over(&path, json, intake);
            } else if let Some(name) = &long_name {
                self.long_member(&mut parts, name, (metric_key, value_key), path, json, at);
            } else if matches!(json, Json::Null) {
                intake.empty(1);
            } else {
                parts.values.push(Value { name: path, json, at });
            }
        }
        if long_name.is_some() && parts.values.is_empty() {
            intake.empty(1);
        }
        let tags = parts.tags.iter().map(|(key, value)| key.len() + value.len());
        if parts.device.len() + tags.sum::<usize>() > MAX_SHARED_BYTES {
            parts.unusable = Some((start, "its device and tags are longer than 16 KiB"));
        }
        parts
    }

    /// A member of a long object that is neither time, device nor tag.
    fn long_member<'a>(
        &self,
        parts: &mut Parts<'a>,
        name: &str,
        (metric_key, value_key): (&str, &str),
        path: Cow<'a, str>,
        json: Json<'a>,
        at: usize,
    ) {
        let text = json.text().unwrap_or_default();
        if path == metric_key {
            return;
        }
        if path == value_key {
            if !matches!(json, Json::Null) {
                parts.values.push(Value { name: Cow::Owned(name.to_owned()), json, at });
            }
        } else if path == "unit" {
            parts.unit = text;
        } else if let ("kind", Ok(kind)) = (path.as_ref(), text.parse()) {
            parts.kind = Some(kind);
        } else {
            parts.tags.push((path, text));
        }
    }

    /// Counts a value that has no place in a record.
    fn pass_over<S: RecordSink + ?Sized>(
        &mut self,
        path: &str,
        json: Json<'_>,
        intake: &mut Intake<'_, S>,
    ) {
        if matches!(json, Json::Null) {
            intake.empty(1);
            return;
        }
        intake.skip_values(1);
        if self.arrays.len() < 8 && !self.arrays.contains(path) {
            self.arrays.insert(path.to_owned());
        }
    }

    /// A line that has no time is rejected, where it has values.
    fn without_time<S: RecordSink + ?Sized>(
        &self,
        parts: &Parts<'_>,
        number: u64,
        start: usize,
        intake: &mut Intake<'_, S>,
    ) {
        if !parts.values.is_empty() {
            let reason = match &intake.options.time_column {
                Some(key) => format!("the object has no {key:?}, which --time names"),
                None => "the object has no key time or timestamp; give --time KEY (nested keys \
                         with dots)"
                    .to_owned(),
            };
            let records = parts.values.len() as u64;
            intake.reject(At::new(number, start), records, Reason::Unusable(reason));
        }
        intake.end_row_without_records();
    }

    /// The time of a line; none where it was rejected.
    fn time<S: RecordSink + ?Sized>(
        &mut self,
        (json, at): (Json<'_>, usize),
        parts: &Parts<'_>,
        number: u64,
        intake: &mut Intake<'_, S>,
    ) -> Result<Option<i64>, IngestError> {
        let text = json.text().unwrap_or_default();
        let options = intake.options;
        if self.times.is_none() && !text.is_empty() {
            let format = match (&options.time_format, json) {
                (Some(format), _) => format.clone(),
                (None, Json::String(_)) if looks_iso(&text) => TimeFormat::Iso,
                (None, Json::Number(_)) if options.start_ns.is_some() => {
                    TimeFormat::Epoch(TimeUnit::Seconds)
                }
                (None, Json::Number(_)) if parts.is_export && options.time_column.is_none() => {
                    TimeFormat::Epoch(TimeUnit::Nanos)
                }
                (None, _) => {
                    let shown = shown(&text);
                    return Err(intake.option_error(format!(
                        "times are such as {shown}; say what they are: --time-format s (or ms, \
                         us, ns, or a pattern), or --start TIME for seconds since TIME"
                    )));
                }
            };
            self.times = Some(TimeReader::new(format, options.start_ns, options.zone.clone()));
        }
        let read = match &mut self.times {
            Some(times) => times.read(&text),
            None => Err(TimeError::Missing),
        };
        match read {
            Ok(time_ns) => Ok(Some(time_ns)),
            Err(error) => {
                intake.reject(At::new(number, at), parts.values.len().max(1) as u64, error);
                Ok(None)
            }
        }
    }

    /// Takes one value.
    fn value<S: RecordSink + ?Sized>(
        &mut self,
        value: &Value<'_>,
        parts: &Parts<'_>,
        time_ns: i64,
        number: u64,
        intake: &mut Intake<'_, S>,
    ) {
        self.key.clear();
        push_part(&mut self.key, value.name.as_ref());
        push_part(&mut self.key, &parts.device);
        for (key, tag) in &parts.tags {
            push_part(&mut self.key, key.as_ref());
            push_part(&mut self.key, tag.as_ref());
        }
        if !self.known.contains_key(&self.key) {
            if self.known.len() >= MAX_METRICS || self.known_bytes > MAX_KEYS_BYTES {
                self.known.clear();
                self.known_bytes = 0;
            }
            let answer = ask(value, parts, intake);
            self.known_bytes += self.key.len();
            self.known.insert(self.key.clone(), answer);
        }
        let at = At::new(number, value.at).named(&value.name);
        match self.known.get(&self.key) {
            Some((_, Err(refusal))) => intake.reject(at, 1, refusal.clone()),
            Some((kind, Ok(metric))) => {
                let text = value.json.text().unwrap_or_default();
                let typed = typed(&value.name, parts, intake).is_some();
                let fits = typed || value.json.kind() == Some(Kind::Text) || *kind != Kind::Text;
                let read = match fits {
                    true => value::read(&text, *kind),
                    false => Err(ValueError::NotA { kind: *kind, text: shown(&text) }),
                };
                match read {
                    Ok(cell) => intake.record(*metric, time_ns, cell.as_ref(), at),
                    Err(error) => intake.reject(at, 1, error.of_column(&value.name)),
                }
            }
            None => {}
        }
    }

    /// What the user should know of how the file was read.
    fn note(&self) -> Vec<String> {
        let mut notes: Vec<String> =
            self.times.as_ref().and_then(TimeReader::note).into_iter().collect();
        if !self.arrays.is_empty() {
            let arrays: Vec<&str> = self.arrays.iter().map(String::as_str).collect();
            notes.push(format!("arrays are passed over: {}", arrays.join(", ")));
        }
        notes
    }
}

/// The kind that the line or the options give a metric.
fn typed<S: RecordSink + ?Sized>(
    name: &str,
    parts: &Parts<'_>,
    intake: &Intake<'_, S>,
) -> Option<Kind> {
    let mut types = intake.options.types.iter();
    parts.kind.or_else(|| types.find(|(typed, _)| typed == name).map(|(_, kind)| *kind))
}

/// Asks the sink for the metric of a value.
fn ask<S: RecordSink + ?Sized>(
    value: &Value<'_>,
    parts: &Parts<'_>,
    intake: &mut Intake<'_, S>,
) -> Known {
    let mut metric = Metric::new(parts.device.as_ref(), value.name.as_ref());
    for (key, tag) in &parts.tags {
        metric = metric.tag(key.as_ref(), tag.as_ref());
    }
    let metric = intake.with_tags(metric);
    let kind = typed(&value.name, parts, intake)
        .or_else(|| intake.known_kind(&metric))
        .or_else(|| value.json.kind())
        .unwrap_or(Kind::Text);
    (kind, intake.metric(&metric, kind, &parts.unit))
}

#[cfg(test)]
mod tests;

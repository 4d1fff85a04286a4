//! From one message to records.

use chronolith_engine::{Kind, Metric, ValueRef};

use super::settings::{Payload, Topic};
use crate::ingest::{
    Broken, DeviceSource, Format, IngestError, IngestOptions, RecordSink, Report, ingest_reader,
};

/// A message of a topic.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message<'a> {
    pub(super) topic: &'a str,
    pub(super) payload: &'a [u8],
}

/// What became of a message.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Read {
    /// Records that the sink took.
    pub(super) records: u64,
    /// Records that were rejected; what cannot be taken apart counts as one.
    pub(super) rejected: u64,
    /// The first of these, and why.
    pub(super) reason: Option<String>,
}

impl Read {
    fn rejected(message: Message<'_>, reason: &str) -> Self {
        let reason = Some(format!("{}: {reason}", message.topic));
        Self { records: 0, rejected: 1, reason }
    }
}

/// Reads a message of this kind, and hands its records to `sink`. `arrived_ns` is the time of
/// records that state none.
///
/// # Errors
/// Where the sink takes nothing more.
pub(super) fn read<S: RecordSink + ?Sized>(
    kind: &Topic,
    message: Message<'_>,
    arrived_ns: i64,
    sink: &mut S,
) -> Result<Read, IngestError> {
    let names = match Names::of(kind, message.topic) {
        Ok(names) => names,
        Err(what) => return Ok(Read::rejected(message, what)),
    };
    let format = match kind.payload {
        Payload::Line => Format::Line,
        Payload::Json => Format::Jsonl,
        Payload::Value => {
            let read = one_value(kind, message, &names, arrived_ns, sink)?;
            return Ok(match read {
                Ok(()) => Read { records: 1, ..Read::default() },
                Err(what) => Read::rejected(message, &what),
            });
        }
    };
    let options = IngestOptions {
        format: Some(format),
        device: names.device.map_or(DeviceSource::Usual, DeviceSource::Named),
        tags: names.tags,
        time_format: kind.time_format.clone(),
        arrived_ns: Some(arrived_ns),
        ..IngestOptions::default()
    };
    let mut report = Report::new(1);
    match ingest_reader(message.payload, message.topic, &options, sink, &mut report, &mut |_| ()) {
        Ok(summary) => Ok(Read {
            records: summary.accepted,
            rejected: summary.rejected,
            reason: report.sample().first().map(ToString::to_string),
        }),
        Err(Broken { error, .. }) => match error {
            // Only what the sink says concerns other messages, too.
            error @ IngestError::Sink(_) => Err(error),
            error => Ok(Read::rejected(message, &error.to_string())),
        },
    }
}

/// What a topic says of its records.
struct Names {
    device: Option<String>,
    metric: String,
    tags: Vec<(String, String)>,
}

impl Names {
    fn of(kind: &Topic, topic: &str) -> Result<Self, &'static str> {
        const SHORT: &str = "the topic has fewer levels than its names are made of";
        let metric = match &kind.metric {
            Some(pattern) => pattern.name(topic).ok_or(SHORT)?,
            None => topic.rsplit('/').next().unwrap_or(topic).to_owned(),
        };
        let device = kind.device.as_ref().map(|pattern| pattern.name(topic).ok_or(SHORT));
        let tags = kind.tags.iter().map(|(name, pattern)| {
            pattern.name(topic).map(|value| (name.clone(), value)).ok_or(SHORT)
        });
        Ok(Self { device: device.transpose()?, metric, tags: tags.collect::<Result<_, _>>()? })
    }
}

/// A payload that is one value.
fn one_value<S: RecordSink + ?Sized>(
    kind: &Topic,
    message: Message<'_>,
    names: &Names,
    arrived_ns: i64,
    sink: &mut S,
) -> Result<Result<(), String>, IngestError> {
    let metric = Metric::new(names.device.as_deref().unwrap_or_default(), &names.metric);
    let metric = names.tags.iter().fold(metric, |metric, (name, value)| metric.tag(name, value));
    // A metric that is there keeps its kind: a float that happens to be whole is one.
    let wanted = kind.kind.or_else(|| sink.known_kind(&metric));
    let value = match value_of(message.payload, wanted) {
        Ok(value) => value,
        Err(what) => return Ok(Err(what)),
    };
    let number = match sink.metric(&metric, value.kind(), &kind.unit) {
        Ok(number) => number,
        Err(refusal) => return Ok(Err(refusal.to_string())),
    };
    if let Err(refusal) = sink.record(number, arrived_ns, value) {
        return Ok(Err(refusal.to_string()));
    }
    sink.end_row().map(Ok)
}

/// The value of a payload, of a kind or of what it looks like.
fn value_of(payload: &[u8], wanted: Option<Kind>) -> Result<ValueRef<'_>, String> {
    if wanted == Some(Kind::Bytes) {
        return Ok(ValueRef::Bytes(payload));
    }
    let text = std::str::from_utf8(payload).map_err(|error| {
        format!("the payload is not UTF-8 at byte {}; say kind = \"bytes\"", error.valid_up_to())
    })?;
    let trimmed = text.trim();
    let bool = || match trimmed {
        "true" | "TRUE" | "True" | "on" | "ON" | "1" => Some(true),
        "false" | "FALSE" | "False" | "off" | "OFF" | "0" => Some(false),
        _ => None,
    };
    let float = || trimmed.parse::<f64>().ok();
    let value = match wanted {
        Some(Kind::F64) => float().map(ValueRef::F64),
        Some(Kind::I64) => trimmed.parse().ok().map(ValueRef::I64),
        Some(Kind::U64) => trimmed.parse().ok().map(ValueRef::U64),
        Some(Kind::Bool) => bool().map(ValueRef::Bool),
        Some(Kind::Text) => Some(ValueRef::Text(text)),
        _ => Some(match (trimmed, float()) {
            ("true", _) => ValueRef::Bool(true),
            ("false", _) => ValueRef::Bool(false),
            (_, Some(number)) => ValueRef::F64(number),
            _ => ValueRef::Text(text),
        }),
    };
    let kind = wanted.map(|kind| kind.to_string()).unwrap_or_default();
    value.ok_or_else(|| {
        let shown: String = trimmed.chars().take(40).collect();
        format!("{shown:?} is no value of kind {kind}")
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;
    use crate::ingest::{Refusal, SinkMetric};
    use crate::mqtt::settings::TopicSettings;

    /// Writes down what it is handed.
    #[derive(Default)]
    struct Written {
        metrics: Vec<(Metric, Kind, String)>,
        records: Vec<String>,
    }

    impl RecordSink for Written {
        fn metric(
            &mut self,
            metric: &Metric,
            kind: Kind,
            unit: &str,
        ) -> Result<SinkMetric, Refusal> {
            self.metrics.push((metric.clone(), kind, unit.to_owned()));
            Ok(SinkMetric(self.metrics.len() as u32 - 1))
        }

        fn known_kind(&mut self, metric: &Metric) -> Option<Kind> {
            (metric.name() == "known").then_some(Kind::F64)
        }

        fn record(
            &mut self,
            metric: SinkMetric,
            time_ns: i64,
            value: ValueRef<'_>,
        ) -> Result<(), Refusal> {
            let (metric, _, unit) = &self.metrics[metric.0 as usize];
            self.records.push(format!("{metric} {unit} {time_ns} {value:?}"));
            Ok(())
        }

        fn end_row(&mut self) -> Result<(), IngestError> {
            Ok(())
        }
    }

    fn topic(text: &str) -> Topic {
        let settings: TopicSettings = toml::from_str(text).unwrap();
        let settings = crate::mqtt::MqttSettings {
            broker: "mqtt://b".into(),
            client_id: "c".into(),
            user: None,
            password_file: None,
            authorities: None,
            payload_bytes: 1,
            topics: vec![settings],
        };
        settings.topics().unwrap().remove(0)
    }

    fn read_one(kind: &str, at: &str, payload: &[u8]) -> (Vec<String>, Read) {
        let mut written = Written::default();
        let message = Message { topic: at, payload };
        let read = read(&topic(kind), message, 7, &mut written).unwrap();
        (written.records, read)
    }

    #[test]
    fn lines_and_objects_are_read_as_from_files() {
        let line = "filter = '#'\npayload = 'line'\ndevice = '{2}'\ntags = { site = '{1}' }\n";
        let (records, read) =
            read_one(line, "berlin/car7", b"engine rpm=900i 12\nengine oil=1.5\nengine\n");
        assert_eq!(records.len(), 2);
        assert!(records[0].contains("car7") && records[0].contains("berlin"), "{records:?}");
        assert!(
            records[0].ends_with("12 I64(900)") && records[1].ends_with("7 F64(1.5)"),
            "{records:?}"
        );
        assert_eq!((read.records, read.rejected), (2, 1));
        assert!(read.reason.unwrap().starts_with("berlin/car7:3:"));

        let json = "filter = '#'\npayload = 'json'\ndevice = '{1}'\n";
        let (records, read) =
            read_one(json, "car7", br#"{"speed": 61.5, "time": "2026-01-01T00:00:00Z"}"#);
        assert!(
            records[0].contains("speed") && records[0].ends_with("1767225600000000000 F64(61.5)"),
            "{records:?}"
        );
        assert_eq!(read.records, 1);
        let (records, _) = read_one(json, "car7", br#"{"speed": 61.5}"#);
        assert!(records[0].ends_with(" 7 F64(61.5)"), "{records:?}");
        let (records, read) = read_one(json, "car7", b"{\xff");
        assert_eq!((records.len(), read.records, read.rejected), (0, 0, 1));
    }

    #[test]
    fn single_values_are_named_after_their_topic() {
        let value = "filter = '#'\npayload = 'value'\ndevice = '{2}'\nunit = 'km/h'\n";
        for (name, payload, expected) in [
            ("speed", &b"61.5"[..], "F64(61.5)"),
            ("speed", b" 61 \n", "F64(61.0)"),
            ("locked", b"true", "Bool(true)"),
            ("door", b"open", "Text(\"open\")"),
            ("known", b"1", "F64(1.0)"),
        ] {
            let (records, read) = read_one(value, &format!("fleet/car7/{name}"), payload);
            assert!(records[0].contains(name) && records[0].contains("car7"), "{records:?}");
            assert!(records[0].ends_with(&format!("km/h 7 {expected}")), "{records:?}");
            assert_eq!(read, Read { records: 1, ..Read::default() });
        }
        let counted = format!("{value}kind = 'i64'\nmetric = 'n-{{3}}'\n");
        let (records, _) = read_one(&counted, "fleet/car7/doors", b"-3");
        assert!(records[0].contains("n-doors") && records[0].ends_with("I64(-3)"), "{records:?}");
        for (kind, at, payload, said) in [
            (counted.as_str(), "fleet/car7/doors", &b"3.5"[..], "i64"),
            (value, "fleet", b"1", "levels"),
            (value, "fleet/car7/raw", b"\xff\xfe", "bytes"),
        ] {
            let (records, read) = read_one(kind, at, payload);
            assert_eq!((records.len(), read.rejected), (0, 1));
            let reason = read.reason.unwrap();
            assert!(reason.starts_with(at) && reason.contains(said), "{reason}");
        }
    }
}

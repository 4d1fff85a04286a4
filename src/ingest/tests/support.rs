//! A sink that keeps everything, and ways to run an ingest.

use std::collections::HashMap;
use std::io::Read;
use std::path::PathBuf;

use chronolith_engine::{Kind, Metric, Value, ValueRef};

use crate::ingest::{
    IngestError, IngestOptions, RecordSink, Refusal, Report, SinkMetric, Summary, ingest_reader,
};

/// Keeps metrics and records in order.
#[derive(Debug, Default)]
pub(in crate::ingest) struct Kept {
    pub(in crate::ingest) metrics: Vec<(Metric, Kind, String)>,
    by_metric: HashMap<Metric, u32>,
    pub(in crate::ingest) records: Vec<(u32, i64, Value)>,
    /// The number of records after each row.
    pub(in crate::ingest) rows: Vec<usize>,
    /// Refuses records of this time.
    pub(in crate::ingest) refused_time: Option<i64>,
}

impl RecordSink for Kept {
    fn metric(&mut self, metric: &Metric, kind: Kind, unit: &str) -> Result<SinkMetric, Refusal> {
        if let Some(number) = self.by_metric.get(metric) {
            let has = self.metrics[*number as usize].1;
            return if has == kind {
                Ok(SinkMetric(*number))
            } else {
                Err(Refusal::kind(metric, has, kind))
            };
        }
        let number = self.metrics.len() as u32;
        self.by_metric.insert(metric.clone(), number);
        self.metrics.push((metric.clone(), kind, unit.to_owned()));
        Ok(SinkMetric(number))
    }

    fn known_kind(&mut self, metric: &Metric) -> Option<Kind> {
        self.by_metric.get(metric).map(|number| self.metrics[*number as usize].1)
    }

    fn record(
        &mut self,
        metric: SinkMetric,
        time_ns: i64,
        value: ValueRef<'_>,
    ) -> Result<(), Refusal> {
        assert_eq!(self.metrics[metric.0 as usize].1, value.kind(), "a value of another kind");
        if self.refused_time == Some(time_ns) {
            return Err(Refusal::Other("this time is refused".to_owned()));
        }
        self.records.push((metric.0, time_ns, value.to_value()));
        Ok(())
    }

    fn end_row(&mut self) -> Result<(), IngestError> {
        self.rows.push(self.records.len());
        Ok(())
    }
}

impl Kept {
    /// The records as `device/name{tags} time value`.
    pub(in crate::ingest) fn lines(&self) -> Vec<String> {
        let show = |value: &Value| match value {
            Value::F64(value) => format!("{value:?}"),
            Value::I64(value) => format!("{value}i"),
            Value::U64(value) => format!("{value}u"),
            Value::Bool(value) => value.to_string(),
            Value::Text(value) => format!("{value:?}"),
            Value::Bytes(value) => format!("{value:02x?}"),
            Value::Blob(_) => "blob".to_owned(),
        };
        let line = |(metric, time, value): &(u32, i64, Value)| {
            format!("{} {time} {}", self.metrics[*metric as usize].0, show(value))
        };
        self.records.iter().map(line).collect()
    }

    /// Times and values of the metric of a name.
    pub(in crate::ingest) fn of(&self, name: &str) -> Vec<(i64, f64)> {
        let named = |number: u32| self.metrics[number as usize].0.name() == name;
        let records = self.records.iter().filter(|(metric, ..)| named(*metric));
        records.map(|(_, time, value)| (*time, float(value))).collect()
    }
}

pub(in crate::ingest) fn float(value: &Value) -> f64 {
    match value {
        Value::F64(value) => *value,
        other => panic!("{other:?} is no float"),
    }
}

/// Everything that an ingest gave.
pub(in crate::ingest) struct Outcome {
    pub(in crate::ingest) sink: Kept,
    pub(in crate::ingest) summary: Summary,
    pub(in crate::ingest) report: Report,
}

impl Outcome {
    /// Fails unless every row and every cell is accounted for.
    pub(in crate::ingest) fn check(&self) {
        let s = &self.summary;
        assert_eq!(s.rows, s.rows_accepted + s.rows_rejected + s.rows_skipped, "{s:?}");
        assert_eq!(s.accepted, self.sink.records.len() as u64, "{s:?}");
        assert_eq!(s.rejected, self.report.rejected_records());
        assert_eq!(s.rows_rejected, self.report.rejected_rows());
        assert_eq!(self.sink.rows.last().copied().unwrap_or(0), self.sink.records.len());
        let times = || self.sink.records.iter().map(|(_, time, _)| *time);
        assert_eq!((s.first_time_ns, s.last_time_ns), (times().min(), times().max()));
    }

    /// The rejections as people see them.
    pub(in crate::ingest) fn rejections(&self) -> Vec<String> {
        self.report.sample().iter().map(ToString::to_string).collect()
    }
}

/// Reads bytes into a sink that may hold something already.
pub(in crate::ingest) fn read_into(
    mut sink: Kept,
    name: &str,
    bytes: impl Read,
    options: &IngestOptions,
) -> Result<Outcome, IngestError> {
    let mut report = Report::new(100);
    let read = ingest_reader(bytes, name, options, &mut sink, &mut report, &mut |_| {});
    let summary = read.map_err(|broken| broken.error)?;
    Ok(Outcome { sink, summary, report })
}

/// Reads text.
pub(in crate::ingest) fn read(name: &str, text: &str, options: &IngestOptions) -> Outcome {
    let outcome = read_into(Kept::default(), name, text.as_bytes(), options).unwrap();
    outcome.check();
    outcome
}

/// The error of reading text.
pub(in crate::ingest) fn error(name: &str, text: &str, options: &IngestOptions) -> String {
    match read_into(Kept::default(), name, text.as_bytes(), options) {
        Ok(outcome) => panic!("no error but {:?}", outcome.summary),
        Err(error) => error.to_string(),
    }
}

/// The options of a command line.
pub(in crate::ingest) fn options(args: &[&str]) -> IngestOptions {
    use clap::Parser;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        input: crate::ingest::IngestArgs,
    }
    let args = ["ingest"].iter().chain(args).chain(&["file"]);
    Command::try_parse_from(args).unwrap().input.options().unwrap()
}

/// The folder of real recordings: `CHRONOLITH_TEST_DATA`, or `../shared/data` beside the checkout.
pub(in crate::ingest) fn data(set: &str) -> Option<PathBuf> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let folder = std::env::var_os("CHRONOLITH_TEST_DATA").map_or_else(beside, PathBuf::from);
    let path = folder.join(set);
    if !path.exists() {
        eprintln!("skipped: no recordings in {}", path.display());
        return None;
    }
    Some(path)
}

/// The files of a folder whose names contain a text, sorted.
pub(in crate::ingest) fn files(set: &str, part: &str) -> Vec<PathBuf> {
    let Some(folder) = data(set) else { return Vec::new() };
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.to_string_lossy().contains(part)).collect();
    files.sort();
    files
}

/// The text of a file, unpacked.
pub(in crate::ingest) fn text_of(path: &std::path::Path) -> String {
    let bytes = std::fs::read(path).unwrap();
    let mut text = String::new();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
    } else {
        text = String::from_utf8(bytes).unwrap();
    }
    text
}

/// Reads a real file.
pub(in crate::ingest) fn read_file(path: &std::path::Path, args: &[&str]) -> Outcome {
    let file = std::fs::File::open(path).unwrap();
    let name = path.to_string_lossy();
    let outcome = read_into(Kept::default(), &name, file, &options(args)).unwrap();
    outcome.check();
    eprintln!(
        "{}: {} rows, {} accepted, {} rejected, {} empty, {} skipped rows, {} metrics {:?}",
        path.file_name().unwrap().to_string_lossy(),
        outcome.summary.rows,
        outcome.summary.accepted,
        outcome.summary.rejected,
        outcome.summary.empty,
        outcome.summary.rows_skipped,
        outcome.sink.metrics.len(),
        outcome.summary.notes,
    );
    outcome
}

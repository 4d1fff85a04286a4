//! From files and streams to records.
//!
//! [`ingest_file`] and [`ingest_reader`] read one input of a known or detected [`Format`] and hand
//! its records, in input order, to a [`RecordSink`]. What cannot be read is put into a [`Report`]
//! with file, line, column and reason, and never stops the rest; the [`Summary`] of the file
//! accounts for every row and every cell.
//!
//! An input is streamed: what is held of it is bounded by the longest row that is allowed
//! ([`IngestOptions::max_row_bytes`]). Gzip is unpacked on the way.

mod args;
#[cfg(feature = "sql")]
mod arrow;
mod batch_sink;
mod can;
mod csv;
mod detect;
mod error;
mod idle;
mod input;
mod intake;
mod jsonl;
mod key;
mod line;
mod lines;
mod nmea;
mod options;
mod report;
mod sink;
mod time;
mod value;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

pub use args::{ArgsError, IngestArgs};
pub use batch_sink::BatchSink;
pub(crate) use batch_sink::is_of_metric;
pub use csv::Numbers;
pub(crate) use error::nearest;
pub use error::{Broken, IngestError, Reason};
pub use idle::IdleStdin;
pub use line::LineReader;
pub use options::{DbcFile, DeviceSource, Format, IngestOptions};
pub use report::{At, Problem, Rejection, Report, Summary};
pub use sink::{NullSink, RecordSink, Refusal, SinkMetric};
pub use time::{TimeError, TimeFormat, TimeUnit};
pub use value::ValueError;

use input::Source;
use intake::Intake;

/// Reads one file, or standard input where the path is `-`.
///
/// `progress` is told how many bytes of the file have been read, as stored, about once for each
/// MiB.
pub fn ingest_file<S: RecordSink + ?Sized>(
    path: &Path,
    options: &IngestOptions,
    sink: &mut S,
    report: &mut Report,
    progress: &mut dyn FnMut(u64),
) -> Result<Summary, Broken> {
    if path.as_os_str() == "-" {
        return ingest_reader(io::stdin().lock(), "-", options, sink, report, progress);
    }
    let name = path.display().to_string();
    #[cfg_attr(not(feature = "sql"), expect(unused_mut, reason = "only Parquet is looked into"))]
    let mut file =
        File::open(path).map_err(|source| IngestError::Open { file: name.clone(), source })?;
    if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        let source =
            io::Error::new(io::ErrorKind::IsADirectory, "it is a directory; name its files");
        return Err(IngestError::Open { file: name, source }.into());
    }
    #[cfg(feature = "sql")]
    if matches!(options.format, None | Some(Format::Parquet)) && arrow::is_parquet(&mut file) {
        return ingest_parquet(file, &name, options, sink, report, progress);
    }
    ingest_reader(file, &name, options, sink, report, progress)
}

/// Reads a Parquet file, which needs more than a stream of bytes.
#[cfg(feature = "sql")]
fn ingest_parquet<S: RecordSink + ?Sized>(
    file: File,
    name: &str,
    options: &IngestOptions,
    sink: &mut S,
    report: &mut Report,
    progress: &mut dyn FnMut(u64),
) -> Result<Summary, Broken> {
    report.begin_file(name);
    let bytes = file.metadata().map_or(0, |metadata| metadata.len());
    let mut intake = Intake::new(name, Format::Parquet, options, sink, report);
    let outcome = arrow::run_parquet(file, &mut intake, progress);
    let summary = Summary { bytes, detected: options.format.is_none(), ..intake.finish() };
    ended(outcome.and(report.end_file()), summary)
}

/// What an input came to, whether it was read to its end or not.
fn ended(outcome: Result<(), IngestError>, summary: Summary) -> Result<Summary, Broken> {
    let Err(mut error) = outcome else { return Ok(summary) };
    if let IngestError::Read { rows, .. } = &mut error {
        *rows = summary.rows;
    }
    Err(Broken { error, summary: Some(Box::new(summary)) })
}

/// Reads one input; `name` is what messages call it, and its ending helps to detect the format.
pub fn ingest_reader<S: RecordSink + ?Sized>(
    input: impl Read,
    name: &str,
    options: &IngestOptions,
    sink: &mut S,
    report: &mut Report,
    progress: &mut dyn FnMut(u64),
) -> Result<Summary, Broken> {
    report.begin_file(name);
    let stop = options.stop.as_deref();
    let mut source = Source::open(input, name, options.max_row_bytes, stop, progress)?;
    if !source.window().contains(&b'\n') {
        source.fill_lines(detect::SAMPLE_BYTES)?;
    }
    let is_text = options.format != Some(Format::Arrow) && !detect::is_arrow(source.window());
    let returns_end_lines = is_text && source.settle_line_ends();
    let format = match options.format {
        Some(format) => detect::refine(format, source.window()),
        None => detect::format(name, source.window(), options.skip_lines)?,
    };
    let mut intake = Intake::new(name, format, options, sink, report);
    if returns_end_lines {
        intake.note("lines end in carriage returns alone, as old Macs wrote them".to_owned());
    }
    let outcome = match format {
        Format::Csv => csv::run(&mut source, &mut intake),
        Format::Line => line::run(&mut source, &mut intake),
        Format::Jsonl => jsonl::run(&mut source, &mut intake),
        Format::Candump | Format::Asc | Format::Gvret => can::run(&mut source, &mut intake),
        Format::Nmea => nmea::run(&mut source, &mut intake),
        #[cfg(feature = "sql")]
        Format::Arrow => arrow::run_ipc(&mut source, &mut intake),
        #[cfg(not(feature = "sql"))]
        Format::Arrow => Err(intake.option_error("this build, without SQL, reads no Arrow files")),
        Format::Parquet => Err(intake.option_error(detect::NO_PARQUET)),
    };
    let mut summary = intake.finish();
    summary.bytes = source.stored_bytes();
    summary.detected = options.format.is_none();
    ended(outcome.and(report.end_file()), summary)
}

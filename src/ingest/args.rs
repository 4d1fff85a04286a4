//! The command line of `chronolith ingest`, as far as it says how input is read.

use std::path::PathBuf;

use chronolith_engine::Kind;
use clap::Args;
use jiff::tz::TimeZone;

use super::error::nearest;
use super::time::parse_instant;
use super::{DbcFile, DeviceSource, Format, IngestOptions, Numbers, TimeFormat};

/// What `chronolith ingest` takes to say how its input is read.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Input")]
pub struct IngestArgs {
    /// Files to read, in this order; `-` is standard input. Gzip is unpacked
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,

    /// csv, line, jsonl, candump, asc, gvret, nmea, parquet or arrow [default: found out from name
    /// and contents]
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<Format>,

    /// The device of all records
    #[arg(help_heading = "Devices, metrics and tags")]
    #[arg(long, value_name = "NAME", conflicts_with_all = ["device_column", "device_tag"])]
    pub device: Option<String>,

    /// The CSV column, or the key of JSON objects, that names the device
    #[arg(help_heading = "Devices, metrics and tags")]
    #[arg(long, value_name = "COLUMN", conflicts_with = "device_tag")]
    pub device_column: Option<String>,

    /// The tag of line protocol that names the device [default: device, then vehicle, host]
    #[arg(help_heading = "Devices, metrics and tags")]
    #[arg(long, value_name = "TAG")]
    pub device_tag: Option<String>,

    /// The column or key that holds the time; DATE+TIME where two CSV columns do
    #[arg(long, value_name = "COLUMN", help_heading = "Times")]
    pub time: Option<String>,

    /// How times are written: ns, us, ms, s, rfc3339, auto (by size), or a pattern such as
    /// "%d-%b-%Y %H:%M:%S%.f"
    #[arg(long, value_name = "FORMAT", help_heading = "Times")]
    pub time_format: Option<String>,

    /// The kind of a column: f64, i64, u64, bool, text or bytes (hexadecimal)
    #[arg(long = "type", value_name = "COLUMN=KIND", help_heading = "Devices, metrics and tags")]
    pub types: Vec<String>,

    /// The zone of times without an offset, such as Europe/Paris [default: UTC]
    #[arg(long, value_name = "ZONE", help_heading = "Times")]
    pub zone: Option<String>,

    /// The moment that relative times count from, such as 2024-05-01T08:00:00Z; the first day of
    /// times of day without a date
    #[arg(long, value_name = "TIME", help_heading = "Times")]
    pub start: Option<String>,

    /// A DBC file that describes CAN messages; BUS=FILE for one bus
    #[arg(long, value_name = "[BUS=]FILE", help_heading = "CAN logs")]
    pub dbc: Vec<String>,

    /// A tag for every metric
    #[arg(long = "tag", value_name = "KEY=VALUE", help_heading = "Devices, metrics and tags")]
    pub tags: Vec<String>,

    /// A CSV column that is a tag of the row's metrics
    #[arg(long = "tag-column", value_name = "COLUMN", help_heading = "CSV")]
    pub tag_columns: Vec<String>,

    /// The CSV column that names the metric, where each row is one record
    #[arg(long, value_name = "COLUMN", requires = "value_column", help_heading = "CSV")]
    pub metric_column: Option<String>,

    /// The CSV column that holds the value, where each row is one record
    #[arg(long, value_name = "COLUMN", requires = "metric_column", help_heading = "CSV")]
    pub value_column: Option<String>,

    /// The names of the columns of a CSV file that has no header
    #[arg(long, value_name = "NAME,NAME,...", value_delimiter = ',', help_heading = "CSV")]
    pub columns: Vec<String>,

    /// The CSV delimiter: a character, or tab [default: found out from the header]
    #[arg(long, value_name = "CHARACTER", help_heading = "CSV")]
    pub delimiter: Option<String>,

    /// The decimal sign of CSV: point (1234.5) or comma (1.234,5) [default: found out from the
    /// first rows]
    #[arg(long, value_name = "SIGN", help_heading = "CSV")]
    pub decimal: Option<String>,

    /// Lines to pass over before the header
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "CSV")]
    pub skip_lines: u64,

    /// Fill short CAN payloads with zeros to the length that the DBC file says
    #[arg(long, help_heading = "CAN logs")]
    pub pad_payload: bool,

    /// With --dbc, keep frames that it does not describe as bytes
    #[arg(long, help_heading = "CAN logs")]
    pub keep_unknown: bool,

    /// Write one JSON object for each rejected row to this file
    #[arg(long, value_name = "FILE")]
    pub errors: Option<PathBuf>,
}

/// An argument that cannot be used; the message says what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{argument}: {problem}")]
pub struct ArgsError {
    /// The argument.
    pub argument: &'static str,
    /// What is wrong and what would be right.
    pub problem: String,
}

fn error(argument: &'static str, problem: impl Into<String>) -> ArgsError {
    ArgsError { argument, problem: problem.into() }
}

impl IngestArgs {
    /// Checks the arguments and turns them into options.
    pub fn options(&self) -> Result<IngestOptions, ArgsError> {
        let device = match (&self.device, &self.device_column, &self.device_tag) {
            (Some(name), _, _) => DeviceSource::Named(name.clone()),
            (_, Some(column), _) => DeviceSource::Column(column.clone()),
            (_, _, Some(tag)) => DeviceSource::Tag(tag.clone()),
            _ => DeviceSource::Usual,
        };
        let time_format = self.time_format.as_deref().map(TimeFormat::parse).transpose();
        let zone = self.zone.as_deref().map(zone).transpose()?;
        let start = |text: &str| parse_instant(text, zone.as_ref());
        let start_ns = self.start.as_deref().map(start).transpose();
        let start_ns = start_ns.map_err(|wrong| {
            error("--start", format!("{wrong}; give a time such as 2024-05-01T08:00:00Z"))
        })?;
        let pairs = |list: &[String], argument, example| {
            list.iter().map(|text| pair(text, argument, example)).collect::<Result<Vec<_>, _>>()
        };
        Ok(IngestOptions {
            format: self.format,
            device,
            time_column: self.time.clone(),
            time_format: time_format.map_err(|problem| error("--time-format", problem))?,
            types: self.types.iter().map(|text| column_type(text)).collect::<Result<_, _>>()?,
            zone,
            start_ns,
            dbc: self.dbc.iter().map(|text| dbc_file(text)).collect(),
            tags: pairs(&self.tags, "--tag", "site=depot")?,
            tag_columns: self.tag_columns.clone(),
            metric_column: self.metric_column.clone(),
            value_column: self.value_column.clone(),
            columns: self.columns.clone(),
            delimiter: self.delimiter.as_deref().map(delimiter).transpose()?,
            decimal: self.decimal.as_deref().map(decimal).transpose()?,
            skip_lines: self.skip_lines,
            pad_payload: self.pad_payload,
            keep_unknown: self.keep_unknown,
            ..IngestOptions::default()
        })
    }
}

/// `KEY=VALUE`; the value may hold further `=`.
fn pair(text: &str, argument: &'static str, example: &str) -> Result<(String, String), ArgsError> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(error(argument, format!("{text:?} has no =; write it like {example}"))),
    }
}

/// `COLUMN=KIND`; the column may hold `=`.
fn column_type(text: &str) -> Result<(String, Kind), ArgsError> {
    let Some((column, kind)) = text.rsplit_once('=').filter(|(column, _)| !column.is_empty())
    else {
        let problem = format!("{text:?} has no =; write it like rpm=i64");
        return Err(error("--type", problem));
    };
    let kind = kind.parse::<Kind>().map_err(|wrong| error("--type", wrong.to_string()))?;
    Ok((column.to_owned(), kind))
}

fn zone(name: &str) -> Result<TimeZone, ArgsError> {
    TimeZone::get(name).map_err(|_| {
        let known: Vec<String> = jiff::tz::db().available().map(|zone| zone.to_string()).collect();
        let hint = match nearest(name, known.iter().map(String::as_str)) {
            Some(near) => format!("; did you mean {near}?"),
            None => "; give a name such as Europe/Paris or America/Chicago".to_owned(),
        };
        error("--zone", format!("{name:?} is not a time zone{hint}"))
    })
}

/// `FILE`, or `BUS=FILE` where no file has the whole name.
fn dbc_file(text: &str) -> DbcFile {
    match text.split_once('=') {
        Some((bus, path)) if !bus.contains('/') && !PathBuf::from(text).exists() => {
            DbcFile { bus: Some(bus.to_owned()), path: path.into() }
        }
        _ => DbcFile { bus: None, path: text.into() },
    }
}

fn delimiter(text: &str) -> Result<u8, ArgsError> {
    match text.as_bytes() {
        b"tab" | b"\\t" => Ok(b'\t'),
        [byte] if !byte.is_ascii_alphanumeric() && !matches!(byte, b'"' | b'\n' | b'\r') => {
            Ok(*byte)
        }
        _ => Err(error(
            "--delimiter",
            format!("{text:?} is not one character; give , or ; or tab or |"),
        )),
    }
}

fn decimal(text: &str) -> Result<Numbers, ArgsError> {
    match text {
        "point" | "." => Ok(Numbers::Point),
        "comma" | "," => Ok(Numbers::Comma),
        _ => {
            Err(error("--decimal", format!("{text:?} is not a decimal sign; give point or comma")))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        input: IngestArgs,
    }

    fn options(args: &[&str]) -> Result<IngestOptions, String> {
        let args = ["ingest"].iter().chain(args).chain(&["file.csv"]);
        let command = Command::try_parse_from(args).map_err(|error| error.to_string())?;
        command.input.options().map_err(|error| error.to_string())
    }

    #[test]
    fn the_contract_of_the_command_line_is_understood() {
        let read = options(&[
            "--format",
            "csv",
            "--device",
            "car-17",
            "--time",
            "DPt Time",
            "--time-format",
            "%m/%d/%Y %H:%M:%S",
            "--type",
            "a=b=i64",
            "--zone",
            "America/Los_Angeles",
            "--start",
            "2024-05-01T08:00:00Z",
            "--dbc",
            "can0=toyota.dbc",
            "--tag",
            "site=a=b",
            "--delimiter",
            "tab",
            "--skip-lines",
            "1",
        ])
        .unwrap();
        assert_eq!(read.format, Some(Format::Csv));
        assert_eq!(read.device, DeviceSource::Named("car-17".to_owned()));
        assert_eq!(read.types, [("a=b".to_owned(), Kind::I64)]);
        assert_eq!(read.tags, [("site".to_owned(), "a=b".to_owned())]);
        assert_eq!(read.dbc[0].bus.as_deref(), Some("can0"));
        assert_eq!(read.start_ns, Some(1_714_550_400_000_000_000));
        assert_eq!((read.delimiter, read.skip_lines), (Some(b'\t'), 1));
    }

    #[test]
    fn wrong_arguments_say_what_would_be_right() {
        for (args, hint) in [
            (["--zone", "Europe/Pari"], "did you mean Europe/Paris?"),
            (["--time-format", "sec"], "give s, ms, us, ns"),
            (["--type", "rpm"], "rpm=i64"),
            (["--type", "rpm=int"], "kinds are f64, i64, u64"),
            (["--start", "yesterday"], "2024-05-01T08:00:00Z"),
            (["--tag", "site"], "site=depot"),
            (["--delimiter", "xx"], "tab"),
            (["--decimal", "dot"], "point or comma"),
            (["--format", "cvs"], "formats are csv, line"),
            (["--metric-column", "metric"], "--value-column"),
        ] {
            let error = options(&args).unwrap_err();
            assert!(error.contains(hint), "{args:?}: {error}");
        }
    }
}

//! How an input is to be read.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{SystemTime, UNIX_EPOCH};

use chronolith_engine::Kind;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::csv::Numbers;
use super::time::TimeFormat;

/// A format of input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Format {
    /// Comma-, semicolon- or tab-separated values with a header.
    Csv,
    /// Influx line protocol.
    Line,
    /// One JSON object a line.
    Jsonl,
    /// CAN frames as candump writes them.
    Candump,
    /// CAN frames in Vector's ASC text.
    Asc,
    /// CAN frames in the CSV of GVRET and SavvyCAN.
    Gvret,
    /// NMEA 0183 sentences.
    Nmea,
    /// Parquet files.
    Parquet,
    /// Arrow IPC: files (Feather) and streams.
    Arrow,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 9] = [
        Self::Csv,
        Self::Line,
        Self::Jsonl,
        Self::Candump,
        Self::Asc,
        Self::Gvret,
        Self::Nmea,
        Self::Parquet,
        Self::Arrow,
    ];

    /// The name that `--format` takes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Line => "line",
            Self::Jsonl => "jsonl",
            Self::Candump => "candump",
            Self::Asc => "asc",
            Self::Gvret => "gvret",
            Self::Nmea => "nmea",
            Self::Parquet => "parquet",
            Self::Arrow => "arrow",
        }
    }

    /// Whether the input is frames of a CAN bus, which a DBC file decodes.
    #[must_use]
    pub const fn is_can(self) -> bool {
        matches!(self, Self::Candump | Self::Asc | Self::Gvret)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Csv => "CSV",
            Self::Line => "line protocol",
            Self::Jsonl => "JSON lines",
            Self::Candump => "candump",
            Self::Asc => "ASC",
            Self::Gvret => "GVRET CSV",
            Self::Nmea => "NMEA 0183",
            Self::Parquet => "Parquet",
            Self::Arrow => "Arrow IPC",
        })
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|format| format.name() == text).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|format| format.name()).collect();
            format!("{text:?} is not a format; formats are {}", names.join(", "))
        })
    }
}

/// Where the device of a record comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum DeviceSource {
    /// The tag, column or key `device` (in line protocol also `vehicle` and `host`); else none.
    #[default]
    Usual,
    /// One device for everything.
    Named(String),
    /// A column of a CSV file, or a key of JSON objects.
    Column(String),
    /// A tag of line protocol.
    Tag(String),
}

/// A DBC file, for all buses or for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DbcFile {
    /// The bus that it describes; all buses where absent.
    pub bus: Option<String>,
    /// The file.
    pub path: PathBuf,
}

/// How an input is to be read. [`IngestOptions::default`] reads what describes itself.
#[derive(Debug, Clone)]
pub struct IngestOptions {
    /// The format; found out from name and contents where absent.
    pub format: Option<Format>,
    /// Where devices come from.
    pub device: DeviceSource,
    /// The column or key that holds the time.
    pub time_column: Option<String>,
    /// How times are written.
    pub time_format: Option<TimeFormat>,
    /// Kinds of columns, by name.
    pub types: Vec<(String, Kind)>,
    /// The zone of times without an offset; UTC where absent.
    pub zone: Option<TimeZone>,
    /// The time of zero, in nanoseconds since the epoch, for relative times.
    pub start_ns: Option<i64>,
    /// Descriptions of CAN messages.
    pub dbc: Vec<DbcFile>,
    /// Tags of every metric.
    pub tags: Vec<(String, String)>,
    /// CSV columns that are tags.
    pub tag_columns: Vec<String>,
    /// The CSV column that names the metric (long form).
    pub metric_column: Option<String>,
    /// The CSV column that holds the value (long form).
    pub value_column: Option<String>,
    /// The names of the columns of a CSV file that has no header.
    pub columns: Vec<String>,
    /// The delimiter of CSV; found out from the header where absent.
    pub delimiter: Option<u8>,
    /// The decimal sign of CSV; found out from the first rows where absent.
    pub decimal: Option<Numbers>,
    /// Lines before the header that are passed over.
    pub skip_lines: u64,
    /// Fill short CAN payloads with zeros to the length that the DBC file says.
    pub pad_payload: bool,
    /// Keep CAN frames that no DBC file describes, as bytes.
    pub keep_unknown: bool,
    /// The time of line-protocol lines that state none, in nanoseconds since the epoch.
    pub clock: fn() -> i64,
    /// When a message arrived, in nanoseconds since the epoch: the time of its lines of line protocol
    /// and of its JSON objects that state none. Without it such an object is rejected.
    pub arrived_ns: Option<i64>,
    /// The longest row in bytes.
    pub max_row_bytes: usize,
    /// The longest batch of columns, as it is stored and unpacked: bytes. It is held whole.
    pub max_batch_bytes: usize,
    /// Once it is set, reading ends between two rows with [`IngestError::Stopped`].
    ///
    /// [`IngestError::Stopped`]: super::IngestError::Stopped
    pub stop: Option<Arc<AtomicBool>>,
}

impl IngestOptions {
    /// The longest row where nothing else is said: 16 MiB.
    pub const MAX_ROW_BYTES: usize = 16 << 20;
    /// The longest batch where nothing else is said: 2 GiB.
    pub const MAX_BATCH_BYTES: usize = 2 << 30;
}

impl Default for IngestOptions {
    fn default() -> Self {
        Self {
            format: None,
            device: DeviceSource::Usual,
            time_column: None,
            time_format: None,
            types: Vec::new(),
            zone: None,
            start_ns: None,
            dbc: Vec::new(),
            tags: Vec::new(),
            tag_columns: Vec::new(),
            metric_column: None,
            value_column: None,
            columns: Vec::new(),
            delimiter: None,
            decimal: None,
            skip_lines: 0,
            pad_payload: false,
            keep_unknown: false,
            clock: system_time_ns,
            arrived_ns: None,
            max_row_bytes: Self::MAX_ROW_BYTES,
            max_batch_bytes: Self::MAX_BATCH_BYTES,
            stop: None,
        }
    }
}

/// The system's clock in nanoseconds since the epoch.
fn system_time_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

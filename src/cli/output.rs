//! Printing: tables for people, CSV and JSON for programs.

use std::borrow::Cow;
use std::io::{self, BufWriter, StdoutLock, Write};

use anyhow::Result;
use chronolith_engine::{Aggregated, ValueRef};
use clap::ValueEnum;
use comfy_table::Table;
use serde_json::json;

/// How rows are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RowFormat {
    /// Aligned columns
    Table,
    /// Comma-separated values with a header
    Csv,
    /// One JSON array of objects
    Json,
    /// One JSON object a line
    #[value(alias = "ndjson")]
    Jsonl,
}

/// Prints a line for people. Unlike `println!` it fails where the reader went away, which ends the
/// command in silence.
macro_rules! say {
    ($($arguments:tt)*) => {
        crate::cli::output::put_line(format_args!($($arguments)*))?
    };
}
pub(crate) use say;

/// See [`say`].
pub(crate) fn put_line(line: std::fmt::Arguments<'_>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_fmt(line)?;
    out.write_all(b"\n")
}

/// Standard output behind a buffer.
pub(crate) fn stdout() -> BufWriter<StdoutLock<'static>> {
    BufWriter::with_capacity(256 * 1024, io::stdout().lock())
}

/// Prints one JSON value on a line.
pub(crate) fn print_json(value: &serde_json::Value) -> Result<()> {
    let mut out = stdout();
    serde_json::to_writer(&mut out, value)?;
    writeln!(out)?;
    Ok(out.flush()?)
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A cell of a table.
#[derive(Debug, Clone)]
pub(crate) enum Cell {
    Text(String),
    Value(serde_json::Value, String),
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<u64> for Cell {
    fn from(number: u64) -> Self {
        Self::Value(json!(number), number.to_string())
    }
}

impl From<i64> for Cell {
    fn from(number: i64) -> Self {
        Self::Value(json!(number), number.to_string())
    }
}

impl From<ValueRef<'_>> for Cell {
    fn from(value: ValueRef<'_>) -> Self {
        Self::Value(json_value(value), plain_value(value))
    }
}

impl From<Option<Aggregated>> for Cell {
    fn from(value: Option<Aggregated>) -> Self {
        match value {
            None => Self::Value(serde_json::Value::Null, String::new()),
            Some(Aggregated::Float(value)) => ValueRef::F64(value).into(),
            Some(Aggregated::Value(value)) => Self::from(value.as_ref()),
            Some(Aggregated::Integer(value)) => {
                let text = value.to_string();
                // Beyond 64 bits a JSON number would be rounded: text keeps every digit.
                let number = match (i64::try_from(value), u64::try_from(value)) {
                    (Ok(number), _) => json!(number),
                    (_, Ok(number)) => json!(number),
                    _ => json!(text),
                };
                Self::Value(number, text)
            }
            Some(_) => Self::Text(String::new()),
        }
    }
}

impl Cell {
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Value(_, text) => text,
        }
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        match self {
            Self::Text(text) => json!(text),
            Self::Value(value, _) => value.clone(),
        }
    }
}

/// A float in the shortest form that reads back to the same bits.
pub(crate) fn float(value: f64) -> String {
    if value.is_finite() {
        let mut buffer = zmij::Buffer::new();
        let text = buffer.format_finite(value);
        return text.strip_suffix(".0").unwrap_or(text).to_owned();
    }
    let is_usual = value.is_infinite() || value.to_bits() == f64::NAN.to_bits();
    match is_usual {
        true if value.is_nan() => "NaN".to_owned(),
        true if value > 0.0 => "inf".to_owned(),
        true => "-inf".to_owned(),
        false => format!("NaN:{:016x}", value.to_bits()),
    }
}

/// A value as text, as CSV has it: bytes as `0x` and hexadecimal digits.
pub(crate) fn plain_value(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::F64(value) => float(value),
        ValueRef::I64(value) => value.to_string(),
        ValueRef::U64(value) => value.to_string(),
        ValueRef::Bool(value) => value.to_string(),
        ValueRef::Text(value) => value.to_owned(),
        ValueRef::Bytes(value) => {
            let mut text = String::with_capacity(2 + value.len() * 2);
            text.push_str("0x");
            value.iter().for_each(|byte| text.push_str(&format!("{byte:02x}")));
            text
        }
        ValueRef::Blob(blob) => format!("blob:{}", blob.cid),
    }
}

/// A value as JSON; floats that JSON does not have are texts.
pub(crate) fn json_value(value: ValueRef<'_>) -> serde_json::Value {
    match value {
        ValueRef::F64(number) if number.is_finite() => json!(number),
        ValueRef::I64(value) => json!(value),
        ValueRef::U64(value) => json!(value),
        ValueRef::Bool(value) => json!(value),
        other => json!(plain_value(other)),
    }
}

/// Writes a cell of CSV, quoted where it must be (RFC 4180), and where blanks at its ends would be
/// taken for none of it.
pub(crate) fn put_csv_cell(out: &mut impl Write, cell: &str) -> io::Result<()> {
    if cell.contains(['"', ',', '\n', '\r']) || cell.trim() != cell {
        return write!(out, "\"{}\"", cell.replace('"', "\"\""));
    }
    out.write_all(cell.as_bytes())
}

/// A text without the control characters that would steer a terminal: what is shown may come from
/// somebody else. Ends of lines and tabs stay.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    let steers = |c: char| c.is_control() && c != '\n' && c != '\t';
    if text.contains(steers) { text.replace(steers, "\u{fffd}").into() } else { text.into() }
}

/// Prints rows as they come, or all at once where the format wants that.
pub(crate) struct Rows {
    format: RowFormat,
    columns: Vec<String>,
    out: BufWriter<StdoutLock<'static>>,
    table: Table,
    printed: u64,
}

impl Rows {
    pub(crate) fn new(format: RowFormat, columns: &[&str]) -> Result<Self> {
        let columns: Vec<String> = columns.iter().map(ToString::to_string).collect();
        let mut table = Table::new();
        table.load_style(comfy_table::presets::UTF8_BORDERS_ONLY).set_header(&columns);
        let mut rows = Self { format, columns, out: stdout(), table, printed: 0 };
        match format {
            RowFormat::Csv => rows.line(rows.columns.clone().iter().map(String::as_str))?,
            RowFormat::Json => write!(rows.out, "[")?,
            RowFormat::Table | RowFormat::Jsonl => {}
        }
        Ok(rows)
    }

    fn line<'a>(&mut self, cells: impl Iterator<Item = &'a str>) -> Result<()> {
        for (index, cell) in cells.enumerate() {
            if index > 0 {
                self.out.write_all(b",")?;
            }
            put_csv_cell(&mut self.out, cell)?;
        }
        Ok(self.out.write_all(b"\n")?)
    }

    pub(crate) fn push(&mut self, cells: &[Cell]) -> Result<()> {
        self.printed += 1;
        match self.format {
            RowFormat::Table => {
                self.table.add_row(cells.iter().map(|cell| printable(cell.text())));
                Ok(())
            }
            RowFormat::Csv => self.line(cells.iter().map(Cell::text)),
            RowFormat::Json | RowFormat::Jsonl => {
                let pairs = self.columns.iter().cloned().zip(cells.iter().map(Cell::json));
                let object: serde_json::Map<String, serde_json::Value> = pairs.collect();
                if self.format == RowFormat::Json && self.printed > 1 {
                    self.out.write_all(b",")?;
                }
                serde_json::to_writer(&mut self.out, &object)?;
                if self.format == RowFormat::Jsonl {
                    self.out.write_all(b"\n")?;
                }
                Ok(())
            }
        }
    }

    pub(crate) fn finish(mut self) -> Result<()> {
        match self.format {
            RowFormat::Table if self.printed > 0 => writeln!(self.out, "{}", self.table)?,
            RowFormat::Table => writeln!(self.out, "nothing found")?,
            RowFormat::Json => writeln!(self.out, "]")?,
            RowFormat::Csv | RowFormat::Jsonl => {}
        }
        Ok(self.out.flush()?)
    }
}

//! Printing: tables for people, CSV and JSON for programs.

use std::borrow::Cow;
use std::io::{self, BufWriter, StdoutLock, Write};

use anyhow::Result;
use clap::ValueEnum;
use comfy_table::Table;

use crate::rows::{Cell, put_csv_cell};

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

    /// A row of what an object has of the columns.
    pub(crate) fn show(&mut self, shown: &serde_json::Value) -> Result<()> {
        let cells = self.columns.iter().map(|name| Cell::from(&shown[name.as_str()]));
        let cells: Vec<Cell> = cells.collect();
        self.push(&cells)
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

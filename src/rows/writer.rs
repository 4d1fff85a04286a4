//! Formats of rows: tables for people, CSV and JSON for programs.

use std::io::{BufWriter, Write};

use anyhow::Result;
use chronolith_query::Answer;
use chronolith_query::arrow::array::{Array, AsArray, RecordBatch};
use chronolith_query::arrow::datatypes::{DataType, Schema};
use clap::ValueEnum;
use comfy_table::Table;

use super::arrow::cells;
use super::{Cell, put_csv_cell};

/// So many rows make one table: columns are as wide as the widest of them, and no more are held.
const TABLE_ROWS: usize = 1_000;

/// A table is printed before it would be wider times longer than this: every row of it is as wide as
/// the widest cells. Bytes.
const TABLE_BYTES: usize = 16 << 20;

/// How much text is turned into cells at once, where it is views of the same bytes as well.
const PIECE_BYTES: usize = 8 << 20;

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Aligned columns
    Table,
    /// Comma-separated values with a header
    Csv,
    /// One JSON array of objects
    Json,
    /// One JSON object a line
    Ndjson,
    /// A Parquet file
    Parquet,
    /// A stream of Arrow IPC
    Arrow,
}

/// Writes rows as they come.
struct RowWriter<W: Write> {
    format: Format,
    columns: Vec<String>,
    out: W,
    table: Table,
    pending: usize,
    /// The length of the longest row of the table: bytes.
    widest: usize,
    rows: u64,
}

impl<W: Write> RowWriter<W> {
    fn new(format: Format, schema: &Schema, out: W) -> Result<Self> {
        let columns: Vec<String> =
            schema.fields().iter().map(|field| field.name().clone()).collect();
        let (table, pending, widest, rows) = (new_table(&columns), 0, 0, 0);
        let mut writer = Self { format, columns, out, table, pending, widest, rows };
        match format {
            Format::Csv => {
                let header = writer.columns.clone();
                writer.line(header.iter().map(String::as_str))?;
            }
            Format::Json => writer.out.write_all(b"[")?,
            _ => {}
        }
        Ok(writer)
    }

    /// Writes the rows of a batch, so many at once that their texts do not take much.
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let at_once = (PIECE_BYTES / longest(batch).max(1)).max(1);
        for from in (0..batch.num_rows()).step_by(at_once) {
            self.write_piece(&batch.slice(from, at_once.min(batch.num_rows() - from)))?;
        }
        Ok(())
    }

    fn write_piece(&mut self, batch: &RecordBatch) -> Result<()> {
        let columns = batch.columns().iter().map(cells).collect::<Result<Vec<Vec<Cell>>>>()?;
        for row in 0..batch.num_rows() {
            let cells = columns.iter().filter_map(|column| column.get(row));
            match self.format {
                Format::Csv => self.line(cells.map(Cell::text))?,
                Format::Json | Format::Ndjson => self.object(cells)?,
                _ => {
                    let length = cells.clone().map(|cell| cell.text().len()).sum();
                    let widest = self.widest.max(length);
                    if self.pending > 0 && widest.saturating_mul(self.pending + 1) > TABLE_BYTES {
                        self.print_table()?;
                    }
                    self.widest = self.widest.max(length);
                    self.table.add_row(cells.map(Cell::text));
                    self.pending += 1;
                    if self.pending == TABLE_ROWS {
                        self.print_table()?;
                    }
                }
            }
            self.rows += 1;
        }
        Ok(())
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

    fn object<'a>(&mut self, cells: impl Iterator<Item = &'a Cell>) -> Result<()> {
        if self.format == Format::Json && self.rows > 0 {
            self.out.write_all(b",")?;
        }
        // By hand, since a map would put the columns into another order.
        self.out.write_all(b"{")?;
        for (index, (name, cell)) in self.columns.iter().zip(cells).enumerate() {
            if index > 0 {
                self.out.write_all(b",")?;
            }
            serde_json::to_writer(&mut self.out, name)?;
            self.out.write_all(b":")?;
            serde_json::to_writer(&mut self.out, &cell.json())?;
        }
        self.out.write_all(b"}")?;
        if self.format == Format::Ndjson {
            self.out.write_all(b"\n")?;
        }
        Ok(())
    }

    fn print_table(&mut self) -> Result<()> {
        let table = std::mem::replace(&mut self.table, new_table(&self.columns));
        (self.pending, self.widest) = (0, 0);
        Ok(writeln!(self.out, "{table}")?)
    }

    /// Ends the output; how many rows there were.
    fn finish(mut self) -> Result<u64> {
        match self.format {
            Format::Json => self.out.write_all(b"]\n")?,
            Format::Table if self.rows == 0 => writeln!(self.out, "no rows")?,
            Format::Table if self.pending > 0 => self.print_table()?,
            _ => {}
        }
        Ok(self.rows)
    }
}

/// The length of the longest text of a batch: bytes.
fn longest(batch: &RecordBatch) -> usize {
    let texts = batch.columns().iter().map(|column| match column.data_type() {
        DataType::Utf8View => column.as_string_view().lengths().max().unwrap_or(0) as usize,
        DataType::Utf8 => column.as_string::<i32>().offsets().lengths().max().unwrap_or(0),
        DataType::LargeUtf8 => column.as_string::<i64>().offsets().lengths().max().unwrap_or(0),
        _ => 0,
    });
    texts.max().unwrap_or(0)
}

fn new_table(columns: &[String]) -> Table {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::UTF8_BORDERS_ONLY).set_header(columns);
    table
}

/// Writes all of an answer; how many rows there were.
pub(crate) fn write_answer(answer: Answer, format: Format, out: impl Write + Send) -> Result<u64> {
    let mut out = BufWriter::with_capacity(256 * 1024, out);
    let rows = match format {
        Format::Parquet => answer.write_parquet(&mut out)?,
        Format::Arrow => answer.write_arrow(&mut out)?,
        Format::Table | Format::Csv | Format::Json | Format::Ndjson => {
            let mut writer = RowWriter::new(format, &answer.schema(), &mut out)?;
            for batch in answer {
                writer.write(&batch?)?;
            }
            writer.finish()?
        }
    };
    out.flush()?;
    Ok(rows)
}

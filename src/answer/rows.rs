//! Rows with one form: what an answer is compared by.
//!
//! A row is the JSON array of its cells, as `--format json` shows them: floats in the shortest form that
//! reads back to the same bits, and texts for floats that JSON does not have. Where a query asks for no
//! order, the rows are sorted by their bytes.

use borsh::{BorshDeserialize, BorshSerialize};
use chronolith_chain::encoding::{Bytes, List, TooLong};
use chronolith_query::arrow::datatypes::{DataType, TimeUnit};
use chronolith_query::{Answer, QueryError};
use serde_json::Value;

use crate::rows::{Cell, cells};

/// The most rows of an answer.
const ROWS_MOST: usize = 1 << 20;
/// The longest row: bytes.
const ROW_MOST: usize = 16 << 20;

/// An answer: its columns, and its rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Rows {
    /// The columns.
    pub columns: List<Column, 4_096>,
    /// The rows: JSON arrays of as many cells.
    pub rows: List<Bytes<ROW_MOST>, ROWS_MOST>,
}

/// A column of an answer.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Column {
    /// Its name: UTF-8.
    pub name: Bytes<65_536>,
    /// What its cells are: `f64`, `i64`, `u64`, `bool`, `text`, `bytes`, `time`, or a name of Arrow's.
    pub kind: Bytes<4_096>,
}

/// Why rows cannot be kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RowsError {
    /// The query has no answer.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// There are too many rows, or a cell is too long.
    #[error("the answer is too large to be proved: {0}; ask for less at once")]
    TooLong(#[from] TooLong),
    /// A cell has no form as text.
    #[error("the answer cannot be written: {0}")]
    Cells(String),
}

fn kind(of: &DataType) -> String {
    match of {
        DataType::Float64 => "f64".to_owned(),
        DataType::Int64 => "i64".to_owned(),
        DataType::UInt64 => "u64".to_owned(),
        DataType::Boolean => "bool".to_owned(),
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => "text".to_owned(),
        DataType::Binary | DataType::BinaryView | DataType::LargeBinary => "bytes".to_owned(),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => "time".to_owned(),
        other => other.to_string(),
    }
}

impl Rows {
    /// All rows of an answer.
    ///
    /// # Errors
    /// Where there is none, or it is too large.
    pub fn of(answer: Answer, is_ordered: bool) -> Result<Self, RowsError> {
        let schema = answer.schema();
        let columns = schema.fields().iter().map(|field| {
            let name = Bytes::new(field.name().as_bytes())?;
            Ok(Column { name, kind: Bytes::new(kind(field.data_type()).as_bytes())? })
        });
        let columns = List::new(columns.collect::<Result<Vec<_>, TooLong>>()?)?;
        let mut rows = Vec::new();
        for batch in answer {
            let batch = batch?;
            let columns = batch.columns().iter().map(cells).collect::<anyhow::Result<Vec<_>>>();
            let columns = columns.map_err(|error| RowsError::Cells(error.to_string()))?;
            for row in 0..batch.num_rows() {
                let cells = columns.iter().filter_map(|column| column.get(row));
                let array = Value::Array(cells.map(Cell::json).collect());
                rows.push(Bytes::new(array.to_string().into_bytes())?);
            }
        }
        if !is_ordered {
            rows.sort_unstable();
        }
        Ok(Self { columns, rows: List::new(rows)? })
    }

    /// The rows as JSON objects, as `--format json` writes them; `None` where a row is none.
    #[must_use]
    pub fn to_json(&self) -> Option<Vec<Value>> {
        let names = self.columns.iter().map(|column| std::str::from_utf8(&column.name));
        let names: Vec<&str> = names.collect::<Result<_, _>>().ok()?;
        let object = |row: &Bytes<ROW_MOST>| {
            let cells: Vec<Value> = serde_json::from_slice(row).ok()?;
            // Another form of the same row is none.
            let is_whole = cells.len() == names.len()
                && Value::Array(cells.clone()).to_string().as_bytes() == &row[..];
            let cells = names.iter().map(|name| (*name).to_owned()).zip(cells);
            is_whole.then(|| Value::Object(cells.collect()))
        };
        self.rows.iter().map(object).collect()
    }
}

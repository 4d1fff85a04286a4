//! Answers as text, for the command line and HTTP: cells, and rows as tables, CSV and JSON.

#[cfg(feature = "sql")]
mod arrow;
mod cell;
#[cfg(feature = "continuous")]
pub(crate) mod changes;
#[cfg(feature = "search")]
pub(crate) mod found;
#[cfg(feature = "promql")]
pub(crate) mod prometheus;
#[cfg(feature = "sql")]
mod writer;

#[cfg(feature = "sql")]
pub(crate) use arrow::cells;
pub(crate) use cell::{Cell, json_value, plain_value, put_csv_cell, rfc3339};
#[cfg(feature = "sql")]
pub(crate) use writer::{Format, write_answer};

//! The time column: timestamps of any unit and zone, dates, and what CSV takes.

use chronolith_query::arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use chronolith_query::arrow::compute::cast;
use chronolith_query::arrow::datatypes::{DataType, FieldRef, Int64Type, TimeUnit as ArrowUnit};
use chronolith_query::arrow::error::ArrowError;
use jiff::Timestamp;
use jiff::tz::Offset;

use super::cells::{Cells, Shape, shape};
use crate::ingest::csv::header::Header;
use crate::ingest::time::TimeReader;
use crate::ingest::{IngestOptions, TimeError, TimeFormat, TimeUnit};

const DAY_NS: i64 = 86_400_000_000_000;

/// The time column of a file.
pub(super) struct TimeColumn {
    pub(super) column: usize,
    reading: Reading,
}

/// How its values are read.
enum Reading {
    /// Counts of so many nanoseconds since 1970, UTC.
    Counts(i64),
    /// The same as shown by a wall clock, whose zone the reader knows.
    Civil(i64, TimeReader),
    /// What CSV would write.
    Text(Shape, TimeReader),
}

/// The times of a batch.
pub(super) enum Times {
    Counts(Int64Array),
    Text(Cells),
}

/// How long a step of a type of times is, and whether it counts from a known moment.
fn step(data_type: &DataType) -> Option<(i64, bool)> {
    Some(match data_type {
        DataType::Timestamp(unit, zone) => {
            let step_ns = match unit {
                ArrowUnit::Second => 1_000_000_000,
                ArrowUnit::Millisecond => 1_000_000,
                ArrowUnit::Microsecond => 1_000,
                ArrowUnit::Nanosecond => 1,
            };
            (step_ns, zone.is_some())
        }
        DataType::Date32 => (DAY_NS, false),
        DataType::Date64 => (1_000_000, false),
        DataType::Dictionary(_, values) => step(values)?,
        _ => return None,
    })
}

impl TimeColumn {
    /// Finds the column and how it is to be read; an error says what is missing.
    pub(super) fn new(
        header: &Header,
        fields: &[FieldRef],
        options: &IngestOptions,
    ) -> Result<Self, String> {
        let is_time = |column: &usize| step(fields[*column].data_type()).is_some();
        let column = match &options.time_column {
            Some(name) => header.require("--time", name)?,
            None => {
                let usual = header.time_candidates();
                let mut times = (0..fields.len()).filter(is_time);
                let only = times.next().filter(|_| times.next().is_none());
                let found = usual.iter().copied().find(is_time).or(only);
                found.or_else(|| usual.first().copied()).ok_or_else(|| {
                    format!(
                        "no column has a usual name for times; give --time COLUMN; columns are {}",
                        header.list()
                    )
                })?
            }
        };
        let data_type = fields[column].data_type();
        let name = fields[column].name();
        let reader = |format| TimeReader::new(format, options.start_ns, options.zone.clone());
        let reading = match (step(data_type), &options.zone) {
            (Some((step_ns, false)), Some(_)) => Reading::Civil(step_ns, reader(TimeFormat::Iso)),
            (Some((step_ns, _)), _) => Reading::Counts(step_ns),
            (None, _) => {
                let shape = shape(data_type).ok_or_else(|| unfit(name, data_type))?;
                let is_text = matches!(shape.kind, chronolith_engine::Kind::Text);
                if !is_text && (!shape.unit.is_empty() || !shape.kind.is_number()) {
                    return Err(unfit(name, data_type));
                }
                let format = match &options.time_format {
                    Some(format) => format.clone(),
                    None if is_text => TimeFormat::Iso,
                    None if options.start_ns.is_some() => TimeFormat::Epoch(TimeUnit::Seconds),
                    None => {
                        return Err(format!(
                            "the time column {name:?} holds numbers ({data_type}); say what they \
                             count: --time-format s (or ms, us, ns) since 1970, or --start TIME for \
                             seconds since TIME"
                        ));
                    }
                };
                Reading::Text(shape, reader(format))
            }
        };
        Ok(Self { column, reading })
    }

    /// The times of a batch.
    pub(super) fn times(&self, columns: &[ArrayRef]) -> Result<Times, ArrowError> {
        let column = &columns[self.column];
        match &self.reading {
            Reading::Text(shape, _) => Cells::new(column, shape).map(Times::Text),
            Reading::Counts(_) | Reading::Civil(..) => {
                let column = match column.data_type() {
                    DataType::Dictionary(_, values) => cast(column, values)?,
                    _ => ArrayRef::clone(column),
                };
                let counts = cast(&column, &DataType::Int64)?;
                Ok(Times::Counts(counts.as_primitive::<Int64Type>().clone()))
            }
        }
    }

    /// The time of a row.
    pub(super) fn read(&mut self, times: &Times, row: usize) -> Result<i64, TimeError> {
        match (&mut self.reading, times) {
            (Reading::Text(_, reader), Times::Text(cells)) => reader.read(&cells.text(row)),
            (Reading::Counts(step_ns), Times::Counts(counts)) => counted(counts, row, *step_ns),
            (Reading::Civil(step_ns, reader), Times::Counts(counts)) => {
                let shown = Timestamp::from_nanosecond(counted(counts, row, *step_ns)?.into());
                let shown = shown.map_err(|_| TimeError::Missing)?;
                reader.read(&Offset::UTC.to_datetime(shown).to_string())
            }
            _ => Err(TimeError::Missing),
        }
    }

    /// What the user should know of how times were read.
    pub(super) fn note(&self) -> Option<String> {
        match &self.reading {
            Reading::Text(_, reader) => reader.note(),
            Reading::Counts(_) | Reading::Civil(..) => None,
        }
    }
}

fn counted(counts: &Int64Array, row: usize, step_ns: i64) -> Result<i64, TimeError> {
    if counts.is_null(row) {
        return Err(TimeError::Missing);
    }
    let count = counts.value(row);
    count.checked_mul(step_ns).ok_or_else(|| TimeError::OutOfRange {
        text: format!("{count} times {step_ns} ns since 1970"),
    })
}

fn unfit(name: &str, data_type: &DataType) -> String {
    format!("the time column {name:?} is of the type {data_type}, which is no point in time")
}

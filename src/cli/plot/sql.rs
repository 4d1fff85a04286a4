//! Lines of SQL: the first column of times, every column of numbers, and the texts that tell the
//! series apart.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use chronolith_engine::Db;
use chronolith_query::arrow::array::{Array, AsArray, RecordBatch};
use chronolith_query::arrow::compute::cast;
use chronolith_query::arrow::datatypes::{
    DataType, Float64Type, Schema, TimeUnit, TimestampNanosecondType,
};
use chronolith_query::{Limits, Sql};

use super::points::{Points, data_span, line};
use super::{Drawn, LINES_MAX, PlotCommand, left_out, usual_gap};

/// The most rows that are drawn: they are held in memory until all are there.
const ROWS_MAX: u64 = 10_000_000;

/// Which columns are what.
struct Columns {
    time: usize,
    values: Vec<usize>,
    texts: Vec<usize>,
}

impl Columns {
    fn of(schema: &Schema) -> Result<Self> {
        let of = |fits: &dyn Fn(&DataType) -> bool| -> Vec<usize> {
            let fields = schema.fields().iter().enumerate();
            fields.filter(|(_, field)| fits(field.data_type())).map(|(at, _)| at).collect()
        };
        let is_time = |kind: &DataType| matches!(kind, DataType::Timestamp(..) | DataType::Date32);
        let is_text = |kind: &DataType| {
            matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
        };
        let is_value = |kind: &DataType| kind.is_numeric() || *kind == DataType::Boolean;
        let time = of(&is_time).first().copied();
        let time = time.context("the answer has no column of times; select time, too")?;
        let values = of(&is_value);
        if values.is_empty() {
            bail!("the answer has no column of numbers to draw");
        }
        Ok(Self { time, values, texts: of(&is_text) })
    }
}

impl PlotCommand {
    pub(super) fn of_sql(&self, db: &Db, text: &str, columns: u32) -> Result<Drawn> {
        let sql = Sql::new(db.clone())?;
        let limits = Limits { rows: Some(ROWS_MAX), ..Limits::default() };
        let answer = sql.query(text, &limits)?;
        let schema = answer.schema();
        let which = Columns::of(&schema)?;
        let mut series: BTreeMap<(String, usize), Points> = BTreeMap::new();
        for batch in answer {
            add(&mut series, &which, &batch?)?;
        }
        let mut notes: Vec<String> = left_out(series.len()).into_iter().collect();
        let texts = which.texts.len();
        for points in series.values_mut() {
            points.sort_by_key(|(time_ns, _)| *time_ns);
        }
        let span_ns = self.span(data_span(series.values()))?;
        let mut lines = Vec::new();
        for ((labels, column), points) in series.iter().take(LINES_MAX) {
            let column = schema.field(*column).name();
            let name = match (texts, which.values.len()) {
                (0, _) => column.clone(),
                (_, 1) => labels.clone(),
                _ => format!("{column} {labels}"),
            };
            let times = || points.iter().map(|(time_ns, _)| *time_ns);
            let gap = self.gap.unwrap_or_else(|| usual_gap(times()));
            lines.push(line(name, points, span_ns, columns, gap));
        }
        notes.sort();
        Ok(Drawn { title: text.to_owned(), lines, span_ns, notes })
    }
}

/// Adds the rows of a batch; a value that is null is a gap, a row without a time is passed over.
fn add(
    series: &mut BTreeMap<(String, usize), Points>,
    which: &Columns,
    batch: &RecordBatch,
) -> Result<()> {
    let nanoseconds = DataType::Timestamp(TimeUnit::Nanosecond, None);
    let times = cast(batch.column(which.time), &nanoseconds).context("cannot read the times")?;
    let times = times.as_primitive::<TimestampNanosecondType>();
    let texts = which.texts.iter().map(|at| cast(batch.column(*at), &DataType::Utf8));
    let texts = texts.collect::<Result<Vec<_>, _>>()?;
    for at in &which.values {
        let values = cast(batch.column(*at), &DataType::Float64)?;
        let values = values.as_primitive::<Float64Type>();
        for row in (0..batch.num_rows()).filter(|row| times.is_valid(*row)) {
            let labels: Vec<&str> =
                texts.iter().map(|text| text.as_string::<i32>().value(row)).collect();
            let value = if values.is_valid(row) { values.value(row) } else { f64::NAN };
            let points = series.entry((labels.join(" "), *at)).or_default();
            points.push((times.value(row), value));
        }
    }
    Ok(())
}

//! The tables of the schema `system`: what the database says of itself.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, RecordBatch, StringViewBuilder, TimestampNanosecondBuilder, UInt64Builder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use chronolith_engine::{Selector, window_end, window_start};
use datafusion::catalog::streaming::StreamingTable;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;

use super::catalog::{Lookup, read_error};
use super::columns::{Series, time_type};
use super::watch::Watch;

/// The tables of the schema.
pub(crate) const SYSTEM_TABLES: [&str; 4] = ["devices", "metrics", "chunks", "segments"];

/// So many metrics are listed at once.
const METRICS_AT_ONCE: usize = 512;

#[derive(Debug, Clone, Copy)]
enum Listing {
    Devices,
    Metrics,
    Chunks,
    Segments,
}

/// A table of the schema.
pub(crate) fn table(lookup: &Lookup, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
    let listing = match name {
        "devices" => Listing::Devices,
        "metrics" => Listing::Metrics,
        "chunks" => Listing::Chunks,
        "segments" => Listing::Segments,
        _ => return Ok(None),
    };
    let schema = listing.schema();
    let part = Listed { lookup: lookup.clone(), listing, schema: Arc::clone(&schema) };
    let table = StreamingTable::try_new(schema, vec![Arc::new(part)])?;
    Ok(Some(Arc::new(SystemTable { table })))
}

/// A listing as a table; it is made when it is read.
#[derive(Debug)]
struct SystemTable {
    table: StreamingTable,
}

#[async_trait]
impl TableProvider for SystemTable {
    fn schema(&self) -> SchemaRef {
        TableProvider::schema(&self.table)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        self.table.supports_filters_pushdown(filters)
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.table.scan(session, projection, filters, limit).await
    }
}

fn text(name: &str) -> Field {
    Field::new(name, DataType::Utf8View, false)
}

fn number(name: &str) -> Field {
    Field::new(name, DataType::UInt64, true)
}

fn time(name: &str) -> Field {
    Field::new(name, time_type(), true)
}

impl Listing {
    fn schema(self) -> SchemaRef {
        let fields = match self {
            Self::Devices => vec![text("device"), number("metrics")],
            Self::Metrics => vec![
                text("device"),
                text("name"),
                text("tags"),
                text("kind"),
                text("unit"),
                number("level"),
                number("window_seconds"),
                number("records"),
                number("sealed_chunks"),
                time("first_time"),
                time("last_time"),
            ],
            Self::Chunks => vec![
                text("device"),
                text("name"),
                text("tags"),
                time("window_start"),
                time("window_end"),
                number("generation"),
                number("part"),
                text("cid"),
                number("batch"),
                text("segment"),
                number("records"),
                time("first_time"),
                time("last_time"),
                number("size_bytes"),
            ],
            Self::Segments => vec![
                text("file"),
                number("size_bytes"),
                number("chunks"),
                time("window_start"),
                time("window_end"),
            ],
        };
        Arc::new(Schema::new(fields))
    }
}

/// A cell of a listing.
enum Cell {
    Text(String),
    Number(Option<u64>),
    Time(Option<i64>),
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<u64> for Cell {
    fn from(number: u64) -> Self {
        Self::Number(Some(number))
    }
}

#[derive(Debug)]
struct Listed {
    lookup: Lookup,
    listing: Listing,
    schema: SchemaRef,
}

impl PartitionStream for Listed {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (lookup, listing) = (self.lookup.clone(), self.listing);
        let (schema, watch) = (Arc::clone(&self.schema), Watch::of(&context));
        let made = Arc::clone(&schema);
        let rows: Box<dyn Iterator<Item = Result<Vec<Vec<Cell>>>> + Send> = match listing {
            Listing::Devices => Box::new(std::iter::once(Ok(devices(&lookup)))),
            Listing::Segments => Box::new(std::iter::once(Ok(segments(&lookup)))),
            Listing::Metrics | Listing::Chunks => match lookup.series(&Selector::all()) {
                Err(error) => Box::new(std::iter::once(Err(error))),
                Ok(series) => Box::new(Portions { lookup, listing, series, next: 0, watch }),
            },
        };
        let batches = rows.map(move |rows| batch(&made, &rows?));
        Box::pin(RecordBatchStreamAdapter::new(schema, futures::stream::iter(batches)))
    }
}

/// The rows of some metrics at a time.
struct Portions {
    lookup: Lookup,
    listing: Listing,
    series: Vec<Series>,
    next: usize,
    watch: Arc<Watch>,
}

impl Iterator for Portions {
    type Item = Result<Vec<Vec<Cell>>>;

    fn next(&mut self) -> Option<Self::Item> {
        let portion = self.series.iter().skip(self.next).take(METRICS_AT_ONCE);
        let portion: Vec<&Series> = portion.collect();
        if portion.is_empty() {
            return None;
        }
        self.next += portion.len();
        let mut rows = Vec::new();
        for series in portion {
            let listed = self.watch.check().and_then(|()| match self.listing {
                Listing::Chunks => chunks(&self.lookup, series, &mut rows),
                _ => metric(&self.lookup, series, &mut rows),
            });
            if let Err(error) = listed {
                self.next = self.series.len();
                return Some(Err(error));
            }
        }
        Some(Ok(rows))
    }
}

fn devices(lookup: &Lookup) -> Vec<Vec<Cell>> {
    let devices = lookup.db.label_values("device").into_iter();
    devices.map(|(device, metrics)| vec![Cell::Text(device), metrics.into()]).collect()
}

fn segments(lookup: &Lookup) -> Vec<Vec<Cell>> {
    let row = |segment: chronolith_engine::SegmentInfo| {
        vec![
            Cell::Text(segment.file),
            segment.size_bytes.into(),
            u64::from(segment.chunks).into(),
            Cell::Time(Some(segment.first_ns)),
            Cell::Time(Some(segment.last_ns)),
        ]
    };
    lookup.db.segments().into_iter().map(row).collect()
}

/// Device, name and tags of a metric.
fn identity(series: &Series) -> Vec<Cell> {
    let metric = &series.definition.metric;
    let tags: Vec<String> =
        metric.tags().iter().map(|(key, value)| format!("{key}={value}")).collect();
    vec![metric.device().into(), metric.name().into(), Cell::Text(tags.join(","))]
}

fn metric(lookup: &Lookup, series: &Series, rows: &mut Vec<Vec<Cell>>) -> Result<()> {
    let statistics = lookup.db.metric_statistics(series.id).map_err(read_error)?;
    let definition = &series.definition;
    let mut row = identity(series);
    row.extend([
        definition.kind.name().into(),
        definition.unit.as_str().into(),
        u64::from(definition.level.number()).into(),
        (definition.window_ns.unsigned_abs() / 1_000_000_000).into(),
        statistics.records.into(),
        statistics.sealed_chunks.into(),
        Cell::Time(statistics.first_ns),
        Cell::Time(statistics.last_ns),
    ]);
    rows.push(row);
    Ok(())
}

fn chunks(lookup: &Lookup, series: &Series, rows: &mut Vec<Vec<Cell>>) -> Result<()> {
    let window_ns = series.definition.window_ns;
    for chunk in lookup.db.chunks(series.id, ..).map_err(read_error)? {
        let mut row = identity(series);
        let body = chunk.body;
        row.extend([
            Cell::Time(Some(window_start(chunk.key.window, window_ns))),
            Cell::Time(Some(window_end(chunk.key.window, window_ns))),
            u64::from(chunk.key.generation).into(),
            u64::from(chunk.key.part).into(),
            Cell::Text(chunk.cid.to_string()),
            chunk.batch.into(),
            Cell::Text(chunk.segment),
            Cell::Number(body.map(|body| body.count.into())),
            Cell::Time(body.map(|body| body.first_ns)),
            Cell::Time(body.map(|body| body.last_ns)),
            Cell::Number(body.map(|body| body.size_bytes.into())),
        ]);
        rows.push(row);
    }
    Ok(())
}

/// Rows as columns.
fn batch(schema: &SchemaRef, rows: &[Vec<Cell>]) -> Result<RecordBatch> {
    let column = |(index, field): (usize, &Arc<Field>)| -> ArrayRef {
        let cells = rows.iter().map(|row| row.get(index));
        match field.data_type() {
            DataType::Utf8View => {
                let mut texts = StringViewBuilder::new();
                for cell in cells {
                    texts.append_option(match cell {
                        Some(Cell::Text(text)) => Some(text),
                        _ => None,
                    });
                }
                Arc::new(texts.finish())
            }
            DataType::UInt64 => {
                let mut numbers = UInt64Builder::new();
                for cell in cells {
                    numbers.append_option(match cell {
                        Some(Cell::Number(number)) => *number,
                        _ => None,
                    });
                }
                Arc::new(numbers.finish())
            }
            DataType::Timestamp(..) => {
                let mut times = TimestampNanosecondBuilder::new();
                for cell in cells {
                    times.append_option(match cell {
                        Some(Cell::Time(time_ns)) => *time_ns,
                        _ => None,
                    });
                }
                Arc::new(times.finish().with_timezone("UTC"))
            }
            other => arrow::array::new_null_array(other, rows.len()),
        }
    };
    let columns = schema.fields().iter().enumerate().map(column).collect();
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

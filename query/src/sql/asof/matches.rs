//! The right side of an as-of join: one row for each key, the nearest so far.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, new_null_array};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::compute::{cast, interleave, interleave_record_batch};
use arrow::datatypes::{
    DataType, Int64Type, SchemaRef, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use arrow::row::{RowConverter, Rows, SortField};
use datafusion::common::{HashMap, Result, exec_err};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::physical_plan::PhysicalExpr;
use futures::StreamExt;

use crate::sql::columns::array_bytes;

/// So many batches are held before the rows that still count are gathered into one.
const HELD_BATCHES: usize = 32;

/// The times of a batch, each with a number that rises in the order of the join.
pub(super) struct Times {
    values: ScalarBuffer<i64>,
    nulls: Option<NullBuffer>,
    is_forward: bool,
}

impl Times {
    pub(super) fn new(array: &ArrayRef, is_forward: bool) -> Result<Self> {
        let values = match array.data_type() {
            DataType::Timestamp(unit, _) => match unit {
                TimeUnit::Nanosecond => array.as_primitive::<TimestampNanosecondType>().values(),
                TimeUnit::Microsecond => array.as_primitive::<TimestampMicrosecondType>().values(),
                TimeUnit::Millisecond => array.as_primitive::<TimestampMillisecondType>().values(),
                TimeUnit::Second => array.as_primitive::<TimestampSecondType>().values(),
            }
            .clone(),
            _ => cast(array, &DataType::Int64)?.as_primitive::<Int64Type>().values().clone(),
        };
        if values.len() != array.len() {
            return exec_err!("the times of an as-of join cannot be read");
        }
        Ok(Self { values, nulls: array.nulls().cloned(), is_forward })
    }

    /// The time of a row; `None` is null.
    pub(super) fn get(&self, row: usize) -> Option<i64> {
        let is_null = self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
        self.values.get(row).copied().filter(|_| !is_null)
    }

    /// A number that rises in the order that rows come in.
    pub(super) const fn rank(&self, time: i64) -> i64 {
        if self.is_forward { !time } else { time }
    }
}

/// The keys of a batch as bytes that are equal where keys are.
pub(super) struct Keys {
    rows: Option<Rows>,
    nulls: Option<NullBuffer>,
}

impl Keys {
    /// The bytes of a row's keys; `None` where one of them is null, which equals nothing.
    pub(super) fn get(&self, row: usize) -> Option<&[u8]> {
        let is_null = self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
        (!is_null).then(|| self.rows.as_ref().map_or(&[][..], |rows| rows.row(row).data()))
    }
}

/// Makes keys of columns.
pub(super) struct KeyMaker {
    converter: Option<RowConverter>,
}

impl KeyMaker {
    pub(super) fn new(types: &[DataType]) -> Result<Self> {
        let fields: Vec<SortField> = types.iter().cloned().map(SortField::new).collect();
        let converter = (!fields.is_empty()).then(|| RowConverter::new(fields)).transpose()?;
        Ok(Self { converter })
    }

    pub(super) fn keys(&self, columns: &[ArrayRef]) -> Result<Keys> {
        let nulls = columns.iter().map(|column| column.logical_nulls());
        let nulls = nulls.fold(None, |all, one| NullBuffer::union(all.as_ref(), one.as_ref()));
        let rows = self.converter.as_ref().map(|maker| maker.convert_columns(columns));
        Ok(Keys { rows: rows.transpose()?, nulls })
    }
}

/// The values of expressions over a batch.
pub(super) fn evaluate(
    expressions: &[Arc<dyn PhysicalExpr>],
    batch: &RecordBatch,
) -> Result<Vec<ArrayRef>> {
    let rows = batch.num_rows();
    expressions.iter().map(|one| one.evaluate(batch)?.into_array(rows)).collect()
}

/// A right row: its time and where it is held.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) time: i64,
    batch: usize,
    row: usize,
}

/// A right batch of which not all rows were taken.
struct Open {
    times: Times,
    keys: Keys,
    rows: usize,
    next: usize,
}

/// The right side.
pub(super) struct Matches {
    stream: SendableRecordBatchStream,
    schema: SchemaRef,
    expressions: Vec<Arc<dyn PhysicalExpr>>,
    time: Arc<dyn PhysicalExpr>,
    maker: KeyMaker,
    is_forward: bool,
    open: Option<Open>,
    is_done: bool,
    held: Vec<RecordBatch>,
    nearest: HashMap<Box<[u8]>, Place>,
    key_bytes: usize,
    memory: MemoryReservation,
}

impl Matches {
    pub(super) fn new(
        stream: SendableRecordBatchStream,
        expressions: Vec<Arc<dyn PhysicalExpr>>,
        time: Arc<dyn PhysicalExpr>,
        is_forward: bool,
        memory: MemoryReservation,
    ) -> Result<Self> {
        let schema = stream.schema();
        let types = expressions.iter().map(|one| one.data_type(&schema));
        let maker = KeyMaker::new(&types.collect::<Result<Vec<_>>>()?)?;
        Ok(Self {
            stream,
            schema,
            expressions,
            time,
            maker,
            is_forward,
            open: None,
            is_done: false,
            held: Vec::new(),
            nearest: HashMap::default(),
            key_bytes: 0,
            memory,
        })
    }

    /// The nearest row of some keys.
    pub(super) fn get(&self, keys: &[u8]) -> Option<Place> {
        self.nearest.get(keys).copied()
    }

    /// Takes all rows up to a rank. `false` says that more batches would be held than shall be: places
    /// must be used, then [`compact`](Self::compact) makes room.
    pub(super) async fn advance(&mut self, rank: i64, is_inclusive: bool) -> Result<bool> {
        loop {
            let Some(open) = &mut self.open else {
                if self.is_done {
                    return Ok(true);
                }
                if self.held.len() >= self.held_max() {
                    return Ok(false);
                }
                self.fetch().await?;
                continue;
            };
            let batch = self.held.len() - 1;
            while open.next < open.rows {
                let row = open.next;
                if let Some(time) = open.times.get(row) {
                    let own = open.times.rank(time);
                    if own > rank || (own == rank && !is_inclusive) {
                        return Ok(true);
                    }
                    if let Some(key) = open.keys.get(row) {
                        let place = Place { time, batch, row };
                        match self.nearest.get_mut(key) {
                            Some(nearest) => *nearest = place,
                            None => {
                                self.key_bytes += key.len() + size_of::<(Box<[u8]>, Place)>() * 2;
                                self.nearest.insert(key.into(), place);
                            }
                        }
                    }
                }
                open.next += 1;
            }
            self.open = None;
        }
    }

    /// How many batches may be held: enough that gathering costs little for each row.
    fn held_max(&self) -> usize {
        HELD_BATCHES.max(self.nearest.len() / 1024)
    }

    async fn fetch(&mut self) -> Result<()> {
        let Some(batch) = self.stream.next().await.transpose()? else {
            self.is_done = true;
            return Ok(());
        };
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let keys = self.maker.keys(&evaluate(&self.expressions, &batch)?)?;
        let rows = batch.num_rows();
        let times = self.time.evaluate(&batch)?.into_array(rows)?;
        let times = Times::new(&times, self.is_forward)?;
        self.open = Some(Open { times, keys, rows, next: 0 });
        self.held.push(batch);
        self.account()
    }

    fn account(&mut self) -> Result<()> {
        // Slices of one array are counted as far as they reach.
        let bytes = |batch: &RecordBatch| -> usize {
            let columns = batch.columns().iter();
            let bytes = columns.map(|column| column.to_data().get_slice_memory_size());
            bytes.sum::<Result<usize, _>>().unwrap_or_else(|_| array_bytes(batch.columns()))
        };
        let held: usize = self.held.iter().map(bytes).sum();
        self.memory.try_resize(held + self.key_bytes)
    }

    /// Gathers the rows that are nearest into one batch and lets go of the others. No batch may be
    /// open.
    pub(super) fn compact(&mut self) -> Result<()> {
        if self.nearest.is_empty() || self.schema.fields().is_empty() {
            self.held.clear();
        } else {
            let rows: Vec<(usize, usize)> =
                self.nearest.values().map(|place| (place.batch, place.row)).collect();
            let batches: Vec<&RecordBatch> = self.held.iter().collect();
            let gathered = interleave_record_batch(&batches, &rows)?;
            for (row, place) in self.nearest.values_mut().enumerate() {
                (place.batch, place.row) = (0, row);
            }
            self.held = vec![gathered];
        }
        self.account()
    }

    /// The right columns of some places; `None` is a row of nulls.
    pub(super) fn columns(&self, places: &[Option<Place>]) -> Result<Vec<ArrayRef>> {
        // Number 0 is the row of nulls.
        let rows: Vec<(usize, usize)> = places
            .iter()
            .map(|place| place.map_or((0, 0), |one| (one.batch + 1, one.row)))
            .collect();
        let column = |(at, field): (usize, &arrow::datatypes::FieldRef)| -> Result<ArrayRef> {
            let null = new_null_array(field.data_type(), 1);
            let held = self.held.iter().map(|batch| &**batch.column(at) as &dyn Array);
            let arrays: Vec<&dyn Array> =
                std::iter::once(&*null as &dyn Array).chain(held).collect();
            Ok(interleave(&arrays, &rows)?)
        };
        self.schema.fields().iter().enumerate().map(column).collect()
    }
}

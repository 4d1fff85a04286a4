//! Batches: records that are written together or not at all.

use std::ops::Range;

use crate::block::Block;
use crate::encoding::{Malformed, Reader, put_varint};
use crate::error::WriteError;
use crate::model::{BlobRef, Column, Kind, Limits, MetricId, ValueRef};
use crate::wal::payload::Deletion;

/// Records, and changes of state, that become visible and durable together.
///
/// Columns over the records: the metric, the time and 64 bits of value. For text and bytes the
/// bits say where the value stands in a buffer of the batch.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    pub(crate) metrics: Vec<u32>,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) times: Vec<i64>,
    pub(crate) bits: Vec<u64>,
    pub(crate) data: Vec<u8>,
    pub(crate) state: Vec<StateChange>,
    pub(crate) deletions: Vec<Deletion>,
    value_bytes_max: usize,
}

/// One change of key-value state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StateChange {
    pub(crate) namespace: String,
    pub(crate) key: Vec<u8>,
    /// `None` removes the key.
    pub(crate) value: Option<Vec<u8>>,
}

/// The bits of a value of fixed size.
pub(crate) fn value_bits(value: ValueRef<'_>) -> Option<u64> {
    match value {
        ValueRef::F64(value) => Some(value.to_bits()),
        ValueRef::I64(value) => Some(value as u64),
        ValueRef::U64(value) => Some(value),
        ValueRef::Bool(value) => Some(value.into()),
        ValueRef::Text(_) | ValueRef::Bytes(_) | ValueRef::Blob(_) => None,
    }
}

/// The value of 64 bits; `None` for kinds of varying size.
pub(crate) fn bits_value(kind: Kind, bits: u64) -> Option<ValueRef<'static>> {
    match kind {
        Kind::F64 => Some(ValueRef::F64(f64::from_bits(bits))),
        Kind::I64 => Some(ValueRef::I64(bits as i64)),
        Kind::U64 => Some(ValueRef::U64(bits)),
        Kind::Bool => Some(ValueRef::Bool(bits != 0)),
        Kind::Text | Kind::Bytes => None,
    }
}

const INLINE: u8 = 0;
const BLOB: u8 = 1;

/// Appends a value of varying size to a buffer.
pub(crate) fn put_value(data: &mut Vec<u8>, value: ValueRef<'_>) {
    let bytes = match value {
        ValueRef::Text(text) => text.as_bytes(),
        ValueRef::Bytes(bytes) => bytes,
        ValueRef::Blob(blob) => {
            data.push(BLOB);
            let cid = blob.cid.to_bytes();
            put_varint(data, cid.len() as u64);
            data.extend_from_slice(&cid);
            put_varint(data, blob.len_bytes);
            return;
        }
        ValueRef::F64(_) | ValueRef::I64(_) | ValueRef::U64(_) | ValueRef::Bool(_) => &[],
    };
    data.push(INLINE);
    put_varint(data, bytes.len() as u64);
    data.extend_from_slice(bytes);
}

/// Reads a value of varying size.
pub(crate) fn read_value<'a>(
    reader: &mut Reader<'a>,
    kind: Kind,
) -> Result<ValueRef<'a>, Malformed> {
    match (reader.u8()?, kind) {
        (INLINE, Kind::Text) => Ok(ValueRef::Text(reader.text()?)),
        (INLINE, Kind::Bytes) => Ok(ValueRef::Bytes(reader.sized()?)),
        (BLOB, Kind::Bytes) => {
            let cid = cid::Cid::try_from(reader.sized()?);
            let cid = cid.map_err(|_| reader.malformed("a blob without a content id"))?;
            Ok(ValueRef::Blob(BlobRef { cid, len_bytes: reader.varint()? }))
        }
        _ => Err(reader.malformed("neither a value nor a blob")),
    }
}

/// Some values of a column; none where it is shorter.
fn part<'a, T>(values: &'a [T], places: &Range<usize>) -> std::slice::Iter<'a, T> {
    values.get(places.clone()).unwrap_or_default().iter()
}

impl Batch {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { value_bytes_max: limits.value_bytes, ..Self::default() }
    }

    /// Adds a record at a time in nanoseconds since the epoch. A refused record is not in the
    /// batch, and the batch stays as it was.
    pub fn push<'a>(
        &mut self,
        metric: MetricId,
        time_ns: i64,
        value: impl Into<ValueRef<'a>>,
    ) -> Result<(), WriteError> {
        let value = value.into();
        if value.kind() != metric.kind() {
            return Err(WriteError::Kind {
                position: self.len(),
                metric: format!("number {}", metric.index()),
                expected: metric.kind(),
                found: value.kind(),
            });
        }
        let bits = match value_bits(value) {
            Some(bits) => bits,
            None => self.push_data(value)?,
        };
        self.metrics.push(metric.index());
        self.kinds.push(metric.kind());
        self.times.push(time_ns);
        self.bits.push(bits);
        Ok(())
    }

    /// Adds some records of a block, by their places in it: as [`Batch::push`] does one by one, and faster where values
    /// have a fixed size.
    ///
    /// # Errors
    /// As [`Batch::push`]; the records before the refused one are in the batch.
    pub fn push_block(
        &mut self,
        metric: MetricId,
        records: &Block,
        places: Range<usize>,
    ) -> Result<(), WriteError> {
        let end = places.end.min(records.len());
        let places = places.start.min(end)..end;
        let times = records.times().get(places.clone()).unwrap_or_default();
        match records.values() {
            values if values.kind() != metric.kind() => {
                return self.push_each(metric, records, places);
            }
            Column::F64(values) => self.bits.extend(part(values, &places).map(|one| one.to_bits())),
            Column::I64(values) => self.bits.extend(part(values, &places).map(|one| *one as u64)),
            Column::U64(values) => self.bits.extend(part(values, &places)),
            Column::Bool(values) => {
                self.bits.extend(part(values, &places).map(|one| u64::from(*one)));
            }
            Column::Text(_) | Column::Bytes(_) => return self.push_each(metric, records, places),
        }
        self.times.extend_from_slice(times);
        self.metrics.resize(self.times.len(), metric.index());
        self.kinds.resize(self.times.len(), metric.kind());
        Ok(())
    }

    fn push_each(
        &mut self,
        metric: MetricId,
        records: &Block,
        places: Range<usize>,
    ) -> Result<(), WriteError> {
        let mut records = records.iter().take(places.end).skip(places.start);
        records.try_for_each(|(time_ns, value)| self.push(metric, time_ns, value))
    }

    fn push_data(&mut self, value: ValueRef<'_>) -> Result<u64, WriteError> {
        let size = match value {
            ValueRef::Text(text) => text.len(),
            ValueRef::Bytes(bytes) => bytes.len(),
            _ => 0,
        };
        let limit = self.value_bytes_max;
        if size > limit {
            return Err(WriteError::ValueTooLong { position: self.len(), size, limit });
        }
        let bits = self.data.len() as u64;
        put_value(&mut self.data, value);
        Ok(bits)
    }

    /// Sets a key of the key-value state (for example the position of a reader of changes)
    /// together with the records.
    pub fn put_state(&mut self, namespace: impl Into<String>, key: &[u8], value: &[u8]) {
        let (namespace, key) = (namespace.into(), key.to_vec());
        self.state.push(StateChange { namespace, key, value: Some(value.to_vec()) });
    }

    /// Removes a key of the key-value state together with the records.
    pub fn remove_state(&mut self, namespace: impl Into<String>, key: &[u8]) {
        let (namespace, key) = (namespace.into(), key.to_vec());
        self.state.push(StateChange { namespace, key, value: None });
    }

    /// Deletes the records of a metric from a first to a last time, in nanoseconds since the epoch,
    /// together with the records: those that were there before, not those of this batch.
    ///
    /// Each batch with deletions begins a new memtable; it is for corrections, not for every write.
    pub fn delete(&mut self, metric: MetricId, from_ns: i64, to_ns: i64) {
        if from_ns <= to_ns {
            self.deletions.push(Deletion { metric: metric.index(), from_ns, to_ns });
        }
    }

    /// The blobs that records of the batch refer to, by the positions of the records.
    pub(crate) fn blobs(&self) -> Vec<(usize, BlobRef)> {
        if self.data.is_empty() {
            return Vec::new();
        }
        let records = self.kinds.iter().zip(&self.bits).enumerate();
        records
            .filter(|(_, (kind, _))| **kind == Kind::Bytes)
            .filter_map(|(position, (kind, bits))| {
                let data = self.data.get(usize::try_from(*bits).ok()?..)?;
                match read_value(&mut Reader::new(data), *kind) {
                    Ok(ValueRef::Blob(blob)) => Some((position, blob)),
                    _ => None,
                }
            })
            .collect()
    }

    /// The same without its records.
    pub(crate) fn without_records(&self) -> Self {
        Self {
            state: self.state.clone(),
            deletions: self.deletions.clone(),
            value_bytes_max: self.value_bytes_max,
            ..Self::default()
        }
    }

    /// How many records the batch holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// How many bytes of text and bytes the batch holds.
    #[must_use]
    pub fn data_bytes(&self) -> usize {
        self.data.len()
    }

    /// Whether it holds neither records nor deletions nor changes of state.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.times.is_empty() && self.state.is_empty() && self.deletions.is_empty()
    }

    /// What the batch counts as against [`Limits::batch_bytes`]: bytes.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        let state = self.state.iter();
        let state = state.map(|change| {
            change.namespace.len() + change.key.len() + change.value.as_ref().map_or(0, Vec::len)
        });
        let deletions = self.deletions.len() * size_of::<Deletion>();
        self.times.len() * 20 + self.data.len() + deletions + state.sum::<usize>()
    }

    /// Empties the batch and keeps its memory.
    pub fn clear(&mut self) {
        self.metrics.clear();
        self.kinds.clear();
        self.times.clear();
        self.bits.clear();
        self.data.clear();
        self.state.clear();
        self.deletions.clear();
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;
    use crate::{Db, Definition, Metric, Options, Value};

    /// Records in blocks are the records one by one, of every kind and in every part.
    #[test]
    fn a_block_is_its_records_one_by_one() {
        let directory = tempfile::tempdir().unwrap();
        let db = Db::open(directory.path(), Options::default()).unwrap();
        let values = [
            [1.5, -0.0, f64::NAN].map(Value::F64),
            [i64::MIN, 0, 7].map(Value::I64),
            [0, 1, u64::MAX].map(Value::U64),
            [true, false, true].map(Value::Bool),
            ["", "a", "ä"].map(|text| Value::Text(text.to_owned())),
            [&b""[..], b"a", b"\xff"].map(|bytes| Value::Bytes(bytes.to_vec())),
        ];
        for (values, number) in values.iter().zip(0..) {
            let kind = values.first().unwrap().as_ref().kind();
            let metric = Metric::new("car", format!("m{number}"));
            let metric = db.define(Definition::new(metric, kind)).unwrap();
            let mut column = Column::new(kind);
            values.iter().for_each(|value| assert!(column.push(value.as_ref())));
            let block = Block::from_columns(vec![10, 20, 30], column);
            for places in [0..3, 0..0, 1..2, 2..9, 7..9] {
                let (mut whole, mut each) = (db.batch(), db.batch());
                whole.push_block(metric, &block, places.clone()).unwrap();
                for (time_ns, value) in block.iter().take(places.end).skip(places.start) {
                    each.push(metric, time_ns, value).unwrap();
                }
                assert_eq!(whole.times, each.times);
                assert_eq!((whole.bits, whole.data), (each.bits, each.data));
                assert_eq!((whole.metrics, whole.kinds), (each.metrics, each.kinds));
            }
            let other = if kind == Kind::F64 { Kind::I64 } else { Kind::F64 };
            let other = db.define(Definition::new(Metric::new("car", "other"), other));
            if let Ok(other) = other {
                let mut batch = db.batch();
                assert!(batch.push_block(other, &block, 0..3).is_err() && batch.is_empty());
            }
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config::with_cases(48))]

        /// Records of a metric that lie behind each other in a batch are taken at once, and are there as if they had come one
        /// by one: late ones, those of a time that was there, of other windows, at the ends of time.
        #[test]
        fn records_in_one_batch_are_those_in_many(
            records in proptest::collection::vec((0..3_usize, 0..7_i64, 0..40_i64, 0..1_000_i64), 1..300),
        ) {
            let directory = tempfile::tempdir().unwrap();
            let open = |name: &str| Db::open(directory.path().join(name), Options::default()).unwrap();
            let (whole, each) = (open("whole"), open("each"));
            let kinds = [Kind::F64, Kind::I64, Kind::Text];
            let define = |db: &Db| {
                kinds.map(|kind| {
                    let metric = Metric::new("car", kind.to_string());
                    db.define(Definition::new(metric, kind).window_ns(60_000_000_000)).unwrap()
                })
            };
            let (of_whole, of_each) = (define(&whole), define(&each));
            let mut batch = whole.batch();
            for (metric, window, second, number) in records {
                let time_ns = match window {
                    5 => i64::MIN + second,
                    6 => i64::MAX - second,
                    window => (window * 60 + second) * 1_000_000_000,
                };
                let value = match kinds[metric] {
                    Kind::F64 => Value::F64(number as f64 / 7.0),
                    Kind::I64 => Value::I64(number),
                    _ => Value::Text(number.to_string()),
                };
                batch.push(of_whole[metric], time_ns, value.as_ref()).unwrap();
                let mut one = each.batch();
                one.push(of_each[metric], time_ns, value.as_ref()).unwrap();
                each.write(&one, crate::Durability::Buffered).unwrap();
            }
            whole.write(&batch, crate::Durability::Buffered).unwrap();
            for (metric, other) in of_whole.into_iter().zip(of_each) {
                let read = |db: &Db, metric| {
                    let blocks = db.scan(metric, ..).unwrap();
                    blocks.map(|block| block.unwrap()).collect::<Vec<_>>()
                };
                proptest::prop_assert_eq!(read(&whole, metric), read(&each, other));
            }
        }
    }
}

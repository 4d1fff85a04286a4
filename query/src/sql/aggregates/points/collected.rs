//! The points of a group, held until all have come.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, Float64Array, Int64Array, ListArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{
    DataType, Field, Float64Type, Int64Type, TimestampNanosecondType, UInt64Type,
};
use arrow::row::{RowConverter, Rows, SortField};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::Accumulator;

use super::Way;
use crate::ways::Shares;

/// What tells a metric from others.
type Key = Box<[u8]>;

/// The points of each metric of a group.
#[derive(Debug)]
pub(super) struct Collected {
    /// The way at its beginning.
    fresh: Way,
    places: HashMap<Key, usize>,
    metrics: Vec<(Key, Vec<(i64, f64)>)>,
    /// Where the last point went: most follow one of the same metric.
    current: usize,
    bytes: usize,
}

impl Collected {
    /// The parts of a partial state: the metrics, how many points each has, and their points.
    pub(super) const STATE: [(&'static str, DataType); 4] = [
        ("metrics", DataType::Binary),
        ("counts", DataType::Int64),
        ("times", DataType::Int64),
        ("values", DataType::Float64),
    ];

    pub(super) fn new(fresh: Way) -> Self {
        let (places, metrics) = (HashMap::new(), Vec::new());
        Self { fresh, places, metrics, current: 0, bytes: 0 }
    }

    /// The points of a metric, which from now on is the current one.
    fn of(&mut self, key: &[u8]) -> &mut Vec<(i64, f64)> {
        if self.metrics.get(self.current).is_none_or(|(current, _)| **current != *key) {
            self.current = match self.places.get(key) {
                Some(place) => *place,
                None => {
                    self.places.insert(key.into(), self.metrics.len());
                    self.metrics.push((key.into(), Vec::new()));
                    let entry = size_of::<(Key, usize)>() + size_of::<(Key, Vec<(i64, f64)>)>();
                    self.bytes += 2 * (entry + key.len());
                    self.metrics.len() - 1
                }
            };
        }
        &mut self.metrics[self.current].1
    }

    fn extend(&mut self, key: &[u8], points: impl Iterator<Item = (i64, f64)>) {
        let all = self.of(key);
        let before = all.capacity();
        all.extend(points);
        let grown = all.capacity() - before;
        self.bytes += grown * size_of::<(i64, f64)>();
    }

    fn result(&mut self) -> Option<f64> {
        // Sums of floats are not to depend on which metric came first.
        self.metrics.sort_by(|(one, _), (other, _)| one.cmp(other));
        self.places.clear();
        let numbered = self.metrics.iter().enumerate();
        self.places.extend(numbered.map(|(place, (key, _))| (key.clone(), place)));
        let mut shares = Shares::default();
        for (_, points) in &mut self.metrics {
            // A stable sort of what is mostly sorted already; equal times keep the order they came in.
            points.sort_by_key(|(time_ns, _)| *time_ns);
            let mut way = self.fresh;
            points.iter().for_each(|(time_ns, value)| way.add(*time_ns, *value));
            shares.extend(way.share());
        }
        shares.value()
    }
}

/// What the columns of keys say of each row.
enum Keys<'a> {
    /// All rows are of one metric.
    One,
    /// The numbers of metrics.
    Numbers(&'a arrow::array::UInt64Array),
    /// Rows of anything else.
    Rows(Rows),
}

impl<'a> Keys<'a> {
    fn new(columns: &'a [ArrayRef]) -> Result<Self> {
        match columns {
            [] => return Ok(Self::One),
            [column] if *column.data_type() == DataType::UInt64 => {
                return Ok(Self::Numbers(column.as_primitive::<UInt64Type>()));
            }
            _ => {}
        }
        let fields = columns.iter().map(|column| SortField::new(column.data_type().clone()));
        Ok(Self::Rows(RowConverter::new(fields.collect())?.convert_columns(columns)?))
    }

    fn with<T>(&self, row: usize, use_key: impl FnOnce(&[u8]) -> T) -> T {
        match self {
            Self::One => use_key(&[]),
            Self::Numbers(numbers) if numbers.is_null(row) => use_key(&[]),
            Self::Numbers(numbers) => use_key(&numbers.value(row).to_be_bytes()),
            Self::Rows(rows) => use_key(rows.row(row).data()),
        }
    }
}

/// A list of one value: itself a list.
fn list(items: ArrayRef) -> ScalarValue {
    let field = Arc::new(Field::new_list_field(items.data_type().clone(), true));
    let offsets = OffsetBuffer::from_lengths([items.len()]);
    ScalarValue::List(Arc::new(ListArray::new(field, offsets, items, None)))
}

impl Accumulator for Collected {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let [values, times, keys @ ..] = values else { return Ok(()) };
        let keys = Keys::new(keys)?;
        let values = values.as_primitive::<Float64Type>();
        let times = times.as_primitive::<TimestampNanosecondType>();
        for (row, (time_ns, value)) in times.values().iter().zip(values.values()).enumerate() {
            if times.is_valid(row) && values.is_valid(row) {
                keys.with(row, |key| self.extend(key, std::iter::once((*time_ns, *value))));
            }
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Float64(self.result()))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.bytes
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let points = || self.metrics.iter().flat_map(|(_, points)| points);
        let counts = self.metrics.iter().map(|(_, points)| points.len() as i64);
        Ok(vec![
            list(Arc::new(BinaryArray::from_iter_values(self.metrics.iter().map(|(key, _)| key)))),
            list(Arc::new(Int64Array::from_iter_values(counts))),
            list(Arc::new(Int64Array::from_iter_values(points().map(|(time_ns, _)| *time_ns)))),
            list(Arc::new(Float64Array::from_iter_values(points().map(|(_, value)| *value)))),
        ])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [keys, counts, times, values] = states else {
            return exec_err!("partial points of another shape");
        };
        let lists = [keys, counts, times, values].map(|column| column.as_list::<i32>());
        for row in 0..keys.len() {
            if lists.iter().any(|list| list.is_null(row)) {
                continue;
            }
            let [keys, counts, times, values] = lists.map(|list| list.value(row));
            let (keys, counts) = (keys.as_binary::<i32>(), counts.as_primitive::<Int64Type>());
            let (times, values) =
                (times.as_primitive::<Int64Type>(), values.as_primitive::<Float64Type>());
            let mut points = times.values().iter().copied().zip(values.values().iter().copied());
            for (key, count) in keys.iter().zip(counts.values()) {
                let count = usize::try_from(*count).unwrap_or(0);
                self.extend(key.unwrap_or_default(), points.by_ref().take(count));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Method, Path};
    use super::*;

    fn result(path: Path, method: Method, metrics: &[&[(i64, f64)]]) -> Option<f64> {
        let mut all = Collected::new(Way::new(path, method));
        for (key, points) in metrics.iter().enumerate() {
            let points = points.iter().map(|(second, value)| (second * 1_000_000_000, *value));
            all.extend(&[key as u8], points);
        }
        // By way of a partial state, as where a group is spread over partitions.
        let state = all.state().unwrap_or_default();
        let state: Vec<ArrayRef> = state.iter().flat_map(ScalarValue::to_array).collect();
        let mut merged = Collected::new(Way::new(path, method));
        assert!(merged.merge_batch(&state).is_ok());
        let merged = merged.result();
        assert_eq!(merged, all.result());
        merged
    }

    #[test]
    fn a_fall_of_a_counter_is_a_reset_and_order_does_not_matter() {
        let points = &[&[(20, 5.0), (0, 10.0), (10, 30.0), (30, 6.0)][..]];
        assert_eq!(result(Path::Increase, Method::Locf, points), Some(26.0));
        assert_eq!(result(Path::Rate, Method::Locf, points), Some(26.0 / 30.0));
        assert_eq!(result(Path::Delta, Method::Locf, points), Some(-4.0));
    }

    #[test]
    fn values_weigh_as_long_as_they_stand() {
        let points = &[&[(0, 10.0), (1, 20.0), (10, 0.0)][..]];
        assert_eq!(result(Path::Weighted, Method::Locf, points), Some(19.0));
        assert_eq!(result(Path::Weighted, Method::Linear, points), Some(10.5));
        assert_eq!(result(Path::Weighted, Method::Locf, &[&[(5, 3.0)]]), Some(3.0));
    }

    #[test]
    fn metrics_are_taken_by_themselves() {
        let both: &[&[(i64, f64)]] = &[&[(0, 100.0), (10, 110.0)], &[(5, 1.0), (25, 21.0)]];
        assert_eq!(result(Path::Increase, Method::Locf, both), Some(30.0));
        assert_eq!(result(Path::Rate, Method::Locf, both), Some(2.0));
        assert_eq!(result(Path::Delta, Method::Locf, both), Some(30.0));
        assert_eq!(result(Path::Weighted, Method::Locf, both), Some(34.0));
    }

    #[test]
    fn one_point_has_no_way() {
        for path in [Path::Increase, Path::Rate, Path::Delta] {
            assert_eq!(result(path, Method::Locf, &[&[(0, 1.0)]]), None);
        }
        assert_eq!(result(Path::Weighted, Method::Locf, &[]), None);
    }
}

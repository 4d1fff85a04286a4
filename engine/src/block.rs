//! Blocks: records of one metric as two columns, rising in time.

use crate::model::{Column, Kind, ValueRef};

/// Records of one metric, strictly rising in time.
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    times: Vec<i64>,
    values: Column,
}

impl Block {
    /// No records.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self { times: Vec::new(), values: Column::new(kind) }
    }

    /// Two columns of the same length, the times strictly rising.
    pub(crate) fn from_columns(times: Vec<i64>, values: Column) -> Self {
        debug_assert_eq!(times.len(), values.len());
        debug_assert!(times.is_sorted_by(|a, b| a < b));
        Self { times, values }
    }

    /// Two columns as records; `None` where they differ in length, the times do not strictly rise, or a text is
    /// none.
    #[must_use]
    pub fn of_columns(times: Vec<i64>, values: Column) -> Option<Self> {
        let fits = times.len() == values.len() && times.is_sorted_by(|a, b| a < b);
        (fits && values.texts_are_whole()).then_some(Self { times, values })
    }

    /// The times in nanoseconds since the epoch, strictly rising.
    #[must_use]
    pub fn times(&self) -> &[i64] {
        &self.times
    }

    /// The values, as many as times.
    #[must_use]
    pub const fn values(&self) -> &Column {
        &self.values
    }

    /// How many records there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// The records one by one.
    pub fn iter(&self) -> impl Iterator<Item = (i64, ValueRef<'_>)> {
        self.times.iter().copied().zip(self.values.iter())
    }

    /// The columns themselves.
    #[must_use]
    pub fn into_columns(self) -> (Vec<i64>, Column) {
        (self.times, self.values)
    }

    /// About how much memory the records take: bytes.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        size_of_val(&self.times[..]) + self.values.size_bytes()
    }

    /// About how much memory one value takes: bytes.
    pub(crate) fn value_bytes(&self, index: usize) -> usize {
        match &self.values {
            Column::Text(values) | Column::Bytes(values) => {
                values.bytes(index).map_or(0, <[u8]>::len) + size_of::<usize>()
            }
            _ => size_of::<u64>(),
        }
    }

    pub(crate) fn first_time(&self) -> Option<i64> {
        self.times.first().copied()
    }

    pub(crate) fn last_time(&self) -> Option<i64> {
        self.times.last().copied()
    }

    /// Adds records `range` of a block of the same kind that are all later than those here.
    pub(crate) fn extend_from(&mut self, other: &Self, range: std::ops::Range<usize>) {
        self.times.extend_from_slice(&other.times[range.clone()]);
        let same_kind = self.values.extend_from(&other.values, range);
        debug_assert!(same_kind);
    }

    /// Keeps the records from `from_ns` to `to_ns`, both included.
    pub(crate) fn clip(&mut self, from_ns: i64, to_ns: i64) {
        let start = self.times.partition_point(|time| *time < from_ns);
        let end = self.times.partition_point(|time| *time <= to_ns);
        if start == 0 && end == self.times.len() {
            return;
        }
        *self = self.part(start..end.max(start));
    }

    /// Removes the records from `from_ns` to `to_ns`, both included.
    pub(crate) fn cut_out(&mut self, from_ns: i64, to_ns: i64) {
        let start = self.times.partition_point(|time| *time < from_ns);
        let end = self.times.partition_point(|time| *time <= to_ns);
        if start >= end {
            return;
        }
        let mut rest = self.part(0..start);
        rest.extend_from(self, end..self.len());
        *self = rest;
    }

    /// A copy of some of the records.
    pub(crate) fn part(&self, range: std::ops::Range<usize>) -> Self {
        let mut part = Self::new(self.values.kind());
        part.extend_from(self, range);
        part
    }

    /// Both blocks' records; where both have a time, that of `newer` stays.
    pub(crate) fn merge(older: Self, newer: Self) -> Self {
        let (Some(older_last), Some(newer_first)) = (older.last_time(), newer.first_time()) else {
            return if older.is_empty() { newer } else { older };
        };
        if older_last < newer_first {
            let mut merged = older;
            merged.extend_from(&newer, 0..newer.len());
            return merged;
        }
        let mut merged = Self::new(older.values.kind());
        let (mut left, mut right) = (0, 0);
        while left < older.len() && right < newer.len() {
            let limit = newer.times[right];
            let end = left + older.times[left..].partition_point(|time| *time < limit);
            merged.extend_from(&older, left..end);
            left = end;
            if older.times.get(left) == Some(&limit) {
                left += 1;
            }
            let limit = older.times.get(left).copied().unwrap_or(i64::MAX);
            let mut end = right + 1;
            while end < newer.len() && (newer.times[end] < limit || left == older.len()) {
                end += 1;
            }
            merged.extend_from(&newer, right..end);
            right = end;
        }
        merged.extend_from(&older, left..older.len());
        merged.extend_from(&newer, right..newer.len());
        merged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(records: &[(i64, i64)]) -> Block {
        let times = records.iter().map(|(time, _)| *time).collect();
        let values = records.iter().map(|(_, value)| *value).collect();
        Block::from_columns(times, Column::I64(values))
    }

    #[test]
    fn merging_keeps_the_newer_record_of_a_time() {
        let older = [(1, 10), (2, 20), (3, 30), (7, 70)];
        let newer = [(0, 1), (2, 2), (3, 3), (8, 8)];
        let merged = Block::merge(block(&older), block(&newer));
        assert_eq!(merged, block(&[(0, 1), (1, 10), (2, 2), (3, 3), (7, 70), (8, 8)]));
        assert_eq!(Block::merge(block(&older), block(&[])), block(&older));
        assert_eq!(Block::merge(block(&[]), block(&newer)), block(&newer));
        assert_eq!(Block::merge(block(&[(5, 1)]), block(&[(5, 2)])), block(&[(5, 2)]));
    }

    #[test]
    fn the_last_nanosecond_is_an_ordinary_time() {
        let merged = Block::merge(block(&[(i64::MAX, 1)]), block(&[(i64::MIN, 2), (i64::MAX, 3)]));
        assert_eq!(merged, block(&[(i64::MIN, 2), (i64::MAX, 3)]));
    }

    #[test]
    fn clipping_and_cutting_include_both_ends() {
        let mut clipped = block(&[(1, 1), (2, 2), (3, 3), (4, 4)]);
        let mut cut = clipped.clone();
        clipped.clip(2, 3);
        cut.cut_out(2, 3);
        assert_eq!(clipped, block(&[(2, 2), (3, 3)]));
        assert_eq!(cut, block(&[(1, 1), (4, 4)]));
    }
}

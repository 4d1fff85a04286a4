//! Partial aggregates: what is known of a bucket so far.

use std::cmp::Ordering;
use std::ops::Range;

use crate::batch::bits_value;
use crate::chunk::{Statistics, Sum};
use crate::model::{Column, Kind, Value, ValueRef};
use crate::sum::FloatSum;

use super::{Aggregated, Function, Needs};

/// What is known of a bucket: enough for every function that was asked for, and mergeable.
///
/// Those who aggregate as records come keep one for each bucket: [`Partial::add`] takes records in
/// the order of time, [`Partial::merge`] what is known of other metrics.
#[derive(Debug, Clone)]
pub struct Partial {
    /// The kind of all values; `None` where metrics of several kinds were merged.
    pub(super) kind: Option<Kind>,
    pub(super) count: u64,
    /// Floats and integers by themselves, each in its own arithmetic, so that nothing of either is
    /// rounded before all are known.
    pub(super) floats: Option<Floats>,
    pub(super) integers: Option<Integers>,
    pub(super) first: Option<(i64, Value)>,
    pub(super) last: Option<(i64, Value)>,
    pub(super) spread: Spread,
}

/// Bounds and sum of floats.
#[derive(Debug, Clone, Copy)]
pub(super) struct Floats {
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) sum: FloatSum,
}

impl Floats {
    fn new() -> Self {
        Self { min: f64::INFINITY, max: f64::NEG_INFINITY, sum: FloatSum::default() }
    }

    fn bound(&mut self, low: f64, high: f64) {
        // `min` and `max` prefer the number where one side is NaN.
        (self.min, self.max) = (self.min.min(low), self.max.max(high));
    }
}

/// Bounds and sum of integers, and of flags as 0 and 1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Integers {
    pub(super) min: i128,
    pub(super) max: i128,
    pub(super) sum: i128,
}

impl Integers {
    fn new() -> Self {
        Self { min: i128::MAX, max: i128::MIN, sum: 0 }
    }

    fn bound(&mut self, low: i128, high: i128) {
        (self.min, self.max) = (self.min.min(low), self.max.max(high));
    }
}

/// Mean and squared deviations (Chan, Golub, LeVeque 1979). The mean is that far from an integer
/// that is kept exactly, since the deviations of large integers are lost where they are floats.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Spread {
    pub(super) count: f64,
    pub(super) pivot: i128,
    pub(super) mean: f64,
    pub(super) squares: f64,
}

impl Spread {
    fn of_integers(values: impl Iterator<Item = i128> + Clone) -> Self {
        let pivot = values.clone().next().unwrap_or(0);
        Self { pivot, ..Self::of(values.map(|value| (value - pivot) as f64)) }
    }

    fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        let (mut sum, mut count) = (FloatSum::default(), 0.0);
        for value in values.clone() {
            sum.add(value);
            count += 1.0;
        }
        let mean = sum.value() / count;
        let mut squares = FloatSum::default();
        values.for_each(|value| squares.add((value - mean) * (value - mean)));
        Self { count, pivot: 0, mean, squares: squares.value() }
    }

    fn merge(&mut self, other: Self) {
        if other.count == 0.0 || self.count == 0.0 {
            if self.count == 0.0 {
                *self = other;
            }
            return;
        }
        let count = self.count + other.count;
        let delta = (other.pivot - self.pivot) as f64 + (other.mean - self.mean);
        self.mean += delta * other.count / count;
        self.squares += other.squares + delta * delta * self.count * other.count / count;
        self.count = count;
    }
}

impl Partial {
    /// What is known of no records of a kind.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self::of_kind(Some(kind))
    }

    pub(super) fn of_kind(kind: Option<Kind>) -> Self {
        let is_integer = matches!(kind, Some(Kind::I64 | Kind::U64 | Kind::Bool));
        Self {
            kind,
            count: 0,
            floats: (kind == Some(Kind::F64)).then(Floats::new),
            integers: is_integer.then(Integers::new),
            first: None,
            last: None,
            spread: Spread::default(),
        }
    }

    /// How many records it has seen.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The times of the first and of the last record, nanoseconds since the epoch.
    #[must_use]
    pub fn span(&self) -> Option<(i64, i64)> {
        Some((self.first.as_ref()?.0, self.last.as_ref()?.0))
    }

    /// Adds a record that is later than all that were added before, for every function. A value of
    /// another kind than the partial's is not taken.
    pub fn add(&mut self, time_ns: i64, value: ValueRef<'_>) {
        if self.kind != Some(value.kind()) {
            return;
        }
        self.count += 1;
        if self.first.is_none() {
            self.first = Some((time_ns, value.to_value()));
        }
        self.last = Some((time_ns, value.to_value()));
        let integer = match value {
            ValueRef::F64(value) => {
                if let Some(floats) = &mut self.floats {
                    floats.sum.add(value);
                    floats.bound(value, value);
                }
                self.spread.merge(Spread { count: 1.0, pivot: 0, mean: value, squares: 0.0 });
                return;
            }
            ValueRef::I64(value) => value.into(),
            ValueRef::U64(value) => value.into(),
            ValueRef::Bool(value) => i128::from(value),
            ValueRef::Text(_) | ValueRef::Bytes(_) | ValueRef::Blob(_) => return,
        };
        if let Some(integers) = &mut self.integers {
            integers.sum += integer;
            integers.bound(integer, integer);
        }
        self.spread.merge(Spread { count: 1.0, pivot: integer, mean: 0.0, squares: 0.0 });
    }

    /// Adds a whole chunk from its statistics; it must be later than all that was added before.
    pub(crate) fn add_statistics(
        &mut self,
        statistics: &Statistics,
        count: u64,
        first_ns: i64,
        last_ns: i64,
    ) {
        self.count += count;
        let Some(kind) = self.kind else { return };
        let (min, max) = (statistics.min_bits, statistics.max_bits);
        match statistics.sum {
            Sum::Float { rounded, rest } => {
                let floats = self.floats.get_or_insert_with(Floats::new);
                floats.bound(f64::from_bits(min), f64::from_bits(max));
                floats.sum.merge(&FloatSum::of_parts(rounded, rest));
            }
            Sum::Integer(added) => {
                let integers = self.integers.get_or_insert_with(Integers::new);
                integers.bound(wide(kind, min), wide(kind, max));
                integers.sum += added;
            }
        }
        let value = |bits| bits_value(kind, bits).map(|value| value.to_value());
        let (first, last) = (value(statistics.first_bits), value(statistics.last_bits));
        self.first = self.first.take().or(first.map(|first| (first_ns, first)));
        self.last = last.map(|last| (last_ns, last));
    }

    /// Adds values `range` of a column, which must be later than all that was added before; the
    /// first and last of them have the times `ends_ns`.
    pub(crate) fn add_values(
        &mut self,
        values: &Column,
        range: Range<usize>,
        needs: Needs,
        ends_ns: (i64, i64),
    ) {
        let Some(last) = range.end.checked_sub(1).filter(|last| range.start <= *last) else {
            return;
        };
        self.count += range.len() as u64;
        if needs.ends {
            let value = |index| values.get(index).map(|value| value.to_value());
            if self.first.is_none() {
                self.first = value(range.start).map(|value| (ends_ns.0, value));
            }
            self.last = value(last).map(|value| (ends_ns.1, value));
        }
        match values {
            Column::F64(values) => self.add_floats(&values[range], needs),
            Column::I64(values) => self.add_integers(&values[range], needs),
            Column::U64(values) => self.add_integers(&values[range], needs),
            Column::Bool(values) => self.add_integers(&values[range], needs),
            Column::Text(_) | Column::Bytes(_) => {}
        }
    }

    fn add_floats(&mut self, values: &[f64], needs: Needs) {
        let Some(floats) = &mut self.floats else { return };
        if needs.sum {
            floats.sum.add_all(values);
        }
        if needs.bounds {
            let (low, high) = bounds(values);
            floats.bound(low, high);
        }
        if needs.variance {
            self.spread.merge(Spread::of(values.iter().copied()));
        }
    }

    fn add_integers<T: Copy + Ord + Into<i128>>(&mut self, values: &[T], needs: Needs) {
        let Some(integers) = &mut self.integers else { return };
        if needs.sum {
            integers.sum += values.iter().map(|value| (*value).into()).sum::<i128>();
        }
        if needs.bounds
            && let (Some(low), Some(high)) = (values.iter().min(), values.iter().max())
        {
            integers.bound((*low).into(), (*high).into());
        }
        if needs.variance {
            self.spread.merge(Spread::of_integers(values.iter().map(|value| (*value).into())));
        }
    }

    /// Merges a partial of another metric, of any kind: times decide what is first and last.
    ///
    /// Of records that share a time the first is the one that was merged first, the last the one
    /// that was merged last.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.kind = self.kind.filter(|kind| other.kind == Some(*kind));
        if let Some(added) = &other.floats {
            let floats = self.floats.get_or_insert_with(Floats::new);
            floats.bound(added.min, added.max);
            floats.sum.merge(&added.sum);
        }
        if let Some(added) = &other.integers {
            let integers = self.integers.get_or_insert_with(Integers::new);
            integers.bound(added.min, added.max);
            integers.sum += added.sum;
        }
        self.spread.merge(other.spread);
        if let Some((time_ns, value)) = &other.first
            && self.first.as_ref().is_none_or(|(earliest, _)| time_ns < earliest)
        {
            self.first = Some((*time_ns, value.clone()));
        }
        if let Some((time_ns, value)) = &other.last
            && self.last.as_ref().is_none_or(|(latest, _)| time_ns >= latest)
        {
            self.last = Some((*time_ns, value.clone()));
        }
    }

    /// The value of a function; `None` where it has none (a deviation of one record, a bound of
    /// nothing but NaNs).
    #[must_use]
    pub fn value(&self, function: Function) -> Option<Aggregated> {
        let count = self.count as f64;
        match function {
            Function::Count => Some(Aggregated::Integer(self.count.into())),
            Function::Sum => self.sum(),
            Function::Avg => Some(Aggregated::Float(match self.sum()? {
                Aggregated::Integer(sum) => sum as f64 / count,
                Aggregated::Float(sum) => sum / count,
                Aggregated::Value(_) => return None,
            })),
            Function::Min => {
                self.bound(|floats| floats.min, |integers| integers.min, Ordering::Less)
            }
            Function::Max => {
                self.bound(|floats| floats.max, |integers| integers.max, Ordering::Greater)
            }
            Function::First => self.first.clone().map(|(_, value)| Aggregated::Value(value)),
            Function::Last => self.last.clone().map(|(_, value)| Aggregated::Value(value)),
            Function::Stddev => {
                let spread = &self.spread;
                (spread.count > 1.0)
                    .then(|| Aggregated::Float((spread.squares / (spread.count - 1.0)).sqrt()))
            }
        }
    }

    /// Of integers exact; where floats are among them a float that is rounded once, at the end.
    fn sum(&self) -> Option<Aggregated> {
        match (&self.floats, &self.integers) {
            (None, None) => None,
            (None, Some(integers)) => Some(Aggregated::Integer(integers.sum)),
            (Some(floats), integers) => {
                let mut sum = floats.sum;
                sum.add_integer(integers.map_or(0, |integers| integers.sum));
                Some(Aggregated::Float(sum.value()))
            }
        }
    }

    /// The least or the greatest: whichever of the best float and the best integer is `better`.
    fn bound(
        &self,
        float: impl Fn(&Floats) -> f64,
        integer: impl Fn(&Integers) -> i128,
        better: Ordering,
    ) -> Option<Aggregated> {
        let float = self.floats.filter(|floats| floats.min <= floats.max).map(|f| float(&f));
        let integer = self.integers.filter(|i| i.min <= i.max).map(|i| integer(&i));
        let integer = match (float, integer) {
            (Some(float), Some(integer)) if compare(integer, float) != better => None,
            (_, integer) => integer,
        };
        let Some(integer) = integer else {
            return float.map(|float| Aggregated::Value(Value::F64(float)));
        };
        Some(Aggregated::Value(match self.kind {
            Some(Kind::I64) => Value::I64(i64::try_from(integer).ok()?),
            Some(Kind::U64) => Value::U64(u64::try_from(integer).ok()?),
            Some(Kind::Bool) => Value::Bool(integer != 0),
            _ => return Some(Aggregated::Integer(integer)),
        }))
    }
}

/// Compares without rounding; the float is not NaN.
fn compare(integer: i128, float: f64) -> Ordering {
    let rounded = integer as f64;
    match rounded.partial_cmp(&float) {
        // An integer that rounds to the float: of that size a float is an integer.
        Some(Ordering::Equal) | None => integer.cmp(&(float as i128)),
        Some(order) => order,
    }
}

/// A value's bits as a number of its kind.
fn wide(kind: Kind, bits: u64) -> i128 {
    match kind {
        Kind::I64 => (bits as i64).into(),
        _ => bits.into(),
    }
}

/// Least and greatest of some floats without the NaNs; infinities the wrong way round where there
/// are no others.
fn bounds(values: &[f64]) -> (f64, f64) {
    let (chunks, rest) = values.as_chunks::<8>();
    let (mut low, mut high) = ([f64::INFINITY; 8], [f64::NEG_INFINITY; 8]);
    // A comparison with NaN is false, so that NaNs are never taken.
    let mut take = |lane: usize, value: f64| {
        low[lane] = if value < low[lane] { value } else { low[lane] };
        high[lane] = if value > high[lane] { value } else { high[lane] };
    };
    for chunk in chunks {
        for (lane, value) in chunk.iter().enumerate() {
            take(lane, *value);
        }
    }
    rest.iter().for_each(|value| take(0, *value));
    let low = low.into_iter().fold(f64::INFINITY, f64::min);
    (low, high.into_iter().fold(f64::NEG_INFINITY, f64::max))
}

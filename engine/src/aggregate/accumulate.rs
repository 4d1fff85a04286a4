//! Partial aggregates: what is known of a bucket so far.

use std::ops::Range;

use crate::batch::bits_value;
use crate::chunk::{Statistics, Sum};
use crate::model::{Column, Kind, Value};
use crate::sum::FloatSum;

use super::{Aggregated, Function, Needs};

/// What is known of a bucket: enough for every function that was asked for, and mergeable.
#[derive(Debug, Clone)]
pub(crate) struct Partial {
    kind: Kind,
    count: u64,
    numbers: Numbers,
    first: Option<(i64, Value)>,
    last: Option<(i64, Value)>,
    spread: Spread,
}

/// Bounds and sum, in the arithmetic of the kind.
#[derive(Debug, Clone)]
enum Numbers {
    Float { min: f64, max: f64, sum: FloatSum },
    Integer { min: i128, max: i128, sum: i128 },
}

/// Mean and squared deviations (Chan, Golub, LeVeque 1979).
#[derive(Debug, Clone, Copy, Default)]
struct Spread {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Spread {
    fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        let (mut sum, mut count) = (FloatSum::default(), 0.0);
        for value in values.clone() {
            sum.add(value);
            count += 1.0;
        }
        let mean = sum.value() / count;
        let mut squares = FloatSum::default();
        values.for_each(|value| squares.add((value - mean) * (value - mean)));
        Self { count, mean, squares: squares.value() }
    }

    fn merge(&mut self, other: Self) {
        if other.count == 0.0 || self.count == 0.0 {
            if self.count == 0.0 {
                *self = other;
            }
            return;
        }
        let count = self.count + other.count;
        let delta = other.mean - self.mean;
        self.mean += delta * other.count / count;
        self.squares += other.squares + delta * delta * self.count * other.count / count;
        self.count = count;
    }
}

impl Partial {
    pub(crate) fn new(kind: Kind) -> Self {
        let numbers = match kind {
            Kind::F64 => Numbers::Float {
                min: f64::INFINITY,
                max: f64::NEG_INFINITY,
                sum: FloatSum::default(),
            },
            _ => Numbers::Integer { min: i128::MAX, max: i128::MIN, sum: 0 },
        };
        Self { kind, count: 0, numbers, first: None, last: None, spread: Spread::default() }
    }

    pub(crate) const fn count(&self) -> u64 {
        self.count
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
        match (&mut self.numbers, statistics.sum) {
            (Numbers::Float { min, max, sum }, Sum::Float(added)) => {
                // `min` and `max` prefer the number where one side is NaN.
                *min = min.min(f64::from_bits(statistics.min_bits));
                *max = max.max(f64::from_bits(statistics.max_bits));
                sum.add(added);
            }
            (Numbers::Integer { min, max, sum }, Sum::Integer(added)) => {
                *min = (*min).min(wide(self.kind, statistics.min_bits));
                *max = (*max).max(wide(self.kind, statistics.max_bits));
                *sum += added;
            }
            _ => {}
        }
        let value = |bits| bits_value(self.kind, bits).map(|value| value.to_value());
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
            Column::I64(values) => self.add_integers(&values[range], needs, |value| value as f64),
            Column::U64(values) => self.add_integers(&values[range], needs, |value| value as f64),
            Column::Bool(values) => {
                self.add_integers(&values[range], needs, |value| f64::from(u8::from(value)));
            }
            Column::Text(_) | Column::Bytes(_) => {}
        }
    }

    fn add_floats(&mut self, values: &[f64], needs: Needs) {
        let Numbers::Float { min, max, sum } = &mut self.numbers else { return };
        if needs.sum {
            sum.add_all(values);
        }
        if needs.bounds {
            let (low, high) = bounds(values);
            *min = min.min(low);
            *max = max.max(high);
        }
        if needs.variance {
            self.spread.merge(Spread::of(values.iter().copied()));
        }
    }

    fn add_integers<T>(&mut self, values: &[T], needs: Needs, float: impl Fn(T) -> f64)
    where
        T: Copy + Ord + Into<i128>,
    {
        let Numbers::Integer { min, max, sum } = &mut self.numbers else { return };
        if needs.sum {
            *sum += values.iter().map(|value| (*value).into()).sum::<i128>();
        }
        if needs.bounds
            && let (Some(low), Some(high)) = (values.iter().min(), values.iter().max())
        {
            *min = (*min).min((*low).into());
            *max = (*max).max((*high).into());
        }
        if needs.variance {
            self.spread.merge(Spread::of(values.iter().map(|value| float(*value))));
        }
    }

    /// Merges a partial of another metric: times decide what is first and last.
    pub(crate) fn merge_unordered(&mut self, other: &Self) {
        self.count += other.count;
        match (&mut self.numbers, &other.numbers) {
            (
                Numbers::Float { min, max, sum },
                Numbers::Float { min: low, max: high, sum: added },
            ) => {
                *min = min.min(*low);
                *max = max.max(*high);
                sum.merge(added);
            }
            (
                Numbers::Integer { min, max, sum },
                Numbers::Integer { min: low, max: high, sum: added },
            ) => {
                *min = (*min).min(*low);
                *max = (*max).max(*high);
                *sum += added;
            }
            _ => {}
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

    /// The value of a function.
    pub(crate) fn value(&self, function: Function) -> Option<Aggregated> {
        let count = self.count as f64;
        match function {
            Function::Count => Some(Aggregated::Integer(self.count.into())),
            Function::Sum => Some(match &self.numbers {
                Numbers::Float { sum, .. } => Aggregated::Float(sum.value()),
                Numbers::Integer { sum, .. } => Aggregated::Integer(*sum),
            }),
            Function::Avg => Some(Aggregated::Float(match &self.numbers {
                Numbers::Float { sum, .. } => sum.value() / count,
                Numbers::Integer { sum, .. } => *sum as f64 / count,
            })),
            Function::Min => self.bound(|numbers| match numbers {
                Numbers::Float { min, .. } => Bound::Float(*min),
                Numbers::Integer { min, .. } => Bound::Integer(*min),
            }),
            Function::Max => self.bound(|numbers| match numbers {
                Numbers::Float { max, .. } => Bound::Float(*max),
                Numbers::Integer { max, .. } => Bound::Integer(*max),
            }),
            Function::First => self.first.clone().map(|(_, value)| Aggregated::Value(value)),
            Function::Last => self.last.clone().map(|(_, value)| Aggregated::Value(value)),
            Function::Stddev => {
                let spread = &self.spread;
                (spread.count > 1.0)
                    .then(|| Aggregated::Float((spread.squares / (spread.count - 1.0)).sqrt()))
            }
        }
    }

    fn bound(&self, choose: impl Fn(&Numbers) -> Bound) -> Option<Aggregated> {
        if let Numbers::Float { min, max, .. } = &self.numbers
            && min > max
        {
            return None;
        }
        Some(Aggregated::Value(match (choose(&self.numbers), self.kind) {
            (Bound::Float(value), _) => Value::F64(value),
            (Bound::Integer(value), Kind::I64) => Value::I64(i64::try_from(value).ok()?),
            (Bound::Integer(value), Kind::U64) => Value::U64(u64::try_from(value).ok()?),
            (Bound::Integer(value), Kind::Bool) => Value::Bool(value != 0),
            (Bound::Integer(_), _) => return None,
        }))
    }
}

enum Bound {
    Float(f64),
    Integer(i128),
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

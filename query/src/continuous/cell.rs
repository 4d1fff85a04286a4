//! Cells: what is known of one metric's records in one window.

use chronolith_engine::{Aggregated, Kind, Partial, ValueRef};

use super::bytes::{Bytes, put_bytes, put_f64, put_i64};
use super::statement::{Aggregate, Comparison, Number, Query, ValueCondition};
use crate::ways::{Share, Shares, Total, seconds};

/// What is known of one metric's records in one window: enough for all aggregates of a query.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    pub(super) partial: Partial,
    /// Only where some aggregate follows the way of values.
    path: Option<Path>,
}

/// The way of values through time.
#[derive(Debug, Clone, Copy)]
struct Path {
    first: (i64, f64),
    last: (i64, f64),
    increase: Total,
    /// Value times seconds, each value standing until the next.
    area: Total,
}

impl Path {
    fn new(time_ns: i64, value: f64) -> Self {
        let (increase, area) = (Total::default(), Total::default());
        Self { first: (time_ns, value), last: (time_ns, value), increase, area }
    }

    fn add(&mut self, time_ns: i64, value: f64) {
        let (before_ns, before) = self.last;
        self.increase.add(if value < before { value } else { value - before });
        self.area.add(before * seconds(before_ns, time_ns));
        self.last = (time_ns, value);
    }

    /// What the metric gives to the answer for its group; `None` where a single record has no way.
    fn share(&self, aggregate: Aggregate, count: u64) -> Option<Share> {
        let span = seconds(self.first.0, self.last.0);
        match aggregate {
            Aggregate::Plain(_) => None,
            Aggregate::TimeWeighted => {
                Some(Share::Stand { area: self.area, seconds: span, last: self.last.1 })
            }
            _ if count < 2 => None,
            Aggregate::Delta => Some(Share::Rise(self.last.1 - self.first.1)),
            Aggregate::Increase => Some(Share::Rise(self.increase.value())),
            Aggregate::Rate => (span > 0.0).then(|| Share::Rise(self.increase.value() / span)),
        }
    }
}

/// A function of ways over the metrics of a group.
fn along_ways<'a>(cells: impl Iterator<Item = &'a Cell>, aggregate: Aggregate) -> Option<f64> {
    let mut shares = Shares::default();
    shares.extend(cells.filter_map(|cell| cell.path?.share(aggregate, cell.partial.count())));
    shares.value()
}

/// What became of records that were to be added to a cell.
pub(super) struct Added {
    /// How many were.
    pub(super) count: u64,
    /// Whether some were not later than all before, so that the cell must be computed anew.
    pub(super) is_dirty: bool,
}

impl Query {
    /// Adds records of a cell's window that fulfil the conditions to it, in the order in which they
    /// were written.
    pub(super) fn add_all(&self, cell: &mut Cell, records: &[(i64, ValueRef<'_>)]) -> Added {
        let mut added = Added { count: 0, is_dirty: false };
        let needs_path = self.needs_path();
        let mut last_ns = cell.last_ns();
        for (time_ns, value) in records {
            if last_ns.is_some_and(|last_ns| *time_ns <= last_ns) {
                added.is_dirty = true;
            } else if self.conditions.hold(*value) {
                cell.add(*time_ns, *value, needs_path);
                last_ns = Some(*time_ns);
                added.count += 1;
            }
        }
        added
    }
}

/// A number as a float, as SQL takes it for the functions of ways.
fn float(value: ValueRef<'_>) -> Option<f64> {
    match value {
        ValueRef::F64(value) => Some(value),
        ValueRef::I64(value) => Some(value as f64),
        ValueRef::U64(value) => Some(value as f64),
        _ => None,
    }
}

impl Cell {
    pub(super) fn new(kind: Kind) -> Self {
        Self { partial: Partial::new(kind), path: None }
    }

    pub(super) const fn of_partial(partial: Partial) -> Self {
        Self { partial, path: None }
    }

    /// The time of the last record, nanoseconds since the epoch.
    pub(super) fn last_ns(&self) -> Option<i64> {
        self.partial.span().map(|(_, last_ns)| last_ns)
    }

    /// Adds a record that is later than all before.
    pub(super) fn add(&mut self, time_ns: i64, value: ValueRef<'_>, needs_path: bool) {
        self.partial.add(time_ns, value);
        if let Some(number) = float(value).filter(|_| needs_path) {
            match &mut self.path {
                Some(path) => path.add(time_ns, number),
                None => self.path = Some(Path::new(time_ns, number)),
            }
        }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let mut partial = Vec::new();
        self.partial.encode(&mut partial);
        put_bytes(out, &partial);
        let Some(path) = &self.path else { return out.push(0) };
        out.push(1);
        for (time_ns, value) in [path.first, path.last] {
            put_i64(out, time_ns);
            put_f64(out, value);
        }
        for sum in [path.increase, path.area] {
            put_f64(out, sum.sum);
            put_f64(out, sum.compensation);
        }
    }

    pub(super) fn decode(bytes: &mut Bytes<'_>) -> Result<Self, String> {
        let partial = Partial::decode(bytes.sized()?)?;
        let path = match bytes.u8()? {
            0 => None,
            1 => {
                let first = (bytes.i64()?, bytes.f64()?);
                let last = (bytes.i64()?, bytes.f64()?);
                let increase = Total { sum: bytes.f64()?, compensation: bytes.f64()? };
                let area = Total { sum: bytes.f64()?, compensation: bytes.f64()? };
                Some(Path { first, last, increase, area })
            }
            _ => return Err("neither a way nor none".to_owned()),
        };
        Ok(Self { partial, path })
    }
}

/// The value of an aggregate over the cells of a group's metrics, in the order of the metrics.
pub(super) fn aggregate<'a>(
    mut cells: impl Iterator<Item = &'a Cell>,
    aggregate: Aggregate,
) -> Option<Aggregated> {
    let Aggregate::Plain(function) = aggregate else {
        return along_ways(cells, aggregate).map(Aggregated::Float);
    };
    let first = cells.next()?;
    let Some(second) = cells.next() else { return first.partial.value(function) };
    let mut merged = first.partial.clone();
    merged.merge(&second.partial);
    cells.for_each(|cell| merged.merge(&cell.partial));
    merged.value(function)
}

impl ValueCondition {
    /// Whether a value fulfils the condition, compared without rounding. What is no number does
    /// not, and NaN is greater than all numbers, as in SQL.
    pub(super) fn holds(&self, value: ValueRef<'_>) -> bool {
        use std::cmp::Ordering::{Equal, Greater, Less};
        let order = match (value, self.constant) {
            (ValueRef::F64(value), _) if value.is_nan() => Greater,
            (ValueRef::F64(value), Number::Float(constant)) => {
                value.partial_cmp(&constant).unwrap_or(Less)
            }
            (ValueRef::F64(value), Number::Integer(constant)) => compare(constant, value).reverse(),
            (ValueRef::I64(value), constant) => integer(value.into(), constant),
            (ValueRef::U64(value), constant) => integer(value.into(), constant),
            (ValueRef::Bool(value), constant) => integer(value.into(), constant),
            _ => return false,
        };
        match self.comparison {
            Comparison::Less => order == Less,
            Comparison::LessOrEqual => order != Greater,
            Comparison::Equal => order == Equal,
            Comparison::NotEqual => order != Equal,
            Comparison::GreaterOrEqual => order != Less,
            Comparison::Greater => order == Greater,
        }
    }
}

fn integer(value: i128, constant: Number) -> std::cmp::Ordering {
    match constant {
        Number::Integer(constant) => value.cmp(&constant),
        Number::Float(constant) => compare(value, constant),
    }
}

/// Compares an integer with a float that is not NaN, without rounding.
fn compare(integer: i128, float: f64) -> std::cmp::Ordering {
    match (integer as f64).partial_cmp(&float) {
        // An integer that rounds to the float: of that size a float is an integer.
        Some(std::cmp::Ordering::Equal) | None => integer.cmp(&(float as i128)),
        Some(order) => order,
    }
}

//! The answer by the plainest means: all records in a map, every window computed from all of them.

use std::collections::BTreeMap;

use chronolith_engine::{Db, Kind, Match, Selector, Value, ValueRef};
use chronolith_query::continuous::Row;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

pub(crate) const SECOND_NS: i64 = 1_000_000_000;

/// How windows are cut, as a statement says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    Tumbling { seconds: i64 },
    Days(&'static str),
    Months(&'static str),
    Hopping { size: i64, every: i64 },
    Session { seconds: i64 },
}

impl Cut {
    pub(crate) const ALL: [Self; 7] = [
        Self::Tumbling { seconds: 10 },
        Self::Tumbling { seconds: 3_600 },
        Self::Days("Europe/Berlin"),
        Self::Months("America/New_York"),
        Self::Hopping { size: 30, every: 10 },
        Self::Hopping { size: 25, every: 10 },
        Self::Session { seconds: 7 },
    ];

    pub(crate) fn sql(self) -> String {
        match self {
            Self::Tumbling { seconds } => format!("time_bucket('{seconds}s', time)"),
            Self::Days(zone) => format!("time_bucket('1d', time, '{zone}')"),
            Self::Months(zone) => format!("time_bucket('1mo', time, '{zone}')"),
            Self::Hopping { size, every } => format!("hop('{size}s', '{every}s', time)"),
            Self::Session { seconds } => format!("session('{seconds}s', time)"),
        }
    }

    /// The windows, first and last nanosecond, that some times of one group fall into.
    fn windows(self, times: &[i64]) -> Vec<(i64, i64)> {
        let mut windows = Vec::new();
        match self {
            Self::Session { seconds } => {
                for time_ns in times {
                    match windows.last_mut() {
                        Some((_, last_ns)) if time_ns - *last_ns < seconds * SECOND_NS => {
                            *last_ns = *time_ns;
                        }
                        _ => windows.push((*time_ns, *time_ns)),
                    }
                }
            }
            _ => times.iter().for_each(|time_ns| windows.extend(self.fixed(*time_ns))),
        }
        windows.sort_unstable();
        windows.dedup();
        windows
    }

    fn fixed(self, time_ns: i64) -> Vec<(i64, i64)> {
        // 2000-01-03, a Monday.
        let monday_ns = 946_857_600 * SECOND_NS;
        let floor =
            |length_ns: i64| (time_ns - monday_ns).div_euclid(length_ns) * length_ns + monday_ns;
        let zoned = |zone: &str| {
            let timestamp = Timestamp::from_nanosecond(time_ns.into()).unwrap();
            timestamp.to_zoned(TimeZone::get(zone).unwrap())
        };
        let nanosecond =
            |zoned: &jiff::Zoned| i64::try_from(zoned.timestamp().as_nanosecond()).unwrap();
        match self {
            Self::Tumbling { seconds } => {
                let start_ns = floor(seconds * SECOND_NS);
                vec![(start_ns, start_ns + seconds * SECOND_NS - 1)]
            }
            Self::Days(zone) => {
                let start = zoned(zone).start_of_day().unwrap();
                let end = start.checked_add(1.day()).unwrap().start_of_day().unwrap();
                vec![(nanosecond(&start), nanosecond(&end) - 1)]
            }
            Self::Months(zone) => {
                let first = zoned(zone).first_of_month().unwrap().start_of_day().unwrap();
                let next = first.checked_add(1.month()).unwrap().start_of_day().unwrap();
                vec![(nanosecond(&first), nanosecond(&next) - 1)]
            }
            Self::Hopping { size, every } => {
                let latest_ns = floor(every * SECOND_NS);
                let starts = (0..).map(|step| latest_ns - step * every * SECOND_NS);
                let spans = starts.map(|start_ns| (start_ns, start_ns + size * SECOND_NS - 1));
                spans.take_while(|(_, last_ns)| *last_ns >= time_ns).collect()
            }
            Self::Session { .. } => Vec::new(),
        }
    }
}

/// The functions that the oracle knows, as the statement selects them.
pub(crate) const FUNCTIONS: &str = "count(*), sum(value), avg(value), min(value), max(value), \
     first(value, time), last(value, time), stddev(value)";
pub(crate) const PATHS: &str = "rate(value, time), increase(value, time), delta(value, time), \
     time_weighted_avg(value, time)";

/// The same of a class, which has a column for each name.
pub(crate) fn functions_of(column: &str) -> String {
    FUNCTIONS.replace('*', "value").replace("value", column)
}
pub(crate) fn paths_of(column: &str) -> String {
    PATHS.replace("value", column)
}

/// The records of one metric by time.
type Records = BTreeMap<i64, f64>;

/// The records of the metrics that a label has a value for, by their device and number.
fn records(db: &Db, label: &str, value: &str) -> BTreeMap<(String, u32), Records> {
    let selector = Selector::all().label(label, Match::Equal(value.to_owned()));
    let mut found = BTreeMap::new();
    for id in db.select(&selector).unwrap() {
        assert_eq!(id.kind(), Kind::F64);
        let device = db.definition(id).unwrap().metric.device().to_owned();
        let records: &mut Records = found.entry((device, id.index())).or_default();
        for block in db.scan(id, ..).unwrap() {
            records.extend(block.unwrap().iter().map(|(time_ns, value)| match value {
                ValueRef::F64(value) => (time_ns, value),
                _ => panic!("a float was written"),
            }));
        }
    }
    found
}

/// The rows of a query over the metrics of a name, grouped by device where wanted; `value > least`.
pub(crate) fn rows(
    db: &Db,
    name: &str,
    cut: Cut,
    by_device: bool,
    paths: bool,
    least: Option<f64>,
) -> Vec<Row> {
    let mut groups: BTreeMap<Vec<String>, Vec<Records>> = BTreeMap::new();
    for ((device, _), mut records) in records(db, "name", name) {
        records.retain(|_, value| least.is_none_or(|least| *value > least));
        let keys = if by_device { vec![device] } else { Vec::new() };
        groups.entry(keys).or_default().push(records);
    }
    answers(&groups, &groups, cut, paths)
}

/// The rows of a query over a class of which it looks at the metrics of a name: wherever any metric
/// of the class has a record there is a row.
pub(crate) fn rows_of_class(
    db: &Db,
    (class, name): (&str, &str),
    cut: Cut,
    by_device: bool,
    paths: bool,
) -> Vec<Row> {
    let named = records(db, "name", name);
    let mut groups: BTreeMap<Vec<String>, Vec<Records>> = BTreeMap::new();
    let mut all = groups.clone();
    for (metric, records) in records(db, "class", class) {
        let keys = if by_device { vec![metric.0.clone()] } else { Vec::new() };
        all.entry(keys.clone()).or_default().push(records.clone());
        if named.contains_key(&metric) {
            groups.entry(keys).or_default().push(records);
        }
    }
    answers(&all, &groups, cut, paths)
}

/// The rows of some groups: there is one wherever one of `all` has a record, of the values of some.
fn answers(
    all: &BTreeMap<Vec<String>, Vec<Records>>,
    some: &BTreeMap<Vec<String>, Vec<Records>>,
    cut: Cut,
    paths: bool,
) -> Vec<Row> {
    let mut rows = Vec::new();
    for (keys, members) in all {
        let mut times: Vec<i64> = members.iter().flat_map(BTreeMap::keys).copied().collect();
        times.sort_unstable();
        let series = some.get(keys).map_or(&[][..], |series| series);
        for (start_ns, last_ns) in cut.windows(&times) {
            let window: Vec<Vec<(i64, f64)>> = series
                .iter()
                .map(|records| records.range(start_ns..=last_ns).map(|(t, v)| (*t, *v)).collect())
                .filter(|points: &Vec<_>| !points.is_empty())
                .collect();
            let values = match (window.is_empty(), paths) {
                (true, true) => vec![None; 4],
                (true, false) => [vec![Some(Value::U64(0))], vec![None; 7]].concat(),
                (false, true) => path(&window),
                (false, false) => plain(&window),
            };
            let is_session = matches!(cut, Cut::Session { .. });
            let end_ns = if is_session { last_ns } else { last_ns + 1 };
            rows.push(Row { keys: keys.clone(), start_ns, end_ns, values, is_final: false });
        }
    }
    rows.sort_by(|one, other| (one.start_ns, &one.keys).cmp(&(other.start_ns, &other.keys)));
    rows
}

fn plain(window: &[Vec<(i64, f64)>]) -> Vec<Option<Value>> {
    let all: Vec<f64> = window.iter().flatten().map(|(_, value)| *value).collect();
    let count = all.len() as f64;
    let sum = exact_sum(&all);
    let mean = sum / count;
    let squares: Vec<f64> = all.iter().map(|value| (value - mean) * (value - mean)).collect();
    let stddev = (all.len() > 1).then(|| (exact_sum(&squares) / (count - 1.0)).sqrt());
    // Of records that share a time the first is of the first metric, the last of the last.
    let first = window.iter().map(|points| points[0]).reduce(|a, b| if b.0 < a.0 { b } else { a });
    let last = window.iter().map(|points| points[points.len() - 1]);
    let last = last.reduce(|a, b| if b.0 >= a.0 { b } else { a });
    let float = |value: f64| Some(Value::F64(value));
    vec![
        Some(Value::U64(all.len() as u64)),
        float(sum),
        float(mean),
        float(all.iter().copied().fold(f64::INFINITY, f64::min)),
        float(all.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
        first.map(|(_, value)| Value::F64(value)),
        last.map(|(_, value)| Value::F64(value)),
        stddev.map(Value::F64),
    ]
}

/// Of several metrics the sum of what each has by itself; every value of an average weighs as long
/// as it stands.
fn path(window: &[Vec<(i64, f64)>]) -> Vec<Option<Value>> {
    let seconds = |from: i64, to: i64| (to - from) as f64 / 1e9;
    let (mut rates, mut increases, mut deltas) = (Vec::new(), Vec::new(), Vec::new());
    let (mut areas, mut spans) = (Vec::new(), Vec::new());
    for points in window {
        let (first, last) = (points[0], points[points.len() - 1]);
        let span = seconds(first.0, last.0);
        let steps = || points.windows(2).map(|pair| (pair[0], pair[1]));
        let rises: Vec<f64> =
            steps().map(|((_, a), (_, b))| if b < a { b } else { b - a }).collect();
        areas.extend(steps().map(|((t, a), (u, _))| a * seconds(t, u)));
        spans.push(span);
        if points.len() > 1 {
            rates.push(exact_sum(&rises) / span);
            increases.push(exact_sum(&rises));
            deltas.push(last.1 - first.1);
        }
    }
    let lasts: Vec<f64> = window.iter().map(|points| points[points.len() - 1].1).collect();
    let weighted = match exact_sum(&spans) {
        0.0 => exact_sum(&lasts) / lasts.len() as f64,
        span => exact_sum(&areas) / span,
    };
    let sum = |values: &[f64]| (!values.is_empty()).then(|| Value::F64(exact_sum(values)));
    vec![sum(&rates), sum(&increases), sum(&deltas), Some(Value::F64(weighted))]
}

/// The sum with errors that do not matter: pairwise, of sorted magnitudes.
fn exact_sum(values: &[f64]) -> f64 {
    let mut partials: Vec<f64> = Vec::new();
    // Shewchuk's exact partials (Discrete & Computational Geometry 18, 1997).
    for value in values {
        let mut value = *value;
        let mut kept = Vec::new();
        for partial in partials {
            let (large, small) =
                if value.abs() < partial.abs() { (partial, value) } else { (value, partial) };
            let high = large + small;
            let low = small - (high - large);
            if low != 0.0 {
                kept.push(low);
            }
            value = high;
        }
        kept.push(value);
        partials = kept;
    }
    partials.iter().rev().sum()
}

/// Fails where rows are not the same: exactly, but for sums of floats within 1e-12 and deviations
/// within 1e-9.
pub(crate) fn assert_same(found: &[Row], expected: &[Row], place: &str) {
    let key = |row: &Row| (row.start_ns, row.keys.clone(), row.end_ns);
    let keys = |rows: &[Row]| rows.iter().map(key).collect::<Vec<_>>();
    assert_eq!(keys(found), keys(expected), "{place}: other windows");
    for (found, expected) in found.iter().zip(expected) {
        for (column, (one, other)) in found.values.iter().zip(&expected.values).enumerate() {
            let same = match (one, other) {
                (Some(Value::F64(one)), Some(Value::F64(other))) => {
                    let tolerance =
                        if expected.values.len() == 8 && column == 7 { 1e-9 } else { 1e-12 };
                    one.to_bits() == other.to_bits()
                        || (one - other).abs()
                            <= tolerance * one.abs().max(other.abs())
                                + 1e-9 * f64::from(column == 7 && expected.values.len() == 8)
                }
                (one, other) => one == other,
            };
            assert!(same, "{place}: column {column} is {one:?} and not {other:?} in {found:?}");
        }
    }
}

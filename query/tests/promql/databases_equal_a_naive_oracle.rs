//! What a database answers is what the definitions say, computed here in the plainest way from the
//! same samples; whether they are sealed, open, or known from the statistics of their chunks.

use chronolith_engine::{Db, Definition, Durability, Kind, Metric, Options, SealScope};
use chronolith_query::promql::{Data, DatabaseSource, Limits, Query, is_stale, stale};
use proptest::prelude::*;

const SECOND: i64 = 1_000_000_000;
const START: i64 = 1_767_225_600 * SECOND;
const DEVICES: [&str; 3] = ["car-1", "car-2", "car-3"];
const LOOKBACK_S: i64 = 300;

type Samples = Vec<(i64, f64)>;

/// What is in a window that ends at a time, start left out and end included.
fn window(samples: &Samples, end: i64, range: i64) -> Samples {
    let inside =
        |(time, value): &&(i64, f64)| *time > end - range && *time <= end && !is_stale(*value);
    samples.iter().filter(inside).copied().collect()
}

/// `rate`, `increase` and `delta` as in Prometheus' documentation: the change, with resets added
/// for a counter, extended to the ends of the window where the samples come near to them.
fn extrapolated(samples: &Samples, end: i64, range: i64, is_counter: bool) -> Option<f64> {
    let inside = window(samples, end, range);
    let (first, last) = (*inside.first()?, *inside.last()?);
    if inside.len() < 2 {
        return None;
    }
    let mut change = last.1 - first.1;
    for pair in inside.windows(2) {
        if is_counter && pair[1].1 < pair[0].1 {
            change += pair[0].1;
        }
    }
    let seconds = |length: i64| length as f64 / 1e9;
    let sampled = seconds(last.0 - first.0);
    let between = sampled / (inside.len() - 1) as f64;
    let mut to_start = seconds(first.0 - (end - range));
    let mut to_end = seconds(end - last.0);
    if to_start >= between * 1.1 {
        to_start = between / 2.0;
    }
    if is_counter && change > 0.0 && first.1 >= 0.0 {
        to_start = to_start.min(sampled * first.1 / change);
    }
    if to_end >= between * 1.1 {
        to_end = between / 2.0;
    }
    Some(change * (sampled + to_start + to_end) / sampled)
}

fn quantile(mut values: Vec<f64>, q: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = q * (values.len() - 1) as f64;
    let (below, above) = (rank.floor() as usize, rank.ceil() as usize);
    values[below] + (values[above] - values[below]) * (rank - rank.floor())
}

/// A function of ranges by its definition; `None` where a window has no value.
fn over_window(function: &str, samples: &Samples, end: i64, range: i64) -> Option<f64> {
    match function {
        "rate" => return Some(extrapolated(samples, end, range, true)? / (range as f64 / 1e9)),
        "increase" => return extrapolated(samples, end, range, true),
        "delta" => return extrapolated(samples, end, range, false),
        _ => {}
    }
    let values: Vec<f64> = window(samples, end, range).into_iter().map(|(_, v)| v).collect();
    if values.is_empty() {
        return None;
    }
    let count = values.len() as f64;
    let sum: f64 = values.iter().sum();
    Some(match function {
        "count_over_time" => count,
        "sum_over_time" => sum,
        "avg_over_time" => sum / count,
        "min_over_time" => values.iter().copied().fold(f64::INFINITY, f64::min),
        "max_over_time" => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        "last_over_time" => values[values.len() - 1],
        "stddev_over_time" => {
            let mean = sum / count;
            (values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / count).sqrt()
        }
        "quantile_over_time" => quantile(values, 0.3),
        _ => unreachable!("{function}"),
    })
}

const FUNCTIONS: [&str; 11] = [
    "rate",
    "increase",
    "delta",
    "count_over_time",
    "sum_over_time",
    "avg_over_time",
    "min_over_time",
    "max_over_time",
    "last_over_time",
    "stddev_over_time",
    "quantile_over_time",
];

fn current(samples: &Samples, time: i64) -> Option<f64> {
    let last = samples.iter().rev().find(|(at, _)| *at <= time)?;
    (last.0 > time - LOOKBACK_S * SECOND && !is_stale(last.1)).then_some(last.1)
}

fn close(found: f64, wanted: f64) -> bool {
    (found - wanted).abs() <= 1e-9 * found.abs().max(wanted.abs()).max(1.0)
}

/// A database of some cars; every other one counts whole numbers. The first `sealed` samples of
/// each are in sealed chunks of ten minutes, the others are open.
fn database(path: &std::path::Path, cars: &[Samples], sealed: usize) -> Db {
    let db = Db::open(path, Options::default()).unwrap();
    let mut batch = db.batch();
    for is_sealed in [true, false] {
        for (index, samples) in cars.iter().enumerate() {
            let kind = if index % 2 == 0 { Kind::F64 } else { Kind::I64 };
            let metric = Metric::new(DEVICES[index], "trip_total")
                .tag("class", if index == 0 { "van" } else { "car" });
            let id = db.define(Definition::new(metric, kind).window_ns(600 * SECOND)).unwrap();
            let (first, rest) = samples.split_at(sealed.min(samples.len()));
            for (time, value) in if is_sealed { first } else { rest } {
                match kind {
                    Kind::F64 => batch.push(id, *time, *value).unwrap(),
                    _ => batch.push(id, *time, *value as i64).unwrap(),
                }
            }
        }
        db.write(&batch, Durability::Buffered).unwrap();
        batch.clear();
        if is_sealed {
            db.seal(SealScope::All).unwrap();
        }
    }
    db
}

/// What a query gives: device, time, value.
fn ask(db: &Db, text: &str, start: i64, end: i64, step: i64) -> Vec<(String, i64, f64)> {
    let source = DatabaseSource::new(db);
    let query = Query::parse(text).unwrap();
    let answer = query.range(&source, start, end, step, &Limits::default()).unwrap();
    let Data::Matrix(series) = answer.data else { panic!("{text}") };
    let mut found = Vec::new();
    for series in series {
        let device = series.labels.get("device").to_owned();
        let samples = series.times.iter().zip(&series.values);
        found.extend(samples.map(|(time, value)| (device.clone(), *time, *value)));
    }
    found.sort_by(|left, right| (&left.0, left.1).cmp(&(&right.0, right.1)));
    found
}

fn check(text: &str, found: &[(String, i64, f64)], wanted: &[(String, i64, f64)]) {
    assert_eq!(found.len(), wanted.len(), "{text}:\n{found:?}\n{wanted:?}");
    for (found, wanted) in found.iter().zip(wanted) {
        let same = found.0 == wanted.0 && found.1 == wanted.1 && close(found.2, wanted.2);
        assert!(same, "{text}: {found:?}, expected {wanted:?}");
    }
}

/// Gaps in seconds and values; where a car of floats stops, there is a marker.
fn cars() -> impl Strategy<Value = Vec<Samples>> {
    let sample = (1_i64..90, 0_i32..200, 0_u8..40);
    let car = prop::collection::vec(sample, 0..150);
    prop::collection::vec(car, DEVICES.len()).prop_map(|cars| {
        let of = |(index, car): (usize, Vec<(i64, i32, u8)>)| {
            let mut time = START;
            let mut samples = Samples::new();
            for (gap, value, stops) in car {
                time += gap * SECOND;
                let is_marker = index % 2 == 0 && stops == 0;
                let value = if index % 2 == 0 { f64::from(value) / 8.0 } else { value.into() };
                samples.push((time, if is_marker { stale() } else { value }));
            }
            samples
        };
        cars.into_iter().enumerate().map(of).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn every_function_is_what_its_definition_says(
        cars in cars(), sealed in 0_usize..150, range_s in 60_i64..4_000, step_s in 30_i64..2_000,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let db = database(&directory.path().join("db"), &cars, sealed);
        let range = range_s * SECOND;
        let end = START + 9_000 * SECOND;
        for function in FUNCTIONS {
            let of = match function {
                "quantile_over_time" => format!("0.3, trip_total[{range_s}s]"),
                _ => format!("trip_total[{range_s}s]"),
            };
            let text = format!("{function}({of})");
            // Windows that overlap or leave gaps, windows side by side, and a single one.
            for (start, step) in [(START, step_s * SECOND), (START, range), (end, range)] {
                let mut wanted = Vec::new();
                for (device, samples) in DEVICES.iter().zip(&cars) {
                    for time in (start..=end).step_by(step as usize) {
                        let value = over_window(function, samples, time, range);
                        wanted.extend(value.map(|value| (device.to_string(), time, value)));
                    }
                }
                check(&text, &ask(&db, &text, start, end, step), &wanted);
            }
        }
    }

    #[test]
    fn aggregations_are_what_their_definitions_say(
        cars in cars(), sealed in 0_usize..150, step_s in 30_i64..900,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let db = database(&directory.path().join("db"), &cars, sealed);
        let (end, step) = (START + 4_000 * SECOND, step_s * SECOND);
        let mut total = Vec::new();
        let mut above = Vec::new();
        for time in (START..=end).step_by(step as usize) {
            let values: Vec<f64> = cars[1..].iter().filter_map(|car| current(car, time)).collect();
            if !values.is_empty() {
                total.push((String::new(), time, values.iter().sum()));
            }
        }
        for (device, samples) in DEVICES.iter().zip(&cars) {
            for time in (START..=end).step_by(step as usize) {
                let value = current(samples, time).filter(|value| *value > 12.0);
                above.extend(value.map(|value| (device.to_string(), time, value)));
            }
        }
        let text = "sum by (class) (trip_total{class=\"car\"})";
        check(text, &ask(&db, text, START, end, step), &total);
        check("trip_total > 12", &ask(&db, "trip_total > 12", START, end, step), &above);
    }
}

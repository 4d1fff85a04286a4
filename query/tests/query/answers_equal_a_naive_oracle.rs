//! Answers over sealed, amended, deleted, flushed and open records equal those of a map.

use std::collections::BTreeMap;

use chronolith_engine::Value;

use crate::fixture::{Fixture, Random, SECOND_NS, START_NS, expect_same, fixture};

fn time_text(time_ns: i64) -> String {
    jiff::Timestamp::from_nanosecond(time_ns.into()).unwrap().to_string()
}

fn value_text(value: &Value) -> String {
    match value {
        Value::F64(value) => value.to_string(),
        Value::I64(value) => value.to_string(),
        Value::U64(value) => value.to_string(),
        Value::Bool(value) => value.to_string(),
        Value::Text(value) => value.clone(),
        _ => String::new(),
    }
}

/// Time, value, and the value as text.
type Record = (i64, f64, String);

/// A range of times and its condition.
fn range(random: &mut Random) -> (i64, i64, String) {
    let at = |second: u64| START_NS + second as i64 * SECOND_NS;
    let (from, length) = (random.below(9_000), random.below(4_000));
    let (from_ns, to_ns) = (at(from), at(from + length));
    let condition = format!("time >= '{}' AND time < '{}'", time_text(from_ns), time_text(to_ns));
    (from_ns, to_ns, condition)
}

#[test]
fn rows_are_those_that_were_written() {
    let fixture = fixture(11);
    let mut random = Random(3);
    for round in 0..60 {
        let name = *random.choose(&["speed", "rpm", "odometer", "brake", "note"]);
        let (from_ns, to_ns, range) = range(&mut random);
        let devices = [
            ("device = 'car-2'", vec!["car-2"]),
            ("device IN ('car-0', 'car-3', 'none')", vec!["car-0", "car-3"]),
            ("device <> 'car-1'", vec!["car-0", "car-2", "car-3"]),
            ("site = 'south'", vec!["car-2", "car-3"]),
            ("site IS NULL", vec!["car-0"]),
            ("site <> 'north'", vec!["car-2", "car-3"]),
            ("device LIKE 'car-_' AND device ~ '[13]'", vec!["car-1", "car-3"]),
            ("(device = 'car-0' OR site = 'north')", vec!["car-0", "car-1"]),
            ("NOT site = 'south'", vec!["car-1"]),
            ("upper(device) = 'CAR-1'", vec!["car-1"]),
        ];
        let (condition, chosen) = random.choose(&devices);
        let sql = format!("SELECT time, device, value FROM {name} WHERE {range} AND {condition}");
        let mut expected: Vec<Vec<String>> = fixture
            .of(name)
            .into_iter()
            .filter(|(time_ns, device, _)| {
                (from_ns..to_ns).contains(time_ns) && chosen.contains(device)
            })
            .map(|(time_ns, device, value)| {
                vec![time_text(time_ns), device.to_owned(), value_text(value)]
            })
            .collect();
        let key = |row: &Vec<String>| (row[0].parse::<jiff::Timestamp>().unwrap(), row[1].clone());
        let mut found = fixture.rows(&sql);
        let normal = |row: Vec<String>| {
            let time = row[0].parse::<jiff::Timestamp>().unwrap().to_string();
            vec![time, row[1].clone(), row[2].clone()]
        };
        found = found.into_iter().map(normal).collect();
        found.sort_by_key(key);
        expected.sort_by_key(key);
        expect_same(&format!("round {round}: {sql}"), &found, &expected);
        let count = format!("SELECT count(*) FROM {name} WHERE {range} AND {condition}");
        assert_eq!(fixture.rows(&count), [[expected.len().to_string()]], "{count}");
        for (order, direction) in [("time", 1), ("time DESC", -1)] {
            let sql = format!(
                "SELECT time FROM {name} WHERE {range} AND {condition} ORDER BY {order} LIMIT 17"
            );
            let mut times: Vec<i64> =
                expected.iter().map(|row| key(row).0.as_nanosecond() as i64).collect();
            times.sort_by_key(|time_ns| time_ns * direction);
            times.truncate(17);
            let found = fixture.rows(&sql).into_iter().map(|row| row[0].parse().unwrap());
            let found: Vec<i64> =
                found.map(|time: jiff::Timestamp| time.as_nanosecond() as i64).collect();
            assert_eq!(found, times, "{sql}");
        }
    }
}

#[test]
fn buckets_hold_what_falls_into_them() {
    let fixture = fixture(12);
    let mut random = Random(4);
    for (name, length) in [("speed", 300), ("rpm", 600), ("odometer", 77), ("speed", 3_600)] {
        let (from_ns, to_ns, range) = range(&mut random);
        let sql = format!(
            "SELECT device, time_bucket('{length}s', time) AS bucket, count(*), min(value), \
             max(value), sum(value), first(value, time), last(value, time) FROM {name} \
             WHERE {range} GROUP BY device, bucket"
        );
        let mut buckets: BTreeMap<(String, i64), Vec<Record>> = BTreeMap::new();
        for (time_ns, device, value) in fixture.of(name) {
            if (from_ns..to_ns).contains(&time_ns) {
                let origin = 946_857_600 * SECOND_NS;
                let length_ns = length * SECOND_NS;
                let start = (time_ns - origin).div_euclid(length_ns) * length_ns + origin;
                let text = value_text(value);
                let number: f64 = text.parse().unwrap();
                buckets
                    .entry((device.to_owned(), start))
                    .or_default()
                    .push((time_ns, number, text));
            }
        }
        let bound = |values: &[Record], choose: fn(f64, f64) -> f64| {
            let bound = values.iter().map(|(_, value, _)| *value).fold(f64::NAN, choose);
            if bound.is_nan() { String::new() } else { bound.to_string() }
        };
        let expected = buckets.iter().map(|((device, start), values)| {
            let start = jiff::Timestamp::from_nanosecond((*start).into()).unwrap().to_string();
            let sum: f64 = values.iter().map(|(_, value, _)| *value).sum();
            vec![
                device.clone(),
                start,
                values.len().to_string(),
                bound(values, f64::min),
                bound(values, f64::max),
                sum.to_string(),
                values[0].2.clone(),
                values[values.len() - 1].2.clone(),
            ]
        });
        let mut expected: Vec<Vec<String>> = expected.collect();
        expected.sort();
        expect_same(&sql, &fixture.sorted(&sql), &expected);
    }
}

/// The times at which any metric of a device has a record.
fn times(fixture: &Fixture, device: &str) -> BTreeMap<i64, BTreeMap<String, String>> {
    let mut times: BTreeMap<i64, BTreeMap<String, String>> = BTreeMap::new();
    for ((other, name), records) in &fixture.records {
        for (time_ns, value) in records.iter().filter(|_| other == device) {
            times.entry(*time_ns).or_default().insert(name.clone(), value_text(value));
        }
    }
    times
}

#[test]
fn rows_of_a_class_join_the_metrics_of_a_device_by_time() {
    let fixture = fixture(13);
    for device in ["car-0", "car-3"] {
        let expected: Vec<Vec<String>> = times(&fixture, device)
            .into_iter()
            .map(|(time_ns, values)| {
                let cell = |name: &str| values.get(name).cloned().unwrap_or_default();
                vec![time_text(time_ns), cell("speed"), cell("rpm"), cell("note")]
            })
            .collect();
        let sql = format!(
            "SELECT time, speed, rpm, note FROM fleet WHERE device = '{device}' ORDER BY time"
        );
        let found = fixture.rows(&sql).into_iter().map(|mut row| {
            row[0] = row[0].parse::<jiff::Timestamp>().unwrap().to_string();
            row
        });
        expect_same(&sql, &found.collect::<Vec<_>>(), &expected);
        let count = format!("SELECT count(*) FROM fleet WHERE device = '{device}'");
        assert_eq!(fixture.rows(&count), [[expected.len().to_string()]]);
    }
}

//! At rest the answer is that of the same question in SQL, groups of several metrics included: by the
//! bucket operator, by plain DataFusion, over all records, and over a class.
//!
//! `CHRONOLITH_HISTORIES=500 cargo test -p chronolith-query --test continuous those_of_sql` runs a
//! campaign.

use chronolith_engine::{Db, Kind, Maintenance, Metric, MetricId, Options, Value};
use chronolith_query::arrow::array::{Array, AsArray};
use chronolith_query::arrow::compute::cast;
use chronolith_query::arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit};
use chronolith_query::continuous::{Continuous, Row};
use chronolith_query::{Limits, Sql};

use crate::answers_equal_the_ad_hoc_query::number;
use crate::oracle::{Cut, SECOND_NS};
use crate::player::Player;

/// Three metrics of one device, one of another, and one of a third without the tag.
fn metrics(db: &Db) -> Vec<MetricId> {
    let metric = |device: &str| Metric::new(device, "speed").tag("class", "cars");
    let metrics = [
        metric("car-1").tag("axle", "front"),
        metric("car-1").tag("axle", "rear"),
        metric("car-1").tag("axle", "rear").tag("side", "left"),
        metric("car-2").tag("axle", "front"),
        metric("car-3"),
    ];
    metrics.into_iter().map(|metric| db.metric(metric, Kind::F64).unwrap()).collect()
}

/// The answer in SQL: window and keys, then values.
type Answer = Vec<(i64, Vec<String>, Vec<Option<f64>>)>;

fn answer(sql: &Sql, text: &str, keys: usize) -> Answer {
    let mut rows = Vec::new();
    let answer = sql.query(text, &Limits::default());
    for batch in answer.unwrap_or_else(|error| panic!("{text}\n{error}")) {
        let batch = batch.unwrap_or_else(|error| panic!("{text}\n{error}"));
        let to = |at: usize, data_type: &DataType| cast(batch.column(at), data_type).unwrap();
        let times = DataType::Timestamp(TimeUnit::Nanosecond, None);
        let times = cast(&to(0, &times), &DataType::Int64).unwrap();
        let labels: Vec<_> = (1..=keys).map(|at| to(at, &DataType::Utf8)).collect();
        let values: Vec<_> =
            (keys + 1..batch.num_columns()).map(|at| to(at, &DataType::Float64)).collect();
        for row in 0..batch.num_rows() {
            let labels = labels.iter().map(|column| column.as_string::<i32>().value(row));
            let values = values.iter().map(|column| {
                column.is_valid(row).then(|| column.as_primitive::<Float64Type>().value(row))
            });
            let time_ns = times.as_primitive::<Int64Type>().value(row);
            rows.push((time_ns, labels.map(str::to_owned).collect(), values.collect()));
        }
    }
    rows.sort_by(|one: &(i64, Vec<String>, _), other| (one.0, &one.1).cmp(&(other.0, &other.1)));
    rows
}

fn told(rows: Vec<Row>) -> Answer {
    let float = |value: Value| match value {
        Value::F64(value) => value,
        Value::U64(value) => value as f64,
        other => panic!("{other:?} is not what these functions answer"),
    };
    rows.into_iter()
        .map(|row| {
            let values = row.values.into_iter().map(|value| value.map(float)).collect();
            (row.start_ns, row.keys, values)
        })
        .collect()
}

fn assert_same(found: &Answer, expected: &Answer, place: &str) {
    let keys = |rows: &Answer| -> Vec<(i64, Vec<String>)> {
        rows.iter().map(|(start_ns, keys, _)| (*start_ns, keys.clone())).collect()
    };
    assert_eq!(keys(found), keys(expected), "{place}: other windows");
    for (one, other) in found.iter().zip(expected) {
        let same = one.2.iter().zip(&other.2).all(|pair| match pair {
            (Some(one), Some(other)) => {
                one == other || (one - other).abs() <= 1e-12 * one.abs().max(other.abs())
            }
            (one, other) => one == other,
        });
        assert!(same, "{place}\n{one:?}\n{other:?}");
    }
}

#[test]
fn ways_of_several_metrics_are_the_same_in_sql() {
    let cuts = Cut::ALL
        .into_iter()
        .filter(|cut| matches!(cut, Cut::Tumbling { .. } | Cut::Days(_) | Cut::Months(_)));
    for (seed, cut) in (1..=number("CHRONOLITH_HISTORIES", 3))
        .flat_map(|seed| cuts.clone().map(move |cut| (seed, cut)))
    {
        let directory = tempfile::tempdir().unwrap();
        let options = Options { maintenance: Maintenance::Manual, ..Options::default() };
        let db = Db::open(directory.path(), options).unwrap();
        let ids = metrics(&db);
        let stride_ns = match cut {
            Cut::Days(_) => 3_000 * SECOND_NS,
            Cut::Months(_) => 90_000 * SECOND_NS,
            Cut::Tumbling { seconds: 3_600 } => 400 * SECOND_NS,
            _ => 3 * SECOND_NS,
        };
        let mut player = Player::new(seed, stride_ns);
        let queries = Continuous::open(db.clone()).unwrap();
        let sql = Sql::new(db.clone()).unwrap();
        let bucket = cut.sql();
        // By no key, by device, and by what tells all metrics of a device but two apart.
        let groups: [&[&str]; 3] = [&[], &["device"], &["device", "axle"]];
        let ways = |value: &str, time: &str| {
            ["rate", "increase", "delta", "time_weighted_avg"]
                .map(|function| format!("{function}({value}{time})"))
                .join(", ")
        };
        for (number, keys) in groups.iter().enumerate() {
            let keys = keys.join(", ");
            let list = if keys.is_empty() { String::new() } else { format!(", {keys}") };
            for (name, table, value) in
                [("metrics", "metric.speed", "value"), ("class", "class.cars", "speed")]
            {
                let statement = format!(
                    "CREATE CONTINUOUS QUERY {name}_{number} AS SELECT {bucket}{list}, \
                     {}, count({value}) FROM {table} GROUP BY {bucket}{list}",
                    ways(value, "")
                );
                queries.execute(&statement).unwrap_or_else(|error| panic!("{statement}\n{error}"));
            }
        }
        for round in 0..12 {
            (0..5).for_each(|_| player.act(&db, &ids));
            queries.settle().unwrap();
            for (number, keys) in groups.iter().enumerate() {
                let (width, keys) = (keys.len(), keys.join(", "));
                let list = if keys.is_empty() { String::new() } else { format!(", {keys}") };
                for (name, tables, value) in [
                    (
                        "metrics",
                        &["speed", "(SELECT * FROM speed LIMIT 1000000000)", "records"][..],
                        "value",
                    ),
                    ("class", &["cars", "(SELECT * FROM cars LIMIT 1000000000)"][..], "speed"),
                ] {
                    let all = i64::MIN..=i64::MAX;
                    let expected = queries.rows(&format!("{name}_{number}"), all).unwrap();
                    let expected = told(expected);
                    for table in tables {
                        let (value, condition) = match *table {
                            // Outputs of the queries are records as well.
                            "records" => ("value_f64", "WHERE name = 'speed'"),
                            _ => (value, ""),
                        };
                        let text = format!(
                            "SELECT {bucket}{list}, {}, count({value}) FROM {table} {condition} \
                             GROUP BY {bucket}{list}",
                            ways(value, ", time")
                        );
                        // A device without the tag has no key in either.
                        let found = answer(&sql, &text, width);
                        assert_same(&found, &expected, &format!("{seed}, {round}: {text}"));
                    }
                }
            }
        }
    }
}

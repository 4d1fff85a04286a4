//! The engine's metrics as series.

use chronolith_engine::{Db, Durability, Kind, Metric, Options};
use chronolith_query::promql::{Data, DatabaseSource, Limits, Query};

const SECOND: i64 = 1_000_000_000;

#[test]
fn devices_and_tags_are_labels_and_whole_numbers_are_values() {
    let directory = tempfile::tempdir().unwrap();
    let db = Db::open(directory.path().join("fleet.db"), Options::default()).unwrap();
    let metric = |device: &str| Metric::new(device, "odometer_total").tag("class", "fleet");
    let first = db.metric(metric("car-1"), Kind::I64).unwrap();
    let second = db.metric(metric("car-2"), Kind::I64).unwrap();
    let text = db.metric(Metric::new("car-1", "note"), Kind::Text).unwrap();
    let mut batch = db.batch();
    for second_of_day in 0..600_i64 {
        batch.push(first, second_of_day * SECOND, second_of_day * 10).unwrap();
        batch.push(second, second_of_day * SECOND, second_of_day * 20).unwrap();
    }
    batch.push(text, 0, "hello").unwrap();
    db.write(&batch, Durability::Buffered).unwrap();

    let ask = |text: &str| {
        let source = DatabaseSource::new(&db);
        let query = Query::parse(text).unwrap();
        match query.instant(&source, 300 * SECOND, &Limits::default()).unwrap().data {
            Data::Vector(samples) => samples
                .into_iter()
                .map(|sample| (sample.labels.to_string(), sample.value))
                .collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        }
    };
    let rates = ask("rate(odometer_total{class=\"fleet\", device!=\"car-2\"}[1m])");
    assert_eq!(rates, [("{class=\"fleet\", device=\"car-1\"}".to_owned(), 10.0)]);
    assert_eq!(ask("sum(rate({__name__=~\"odo.*\"}[1m]))"), [("{}".to_owned(), 30.0)]);
    assert_eq!(ask("odometer_total{device=~\"car-[2-9]\"}")[0].1, 6000.0);
    assert!(ask("note").is_empty());
    assert!(ask("odometer_total{class=\"\"}").is_empty());
}

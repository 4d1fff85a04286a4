//! What statements do beyond answering: kinds, classes, chains, refresh, pause, drop, late counting.

use chronolith_engine::{Db, Durability, Kind, Metric, MetricId, Options, RetentionRule, Value};
use chronolith_query::continuous::{ChangeKind, Continuous, From, Outcome, Row};

use crate::oracle::SECOND_NS;

struct Fixture {
    _directory: tempfile::TempDir,
    db: Db,
    queries: Continuous,
}

fn fixture() -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let db = Db::open(directory.path(), Options::default()).unwrap();
    let queries = Continuous::open(db.clone()).unwrap();
    Fixture { _directory: directory, db, queries }
}

impl Fixture {
    fn metric(&self, device: &str, name: &str, kind: Kind) -> MetricId {
        self.db.metric(Metric::new(device, name).tag("class", "fleet"), kind).unwrap()
    }

    fn write<'a>(
        &self,
        id: MetricId,
        second: i64,
        value: impl Into<chronolith_engine::ValueRef<'a>>,
    ) {
        let mut batch = self.db.batch();
        batch.push(id, second * SECOND_NS, value).unwrap();
        self.db.write(&batch, Durability::Buffered).unwrap();
    }

    fn run(&self, statement: &str) -> Outcome {
        self.queries.execute(statement).unwrap()
    }

    fn rows(&self, name: &str) -> Vec<Row> {
        self.queries.rows(name, i64::MIN..=i64::MAX).unwrap()
    }
}

#[test]
fn texts_and_integers_keep_their_kinds() {
    let it = fixture();
    let gear = it.metric("car-1", "gear", Kind::I64);
    let state = it.metric("car-1", "state", Kind::Text);
    it.run("CREATE CONTINUOUS QUERY gears AS SELECT time_bucket('10s', time), max(value), sum(value) FROM gear GROUP BY 1");
    it.run("CREATE CONTINUOUS QUERY states AS SELECT time_bucket('10s', time), last(value, time) FROM state GROUP BY 1");
    it.write(gear, 1, (1_i64 << 60) + 1);
    it.write(gear, 2, 3_i64);
    it.write(state, 1, "idle");
    it.write(state, 2, "driving");
    it.queries.settle().unwrap();
    let sum = (1 << 60) + 4;
    assert_eq!(
        it.rows("gears")[0].values,
        [Some(Value::I64((1 << 60) + 1)), Some(Value::I64(sum))]
    );
    assert_eq!(it.rows("states")[0].values, [Some(Value::Text("driving".into()))]);
    // What the kind of the column cannot hold is left out, and counted.
    it.write(gear, 3, i64::MAX);
    it.queries.settle().unwrap();
    assert_eq!(it.rows("gears")[0].values, [Some(Value::I64(i64::MAX)), None]);
    assert_eq!(it.queries.status()[0].unfit_values, 1);
}

#[test]
fn a_class_is_a_table_of_its_metrics() {
    let it = fixture();
    let (speed, rpm) =
        (it.metric("car-1", "speed", Kind::F64), it.metric("car-1", "rpm", Kind::U64));
    it.run("CREATE CONTINUOUS QUERY both AS SELECT device, time_bucket('10s', time), avg(speed), max(rpm), count(speed) FROM class.fleet GROUP BY ALL");
    it.write(speed, 1, 2.0);
    it.write(speed, 2, 4.0);
    it.write(rpm, 2, 900_u64);
    it.write(rpm, 12, 800_u64);
    it.queries.settle().unwrap();
    let rows = it.rows("both");
    assert_eq!(rows[0].values, [Some(Value::F64(3.0)), Some(Value::U64(900)), Some(Value::U64(2))]);
    assert_eq!(rows[1].values, [None, Some(Value::U64(800)), Some(Value::U64(0))]);
}

#[test]
fn a_column_has_the_kind_of_its_metric_also_where_others_of_the_class_come_first() {
    let it = fixture();
    let door = it.metric("car-1", "door", Kind::Bool);
    it.run("CREATE CONTINUOUS QUERY states AS SELECT time_bucket('10s', time), last(state, time) FROM class.fleet GROUP BY 1");
    it.write(door, 1, true);
    it.queries.settle().unwrap();
    assert_eq!(it.rows("states")[0].values, [None]);
    let state = it.metric("car-1", "state", Kind::Text);
    it.write(door, 12, false);
    it.write(state, 13, "driving");
    it.write(door, 25, true);
    it.queries.settle().unwrap();
    let values = |it: &Fixture| -> Vec<Option<Value>> {
        it.rows("states").into_iter().map(|row| row.values[0].clone()).collect()
    };
    let expected = [None, Some(Value::Text("driving".into())), None];
    assert_eq!(values(&it), expected);
    // The same from what is kept, by who reads only.
    assert_eq!(it.queries.status()[0].unfit_values, 0);
    it.db.sync().unwrap();
    let reader = Db::open(it._directory.path(), Options::read_only()).unwrap();
    let rows = Continuous::open(reader).unwrap().rows("states", i64::MIN..=i64::MAX).unwrap();
    assert_eq!(rows.into_iter().map(|row| row.values[0].clone()).collect::<Vec<_>>(), expected);
}

#[test]
fn queries_may_follow_queries_but_not_in_a_circle() {
    let it = fixture();
    let speed = it.metric("car-1", "speed", Kind::F64);
    it.run("CREATE CONTINUOUS QUERY a AS SELECT time_bucket('10s', time), max(value) FROM speed GROUP BY 1");
    it.run(
        "CREATE CONTINUOUS QUERY b AS SELECT time_bucket('1m', time), count(*) FROM a GROUP BY 1",
    );
    (0..60).for_each(|second| it.write(speed, second, 1.0));
    it.queries.settle().unwrap();
    assert_eq!(it.rows("b")[0].values, [Some(Value::U64(6))]);
    for into in ["speed", "a"] {
        let circle = format!(
            "CREATE CONTINUOUS QUERY c INTO {into} AS SELECT time_bucket('1h', time), max(value) \
             FROM b GROUP BY 1"
        );
        let problem = it.queries.execute(&circle).unwrap_err().to_string();
        assert!(problem.contains("would read what it writes"), "{problem}");
    }
}

#[test]
fn late_records_are_counted_and_closed_windows_stay_where_that_is_wanted() {
    let it = fixture();
    let speed = it.metric("car-1", "speed", Kind::F64);
    for (name, late) in [("kept", "count"), ("revised", "recompute")] {
        it.run(&format!("CREATE CONTINUOUS QUERY {name} AS SELECT time_bucket('10s', time), count(*) FROM speed GROUP BY 1 WITH (lateness = '5s', late = '{late}')"));
    }
    (0..30).for_each(|second| it.write(speed, second, 1.0));
    it.queries.settle().unwrap();
    let mut changes = it.queries.subscribe("revised", From::Now).unwrap();
    let mut batch = it.db.batch();
    // One late, and one that the lateness still allows.
    batch.push(speed, 5 * SECOND_NS + 1, 1.0).unwrap();
    batch.push(speed, 26 * SECOND_NS + 1, 1.0).unwrap();
    it.db.write(&batch, Durability::Buffered).unwrap();
    it.queries.settle().unwrap();
    let counts = |name: &str| -> Vec<Option<Value>> {
        it.rows(name).into_iter().map(|row| row.values[0].clone()).collect()
    };
    let count = |count| Some(Value::U64(count));
    assert_eq!(counts("kept"), [count(10), count(10), count(11)]);
    assert_eq!(counts("revised"), [count(11), count(10), count(11)]);
    assert!(it.queries.status().iter().all(|status| status.late_records == 1));
    let told = changes.ready().unwrap();
    assert_eq!(told[0].kind, ChangeKind::Update);
    assert_eq!(told[0].before, Some(vec![count(10)]), "the old answer is taken back");
    // What retention takes from the input stays in the output that only counts.
    let rule = |keep_ns| RetentionRule { device: ".*".into(), name: "speed".into(), keep_ns };
    it.db.set_retention(vec![rule(SECOND_NS)]).unwrap();
    it.db.compact().unwrap();
    it.queries.settle().unwrap();
    assert_eq!(counts("kept")[..2], [count(10), count(10)]);
    assert_eq!(counts("revised"), []);
}

#[test]
fn a_paused_query_catches_up_and_a_dropped_one_takes_its_data_along() {
    let it = fixture();
    let speed = it.metric("car-1", "speed", Kind::F64);
    it.run("CREATE CONTINUOUS QUERY q INTO totals AS SELECT time_bucket('10s', time), sum(value) FROM speed GROUP BY 1");
    it.write(speed, 1, 1.0);
    it.queries.settle().unwrap();
    it.run("PAUSE CONTINUOUS QUERY q");
    it.write(speed, 2, 2.0);
    it.queries.settle().unwrap();
    assert_eq!(it.rows("q")[0].values, [Some(Value::F64(1.0))]);
    it.run("RESUME CONTINUOUS QUERY q");
    it.queries.settle().unwrap();
    assert_eq!(it.rows("q")[0].values, [Some(Value::F64(3.0))]);
    let Outcome::Shown(shown) = it.run("SHOW CONTINUOUS QUERIES") else { panic!("nothing shown") };
    assert_eq!((shown[0].name.as_str(), shown[0].into.as_str(), shown[0].lag), ("q", "totals", 0));
    let output = it.db.find_metric(&Metric::new("", "totals").tag("query", "q")).unwrap();
    assert_eq!(it.db.latest(output).unwrap(), Some((0, Value::F64(3.0))));
    it.run("DROP CONTINUOUS QUERY q");
    assert_eq!(it.db.latest(output).unwrap(), None);
    assert!(it.db.state_entries("continuous/q").is_empty());
    assert!(Continuous::reading(it.db.clone()).unwrap().names().is_empty());
}

#[test]
fn refreshing_mends_an_output_that_somebody_changed() {
    let it = fixture();
    let speed = it.metric("car-1", "speed", Kind::F64);
    it.run("CREATE CONTINUOUS QUERY q AS SELECT time_bucket('10s', time), sum(value) FROM speed GROUP BY 1");
    (0..100).for_each(|second| it.write(speed, second, 1.0));
    it.queries.settle().unwrap();
    let output = it.db.find_metric(&Metric::new("", "q").tag("query", "q")).unwrap();
    it.db.delete(&[output], 0..20 * SECOND_NS).unwrap();
    assert_eq!(it.rows("q").len(), 8);
    it.run("REFRESH CONTINUOUS QUERY q FROM '1970-01-01' TO '1970-01-01T00:00:30Z'");
    it.queries.settle().unwrap();
    let rows = it.rows("q");
    assert!(rows.len() == 10 && rows.iter().all(|row| row.values == [Some(Value::F64(10.0))]));
}

//! A device whose clock is decades ahead is answered, and closes no window of the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chronolith_engine::{Db, Durability, Kind, Metric, MetricId, Options, Value};
use chronolith_query::continuous::{Continuous, From, Status};

use crate::oracle::SECOND_NS;

const HOUR: i64 = 3_600;
/// 2099-01-01T00:00:00Z.
const FAR: i64 = 4_070_908_800;
const START: i64 = 1_767_225_600;

struct Fixture {
    _directory: tempfile::TempDir,
    db: Db,
    metrics: [MetricId; 2],
    clock: Arc<AtomicI64>,
}

fn fixture() -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let db = Db::open(directory.path(), Options::default()).unwrap();
    let metric = |device: &str| db.metric(Metric::new(device, "speed"), Kind::F64).unwrap();
    let (metrics, clock) = ([metric("car-1"), metric("broken")], Arc::new(AtomicI64::new(0)));
    Fixture { _directory: directory, db, metrics, clock }
}

impl Fixture {
    fn open(&self) -> Continuous {
        let clock = Arc::clone(&self.clock);
        let now_ns = move || clock.load(Ordering::Relaxed);
        Continuous::open_with_clock(self.db.clone(), now_ns).unwrap()
    }

    fn set_clock(&self, second: i64) {
        self.clock.store(second * SECOND_NS, Ordering::Relaxed);
    }

    fn write(&self, metric: usize, seconds: impl IntoIterator<Item = i64>) {
        let mut batch = self.db.batch();
        for second in seconds {
            batch.push(self.metrics[metric], second * SECOND_NS, 1.0).unwrap();
        }
        self.db.write(&batch, Durability::Buffered).unwrap();
    }
}

const FINAL: &str = "CREATE CONTINUOUS QUERY q AS SELECT device, time_bucket('1m', time), count(*) \
                     FROM speed GROUP BY 1, 2 WITH (lateness = '10s', emit = 'final', late = 'count'";

fn status(queries: &Continuous) -> Status {
    queries.status().remove(0)
}

fn watermark(queries: &Continuous) -> Option<i64> {
    status(queries).watermark_ns.map(|time_ns| time_ns / SECOND_NS)
}

fn count(count: u64) -> Vec<Option<Value>> {
    vec![Some(Value::U64(count))]
}

#[test]
fn a_record_of_2099_is_answered_and_counted_and_closes_nothing() {
    let it = fixture();
    it.set_clock(START);
    // One is there when the query is made, with others before it.
    it.write(1, [START - 90, FAR]);
    let queries = it.open();
    queries.execute(&format!("{FINAL})")).unwrap();
    queries.settle().unwrap();
    assert_eq!((watermark(&queries), status(&queries).ahead_records), (Some(START - 100), 1));
    let mut changes = queries.subscribe("q", From::Now).unwrap();
    for second in 0..150 {
        it.set_clock(START + second);
        it.write(0, [START + second]);
        it.write(1, [FAR + second]);
        queries.settle().unwrap();
    }
    // The windows of the others close at their own time, each told once, and nothing was late.
    let told: Vec<_> = changes.ready().unwrap().iter().map(|c| c.row.clone()).collect();
    let starts: Vec<i64> = told.iter().map(|row| row.start_ns / SECOND_NS - START).collect();
    assert_eq!(starts, [-120, 0, 60]);
    assert!(told[1..].iter().all(|row| row.values == count(60) && row.is_final));
    assert_eq!((status(&queries).late_records, status(&queries).ahead_records), (0, 151));
    assert_eq!(watermark(&queries), Some(START + 139));
    let far: Vec<_> = queries.rows("q", FAR * SECOND_NS..=i64::MAX).unwrap();
    assert_eq!(
        far.iter().map(|row| row.values.clone()).collect::<Vec<_>>(),
        [count(60), count(60), count(30)]
    );
    assert!(far.iter().all(|row| row.keys == ["broken"] && !row.is_final));
    // A restart without the tail of the log finds the same watermark, and so does one that has to
    // read what changed from the store.
    it.write(1, [START + 145, FAR + 200]);
    drop((queries, changes));
    let queries = it.open();
    queries.settle().unwrap();
    assert_eq!(watermark(&queries), Some(START + 139));
    it.write(0, [START + 150, START + 151]);
    drop(queries);
    it.set_clock(START + 151);
    let queries = it.open();
    queries.settle().unwrap();
    assert_eq!(watermark(&queries), Some(START + 141));
}

#[test]
fn the_bound_is_an_option_and_may_be_left_out() {
    let it = fixture();
    it.set_clock(START);
    let queries = it.open();
    for (name, bound) in [("near", "'90s'"), ("usual", "'1h'"), ("any", "'none'")] {
        queries
            .execute(&format!(
                "CREATE CONTINUOUS QUERY {name} AS SELECT time_bucket('1m', time), count(*) \
                 FROM speed GROUP BY 1 WITH (max_ahead = {bound})"
            ))
            .unwrap();
    }
    it.write(0, [START, START + 90, START + HOUR, FAR]);
    queries.settle().unwrap();
    let of = |name: &str| {
        let status = queries.status().into_iter().find(|status| status.name == name).unwrap();
        (status.watermark_ns.unwrap() / SECOND_NS - START, status.ahead_records)
    };
    assert_eq!(of("near"), (90, 2));
    assert_eq!(of("usual"), (HOUR, 1));
    assert_eq!(of("any"), (FAR - START, 0));
}

#[test]
fn a_watermark_that_was_led_astray_is_mended_by_refreshing() {
    let it = fixture();
    // The clock of this machine is wrong for a while.
    it.set_clock(FAR);
    let queries = it.open();
    queries.execute(&format!("{FINAL})")).unwrap();
    it.write(0, [START, START + 1]);
    it.write(1, [FAR]);
    queries.settle().unwrap();
    it.write(0, [START + 2]);
    queries.settle().unwrap();
    assert_eq!((watermark(&queries), status(&queries).late_records), (Some(FAR - 10), 1));
    it.set_clock(START + 3);
    queries.execute("REFRESH CONTINUOUS QUERY q").unwrap();
    queries.settle().unwrap();
    assert_eq!(watermark(&queries), Some(START - 8));
    it.write(0, [START + 3]);
    queries.settle().unwrap();
    let rows = queries.rows("q", START * SECOND_NS..=(START + 60) * SECOND_NS).unwrap();
    assert!(rows.len() == 1 && rows[0].values == count(4) && !rows[0].is_final, "{rows:?}");
    it.write(0, [START + 71]);
    it.set_clock(START + 71);
    queries.settle().unwrap();
    let rows = queries.rows("q", START * SECOND_NS..=START * SECOND_NS).unwrap();
    assert!(rows[0].values == count(4) && rows[0].is_final);
}

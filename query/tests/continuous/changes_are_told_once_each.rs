//! Cursors: gone ones are said to be gone, checks end subscriptions, threads wake each other.

use std::time::Duration;

use chronolith_engine::{Db, Durability, Kind, Metric, MetricId, Options};
use chronolith_query::continuous::{
    Change, Continuous, ContinuousError, DeliveryCheck, From, Outcome,
};

use crate::oracle::SECOND_NS;

fn database() -> (tempfile::TempDir, Db, MetricId) {
    let directory = tempfile::tempdir().unwrap();
    let db = Db::open(directory.path(), Options::default()).unwrap();
    let id = db.metric(Metric::new("car-1", "speed"), Kind::I64).unwrap();
    (directory, db, id)
}

fn write(db: &Db, id: MetricId, second: i64, value: i64) {
    let mut batch = db.batch();
    batch.push(id, second * SECOND_NS, value).unwrap();
    db.write(&batch, Durability::Buffered).unwrap();
}

const STATEMENT: &str = "CREATE CONTINUOUS QUERY sums AS SELECT time_bucket('10s', time), sum(value) \
                         FROM speed GROUP BY 1 WITH (keep_changes = 5)";

#[test]
fn a_cursor_outside_of_what_is_kept_is_an_error_and_a_snapshot_goes_on() {
    let (_directory, db, id) = database();
    let queries = Continuous::open(db.clone()).unwrap();
    queries.execute(STATEMENT).unwrap();
    for second in 0..100 {
        write(&db, id, second, 1);
        queries.settle().unwrap();
    }
    let too_old = queries.subscribe("sums", From::Cursor(3)).err();
    let Some(ContinuousError::CursorTooOld { oldest, newest, .. }) = too_old else {
        panic!("a cursor that is gone was resumed: {too_old:?}");
    };
    assert_eq!((oldest, newest), (95, 100));
    assert!(matches!(
        queries.subscribe("sums", From::Cursor(101)).err(),
        Some(ContinuousError::CursorUnknown { newest: 100, .. })
    ));
    assert_eq!(queries.subscribe("sums", From::Cursor(95)).unwrap().ready().unwrap().len(), 5);
    let snapshot = queries.snapshot("sums").unwrap();
    assert_eq!((snapshot.rows.len(), snapshot.cursor), (10, 100));
    let mut follower = queries.subscribe("sums", From::Cursor(snapshot.cursor)).unwrap();
    write(&db, id, 100, 7);
    queries.settle().unwrap();
    let changes = follower.ready().unwrap();
    assert_eq!(changes.len(), 1);
    // After a restart the same five are there.
    drop((queries, follower));
    let queries = Continuous::open(db).unwrap();
    let again = queries.subscribe("sums", From::Cursor(100)).unwrap().ready().unwrap();
    assert_eq!(again, changes);
    assert!(queries.subscribe("sums", From::Cursor(95)).is_err());
    // Who is slow is told so as well.
    let mut slow = queries.subscribe("sums", From::Cursor(96)).unwrap();
    for second in 101..120 {
        write(queries.db(), id, second, 1);
        queries.settle().unwrap();
    }
    assert!(matches!(slow.ready(), Err(ContinuousError::CursorTooOld { .. })));
}

/// Allows so many deliveries.
struct Allow(usize);

impl DeliveryCheck for Allow {
    fn check(&mut self, query: &str, _: &Change) -> Result<(), String> {
        self.0 =
            self.0.checked_sub(1).ok_or_else(|| format!("the right to {query} has expired"))?;
        Ok(())
    }
}

#[test]
fn a_check_ends_a_subscription_with_its_reason() {
    let (_directory, db, id) = database();
    let queries = Continuous::open(db.clone()).unwrap();
    queries.execute(STATEMENT).unwrap();
    let follower = queries.subscribe("sums", From::Now).unwrap();
    let mut follower = follower.checked(Allow(1));
    write(&db, id, 1, 1);
    write(&db, id, 11, 1);
    queries.settle().unwrap();
    assert!(follower.wait(Duration::ZERO).unwrap().is_some());
    let refused = follower.wait(Duration::ZERO).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the subscription to sums was ended: the right to sums has expired"
    );
}

#[test]
fn a_worker_moves_queries_on_and_wakes_those_who_wait() {
    let (_directory, db, id) = database();
    let queries = Continuous::open(db.clone()).unwrap();
    // All changes are kept, so that a slow follower is not left behind by a fast worker.
    queries.execute(&STATEMENT.replace("keep_changes = 5", "keep_changes = 1000")).unwrap();
    let worker = queries.start().unwrap();
    let mut follower = queries.subscribe("sums", From::Now).unwrap();
    let writer = std::thread::spawn(move || (0..50).for_each(|second| write(&db, id, second, 1)));
    let mut sum = 0;
    while sum < 10 {
        let change = follower.next().unwrap().unwrap();
        if change.row.start_ns == 40 * SECOND_NS
            && let Some(Some(chronolith_engine::Value::I64(value))) = change.row.values.first()
        {
            sum = *value;
        }
    }
    writer.join().unwrap();
    assert!(worker.is_running() && worker.failure().is_none());
    drop(worker);
    assert_eq!(
        queries.execute("DROP CONTINUOUS QUERY sums").unwrap(),
        Outcome::Dropped("sums".into())
    );
    assert!(matches!(follower.next(), Some(Err(ContinuousError::Dropped(_)))));
}

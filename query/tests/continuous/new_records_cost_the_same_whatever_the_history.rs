//! What a new record costs does not grow with what was there before.

use std::sync::Arc;

use chronolith_disk::SimDisk;
use chronolith_engine::{Db, Durability, Kind, Maintenance, Metric, Options, SealScope};
use chronolith_query::continuous::Continuous;

use crate::oracle::SECOND_NS;

/// Bytes that a step writes, operations on the disk, records that were read, bytes of state.
#[derive(Debug, PartialEq, Eq)]
struct Cost {
    operations: u64,
    reread: u64,
    recomputed: u64,
    state_bytes: usize,
}

/// What 50 records in order and one that is late cost behind a history of so many hours.
fn cost(hours: i64, window: &str) -> (Cost, Cost) {
    let disk = SimDisk::new();
    let options = Options { maintenance: Maintenance::Manual, ..Options::default() };
    let db = Db::open_on(Arc::new(disk.clone()), options).unwrap();
    let id = db.metric(Metric::new("car-1", "speed"), Kind::F64).unwrap();
    let mut batch = db.batch();
    for second in 0..hours * 3_600 {
        batch.push(id, second * SECOND_NS, second as f64).unwrap();
    }
    db.write(&batch, Durability::Synced).unwrap();
    db.seal(SealScope::ClosedAt(hours * 3_600 * SECOND_NS)).unwrap();
    let queries = Continuous::open(db.clone()).unwrap();
    let statement = format!(
        "CREATE CONTINUOUS QUERY q AS SELECT {window}, avg(value), max(value) FROM speed GROUP BY 1 \
         WITH (lateness = '10s', keep_changes = 10)"
    );
    queries.execute(&statement).unwrap();
    queries.settle().unwrap();
    assert!((queries.status()[0].progress - 1.0).abs() < f64::EPSILON);
    let measure = |times: &mut dyn Iterator<Item = i64>| {
        let before = queries.status().remove(0);
        let operations = disk.operations();
        for second in times {
            let mut batch = db.batch();
            batch.push(id, second * SECOND_NS, 1.0).unwrap();
            db.write(&batch, Durability::Buffered).unwrap();
            queries.settle().unwrap();
        }
        let after = queries.status().remove(0);
        Cost {
            operations: disk.operations() - operations,
            reread: after.reread_records - before.reread_records,
            recomputed: after.recomputed_windows - before.recomputed_windows,
            state_bytes: after.state_bytes,
        }
    };
    let start = hours * 3_600;
    let in_order = measure(&mut (start..start + 50));
    let late = measure(&mut std::iter::once(30));
    (in_order, late)
}

#[test]
fn a_new_record_costs_the_same_behind_twenty_times_the_history() {
    for window in ["time_bucket('1m', time)", "hop('1m', '30s', time)"] {
        let (short, short_late) = cost(2, window);
        let (long, long_late) = cost(40, window);
        assert_eq!(short, long, "{window}");
        assert_eq!((short.reread, short.recomputed), (0, 0), "nothing is read again: {window}");
        // A late record costs its own windows.
        assert_eq!(short_late, long_late, "{window}");
        assert!(short_late.reread <= 121, "{window}: {short_late:?}");
    }
}

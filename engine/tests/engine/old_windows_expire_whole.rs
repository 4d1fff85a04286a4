//! Retention: a rule deletes the windows that hold nothing younger, and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chronolith_disk::SimDisk;
use chronolith_engine::{
    Clock, Db, Definition, Durability, Kind, Metric, Options, RetentionRule, SealScope,
};

use crate::oracle::{options, scan};

const SECOND_NS: i64 = 1_000_000_000;
const HOUR_NS: i64 = 3_600 * SECOND_NS;

struct SetClock(AtomicI64);

impl Clock for SetClock {
    fn now_ns(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// A rule cut at the nanosecond: each compaction wrote the window at the edge of every metric
/// anew, and with it all chunks of its month.
#[test]
fn a_rule_deletes_whole_windows_of_the_metrics_it_names() {
    let clock = Arc::new(SetClock(AtomicI64::new(10 * HOUR_NS + 42)));
    let options = Options { clock: Arc::clone(&clock) as Arc<dyn Clock>, ..options() };
    let db = Db::open_on(Arc::new(SimDisk::new()), options).unwrap();
    let ids = ["speed", "vin"].map(|name| {
        let definition = Definition::new(Metric::new("car", name), Kind::I64);
        db.define(definition.window_ns(HOUR_NS)).unwrap()
    });
    let mut batch = db.batch();
    for at in 0..100 {
        ids.iter().for_each(|id| batch.push(*id, at * HOUR_NS / 10, at).unwrap());
    }
    db.write(&batch, Durability::Synced).unwrap();
    db.seal(SealScope::All).unwrap();
    let rule =
        |name: &str, keep_ns| RetentionRule { device: ".*".into(), name: name.into(), keep_ns };
    db.set_retention(vec![rule(".*", 4 * HOUR_NS), rule("vin", 0)]).unwrap();

    assert_eq!(db.compact().unwrap().rewritten_windows, 6);
    let first = |id| scan(&db, id, i64::MIN, i64::MAX)[0].0;
    assert_eq!((first(ids[0]), first(ids[1])), (6 * HOUR_NS, 0));
    // Nothing more to do until the next window is too old.
    clock.0.store(11 * HOUR_NS - 1, Ordering::SeqCst);
    assert_eq!(db.compact().unwrap().rewritten_windows, 0);
    clock.0.store(11 * HOUR_NS, Ordering::SeqCst);
    assert_eq!(db.compact().unwrap().rewritten_windows, 1);
    assert_eq!((first(ids[0]), first(ids[1])), (7 * HOUR_NS, 0));
}

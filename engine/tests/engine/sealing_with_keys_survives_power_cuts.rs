//! The power may be cut between any two operations on a disk that has the store and its keystore: no chunk
//! is there whose key is not, nothing acknowledged is lost, and what was destroyed stays so.

use std::sync::Arc;

use chronolith_disk::{Disk, SimDisk};
use chronolith_engine::{Db, Durability, MetricId, SealScope, Value, verify};

use crate::crash_script::{SECOND_NS, definition, script_options};
use crate::keyed::beside;
use crate::oracle::scan;
use crate::power_cuts_lose_nothing_acknowledged::{CUT_KINDS, interrupted};

fn write(db: &Db, metric: MetricId, seconds: std::ops::Range<i64>) {
    let mut batch = db.batch();
    for second in seconds {
        batch.push(metric, second * SECOND_NS, second as f64).unwrap();
    }
    db.write(&batch, Durability::Synced).unwrap();
}

fn records(seconds: std::ops::Range<i64>) -> Vec<(i64, Value)> {
    seconds.map(|second| (second * SECOND_NS, Value::F64(second as f64))).collect()
}

/// What each of the two metrics must hold, at least and at most, from an operation of the disk on.
type Expected = (u64, [(std::ops::Range<i64>, std::ops::Range<i64>); 2]);

/// A store that writes, seals, destroys and compacts; what it must hold when.
fn lived(disk: &SimDisk) -> Vec<Expected> {
    let mut expected = Vec::new();
    let db = Db::open_on(Arc::new(disk.clone()), beside(disk, script_options())).unwrap();
    let metrics = [0, 6].map(|number| db.define(definition(number, "")).unwrap());
    let mut must = |first: [std::ops::Range<i64>; 2], second: [std::ops::Range<i64>; 2]| {
        let [a, b] = first;
        let [c, d] = second;
        expected.push((disk.operations(), [(a, b), (c, d)]));
    };
    // Between two of these anything from the one to the other may be there.
    must([0..0, 0..20], [0..0, 0..0]);
    write(&db, metrics[0], 0..20);
    must([0..20, 0..20], [0..0, 0..0]);
    db.seal(SealScope::All).unwrap();
    must([0..20, 0..20], [0..0, 0..20]);
    write(&db, metrics[1], 0..20);
    must([0..20, 0..20], [0..20, 0..20]);
    db.seal(SealScope::All).unwrap();
    must([10..20, 0..20], [0..20, 0..20]);
    db.destroy(&metrics[..1], 0..10 * SECOND_NS).unwrap();
    must([10..20, 10..20], [0..20, 0..20]);
    db.compact().unwrap();
    db.close().unwrap();
    must([10..20, 10..20], [0..20, 0..20]);
    expected
}

fn check(disk: &SimDisk, [first, second]: &[(std::ops::Range<i64>, std::ops::Range<i64>); 2]) {
    let has_store = disk.files().iter().any(|path| path == "manifest");
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let options = beside(disk, script_options());
    if has_store {
        assert_eq!(verify(&shared, &options).faults, Vec::new());
    }
    let db = Db::open_on(shared, options).unwrap();
    for (number, (least, most)) in [first, second].into_iter().enumerate() {
        let found = match db.metric_by_number(number as u32) {
            Some(metric) => scan(&db, metric, i64::MIN, i64::MAX),
            None => Vec::new(),
        };
        // Each step is one batch or one deletion: all of it is there, or nothing.
        let fits = found == records(least.clone()) || found == records(most.clone());
        assert!(fits, "metric {number}: {found:?} is neither {least:?} nor {most:?}");
    }
    db.seal(SealScope::All).unwrap();
    db.compact().unwrap();
}

#[test]
fn a_cut_beside_sealing_and_destroying_leaves_keys_to_all_chunks() {
    let disk = SimDisk::new();
    disk.keep_history();
    let expected = lived(&disk);
    let images = disk.history();
    let mut cuts = 0;
    for (operations, image) in images.iter().enumerate() {
        let until = expected.partition_point(|(at, _)| *at <= operations as u64);
        let nothing = [(0..0, 0..0), (0..0, 0..0)];
        let before = until.checked_sub(1).map_or(&nothing, |index| &expected[index].1);
        for (index, kind) in CUT_KINDS.into_iter().enumerate() {
            check(&interrupted(image, kind, (operations * 7 + index) as u64), before);
            cuts += 1;
        }
    }
    assert!(cuts > 500, "{cuts}");
}

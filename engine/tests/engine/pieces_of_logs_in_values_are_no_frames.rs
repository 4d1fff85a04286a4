//! A value may hold a piece of some log, this one's included: nothing in it is taken for a frame.

use std::sync::Arc;

use chronolith_disk::{Disk, SimDisk};
use chronolith_engine::{Db, Durability, Kind, Metric, MetricId, ValueRef, repair, verify};

use crate::oracle::{options, scan};

fn open(disk: &SimDisk, secret: u8) -> (Db, [MetricId; 2]) {
    let options = chronolith_engine::Options { producer_secret: Some([secret; 32]), ..options() };
    let db = Db::open_on(Arc::new(disk.clone()), options).unwrap();
    let bytes = db.metric(Metric::new("car", "payload"), Kind::Bytes).unwrap();
    (db.clone(), [bytes, db.metric(Metric::new("car", "speed"), Kind::F64).unwrap()])
}

fn write_speed(db: &Db, id: MetricId, times: std::ops::Range<i64>) {
    for time_ns in times {
        let mut batch = db.batch();
        batch.push(id, time_ns, 1e6).unwrap();
        db.write(&batch, Durability::Synced).unwrap();
    }
}

fn log_of(disk: &SimDisk) -> Vec<u8> {
    let mut names = disk.files().into_iter().filter(|name| name.ends_with(".wal"));
    disk.read_file(&names.next_back().unwrap()).unwrap()
}

/// A frame inside of a value counted as one behind a torn place. It said that what stood there had
/// been synced, and the opening called a torn end damage; a repair carried out what it said.
#[test]
fn a_torn_end_with_frames_of_another_log_in_it_is_torn_and_nothing_more() {
    let other = SimDisk::new();
    let (db, [_, speed]) = open(&other, 2);
    write_speed(&db, speed, 1_000..1_020);
    let foreign = log_of(&other);

    let disk = SimDisk::new();
    let (db, [payload, speed]) = open(&disk, 1);
    write_speed(&db, speed, 0..3);
    for value in [foreign, log_of(&disk)] {
        let mut batch = db.batch();
        batch.push(payload, 5, ValueRef::Bytes(&value)).unwrap();
        db.write(&batch, Durability::Synced).unwrap();
        // The last frame is torn at its first byte; what it holds is whole.
        let torn = disk.deep_clone();
        let name = torn.files().into_iter().rfind(|name| name.ends_with(".wal")).unwrap();
        let mut content = torn.read_file(&name).unwrap();
        let start = content.len() - value.len() - 100;
        let frame = content[start..].windows(4).position(|four| four == b"\xC1wf\x01").unwrap();
        content[start + frame] ^= 1;
        let file = torn.open(&name).unwrap();
        file.set_len(0).and_then(|()| file.append(&content)).unwrap();

        let shared: Arc<dyn Disk> = Arc::new(torn.deep_clone());
        assert_eq!(verify(&shared, &options()).faults, []);
        assert_eq!(repair(&shared, &options()).unwrap().salvaged_frames, 0);
        let (db, [_, speed]) = open(&torn, 1);
        assert!(db.torn_tail().is_some());
        assert_eq!(scan(&db, speed, i64::MIN, i64::MAX).len(), 3);
    }
}

//! Whatever step of flushing, sealing or compacting a batch arrives at: it is whole after a power
//! cut, and there where it was acknowledged.

use std::sync::{Arc, Mutex};

use chronolith_disk::{CrashMode, SimDisk};
use chronolith_engine::{Batch, Db, Durability, MetricId, SealScope};

use crate::crash_script::{Content, SECOND_NS, content, definition};
use crate::hooked::Hooked;
use crate::oracle::options;

/// A batch that arrives at a call, and what became of it.
struct Arrival {
    at: u64,
    batch: Batch,
    durability: Durability,
    /// The operations of the disk when it was acknowledged as synced.
    acknowledged: Option<u64>,
}

/// What is to arrive at a store while it is busy.
#[derive(Default)]
struct Arrivals {
    calls: u64,
    db: Option<Db>,
    arrivals: Vec<Arrival>,
}

impl Arrivals {
    /// Only calls on names count: during those on files the store may hold the locks that a writer
    /// needs.
    fn arrive(&mut self, sim: &SimDisk) {
        self.calls += 1;
        let Some(db) = &self.db else { return };
        for arrival in self.arrivals.iter_mut().filter(|arrival| arrival.at == self.calls) {
            match arrival.durability {
                Durability::Synced => {
                    db.write(&arrival.batch, Durability::Synced).unwrap();
                    arrival.acknowledged = Some(sim.operations());
                }
                _ => drop(db.submit(&arrival.batch).unwrap()),
            }
        }
    }
}

type Upkeep = fn(&Db);

const UPKEEPS: [(&str, Upkeep); 3] = [
    ("flush", |db| db.flush().unwrap()),
    ("seal", |db| drop(db.seal(SealScope::All).unwrap())),
    ("compact", |db| assert!(db.compact().unwrap().segments.1 > 0)),
];

/// Records of both metrics in a window that is sealed already, one that is not and a new one.
fn batch(db: &Db, ids: [MetricId; 2], offset_ns: i64) -> Batch {
    let mut batch = db.batch();
    for (id, window) in ids.iter().flat_map(|id| [(id, 0), (id, 40), (id, 90 + offset_ns)]) {
        batch.push(*id, window * SECOND_NS + offset_ns, 0.25 * offset_ns as f64).unwrap();
    }
    batch.put_state("script", b"last", &offset_ns.to_le_bytes());
    batch
}

fn open(disk: &SimDisk) -> Db {
    Db::open_on(Arc::new(disk.clone()), options()).unwrap()
}

struct Run {
    sim: SimDisk,
    arrivals: Arc<Mutex<Arrivals>>,
    db: Db,
    ids: [MetricId; 2],
}

/// A store with a sealed chunk, a run, a deletion, and records in memory.
fn prepare() -> Run {
    let (disk, arrivals) = (Arc::new(Hooked::new()), Arc::new(Mutex::new(Arrivals::default())));
    let (sim, of_disk, of_calls) = (disk.sim.clone(), disk.sim.clone(), Arc::clone(&arrivals));
    disk.set(move |call, _| {
        if !matches!(call, "list" | "map" | "renamed") {
            of_calls.lock().unwrap().arrive(&of_disk);
        }
    });
    let db = Db::open_on(disk, options()).unwrap();
    let ids = [0, 6].map(|number| db.define(definition(number, "")).unwrap());
    db.write(&batch(&db, ids, 1), Durability::Synced).unwrap();
    db.seal(SealScope::All).unwrap();
    db.write(&batch(&db, ids, 2), Durability::Synced).unwrap();
    db.flush().unwrap();
    db.delete(&ids[..1], 0..SECOND_NS).unwrap();
    db.write(&batch(&db, ids, 3), Durability::Synced).unwrap();
    Run { sim, arrivals, db, ids }
}

impl Run {
    /// Does the upkeep while a batch arrives at each of two calls; the contents in their order,
    /// the first image of the upkeep's time, and when the second batch was acknowledged.
    fn play(&self, upkeep: Upkeep, calls: (u64, u64)) -> (Vec<Content>, Vec<SimDisk>, Option<u64>) {
        let mut contents = vec![content(&self.db).unwrap()];
        let start = self.arrivals.lock().unwrap().calls;
        let operations = self.sim.operations();
        let arrival = |at, offset_ns, durability| {
            let batch = batch(&self.db, self.ids, offset_ns);
            Arrival { at: start + at, batch, durability, acknowledged: None }
        };
        let arriving = vec![
            arrival(calls.0, 4, Durability::Buffered),
            arrival(calls.1, 5, Durability::Synced),
        ];
        {
            let mut arrivals = self.arrivals.lock().unwrap();
            (arrivals.arrivals, arrivals.db) = (arriving, Some(self.db.clone()));
        }
        self.sim.keep_history();
        upkeep(&self.db);
        let images = self.sim.history();
        // The handle is dropped without the lock: closing calls the disk as well.
        let handle = self.arrivals.lock().unwrap().db.take();
        drop(handle);
        let acknowledged = self.arrivals.lock().unwrap().arrivals[1].acknowledged;
        // What a store without any upkeep makes of the same batches.
        let plain = prepare();
        for offset_ns in [4, 5] {
            let batch = batch(&plain.db, plain.ids, offset_ns);
            plain.db.write(&batch, Durability::Synced).unwrap();
            contents.push(content(&plain.db).unwrap());
        }
        (contents, images, acknowledged.map(|at| at - operations))
    }
}

#[test]
fn a_batch_that_arrives_at_any_step_of_upkeep_is_whole_and_kept() {
    let mut done = 0;
    for (name, upkeep) in UPKEEPS {
        let run = prepare();
        let calls = || run.arrivals.lock().unwrap().calls;
        let before = calls();
        upkeep(&run.db);
        let steps = calls() - before;
        let pairs = (1..=steps).flat_map(|first| (first + 1..=steps).map(move |at| (first, at)));
        for calls in pairs {
            let (contents, images, acknowledged) = prepare().play(upkeep, calls);
            for (index, image) in images.iter().enumerate() {
                let mode = CrashMode::ALL[(index + calls.1 as usize) % CrashMode::ALL.len()];
                let found = content(&open(&image.crash(mode, index as u64))).unwrap();
                let is_kept = acknowledged.is_some_and(|at| at <= index as u64);
                let may_be = &contents[if is_kept { 2 } else { 0 }..];
                let place = format!("{name}, batches at {calls:?}, cut after {index}, {mode:?}");
                assert!(may_be.contains(&found), "{place}: no prefix");
                done += 1;
            }
        }
    }
    eprintln!("{done} power cuts while batches arrive during upkeep: all whole and kept");
}

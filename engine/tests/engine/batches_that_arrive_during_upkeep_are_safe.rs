//! Whatever step of flushing, sealing or compacting a batch arrives at: it is whole after a power
//! cut, and there where it was acknowledged.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use chronolith_disk::{CrashMode, Disk, DiskFile, DiskLock, Mapped, SimDisk};
use chronolith_engine::{Batch, Db, Durability, MetricId, Options, SealScope};

use crate::crash_script::{Content, SECOND_NS, content, definition};
use crate::oracle::options;

/// A batch that arrives at a call, and what became of it.
struct Arrival {
    at: u64,
    batch: Batch,
    durability: Durability,
    /// The operations of the disk when it was acknowledged as synced.
    acknowledged: Option<u64>,
}

/// A disk that calls the store between two of the store's own calls. Only calls on names count:
/// during those on files the store may hold the locks that a writer needs.
struct Interleaved {
    sim: SimDisk,
    calls: AtomicU64,
    db: Mutex<Option<Db>>,
    arrivals: Mutex<Vec<Arrival>>,
}

impl Interleaved {
    fn arrive(&self) {
        let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        let Some(db) = self.db.lock().unwrap().clone() else { return };
        let mut arrivals = self.arrivals.lock().unwrap();
        for arrival in arrivals.iter_mut().filter(|arrival| arrival.at == call) {
            match arrival.durability {
                Durability::Synced => {
                    db.write(&arrival.batch, Durability::Synced).unwrap();
                    arrival.acknowledged = Some(self.sim.operations());
                }
                _ => drop(db.submit(&arrival.batch).unwrap()),
            }
        }
    }
}

impl Disk for Interleaved {
    fn open(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        self.arrive();
        self.sim.open(path)
    }

    fn open_read(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        self.sim.open_read(path)
    }

    fn map(&self, path: &str) -> io::Result<Mapped> {
        self.sim.map(path)
    }

    fn exists(&self, path: &str) -> io::Result<bool> {
        self.sim.exists(path)
    }

    fn len(&self, path: &str) -> io::Result<u64> {
        self.sim.len(path)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.arrive();
        self.sim.rename(from, to)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.arrive();
        self.sim.remove(path)
    }

    fn create_dir_all(&self, path: &str) -> io::Result<()> {
        self.arrive();
        self.sim.create_dir_all(path)
    }

    fn remove_dir(&self, path: &str) -> io::Result<()> {
        self.sim.remove_dir(path)
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        self.sim.list(path)
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        self.arrive();
        self.sim.sync_dir(path)
    }

    fn lock(&self, path: &str) -> io::Result<Box<dyn DiskLock>> {
        self.sim.lock(path)
    }

    fn describe(&self, path: &str) -> String {
        self.sim.describe(path)
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
    disk: Arc<Interleaved>,
    db: Db,
    ids: [MetricId; 2],
}

/// A store with a sealed chunk, a run, a deletion, and records in memory.
fn prepare() -> Run {
    let disk = Arc::new(Interleaved {
        sim: SimDisk::new(),
        calls: AtomicU64::new(0),
        db: Mutex::default(),
        arrivals: Mutex::default(),
    });
    let options: Options = options();
    let db = Db::open_on(Arc::clone(&disk) as Arc<dyn Disk>, options).unwrap();
    let ids = [0, 6].map(|number| db.define(definition(number, "")).unwrap());
    db.write(&batch(&db, ids, 1), Durability::Synced).unwrap();
    db.seal(SealScope::All).unwrap();
    db.write(&batch(&db, ids, 2), Durability::Synced).unwrap();
    db.flush().unwrap();
    db.delete(&ids[..1], 0..SECOND_NS).unwrap();
    db.write(&batch(&db, ids, 3), Durability::Synced).unwrap();
    Run { disk, db, ids }
}

impl Run {
    /// Does the upkeep while a batch arrives at each of two calls; the contents in their order,
    /// the first image of the upkeep's time, and when the second batch was acknowledged.
    fn play(&self, upkeep: Upkeep, calls: (u64, u64)) -> (Vec<Content>, Vec<SimDisk>, Option<u64>) {
        let mut contents = vec![content(&self.db).unwrap()];
        let start = self.disk.calls.load(Ordering::SeqCst);
        let operations = self.disk.sim.operations();
        let arrival = |at, offset_ns, durability| {
            let batch = batch(&self.db, self.ids, offset_ns);
            Arrival { at: start + at, batch, durability, acknowledged: None }
        };
        *self.disk.arrivals.lock().unwrap() = vec![
            arrival(calls.0, 4, Durability::Buffered),
            arrival(calls.1, 5, Durability::Synced),
        ];
        *self.disk.db.lock().unwrap() = Some(self.db.clone());
        self.disk.sim.keep_history();
        upkeep(&self.db);
        *self.disk.db.lock().unwrap() = None;
        let images = self.disk.sim.history();
        let acknowledged = self.disk.arrivals.lock().unwrap()[1].acknowledged;
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
        let before = run.disk.calls.load(Ordering::SeqCst);
        upkeep(&run.db);
        let steps = run.disk.calls.load(Ordering::SeqCst) - before;
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

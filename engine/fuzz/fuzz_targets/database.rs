#![no_main]
//! A whole database, one file or one record of which is not what was written: opening, reading
//! and maintaining it may fail and must not panic. See `Plan` for the input.

use std::borrow::Cow;
use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use chronolith_disk::{Disk, SimDisk};
use chronolith_engine::{
    Aggregation, BlobRef, Clock, Db, Definition, Durability, Every, Function, Kind, Level,
    Maintenance, Metric, Options, Protect, ProtectError, Protection, Purpose, RetentionRule,
    SealScope, Selector, Value, repair, verify,
};
use chronolith_engine_fuzz as _;
use libfuzzer_sys::fuzz_target;

const SECOND_NS: i64 = 1_000_000_000;
const NOW_NS: i64 = 1_000 * SECOND_NS;

struct Now;

impl Clock for Now {
    fn now_ns(&self) -> i64 {
        NOW_NS
    }
}

fn options() -> Options {
    Options {
        clock: Arc::new(Now),
        maintenance: Maintenance::Manual,
        producer_secret: Some([7; 32]),
        ..Options::default()
    }
}

/// A database that is closed, the same as a power cut left it, and a blob of both.
struct Base {
    disks: [SimDisk; 2],
    blob: BlobRef,
}

fn write(db: &Db, from: i64, count: i64, blob: BlobRef) {
    let mut batch = db.batch();
    for at in from..from + count {
        for (number, kind) in Kind::ALL.into_iter().enumerate() {
            let id = db.metric_by_number(number as u32).expect("it was defined");
            let value = match kind {
                Kind::F64 => Value::F64(at as f64 / 10.0),
                Kind::I64 => Value::I64(at % 7),
                Kind::U64 => Value::U64(at as u64),
                Kind::Bool => Value::Bool(at % 3 == 0),
                Kind::Text => Value::Text(format!("at {at}")),
                Kind::Bytes if at % 5 == 0 => Value::Blob(blob),
                Kind::Bytes => Value::Bytes(at.to_le_bytes().to_vec()),
            };
            batch.push(id, at * SECOND_NS, value.as_ref()).expect("a record");
        }
    }
    batch.put_state("fuzz", &from.to_le_bytes(), b"seen");
    db.write(&batch, Durability::Synced).expect("an empty disk takes a batch");
}

fn base() -> &'static Base {
    static BASE: OnceLock<Base> = OnceLock::new();
    BASE.get_or_init(|| {
        let disk = SimDisk::new();
        let db = Db::open_on(Arc::new(disk.clone()), options()).expect("a new database");
        for kind in Kind::ALL {
            let metric = Metric::new("car", kind.name()).tag("class", "fleet");
            let level = if kind == Kind::I64 { Level::Secret } else { Level::Regular };
            let definition = Definition { level, ..Definition::new(metric, kind) };
            db.define(definition.window_ns(20 * SECOND_NS)).expect("a definition");
        }
        let blob = db.write_blob(&[5; 100][..]).expect("a blob");
        write(&db, 100, 48, blob);
        db.seal(SealScope::ClosedAt(440 * SECOND_NS)).expect("a segment");
        write(&db, 118, 6, blob);
        let id = db.metric_by_number(1).expect("it was defined");
        db.delete(&[id], 103 * SECOND_NS..=104 * SECOND_NS).expect("a deletion");
        db.flush().expect("a run");
        write(&db, 150, 3, blob);
        let rule = RetentionRule { device: "van".into(), name: ".*".into(), keep_ns: 1 };
        db.set_retention(vec![rule]).expect("a rule");
        write(&db, 152, 3, blob);
        let cut = disk.deep_clone();
        db.close().expect("it closes");
        Base { disks: [disk, cut], blob }
    })
}

/// `flags · which · nth · edits`: which of the two databases; a file as it stands or a record
/// behind its checksum; what is done afterwards.
struct Plan<'a> {
    flags: u8,
    which: usize,
    nth: usize,
    edits: &'a [u8],
}

impl Plan<'_> {
    const CUT: u8 = 1;
    const BEHIND_CHECKSUM: u8 = 2;
    const READ_ONLY: u8 = 4;
    const MAINTAIN: u8 = 8;
    const VERIFY: u8 = 16;
    const REPAIR: u8 = 32;

    fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// Edits of five bytes each: `operation · place u16 · bytes`.
fn edit(content: &mut Vec<u8>, edits: &[u8]) {
    for [operation, low, high, one, two] in edits.as_chunks().0.iter().take(16) {
        let at = usize::from(u16::from_le_bytes([*low, *high])) % (content.len() + 1);
        match operation % 6 {
            0 if at < content.len() => content[at] ^= (*one).max(1),
            1 if at < content.len() => content[at] = *one,
            2 => content.truncate(at),
            3 => drop(content.splice(at..at, [*one, *two])),
            4 => drop(content.drain(at..content.len().min(at + usize::from(*one)))),
            _ => content[at..].iter_mut().take(usize::from(*two % 9)).for_each(|b| *b = *one),
        }
    }
}

const PURPOSES: [Purpose; 8] = [
    Purpose::Wal,
    Purpose::Run,
    Purpose::Chunk,
    Purpose::Footer,
    Purpose::Definitions,
    Purpose::Manifest,
    Purpose::State,
    Purpose::Blob,
];

/// Edits the nth record of a purpose that is opened.
#[derive(Debug)]
struct Editing {
    purpose: Purpose,
    nth: usize,
    edits: Vec<u8>,
    opened: AtomicUsize,
}

impl Protect for Editing {
    fn protect<'a>(&self, _: Purpose, bytes: &'a [u8]) -> (Protection, Cow<'a, [u8]>) {
        (Protection::CLEAR, Cow::Borrowed(bytes))
    }

    fn open<'a>(
        &self,
        purpose: Purpose,
        _: Protection,
        bytes: &'a [u8],
    ) -> Result<Cow<'a, [u8]>, ProtectError> {
        let is_it =
            purpose == self.purpose && self.opened.fetch_add(1, Ordering::Relaxed) == self.nth;
        let mut content = bytes.to_vec();
        if !is_it {
            return Ok(Cow::Borrowed(bytes));
        }
        edit(&mut content, &self.edits);
        Ok(Cow::Owned(content))
    }
}

fn read(db: &Db, blob: &BlobRef) {
    for number in 0..db.metric_count().min(64) as u32 {
        let Some(id) = db.metric_by_number(number) else { continue };
        let _ = db.definition(id);
        for range in [(i64::MIN, i64::MAX), (110 * SECOND_NS, 125 * SECOND_NS)] {
            if let Ok(scan) = db.scan(id, range.0..=range.1) {
                for block in scan.flatten() {
                    assert!(block.times().is_sorted_by(|a, b| a < b));
                    assert_eq!(block.len(), block.values().len());
                    let _ = block.iter().count();
                }
            }
        }
        let applies = |function: &Function| function.applies_to(id.kind());
        let functions: Vec<Function> = Function::ALL.into_iter().filter(applies).collect();
        // Buckets of a fixed length over all of time would be without number.
        for (every, from_ns, to_ns) in [
            (Every::Nanoseconds(7 * SECOND_NS), 0, NOW_NS),
            (Every::Everything, i64::MIN, i64::MAX),
        ] {
            let functions = functions.clone();
            let _ = db.aggregate(&[id], &Aggregation { from_ns, to_ns, every, functions });
        }
        let _ = (db.latest(id), db.metric_statistics(id));
        if let Ok(chunks) = db.chunks(id, ..) {
            chunks.iter().take(8).for_each(|chunk| drop(db.provable_chunk(chunk.key)));
        }
    }
    let _ = (db.statistics(), db.changes(0), db.state_entries("fuzz"), db.retention());
    let _ = (db.tag_keys(), db.label_values("class"), db.select(&Selector::default()));
    let _ = db.catalogue("car");
    if let Ok(mut reader) = db.open_blob(blob) {
        let _ = reader.read_to_end(&mut Vec::new());
    }
}

fn maintain(db: &Db) {
    let Some(id) = db.metric_by_number(0) else { return };
    let mut batch = db.batch();
    if batch.push(id, 121 * SECOND_NS, Value::F64(1.5).as_ref()).is_ok() {
        let _ = db.write(&batch, Durability::Synced);
    }
    let _ = db.delete(&[id], 105 * SECOND_NS..=106 * SECOND_NS);
    let _ = (db.flush(), db.seal(SealScope::All), db.compact());
}

fuzz_target!(|data: &[u8]| {
    let Some(([flags, which, nth], edits)) = data.split_first_chunk() else { return };
    let (which, nth) = (usize::from(*which), usize::from(*nth));
    let plan = Plan { flags: *flags, which, nth, edits };
    let base = base();
    let disk = base.disks[usize::from(plan.has(Plan::CUT))].deep_clone();
    let mut options = options();
    if plan.has(Plan::BEHIND_CHECKSUM) {
        options.protect = Arc::new(Editing {
            purpose: PURPOSES[plan.which % PURPOSES.len()],
            nth: plan.nth % 32,
            edits: plan.edits.to_vec(),
            opened: AtomicUsize::new(0),
        });
    } else {
        let files: Vec<String> = disk.files().into_iter().filter(|path| path != "LOCK").collect();
        let path = &files[plan.which % files.len()];
        let mut content = disk.read_file(path).expect("it was listed");
        edit(&mut content, plan.edits);
        let file = disk.open(path).expect("it was listed");
        file.set_len(0).and_then(|()| file.append(&content)).expect("the disk takes it");
    }
    options.read_only = plan.has(Plan::READ_ONLY);
    options.create = !options.read_only;
    let shared: Arc<dyn Disk> = Arc::new(disk);
    if plan.has(Plan::VERIFY) {
        let _ = verify(&shared, &options);
    }
    if let Ok(db) = Db::open_on(Arc::clone(&shared), options.clone()) {
        read(&db, &base.blob);
        if plan.has(Plan::MAINTAIN) && !options.read_only {
            maintain(&db);
            read(&db, &base.blob);
        }
        let _ = db.close();
    }
    if plan.has(Plan::REPAIR) {
        options.read_only = false;
        let _ = repair(&shared, &options);
        if let Ok(db) = Db::open_on(shared, options) {
            read(&db, &base.blob);
        }
    }
});

//! The power may be cut between any two operations on the disk, and again while the store
//! recovers: what was acknowledged as synced is there, nothing is invented, no batch is halved.
//!
//! `CHRONOLITH_CUT_POINTS=200000 cargo test -p chronolith-engine --release power_cut -- --nocapture`
//! runs a campaign, with a quarter as many second cuts; `CHRONOLITH_SEED` moves it to other scripts.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use chronolith_disk::{CrashMode, Disk, Lie, SimDisk};
use chronolith_engine::{
    Batch, Clear, Db, Durability, MetricId, Options, Protect, ProtectError, Protection, Purpose,
    RepairReport, SealScope, repair,
};

use crate::crash_script::{
    Content, Event, Journal, Model, Player, Random, SECOND_NS, Step, content, definition,
    difference, script, script_options, sequel,
};
use crate::oracle::assert_agrees;

/// Cuts that the test tries when nobody asks for more.
const CUTS: usize = 2_500;
const STEPS: usize = 110;

pub(crate) fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn first_seed() -> u64 {
    number("CHRONOLITH_SEED", 1) as u64
}

/// Says where the test was when something panicked.
struct Context(String);

impl Drop for Context {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("at {}", self.0);
        }
    }
}

/// How the store is interrupted: killed, with everything still in the system's memory, or cut off.
pub(crate) type Cut = Option<CrashMode>;

/// Every way to be interrupted.
pub(crate) const CUT_KINDS: [Cut; 6] = [
    None,
    Some(CrashMode::DropUnsynced),
    Some(CrashMode::KeepAll),
    Some(CrashMode::Torn),
    Some(CrashMode::Reordered),
    Some(CrashMode::Mixed),
];

pub(crate) fn interrupted(disk: &SimDisk, cut: Cut, seed: u64) -> SimDisk {
    cut.map_or_else(|| disk.deep_clone(), |mode| disk.crash(mode, seed))
}

/// A script that was played to its end, and the disk before each of its operations.
struct Played {
    journal: Journal,
    images: Vec<SimDisk>,
}

fn play(seed: u64, lie: Option<Lie>) -> Played {
    let disk = SimDisk::new();
    disk.keep_history();
    disk.lie(lie);
    let counter = disk.clone();
    let mut player = Player::new(Arc::new(disk.clone()), move || counter.operations());
    if let Err(error) = player.play(&script(seed, STEPS)) {
        panic!("script {seed} does not run on a sound disk: {error:?}");
    }
    player.db = None;
    Played { journal: player.journal, images: disk.history() }
}

fn open(disk: &SimDisk) -> Result<Db, String> {
    Db::open_on(Arc::new(disk.clone()), script_options()).map_err(|error| error.to_string())
}

impl Played {
    /// Cuts the power after `operations`; the disk and the store that came back, and how many
    /// events it holds.
    fn cut(&self, operations: usize, mode: Cut, seed: u64) -> Result<(SimDisk, Db, usize), String> {
        let disk = interrupted(&self.images[operations], mode, seed);
        if disk.files().iter().any(|path| path == "manifest") {
            // A power cut damages nothing: verifying finds no fault, and repairing does nothing.
            let shared: Arc<dyn Disk> = Arc::new(disk.clone());
            let report = repair(&shared, &script_options()).map_err(|error| error.to_string())?;
            if report != RepairReport::default() {
                return Err(format!("a power cut is taken for damage: {report:?}"));
            }
        }
        disk.keep_history();
        let db = open(&disk)?;
        let events = self.journal.check(&db, operations as u64)?;
        Ok((disk, db, events))
    }

    /// The store takes more, closes, opens and still agrees with the model.
    fn goes_on(&self, disk: &SimDisk, events: usize, seed: u64) -> Result<(), String> {
        let model = self.journal.models[events].clone();
        let steps = sequel(seed, model.definitions.len());
        let mut player = Player::resume(Arc::new(disk.clone()), || 0, model);
        player.play(&steps).map_err(|error| format!("while going on: {error:?}"))?;
        let all = player.events();
        player.db = None;
        let db = open(disk)?;
        player.journal.check_between(&db, (all, all))?;
        let Some(model) = player.journal.models.last() else { return Ok(()) };
        for metric in 0..db.metric_count() as u32 {
            let id = db.metric_by_number(metric).unwrap();
            assert_agrees(&db, &model.oracle, id, 103 * SECOND_NS + 1, 131 * SECOND_NS);
        }
        Ok(())
    }
}

/// Every cut of some scripts in every mode, or so many of them evenly spread.
fn for_each_cut(mut count: usize, mut cut: impl FnMut(u64, &Played, usize, Cut, u64)) {
    let mut seed = first_seed();
    let mut random = Random(seed);
    while count > 0 {
        let played = play(seed, None);
        let all = played.images.len() * CUT_KINDS.len();
        let chosen = count.min(all);
        for index in 0..chosen {
            // Evenly spread over the script, and every mode in turn.
            let point = index * all / chosen;
            let mode = CUT_KINDS[(point + index) % CUT_KINDS.len()];
            let operations = point / CUT_KINDS.len();
            cut(seed, &played, operations, mode, random.next());
        }
        count -= chosen;
        seed += 1;
    }
}

#[test]
pub(crate) fn a_power_cut_after_any_operation_loses_nothing_acknowledged() {
    let count = number("CHRONOLITH_CUT_POINTS", CUTS);
    let (mut done, mut went_on) = (0, 0);
    for_each_cut(count, |script, played, operations, mode, seed| {
        let place = format!("script {script}, cut after {operations}, {mode:?}, seed {seed}");
        let context = Context(place.clone());
        let (disk, db, events) = match played.cut(operations, mode, seed) {
            Ok(cut) => cut,
            Err(error) => panic!("{place}: {error}"),
        };
        drop(db);
        done += 1;
        if done % 8 == 0 {
            if let Err(error) = played.goes_on(&disk, events, seed) {
                panic!("{place}: {error}");
            }
            went_on += 1;
        }
        drop(context);
    });
    eprintln!("{done} power cuts, of which {went_on} went on: nothing acknowledged was lost");
}

#[test]
fn a_second_power_cut_during_recovery_loses_nothing_either() {
    let count = number("CHRONOLITH_CUT_POINTS", CUTS) / 4;
    let mut done = 0;
    // A recovery has about fifteen operations.
    for_each_cut(count / 15 + 1, |script, played, operations, mode, seed| {
        let place = format!("script {script}, cut after {operations}, {mode:?}, seed {seed}");
        let context = Context(place.clone());
        let (disk, db, events) = match played.cut(operations, mode, seed) {
            Ok(cut) => cut,
            Err(error) => panic!("{place}: {error}"),
        };
        let images = disk.history();
        drop(db);
        let bounds = played.journal.bounds(operations as u64);
        let last = images.len() - 1;
        for (again, image) in images.into_iter().enumerate() {
            let mode = CUT_KINDS[(again + seed as usize % 6) % CUT_KINDS.len()];
            // What an opened store showed stays.
            let bounds = if again == last { (events, events) } else { bounds };
            let survived = interrupted(&image, mode, seed ^ again as u64);
            let held = open(&survived)
                .and_then(|db| played.journal.check_between(&db, bounds))
                .and_then(|events| match done % 16 {
                    0 => played.goes_on(&survived, events, seed),
                    _ => Ok(()),
                });
            if let Err(error) = held {
                panic!("{place}, then after {again} operations of recovery {mode:?}: {error}");
            }
            done += 1;
        }
        drop(context);
    });
    eprintln!("{done} second power cuts: nothing acknowledged was lost");
}

/// A process that is killed between the rename of a manifest and the sync of its name leaves a
/// manifest that the next process reads and a power cut undoes. What only the one before it names
/// must not be removed until then.
#[test]
fn a_power_cut_may_bring_the_manifest_of_before_the_kill_back() {
    let played = play(first_seed(), None);
    let manifest = |image: &SimDisk| image.read_file("manifest").ok();
    let mut done = 0;
    for operations in 1..played.images.len() {
        let (before, image) = (&played.images[operations - 1], &played.images[operations]);
        if manifest(before) == manifest(image) {
            continue;
        }
        let disk = image.deep_clone();
        disk.keep_history();
        drop(open(&disk).unwrap());
        let bounds = played.journal.bounds(operations as u64);
        for (again, image) in disk.history().iter().enumerate() {
            for seed in 0..3 {
                let survived = image.crash(CrashMode::Reordered, seed);
                let held = open(&survived).and_then(|db| played.journal.check_between(&db, bounds));
                if let Err(error) = held {
                    panic!("killed after {operations}, cut after {again} more, {seed}: {error}");
                }
                done += 1;
            }
        }
    }
    eprintln!("{done} power cuts after a kill: nothing acknowledged was lost");
    assert!(done > 100, "the script stores too few manifests");
}

#[test]
fn a_store_that_loses_its_disk_stops_with_errors() {
    let whole = play(first_seed(), None).images.len();
    for cut_after in (0..whole).step_by(whole / 60 + 1) {
        let disk = SimDisk::new();
        disk.cut_after(cut_after as u64);
        let counter = disk.clone();
        let mut player = Player::new(Arc::new(disk.clone()), move || counter.operations());
        let ended = player.play(&script(first_seed(), STEPS));
        assert!(ended.is_ok() || disk.is_cut(), "cut after {cut_after}: {ended:?}");
        player.db = None;
        let survived = disk.crash(CrashMode::Mixed, cut_after as u64);
        let db = open(&survived).unwrap_or_else(|error| panic!("cut after {cut_after}: {error}"));
        let bounds = (player.acknowledged(), player.events());
        if let Err(error) = player.journal.check_between(&db, bounds) {
            panic!("cut after {cut_after}: {error}");
        }
    }
}

/// How many of the cuts of one script a disk with a lie makes fail.
fn caught(lie: Lie) -> usize {
    let played = play(first_seed(), Some(lie));
    let cuts = (0..played.images.len()).step_by(7);
    cuts.filter(|cut| played.cut(*cut, Some(CrashMode::DropUnsynced), 0).is_err()).count()
}

#[test]
fn this_test_notices_a_disk_that_does_not_sync() {
    assert!(caught(Lie::FileSync) > 0, "files that are not synced went unnoticed");
    assert!(caught(Lie::FolderSync) > 0, "folders that are not synced went unnoticed");
}

#[test]
fn this_test_notices_a_lost_an_invented_and_a_halved_batch() {
    let played = play(first_seed(), None);
    let disk = played.images[played.images.len() - 1].deep_clone();
    let db = open(&disk).unwrap();
    let all = played.journal.check(&db, u64::MAX).unwrap();
    assert!(played.journal.check_between(&db, (0, all - 1)).is_err(), "an invented event");
    let id = db.metric_by_number(0).unwrap();
    let mut batch = db.batch();
    batch.push(id, 1, 0.5).unwrap();
    db.write(&batch, Durability::Synced).unwrap();
    assert!(played.journal.check(&db, u64::MAX).is_err(), "a record that nobody wrote");
}

/// What several threads did, by the sequence that the store gave each batch.
#[derive(Default)]
struct Threads {
    batches: Mutex<BTreeMap<u64, Event>>,
    /// (operations of the disk, sequence): on stable storage, the store said.
    acknowledged: Mutex<Vec<(u64, u64)>>,
}

fn write_batches(db: &Db, disk: &SimDisk, threads: &Threads, seed: u64) {
    for step in script(seed, 150).into_iter().filter(|step| matches!(step, Step::Event(_))) {
        let Step::Event(Event::Write { mut records, .. }) = step else { continue };
        records.iter_mut().for_each(|(metric, ..)| *metric %= 4);
        let mut batch = db.batch();
        records.retain(|(metric, time_ns, value)| {
            let id = db.metric_by_number(*metric).unwrap();
            batch.push(id, *time_ns, value.as_ref()).is_ok()
        });
        let how = [Durability::Synced, Durability::Buffered][seed as usize % 2];
        let sequence = db.write(&batch, how).unwrap();
        if how == Durability::Synced {
            threads.acknowledged.lock().unwrap().push((disk.operations(), sequence));
        }
        let how = crate::crash_script::How::Synced;
        let event = Event::Write { records, state: Vec::new(), how };
        threads.batches.lock().unwrap().insert(sequence, event);
    }
}

fn maintain(db: &Db) {
    for round in 0..24 {
        match round % 4 {
            0 => db.flush().unwrap(),
            1 => drop(db.seal(SealScope::ClosedAt((round + 400) * SECOND_NS)).unwrap()),
            2 => drop(db.compact().unwrap()),
            _ => drop(db.snapshot()),
        }
    }
}

#[test]
fn writers_on_several_threads_lose_nothing_acknowledged() {
    let disk = SimDisk::new();
    disk.keep_history();
    let db = open(&disk).unwrap();
    let mut model = Model::default();
    let mut contents: Vec<Content> = vec![model.content()];
    for number in 0..4 {
        let event = Event::Define(definition(number, ""));
        db.define(definition(number, "")).unwrap();
        model.apply(&event);
        contents.push(model.content());
    }
    let threads = Threads::default();
    std::thread::scope(|scope| {
        let (db, disk, threads) = (&db, &disk, &threads);
        (1..=3).for_each(|seed| drop(scope.spawn(move || write_batches(db, disk, threads, seed))));
        scope.spawn(|| maintain(db));
    });
    drop(db);
    for (sequence, event) in threads.batches.lock().unwrap().iter() {
        assert_eq!(*sequence, contents.len() as u64, "sequences without gaps");
        model.apply(event);
        contents.push(model.content());
    }
    let images = disk.history();
    let acknowledged = threads.acknowledged.lock().unwrap();
    let count = number("CHRONOLITH_CUT_POINTS", CUTS) / 4;
    for index in 0..count {
        let operations = index * images.len() / count;
        let (mode, seed) = (CUT_KINDS[index % CUT_KINDS.len()], index as u64);
        let survived = interrupted(&images[operations], mode, seed);
        let place = format!("cut after {operations} of {}, {mode:?}, seed {seed}", images.len());
        let db = open(&survived).unwrap_or_else(|error| panic!("{place}: {error}"));
        let found = content(&db).unwrap_or_else(|error| panic!("{place}: {error}"));
        let done = acknowledged.iter().filter(|(at, _)| *at <= operations as u64);
        let least = done.map(|(_, sequence)| *sequence).max().unwrap_or(0) as usize;
        if !contents[least..].contains(&found) {
            let all = contents.len() - 1;
            let problem = difference(&contents, &found);
            panic!("{place}: no prefix of at least {least} of {all} events: {problem}");
        }
    }
    eprintln!("{count} power cuts under three writers: nothing acknowledged was lost");
}

/// Protects nothing; submits a batch when the first chunk is on its way into a segment.
#[derive(Default)]
struct WhileSealing(Mutex<Option<(Db, Batch)>>);

impl std::fmt::Debug for WhileSealing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WhileSealing")
    }
}

impl Protect for WhileSealing {
    fn protect<'a>(&self, purpose: Purpose, bytes: &'a [u8]) -> (Protection, Cow<'a, [u8]>) {
        if purpose == Purpose::Chunk {
            let submitted = self.0.lock().unwrap().take();
            submitted.into_iter().for_each(|(db, batch)| drop(db.submit(&batch).unwrap()));
        }
        (Protection::CLEAR, Cow::Borrowed(bytes))
    }

    fn open<'a>(
        &self,
        purpose: Purpose,
        protection: Protection,
        bytes: &'a [u8],
    ) -> Result<Cow<'a, [u8]>, ProtectError> {
        Clear.open(purpose, protection, bytes)
    }
}

/// Symptom: after a power cut one of two records of a batch was there. Loss: the promise that a
/// batch is whole. Cause: sealing read the memtable that writers went on with, so that a chunk
/// took up a record whose frame was not synced. Fix: a cut sees only what was frozen at it.
#[test]
fn a_batch_that_arrives_while_a_window_is_sealed_is_not_halved() {
    const MONTH_NS: i64 = 31 * 86_400 * SECOND_NS;
    let protect = Arc::new(WhileSealing::default());
    let options = Options { protect: Arc::clone(&protect) as Arc<_>, ..script_options() };
    let disk = SimDisk::new();
    let db = Db::open_on(Arc::new(disk.clone()), options).unwrap();
    let [sealed, open_window] = [0, 6].map(|number| db.define(definition(number, "")).unwrap());
    let batch = |records: &[(MetricId, i64)]| {
        let mut batch = db.batch();
        records.iter().for_each(|(id, time_ns)| batch.push(*id, *time_ns, 1.5).unwrap());
        batch
    };
    // Two partitions: the second is encoded when chunks of the first are written.
    db.write(&batch(&[(sealed, 0), (sealed, 2 * MONTH_NS)]), Durability::Synced).unwrap();
    let late = batch(&[(sealed, 2 * MONTH_NS + 1), (open_window, 0)]);
    *protect.0.lock().unwrap() = Some((db.clone(), late));
    assert_eq!(db.seal(SealScope::All).unwrap().records, 2);
    assert!(protect.0.lock().unwrap().is_none(), "the batch was submitted");
    let survived = disk.crash(CrashMode::DropUnsynced, 0);
    let found = content(&open(&survived).unwrap());
    let counts: Vec<usize> = found.unwrap().records.iter().map(Vec::len).collect();
    assert_eq!(counts, [2, 0], "records of the two metrics");
}

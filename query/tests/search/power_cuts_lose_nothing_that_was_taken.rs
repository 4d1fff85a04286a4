//! The power may be cut, or an operation fail, at any time: a store opens again with all that it
//! acknowledged, and with nothing but what it was told.
//!
//! `CHRONOLITH_CUT_POINTS=20000 cargo test -p chronolith-query --test search power` runs a campaign.

use std::sync::Arc;

use chronolith_disk::{CrashMode, Disk, Failure, FailureKind, FaultyDisk, Lie, SimDisk};
use chronolith_query::search::remote::{
    Bounds, Change, Provenance, RemoteError, RemoteStore, Trust, repair_on,
};

use crate::told::{Model, header, named, offer, provenance};

fn chain() -> Provenance {
    provenance("chain", Trust::Anchored)
}

/// What is told, batch by batch; enough of it is taken back that the log is rewritten on the way.
fn script() -> Vec<Vec<Change>> {
    let mut batches = Vec::new();
    for step in 0..24_u8 {
        let mut batch = Vec::new();
        for device in 0..4 {
            let (cid, bytes) = named(&header(device, i64::from(step % 7), 0, step % 3));
            let trust = Trust::ALL[usize::from(step % 3)];
            let provenance = provenance(["peer a", "peer b"][usize::from(step % 2)], trust);
            batch.push(Change::Header { cid, bytes, provenance });
        }
        let provenance = Provenance::told("peer b");
        let mut offer = offer(step, step, 1 + step % 2);
        // Long, so that a rewrite pays off.
        offer.listing.description = "word ".repeat(3_000);
        let id = offer.id;
        batch.push(Change::Offer { offer, provenance });
        if step % 5 == 4 {
            batch.push(Change::Close { offer: id, provenance: chain() });
        }
        if step % 11 == 10 {
            batch.push(Change::ForgetTeller { from: "peer b".to_owned() });
        }
        batches.push(batch);
    }
    batches
}

/// What is kept before and after each batch.
fn models() -> Vec<Model> {
    let mut model = Model::default();
    let mut models = vec![model.clone()];
    for batch in script() {
        for change in &batch {
            let _ = model.apply(change);
        }
        models.push(model.clone());
    }
    models
}

/// Plays the script until the disk fails; how many batches were acknowledged.
fn play(disk: &Arc<dyn Disk>, compact_at: &[usize]) -> usize {
    let Ok(mut store) = RemoteStore::open_on(disk.clone(), Bounds::default()) else { return 0 };
    let mut acknowledged = 0;
    for (step, batch) in script().into_iter().enumerate() {
        if store.apply(batch).is_err() {
            break;
        }
        acknowledged += 1;
        if compact_at.contains(&step) && store.compact().is_err() {
            break;
        }
    }
    acknowledged
}

/// Headers with who told them and their trust, offers, and how many are closed.
type Kept = (Vec<(Vec<u8>, String, Trust)>, Vec<String>, u64);

fn kept(store: &RemoteStore) -> Kept {
    let headers = store.headers().into_iter();
    let headers = headers.map(|(cid, from, trust)| (cid.to_bytes(), from.to_owned(), trust));
    let offers = store.offers().into_iter().map(|(offer, _)| offer.id.to_string());
    (headers.collect(), offers.collect(), store.statistics().closed)
}

fn expected(model: &Model) -> Kept {
    let headers = model.headers.iter();
    let headers = headers.map(|(cid, kept)| (cid.clone(), kept.from.clone(), kept.trust));
    let offers = model.offers.keys().map(ToString::to_string);
    (headers.collect(), offers.collect(), model.closed.len() as u64)
}

/// Opens what survived: it is what was acknowledged, or that and the batch that was being written. Then
/// it goes on.
fn check(survivor: &SimDisk, acknowledged: usize, models: &[Model], context: &str) {
    let disk: Arc<dyn Disk> = Arc::new(survivor.clone());
    let mut store = RemoteStore::open_on(disk, Bounds::default())
        .unwrap_or_else(|error| panic!("{context}: {error}"));
    let found = kept(&store);
    let last = (acknowledged + 1).min(models.len() - 1);
    let fits = models[acknowledged..=last].iter().any(|model| expected(model) == found);
    assert!(fits, "{context}: after {acknowledged} batches");
    let (cid, bytes) = named(&header(0, 1_000, 0, 0));
    let told = Change::Header { cid, bytes, provenance: Provenance::told("later") };
    store.apply([told]).unwrap();
    drop(store);
    let again = RemoteStore::open_on(Arc::new(survivor.clone()), Bounds::default()).unwrap();
    assert_eq!(again.trust_of(&cid), Some(Trust::Told), "{context}");
}

fn points(all: usize) -> Vec<usize> {
    let count = std::env::var("CHRONOLITH_CUT_POINTS").ok().and_then(|text| text.parse().ok());
    let count: usize = count.unwrap_or(400_usize).min(all);
    (0..count).map(|point| point * all / count).collect()
}

#[test]
fn a_power_cut_at_any_operation_loses_nothing_acknowledged() {
    let models = models();
    let whole: Arc<dyn Disk> = Arc::new(SimDisk::new());
    assert_eq!(play(&whole, &[6, 15]), 24);
    let disk = SimDisk::new();
    play(&(Arc::new(disk.clone()) as Arc<dyn Disk>), &[6, 15]);
    let operations = disk.operations() as usize;
    let modes = CrashMode::ALL.len();
    let points = points((operations + 1) * modes * 8);
    for point in &points {
        let (cut, rest) = (point / (modes * 8), point % (modes * 8));
        let (mode, seed) = (CrashMode::ALL[rest % modes], rest as u64);
        let disk = SimDisk::new();
        disk.cut_after(cut as u64);
        let acknowledged = play(&(Arc::new(disk.clone()) as Arc<dyn Disk>), &[6, 15]);
        let survivor = disk.crash(mode, seed);
        check(&survivor, acknowledged, &models, &format!("cut after {cut}, {mode:?} {seed}"));
        // Another cut while it opens.
        let again = disk.crash(mode, seed);
        again.cut_after(rest as u64 % 4);
        drop(RemoteStore::open_on(Arc::new(again.clone()), Bounds::default()));
        let survivor = again.crash(CrashMode::Mixed, seed);
        check(&survivor, acknowledged, &models, &format!("two cuts at {cut}, {mode:?} {seed}"));
    }
    eprintln!("{} cuts and as many double cuts over {operations} operations", points.len());
}

#[test]
fn an_operation_that_fails_is_never_acknowledged() {
    let models = models();
    let disk = SimDisk::new();
    play(&(Arc::new(disk.clone()) as Arc<dyn Disk>), &[6]);
    let operations = disk.operations();
    for kind in [FailureKind::Sync, FailureKind::NoSpace, FailureKind::ShortWrite] {
        for at in 1..=operations {
            let disk = SimDisk::new();
            let forgetful = disk.clone();
            let failure = Failure { kind, at, stays: false };
            let faulty =
                FaultyDisk::with_failed_sync(Arc::new(disk.clone()), Some(failure), move |path| {
                    forgetful.forget_unsynced(path)
                });
            let acknowledged = play(&(Arc::new(faulty) as Arc<dyn Disk>), &[6]);
            let context = format!("{kind:?} at {at}");
            // The process goes on with what the system shows it, and then the power goes.
            let disk: Arc<dyn Disk> = Arc::new(disk.clone());
            let store = RemoteStore::open_on(disk.clone(), Bounds::default());
            let store = store.unwrap_or_else(|error| panic!("{context}: {error}"));
            let shown = kept(&store);
            drop(store);
            let last = (acknowledged + 1).min(models.len() - 1);
            assert!(models[acknowledged..=last].iter().any(|model| expected(model) == shown));
        }
    }
}

/// What a process was shown after a failed sync stays: it read a batch that was on no disk, went on
/// behind it, and the power went. Without writing that batch once more when the store is opened, the
/// log would have a hole, and all behind it would be lost.
#[test]
fn what_is_shown_after_a_failed_sync_is_on_the_disk() {
    let disk = SimDisk::new();
    let mut store = RemoteStore::open_on(Arc::new(disk.clone()), Bounds::default()).unwrap();
    let tell = |window: i64| {
        let (cid, bytes) = named(&header(1, window, 0, 0));
        Change::Header { cid, bytes, provenance: Provenance::told("peer") }
    };
    store.apply([tell(1)]).unwrap();
    drop(store);
    // The batch is in the memory of the system and on no disk, and it says that it is.
    disk.lie(Some(Lie::FileSync));
    let mut store = RemoteStore::open_on(Arc::new(disk.clone()), Bounds::default()).unwrap();
    store.apply([tell(2)]).unwrap();
    drop(store);
    disk.lie(None);
    disk.forget_unsynced("log");
    let mut store = RemoteStore::open_on(Arc::new(disk.clone()), Bounds::default()).unwrap();
    assert_eq!(store.statistics().headers, 2);
    store.apply([tell(3)]).unwrap();
    drop(store);
    let survivor = disk.crash(CrashMode::DropUnsynced, 1);
    let store = RemoteStore::open_on(Arc::new(survivor), Bounds::default()).unwrap();
    assert_eq!(store.statistics().headers, 3);
}

#[test]
fn every_flipped_byte_is_seen_and_a_repair_keeps_the_rest() {
    let disk = SimDisk::new();
    let mut store = RemoteStore::open_on(Arc::new(disk.clone()), Bounds::default()).unwrap();
    for window in 0..5 {
        let (cid, bytes) = named(&header(1, window, 0, 0));
        let provenance = Provenance::told("peer");
        store.apply([Change::Header { cid, bytes, provenance }]).unwrap();
    }
    drop(store);
    let len = disk.len("log").unwrap();
    let mut torn = 0;
    for at in 0..len {
        let damaged = disk.deep_clone();
        damaged.flip("log", at, 1 << (at % 8)).unwrap();
        match RemoteStore::open_on(Arc::new(damaged.deep_clone()), Bounds::default()) {
            Err(RemoteError::Damaged { .. } | RemoteError::Version { .. }) => {
                let repair = repair_on(Arc::new(damaged.clone()));
                let repair = repair.unwrap();
                let kept = if at < 32 { 0 } else { 4 };
                assert_eq!(repair.headers, kept, "byte {at}");
                assert!(repair.lost_bytes > 0);
                let store = RemoteStore::open_on(Arc::new(damaged), Bounds::default()).unwrap();
                assert_eq!(store.statistics().headers, kept);
            }
            // The last batch might as well have been cut off by the power: that is told.
            Ok(store) => {
                torn += 1;
                assert!(store.torn_bytes() > 0 && store.statistics().headers == 4, "byte {at}");
            }
            Err(error) => panic!("byte {at}: {error}"),
        }
    }
    assert!(torn > 0 && torn < len as usize / 4);
}

#[test]
fn one_process_at_a_time_changes_it() {
    let disk = Arc::new(SimDisk::new());
    let store = RemoteStore::open_on(disk.clone(), Bounds::default()).unwrap();
    let second = RemoteStore::open_on(disk.clone(), Bounds::default());
    assert!(matches!(second, Err(RemoteError::Locked { .. })));
    drop(store);
    RemoteStore::open_on(disk, Bounds::default()).unwrap();
}

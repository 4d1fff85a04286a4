//! The power may be cut at any step of moving segments to a store, of reading them from there, of
//! rewriting them and of removing objects: what was acknowledged is there, here or in the store.
//!
//! `CHRONOLITH_CUT_POINTS=20000 cargo test -p chronolith-engine --release moves_survive -- --nocapture`
//! runs a campaign.

use std::sync::Arc;

use chronolith_disk::{CrashMode, Disk, Lie, SimDisk};
use chronolith_engine::{Db, Options, RepairReport, repair};

use crate::crash_script::{Player, Random, SECOND_NS, Step, script, script_options, sequel};
use crate::oracle::assert_agrees;
use crate::power_cuts_lose_nothing_acknowledged::{CUT_KINDS, Cut, interrupted, number};
use crate::simulated_store::{SimStore, moving};

const CUTS: usize = 900;
const STEPS: usize = 110;
/// Segments are moved after every so many steps.
const STEPS_PER_MOVE: usize = 6;

fn options(store: &SimStore) -> Options {
    moving(script_options(), store)
}

/// A script that was played to its end, the disk before each of its operations, and the store.
struct Played {
    player: Player,
    images: Vec<SimDisk>,
    store: SimStore,
}

fn with_moves(steps: Vec<Step>) -> Vec<Step> {
    let parts: Vec<&[Step]> = steps.chunks(STEPS_PER_MOVE).collect();
    parts.iter().flat_map(|part| part.iter().cloned().chain([Step::Move])).collect()
}

fn play(seed: u64, lie: Option<Lie>) -> Played {
    let disk = SimDisk::new();
    disk.keep_history();
    disk.lie(lie);
    let (counter, other) = (disk.clone(), disk.clone());
    let store = SimStore::beside(move || other.operations());
    let mut player = Player::new(Arc::new(disk.clone()), move || counter.operations());
    player.options = options(&store);
    if let Err(error) = player.play(&with_moves(script(seed, STEPS))) {
        panic!("script {seed} does not run on a sound disk: {error:?}");
    }
    player.db = None;
    Played { player, images: disk.history(), store }
}

fn open(disk: &SimDisk, store: &SimStore) -> Result<Db, String> {
    Db::open_on(Arc::new(disk.clone()), options(store)).map_err(|error| error.to_string())
}

impl Played {
    fn cut(&self, operations: usize, mode: Cut, seed: u64) -> Result<(), String> {
        let disk = interrupted(&self.images[operations], mode, seed);
        let store = self.store.at(operations as u64, seed);
        if disk.files().iter().any(|path| path == "manifest") {
            let shared: Arc<dyn Disk> = Arc::new(disk.clone());
            let report = repair(&shared, &options(&store)).map_err(|error| error.to_string())?;
            if report != RepairReport::default() {
                return Err(format!("a power cut is taken for damage: {report:?}"));
            }
        }
        let journal = &self.player.journal;
        let db = open(&disk, &store)?;
        let events = journal.check(&db, operations as u64)?;
        // Moving goes on where it was cut off, and nothing is lost or left behind by that.
        db.move_segments().map_err(|error| format!("moving once more: {error}"))?;
        journal.check_between(&db, (events, events))?;
        let status = db.store_status();
        if (status.local.0, status.moved.0) != (0, store.objects().len() as u64) {
            return Err(format!("{:?} in the store: {status:?}", store.objects()));
        }
        drop(db);
        self.goes_on(&disk, &store, events, seed)
    }

    /// The database takes more, moves, closes, opens and still agrees with the model.
    fn goes_on(
        &self,
        disk: &SimDisk,
        store: &SimStore,
        events: usize,
        seed: u64,
    ) -> Result<(), String> {
        if !seed.is_multiple_of(8) {
            return Ok(());
        }
        let model = self.player.journal.models[events].clone();
        let steps = with_moves(sequel(seed, model.definitions.len()));
        let mut player = Player::resume(Arc::new(disk.clone()), || 0, model);
        player.options = options(store);
        player.play(&steps).map_err(|error| format!("while going on: {error:?}"))?;
        let all = player.events();
        player.db = None;
        let db = open(disk, store)?;
        player.journal.check_between(&db, (all, all))?;
        let Some(model) = player.journal.models.last() else { return Ok(()) };
        for metric in 0..db.metric_count() as u32 {
            let id = db.metric_by_number(metric).unwrap();
            assert_agrees(&db, &model.oracle, id, 103 * SECOND_NS + 1, 131 * SECOND_NS);
        }
        Ok(())
    }
}

#[test]
pub(crate) fn a_power_cut_at_any_step_of_a_move_loses_nothing() {
    let mut count = number("CHRONOLITH_CUT_POINTS", CUTS);
    let (mut seed, mut done, mut moved) = (number("CHRONOLITH_SEED", 1) as u64, 0, 0);
    let mut random = Random(seed);
    while count > 0 {
        let played = play(seed, None);
        moved += played.store.objects().len();
        let all = played.images.len() * CUT_KINDS.len();
        let chosen = count.min(all);
        for index in 0..chosen {
            let point = index * all / chosen;
            let mode = CUT_KINDS[(point + index) % CUT_KINDS.len()];
            let (operations, cut_seed) = (point / CUT_KINDS.len(), random.next());
            if let Err(error) = played.cut(operations, mode, cut_seed) {
                panic!("script {seed}, cut after {operations}, {mode:?}, seed {cut_seed}: {error}");
            }
            done += 1;
        }
        count -= chosen;
        seed += 1;
    }
    assert!(moved > 0, "the scripts leave nothing in the store");
    eprintln!("{done} power cuts beside a segment store: nothing acknowledged was lost");
}

#[test]
fn this_test_notices_a_disk_that_does_not_sync() {
    for lie in [Lie::FileSync, Lie::FolderSync] {
        let played = play(1, Some(lie));
        let mut cuts = (0..played.images.len()).step_by(7);
        let caught = cuts.any(|cut| played.cut(cut, Some(CrashMode::DropUnsynced), 1).is_err());
        assert!(caught, "{lie:?} went unnoticed");
    }
}

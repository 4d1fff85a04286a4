//! The power may be cut, or the process killed, at any operation on the disk: afterwards the answer is
//! that of the records that are there, and no change is told twice with another content.
//!
//! `CHRONOLITH_CUT_POINTS=5000 cargo test -p chronolith-query --test continuous power` runs a campaign.

use std::collections::BTreeMap;
use std::sync::Arc;

use chronolith_disk::{CrashMode, SimDisk};
use chronolith_engine::{Db, Maintenance, Options};
use chronolith_query::continuous::{Change, Continuous, From};

use crate::answers_equal_the_ad_hoc_query::Replayed;
use crate::oracle::{Cut, FUNCTIONS, SECOND_NS, assert_same, rows};
use crate::player::{Player, metrics};

const CUTS: [Option<CrashMode>; 6] = [
    None,
    Some(CrashMode::DropUnsynced),
    Some(CrashMode::KeepAll),
    Some(CrashMode::Torn),
    Some(CrashMode::Reordered),
    Some(CrashMode::Mixed),
];

fn options() -> Options {
    Options {
        maintenance: Maintenance::Manual,
        memtable_bytes: 16 << 10,
        producer_secret: Some([7; 32]),
        ..Options::default()
    }
}

/// A script that was played: the disk before each operation, and what had been told by then.
struct Played {
    images: Vec<SimDisk>,
    /// The operations that were done when each change was told.
    told: Vec<(usize, Arc<Change>)>,
    /// The operations that were done when the query was made.
    created: usize,
}

fn play(cut: Cut, seed: u64) -> Played {
    let disk = SimDisk::new();
    disk.keep_history();
    let db = Db::open_on(Arc::new(disk.clone()), options()).unwrap();
    let ids = metrics(&db);
    let mut player = Player::new(seed, 3 * SECOND_NS);
    (0..4).for_each(|_| player.act(&db, &ids));
    let queries = Continuous::open(db.clone()).unwrap();
    let statement = format!(
        "CREATE CONTINUOUS QUERY answers AS SELECT device, {}, {FUNCTIONS} FROM speed GROUP BY ALL \
         WITH (lateness = '20s')",
        cut.sql()
    );
    queries.execute(&statement).unwrap();
    let created = disk.operations() as usize;
    let mut follower = queries.subscribe("answers", From::Cursor(0)).unwrap();
    let mut told = Vec::new();
    for _ in 0..40 {
        player.act(&db, &ids);
        queries.advance().unwrap();
        let operations = disk.operations() as usize;
        told.extend(follower.ready().unwrap().into_iter().map(|change| (operations, change)));
    }
    drop((queries, follower, db));
    Played { images: disk.history(), told, created }
}

fn check(played: &Played, cut: Cut, operations: usize, mode: Option<CrashMode>, seed: u64) {
    let place = format!("{cut:?}, cut after {operations} {mode:?}, seed {seed}");
    let image = &played.images[operations];
    let disk = mode.map_or_else(|| image.deep_clone(), |mode| image.crash(mode, seed));
    let db = Db::open_on(Arc::new(disk.clone()), options()).unwrap();
    let queries = Continuous::open(db.clone()).unwrap();
    if queries.names().is_empty() {
        assert!(operations < played.created, "{place}: the query is gone");
        return;
    }
    let mut follower = queries.subscribe("answers", From::Cursor(0)).unwrap();
    queries.settle().unwrap();
    let expected = rows(&db, "speed", cut, true, false, None);
    assert_same(&queries.rows("answers", i64::MIN..=i64::MAX).unwrap(), &expected, &place);
    let mut replayed = Replayed::default();
    let mut changes = BTreeMap::new();
    for change in follower.ready().unwrap() {
        replayed.apply(&change, &place);
        changes.insert(change.cursor, change);
    }
    assert_same(&replayed.rows(), &expected, &format!("changes, {place}"));
    // What was told before the cut stays told, with the same cursor.
    for (_, told) in played.told.iter().filter(|(at, _)| *at <= operations) {
        assert_eq!(changes.get(&told.cursor), Some(told), "{place}: another change of this cursor");
    }
}

#[test]
fn a_power_cut_at_any_operation_doubles_and_loses_nothing() {
    let count = std::env::var("CHRONOLITH_CUT_POINTS").ok().and_then(|text| text.parse().ok());
    let count: usize = count.unwrap_or(240);
    let cuts = [
        Cut::Tumbling { seconds: 10 },
        Cut::Hopping { size: 30, every: 10 },
        Cut::Session { seconds: 7 },
    ];
    let mut done = 0;
    for (seed, cut) in cuts.into_iter().enumerate() {
        let played = play(cut, seed as u64 + 1);
        assert!(played.told.len() > 50, "the script changes too little");
        let all = played.images.len() * CUTS.len();
        let chosen = (count / cuts.len()).min(all);
        for index in 0..chosen {
            let point = index * all / chosen;
            let mode = CUTS[(point + index) % CUTS.len()];
            check(&played, cut, point / CUTS.len(), mode, index as u64);
            done += 1;
        }
    }
    eprintln!("{done} cuts: nothing lost, nothing doubled");
}

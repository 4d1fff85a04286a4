//! At rest the answer is that of the same question asked of all records, whatever came in whatever
//! order, and however often the program was started anew.
//!
//! `CHRONOLITH_HISTORIES=500 cargo test -p chronolith-query --test continuous ad_hoc` runs a campaign.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chronolith_engine::{Db, Maintenance, MetricId, Options};
use chronolith_query::continuous::{Change, ChangeKind, Continuous, From, Row};

use crate::oracle::{
    Cut, FUNCTIONS, PATHS, SECOND_NS, assert_same, functions_of, paths_of, rows, rows_of_class,
};
use crate::player::{Player, Random, metrics, metrics_of_a_class};

pub(crate) fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// The answer as someone holds it who has seen nothing but changes.
#[derive(Default)]
pub(crate) struct Replayed(pub(crate) BTreeMap<(Vec<String>, i64), Row>);

impl Replayed {
    pub(crate) fn apply(&mut self, change: &Change, place: &str) {
        let key = (change.row.keys.clone(), change.row.start_ns);
        let before = match change.kind {
            ChangeKind::Delete => self.0.remove(&key),
            _ => self.0.insert(key, change.row.clone()),
        };
        match change.kind {
            ChangeKind::Insert => assert!(before.is_none(), "{place}: inserted twice: {change:?}"),
            ChangeKind::Update => {
                let before = before.map(|row| row.values);
                assert_eq!(before, change.before, "{place}: another row is taken back: {change:?}");
            }
            ChangeKind::Delete => {
                let before = before.map(|row| row.values);
                assert_eq!(before.as_ref(), Some(&change.row.values), "{place}: {change:?}");
            }
        }
    }

    pub(crate) fn rows(&self) -> Vec<Row> {
        let mut rows: Vec<Row> = self.0.values().cloned().collect();
        rows.sort_by(|one, other| (one.start_ns, &one.keys).cmp(&(other.start_ns, &other.keys)));
        rows
    }
}

fn options() -> Options {
    Options { maintenance: Maintenance::Manual, ..Options::default() }
}

struct History {
    cut: Cut,
    by_device: bool,
    paths: bool,
    least: Option<f64>,
    emits_final: bool,
    /// Whether some devices have clocks that are far ahead.
    strays: bool,
    /// Whether it is asked of a class, of which it looks at one column of two.
    of_class: bool,
}

const PLAIN: History = History {
    cut: Cut::ALL[0],
    by_device: true,
    paths: false,
    least: None,
    emits_final: false,
    strays: false,
    of_class: false,
};

impl History {
    fn statement(&self) -> String {
        let (table, functions) = match (self.of_class, self.paths) {
            (false, true) => ("speed", PATHS.to_owned()),
            (false, false) => ("speed", FUNCTIONS.to_owned()),
            (true, true) => ("class.cars", paths_of("speed")),
            (true, false) => ("class.cars", functions_of("speed")),
        };
        let (key, group) = if self.by_device { ("device, ", "1, 2") } else { ("", "1") };
        let condition = self.least.map_or(String::new(), |least| format!("WHERE value > {least}"));
        let emit = if self.emits_final { "final" } else { "updates" };
        format!(
            "CREATE CONTINUOUS QUERY answers INTO answer AS SELECT {key}{}, {functions} FROM {table} \
             {condition} GROUP BY {group} \
             WITH (lateness = '30s', emit = '{emit}', keep_changes = 1000000)",
            self.cut.sql()
        )
    }

    fn expected(&self, db: &Db) -> Vec<Row> {
        match self.of_class {
            true => rows_of_class(db, ("cars", "speed"), self.cut, self.by_device, self.paths),
            false => rows(db, "speed", self.cut, self.by_device, self.paths, self.least),
        }
    }

    fn metrics(&self, db: &Db) -> Vec<MetricId> {
        if self.of_class { metrics_of_a_class(db) } else { metrics(db) }
    }

    fn play(&self, seed: u64) {
        let place = format!("seed {seed}, {}", self.statement());
        let directory = tempfile::tempdir().unwrap();
        let mut db = Db::open(directory.path(), options()).unwrap();
        let mut ids = self.metrics(&db);
        let stride_ns = match self.cut {
            Cut::Days(_) => 3_000 * SECOND_NS,
            Cut::Months(_) => 90_000 * SECOND_NS,
            Cut::Tumbling { seconds: 3_600 } => 400 * SECOND_NS,
            _ => 3 * SECOND_NS,
        };
        let mut player = Player::new(seed, stride_ns);
        player.strays = self.strays;
        let mut random = Random(seed ^ 0x5555);
        // The clock of this machine is where the writers are.
        let clock = Arc::new(AtomicI64::new(player.now_ns));
        let open = |db: &Db| {
            let clock = Arc::clone(&clock);
            Continuous::open_with_clock(db.clone(), move || clock.load(Ordering::Relaxed)).unwrap()
        };
        for _ in 0..random.below(20) {
            player.act(&db, &ids);
        }
        clock.store(player.now_ns, Ordering::Relaxed);
        let mut queries = open(&db);
        queries.execute(&self.statement()).unwrap();
        let mut follower = queries.subscribe("answers", From::Cursor(0)).unwrap();
        let (mut replayed, mut cursor) = (Replayed::default(), 0);
        for round in 0..60 {
            let place = format!("round {round}, {place}");
            player.act(&db, &ids);
            clock.store(player.now_ns, Ordering::Relaxed);
            match random.below(6) {
                0 => drop(queries.advance().unwrap()),
                1 => {
                    // The same process, without the tail that was in memory.
                    drop((queries, follower));
                    queries = open(&db);
                    follower = queries.subscribe("answers", From::Cursor(cursor)).unwrap();
                }
                2 => {
                    drop((queries, follower));
                    db.close().unwrap();
                    db = Db::open(directory.path(), options()).unwrap();
                    ids = self.metrics(&db);
                    queries = open(&db);
                    follower = queries.subscribe("answers", From::Cursor(cursor)).unwrap();
                }
                _ => {}
            }
            if random.below(3) == 0 {
                queries.settle().unwrap();
                let expected = self.expected(&db);
                let found = queries.rows("answers", i64::MIN..=i64::MAX).unwrap();
                assert_same(&found, &expected, &place);
                for change in follower.ready().unwrap() {
                    assert_eq!(change.cursor, cursor + 1, "{place}");
                    cursor = change.cursor;
                    replayed.apply(&change, &place);
                }
                let told: Vec<Row> = match self.emits_final {
                    false => expected,
                    true => found.into_iter().filter(|row| row.is_final).collect(),
                };
                assert_same(&replayed.rows(), &told, &format!("changes, {place}"));
            }
        }
        // Someone who may only read sees the same, without anybody having settled.
        player.act(&db, &ids);
        db.sync().unwrap();
        let reader = Db::open(directory.path(), Options::read_only()).unwrap();
        let found = Continuous::open(reader).unwrap().rows("answers", i64::MIN..=i64::MAX).unwrap();
        assert_same(&found, &self.expected(&db), &format!("reading only, {place}"));
    }
}

#[test]
fn every_window_and_function_equals_the_ad_hoc_query_on_random_histories() {
    let histories = number("CHRONOLITH_HISTORIES", 3);
    for seed in 1..=histories {
        for cut in Cut::ALL {
            for (by_device, emits_final) in [(true, false), (false, false), (false, true)] {
                History { cut, by_device, emits_final, ..PLAIN }.play(seed);
            }
        }
    }
}

#[test]
fn functions_of_ways_and_conditions_on_values_equal_it_too() {
    let histories = number("CHRONOLITH_HISTORIES", 3);
    for seed in 1..=histories {
        for cut in Cut::ALL {
            // Groups of several metrics, too.
            for by_device in [true, false] {
                History { cut, by_device, paths: true, ..PLAIN }.play(seed);
            }
            History { cut, least: Some(30_000.0), ..PLAIN }.play(seed);
        }
    }
}

#[test]
fn records_of_clocks_that_are_far_ahead_equal_it_too() {
    let histories = number("CHRONOLITH_HISTORIES", 3);
    for seed in 1..=histories {
        for cut in Cut::ALL {
            for emits_final in [false, true] {
                History { cut, emits_final, strays: true, ..PLAIN }.play(seed);
            }
        }
    }
}

/// A window in which only other metrics of the class have records is a row as well, as it is in SQL,
/// where every time of any of them is a row of the class. Such windows were missing.
#[test]
fn queries_of_a_class_equal_it_where_only_other_metrics_have_records() {
    let histories = number("CHRONOLITH_HISTORIES", 3);
    for seed in 1..=histories {
        for cut in Cut::ALL {
            for (by_device, paths) in [(true, false), (false, false), (true, true), (false, true)] {
                let emits_final = seed % 2 == 0;
                History { cut, by_device, paths, emits_final, of_class: true, ..PLAIN }.play(seed);
            }
        }
    }
}

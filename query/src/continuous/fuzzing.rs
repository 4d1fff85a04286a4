//! Doors to the decoders of the state and to the reader of statements for the fuzz targets in
//! `query/fuzz`; compiled only for them.
//!
//! What decodes must encode again, and that must decode to the same. A broken promise panics, which a
//! fuzzer takes for a find.

#![allow(clippy::expect_used, missing_docs, reason = "a broken promise is a find")]

use std::sync::Arc;

use chronolith_engine::{Kind, ValueRef};

use super::bytes::Bytes;
use super::cell::Cell;
use super::row::{Change, ChangeKind, Row, decode_changes, encode_changes};
use super::state::{Pending, Progress};
use super::statement::Statement;

/// Up to where a query is.
pub fn progress(data: &[u8]) {
    let Ok(progress) = Progress::decode(data) else { return };
    assert_eq!(Progress::decode(&progress.encode()), Ok(progress));
}

/// What is known of a metric in a window.
pub fn cell(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let Ok(cell) = Cell::decode(&mut bytes) else { return };
    let encoded = |cell: &Cell| {
        let mut out = Vec::new();
        cell.encode(&mut out);
        out
    };
    let once = encoded(&cell);
    let again = Cell::decode(&mut Bytes::new(&once)).expect("an own encoding decodes");
    assert_eq!(encoded(&again), once);
}

/// The changes of a commit.
pub fn changes(data: &[u8]) {
    let Ok(changes) = decode_changes(data) else { return };
    let encoded = |changes: Vec<Change>| {
        encode_changes(&changes.into_iter().map(Arc::new).collect::<Vec<_>>())
    };
    let once = encoded(changes);
    let again = decode_changes(&once).expect("an own encoding decodes");
    assert_eq!(encoded(again), once);
}

/// A statement.
pub fn statement(data: &[u8]) {
    if let Err(error) = Statement::parse(&String::from_utf8_lossy(data)) {
        assert!(!error.to_string().is_empty());
    }
}

/// Real encodings and statements to begin with.
#[must_use]
pub fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let mut seeds = Vec::new();
    let mut progress = Progress { position: 7, latest_ns: Some(5), ..Progress::default() };
    seeds.push(("continuous_progress", progress.encode()));
    let pending = Pending { origin_ns: 0, from_ns: 1, to_ns: 2 };
    progress.pending = vec![(vec!["car-1".to_owned()], pending)];
    seeds.push(("continuous_progress", progress.encode()));
    let values = [
        ValueRef::F64(1.5),
        ValueRef::I64(-3),
        ValueRef::U64(9),
        ValueRef::Bool(true),
        ValueRef::Text("idle"),
        ValueRef::Bytes(b"raw"),
    ];
    for value in values {
        for needs_path in [false, true] {
            let (mut cell, mut out) = (Cell::new(value.kind()), Vec::new());
            (0..3).for_each(|time_ns| cell.add(time_ns, value, needs_path));
            cell.encode(&mut out);
            seeds.push(("continuous_cell", out));
        }
    }
    let mut none = Vec::new();
    Cell::new(Kind::F64).encode(&mut none);
    seeds.push(("continuous_cell", none));
    let row = Row {
        keys: vec!["car-1".to_owned()],
        start_ns: 0,
        end_ns: 1,
        values: values.iter().map(|value| Some(value.to_value())).chain([None]).collect(),
        is_final: true,
    };
    let before = Some(row.values.clone());
    let change = Change { cursor: 1, kind: ChangeKind::Update, row, before };
    seeds.push(("continuous_changes", encode_changes(&[Arc::new(change)])));
    let statements = [
        "CREATE CONTINUOUS QUERY q INTO m AS SELECT device, time_bucket('5m', time, 'Europe/Berlin'), \
         avg(value) AS mean FROM speed WHERE value > -3.5 AND device LIKE 'car%' AND time BETWEEN \
         '2026-01-01' AND '2026-02-01T00:00:00Z' GROUP BY 1, 2 WITH (lateness = '1m', emit = 'final', \
         max_ahead = 'none', late = 'count', keep_changes = 5)",
        "CREATE CONTINUOUS QUERY q AS SELECT hop('10m', '1m', time), rate(value, time) FROM records \
         GROUP BY ALL",
        "CREATE CONTINUOUS QUERY q AS SELECT session(INTERVAL '5 minutes', time), max(speed) FROM \
         class.fleet GROUP BY 1",
        "SHOW CONTINUOUS QUERIES;",
        "REFRESH CONTINUOUS QUERY q FROM '2026-01-01' TO 5",
        "DROP CONTINUOUS QUERY \"q\" KEEP DATA",
    ];
    seeds.extend(statements.map(|text| ("continuous_statement", text.as_bytes().to_vec())));
    seeds
}

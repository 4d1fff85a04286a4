//! The bytes of the state, as they were: what they say must be read for ever.

use std::sync::Arc;

use chronolith_engine::{Kind, Value, ValueRef};

use super::bytes::Bytes;
use super::cell::Cell;
use super::row::{Change, ChangeKind, Row, decode_changes, encode_changes};
use super::state::{Pending, Progress};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn progress() -> Progress {
    let pending = Pending { origin_ns: -5, from_ns: 0, to_ns: 1 << 40 };
    Progress {
        position: 7,
        latest_ns: Some(1_767_225_600_000_000_000),
        cursor: 9,
        is_paused: true,
        records: 1_000,
        late: 2,
        ahead: 3,
        recomputed: 4,
        reread: 500,
        unfit: 6,
        pending: vec![(vec!["car-1".to_owned(), String::new()], pending)],
    }
}

const PROGRESS: &str = "020700000000000000010000faed51728618090000000000000001e80300000000000002000000000000\
    000400000000000000f40100000000000006000000000000000300000000000000010000000200000005\
    0000006361722d3100000000fbffffffffffffff00000000000000000000000000010000";
/// Version 1 did not count records that are ahead of the clock.
const PROGRESS_1: &str = "010700000000000000010000faed51728618090000000000000001e80300000000000002000000000000\
    000400000000000000f40100000000000006000000000000000100000002000000050000006361722d31\
    00000000fbffffffffffffff00000000000000000000000000010000";

#[test]
fn progress_is_written_as_before_and_read_in_both_versions() {
    let bytes = progress().encode();
    assert_eq!(hex(&bytes), PROGRESS);
    assert_eq!(Progress::decode(&bytes), Ok(progress()));
    let old: Vec<u8> = (0..PROGRESS_1.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&PROGRESS_1[at..at + 2], 16).unwrap_or(0))
        .collect();
    assert_eq!(Progress::decode(&old), Ok(Progress { ahead: 0, ..progress() }));
    for end in 0..bytes.len() {
        assert!(Progress::decode(&bytes[..end]).is_err());
    }
    let newer = [&[3], &bytes[1..]].concat();
    assert!(Progress::decode(&newer).is_err_and(|what| what.contains("version 3")));
}

fn cell(kind: Kind, values: &[ValueRef<'_>], needs_path: bool) -> Vec<u8> {
    let mut cell = Cell::new(kind);
    for (second, value) in (0..).zip(values) {
        cell.add(second * 1_000_000_000, *value, needs_path);
    }
    let mut bytes = Vec::new();
    cell.encode(&mut bytes);
    bytes
}

const CELLS: [&str; 3] = [
    "5e00000001030d00000000000002c000000000000010400000000000000a400000000000000000000000\
    000000000001000000000000f83f00943577000000000100000000000010400000000000000840005555\
    55555555f13faaaaaaaaaaca3340010000000000000000000000000000f83f0094357700000000000000\
    000000104000000000000010400000000000000000000000000000e8bf0000000000000000",
    "5c00000002020e06feffffffffffffffff0184808080808080808002000000000000000002ffffffffff\
    ffff7f00ca9a3b000000000203000000000000000000000000000040feffffffffffffffff0100000000\
    0000d0c3000000000000c04700",
    "24000000050204000000000000000005000469646c6500ca9a3b0000000005000764726976696e6700",
];

#[test]
fn cells_are_written_as_before() {
    use ValueRef::{F64, I64, Text};
    let cells = [
        cell(Kind::F64, &[F64(1.5), F64(-2.25), F64(4.0)], true),
        cell(Kind::I64, &[I64(i64::MAX), I64(3)], false),
        cell(Kind::Text, &[Text("idle"), Text("driving")], false),
    ];
    assert_eq!(cells.each_ref().map(|bytes| hex(bytes)), CELLS);
    for bytes in cells {
        let mut reader = Bytes::new(&bytes);
        let (read, mut again) = (Cell::decode(&mut reader), Vec::new());
        assert!(reader.finish().is_ok());
        if let Ok(read) = read {
            read.encode(&mut again);
        }
        assert_eq!(again, bytes);
    }
}

fn changes() -> Vec<Change> {
    let values = vec![
        Some(Value::F64(0.5)),
        Some(Value::I64(-1)),
        Some(Value::U64(2)),
        Some(Value::Bool(true)),
        Some(Value::Text("gr\u{fc}n".to_owned())),
        Some(Value::Bytes(vec![0, 255])),
        None,
    ];
    let row = |is_final| Row {
        keys: vec!["car-1".to_owned()],
        start_ns: -1,
        end_ns: 60_000_000_000,
        values: values.clone(),
        is_final,
    };
    let change = |cursor, kind, before| Change { cursor, kind, row: row(cursor > 1), before };
    vec![
        change(1, ChangeKind::Insert, None),
        change(2, ChangeKind::Update, Some(vec![None; 7])),
        change(3, ChangeKind::Delete, None),
    ]
}

const CHANGES: &str = "5f00000001000000000000000000ffffffffffffffff005847f80d00000001000000050000006361722d\
    310701000000000000e03f02ffffffffffffffff03020000000000000004010000000000000005050000\
    006772c3bc6e060200000000ffff006600000002000000000000000101ffffffffffffffff005847f80d\
    00000001000000050000006361722d310701000000000000e03f02ffffffffffffffff03020000000000\
    000004010000000000000005050000006772c3bc6e060200000000ffff01ffffffffffffff5f00000003\
    000000000000000201ffffffffffffffff005847f80d00000001000000050000006361722d3107010000\
    00000000e03f02ffffffffffffffff03020000000000000004010000000000000005050000006772c3bc\
    6e060200000000ffff00";

#[test]
fn changes_are_written_as_before() {
    let shared: Vec<Arc<Change>> = changes().into_iter().map(Arc::new).collect();
    let bytes = encode_changes(&shared);
    assert_eq!(hex(&bytes), CHANGES);
    assert_eq!(decode_changes(&bytes), Ok(changes()));
}

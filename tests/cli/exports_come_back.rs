//! What is exported and ingested again is the same, bit for bit and kind for kind.

use std::fs;

use crate::run::{expect, json, source};

const LINES: &str = "\
fleet,device=car-1,driver=Ann\\ B speed=61.2,rpm=2000i,odometer=18446744073709551615u,brake=t,note=\"a, \\\"b\\\"\" 1767225600000000000
fleet,device=car-1,driver=Ann\\ B speed=-0,rpm=-9223372036854775808i,brake=f,note=\"12\" 1767225601000000000
fleet,device=car-1,driver=Ann\\ B speed=5e-324,note=\"\" 1767225602000000000
fleet,device=car-1,driver=Ann\\ B speed=1.7976931348623157e308,note=\"é\" 1767225599999999999
fleet,device=car-2 speed=0.1 -1
";

#[test]
fn an_export_of_every_kind_comes_back_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    fs::write(at.join("in.lp"), LINES).unwrap();
    expect(at, 0, &["ingest", "--db", "a", "in.lp"]);
    for (format, file) in [("csv", "out.csv"), ("jsonl", "out.jsonl")] {
        let exported = expect(at, 0, &["export", "--db", "a", "--format", format]);
        fs::write(at.join(file), &exported).unwrap();
        let copy = format!("copy-of-{format}");
        let time = ["--time-format", "ns"];
        expect(at, 0, &["ingest", "--db", &copy, time[0], time[1], file]);
        let again = expect(at, 0, &["export", "--db", &copy, "--format", format]);
        assert_eq!(again, exported, "{format}");
    }
}

#[test]
fn floats_are_written_in_the_shortest_form_and_ordered_by_device_metric_and_time() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    fs::write(at.join("in.lp"), LINES).unwrap();
    expect(at, 0, &["ingest", "--db", "a", "in.lp"]);
    let exported = expect(at, 0, &["export", "--db", "a", "--metric", "speed"]);
    let rows: Vec<&str> = exported.lines().collect();
    assert_eq!(rows[0], "time,device,metric,value,class,driver");
    assert_eq!(rows[1], "1767225599999999999,car-1,speed,1.7976931348623157e+308,fleet,Ann B");
    assert_eq!(rows[2], "1767225600000000000,car-1,speed,61.2,fleet,Ann B");
    assert_eq!(rows[3], "1767225601000000000,car-1,speed,-0,fleet,Ann B");
    assert_eq!(rows[4], "1767225602000000000,car-1,speed,5e-324,fleet,Ann B");
    assert_eq!(rows[5], "-1,car-2,speed,0.1,fleet,");
    let from = ["--from", "2026-01-01T00:00:00Z", "--to", "2026-01-01T00:00:01Z"];
    let ranged =
        [&["export", "--db", "a", "--metric", "speed", "--time-format", "rfc3339"], &from[..]];
    let rows = expect(at, 0, &ranged.concat());
    assert_eq!(rows.lines().nth(1), Some("2026-01-01T00:00:00Z,car-1,speed,61.2,fleet,Ann B"));
    assert_eq!(rows.lines().count(), 2);
}

#[test]
fn sealing_compacting_backup_and_restore_change_no_record() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let drive = source("testdata/drives/4111928_1_2007-05-22.csv.gz").display().to_string();
    expect(at, 0, &["ingest", "--db", "a", "--device", "4111928", &drive]);
    fs::write(at.join("in.lp"), LINES).unwrap();
    expect(at, 0, &["ingest", "--db", "a", "in.lp"]);
    let before = expect(at, 0, &["export", "--db", "a"]);
    assert!(json(at, 0, &["seal", "--db", "a", "--all", "--json"])["chunks"].as_u64() > Some(0));
    assert_eq!(expect(at, 0, &["export", "--db", "a"]), before);
    expect(at, 0, &["compact", "--db", "a"]);
    expect(at, 0, &["backup", "--db", "a", "--to", "b"]);
    expect(at, 0, &["restore", "--db", "c", "--from", "b"]);
    assert_eq!(expect(at, 0, &["export", "--db", "c"]), before);
    let report = json(at, 0, &["verify", "--db", "c", "--json"]);
    assert_eq!(report["faults"], serde_json::json!([]));
    let statistics = json(at, 0, &["stats", "--db", "c", "--json"]);
    assert_eq!(statistics["records"].as_u64(), Some(before.lines().count() as u64 - 1));
}

#[test]
fn deleted_records_are_gone_and_the_rest_stays() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    fs::write(at.join("in.lp"), LINES).unwrap();
    expect(at, 0, &["ingest", "--db", "a", "in.lp"]);
    expect(at, 0, &["seal", "--db", "a", "--all"]);
    expect(at, 2, &["delete", "--db", "a"]);
    expect(
        at,
        0,
        &[
            "delete",
            "--db",
            "a",
            "--metric",
            "speed",
            "--device",
            "car-1",
            "--from",
            "2026-01-01T00:00:01Z",
        ],
    );
    for _ in 0..2 {
        let rows = expect(at, 0, &["export", "--db", "a", "--metric", "speed"]);
        assert_eq!(rows.lines().count(), 1 + 3);
        let notes = expect(at, 0, &["export", "--db", "a", "--metric", "note"]);
        assert_eq!(notes.lines().count(), 1 + 4);
        expect(at, 0, &["compact", "--db", "a"]);
    }
    assert_eq!(json(at, 0, &["verify", "--db", "a", "--json"])["faults"], serde_json::json!([]));
}

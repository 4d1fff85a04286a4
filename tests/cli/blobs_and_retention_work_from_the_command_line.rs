//! Blobs go in and out whole, and retention deletes what is older, from the command line.

use std::fs;

use crate::run::{chronolith, expect, json};

#[test]
fn a_blob_comes_back_byte_for_byte() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let content: Vec<u8> = (0..5_000_000_u32).flat_map(u32::to_le_bytes).collect();
    fs::write(at.join("in.bin"), &content).unwrap();
    let times = ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"];
    let put = ["blob", "put", "--db", "a", "--device", "cam", "--metric", "photo", "--json"];
    let first = json(at, 0, &[&put[..], &["--time", times[0], "in.bin"]].concat());
    assert_eq!(first["bytes"].as_u64(), Some(content.len() as u64));
    fs::write(at.join("small.bin"), b"small").unwrap();
    let tagged = ["--tag", "lens=wide", "--time", times[1], "small.bin"];
    let second = json(at, 0, &[&put[..], &tagged].concat());
    let list = expect(at, 0, &["blob", "list", "--db", "a", "--format", "csv"]);
    assert_eq!(list.lines().count(), 3, "{list}");
    assert!(list.contains(second["cid"].as_str().unwrap()) && list.contains("lens=wide"));

    let get = ["blob", "get", "--db", "a", "--metric", "photo"];
    let ambiguous = chronolith(at, &[&get[..], &["--to", "out"]].concat());
    assert_eq!(ambiguous.status.code(), Some(2));
    expect(at, 0, &["seal", "--db", "a", "--all"]);
    expect(at, 0, &["compact", "--db", "a"]);
    let cid = first["cid"].as_str().unwrap();
    expect(at, 0, &[&get[..], &["--cid", cid, "--to", "out"]].concat());
    assert_eq!(fs::read(at.join("out")).unwrap(), content);
    let wide = [&get[..], &["--label", "lens=wide"]].concat();
    assert_eq!(chronolith(at, &wide).stdout, b"small");
    let at_time = chronolith(at, &[&wide[..], &["--time", times[1]]].concat());
    assert_eq!(at_time.stdout, b"small");
    let none = chronolith(at, &[&wide[..], &["--time", times[0]]].concat());
    assert!(String::from_utf8_lossy(&none.stderr).contains("no record at"));
    let verified = json(at, 0, &["verify", "--db", "a", "--json"]);
    assert_eq!(verified["blobs"].as_u64(), Some(2));
}

#[test]
fn retention_is_set_shown_applied_and_removed() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    // Old records, and one that no rule can be older than.
    let lines =
        "m,device=a old=1,kept=1 1577836800000000000\nm,device=a old=2 4102444800000000000\n";
    fs::write(at.join("in.lp"), lines).unwrap();
    expect(at, 0, &["ingest", "--db", "a", "in.lp"]);
    expect(at, 0, &["seal", "--db", "a", "--all"]);
    let set = ["retention", "set", "--db", "a", "--keep"];
    expect(at, 0, &[&set[..], &["1d"]].concat());
    expect(at, 0, &[&set[..], &["90d"]].concat());
    expect(at, 0, &[&set[..], &["forever", "--metric", "kept"]].concat());
    let shown = expect(at, 0, &["retention", "show", "--db", "a", "--format", "csv"]);
    assert_eq!(shown, "device,metric,keep\n.*,.*,90d\n.*,kept,forever\n");
    let applied = json(at, 0, &["retention", "apply", "--db", "a", "--json"]);
    assert_eq!(applied["records"].as_u64(), Some(1));
    let rows = expect(at, 0, &["export", "--db", "a"]);
    assert_eq!(rows.lines().count(), 1 + 2, "{rows}");
    let wrong = chronolith(at, &[&set[..], &["1mo"]].concat());
    assert_eq!(wrong.status.code(), Some(2));
    expect(at, 1, &["retention", "remove", "--db", "a", "--metric", "typo"]);
    expect(at, 0, &["retention", "remove", "--db", "a"]);
    let shown = expect(at, 0, &["retention", "show", "--db", "a", "--format", "csv"]);
    assert_eq!(shown, "device,metric,keep\n.*,kept,forever\n");
}

//! What commands print of metrics says which is which, and what is missing says what there is.

use std::fs;
use std::path::Path;

use crate::run::{chronolith, expect};

/// Two metrics that differ in a tag only.
fn database(at: &Path) {
    let lines = "m,device=a,site=north v=1 1577836800000000000\n\
                 m,device=a,site=south v=3 1577836860000000000\n";
    fs::write(at.join("in.lp"), lines).unwrap();
    expect(at, 0, &["ingest", "--db", "a", "in.lp"]);
    expect(at, 0, &["seal", "--db", "a", "--all"]);
}

#[test]
fn tags_stand_in_aggregates_and_lists_of_chunks() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    database(at);
    for command in ["aggregate", "chunks", "metrics", "latest"] {
        for format in ["table", "csv", "json", "jsonl"] {
            let printed = expect(at, 0, &[command, "--db", "a", "--format", format]);
            for site in ["site=north", "site=south"] {
                assert!(printed.contains(site), "{command} {format}: {printed}");
            }
        }
    }
}

/// The time of the one bucket for everything was empty, as was that of a bucket that is cut off
/// where time begins.
#[test]
fn every_bucket_has_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    database(at);
    let csv = ["--db", "a", "--format", "csv"];
    let all = expect(at, 0, &[&["aggregate"], &csv[..]].concat());
    assert_eq!(
        all,
        "time,device,metric,avg,tags\n\
         2020-01-01T00:00:00Z,a,v,1,\"class=m,site=north\"\n\
         2020-01-01T00:01:00Z,a,v,3,\"class=m,site=south\"\n"
    );
    let together = [&["aggregate", "--by", "all"], &csv[..]].concat();
    assert_eq!(expect(at, 0, &together), "time,avg\n2020-01-01T00:00:00Z,2\n");
    let ranged = [&together[..], &["--from", "2019-12-31"]].concat();
    assert_eq!(expect(at, 0, &ranged), "time,avg\n2019-12-31T00:00:00Z,2\n");
    fs::write(at.join("ends.lp"), format!("m v=1 {}\nm v=2 {}\n", i64::MIN, i64::MAX)).unwrap();
    expect(at, 0, &["ingest", "--db", "b", "ends.lp"]);
    for every in ["1h", "1y", "all"] {
        let rows = expect(at, 0, &["aggregate", "--db", "b", "--every", every, "--format", "csv"]);
        for row in rows.lines().skip(1) {
            assert!(row.starts_with("1677-") || row.starts_with("2262-"), "{every}: {row}");
        }
    }
}

#[test]
fn a_selection_of_nothing_says_what_there_is() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    database(at);
    for (code, condition, hint) in [
        (
            0,
            ["--label", "nope=1"],
            "no metric has a label \"nope\"; there are for example class, site",
        ),
        (0, ["--label", "sit=north"], "did you mean site?"),
        (0, ["--label", "site=nort"], "did you mean north?"),
        (0, ["--label", "site=~x.*"], "no metric fits all of these conditions"),
        (1, ["--metric", "w"], "there is no metric \"w\""),
        (1, ["--device", "b"], "there is no device \"b\""),
    ] {
        for command in ["export", "aggregate", "latest", "metrics", "chunks", "delete"] {
            let arguments = [&[command, "--db", "a"], &condition[..]].concat();
            let output = chronolith(at, &arguments);
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(told.contains(hint), "{arguments:?}: {told}");
            assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        }
    }
    expect(at, 0, &["init", "empty"]);
    let output = chronolith(at, &["export", "--db", "empty"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("holds no metrics yet"));
}

//! `chronolith query` answers in every format, keeps its limits, and explains what is wrong.

use std::fs;
use std::path::Path;

use crate::run::{chronolith, expect, json};

const LINES: &str = "\
speed,device=car-1,class=fleet value=61.5 1767225600000000000
speed,device=car-1,class=fleet value=60.25 1767225601000000000
speed,device=car-2,class=fleet value=12 1767225600000000000
";

fn database(directory: &Path) {
    fs::write(directory.join("fleet.lp"), LINES).unwrap();
    expect(directory, 0, &["init", "db"]);
    expect(directory, 0, &["ingest", "--db", "db", "fleet.lp"]);
}

/// The name of the one metric of numbers: line protocol joins measurement and field.
fn table(directory: &Path) -> String {
    let tables =
        json(directory, 0, &["query", "--db", "db", "--json", "SELECT name FROM system.metrics"]);
    tables[0]["name"].as_str().unwrap().to_owned()
}

#[test]
fn every_format_has_the_same_rows() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    database(directory);
    let name = table(directory);
    let sql = format!("SELECT device, time, value FROM \"{name}\" ORDER BY device, time");
    let query =
        |format: &str| expect(directory, 0, &["query", "--db", "db", "--format", format, &sql]);
    let csv = "device,time,value\ncar-1,2026-01-01T00:00:00Z,61.5\n\
               car-1,2026-01-01T00:00:01Z,60.25\ncar-2,2026-01-01T00:00:00Z,12\n";
    assert_eq!(query("csv"), csv);
    let first = r#"{"device":"car-1","time":"2026-01-01T00:00:00Z","value":61.5}"#;
    assert_eq!(query("ndjson").lines().next(), Some(first));
    let rows: serde_json::Value = serde_json::from_str(&query("json")).unwrap();
    assert_eq!(rows.as_array().unwrap().len(), 3);
    assert!(query("table").contains("│ car-2    2026-01-01T00:00:00Z   12    │"));
    for (format, magic) in [("parquet", &b"PAR1"[..]), ("arrow", &[0xff, 0xff, 0xff, 0xff][..])] {
        let arguments = ["query", "--db", "db", "--format", format, "--output", "answer", &sql];
        expect(directory, 0, &arguments);
        assert!(fs::read(directory.join("answer")).unwrap().starts_with(magic), "{format}");
    }
    let exported = chronolith(directory, &["export", "--db", "db", "--format", "parquet"]);
    assert!(exported.status.success() && exported.stdout.starts_with(b"PAR1"));
}

#[test]
fn what_is_wrong_is_explained_and_leaves_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    database(directory);
    let name = table(directory);
    let failing = |arguments: &[&str], code: i32| {
        let output = chronolith(directory, &[&["query", "--db", "db"], arguments].concat());
        let problem = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {problem}");
        problem
    };
    let problem = failing(&[&format!("SELECT valu FROM \"{name}\"")], 1);
    assert!(problem.contains("there is no column valu") && problem.contains("^^^^"), "{problem}");
    assert!(problem.contains("did you mean value?"), "{problem}");
    let all = format!("SELECT * FROM \"{name}\"");
    let arguments = ["--format", "csv", "--output", "answer", "--max-rows", "2", all.as_str()];
    assert!(failing(&arguments, 1).contains("more than 2 rows"));
    assert!(!directory.join("answer").exists());
    assert!(failing(&["--timeout", "soon", "SELECT 1"], 2).contains("30s"));
    assert!(failing(&["--memory", "lots", "SELECT 1"], 2).contains("64MiB"));
    assert!(failing(&["CREATE TABLE x (a INT)"], 1).contains("only queries"));
}

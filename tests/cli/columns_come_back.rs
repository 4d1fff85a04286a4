//! What is written as Parquet or Arrow comes back by `ingest`.

use std::fs;
use std::path::Path;

use crate::run::{chronolith, expect};

const LINES: &str = "\
engine,device=car-1,class=fleet,unit=left rpm=800i,speed=61.5,name=\"a,b\" 1767225600000000000
engine,device=car-1,class=fleet ticks=18446744073709551615u,on=true 1767225601000000001
engine,device=car-2 speed=-0.0,note=\"\" 1767225600000000000
";

fn export(directory: &Path, db: &str) -> String {
    expect(directory, 0, &["export", "--db", db])
}

#[test]
fn exported_parquet_is_ingested_to_the_same_database() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    fs::write(directory.join("fleet.lp"), LINES).unwrap();
    expect(directory, 0, &["init", "one"]);
    expect(directory, 0, &["ingest", "--db", "one", "fleet.lp"]);
    let output = chronolith(directory, &["export", "--db", "one", "--format", "parquet"]);
    fs::write(directory.join("records.parquet"), output.stdout).unwrap();
    expect(directory, 0, &["init", "other"]);
    expect(directory, 0, &["ingest", "--db", "other", "records.parquet"]);
    assert_eq!(export(directory, "one"), export(directory, "other"));
    let units = "SELECT name, unit, kind FROM system.metrics ORDER BY name";
    let of = |db: &str| expect(directory, 0, &["query", "--db", db, "--format", "csv", units]);
    assert_eq!(of("one"), of("other"));
}

#[test]
fn answers_are_ingested_in_either_format() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    fs::write(directory.join("fleet.lp"), LINES).unwrap();
    expect(directory, 0, &["init", "one"]);
    chronolith(directory, &["ingest", "--db", "one", "fleet.lp"]);
    let sql = "SELECT time, device, name AS metric, value_f64 AS value FROM records \
               WHERE value_f64 IS NOT NULL ORDER BY device";
    for format in ["parquet", "arrow"] {
        let file = format!("answer.{format}");
        let arguments = ["query", "--db", "one", "--format", format, "--output", &file, sql];
        expect(directory, 0, &arguments);
        expect(directory, 0, &["init", format]);
        let long = ["--metric-column", "metric", "--value-column", "value"];
        expect(directory, 0, &[&["ingest", "--db", format, file.as_str()], &long[..]].concat());
        let back = "SELECT time, device, name AS metric, value FROM records ORDER BY device";
        let of = |db: &str, sql| expect(directory, 0, &["query", "--db", db, "--json", sql]);
        assert_eq!(of("one", sql), of(format, back), "{format}");
    }
}

//! A writer that is killed at any moment loses nothing that it acknowledged, and what is there is
//! a prefix of its input.
//!
//! `CHRONOLITH_KILLS=500 cargo test --test cli killed_writer` runs the long campaign.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use chronolith_engine::{Db, Options, Selector, Value};

use crate::run::{expect, kills, program};

/// Records by device and metric, in time order.
type Records = BTreeMap<(String, String), BTreeMap<i64, f64>>;

/// The first `count` records of a file of the fleet data: every line is
/// `fleet,device=D field=value,... time`.
fn first_records(lines: &str, count: u64) -> Records {
    let (mut records, mut taken) = (Records::new(), 0);
    for line in lines.lines() {
        if taken == count {
            break;
        }
        let mut parts = line.split(' ');
        let device = parts.next().unwrap().strip_prefix("fleet,device=").unwrap().to_owned();
        let fields = parts.next().unwrap();
        let time: i64 = parts.next().unwrap().parse().unwrap();
        for field in fields.split(',') {
            let (name, value) = field.split_once('=').unwrap();
            let series = records.entry((device.clone(), name.to_owned())).or_default();
            series.insert(time, value.parse().unwrap());
            taken += 1;
        }
    }
    assert_eq!(taken, count, "what is there ends inside a row");
    records
}

fn all_records(directory: &Path) -> Records {
    let db = Db::open(directory, Options::read_only()).unwrap();
    let mut records = Records::new();
    for id in db.select(&Selector::all()).unwrap() {
        let definition = db.definition(id).unwrap();
        let key = (definition.metric.device().to_owned(), definition.metric.name().to_owned());
        for block in db.scan(id, ..).unwrap() {
            for (time_ns, value) in block.unwrap().iter() {
                let Value::F64(value) = value.to_value() else { panic!("not a float") };
                records.entry(key.clone()).or_default().insert(time_ns, value);
            }
        }
    }
    records
}

/// Starts a writer and kills it after `lines` acknowledgements; how many records it acknowledged.
fn kill_after(directory: &Path, input: &Path, lines: usize) -> u64 {
    let mut writer = Command::new(program())
        .args(["ingest", "--json", "--format", "line", "--db"])
        .arg(directory)
        .arg(input)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut acknowledged = 0;
    let output = BufReader::new(writer.stdout.take().unwrap());
    for line in output.lines().take(lines) {
        let told: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
        acknowledged = told["acknowledged"].as_u64().unwrap_or(acknowledged);
    }
    writer.kill().unwrap();
    writer.wait().unwrap();
    acknowledged
}

#[test]
fn a_killed_writer_leaves_a_prefix_with_everything_it_acknowledged() {
    let kills = kills(8) as usize;
    let directory = tempfile::tempdir().unwrap();
    let input = directory.path().join("fleet.lp");
    let path = input.display().to_string();
    let size = ["--vehicles", "12", "--seconds", "2000"];
    expect(directory.path(), 0, &[&["bench", "fleet", "--out", &path], &size[..]].concat());
    let lines = fs::read_to_string(&input).unwrap();
    for kill in 0..kills {
        let db = directory.path().join(format!("db-{kill}"));
        // Killed at once, after each of the batches, and after the end.
        let acknowledged = kill_after(&db, &input, kill % 15);
        if !db.join("manifest").exists() {
            assert_eq!(acknowledged, 0);
            continue;
        }
        let found = all_records(&db);
        let count = found.values().map(|series| series.len() as u64).sum();
        assert!(count >= acknowledged, "kill {kill}: {acknowledged} acknowledged, {count} found");
        assert_eq!(found, first_records(&lines, count), "kill {kill}");
        let text = db.display().to_string();
        expect(directory.path(), 0, &["verify", "--db", &text]);
        fs::remove_dir_all(&db).unwrap();
    }
}

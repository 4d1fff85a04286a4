//! `chronolith search` on real drives: by text, labels, time; in every format; and whatever kills
//! or damages its index, the answers stay.
//!
//! `CHRONOLITH_KILLS=100 cargo test --test cli searches` runs the long campaign.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::run::{chronolith, expect, json, kills, program, recordings, source};

/// Two drives and a cycle, sealed.
fn database(directory: &Path) {
    for (device, file) in
        [("4111928", "4111928_1_2007-05-22.csv.gz"), ("4112082", "4112082_1_2007-07-03.csv.gz")]
    {
        let path = source("testdata/drives").join(file).display().to_string();
        let zone = ["--zone", "America/Chicago"];
        let arguments = ["ingest", "--db", "db", "--device", device, zone[0], zone[1], &path];
        expect(directory, 0, &arguments);
    }
    let udds = source("testdata/drives/udds.csv").display().to_string();
    let start = ["--time", "cycSecs", "--time-format", "s", "--start", "2026-01-05T08:00:00Z"];
    let arguments = [&["ingest", "--db", "db", "--device", "udds"], &start[..], &[&udds]].concat();
    expect(directory, 0, &arguments);
    expect(directory, 0, &["seal", "--db", "db", "--all"]);
}

fn search(directory: &Path, arguments: &[&str]) -> Value {
    json(directory, 0, &[&["search", "--db", "db", "--json"], arguments].concat())
}

fn column(answer: &Value, name: &str) -> Vec<String> {
    let hits = answer["hits"].as_array().unwrap().iter();
    hits.map(|hit| hit[name].as_str().map_or_else(|| hit[name].to_string(), str::to_owned))
        .collect()
}

#[test]
fn real_drives_are_found_by_text_labels_and_time() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    database(directory);
    let speeds = search(directory, &["speed", "--sort", "time"]);
    assert_eq!(column(&speeds, "device"), ["4111928", "4112082"]);
    assert_eq!(column(&speeds, "records"), ["931", "1853"]);
    assert_eq!(column(&speeds, "first"), ["2007-05-22T21:36:50Z", "2007-07-03T12:20:05Z"]);
    let cycle = search(directory, &["--kind", "device", "mps"]);
    assert_eq!(column(&cycle, "device"), ["udds"]);
    let may = ["--from", "2007-05-01", "--to", "2007-06-01", "--kind", "device"];
    assert_eq!(column(&search(directory, &may), "device"), ["4111928"]);
    let chunks =
        search(directory, &["--kind", "chunk", "--metric", "speed_mph", "--sort", "freshness"]);
    let listed = json(directory, 0, &["chunks", "--db", "db", "--metric", "speed_mph", "--json"]);
    let mut cids: Vec<&str> =
        listed.as_array().unwrap().iter().map(|chunk| chunk["cid"].as_str().unwrap()).collect();
    let mut found = column(&chunks, "cid");
    cids.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, cids);
    let counts = search(directory, &["--counts", "device", "--", "-accel*"]);
    assert_eq!(
        counts["total"],
        counts["counts"]["device"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| c["count"].as_u64().unwrap())
            .sum::<u64>()
    );
    let csv = expect(directory, 0, &["search", "--db", "db", "speed", "--format", "csv"]);
    assert!(csv.starts_with("device,metric,unit,chunks,records,first,last,tags,of\n4"), "{csv}");
    let lines = expect(directory, 0, &["search", "--db", "db", "speed", "--format", "ndjson"]);
    assert!(lines.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
    let table = expect(directory, 0, &["search", "--db", "db", "--limit", "1"]);
    assert!(table.contains("the next: --offset 1"), "{table}");
    let output = chronolith(directory, &["search", "--db", "db", "sped"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("did you mean: speed"));
}

/// Every recorded day of every vehicle is found by its date, and no other vehicle with it.
#[test]
fn recorded_days_are_found_by_their_date() {
    let Some(recordings) = recordings() else { return };
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let mut days = BTreeMap::<String, BTreeSet<String>>::new();
    for entry in fs::read_dir(recordings.join("drives-cmap")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let Some((vehicle, rest)) = name.split_once('_') else { continue };
        let Some(day) = rest.strip_suffix(".csv.gz").and_then(|rest| rest.split('_').nth(1)) else {
            continue;
        };
        let path = path.display().to_string();
        expect(directory, 0, &["ingest", "--db", "db", "--device", vehicle, &path]);
        days.entry(day.to_owned()).or_default().insert(vehicle.to_owned());
    }
    expect(directory, 0, &["seal", "--db", "db", "--all"]);
    assert!(days.len() > 10);
    for (day, vehicles) in days {
        let (from, to) = (format!("{day}T00:00:00Z"), format!("{day}T23:59:59Z"));
        let range = ["--kind", "device", "--from", &from, "--to", &to, "speed"];
        let found = column(&search(directory, &range), "device");
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), vehicles, "{day}");
    }
}

#[test]
fn what_cannot_be_searched_is_explained() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    database(directory);
    for (arguments, part) in [
        (&["speed \"x"][..], "at character 7"),
        (&["colour:red"][..], "no field or tag"),
        (&["--box", "1,2,3"][..], "two corners"),
        (&["--box", "91,0,92,1"][..], "latitudes are"),
        (&["--counts", "shape"][..], "none of"),
        (&["--limit", "100000"][..], "more than"),
        (&["--label", "x"][..], "KEY=VALUE"),
        (&["--from", "2008-01-01", "--to", "2007-01-01"][..], "is before"),
    ] {
        let output = chronolith(directory, &[&["search", "--db", "db"], arguments].concat());
        let problem = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {problem}");
        assert!(problem.contains(part), "{arguments:?}: {problem}");
    }
    let missing = chronolith(directory, &["search", "--db", "nowhere", "x"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(!directory.join("nowhere").exists(), "a search makes no folders");
}

#[test]
fn the_index_is_no_part_of_the_data() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    database(at);
    let expected = search(at, &["--kind", "chunk", "--sort", "time"]);
    assert!(at.join("db/search/index/meta.json").exists(), "sealing brought it up to date");
    expect(at, 0, &["verify", "--db", "db"]);
    expect(at, 0, &["backup", "--db", "db", "--to", "copy"]);
    assert!(!at.join("copy/search").exists());
    fs::rename(at.join("db"), at.join("original")).unwrap();
    expect(at, 0, &["restore", "--from", "copy", "--db", "db"]);
    assert_eq!(search(at, &["--kind", "chunk", "--sort", "time"]), expected);
    expect(at, 0, &["repair", "--db", "db"]);
    assert_eq!(search(at, &["--kind", "chunk", "--sort", "time"]), expected);
    for entry in fs::read_dir(at.join("db/search/index")).unwrap() {
        fs::write(entry.unwrap().path(), "damaged").unwrap();
    }
    assert_eq!(search(at, &["--kind", "chunk", "--sort", "time"]), expected);
    expect(at, 0, &["verify", "--db", "db"]);
}

/// How many files there are, in all folders. What vanishes while it is looked at does not count.
fn files(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let count = |entry: fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => files(&entry.path()),
        _ => 1,
    };
    entries.map(count).sum()
}

#[test]
fn killed_at_any_moment_the_index_goes_on_or_is_built_anew() {
    let kills = kills(8);
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let path = at.join("fleet.lp").display().to_string();
    for kill in 0..kills {
        let size =
            ["--vehicles", "20", "--seconds", "40", "--seed", &kill.to_string()].map(str::to_owned);
        let size: Vec<&str> = size.iter().map(String::as_str).collect();
        expect(at, 0, &[&["bench", "fleet", "--out", &path], &size[..]].concat());
        expect(at, 0, &["ingest", "--db", "db", &path]);
        let command: &[&str] = match kill % 3 {
            0 => &["seal", "--db", "db", "--all"],
            1 => &["search", "--db", "db", "--rebuild"],
            _ => &["search", "--db", "db"],
        };
        if kill % 3 == 2 {
            // Something to follow that sealing did not.
            fs::create_dir_all(at.join("db/search")).unwrap();
            let held = fs::File::create(at.join("db/search/LOCK")).unwrap();
            held.lock().unwrap();
            expect(at, 0, &["seal", "--db", "db", "--all"]);
        }
        let wanted = files(&at.join("db")) + kill as usize % 24;
        let mut child = Command::new(program())
            .args(command)
            .current_dir(at)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // How far it came is what differs: so many files it has made.
        while child.try_wait().unwrap().is_none() && files(&at.join("db")) < wanted {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        expect(at, 0, &["seal", "--db", "db", "--all"]);
        let found = search(at, &["--kind", "chunk", "--sort", "time", "--limit", "10000"]);
        let listed = json(at, 0, &["chunks", "--db", "db", "--json"]);
        assert_eq!(found["total"].as_u64(), listed.as_array().map(|all| all.len() as u64));
        let rebuild = ["--rebuild", "--kind", "chunk", "--sort", "time", "--limit", "10000"];
        if kill % 4 == 3 {
            assert_eq!(search(at, &rebuild), found, "kill {kill}");
        }
    }
}

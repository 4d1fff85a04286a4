//! Real recordings go in with every row accounted for, and come out with the same values.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::run::{expect, json, recordings, source};

/// The text of a file, unpacked where it is packed.
fn text(path: &Path) -> String {
    let mut text = String::new();
    if path.extension().is_some_and(|extension| extension == "gz") {
        flate2::read::GzDecoder::new(File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    } else {
        File::open(path).unwrap().read_to_string(&mut text).unwrap();
    }
    text
}

/// The last value of each time of a column, where times repeat.
fn column(text: &str, time: usize, value: usize) -> BTreeMap<String, f64> {
    let rows = text.lines().skip(1).map(|line| line.split(',').collect::<Vec<_>>());
    let cells = rows.filter(|cells| cells.get(value).is_some_and(|cell| !cell.trim().is_empty()));
    cells.map(|cells| (cells[time].to_owned(), cells[value].trim().parse().unwrap())).collect()
}

/// The values of an export, by time.
fn exported(text: &str) -> Vec<f64> {
    text.lines().skip(1).map(|line| line.split(',').nth(3).unwrap().parse().unwrap()).collect()
}

fn same(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

#[test]
fn a_city_drive_comes_back_value_by_value() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let path = source("testdata/drives/4111928_1_2007-05-22.csv.gz");
    let input = path.display().to_string();
    let result = json(at, 0, &["ingest", "--json", "--db", "a", "--device", "car", &input]);
    assert_eq!(
        (result["accepted"].as_u64(), result["rejected"].as_u64()),
        (Some(931 * 4), Some(0))
    );
    expect(at, 0, &["seal", "--db", "a", "--all"]);
    let text = text(&path);
    for (place, name) in
        ["cycle_sec", "timestep", "speed_mph", "accel_meters_ps"].iter().enumerate()
    {
        let rows = expect(at, 0, &["export", "--db", "a", "--metric", name]);
        let expected: Vec<f64> = column(&text, 0, place + 1).into_values().collect();
        assert!(same(&exported(&rows), &expected), "{name}");
    }
}

#[test]
fn wind_turbine_years_come_back_value_by_value() {
    let Some(recordings) = recordings() else { return };
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let path = recordings.join("wind-lahauteborne/R80711_2014-2015.csv.gz");
    let input = path.display().to_string();
    let device = ["--device-column", "Wind_turbine_name", "--window", "30d"];
    let arguments = [&["ingest", "--json", "--db", "a"], &device[..], &[&input]].concat();
    let result = json(at, 0, &arguments);
    assert_eq!(
        (result["accepted"].as_u64(), result["rejected"].as_u64()),
        (Some(732_515), Some(0))
    );
    expect(at, 0, &["seal", "--db", "a", "--all"]);
    let text = text(&path);
    let rows = expect(at, 0, &["export", "--db", "a", "--metric", "Ws_avg"]);
    // In order of the moment, not of the text: the offset changes with daylight saving.
    let moment = |time: &str| time.parse::<jiff::Timestamp>().unwrap();
    let expected: BTreeMap<jiff::Timestamp, f64> = text
        .lines()
        .skip(1)
        .filter_map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            Some((moment(cells[1]), cells[4].parse().ok()?))
        })
        .collect();
    let expected: Vec<f64> = expected.into_values().collect();
    assert!(same(&exported(&rows), &expected));
    assert_eq!(json(at, 0, &["verify", "--json", "--db", "a"])["faults"], serde_json::json!([]));
}

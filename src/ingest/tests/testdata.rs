//! The small files of `testdata/`, which are there in every checkout.

use std::path::{Path, PathBuf};

use super::support::{Outcome, read_file};
use crate::ingest::Format;

fn read(name: &str, args: &[&str]) -> Outcome {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    read_file(&folder.join(name), args)
}

#[test]
fn every_small_file_is_detected_and_accounted_for() {
    for (name, format, accepted, rejected) in [
        ("ingest/fleet.lp", Format::Line, 9, 0),
        ("ingest/messy.csv", Format::Csv, 6, 4),
        ("ingest/nmea2000.candump.log", Format::Candump, 40, 0),
    ] {
        let outcome = read(name, &[]);
        let summary = &outcome.summary;
        assert_eq!((summary.format, summary.detected), (format, true), "{name}");
        assert_eq!((summary.accepted, summary.rejected), (accepted, rejected), "{name}");
    }
    let receiver = read("ingest/receiver.nmea", &[]);
    assert_eq!(receiver.summary.format, Format::Nmea);
    assert_eq!(receiver.summary.rejected, 0);
    assert!(!receiver.sink.of("latitude").is_empty());
}

#[test]
fn the_drives_of_the_demo_arrive() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/drives");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (mut cycles, mut drives) = (0, 0);
    for path in entries {
        let path: PathBuf = path;
        let name = path.to_string_lossy().into_owned();
        let outcome = if name.ends_with(".csv") {
            cycles += 1;
            read_file(&path, &["--time", "cycSecs", "--start", "2024-01-01T00:00:00Z"])
        } else if name.ends_with(".csv.gz") {
            drives += 1;
            read_file(&path, &[])
        } else {
            continue;
        };
        assert_eq!((outcome.summary.rejected, outcome.summary.rows_skipped), (0, 0), "{name}");
    }
    assert_eq!((cycles, drives), (4, 6));
}

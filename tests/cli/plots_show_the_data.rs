//! `chronolith plot` on real drives: in the terminal, as SVG and as PNG.

use std::fs;
use std::path::Path;

use crate::run::{chronolith, expect, json, source};

fn database(directory: &Path) {
    let path = source("testdata/drives/udds.csv").display().to_string();
    let start = ["--time", "cycSecs", "--time-format", "s", "--start", "2026-01-05T08:00:00Z"];
    let arguments = [&["ingest", "--db", "db", "--device", "udds"], &start[..], &[&path]].concat();
    expect(directory, 0, &arguments);
}

/// The speeds of the cycle, as its file has them.
fn speeds() -> Vec<f64> {
    let text = fs::read_to_string(source("testdata/drives/udds.csv")).unwrap();
    let cell = |line: &str| line.split(',').nth(1).unwrap().parse().unwrap();
    text.lines().skip(1).map(cell).collect()
}

/// The heights of the points of a document, from its first path.
fn heights(svg: &str) -> Vec<f64> {
    let path = svg.split_once(" d=\"").unwrap().1.split_once('"').unwrap().0;
    let height = |point: &str| point.split_once(' ').unwrap().1.parse().unwrap();
    path.split(['M', 'L']).skip(1).map(height).collect()
}

#[test]
fn a_drive_reads_back_from_its_picture() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    database(at);
    let arguments =
        ["plot", "--db", "db", "--metric", "cycMps", "--out", "a.svg", "--width", "4000"];
    expect(at, 0, &arguments);
    let heights = heights(&fs::read_to_string(at.join("a.svg")).unwrap());
    let speeds = speeds();
    assert_eq!(heights.len(), speeds.len(), "as many columns as there are points");
    // Heights fall as speeds rise, by one factor.
    let (top, bottom) = (heights.iter().copied().fold(f64::MAX, f64::min), heights[0]);
    let greatest = speeds.iter().copied().fold(0.0, f64::max);
    for (height, speed) in heights.iter().zip(&speeds) {
        let found = (bottom - height) / (bottom - top) * greatest;
        assert!((found - speed).abs() < 0.1, "{found} {speed}");
    }
    expect(at, 0, &["plot", "--db", "db", "--metric", "cycMps", "--out", "a.png"]);
    assert!(fs::read(at.join("a.png")).unwrap().starts_with(b"\x89PNG\r\n\x1a\n"));
    let text = expect(at, 0, &["plot", "--db", "db", "--metric", "cycMps", "--width", "60"]);
    assert!(text.contains("udds/cycMps") && text.contains("08:10"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 60), "{text}");
    let arguments =
        ["--metric", "cycMps", "--every", "1m", "--fn", "min,max", "--zone", "Asia/Tokyo"];
    let text = expect(at, 0, &[&["plot", "--db", "db"], &arguments[..]].concat());
    assert!(text.contains("max of udds/cycMps") && text.contains("Asia/Tokyo"), "{text}");
}

#[test]
fn the_points_that_are_drawn_come_as_json() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    database(at);
    let plot = |more: &[&str]| {
        json(at, 0, &[&["plot", "--db", "db", "--metric", "cycMps", "--json"], more].concat())
    };
    let points = |chart: &serde_json::Value| -> Vec<(String, f64)> {
        let pieces = chart["lines"][0]["pieces"].as_array().unwrap().iter();
        let points = pieces.flat_map(|piece| piece.as_array().unwrap());
        points
            .map(|point| (point[0].as_str().unwrap().to_owned(), point[1].as_f64().unwrap()))
            .collect()
    };
    // With a column for each there are all of them, as the file has them.
    let whole = plot(&["--width", "4000"]);
    assert_eq!(whole["lines"][0]["name"], "udds/cycMps");
    assert_eq!(
        (&whole["from"], &whole["to"]),
        (&"2026-01-05T08:00:00+00:00".into(), &"2026-01-05T08:22:49+00:00".into(),)
    );
    let all = points(&whole);
    assert_eq!(all.iter().map(|(_, value)| *value).collect::<Vec<_>>(), speeds());
    // With few columns the least and the greatest stay, and no more than four of each column.
    let few = plot(&["--width", "20", "--zone", "America/Chicago"]);
    let kept = points(&few);
    assert!(kept.len() <= 80 && few["lines"][0]["points"] == all.len());
    assert_eq!(kept[0].0, "2026-01-05T02:00:00-06:00");
    let greatest = |points: &[(String, f64)]| points.iter().map(|p| p.1).fold(0.0, f64::max);
    assert_eq!(greatest(&kept), greatest(&all));
    // What has no logarithm is a gap there, too.
    let logarithmic = plot(&["--width", "4000", "--log"]);
    assert!(points(&logarithmic).iter().all(|(_, value)| *value > 0.0));
    let pieces = logarithmic["lines"][0]["pieces"].as_array().unwrap().len();
    assert!(pieces > whole["lines"][0]["pieces"].as_array().unwrap().len());
    assert!(logarithmic["notes"][0].as_str().unwrap().contains("no logarithm"));
    let wrong = ["plot", "--db", "db", "--metric", "cycMps", "--json", "--width", "0"];
    assert_eq!(chronolith(at, &wrong).status.code(), Some(2));
}

#[cfg(feature = "sql")]
#[test]
fn answers_of_sql_and_promql_are_drawn() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    database(at);
    let sql = "SELECT time_bucket('1m', time) AS t, min(value) AS low, max(value) AS high \
               FROM \"cycMps\" GROUP BY 1 ORDER BY 1";
    let text = expect(at, 0, &["plot", "--db", "db", "--sql", sql]);
    assert!(text.contains("── low") && text.contains("── high"), "{text}");
    let text = expect(
        at,
        0,
        &["plot", "--db", "db", "--promql", "avg_over_time(cycMps[1m])", "--every", "1m"],
    );
    assert!(text.contains("device=\"udds\""), "{text}");
    let output = chronolith(at, &["plot", "--db", "db", "--sql", "SELECT 1 AS n"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("no column of times"));
}

#[test]
fn what_cannot_be_drawn_is_explained() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    database(at);
    for (arguments, code, part) in [
        (&[][..], 2, "say what to draw"),
        (&["--metric", "nothing"][..], 1, "there is no metric"),
        (&["--metric", "cycMps", "--out", "a.jpg"][..], 2, ".svg nor in .png"),
        (&["--metric", "cycMps", "--zone", "Mars/Olympus"][..], 2, "not a time zone"),
        (&["--metric", "cycMps", "--out", "a.png", "--width", "100000"][..], 2, "pixels cannot"),
        (&["--metric", "cycMps", "--width", "3"][..], 2, "characters cannot"),
        (&["--metric", "cycMps", "--every", "all"][..], 2, "no line"),
    ] {
        let output = chronolith(at, &[&["plot", "--db", "db"], arguments].concat());
        let problem = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {problem}");
        assert!(problem.contains(part), "{arguments:?}: {problem}");
    }
    let empty = ["plot", "--db", "db", "--metric", "cycMps", "--from", "2030-01-01"];
    assert!(expect(at, 0, &empty).contains("nothing to draw"));
}

//! `chronolith query --promql` answers at one time and over a range, in every format, keeps its
//! limits, and shows where a query is wrong.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::run::{chronolith, expect, json, program};

/// Two cars, a speed each second of a minute: car-1 gains one a second, car-2 stands.
fn database(directory: &Path) {
    let lines = (0..60).flat_map(|second| {
        let time = 1_767_225_600_000_000_000_i64 + second * 1_000_000_000;
        [
            format!("van,device=car-1 metres_total={second} {time}\n"),
            format!("car,device=car-2 metres_total=7 {time}\n"),
        ]
    });
    fs::write(directory.join("fleet.lp"), lines.collect::<String>()).unwrap();
    expect(directory, 0, &["init", "db"]);
    expect(directory, 0, &["ingest", "--db", "db", "fleet.lp"]);
}

const NAME: &str = "metres_total";
const END: &str = "2026-01-01T00:00:59Z";

fn query<'a>(expression: &'a str, rest: &[&'a str]) -> Vec<&'a str> {
    [&["query", "--db", "db", "--promql", expression], rest].concat()
}

fn problem(output: Output, code: i32) -> String {
    let problem = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{problem}");
    assert!(output.stdout.is_empty() && !problem.contains("panicked"), "{problem}");
    problem
}

#[test]
fn an_instant_and_a_range_have_the_same_values_in_every_format() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    database(directory);
    let rate = format!("rate({NAME}[30s])");
    let csv = expect(directory, 0, &query(&rate, &["--time", END, "--format", "csv"]));
    assert_eq!(
        csv,
        "time,series,value\n\
         2026-01-01T00:00:59Z,\"{class=\"\"car\"\", device=\"\"car-2\"\"}\",0\n\
         2026-01-01T00:00:59Z,\"{class=\"\"van\"\", device=\"\"car-1\"\"}\",1\n"
    );
    let table = expect(directory, 0, &query(&rate, &["--time", END]));
    assert!(table.contains("{class=\"van\", device=\"car-1\"}"), "{table}");

    let answer = json(directory, 0, &query(&rate, &["--time", END, "--format", "json"]));
    assert_eq!(answer["status"], "success");
    assert_eq!(answer["data"]["resultType"], "vector");
    let van = serde_json::json!({
        "metric": {"class": "van", "device": "car-1"}, "value": [1_767_225_659.0, "1"]
    });
    assert_eq!(answer["data"]["result"][1], van);
    assert!(answer["infos"].is_null() || answer["infos"].is_array());

    let range = ["--start", "2026-01-01T00:00:30Z", "--end", END, "--step", "10s"];
    let range = [&range[..], &["--format", "json"]].concat();
    let answer = json(directory, 0, &query(&rate, &range));
    assert_eq!(answer["data"]["resultType"], "matrix");
    let values = answer["data"]["result"][1]["values"].as_array().unwrap();
    assert_eq!(values.len(), 3);
    assert_eq!(values[0], serde_json::json!([1_767_225_630.0, "1"]));

    let scalar = json(directory, 0, &query("1 + 1", &["--time", END, "--format", "json"]));
    assert_eq!(scalar["data"]["result"][1], "2");
    let text = json(directory, 0, &query("\"a\"", &["--time", END, "--format", "json"]));
    assert_eq!(text["data"]["resultType"], "string");
    let total = format!("sum({NAME})");
    let total = json(directory, 0, &query(&total, &["--time", END, "--format", "json"]));
    assert_eq!(total["data"]["result"][0]["value"][1], "66");
    let none = json(directory, 0, &query("no_such_metric", &["--time", END, "--format", "json"]));
    assert_eq!(none["data"]["result"], serde_json::json!([]));
}

#[test]
fn selectors_that_fit_no_metric_are_named_beside_an_empty_answer() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    database(directory);
    let asked = |text: &str| {
        let output = chronolith(directory, &query(text, &["--time", END]));
        assert!(output.status.success(), "{text}");
        String::from_utf8(output.stderr).unwrap()
    };
    let shown = asked(&format!("rate({NAME}[30s]) * sum(rate(tripp{{class!=\"van\"}}[1m]))"));
    assert_eq!(
        shown,
        "chronolith: no metric with numbers fits {__name__=\"tripp\", class!=\"van\"}\n"
    );
    assert_eq!(asked(&format!("{NAME} > 1e9")), "");
}

#[test]
fn a_wrong_query_is_shown_with_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    database(directory);
    for (text, caret) in [
        ("sum(trip", "   1 | sum(trip\n               ^"),
        ("trip +\n  rate(trip)", "   2 |   rate(trip)\n              ^"),
        ("trip{a=~\"(\"}", "   1 | trip{a=~\"(\"}\n               ^"),
        ("🚗", "   1 | 🚗\n       ^"),
    ] {
        let found = problem(chronolith(directory, &query(text, &["--time", END])), 1);
        assert!(found.contains("cannot read the query: line "), "{found}");
        assert!(found.contains(caret), "{found}");
    }
    // A long line is shown around the place.
    let long = format!("{}1 +", "1 + ".repeat(60));
    let found = problem(chronolith(directory, &query(&long, &["--time", END])), 1);
    assert!(found.lines().all(|line| line.chars().count() < 140), "{found}");
    let deep = format!("{}1{}", "(".repeat(10_000), ")".repeat(10_000));
    let found = problem(chronolith(directory, &query(&deep, &["--time", END])), 1);
    assert!(found.contains("nested more than"), "{found}");
    let twice = format!("{NAME} + on(class) group_left {{class=\"no\"}} or {{device=\"car-1\"}}");
    assert!(chronolith(directory, &query(&twice, &["--time", END])).status.success());
    let many = format!("{NAME} * on() {NAME}");
    let found = problem(chronolith(directory, &query(&many, &["--time", END])), 1);
    assert!(found.contains("many-to-many matching not allowed"), "{found}");
}

#[test]
fn limits_and_impossible_ranges_are_explained() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    database(directory);
    let asked = |text: &str, rest: &[&str], code: i32| {
        problem(chronolith(directory, &query(text, rest)), code)
    };
    let quantile = format!("quantile_over_time(0.5, {NAME}[1m])");
    let few = ["--time", END, "--max-samples", "10"];
    assert!(asked(&quantile, &few, 1).contains("too many samples into memory: more than 10"));
    let range = |start, end, step| ["--start", start, "--end", end, "--step", step];
    let fine = range("2026-01-01T00:00:00Z", "2026-06-01T00:00:00Z", "1s");
    assert!(asked("1", &fine, 1).contains("exceeded maximum resolution"));
    let backwards = range("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z", "1m");
    assert!(asked("1", &backwards, 1).contains("the end must not be before the start"));
    let text = range("2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z", "1m");
    assert!(asked("\"a\"", &text, 1).contains("must be scalar or instant vector"));
    assert!(asked("1[290y:1ms]", &["--time", END], 1).contains("only allowed on instant vector"));
    let endless = asked("sum_over_time(vector(1)[290y:1ms])", &["--time", END], 1);
    assert!(endless.contains("too many samples"), "{endless}");
    for step in ["0s", "soon", "-1m"] {
        let step = format!("--step={step}");
        let start = "--start=2026-01-01T00:00:00Z";
        let rest = [start, "--end=2026-01-01T00:01:00Z", step.as_str()];
        let output = chronolith(directory, &query("1", &rest));
        assert!(!output.status.success() && !output.stderr.is_empty(), "{step}");
    }
}

#[cfg(unix)]
#[test]
fn bytes_that_are_no_text_are_refused() {
    use std::os::unix::ffi::OsStrExt;
    let directory = tempfile::tempdir().unwrap();
    database(directory.path());
    let output = Command::new(program())
        .args(["query", "--db", "db", "--promql"])
        .arg(OsStr::from_bytes(b"trip{a=\"\xff\xfe\"}"))
        .current_dir(directory.path())
        .output()
        .unwrap();
    assert!(problem(output, 2).contains("invalid UTF-8"));
}

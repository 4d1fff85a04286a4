#![allow(clippy::unwrap_used, reason = "tests")]

use crate::ingest::tests::support::{error, options, read};

fn lines(args: &[&str], text: &str) -> Vec<String> {
    let outcome = read("f.jsonl", text, &options(args));
    assert_eq!(outcome.rejections(), [""; 0], "{text}");
    outcome.sink.lines()
}

#[test]
fn wide_objects_are_flattened() {
    let text = r#"{"time":"1970-01-01T00:00:01Z","device":"car","speed":61.2,"rpm":2000,
"x":1}"#
        .replace('\n', "");
    assert_eq!(
        lines(&[], &text),
        ["car/speed 1000000000 61.2", "car/rpm 1000000000 2000.0", "car/x 1000000000 1.0"]
    );
    let nested = r#"{"at":{"t":5},"a":{"b":{"c":1},"d":[1,{"e":2}]},"n":null,"s":"\u00e9\"","on":true,"tags":{"k":"v","z":1}}"#;
    let outcome = read("f.jsonl", nested, &options(&["--time", "at.t", "--time-format", "ns"]));
    assert_eq!(
        outcome.sink.lines(),
        ["/a.b.c{k=v,z=1} 5 1.0", "/s{k=v,z=1} 5 \"é\\\"\"", "/on{k=v,z=1} 5 true"]
    );
    assert_eq!((outcome.summary.empty, outcome.summary.skipped), (1, 1));
    assert_eq!(outcome.summary.notes, ["arrays are passed over: a.d"]);
}

#[test]
fn long_objects_are_one_record() {
    let text = r#"{"time":5,"device":"car","metric":"speed","value":61.2,"tags":{"k":"v"},"unit":"km/h"}
{"time":6,"device":"car","metric":"n","value":9007199254740993,"kind":"i64"}
{"time":7,"device":"car","metric":"f","value":"NaN","kind":"f64"}
{"time":8,"device":"car","metric":"f","value":null}
"#;
    let outcome = read("f.jsonl", text, &options(&[]));
    assert_eq!(outcome.rejections(), [""; 0]);
    assert_eq!(
        outcome.sink.lines(),
        ["car/speed{k=v} 5 61.2", "car/n 6 9007199254740993i", "car/f 7 NaN"]
    );
    assert_eq!(outcome.sink.metrics[0].2, "km/h");
    assert_eq!(outcome.summary.empty, 1);
}

#[test]
fn what_is_wrong_is_named_and_the_rest_goes_on() {
    let text = "{\"time\":1,\"v\":1}\n{\"time\":2,\"v\":}\n[1]\n{\"v\":1}\n{\"time\":\"x\",\"v\":1}\n\
                {\"time\":5,\"v\":\"y\",\"w\":1}\n{\"time\":6,\"v\":9007199254740993}\n\n{\"time\":7,\"v\":NaN}\n";
    let outcome = read("f.jsonl", text, &options(&["--time-format", "s"]));
    assert_eq!(outcome.sink.lines(), ["/v 1000000000 1.0", "/w 5000000000 1.0"]);
    let starts = [
        "f.jsonl:2:15: not JSON",
        "f.jsonl:3:1: not JSON lines: the line is not an object",
        "f.jsonl:4:1: the object has no key time",
        "f.jsonl:5:9: \"x\" is not a number of seconds",
        "f.jsonl:6:15 (v): \"y\" is not a f64 value",
        "f.jsonl:7:15 (v): f64 cannot hold 9007199254740993 exactly",
        "f.jsonl:9:15: not JSON",
    ];
    let rejections = outcome.rejections();
    assert_eq!(rejections.len(), starts.len(), "{rejections:?}");
    for (line, start) in rejections.iter().zip(starts) {
        assert!(line.starts_with(start), "{line}");
    }
}

#[test]
fn numeric_times_need_to_be_told() {
    let problem = error("f.jsonl", "{\"time\":12,\"v\":1}", &options(&[]));
    assert!(problem.contains("--time-format s"), "{problem}");
}

/// Each value was given the whole path to it, and each metric's key the whole device: a line of 1 MiB with
/// one long key, or one long device, took the memory of fifty thousand.
#[test]
fn long_keys_and_devices_are_not_copied_for_each_value() {
    let values: String = (0..20_000).map(|number| format!("\"{number}\":1,")).collect();
    let long = "k".repeat(500_000);
    for text in [
        format!("{{\"time\":1,\"{long}\":{{{values}\"z\":1}}}}"),
        format!("{{\"time\":1,\"device\":\"{long}\",{values}\"z\":1}}"),
        format!("{{\"time\":1,\"tags\":{{\"{long}\":\"v\"}},{values}\"z\":1}}"),
    ] {
        let text = format!("{text}\n{{\"time\":2,\"a\":{{\"b\":1}}}}\n");
        let outcome = read("f.jsonl", &text, &options(&["--time-format", "s"]));
        assert_eq!(outcome.sink.lines(), ["/a.b 2000000000 1.0"]);
        let rejections = outcome.rejections();
        assert_eq!(rejections.len(), 1);
        assert!(rejections[0].contains("long"), "{rejections:?}");
    }
}

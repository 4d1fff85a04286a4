//! Prometheus writes to a database and asks it: both versions of remote write, and the API that its
//! own interface, Grafana and client libraries use.

use std::path::Path;

use serde_json::json;

use crate::http::proto::{bytes, double, integer};
use crate::http::{Answer, Server};
use crate::run::expect;

const START_MS: u64 = 1_767_225_600_000;
const FIRST: [&str; 2] = ["Content-Type: application/x-protobuf", "Content-Encoding: snappy"];
const SECOND: [&str; 2] = [
    "Content-Type: application/x-protobuf;proto=io.prometheus.write.v2.Request",
    "Content-Encoding: snappy",
];

fn sample(value: f64, time_ms: u64) -> Vec<u8> {
    [double(1, value), integer(2, time_ms)].concat()
}

/// A series of the first version.
fn series(labels: &[(&str, &str)], samples: &[(f64, u64)]) -> Vec<u8> {
    let mut series = Vec::new();
    for (name, value) in labels {
        let label = [bytes(1, name.as_bytes()), bytes(2, value.as_bytes())].concat();
        series.extend(bytes(1, &label));
    }
    samples.iter().for_each(|(value, time)| series.extend(bytes(2, &sample(*value, *time))));
    series
}

fn push(server: &Server, path: &str, headers: &[&str], message: &[u8]) -> Answer {
    let packed = snap::raw::Encoder::new().compress_vec(message).unwrap();
    server.ask("POST", path, headers, &packed)
}

fn up(samples: &[(f64, u64)]) -> Vec<u8> {
    let labels = [("__name__", "up"), ("device", "car-1"), ("instance", "a:1"), ("job", "node")];
    bytes(1, &series(&labels, samples))
}

fn minute(server: &Server) {
    let samples: Vec<(f64, u64)> =
        (0..60).map(|second| (second as f64, START_MS + second * 1_000)).collect();
    push(server, "/api/v1/write", &FIRST, &up(&samples)).expect(204);
}

#[test]
fn what_the_first_version_writes_is_found_under_its_labels() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &[]);
    minute(&server);
    let found =
        server.get("/api/v1/query?query=up%7Bjob%3D%22node%22%7D&time=1767225659").expect(200);
    let result = &found.json()["data"]["result"];
    let metric = json!({"__name__": "up", "device": "car-1", "instance": "a:1", "job": "node"});
    assert_eq!(result[0]["metric"], metric, "{result}");
    assert_eq!(result[0]["value"][1], "59");
    // The same again, and one more: of two values of one time the last counts.
    push(&server, "/api/v1/push", &FIRST, &up(&[(7.0, START_MS + 59_000)])).expect(204);
    let found = server.get("/api/v1/query?query=up&time=1767225659").expect(200).json();
    assert_eq!(found["data"]["result"][0]["value"][1], "7");
    // A series that ended is not found a moment later, though it was five seconds ago.
    let stale = f64::from_bits(0x7ff0_0000_0000_0002);
    push(&server, "/api/v1/write", &FIRST, &up(&[(stale, START_MS + 60_000)])).expect(204);
    let found = server.get("/api/v1/query?query=up&time=1767225661").expect(200).json();
    assert_eq!(found["data"]["result"], json!([]));
}

#[test]
fn what_the_first_version_cannot_write_costs_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &[]);
    let nameless = bytes(1, &series(&[("job", "node")], &[(1.0, START_MS)]));
    let twice = [("__name__", "a"), ("b", "1"), ("b", "2")];
    let twice = bytes(1, &series(&twice, &[(1.0, START_MS)]));
    let mut histogram = series(&[("__name__", "h")], &[]);
    histogram.extend(bytes(4, b"\x08\x01"));
    let message = [up(&[(1.0, START_MS)]), nameless, twice, bytes(1, &histogram)].concat();
    let told = push(&server, "/api/v1/write", &FIRST, &message).expect(400).json();
    assert!(told["message"].as_str().unwrap().starts_with("1 samples were written, 3 were not"));
    let found = server.get("/api/v1/query?query=up&time=1767225600").expect(200).json();
    assert_eq!(found["data"]["result"][0]["value"][1], "1");
    push(&server, "/api/v1/write", &FIRST, b"\xff\xff\xff").expect(400);
    server.ask("POST", "/api/v1/write", &FIRST, b"no snappy").expect(400);
    let other = ["Content-Type: application/x-protobuf;proto=other", "Content-Encoding: snappy"];
    push(&server, "/api/v1/write", &other, b"").expect(415);
    server.ask("POST", "/api/v1/push", &["Content-Type: text/plain"], b"").expect(415);
}

/// A request of the second version: the numbers of labels, samples, and what is added to the series.
fn second(symbols: &[&str], labels: &[u8], samples: &[(f64, u64)], more: &[u8]) -> Vec<u8> {
    let mut series = bytes(1, labels);
    samples.iter().for_each(|(value, time)| series.extend(bytes(2, &sample(*value, *time))));
    series.extend(more);
    let mut message = Vec::new();
    symbols.iter().for_each(|symbol| message.extend(bytes(4, symbol.as_bytes())));
    message.extend(bytes(5, &series));
    message
}

#[test]
fn the_second_version_is_told_how_much_was_written() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &[]);
    let symbols = ["", "__name__", "temperature", "site", "hall", "celsius"];
    let unit = bytes(5, &integer(4, 5));
    let samples = [(20.5, START_MS), (21.5, START_MS + 1_000)];
    let message = second(&symbols, &[1, 2, 3, 4], &samples, &unit);
    let told = push(&server, "/api/v1/write", &SECOND, &message).expect(204);
    assert_eq!(told.headers["x-prometheus-remote-write-samples-written"], "2");
    assert_eq!(told.headers["x-prometheus-remote-write-histograms-written"], "0");
    let found =
        server.get("/api/v1/query?query=temperature%7Bsite%3D%22hall%22%7D&time=1767225601");
    assert_eq!(found.expect(200).json()["data"]["result"][0]["value"][1], "21.5");
    let known = server.get("/api/v1/metadata").expect(200).json();
    assert_eq!(known["data"]["temperature"][0]["unit"], "celsius", "{known}");
    // A histogram that comes along is not written, and the sender is told so.
    let histogram = bytes(3, b"\x08\x01");
    let message = second(&symbols, &[1, 2, 3, 4], &samples[..1], &histogram);
    let told = push(&server, "/api/v1/write", &SECOND, &message).expect(400);
    assert_eq!(told.headers["x-prometheus-remote-write-samples-written"], "1");
    for labels in [&[1, 2, 3][..], &[1, 9]] {
        let message = second(&symbols, labels, &samples, &[]);
        let told = push(&server, "/api/v1/write", &SECOND, &message).expect(400);
        assert_eq!(told.headers["x-prometheus-remote-write-samples-written"], "0");
    }
    push(&server, "/api/v1/write", &SECOND, &second(&["x"], &[], &[], &[])).expect(400);
}

#[test]
fn the_api_answers_what_grafana_asks() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &[]);
    minute(&server);
    let form = ["Content-Type: application/x-www-form-urlencoded"];
    let range = b"query=rate(up%5B30s%5D)&start=1767225630&end=1767225659&step=15s";
    let found = server.ask("POST", "/api/v1/query_range", &form, range).expect(200).json();
    assert_eq!(found["data"]["resultType"], "matrix");
    assert_eq!(found["data"]["result"][0]["values"].as_array().unwrap().len(), 2, "{found}");
    let labels = server.get("/api/v1/labels").expect(200).json();
    assert_eq!(labels["data"], json!(["__name__", "device", "instance", "job"]));
    let values = server.get("/api/v1/label/job/values").expect(200).json();
    assert_eq!(values["data"], json!(["node"]));
    let series = server.get("/api/v1/series?match%5B%5D=up").expect(200).json();
    assert_eq!(series["data"][0]["instance"], "a:1");
    // What takes too long ends, as for queries: a form has room for many selectors.
    let late = server.get("/api/v1/series?match%5B%5D=up&timeout=0.000000001").expect(503).json();
    assert_eq!(late["errorType"], "timeout", "{late}");
    let series = server.get("/api/v1/series?match%5B%5D=up&start=1&end=2").expect(200).json();
    assert_eq!(series["data"], json!([]));
    let build = server.get("/api/v1/status/buildinfo").expect(200).json();
    assert_eq!(build["status"], "success");
    for path in ["rules", "alerts", "metadata", "query_exemplars"] {
        let told = server.get(&format!("/api/v1/{path}")).expect(200).json();
        assert_eq!(told["status"], "success", "{path}");
    }
    for (path, kind) in [
        ("query?query=up%7B", "bad_data"),
        ("query", "bad_data"),
        ("query_range?query=up&start=0&end=1", "bad_data"),
        ("query?query=up&time=then", "bad_data"),
        ("series", "bad_data"),
    ] {
        let told = server.get(&format!("/api/v1/{path}")).expect(400).json();
        assert_eq!(
            (&told["status"], &told["errorType"]),
            (&json!("error"), &json!(kind)),
            "{path}"
        );
    }
}

#[test]
fn what_prometheus_writes_is_in_the_database() {
    let directory = tempfile::tempdir().unwrap();
    let path: &Path = directory.path();
    let server = Server::start(path, &[]);
    minute(&server);
    server.kill();
    let rows = expect(path, 0, &["export", "--db", "db", "--device", "car-1", "--metric", "up"]);
    assert_eq!(rows.lines().count(), 61, "{rows}");
}

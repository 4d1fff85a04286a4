//! Programs with OpenTelemetry export their metrics, as protobuf and as JSON.

use serde_json::json;

use crate::http::Server;
use crate::http::proto::{bytes, double, fixed, integer};

const TIME_NS: u64 = 1_767_225_600_000_000_000;
const PROTOBUF: [&str; 1] = ["Content-Type: application/x-protobuf"];
const JSON: [&str; 1] = ["Content-Type: application/json"];

fn attribute(key: &str, value: &str) -> Vec<u8> {
    [bytes(1, key.as_bytes()), bytes(2, &bytes(1, value.as_bytes()))].concat()
}

fn number(value: f64) -> Vec<u8> {
    let method = bytes(7, &attribute("http.method", "GET"));
    [fixed(3, TIME_NS), double(4, value), method].concat()
}

/// A request with one resource and these metrics.
fn request(metrics: &[Vec<u8>]) -> Vec<u8> {
    let resource = [
        bytes(1, &attribute("service.name", "gateway")),
        bytes(1, &attribute("service.instance.id", "one")),
        bytes(1, &attribute("device.id", "car-9")),
        bytes(1, &attribute("os.type", "linux")),
    ];
    let mut scope = bytes(1, &bytes(1, b"meter"));
    metrics.iter().for_each(|metric| scope.extend(bytes(2, metric)));
    bytes(1, &[bytes(1, &resource.concat()), bytes(2, &scope)].concat())
}

fn metric(name: &str, unit: &str, field: u32, data: &[u8]) -> Vec<u8> {
    [bytes(1, name.as_bytes()), bytes(3, unit.as_bytes()), bytes(field, data)].concat()
}

fn value(server: &Server, query: &str) -> String {
    let query =
        query.replace('{', "%7B").replace('}', "%7D").replace('"', "%22").replace('=', "%3D");
    let found =
        server.get(&format!("/api/v1/query?query={query}&time=1767225600")).expect(200).json();
    let result = &found["data"]["result"];
    assert_eq!(result.as_array().unwrap().len(), 1, "{query}: {found}");
    result[0]["value"][1].as_str().unwrap().to_owned()
}

#[test]
fn every_kind_of_metric_becomes_series_of_prometheus() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &[]);
    let grows = [integer(2, 2), integer(3, 1)].concat();
    let buckets = [fixed(3, TIME_NS), fixed(4, 6), double(5, 2.5)];
    let counts: Vec<u8> = [1_u64, 2, 3].iter().flat_map(|count| count.to_le_bytes()).collect();
    let bounds: Vec<u8> = [0.5_f64, 1.0].iter().flat_map(|bound| bound.to_le_bytes()).collect();
    let histogram = [buckets.concat(), bytes(6, &counts), bytes(7, &bounds)].concat();
    let quantile = bytes(6, &[double(1, 0.5), double(2, 40.0)].concat());
    let summary = [fixed(3, TIME_NS), fixed(4, 3), double(5, 90.0), quantile].concat();
    let message = request(&[
        metric("queue.length", "{item}", 5, &bytes(1, &number(3.0))),
        metric("requests", "", 7, &[bytes(1, &number(17.0)), grows].concat()),
        metric("latency", "s", 9, &[bytes(1, &histogram), integer(2, 2)].concat()),
        metric("size", "By", 11, &bytes(1, &summary)),
    ]);
    let told = server.ask("POST", "/v1/metrics", &PROTOBUF, &message).expect(200);
    assert_eq!(told.body, b"", "all of it was taken");
    let query = r#"queue_length{job="gateway",instance="one",device="car-9",http_method="GET"}"#;
    assert_eq!(value(&server, query), "3");
    assert_eq!(value(&server, r#"queue_length{otel_scope_name="meter"}"#), "3");
    assert_eq!(value(&server, "requests_total"), "17");
    for (bound, count) in [("0.5", "1"), ("1", "3"), ("+Inf", "6")] {
        let bound = bound.replace('+', "%2B");
        assert_eq!(value(&server, &format!(r#"latency_seconds_bucket{{le="{bound}"}}"#)), count);
    }
    assert_eq!(value(&server, "latency_seconds_sum"), "2.5");
    assert_eq!(value(&server, "latency_seconds_count"), "6");
    assert_eq!(value(&server, r#"size_bytes{quantile="0.5"}"#), "40");
    assert_eq!(value(&server, r#"target_info{os_type="linux",job="gateway"}"#), "1");
}

#[test]
fn what_is_not_kept_is_counted_and_costs_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &[]);
    let differences = [bytes(1, &number(1.0)), bytes(1, &number(2.0)), integer(2, 1)].concat();
    let message = request(&[
        metric("deltas", "", 7, &differences),
        metric("exponential", "", 10, &bytes(1, b"")),
        metric("kept", "", 5, &bytes(1, &number(1.0))),
    ]);
    let told = server.ask("POST", "/api/v1/otlp/v1/metrics", &PROTOBUF, &message).expect(200);
    let text = told.text();
    assert!(text.contains("deltas: sums of differences are not kept"), "{text:?}");
    // Field 1 of the partial success: three points.
    assert_eq!(&told.body[2..4], [0x08, 3]);
    assert_eq!(value(&server, "kept"), "1");
    server.ask("POST", "/v1/metrics", &PROTOBUF, b"\xff\xff").expect(400);
    server.ask("POST", "/v1/metrics", &["Content-Type: text/plain"], b"").expect(415);
}

#[test]
fn json_says_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &[]);
    let message = json!({"resourceMetrics": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "gateway"}}]},
        "scopeMetrics": [{"metrics": [
            {"name": "jobs", "sum": {
                "aggregationTemporality": 2, "isMonotonic": true,
                "dataPoints": [{"asInt": "12", "timeUnixNano": TIME_NS.to_string(), "attributes": [
                    {"key": "ok", "value": {"boolValue": true}},
                    {"key": "shard", "value": {"intValue": "4"}},
                ]}],
            }},
            {"name": "deltas", "sum": {
                "aggregationTemporality": "AGGREGATION_TEMPORALITY_DELTA",
                "dataPoints": [{"asDouble": 1, "timeUnixNano": TIME_NS.to_string()}],
            }},
        ]}],
    }]});
    let told = server.ask("POST", "/v1/metrics", &JSON, message.to_string().as_bytes());
    assert_eq!(told.expect(200).json()["partialSuccess"]["rejectedDataPoints"], "1");
    assert_eq!(value(&server, r#"jobs_total{ok="true",shard="4",job="gateway"}"#), "12");
    let told = server.ask("POST", "/v1/metrics", &JSON, b"{\n \"resourceMetrics\": [").expect(400);
    assert_eq!(told.json()["line"], 2);
    server.ask("POST", "/v1/metrics", &JSON, b"{\"resourceMetrics\": 3}").expect(400);
}

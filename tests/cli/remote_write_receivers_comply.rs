//! The cases of Prometheus' compliance suite for receivers of remote write 2.0
//! (<https://github.com/prometheus/compliance>, `remotewrite/receiver`), written anew from what they send
//! and what they expect: samples, metadata, requests that are refused, and the first version. Those of
//! native histograms and exemplars are not here: neither is kept.

use crate::http::proto::{bytes, double, integer};
use crate::http::{Answer, Server};

const PROTO: &str = "Content-Type: application/x-protobuf;proto=io.prometheus.write.v2.Request";
const SNAPPY: &str = "Content-Encoding: snappy";
const VERSION: &str = "X-Prometheus-Remote-Write-Version: 2.0.0";
const START_MS: u64 = 1_767_225_600_000;

const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);
const VALUES: [f64; 5] = [1.0, STALE, f64::NAN, f64::INFINITY, f64::NEG_INFINITY];

type Labels<'a> = &'a [(&'a str, &'a str)];

const UP: Labels<'_> = &[("__name__", "up"), ("job", "testjob"), ("instance", "localhost:9090")];
const NAMELESS: Labels<'_> = &[("job", "testjob"), ("instance", "localhost:9090")];

/// Type, help and unit of a metric.
type Metadata<'a> = (u64, &'a str, &'a str);

/// A request of the second version that grows series by series.
struct Request {
    symbols: Vec<String>,
    series: Vec<u8>,
    time_ms: u64,
}

impl Request {
    fn at(time_ms: u64) -> Self {
        Self { symbols: vec![String::new()], series: Vec::new(), time_ms }
    }

    fn symbol(&mut self, text: &str) -> u64 {
        if let Some(known) = self.symbols.iter().position(|symbol| symbol == text) {
            return known as u64;
        }
        self.symbols.push(text.to_owned());
        self.symbols.len() as u64 - 1
    }

    /// A series of one sample, with more fields of the sample.
    fn push(
        &mut self,
        labels: Labels<'_>,
        value: f64,
        more: &[u8],
        metadata: Option<Metadata<'_>>,
    ) {
        let labels = labels.iter().flat_map(|(name, value)| [*name, *value]);
        let labels: Vec<u8> = labels.map(|text| self.symbol(text) as u8).collect();
        let sample = [&double(1, value), &integer(2, self.time_ms), more].concat();
        let mut series = [bytes(1, &labels), bytes(2, &sample)].concat();
        if let Some((kind, help, unit)) = metadata {
            let (help, unit) = (self.symbol(help), self.symbol(unit));
            let fields = [integer(1, kind), integer(3, help), integer(4, unit)].concat();
            series.extend(bytes(5, &fields));
        }
        self.series.extend(bytes(5, &series));
    }

    fn packed(&self) -> Vec<u8> {
        let mut message = Vec::new();
        self.symbols.iter().for_each(|symbol| message.extend(bytes(4, symbol.as_bytes())));
        message.extend_from_slice(&self.series);
        snap::raw::Encoder::new().compress_vec(&message).unwrap()
    }
}

/// Sends requests, each a little later than the one before.
struct Sender {
    server: Server,
    _directory: tempfile::TempDir,
    time_ms: u64,
}

impl Sender {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let server = Server::start(directory.path(), &[]);
        Self { server, _directory: directory, time_ms: START_MS }
    }

    fn request(&mut self) -> Request {
        self.time_ms += 10;
        Request::at(self.time_ms)
    }

    fn send(&self, request: &Request) -> Answer {
        self.server.ask("POST", "/api/v1/prom/write", &[PROTO, SNAPPY, VERSION], &request.packed())
    }
}

/// How many of a kind an answer says to have written; 0 where it says nothing.
fn written(answer: &Answer, kind: &str) -> u64 {
    let header = format!("x-prometheus-remote-write-{kind}-written");
    answer.headers.get(&header).map_or(0, |count| count.parse().unwrap())
}

#[track_caller]
fn taken(answer: Answer, samples: u64) {
    let answer = answer.expect(204);
    assert_eq!(written(&answer, "samples"), samples);
    assert_eq!((written(&answer, "exemplars"), written(&answer, "histograms")), (0, 0));
}

/// Refused for good; so many samples may be written nonetheless.
#[track_caller]
fn refused(answer: Answer, samples_at_most: u64) {
    let answer = answer.expect(400);
    assert!(written(&answer, "samples") <= samples_at_most);
}

#[test]
fn samples_of_every_value_are_taken_under_every_label() {
    let mut sender = Sender::new();
    let taken_labels: [Labels<'_>; 5] = [
        &[("__name__", "up")],
        UP,
        &[("__name__", "up"), ("job", "test\njob\n"), ("instance", "localhost:9090")],
        &[
            ("instance.name", "localhost:9090"),
            ("__name__", "resource.cpu.usage"),
            ("job.name", "x"),
        ],
        &[("__name__", "resource cpu usage"), ("job name", "testjob"), ("instance name", "x")],
    ];
    for value in VALUES {
        for labels in taken_labels {
            let mut request = sender.request();
            request.push(labels, value, &[], None);
            taken(sender.send(&request), 1);
        }
        for labels in [NAMELESS, &[]] {
            let mut request = sender.request();
            request.push(labels, value, &[], None);
            refused(sender.send(&request), 0);
        }
    }
    // With the time since when it counts.
    let since = integer(3, START_MS - 3_600_000);
    let mut request = sender.request();
    request.push(&[("__name__", "http_requests_total"), ("job", "api")], 100.0, &since, None);
    taken(sender.send(&request), 1);
    let query = "/api/v1/query?query=http_requests_total&time=1767225660";
    let found = sender.server.get(query).expect(200).json();
    assert_eq!(found["data"]["result"][0]["value"][1], "100", "{found}");
}

#[test]
fn of_several_series_those_with_a_name_are_taken() {
    let instances = ["localhost:9090", "localhost:9091", "localhost:9092", "localhost:9093"];
    let mut sender = Sender::new();
    for value in VALUES {
        for nameless in [0, 4, 1] {
            let mut request = sender.request();
            for (number, instance) in instances.into_iter().enumerate() {
                let labels = [("__name__", "up"), ("job", "testjob"), ("instance", instance)];
                request.push(&labels[usize::from(number < nameless)..], value, &[], None);
            }
            let answer = sender.send(&request);
            match nameless {
                0 => taken(answer, 4),
                _ => refused(answer, 4 - nameless as u64),
            }
        }
    }
}

#[test]
fn metadata_comes_along() {
    let mut sender = Sender::new();
    // Unspecified, counter, gauge, summary, gauge histogram, info, state set.
    for (kind, help, unit) in [
        (0, "Unknown metric type", ""),
        (1, "Total number of HTTP requests", "requests"),
        (1, "", ""),
        (2, "Test metric with\nnewlines and \"quotes\"", "bytes/sec"),
        (4, "Temperature distribution", "celsius"),
        (5, "Request latency summary", "seconds"),
        (6, "Build information", ""),
        (7, "Node state information", ""),
    ] {
        let mut request = sender.request();
        let name = format!("metric_{kind}_{}", help.len());
        request.push(&[("__name__", &name)], 1.0, &[], Some((kind, help, unit)));
        taken(sender.send(&request), 1);
    }
    let mut request = sender.request();
    for (name, value) in [("cpu_usage", 85.5), ("memory_usage", 4.096e9), ("disk_usage", 75.2)] {
        request.push(&[("__name__", name)], value, &[], Some((2, "How much", "percent")));
    }
    taken(sender.send(&request), 3);
    for labels in [&[("job", "test")], &[("__name__", "")]] {
        let mut request = sender.request();
        request.push(labels, 1.0, &[], Some((1, "Test help", "unit")));
        refused(sender.send(&request), 0);
    }
}

#[test]
fn requests_that_are_none_are_refused() {
    let mut sender = Sender::new();
    let mut request = sender.request();
    request.push(&[("__name__", "up")], 1.0, &[], None);
    let mut corrupt = request.packed();
    corrupt[0] = b'0';
    let post = |kind: &str, encoding: &str, version: Option<&str>, body: &[u8]| {
        let (kind, encoding) =
            (format!("Content-Type: {kind}"), format!("Content-Encoding: {encoding}"));
        let mut headers = vec![kind.as_str(), encoding.as_str()];
        headers.extend(version);
        sender.server.ask("POST", "/api/v1/prom/write", &headers, body)
    };
    let proto = PROTO.trim_start_matches("Content-Type: ");
    for kind in ["application/json", "image/png"] {
        post(kind, "snappy", Some(VERSION), &corrupt).expect(415);
    }
    for encoding in ["gzip", "deflate"] {
        post(proto, encoding, Some(VERSION), &corrupt).expect(415);
    }
    refused(post(proto, "snappy", Some(VERSION), &corrupt), 0);
    // The first version, whole and with a snappy header that is none.
    let label = |name: &str, value: &str| {
        bytes(1, &[bytes(1, name.as_bytes()), bytes(2, value.as_bytes())].concat())
    };
    let sample = bytes(2, &[double(1, 1.0), integer(2, START_MS)].concat());
    let series = [label("job", "testjob"), label("__name__", "up"), sample].concat();
    let mut first = snap::raw::Encoder::new().compress_vec(&bytes(1, &series)).unwrap();
    post("application/x-protobuf", "snappy", None, &first).expect(204);
    first[0] = 0xff;
    refused(post("application/x-protobuf", "snappy", None, &first), 0);
}

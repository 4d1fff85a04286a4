//! `testnet start`, `status`, `kill`, `stop` and `logs`: a network that goes on without its terminal.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::http::Door;
use crate::node::ports;
use crate::run::expect;

/// What `testnet status` shows.
fn status(directory: &Path) -> Vec<Value> {
    let shown = expect(directory, 0, &["testnet", "status", "net", "--format", "jsonl"]);
    shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Ends what a test that failed leaves behind: so many nodes.
struct Ended<'a>(&'a Path, usize);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        let nodes = (0..self.1).map(|node| node.to_string());
        drop(
            std::process::Command::new(crate::run::program())
                .args(["testnet", "kill", "net"])
                .args(nodes)
                .current_dir(self.0)
                .output(),
        );
    }
}

#[test]
fn a_network_is_started_looked_at_killed_in_part_and_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let port = ports(4).to_string();
    let init = ["testnet", "init", "net", "--validators", "3", "--storage", "1"];
    expect(directory, 0, &[&init[..], &["--first-port", &port, "--interval", "100"]].concat());
    assert!(status(directory).iter().all(|node| node["process"].is_null()));
    let ended = Ended(directory, 4);
    let started = expect(directory, 0, &["testnet", "start", "net"]);
    assert_eq!(started.matches("started: process").count(), 4, "{started}");
    assert!(expect(directory, 0, &["testnet", "start", "net", "1"]).contains("runs already"));
    let before: Vec<Value> = status(directory).iter().map(|node| node["process"].clone()).collect();
    let roles: Vec<Value> = status(directory).iter().map(|node| node["roles"].clone()).collect();
    assert_eq!(roles, ["validator", "validator", "validator", "storage"]);

    // Three validators go on without a follower, and it is started again as another process.
    assert!(expect(directory, 0, &["testnet", "kill", "net", "3"]).contains("node 3 killed"));
    let after = status(directory);
    assert!(after[3]["process"].is_null() && after[3]["height"].is_null(), "{after:?}");
    let until = Instant::now() + Duration::from_secs(120);
    let height = || status(directory)[0]["height"].as_u64().unwrap_or_default();
    let begun = height();
    while height() <= begun {
        assert!(Instant::now() < until, "the chain stands still");
    }
    expect(directory, 0, &["testnet", "start", "net", "3"]);
    let again = status(directory);
    assert!(again[3]["process"].is_u64() && again[3]["process"] != before[3], "{again:?}");

    let told = expect(directory, 0, &["testnet", "logs", "net", "0", "--lines", "100000"]);
    assert!(told.lines().any(|line| line.starts_with("{\"listening\"")), "{told}");
    assert_eq!(
        expect(directory, 0, &["testnet", "logs", "net", "0", "--lines", "1"]).lines().count(),
        1
    );

    let stopped = expect(directory, 0, &["testnet", "stop", "net"]);
    assert_eq!(stopped.matches("stopped").count(), 4, "{stopped}");
    assert!(expect(directory, 0, &["testnet", "stop", "net", "2"]).contains("does not run"));
    assert!(status(directory).iter().all(|node| node["process"].is_null()));
    drop(ended);
}

#[test]
fn nodes_that_are_not_there_or_cannot_run_are_told() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    expect(directory, 1, &["testnet", "start", "none"]);
    let port = ports(2).to_string();
    expect(directory, 0, &["testnet", "init", "net", "--validators", "1", "--first-port", &port]);
    expect(directory, 1, &["testnet", "kill", "net", "7"]);
    expect(directory, 2, &["testnet", "kill", "net"]);
    let place = directory.join("net/nodes/0/node.toml");
    let text = std::fs::read_to_string(&place).unwrap();
    std::fs::write(&place, text.replace("listen = ", "lisen = ")).unwrap();
    expect(directory, 1, &["testnet", "start", "net"]);
    let told = std::fs::read_to_string(directory.join("net/nodes/0/log")).unwrap();
    assert!(told.contains("lisen"), "{told}");
}

/// Records of weeks arrive while the chain stands still: writers and readers do not notice, what waits is
/// shown, and all of it is anchored and kept by peers once the chain goes on.
#[test]
fn a_producer_without_a_chain_for_weeks_takes_records_and_catches_up() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let first = ports(11);
    let (port, http) = (first.to_string(), (first + 10).to_string());
    let init =
        ["testnet", "init", "net", "--validators", "1", "--storage", "8", "--producers", "1"];
    let pace = ["--interval", "200", "--heartbeat", "500", "--epoch-blocks", "25"];
    let places = ["--first-port", &port, "--http-port", &http, "--audit-blocks", "10"];
    expect(directory, 0, &[&init[..], &pace, &places].concat());
    let _ended = Ended(directory, 10);
    expect(directory, 0, &["testnet", "start", "net"]);
    expect(directory, 0, &["testnet", "kill", "net", "0"]);

    let server = Door { address: format!("127.0.0.1:{http}") };
    let producer = || server.get("/api/v1/producer").expect(200).json();
    let until = |wanted: &dyn Fn(&Value) -> bool| {
        let end = Instant::now() + Duration::from_secs(180);
        loop {
            let shown = producer();
            if wanted(&shown) {
                return shown;
            }
            assert!(Instant::now() < end, "it is never so: {shown}");
        }
    };
    // A record an hour for three weeks, a day at a time.
    for day in 0..21_i64 {
        let line = |hour: i64| {
            let time_s = 1_767_225_600 + (day * 24 + hour) * 3_600;
            format!("speed,device=car value={} {time_s}000000000\n", day * 24 + hour)
        };
        let lines: String = (0..24).map(line).collect();
        server.post("/api/v2/write", lines.as_bytes()).expect(204);
    }
    let behind = until(&|shown| shown["unplaced"].as_u64() > Some(0));
    assert_eq!((&behind["anchored"], &behind["placed"]), (&json!(0), &json!(0)), "{behind}");
    let figures = String::from_utf8(server.get("/metrics").expect(200).body).unwrap();
    let unplaced =
        figures.lines().find(|line| line.starts_with("chronolith_producer_unplaced_packs"));
    assert!(unplaced.is_some_and(|line| !line.ends_with(" 0")), "{figures}");
    let count = ["Content-Type: text/plain", "Accept: text/csv"];
    let asked = server.ask("POST", "/api/v1/sql", &count, b"SELECT count(*) AS n FROM records");
    assert_eq!(asked.expect(200).body, b"n\n504\n");

    expect(directory, 0, &["testnet", "start", "net", "0"]);
    let caught_up = until(&|shown| {
        shown["failure"].is_null() && shown["unplaced"] == 0 && shown["placed"].as_u64() > Some(0)
    });
    assert!(caught_up["anchored"].as_u64() > Some(0), "{caught_up}");
}

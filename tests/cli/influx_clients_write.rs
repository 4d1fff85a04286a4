//! Clients of Influx write line protocol as they are used to: by both versions, packed, in every
//! precision; and they are told what to drop and what to send again.

use std::io::Write as _;

use serde_json::json;

use crate::http::Server;
use crate::run::expect;

#[test]
fn lines_are_there_when_they_are_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let server = Server::start(path, &[]);
    server
        .post("/api/v2/write?org=o&bucket=b&precision=s", b"m,device=a v=1,w=2i 10\n")
        .expect(204);
    server.post("/write?db=d&rp=r&precision=ms", b"m,device=a v=3 11000").expect(204);
    server.post("/write?db=d&u=x&p=y&precision=h", b"m,device=a v=4 1\n\n# c\n").expect(204);
    server.post("/write", b"").expect(204);
    let text = b"m,device=b s=\"a\nb\",t=true 5\n";
    server.post("/write", text).expect(204);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(b"m,device=a v=5 13000000000\n").unwrap();
    let packed = packed.finish().unwrap();
    server.ask("POST", "/api/v2/write", &["Content-Encoding: gzip"], &packed).expect(204);
    // A line without a time has the present one.
    server.post("/write", b"m,device=now v=1\n").expect(204);
    server.kill();
    let rows = expect(path, 0, &["export", "--db", "db", "--device", "a", "--metric", "v"]);
    let times: Vec<&str> =
        rows.lines().skip(1).map(|line| line.split(',').next().unwrap()).collect();
    assert_eq!(times, ["10000000000", "11000000000", "13000000000", "3600000000000"], "{rows}");
    let rows = expect(path, 0, &["export", "--db", "db", "--device", "b", "--format", "jsonl"]);
    assert!(rows.contains("a\\nb") && rows.contains("true"), "{rows}");
}

#[test]
fn what_is_refused_has_a_place_and_costs_no_other_line() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &[]);
    let body = b"m,device=a v=1 1\nm,device=a v=x 2\nm,device=a v=3 3\nm,device=a v=4i 4\n";
    let told = server.post("/api/v2/write", body).expect(422).json();
    assert_eq!(told["code"], "unprocessable entity");
    assert_eq!((told["line"].as_u64(), told["column"].as_u64()), (Some(2), Some(14)), "{told}");
    assert_eq!((&told["accepted_records"], &told["rejected_lines"]), (&json!(2), &json!(2)));
    assert_eq!(told["rejections"][1]["line"], 4, "{told}");
    assert!(told["rejections"][1]["reason"].as_str().unwrap().contains("f64"), "{told}");
    // Version 1 is told in words that Telegraf looks for, so that it does not send it again.
    let told = server.post("/write", b"nonsense\n").expect(400).json();
    assert!(told["error"].as_str().unwrap().starts_with("partial write: line 1"), "{told}");
    let told = server.post("/write?precision=weeks", b"m v=1 1\n").expect(400).json();
    assert!(told["error"].as_str().unwrap().contains("precision=weeks"), "{told}");
    let broken = server.ask("POST", "/write", &["Content-Encoding: gzip"], b"no gzip");
    broken.expect(400);
    server.ask("POST", "/write", &["Content-Encoding: br"], b"m v=1 1\n").expect(415);
    // A kind that clashes is refused again and again, and does not spoil what is remembered.
    for _ in 0..3 {
        server.post("/api/v2/write", b"m,device=a v=1i 9\n").expect(400);
        server.post("/api/v2/write", b"m,device=a v=1 9\n").expect(204);
    }
}

#[test]
fn clients_find_what_they_ask_first() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &[]);
    let ping = server.get("/ping").expect(204);
    assert!(ping.headers["x-influxdb-version"].starts_with("chronolith-"));
    assert_eq!(server.get("/health").expect(200).json()["status"], "pass");
    assert_eq!(server.get("/ready").expect(200).json()["status"], "ready");
    let shown = server.get("/query?q=SHOW+DATABASES").expect(200).json();
    assert_eq!(shown["results"][0]["series"][0]["values"][0][0], "chronolith");
    let form = ["Content-Type: application/x-www-form-urlencoded"];
    let made = server.ask("POST", "/query", &form, b"q=CREATE+DATABASE+%22telegraf%22");
    assert_eq!(made.expect(200).json(), json!({"results": [{"statement_id": 0}]}));
    let refused = server.get("/query?q=SELECT+1").expect(400).json();
    assert!(refused["error"].as_str().unwrap().contains("/api/v1/sql"), "{refused}");
    server.post("/write", b"m v=1 1\n").expect(204);
    let text = server.get("/metrics").expect(200).text();
    let has = |line: &str| assert!(text.lines().any(|other| other == line), "{line}:\n{text}");
    has("chronolith_http_records_written_total{protocol=\"line\"} 1");
    has("chronolith_http_requests_total{route=\"/ping\",status=\"204\"} 1");
    has("chronolith_metrics 1");
}

#[test]
fn json_lines_and_csv_are_written() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let server = Server::start(path, &[]);
    let lines = b"{\"time\":\"2026-01-01T00:00:00Z\",\"device\":\"a\",\"speed\":61.2}\n\
                  {\"time\":\"2026-01-01T00:00:01Z\",\"device\":\"a\",\"speed\":61.5}\n";
    let told = server.post("/api/v1/write", lines).expect(200).json();
    assert_eq!(told, json!({"accepted_records": 2}));
    let csv = b"time,rpm\n2026-01-01 00:00:00,900\n2026-01-01 00:00:01,x\n";
    let told = server.ask("POST", "/api/v1/write?device=b", &["Content-Type: text/csv"], csv);
    let told = told.expect(422).json();
    assert_eq!((told["line"].as_u64(), told["accepted_records"].as_u64()), (Some(3), Some(1)));
    server.post("/api/v1/write", b"{\"time\":").expect(400);
    server.post("/api/v1/write?format=xml", b"").expect(400);
    server.kill();
    let rows = expect(path, 0, &["export", "--db", "db"]);
    assert_eq!(rows.lines().count(), 4, "{rows}");
}

#[test]
fn a_server_that_is_told_to_stop_closes_the_database() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let server = Server::start(path, &[]);
    server.post("/write", b"m,device=a v=1 1\n").expect(204);
    // A connection that is idle does not hold it up.
    let idle = server.connect();
    assert!(server.stop().success());
    drop(idle);
    expect(path, 0, &["verify", "--db", "db"]);
    // The same database again.
    let server = Server::start(path, &[]);
    server.post("/write", b"m,device=a v=2 2\n").expect(204);
}

//! SQL is answered in every format, and continuous queries are made and followed, over HTTP.

use std::io::{BufRead as _, BufReader, Write as _};

use chronolith_query::arrow::array::{AsArray as _, RecordBatch};
use chronolith_query::arrow::ipc::reader::StreamReader;
use serde_json::{Value, json};

use crate::http::Server;

/// A speed each second of a minute.
fn minute(server: &Server) {
    let line = |second: i64| {
        let time = 1_767_225_600_000_000_000 + second * 1_000_000_000;
        format!("van,device=car-1 speed={second} {time}\n")
    };
    server.post("/write", (0..60).map(line).collect::<String>().as_bytes()).expect(204);
}

#[test]
fn sql_has_an_answer_in_each_format() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &[]);
    minute(&server);
    let sql = "SELECT count(*) AS n, max(value) AS most FROM speed";
    let ask = |accept: &str| {
        let headers = ["Content-Type: application/sql", &format!("Accept: {accept}")];
        server.ask("POST", "/api/v1/sql", &headers, sql.as_bytes())
    };
    let rows = json!([{"n": 60, "most": 59.0}]);
    assert_eq!(ask("*/*").expect(200).json(), rows);
    let told = ask("application/x-ndjson").expect(200);
    assert_eq!(told.headers["content-type"], "application/x-ndjson");
    assert_eq!(told.json(), rows[0]);
    assert_eq!(ask("text/csv").expect(200).text(), "n,most\n60,59\n");
    assert!(ask("text/plain").expect(200).text().contains("most"));
    let arrow = ask("application/vnd.apache.arrow.stream").expect(200).body;
    let batches: Vec<RecordBatch> =
        StreamReader::try_new(arrow.as_slice(), None).unwrap().map(Result::unwrap).collect();
    let counts =
        batches[0].column(0).as_primitive::<chronolith_query::arrow::datatypes::Int64Type>();
    assert_eq!(counts.value(0), 60);
    let parquet = ask("application/vnd.apache.parquet").expect(200).body;
    assert!(parquet.starts_with(b"PAR1") && parquet.ends_with(b"PAR1"));
    ask("text/html").expect(406);
    // By address, form and JSON as well.
    let address = sql.replace(' ', "+");
    assert_eq!(
        server.get(&format!("/api/v1/sql?q={address}&format=csv")).expect(200).body[0],
        b'n'
    );
    let form = ["Content-Type: application/x-www-form-urlencoded"];
    let told = server.ask("POST", "/api/v1/sql", &form, format!("q={address}").as_bytes());
    assert_eq!(told.expect(200).json(), rows);
    let told = json!({"sql": sql, "format": "json", "timeout_ms": 30_000}).to_string();
    let told =
        server.ask("POST", "/api/v1/sql", &["Content-Type: application/json"], told.as_bytes());
    assert_eq!(told.expect(200).json(), rows);
}

#[test]
fn what_is_wrong_with_a_query_has_a_place() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &[]);
    minute(&server);
    let plain = ["Content-Type: text/plain"];
    let ask = |sql: &str| server.ask("POST", "/api/v1/sql", &plain, sql.as_bytes());
    let told = ask("SELECT value,\n vale FROM speed").expect(400).json();
    assert_eq!((&told["line"], &told["column"]), (&json!(2), &json!(2)), "{told}");
    assert!(told["message"].as_str().unwrap().contains("value"), "{told}");
    ask("").expect(400);
    ask("DROP TABLE speed").expect(400);
    let body = json!({"sql": "SELECT * FROM speed", "max_rows": 10}).to_string();
    let json = ["Content-Type: application/json"];
    let told = server.ask("POST", "/api/v1/sql", &json, body.as_bytes());
    assert_eq!(told.expect(422).json()["error"], "limit");
    server.ask("POST", "/api/v1/sql", &json, b"{\"sq\": 1}").expect(400);
    // The longest time of a query that never ends.
    let endless = "SELECT count(*) FROM speed a, speed b, speed c, speed d, speed e, speed f";
    let body = json!({"sql": endless, "timeout_ms": 200}).to_string();
    let told = server.ask("POST", "/api/v1/sql", &json, body.as_bytes()).expect(503);
    assert_eq!(
        (told.json()["error"].as_str(), told.headers.contains_key("retry-after")),
        (Some("too_slow"), true)
    );
    minute(&server);
}

/// The next event of a stream: its name, id and data.
fn event(lines: &mut impl Iterator<Item = String>) -> (String, Option<u64>, Value) {
    let (mut name, mut id, mut data) = (String::new(), None, Value::Null);
    for line in lines {
        match line.split_once(": ") {
            Some(("event", value)) => name = value.to_owned(),
            Some(("id", value)) => id = Some(value.parse().unwrap()),
            Some(("data", value)) => data = serde_json::from_str(value).unwrap(),
            _ if line.is_empty() && !name.is_empty() => return (name, id, data),
            _ => {}
        }
    }
    panic!("the stream has ended")
}

fn follow(server: &Server, path: &str, more: &str) -> impl Iterator<Item = String> + use<> {
    let mut stream = server.connect();
    let host = &server.address;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n").unwrap();
    BufReader::new(stream).lines().map(Result::unwrap)
}

#[test]
fn continuous_queries_are_made_asked_and_followed() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &[]);
    minute(&server);
    let create = "CREATE CONTINUOUS QUERY speed_10s AS SELECT device, time_bucket('10s', time), \
                  count(*), max(value) FROM speed GROUP BY 1, 2 WITH (lateness = '1s')";
    let told = server.post("/api/v1/continuous", create.as_bytes()).expect(200).json();
    assert_eq!(told, json!({"query": "speed_10s", "done": "created"}));
    server.post("/api/v1/continuous", create.as_bytes()).expect(400);
    // Who follows from the beginning is told rows and then changes, until all six windows are there.
    let path = "/api/v1/continuous/speed_10s/changes";
    let mut lines = follow(&server, path, "");
    let (mut rows, mut snapshot) = (0, None);
    while snapshot.is_none() {
        let (name, id, _) = event(&mut lines);
        match name.as_str() {
            "row" => rows += 1,
            _ => snapshot = id,
        }
    }
    let mut last = snapshot.unwrap();
    let mut inserted = rows;
    while inserted < 6 {
        let (name, id, _) = event(&mut lines);
        inserted += usize::from(name == "insert");
        last = id.unwrap();
    }
    // A later record changes the answer, and is told.
    let time: i64 = 1_767_225_700_000_000_000;
    server.post("/write", format!("van,device=car-1 speed=99 {time}").as_bytes()).expect(204);
    let (id, data) = loop {
        let (name, id, data) = event(&mut lines);
        if name == "insert" {
            break (id.unwrap(), data);
        }
    };
    assert_eq!(data["max(value)"].as_f64().or(data["max"].as_f64()), Some(99.0), "{data}");
    assert!(id > last);
    // Who comes back goes on behind what he was told.
    let mut again = follow(&server, path, &format!("Last-Event-ID: {}\r\n", id - 1));
    let (name, same, _) = event(&mut again);
    assert_eq!((name.as_str(), same), ("insert", Some(id)));
    let told = server.get("/api/v1/continuous/speed_10s").expect(200).json();
    assert_eq!(told["rows"].as_array().unwrap().len(), 7, "{told}");
    assert_eq!(server.get("/api/v1/continuous").expect(200).json()[0]["name"], "speed_10s");
    server.get("/api/v1/continuous/other").expect(404);
    let from =
        server.get("/api/v1/continuous/speed_10s?from=2026-01-01T00:01:00Z").expect(200).json();
    assert_eq!(from["rows"].as_array().unwrap().len(), 1, "{from}");
    // Followers do not hold up the end.
    assert!(server.stop().success());
}

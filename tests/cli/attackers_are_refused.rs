//! What attackers of an HTTP server try, each by its name: refused, within the bounds of time and
//! memory, and without harm for who comes next.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::http::{Answer, PATIENCE, Server, proto};
use crate::run::{chronolith, expect};

/// A token of the database in a directory.
fn token(directory: &Path, name: &str, scope: &str, more: &[&str]) -> String {
    let arguments = ["token", "new", name, "--db", "db", "--scope", scope];
    expect(directory, 0, &[&arguments, more].concat()).trim().to_owned()
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}")
}

/// A server with small limits: `limits` are lines of TOML.
fn limited(directory: &Path, limits: &str) -> Server {
    fs::write(directory.join("http.toml"), limits).unwrap();
    Server::start(directory, &["--settings", "http.toml"])
}

fn is_well(server: &Server) {
    server.get("/ping").expect(204);
}

#[test]
fn no_token_a_false_one_and_a_cut_one_open_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let good = token(path, "all", "admin", &[]);
    let server = Server::start(path, &[]);
    let cut = &good[..good.len() - 1];
    for (method, route) in [
        ("POST", "/write"),
        ("POST", "/api/v2/write"),
        ("POST", "/api/v1/write"),
        ("POST", "/api/v1/push"),
        ("POST", "/v1/metrics"),
        ("GET", "/query"),
        ("GET", "/api/v1/sql?q=SELECT+1"),
        ("GET", "/api/v1/query?query=1"),
        ("GET", "/api/v1/continuous"),
        ("POST", "/api/v1/continuous"),
        ("GET", "/api/v1/continuous/a/changes"),
        ("GET", "/metrics"),
    ] {
        let code = |answer: Answer| answer.expect(401).json()["error"].as_str().map(str::to_owned);
        let is_missing = server.ask(method, route, &[], b"");
        assert!(is_missing.headers.contains_key("www-authenticate"), "{route}");
        is_missing.expect(401);
        for wrong in [cut, "", "chronolith_", &good.to_uppercase(), "null"] {
            let _ = code(server.ask(method, route, &[&bearer(wrong)], b""));
        }
    }
    let both = [&*bearer(&good), &*bearer(cut)];
    server.ask("GET", "/metrics", &both, b"").expect(401);
    for header in [bearer(&good), format!("Authorization: Token {good}")] {
        server.ask("GET", "/metrics", &[&header], b"").expect(200);
    }
    server.post(&format!("/write?u=telegraf&p={good}"), b"m v=1 1\n").expect(204);
    is_well(&server);
}

#[test]
fn a_token_of_the_wrong_scope_opens_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let (reads, writes) = (token(path, "r", "read", &[]), token(path, "w", "write", &[]));
    let server = Server::start(path, &[]);
    let write = |token: &str| server.ask("POST", "/write", &[&bearer(token)], b"m v=1 1\n");
    write(&writes).expect(204);
    let told = server.ask("POST", "/api/v1/write", &[&bearer(&reads)], b"").expect(403).json();
    assert_eq!(told["error"], "wrong_scope");
    write(&reads).expect(403);
    server.ask("GET", "/metrics", &[&bearer(&writes)], b"").expect(403);
    server.ask("GET", "/metrics", &[&bearer(&reads)], b"").expect(200);
    // Making continuous queries is writing, asking them is not.
    server.ask("POST", "/api/v1/continuous", &[&bearer(&reads)], b"PAUSE x").expect(403);
}

#[test]
fn an_expired_token_and_a_revoked_one_are_refused_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let revoked = token(path, "revoked", "read", &[]);
    let expired = token(path, "expired", "read", &["--expires", "1ms"]);
    let server = Server::start(path, &[]);
    let ask = |token: &str| server.ask("GET", "/metrics", &[&bearer(token)], b"");
    assert_eq!(ask(&expired).expect(401).json()["error"], "expired_token");
    ask(&revoked).expect(200);
    expect(path, 0, &["token", "revoke", "revoked", "--db", "db"]);
    assert_eq!(ask(&revoked).expect(401).json()["error"], "unknown_token");
    let kept = fs::read_to_string(path.join("db.tokens")).unwrap();
    assert!(!kept.contains(expired.rsplit('_').next().unwrap()), "the file has no token");
    let listed = expect(path, 0, &["token", "list", "--db", "db", "--format", "csv"]);
    assert!(listed.contains("expired,read") && !listed.contains("revoked"), "{listed}");
}

#[test]
fn path_tricks_lead_around_no_token() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    token(path, "all", "admin", &[]);
    let server = Server::start(path, &[]);
    for trick in [
        "/..//metrics",
        "//metrics",
        "/ping/../metrics",
        "/./metrics",
        "/%2e%2e/metrics",
        "/ping/%2E%2E/metrics",
        "/ping%2f..%2fmetrics",
        "/metrics%00",
        "/ping/..%5cmetrics",
    ] {
        let told = server.get(trick);
        assert!(matches!(told.status, 400 | 401 | 404), "{trick}: {told:?}");
    }
    for other in ["/metrics/", "/METRICS", "/ping;/metrics", "/metrics.json"] {
        server.get(other).expect(404);
    }
    // The form that proxies are asked in, a method in a header, and a path in one.
    let absolute = format!(
        "GET http://{}/metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        server.address
    );
    server.send(absolute.as_bytes()).expect(401);
    server.ask("GET", "/ping", &["X-HTTP-Method-Override: DELETE"], b"").expect(204);
    for header in
        ["X-Original-URL: /metrics", "X-Rewrite-URL: /metrics", "X-Forwarded-For: 127.0.0.1"]
    {
        let told = server.ask("GET", "/ping", &[header], b"").expect(204);
        assert_eq!(told.body, b"");
        server.ask("GET", "/metrics", &[header], b"").expect(401);
    }
}

#[test]
fn an_oversized_body_is_refused_declared_or_in_chunks() {
    let directory = tempfile::tempdir().unwrap();
    let server = limited(directory.path(), "body_bytes = 100_000\n");
    let host = &server.address;
    let head = format!("POST /write HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    // What is declared is refused before any of it is sent.
    server.send(format!("{head}Content-Length: 99999999999\r\n\r\n").as_bytes()).expect(413);
    let chunk = format!("{:x}\r\n{}\r\n", 10_000, "#".repeat(10_000));
    let chunks = format!("{head}Transfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n", chunk.repeat(11));
    server.send(chunks.as_bytes()).expect(413);
    // Who sends all of it all the same is told, too, and does not find the connection reset.
    let large = vec![b'#'; 8_000_000];
    server.post("/write", &large).expect(413);
    let fits = format!("{head}Transfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n", chunk.repeat(9));
    server.send(fits.as_bytes()).expect(204);
    is_well(&server);
}

#[test]
fn a_decompression_bomb_is_refused_where_it_grows_too_large() {
    let directory = tempfile::tempdir().unwrap();
    let server = limited(directory.path(), "body_bytes = 1_000_000\n");
    let bomb = vec![b'#'; 50_000_000];
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&bomb).unwrap();
    let gzip = gzip.finish().unwrap();
    assert!(gzip.len() < 1_000_000);
    server.ask("POST", "/write", &["Content-Encoding: gzip"], &gzip).expect(413);
    // Snappy says first how long it is; a lie about it is one about memory.
    let lie = [0xff, 0xff, 0xff, 0xff, 0x0f, 0];
    let remote = ["Content-Type: application/x-protobuf", "Content-Encoding: snappy"];
    server.ask("POST", "/api/v1/push", &remote, &lie).expect(413);
    is_well(&server);
}

/// An empty series is two bytes of a body and some hundred in memory: ten megabytes of them, which are half a
/// megabyte as they are sent, took a gigabyte.
#[test]
fn a_message_that_grows_when_it_is_decoded_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let server = limited(directory.path(), "bodies_bytes = 100_000_000\n");
    let empty = |field: u32, count: usize| proto::bytes(field, b"").repeat(count);
    let pack = |body: &[u8]| snap::raw::Encoder::new().compress_vec(body).unwrap();
    let first = ["Content-Type: application/x-protobuf", "Content-Encoding: snappy"];
    let second = [
        "Content-Type: application/x-protobuf;proto=io.prometheus.write.v2.Request",
        "Content-Encoding: snappy",
    ];
    let otlp = ["Content-Type: application/x-protobuf"];
    let json = ["Content-Type: application/json"];
    let objects = format!("{{\"resourceMetrics\":[{}{{}}]}}", "{},".repeat(500_000));
    for (path, headers, body) in [
        ("/api/v1/push", &first[..], pack(&empty(1, 5_000_000))),
        ("/api/v1/push", &first, pack(&proto::bytes(1, &empty(1, 5_000_000)))),
        ("/api/v1/push", &second, pack(&empty(5, 5_000_000))),
        ("/api/v1/push", &second, pack(&empty(4, 5_000_000))),
        ("/v1/metrics", &otlp, empty(1, 5_000_000)),
        ("/v1/metrics", &json, objects.into_bytes()),
    ] {
        let told = server.ask("POST", path, headers, &body);
        assert_eq!(told.status, 413, "{path} {headers:?}: {}", told.text());
    }
    // A question waits for its turn as it is.
    let long = format!("SELECT {}", "1,".repeat(1_000_000));
    let plain = ["Content-Type: text/plain"];
    server.ask("POST", "/api/v1/sql", &plain, long.as_bytes()).expect(413);
    is_well(&server);
}

/// A line whose records are more than the log takes at once was answered with 503, and sent again for ever.
#[test]
fn a_line_that_no_batch_holds_is_not_asked_for_again() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &[]);
    let line = format!("m {}v=1 1", "v=1,".repeat(3_400_000));
    let told = server.post("/api/v2/write", line.as_bytes()).expect(413).json();
    assert_eq!(told["error"], "too_large", "{told}");
    server.post("/api/v2/write", b"m v=1 1").expect(204);
}

#[test]
fn slow_heads_and_slow_bodies_are_cut_off() {
    let directory = tempfile::tempdir().unwrap();
    let server = limited(directory.path(), "head_time_s = 1\nstall_time_s = 1\n");
    let mut slow_head = server.connect();
    slow_head.write_all(b"GET /ping HTTP/1.1\r\nHost: local").unwrap();
    let mut silent = server.connect();
    let mut slow_body = server.connect();
    slow_body
        .write_all(b"POST /write HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nm")
        .unwrap();
    let mut answer = Vec::new();
    slow_body.read_to_end(&mut answer).unwrap();
    // A slow link is no reason to throw records away, as senders do for any status of 4xx.
    let answer = String::from_utf8_lossy(&answer).to_lowercase();
    assert!(answer.starts_with("http/1.1 503") && answer.contains("retry-after: 1"), "{answer}");
    for stream in [&mut slow_head, &mut silent] {
        // The end of the connection, with or without a word before it.
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        assert!(!rest.starts_with(b"HTTP/1.1 2"), "{}", String::from_utf8_lossy(&rest));
    }
    is_well(&server);
}

#[test]
fn header_floods_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let server = limited(directory.path(), "headers = 20\nhead_bytes = 16_384\n");
    let many: Vec<String> = (0..100).map(|number| format!("X-{number}: a")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    server.ask("GET", "/ping", &many, b"").expect(431);
    server.ask("GET", "/ping", &[&format!("X: {}", "a".repeat(100_000))], b"").expect(431);
    // A head that never ends.
    let mut stream = server.connect();
    let _ = stream.write_all(b"GET /ping HTTP/1.1\r\n");
    let line = b"X-Header: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n";
    let _ = (0..50_000).try_for_each(|_| stream.write_all(line));
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(answer.starts_with(b"HTTP/1.1 431"), "{}", String::from_utf8_lossy(&answer));
    is_well(&server);
}

#[test]
fn a_huge_query_string_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &[]);
    server.get(&format!("/api/v1/query?query={}", "a".repeat(20_000))).expect(414);
    let told = server.get(&format!("/api/v1/query?query={}", "a".repeat(1_000_000)));
    assert!(matches!(told.status, 0 | 414 | 431), "{told:?}");
    is_well(&server);
}

#[test]
fn nul_in_parameters_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &[]);
    server.get("/api/v1/query?query=up%00").expect(400);
    server.ask("POST", "/write?precision=s%00", &[], b"m v=1 1\n").expect(400);
    server.send(b"GET /ping\0 HTTP/1.1\r\nHost: localhost\r\n\r\n").expect(400);
    server.send(b"GET /ping HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n").expect(400);
    is_well(&server);
}

#[test]
fn many_connections_keep_nobody_out_for_long() {
    let directory = tempfile::tempdir().unwrap();
    let limits = "connections = 8\nconnections_per_source = 8\nhead_time_s = 1\n";
    let server = limited(directory.path(), limits);
    let idle: Vec<_> = (0..50).map(|_| server.connect()).collect();
    let begin = Instant::now();
    // Those that say nothing are closed, and then there is room.
    let text = loop {
        let told = server.get("/metrics");
        if told.status == 200 {
            break told.text();
        }
        assert!(begin.elapsed() < PATIENCE, "nobody is answered any more");
    };
    drop(idle);
    let away =
        text.lines().find(|line| line.starts_with("chronolith_http_connections_turned_away_total"));
    let away: u64 = away.unwrap().rsplit(' ').next().unwrap().parse().unwrap();
    assert!(away >= 42, "{away}");
}

#[test]
fn no_request_is_smuggled_in_anothers_body() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &[]);
    let inner = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let post = |headers: &str, body: &str| {
        let request = format!("POST /write HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n{body}");
        server.send(request.as_bytes())
    };
    let length = inner.len() + 5;
    for (name, headers) in [
        (
            "length, then chunks",
            format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n"),
        ),
        (
            "chunks, then length",
            format!("Transfer-Encoding: chunked\r\nContent-Length: {length}\r\n"),
        ),
        ("two lengths", format!("Content-Length: 5\r\nContent-Length: {length}\r\n")),
        ("a length with a sign", "Content-Length: +5\r\n".to_owned()),
        ("a list of lengths", format!("Content-Length: 5, {length}\r\n")),
        ("an unknown coding", "Transfer-Encoding: xchunked\r\n".to_owned()),
        ("chunks that are not last", "Transfer-Encoding: chunked, identity\r\n".to_owned()),
        ("a space before the colon", "Content-Length : 5\r\n".to_owned()),
        ("a folded line", "X: a\r\n Content-Length: 5\r\n".to_owned()),
    ] {
        let told = post(&format!("{headers}Connection: close\r\n"), &format!("0\r\n\r\n{inner}"));
        assert!(matches!(told.status, 0 | 204 | 400 | 411), "{name}: {told:?}");
        let text = String::from_utf8_lossy(&told.rest).into_owned() + &told.text();
        assert!(!text.contains("chronolith_http"), "{name}: {text}");
    }
    // Where both are there, the chunks count and the connection ends, whatever the client wants.
    let both = format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n");
    let told = post(&both, &format!("0\r\n\r\n{inner}"));
    assert!(told.rest.is_empty() && told.body.is_empty(), "{told:?}");
    let chunk = post("Transfer-Encoding: chunked\r\n", "-5\r\nabc\r\n0\r\n\r\n");
    chunk.expect(400);
    is_well(&server);
}

#[cfg(feature = "sql")]
#[test]
fn hostile_sql_reads_no_files_changes_nothing_and_ends() {
    let directory = tempfile::tempdir().unwrap();
    let server = limited(directory.path(), "request_time_s = 5\nquery_memory_bytes = 50_000_000\n");
    let lines: String = (0..2_000).map(|time| format!("m,device=a v={time} {time}\n")).collect();
    server.post("/write", lines.as_bytes()).expect(204);
    let deep = format!("SELECT {}1{}", "(".repeat(20_000), ")".repeat(20_000));
    let long = format!("SELECT {} FROM v", vec!["value"; 50_000].join("+"));
    for sql in [
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM \"/etc/passwd\"",
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
        "COPY v TO '/tmp/stolen.csv'",
        "DROP TABLE v",
        "DELETE FROM v",
        "INSERT INTO v VALUES (1)",
        "SET datafusion.execution.batch_size = 1",
        "SELECT 1; DROP TABLE v",
        "SELECT a.value FROM v a, v b, v c, v d ORDER BY 1",
        "SELECT repeat('a', 2000000000)",
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r",
        &deep,
        &long,
        "\u{0}",
        "SELECT",
    ] {
        let shown: String = sql.chars().take(60).collect();
        let told = server.ask("POST", "/api/v1/sql", &["Content-Type: text/plain"], sql.as_bytes());
        assert!(matches!(told.status, 400 | 422 | 503), "{shown}: {} {}", told.status, told.text());
        assert!(!told.text().contains("root:"), "{shown}");
        assert!(!told.text().contains("panicked"), "{shown}: {}", told.text());
    }
    assert!(!Path::new("/tmp/stolen.csv").exists());
    let count = server.get("/api/v1/sql?q=SELECT+count(*)+AS+n+FROM+v").expect(200).json();
    assert_eq!(count[0]["n"], 2_000);
}

#[test]
fn pages_of_others_cannot_ask_by_a_browser_of_this_machine() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &[]);
    let origin = ["Origin: http://evil.example"];
    server.ask("POST", "/write", &origin, b"m v=1 1\n").expect(403);
    server.ask("GET", "/api/v1/sql?q=SELECT+1", &["Sec-Fetch-Site: cross-site"], b"").expect(403);
    let rebound = b"GET /metrics HTTP/1.1\r\nHost: evil.example:8428\r\nConnection: close\r\n\r\n";
    server.send(rebound).expect(403);
    let own = format!("Origin: http://{}", server.address);
    server.ask("GET", "/metrics", &[&own], b"").expect(200);
}

/// A browser that was given a token as the password of HTTP Basic sends it along with whatever a page of
/// somebody else's asks.
#[test]
fn pages_of_others_cannot_use_a_password_that_a_browser_keeps() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let all = token(path, "all", "admin", &[]);
    let server = Server::start(path, &[]);
    use base64::Engine as _;
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("me:{all}"));
    let basic = format!("Authorization: Basic {pair}");
    let foreign = "Sec-Fetch-Site: cross-site";
    let told = server.ask("POST", "/write", &[&basic, foreign], b"m v=1 1\n").expect(403).json();
    assert!(told["error"].as_str().unwrap().contains("page"), "{told}");
    for headers in [&[&*basic][..], &[&basic, "Sec-Fetch-Site: same-origin"]] {
        server.ask("POST", "/write", headers, b"m v=1 1\n").expect(204);
    }
    // What a page has to know itself is no password of the browser.
    server.ask("GET", "/metrics", &[&bearer(&all), foreign], b"").expect(200);
}

#[test]
fn nobody_is_let_in_from_other_machines_by_mistake() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let refused = |more: &[&str]| {
        let arguments = ["serve", "--db", "db", "--listen", "0.0.0.0:0"];
        let output = chronolith(path, &[&arguments, more].concat());
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let told = refused(&[]);
    assert!(
        told.contains("there are no tokens") && told.contains("chronolith token new"),
        "{told}"
    );
    token(path, "all", "admin", &[]);
    let told = refused(&[]);
    assert!(told.contains("without TLS") && told.contains("--allow-plain"), "{told}");
    let told = refused(&["--tokens", "other"]);
    assert!(told.contains("other"), "{told}");
}

#[test]
fn tls_keeps_tokens_from_listeners_and_answers_nothing_in_the_clear() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    fs::write(path.join("cert.pem"), made.cert.pem()).unwrap();
    fs::write(path.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    let server = Server::start(path, &["--certificate", "cert.pem", "--key", "key.pem"]);
    assert_eq!(server.get("/ping").status, 0, "nothing is answered without TLS");
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "localhost".try_into().unwrap();
    let client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = StreamOwned::new(client, server.connect());
    stream
        .write_all(b"GET /ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(answer.starts_with(b"HTTP/1.1 204"), "{}", String::from_utf8_lossy(&answer));
    let told = chronolith(
        path,
        &["serve", "--db", "other", "--certificate", "key.pem", "--key", "key.pem"],
    );
    assert_eq!(told.status.code(), Some(1), "{told:?}");
}

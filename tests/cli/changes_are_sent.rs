//! Changes of continuous queries over WebSockets, and as signed webhooks to a receiver that fails at
//! first; over restarts of the server.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::http::{PATIENCE, Server};

const QUERY: &[u8] = b"CREATE CONTINUOUS QUERY by_ten AS SELECT device, time_bucket('10s', time), \
                       max(value) AS high FROM speed GROUP BY 1, 2";

fn serve(directory: &Path) -> Server {
    Server::start(directory, &[])
}

/// A second of a car: one line.
fn write(server: &Server, second: u64, speed: u64) {
    let line = format!("van,device=car-1 speed={speed}.5 {}", 1_767_225_600 + second);
    server.post("/write?precision=s", line.as_bytes()).expect(204);
}

/// A message as the receiver got it.
#[derive(Debug)]
struct Message {
    id: String,
    timestamp: String,
    signature: String,
    body: Vec<u8>,
}

/// A receiver that answers the statuses in their order, and the last for ever.
fn receiver(statuses: &'static [u16]) -> (String, Receiver<Message>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let (sender, got) = channel();
    std::thread::spawn(move || {
        let mut statuses = statuses.iter().copied();
        let mut last = 204;
        for stream in listener.incoming().map_while(Result::ok) {
            last = statuses.next().unwrap_or(last);
            if sender.send(take(stream, last)).is_err() {
                return;
            }
        }
    });
    (url, got)
}

fn take(mut stream: TcpStream, status: u16) -> Message {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut headers = std::collections::BTreeMap::new();
    let mut line = String::new();
    while reader.read_line(&mut line).unwrap() > 2 {
        if let Some((name, value)) = line.split_once(':') {
            headers.insert(name.to_lowercase(), value.trim().to_owned());
        }
        line.clear();
    }
    let mut body = vec![0; headers["content-length"].parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    let answer = format!("HTTP/1.1 {status} -\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(answer.as_bytes()).unwrap();
    let mut header = |name: &str| headers.remove(name).unwrap();
    Message {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp"),
        signature: header("webhook-signature"),
        body,
    }
}

/// The signature that a receiver computes, by another implementation than the sender's.
fn signature(secret: &str, message: &Message) -> String {
    use base64::Engine as _;
    let base64 = base64::engine::general_purpose::STANDARD;
    let key = base64.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let mut signed = format!("{}.{}.", message.id, message.timestamp).into_bytes();
    signed.extend(&message.body);
    format!("v1,{}", base64.encode(hmac_sha256(&key, &signed)))
}

/// HMAC by its definition (RFC 2104), for keys of at most a block.
fn hmac_sha256(key: &[u8], message: &[u8]) -> Vec<u8> {
    use sha2::{Digest as _, Sha256};
    let pad = |with: u8| -> Vec<u8> {
        (0..64).map(|at| key.get(at).copied().unwrap_or(0) ^ with).collect()
    };
    let inner = Sha256::digest([pad(0x36), message.to_vec()].concat());
    Sha256::digest([pad(0x5c), inner.to_vec()].concat()).to_vec()
}

#[test]
fn webhooks_are_signed_tried_again_and_gone_on_with_after_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let server = serve(directory);
    server.post("/api/v1/continuous", QUERY).expect(200);
    let (url, got) = receiver(&[500, 204]);
    let wanted = json!({"name": "to-me", "query": "by_ten", "url": url});
    let made = server.post("/api/v1/webhooks", wanted.to_string().as_bytes()).expect(201).json();
    let secret = made["secret"].as_str().unwrap().to_owned();
    write(&server, 1, 10);
    // The first try is refused; the second is the same message.
    let first = got.recv_timeout(PATIENCE).unwrap();
    let second = got.recv_timeout(PATIENCE).unwrap();
    assert_eq!((&first.id, &first.body), (&second.id, &second.body));
    for message in [&first, &second] {
        assert_eq!(message.signature, signature(&secret, message));
    }
    let body: Value = serde_json::from_slice(&second.body).unwrap();
    assert_eq!(body["type"], "continuous.changes");
    assert_eq!(body["data"]["query"], "by_ten");
    let change = &body["data"]["changes"][0];
    assert_eq!((&change["device"], &change["high"]), (&json!("car-1"), &json!(10.5)), "{body}");
    let cursor = body["data"]["cursor"].as_u64().unwrap();

    // What changes after a kill is sent. What was delivered right before it may come again, under
    // the same id.
    server.kill();
    let server = serve(directory);
    write(&server, 2, 20);
    let next = loop {
        let next = got.recv_timeout(PATIENCE).unwrap();
        if next.id != second.id {
            break next;
        }
    };
    let body: Value = serde_json::from_slice(&next.body).unwrap();
    let change = &body["data"]["changes"][0];
    assert_eq!(change["cursor"].as_u64(), Some(cursor + 1), "{body}");
    assert_eq!(change["high"], json!(20.5));
    assert_eq!(next.signature, signature(&secret, &next));

    let all = server.get("/api/v1/webhooks").expect(200).json();
    assert_eq!(all[0]["name"], "to-me");
    assert!(all[0]["secret"].is_null(), "{all}");
    server.ask("DELETE", "/api/v1/webhooks/to-me", &[], b"").expect(204);
    assert_eq!(server.get("/api/v1/webhooks").expect(200).json(), json!([]));
}

#[test]
fn a_receiver_that_wants_no_more_gets_no_more_after_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let server = serve(directory);
    server.post("/api/v1/continuous", QUERY).expect(200);
    let (url, got) = receiver(&[410]);
    let wanted = json!({"name": "to-me", "query": "by_ten", "url": url});
    server.post("/api/v1/webhooks", wanted.to_string().as_bytes()).expect(201);
    write(&server, 1, 10);
    got.recv_timeout(PATIENCE).unwrap();
    let ended = |server: &Server| {
        let all = server.get("/api/v1/webhooks").expect(200).json();
        let is_told = all[0]["failure"].as_str().is_some_and(|said| said.contains("410"));
        all[0]["ended"] == json!(true) && is_told
    };
    let begun = Instant::now();
    while !ended(&server) {
        assert!(begun.elapsed() < PATIENCE, "410 does not end a webhook");
        std::thread::sleep(Duration::from_millis(20));
    }

    server.kill();
    let server = serve(directory);
    assert!(ended(&server));
    write(&server, 2, 20);
    // Another one gets the change, so that there was time for this one to.
    let (url, others) = receiver(&[204]);
    let wanted = json!({"name": "to-other", "query": "by_ten", "url": url});
    server.post("/api/v1/webhooks", wanted.to_string().as_bytes()).expect(201);
    write(&server, 3, 30);
    others.recv_timeout(PATIENCE).unwrap();
    assert!(got.try_recv().is_err());
}

#[test]
fn webhooks_that_cannot_be_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(directory.path());
    server.post("/api/v1/continuous", QUERY).expect(200);
    let good = json!({"name": "a", "query": "by_ten", "url": "http://127.0.0.1:1/"});
    for (key, value, status) in [
        ("name", json!("../a"), 400),
        ("name", json!(""), 400),
        ("query", json!("none"), 404),
        ("url", json!("file:///etc/passwd"), 400),
        ("url", json!("http://user:password@host/"), 400),
        ("url", json!("nonsense"), 400),
        ("secret", json!("short"), 400),
        ("cursor", json!(7), 400),
        ("unknown", json!(1), 400),
    ] {
        let mut wrong = good.clone();
        wrong[key] = value;
        server.post("/api/v1/webhooks", wrong.to_string().as_bytes()).expect(status);
    }
    server.post("/api/v1/webhooks", good.to_string().as_bytes()).expect(201);
    server.post("/api/v1/webhooks", good.to_string().as_bytes()).expect(409);
    server.ask("DELETE", "/api/v1/webhooks/b", &[], b"").expect(404);
}

/// Reads one message of a server, which are never masked; pings are passed over.
fn message(stream: &mut impl std::io::Read) -> Option<Value> {
    loop {
        let mut head = [0; 2];
        stream.read_exact(&mut head).ok()?;
        let length = match head[1] {
            126 => {
                let mut long = [0; 2];
                stream.read_exact(&mut long).ok()?;
                usize::from(u16::from_be_bytes(long))
            }
            short => usize::from(short),
        };
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload).ok()?;
        match head[0] {
            0x81 => return serde_json::from_slice(&payload).ok(),
            0x88 => return None,
            _ => {}
        }
    }
}

#[test]
fn sockets_tell_a_snapshot_and_then_changes() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(directory.path());
    server.post("/api/v1/continuous", QUERY).expect(200);
    write(&server, 1, 10);
    let until = std::time::Instant::now() + PATIENCE;
    while server.get("/api/v1/continuous/by_ten").expect(200).json()["rows"] == json!([]) {
        assert!(std::time::Instant::now() < until, "there is no row");
    }
    let mut stream = server.connect();
    let request = format!(
        "GET /api/v1/continuous/by_ten/socket HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        server.address
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while reader.read_line(&mut head).unwrap() > 2 {}
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    // The example of RFC 6455.
    assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
    let row = message(&mut reader).unwrap();
    assert_eq!((&row["event"], &row["data"]["high"]), (&json!("row"), &json!(10.5)), "{row}");
    let snapshot = message(&mut reader).unwrap();
    assert_eq!((&snapshot["event"], &snapshot["data"]["rows"]), (&json!("snapshot"), &json!(1)));
    write(&server, 2, 30);
    let change = message(&mut reader).unwrap();
    assert_eq!((&change["event"], &change["data"]["high"]), (&json!("update"), &json!(30.5)));
    assert!(change["id"].as_u64() > snapshot["id"].as_u64(), "{change}");
    // A server that stops ends the connection in order.
    assert!(server.stop().success());
    assert_eq!(message(&mut reader), None);
}

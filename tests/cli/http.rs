//! A database that is served by a process, and requests over sockets.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use serde_json::Value;

use crate::run::{program, telling};

/// So long something is waited for before the test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Where a server listens.
pub(crate) struct Door {
    /// Its address, without the scheme.
    pub(crate) address: String,
}

/// A server of the database `db` in a directory.
pub(crate) struct Server {
    child: Child,
    door: Door,
    told: Receiver<Value>,
}

impl std::ops::Deref for Server {
    type Target = Door;

    fn deref(&self) -> &Door {
        &self.door
    }
}

impl Server {
    /// Starts it on a port that is free, and waits until it listens.
    pub(crate) fn start(directory: &Path, more: &[&str]) -> Self {
        let db = ["serve", "--db", "db", "--listen", "127.0.0.1:0", "--json"];
        Self::start_by(directory, &[&db[..], more].concat())
    }

    /// Starts it by whole arguments.
    pub(crate) fn start_by(directory: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(program());
        let (child, told) = telling(command.args(arguments).current_dir(directory));
        let mut server = Self { child, door: Door { address: String::new() }, told };
        server.door.address = server.until(|told| {
            let url = told["database"].as_str().and(told["listening"].as_str())?;
            Some(url.split_once("://").unwrap().1.to_owned())
        });
        server
    }

    /// Waits until it tells something that `wanted` gives something for.
    pub(crate) fn until<T>(&self, mut wanted: impl FnMut(&Value) -> Option<T>) -> T {
        loop {
            if let Some(found) = wanted(&self.told.recv_timeout(PATIENCE).unwrap()) {
                return found;
            }
        }
    }

    /// Kills it, without a warning.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Tells it to stop; how it ended.
    pub(crate) fn stop(mut self) -> ExitStatus {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.child.wait().unwrap()
    }
}

impl Door {
    /// The answer to a query, one object a row.
    pub(crate) fn rows(&self, sql: &str) -> Vec<Value> {
        let headers = ["Content-Type: text/plain", "Accept: application/x-ndjson"];
        let answer = self.ask("POST", "/api/v1/sql", &headers, sql.as_bytes()).expect(200);
        let text = String::from_utf8(answer.body).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Opens a connection.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends a request on a connection of its own.
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Answer {
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.address);
        request += "Connection: close\r\n";
        if !body.is_empty() || method != "GET" {
            request += &format!("Content-Length: {}\r\n", body.len());
        }
        headers.iter().for_each(|header| request += &format!("{header}\r\n"));
        request += "\r\n";
        self.send(&[request.as_bytes(), body].concat())
    }

    /// Sends bytes as they are; what came back until the connection ended.
    pub(crate) fn send(&self, bytes: &[u8]) -> Answer {
        let mut stream = self.connect();
        // Who is refused early may find the connection closed.
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        Answer::parse(&answer)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], b"")
    }

    pub(crate) fn post(&self, path: &str, body: &[u8]) -> Answer {
        self.ask("POST", path, &[], body)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    /// 0 where there was none.
    pub(crate) status: u16,
    /// By their names in small letters.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
    /// What followed on the connection.
    pub(crate) rest: Vec<u8>,
}

impl Answer {
    fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let (head, mut rest) = match end {
            Some(end) => (String::from_utf8_lossy(&bytes[..end]), &bytes[end + 4..]),
            None => (String::new().into(), &[][..]),
        };
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let pairs = lines.filter_map(|line| line.split_once(':'));
        let headers: BTreeMap<String, String> =
            pairs.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned())).collect();
        let mut body = Vec::new();
        if headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked") {
            while let Some(line) = rest.windows(2).position(|two| two == b"\r\n") {
                let size = String::from_utf8_lossy(&rest[..line]).into_owned();
                let size = usize::from_str_radix(size.trim(), 16).unwrap();
                rest = &rest[line + 2..];
                let there = size.min(rest.len());
                body.extend_from_slice(&rest[..there]);
                rest = rest.get(there + 2..).unwrap_or_default();
                if size == 0 {
                    break;
                }
            }
        } else {
            let length = headers.get("content-length").and_then(|length| length.parse().ok());
            let length = length.unwrap_or(0).min(rest.len());
            body.extend_from_slice(&rest[..length]);
            rest = &rest[length..];
        }
        Self { status: status.unwrap_or(0), headers, body, rest: rest.to_vec() }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The same, where the status is this.
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:?} {}", self.headers, self.text());
        self
    }
}

/// Messages of protobuf, by hand.
pub(crate) mod proto {
    fn varint(mut value: u64, out: &mut Vec<u8>) {
        while value >= 0x80 {
            out.push(value as u8 | 0x80);
            value >>= 7;
        }
        out.push(value as u8);
    }

    pub(crate) fn integer(field: u32, value: u64) -> Vec<u8> {
        let mut out = Vec::new();
        varint(u64::from(field) << 3, &mut out);
        varint(value, &mut out);
        out
    }

    pub(crate) fn fixed(field: u32, bits: u64) -> Vec<u8> {
        let mut out = Vec::new();
        varint(u64::from(field) << 3 | 1, &mut out);
        out.extend_from_slice(&bits.to_le_bytes());
        out
    }

    pub(crate) fn double(field: u32, value: f64) -> Vec<u8> {
        fixed(field, value.to_bits())
    }

    pub(crate) fn bytes(field: u32, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        varint(u64::from(field) << 3 | 2, &mut out);
        varint(bytes.len() as u64, &mut out);
        out.extend_from_slice(bytes);
        out
    }
}

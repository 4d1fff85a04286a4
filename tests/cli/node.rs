//! Nodes as processes, on loopback.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use serde_json::Value;

use crate::run::{program, telling};

/// So long something is waited for before the test fails.
const PATIENCE: Duration = Duration::from_secs(120);

/// A node of the network in `net`, as a process.
pub(crate) struct Node {
    child: Child,
    told: Receiver<Value>,
}

impl Node {
    pub(crate) fn start(directory: &Path, number: usize) -> Self {
        Self::start_by(Command::new(program()), directory, number)
    }

    /// Starts it by a command that has the program in front already.
    pub(crate) fn start_by(mut command: Command, directory: &Path, number: usize) -> Self {
        let config = format!("net/nodes/{number}/node.toml");
        command.args(["serve", "--config", &config, "--json"]).current_dir(directory);
        let (child, told) = telling(&mut command);
        Self { child, told }
    }

    /// Waits until the node tells something that `wanted` gives something for.
    pub(crate) fn until<T>(&self, mut wanted: impl FnMut(&Value) -> Option<T>) -> T {
        let mut last = Vec::new();
        loop {
            let told = self.told.recv_timeout(PATIENCE);
            let told =
                told.unwrap_or_else(|_| panic!("it never happened; the last were {last:#?}"));
            if let Some(found) = wanted(&told) {
                return found;
            }
            if told["height"].is_null() {
                last.push(told);
                last.drain(..last.len().saturating_sub(20));
            }
        }
    }

    /// Waits until the node has committed a height; the block of it.
    pub(crate) fn reach(&self, height: u64) -> Value {
        let is_there = |told: &Value| told["height"].as_u64().is_some_and(|found| found >= height);
        self.until(|told| is_there(told).then(|| told.clone()))
    }

    /// Its number among the processes of the machine.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Kills it, without a warning.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port from which on so many are free. They are below those that systems give to connections that go
/// out, of which other tests open very many, and no two calls give the same.
pub(crate) fn ports(count: u16) -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let next = NEXT.fetch_add(count.into(), Ordering::Relaxed);
        let port = 12_000 + ((std::process::id() * 97 + next) % 18_000) as u16;
        let is_free = |more: u16| TcpListener::bind(("127.0.0.1", port + more)).is_ok();
        if (0..count).all(is_free) {
            return port;
        }
    }
}

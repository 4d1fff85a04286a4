//! `testnet`, `serve` and `net`: a network of nodes as processes, over libp2p on loopback.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;

use crate::run::{expect, program};

/// So long something is waited for before the test fails.
const PATIENCE: Duration = Duration::from_secs(120);

struct Node {
    child: Child,
    told: Receiver<Value>,
}

impl Node {
    fn start(directory: &Path, number: usize) -> Self {
        let config = format!("net/nodes/{number}/node.toml");
        let mut child = Command::new(program())
            .args(["serve", "--config", &config, "--json"])
            .current_dir(directory)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, told) = channel();
        let output = child.stdout.take().unwrap();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(serde_json::from_str(&line).unwrap()).is_err() {
                    return;
                }
            }
        });
        Self { child, told }
    }

    /// Waits until the node has committed a height; the block of it.
    fn reach(&self, height: u64) -> Value {
        loop {
            let told = self.told.recv_timeout(PATIENCE).expect("the height is never committed");
            if told["height"].as_u64().is_some_and(|found| found >= height) {
                return told;
            }
        }
    }

    fn kill(mut self) {
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

/// A port from which on four are free, as far as one can know.
fn ports() -> u16 {
    loop {
        let first = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = first.local_addr().unwrap().port();
        let others: Vec<_> = (1..4)
            .filter_map(|more| TcpListener::bind(("127.0.0.1", port.checked_add(more)?)).ok())
            .collect();
        if others.len() == 3 {
            return port;
        }
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn four_nodes_agree_survive_a_kill_and_tell_of_each_other() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let port = ports().to_string();
    let made = expect(
        directory,
        0,
        &[
            &["testnet", "init", "net", "--first-port", &port][..],
            &["--interval", "100", "--heartbeat", "100", "--json"],
        ]
        .concat(),
    );
    assert_eq!(json(&made)["validators"], 4);
    let mut nodes: Vec<Node> = (0..4).map(|number| Node::start(directory, number)).collect();
    for node in &nodes {
        node.reach(1);
    }
    // Another process with the same files is refused.
    let config = "net/nodes/0/node.toml";
    let refused = Command::new(program())
        .args(["serve", "--config", config])
        .current_dir(directory)
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(message.contains("in use by another process"), "{message}");
    // One is killed: three go on; it comes back and catches up.
    nodes.remove(3).kill();
    let height = nodes[0].reach(0)["height"].as_u64().unwrap_or_default();
    let status = json(&expect(directory, 0, &["net", "status", "--config", config, "--json"]));
    assert!(status["height"].as_u64().unwrap() >= height.saturating_sub(1));
    assert_eq!(status["chain"], json(&made)["chain"]);
    nodes.push(Node::start(directory, 3));
    nodes[3].reach(height + 1);
    let pinged = expect(
        directory,
        0,
        &["net", "ping", "--config", "net/nodes/3/node.toml", "--count", "2", "--json"],
    );
    assert_eq!(pinged.lines().count(), 2);
    let peers = json(&expect(directory, 0, &["net", "peers", "--config", config, "--json"]));
    assert!(peers.as_array().unwrap().len() >= 2, "{peers}");
    let cid = "bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e";
    let found = expect(directory, 0, &["net", "find", "--config", config, "--json", cid]);
    assert_eq!(json(&found)["peers"], Value::Array(Vec::new()));
}

#[test]
fn mistakes_in_a_configuration_are_shown_where_they_are() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    expect(directory, 0, &["testnet", "init", "net"]);
    let place = directory.join("net/nodes/0/node.toml");
    let text = std::fs::read_to_string(&place).unwrap();
    let serve = || {
        let output = Command::new(program())
            .args(["serve", "--config", "net/nodes/0/node.toml"])
            .current_dir(directory)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    std::fs::write(&place, text.replace("listen = ", "lisen = ")).unwrap();
    let message = serve();
    assert!(message.contains("lisen") && message.contains("listen"), "{message}");
    std::fs::write(&place, text.replace("/ip4/127.0.0.1/tcp/4100\"", "127.0.0.1:4100\"")).unwrap();
    let message = serve();
    assert!(message.contains("write one like /ip4/"), "{message}");
    // A network is made in an empty directory.
    let output =
        Command::new(program()).args(["testnet", "init", "net"]).current_dir(directory).output();
    let message = String::from_utf8_lossy(&output.unwrap().stderr).into_owned();
    assert!(message.contains("not empty"), "{message}");
}

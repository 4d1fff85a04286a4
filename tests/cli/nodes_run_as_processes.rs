//! `testnet`, `serve` and `net`: a network of nodes as processes, over libp2p on loopback.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::node::{Node, ports};
use crate::run::{expect, program};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn four_nodes_agree_survive_a_kill_and_tell_of_each_other() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let port = ports(4).to_string();
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

/// A node took keys that every user of the machine could read, and read a file whatever its size: only
/// those of wallets were looked at. One rule holds for all of them.
fn keys_are_private(directory: &Path, serve: impl Fn() -> String) {
    for name in ["network.key", "validator.key"] {
        let place = directory.join("net/nodes/0").join(name);
        let mode = |mode| std::fs::set_permissions(&place, Permissions::from_mode(mode)).unwrap();
        mode(0o644);
        let message = serve();
        assert!(message.contains("chmod 600") && message.contains(name), "{message}");
        mode(0o600);
        let whole = std::fs::read(&place).unwrap();
        std::fs::write(&place, [b'a'; 5_000]).unwrap();
        let message = serve();
        assert!(message.contains("it is too large") && message.contains(name), "{message}");
        std::fs::write(&place, whole).unwrap();
    }
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
    std::fs::write(&place, text).unwrap();
    keys_are_private(directory, serve);
    // A network is made in an empty directory.
    let output =
        Command::new(program()).args(["testnet", "init", "net"]).current_dir(directory).output();
    let message = String::from_utf8_lossy(&output.unwrap().stderr).into_owned();
    assert!(message.contains("not empty"), "{message}");
}

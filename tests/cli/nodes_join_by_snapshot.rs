//! A node that comes later begins at a snapshot that the others serve, and agrees with them from there on.

use serde_json::Value;

use crate::node::{Node, ports};
use crate::run::expect;

#[test]
fn a_fifth_node_begins_hundreds_of_blocks_later_at_a_snapshot() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let port = ports(5).to_string();
    expect(
        directory,
        0,
        &[
            &["testnet", "init", "net", "--first-port", &port, "--storage", "1"][..],
            &["--interval", "20", "--heartbeat", "20", "--snapshot-blocks", "50", "--json"],
        ]
        .concat(),
    );
    let nodes: Vec<Node> = (0..4).map(|number| Node::start(directory, number)).collect();
    for node in &nodes {
        let is_made = |told: &Value| told["made_snapshot"]["at"].as_u64().filter(|at| *at >= 200);
        node.until(is_made);
    }
    let fifth = Node::start(directory, 4);
    let begin = fifth.until(|told| {
        assert!(told["block_by_block"].is_null(), "{told}");
        told["joined"]["at"].as_u64()
    });
    assert!(begin >= 200 && begin.is_multiple_of(50), "{begin}");
    let first = fifth.reach(0);
    assert_eq!(first["height"].as_u64(), Some(begin + 1));
    let height = begin + 30;
    let reached = fifth.reach(height);
    let height = reached["height"].as_u64().unwrap();
    // The header has the root of the state, and the block's id is the header's hash.
    assert_eq!(nodes[0].reach(height)["block"], reached["block"]);

    // Killed and started again, it goes on from what it has.
    fifth.kill();
    let again = Node::start(directory, 4);
    let next = again.until(|told| {
        assert!(told["joined"].is_null() && told["joining"].is_null(), "{told}");
        told["height"].as_u64()
    });
    assert!(next > begin + 1, "{next}");
}

//! Twenty nodes in network namespaces: four validators and sixteen storage peers, with loss on the way,
//! a split and restarts. Every node ends with the same blocks, and what was placed comes back whole.
//!
//! It needs what `partitions_heal.rs` needs; where the machine cannot lose packets it goes on without.

use std::path::Path;

use serde_json::Value;

use crate::lab::Lab;
use crate::node::Node;
use crate::run::{expect, source};

const VALIDATORS: usize = 4;
const NODES: usize = 20;
/// How much of what arrives is lost.
const LOSS_PERCENT: u32 = 2;

fn config(number: usize) -> String {
    format!("net/nodes/{number}/node.toml")
}

/// What a command prints last, run beside the first node.
fn json(lab: &Lab, directory: &Path, arguments: &[&str]) -> Value {
    let output = lab.program(0).args(arguments).current_dir(directory).output().unwrap();
    let problem = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "chronolith {arguments:?}: {problem}");
    let text = String::from_utf8(output.stdout).unwrap();
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

fn block_at(node: &Node, height: u64) -> Value {
    node.until(|told| (told["height"].as_u64() == Some(height)).then(|| told["block"].clone()))
}

#[test]
fn loss_a_split_and_restarts_leave_one_chain_and_every_fragment() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let Some(lab) = Lab::build('t', 78, NODES) else { return };
    let hosts: Vec<String> = (0..NODES).flat_map(|n| ["--host".into(), lab.address(n)]).collect();
    let (validators, peers) = (VALIDATORS.to_string(), (NODES - VALIDATORS).to_string());
    let mut init = vec!["testnet", "init", "net", "--validators", &validators, "--storage", &peers];
    init.extend(["--interval", "250", "--heartbeat", "250"]);
    init.extend(["--epoch-blocks", "20", "--audit-blocks", "12"]);
    init.extend(hosts.iter().map(String::as_str));
    expect(directory, 0, &init);
    lab.lose(LOSS_PERCENT);
    let start = |number: usize| Node::start_by(lab.program(number), directory, number);
    let mut nodes: Vec<Node> = (0..NODES).map(start).collect();
    nodes.iter().for_each(|node| drop(node.reach(1)));
    for number in VALIDATORS..NODES {
        json(&lab, directory, &["storage", "open", "--config", &config(number), "--json"]);
    }
    let drive = source("testdata/drives/us06.csv");
    let drive = drive.to_str().unwrap();
    expect(directory, 0, &["pack", "make", drive, "--profile", "lab", "--into", "packs"]);
    let name = std::fs::read_dir(directory.join("packs")).unwrap().find_map(|entry| {
        let name = entry.unwrap().file_name().into_string().unwrap();
        name.strip_suffix(".car").map(str::to_owned)
    });
    let pack = name.unwrap();
    let (car, mask) = (format!("packs/{pack}.car"), format!("packs/{pack}.mask"));
    let terms = ["--wallet", "net/wallet", "--epochs", "200", "--price", "0.1", "--json"];
    let place =
        [&["pack", "place", &car, "--config", "net/nodes/0/node.toml"][..], &terms].concat();
    assert_eq!(json(&lab, directory, &place)["leased_fragments"], 6);

    // Half of the validators and half of the peers are cut off, and come back.
    let apart: Vec<usize> = (0..NODES).filter(|node| node % 2 == 0).collect();
    apart.iter().for_each(|node| lab.plug(*node, 1));
    let status = ["net", "status", "--config", "net/nodes/0/node.toml", "--json"];
    let height = json(&lab, directory, &status)["height"].as_u64().unwrap();
    apart.iter().for_each(|node| lab.plug(*node, 0));
    nodes.iter().for_each(|node| drop(node.reach(height + 5)));

    // A validator and three peers are killed, and come back.
    for number in [VALIDATORS - 1, VALIDATORS, VALIDATORS + 5, NODES - 1] {
        nodes.remove(number).kill();
        nodes.insert(number, start(number));
    }
    let height = nodes[0].reach(0)["height"].as_u64().unwrap();
    let block = block_at(&nodes[0], height + 20);
    for node in &nodes[1..] {
        assert_eq!(block_at(node, height + 20), block);
    }
    // The peers show what they keep, and are paid.
    let attested = nodes[0].until(|told| told["attested"]["passed"].as_u64().filter(|n| *n >= 1));
    assert!(attested <= 6);
    let fetch = ["fetch", &pack, "--config", "net/nodes/0/node.toml", "--mask", &mask];
    json(&lab, directory, &[&fetch[..], &["--into", "back", "--json"]].concat());
    let back = std::fs::read(directory.join(format!("back/{pack}.car"))).unwrap();
    assert_eq!(back, std::fs::read(directory.join(&car)).unwrap());
}

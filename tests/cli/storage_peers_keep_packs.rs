//! Peer storage from end to end, by processes over libp2p on loopback: packs are placed, leased,
//! audited and paid for; peers are killed, a lease is lost and repaired, and everything is fetched back.

use std::path::Path;

use serde_json::Value;

use crate::node::{Node, ports};
use crate::run::{expect, json, source};

pub(crate) const VALIDATORS: usize = 4;
pub(crate) const PEERS: usize = 8;

pub(crate) fn config(number: usize) -> String {
    format!("net/nodes/{number}/node.toml")
}

/// A chain with short epochs, all nodes of which run: four validators, then eight storage peers.
pub(crate) fn network(directory: &Path) -> Vec<Node> {
    let port = ports((VALIDATORS + PEERS) as u16).to_string();
    let (validators, peers) = (VALIDATORS.to_string(), PEERS.to_string());
    let init = [
        &["testnet", "init", "net", "--first-port", &port, "--validators", &validators][..],
        &["--storage", &peers, "--epoch-blocks", "16", "--audit-blocks", "10"],
        &["--interval", "150", "--heartbeat", "150", "--json"],
    ];
    expect(directory, 0, &init.concat());
    let nodes: Vec<Node> =
        (0..VALIDATORS + PEERS).map(|number| Node::start(directory, number)).collect();
    nodes.iter().for_each(|node| drop(node.reach(1)));
    nodes
}

pub(crate) fn open_storage(directory: &Path) {
    for number in VALIDATORS..VALIDATORS + PEERS {
        json(directory, 0, &["storage", "open", "--config", &config(number), "--json"]);
    }
}

fn account(directory: &Path, number: usize) -> String {
    let status = ["storage", "status", "--config", &config(number), "--json"];
    json(directory, 0, &status)["account"].as_str().unwrap().to_owned()
}

fn earned(directory: &Path, number: usize) -> f64 {
    let earnings = ["storage", "earnings", "--config", &config(number), "--json"];
    json(directory, 0, &earnings)["earned"].as_str().unwrap().parse().unwrap()
}

/// What a dead peer left behind is whole; a flipped bit in it is found, named, and not kept.
fn scrub(directory: &Path, number: usize) {
    let scrub = ["storage", "scrub", "--config", &config(number), "--json"];
    let scrubbed = json(directory, 0, &scrub);
    assert_eq!((&scrubbed["fragments"], &scrubbed["damaged"]), (&1.into(), &serde_json::json!([])));
    let mut folders = vec![directory.join(format!("net/nodes/{number}/fragments/fragments"))];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else if entry.metadata().unwrap().len() > 0 {
                let mut bytes = std::fs::read(entry.path()).unwrap();
                *bytes.last_mut().unwrap() ^= 1;
                std::fs::write(entry.path(), bytes).unwrap();
            }
        }
    }
    let found = json(directory, 1, &scrub);
    assert_eq!(found["damaged"].as_array().unwrap().len(), 1, "{found}");
    assert_eq!(json(directory, 0, &scrub)["fragments"], 0);
}

#[test]
fn packs_are_leased_audited_paid_repaired_and_fetched_back() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let mut nodes: Vec<Option<Node>> = network(directory).into_iter().map(Some).collect();
    open_storage(directory);
    let drive = source("testdata/drives/us06.csv");
    let drive = drive.to_str().unwrap();
    let make = ["pack", "make", drive, "--profile", "lab", "--into", "packs", "--json"];
    let made = json(directory, 0, &make);
    let pack = made["packs"][0].as_str().unwrap().to_owned();
    // The last peer repairs, and so keeps none of it; seven are left for six fragments.
    let repairer = VALIDATORS + PEERS - 1;
    let (car, mask) = (format!("packs/{pack}.car"), format!("packs/{pack}.mask"));
    let repairer_account = account(directory, repairer);
    let place = [
        &["pack", "place", &car, "--config", "net/nodes/0/node.toml", "--wallet", "net/wallet"][..],
        &["--epochs", "60", "--repairer", &repairer_account, "--repair-fee", "0.5"],
        &["--repairs", "4", "--price", "0.1", "--json"],
    ]
    .concat();
    let placed = json(directory, 0, &place);
    assert_eq!((&placed["leased_fragments"], &placed["leases"]), (&6.into(), &6.into()));
    // Again, there is nothing to do.
    assert_eq!(json(directory, 0, &place)["leased_fragments"], 0);

    let holders: Vec<usize> = (VALIDATORS..repairer)
        .filter(|number| {
            let leases = ["storage", "leases", "--config", &config(*number), "--json"];
            let leases = json(directory, 0, &leases);
            assert!(leases.as_array().unwrap().len() <= 1, "{leases}");
            !leases.as_array().unwrap().is_empty()
        })
        .collect();
    assert_eq!(holders.len(), 6);
    // Everybody shows what the chain draws, the validators attest it, and it is paid.
    for holder in &holders {
        let node = nodes[*holder].as_ref().unwrap();
        let samples = node.until(|told| told["answered"]["samples"].as_u64());
        assert!(samples > 0);
    }
    let validator = nodes[0].as_ref().unwrap();
    validator.until(|told| told["attested"]["passed"].as_u64().filter(|passed| *passed == 6));
    let paid = |number: usize| earned(directory, number) > 0.0;
    let validator = nodes[0].as_ref().unwrap();
    while !holders.iter().all(|number| paid(*number)) {
        validator.reach(0);
    }

    let audits = ["storage", "audits", "--config", &config(holders[1]), "--json"];
    let audits = json(directory, 0, &audits);
    assert!(audits["passed"].as_u64().unwrap() > 0, "{audits}");
    assert_eq!(audits["missed"], 0, "{audits}");
    assert!(!audits["epochs"].as_array().unwrap().is_empty(), "{audits}");

    // A peer dies for good. After three audits that it misses, the repairer rebuilds its fragment.
    nodes[holders[0]].take().unwrap().kill();
    scrub(directory, holders[0]);
    let repair = nodes[repairer].as_ref().unwrap();
    let repaired = repair.until(|told| (!told["repaired"].is_null()).then(|| told.clone()));
    assert_eq!(repaired["repaired"]["fragments"], 1);
    let spare = (VALIDATORS..repairer).find(|number| !holders.contains(number)).unwrap();
    let kept = nodes[spare].as_ref().unwrap().until(|told| told["kept"]["index"].as_u64());
    let samples = nodes[spare].as_ref().unwrap().until(|told| told["answered"]["samples"].as_u64());
    assert!(kept < 6 && samples > 0);

    // One leaves: it keeps what it has, and takes nothing more.
    let leave = ["storage", "leave", "--config", &config(holders[5]), "--json"];
    json(directory, 0, &leave);
    let status = ["storage", "status", "--config", &config(holders[5]), "--json"];
    let status = json(directory, 0, &status);
    assert!(status["closing_since"].as_u64().is_some() && status["leases"] == 1, "{status}");

    // Two more are killed: four fragments are left, the rebuilt one among them.
    for holder in &holders[1..3] {
        nodes[*holder].take().unwrap().kill();
    }
    let fetch = ["fetch", &pack, "--config", "net/nodes/0/node.toml", "--mask", &mask];
    let fetched = json(directory, 0, &[&fetch[..], &["--into", "back", "--json"]].concat());
    assert_eq!(fetched["pack"], Value::String(pack.clone()));
    let back = std::fs::read(directory.join(format!("back/{pack}.car"))).unwrap();
    assert_eq!(back, std::fs::read(directory.join(&car)).unwrap());
}

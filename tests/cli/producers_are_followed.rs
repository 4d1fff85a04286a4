//! `produce`: what a database seals is anchored, packed and kept by others, once, whenever it is stopped.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::run::{expect, json as run, program};
use crate::storage_peers_keep_packs::{PEERS, VALIDATORS, config, network, open_storage};

const PRODUCE: [&str; 20] = [
    "produce",
    "--db",
    "fleet.db",
    "--config",
    "net/nodes/0/node.toml",
    "--wallet",
    "net/wallet",
    "--packs",
    "packs",
    "--profile",
    "lab",
    "--epochs",
    "500",
    "--price",
    "0.01",
    "--every",
    "1",
    "--deadline",
    "100",
    "--json",
];

#[test]
fn what_is_sealed_is_anchored_packed_and_kept_although_the_producer_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let _nodes = network(directory);
    open_storage(directory);
    let fleet = ["bench", "fleet", "--vehicles", "3", "--seconds", "7000", "--out", "fleet.lp"];
    expect(directory, 0, &fleet);
    expect(directory, 0, &["ingest", "--db", "fleet.db", "fleet.lp"]);
    expect(directory, 0, &["seal", "--db", "fleet.db", "--all"]);

    // It is killed as soon as it has placed a pack on the ledger, before peers are drawn for it.
    let mut child = Command::new(program())
        .args(PRODUCE.iter().filter(|argument| **argument != "--json"))
        .args(["--patience-hours", "0"])
        .current_dir(directory)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let placed = lines.map_while(Result::ok).find(|line| line.contains("are placed"));
    assert!(placed.is_some());
    child.kill().unwrap();
    child.wait().unwrap();

    let once = [&PRODUCE[..], &["--once"]].concat();
    let first = run(directory, 0, &once);
    assert_eq!((&first["anchored_batches"], &first["packed"]), (&json!(0), &json!([])), "{first}");
    let packs = first["placed"].as_array().unwrap().clone();
    assert!(!packs.is_empty());
    let again = run(directory, 0, &once);
    assert_eq!((&again["placed"], &again["waiting_chunks"]), (&json!([]), &json!(0)), "{again}");

    // What is sealed later is in packs of its own.
    let later = "speed,device=late value=7 1893456000000000000\n";
    std::fs::write(directory.join("late.lp"), later).unwrap();
    expect(directory, 0, &["ingest", "--db", "fleet.db", "late.lp"]);
    expect(directory, 0, &["seal", "--db", "fleet.db", "--all"]);
    let second = run(directory, 0, &once);
    assert_eq!(second["anchored_batches"], 1, "{second}");
    let new = second["placed"].as_array().unwrap().clone();
    assert_eq!(new.len(), 1);

    // Every sealed chunk comes back.
    let mut items = 0;
    for pack in packs.iter().chain(&new).filter_map(Value::as_str) {
        let mask = format!("packs/{pack}.mask");
        let fetch = ["fetch", pack, "--config", "net/nodes/0/node.toml", "--mask", &mask];
        run(directory, 0, &[&fetch[..], &["--into", "back", "--json"]].concat());
        let inspect =
            run(directory, 0, &["pack", "inspect", &format!("back/{pack}.car"), "--json"]);
        items += inspect["items"].as_u64().unwrap();
    }
    let statistics = run(directory, 0, &["stats", "--db", "fleet.db", "--json"]);
    assert_eq!(statistics["sealed_chunks"].as_u64(), Some(items));
}

#[test]
fn what_a_peer_loses_is_given_to_another_by_the_producer_where_nobody_repairs() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let mut nodes = network(directory);
    open_storage(directory);
    let line = "speed,device=car value=7 1893456000000000000\n";
    std::fs::write(directory.join("car.lp"), line).unwrap();
    expect(directory, 0, &["ingest", "--db", "fleet.db", "car.lp"]);
    expect(directory, 0, &["seal", "--db", "fleet.db", "--all"]);
    let first = run(directory, 0, &[&PRODUCE[..], &["--once"]].concat());
    assert_eq!(first["placed"].as_array().unwrap().len(), 1, "{first}");

    // A peer dies for good, and loses its lease after three audits.
    let leases = |number: usize| {
        let leases = ["storage", "leases", "--config", &config(number), "--json"];
        run(directory, 0, &leases).as_array().unwrap().len()
    };
    let holder = (VALIDATORS..VALIDATORS + PEERS).find(|number| leases(*number) > 0).unwrap();
    nodes.remove(holder).kill();
    let mut child = Command::new(program())
        .args(PRODUCE)
        .current_dir(directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // A round a second, or more where it waits for the network: one that stands still ends by its deadline.
    let moved = lines
        .map_while(Result::ok)
        .map(|line| serde_json::from_str::<Value>(&line).unwrap())
        .take(600)
        .find(|round| round["moved_leases"] == 1);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(moved.is_some(), "the lease was never moved");
    let left = (VALIDATORS..VALIDATORS + PEERS).filter(|number| *number != holder);
    assert_eq!(left.map(leases).sum::<usize>(), 6);
}

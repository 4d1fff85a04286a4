//! Sealed chunks are anchored, once, and a proof of that needs nothing but the genesis' hash.

use std::fs;
use std::path::Path;

use chronolith::chain::Chain;
use chronolith::chain::anchor::{Anchoring, Ground};
use chronolith::wallet::Wallet;
use chronolith_engine::{Db, Options};
use serde_json::{Value, json};

use crate::run::{chronolith, expect, json, source};

fn database(directory: &Path) {
    let fleet = source("testdata/ingest/fleet.lp").display().to_string();
    expect(directory, 0, &["ingest", "--db", "db", &fleet]);
    expect(directory, 0, &["seal", "--db", "db", "--all"]);
}

fn anchor(directory: &Path, more: &[&str]) -> Value {
    let arguments = ["chain", "anchor", "--db", "db", "--chain", "c", "--wallet", "w", "--json"];
    json(directory, 0, &[&arguments[..], more].concat())
}

fn chunks(directory: &Path) -> Vec<String> {
    let listed = json(directory, 0, &["chunks", "--db", "db", "--json"]);
    let cids = listed.as_array().unwrap().iter().map(|chunk| chunk["cid"].as_str().unwrap());
    cids.map(ToOwned::to_owned).collect()
}

#[test]
fn batches_are_anchored_once_and_later_ones_follow() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    database(directory);
    let init = ["chain", "init", "--dir", "c", "--wallet", "w", "--json"];
    json(directory, 0, &init);
    let first = anchor(directory, &[]);
    let batches = first["anchored"].as_array().unwrap().len();
    assert!(batches > 0 && !first["registered"].as_array().unwrap().is_empty(), "{first}");
    assert_eq!(first["known"], 0);
    let again = anchor(directory, &[]);
    assert_eq!((&again["anchored"], &again["registered"]), (&json!([]), &json!([])));
    assert_eq!(again["known"], batches);
    assert_eq!(again["height"], first["height"], "nothing to say makes no block");

    let line = "speed,device=late value=1 1767225600000000000\n";
    fs::write(directory.join("late.lp"), line).unwrap();
    expect(directory, 0, &["ingest", "--db", "db", "late.lp"]);
    expect(directory, 0, &["seal", "--db", "db", "--all"]);
    let more = anchor(directory, &[]);
    assert_eq!(more["known"], batches);
    assert_eq!(more["anchored"].as_array().unwrap().len(), 1);
    let audit = json(directory, 0, &["chain", "audit", "--dir", "c", "--json"]);
    assert_eq!((&audit["holds"], &audit["refused"]), (&json!(true), &json!(0)));
}

#[test]
fn every_chunk_is_proved_from_the_hash_of_the_genesis_alone() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    database(directory);
    let init = ["chain", "init", "--dir", "c", "--wallet", "w", "--validators", "4", "--json"];
    let made = json(directory, 0, &init);
    let chain = made["chain"].as_str().unwrap();
    let cids = chunks(directory);
    assert!(cids.len() > 1);
    for cid in &cids {
        anchor(directory, &["--chunk", cid, "--prove", "proof"]);
        let verify = ["chain", "verify", "proof", "--trust", chain, "--chunk", cid, "--json"];
        let verified = json(directory, 0, &verify);
        assert_eq!((&verified["holds"], &verified["chunk"]), (&json!(true), &json!(cid)));
        assert_eq!(verified["anchored_by"], made["account"]);
    }
    let other = ["chain", "verify", "proof", "--trust", chain, "--chunk", &cids[0]];
    let output = chronolith(directory, &other);
    assert_eq!(output.status.code(), Some(1), "a proof of one chunk proves no other");
    let genesis = ["chain", "verify", "proof", "--genesis", "c", "--json"];
    assert_eq!(json(directory, 0, &genesis)["holds"], true);

    // No bit of a proof can be another, but in what the verifier gives himself.
    let whole = fs::read(directory.join("proof")).unwrap();
    let cid = cids.last().unwrap();
    for at in (0..whole.len()).step_by(37) {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        fs::write(directory.join("changed"), &changed).unwrap();
        let verify = ["chain", "verify", "changed", "--trust", chain, "--chunk", cid];
        assert_eq!(chronolith(directory, &verify).status.code(), Some(1), "byte {at}");
    }
    for cut in [0, 7, 8, 100, whole.len() - 1] {
        fs::write(directory.join("changed"), &whole[..cut]).unwrap();
        let verify = ["chain", "verify", "changed", "--trust", chain];
        assert_eq!(chronolith(directory, &verify).status.code(), Some(1), "cut at {cut}");
    }
}

/// `--chunk` with another text than a chunk's was told after everything was anchored and paid for, and
/// where the proof could not be written, nothing of what was anchored was told: it was printed last.
#[test]
fn what_is_in_a_block_is_told_and_what_is_no_chunk_anchors_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    database(directory);
    json(directory, 0, &["chain", "init", "--dir", "c", "--wallet", "w", "--json"]);
    let anchor = ["chain", "anchor", "--db", "db", "--dir", "c", "--wallet", "w", "--json"];
    let told = |arguments: &[&str], problem: &str| {
        let output = chronolith(directory, arguments);
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {told}");
        assert!(told.contains(problem), "{arguments:?}: {told}");
        output.stdout
    };
    let unknown = [&anchor[..], &["--chunk", "unknown", "--prove", "p"]].concat();
    assert!(told(&unknown, "no sealed chunk unknown").is_empty());
    assert_eq!(json(directory, 0, &["chain", "status", "--dir", "c", "--json"])["height"], 0);
    let cids = chunks(directory);
    let chunk = [&anchor[..], &["--chunk", &cids[0], "--prove", "no/p"]].concat();
    let anchored = told(&chunk, "anchored, but the chunk is not proved: cannot write no/p");
    let anchored: Value = serde_json::from_slice(&anchored).unwrap();
    assert_eq!(anchored["height"], 1);

    let body = json!({"action": {"IssueCoin": {
        "symbol": "MILE", "decimals": 2, "cap": "1000000", "supply": "500",
    }}});
    fs::write(directory.join("body"), body.to_string()).unwrap();
    let sign = ["wallet", "sign", "--wallet", "w", "--chain", "c", "body"];
    fs::write(directory.join("signed"), expect(directory, 0, &sign)).unwrap();
    let tx = ["chain", "tx", "--dir", "c", "signed", "--json", "--prove", "no/p"];
    let receipt = told(&tx, "is in a block, but not proved: cannot write no/p");
    let receipt: Value = serde_json::from_slice(&receipt).unwrap();
    assert_eq!((&receipt["height"], &receipt["refusal"]), (&json!(2), &Value::Null));
    told(&["chain", "tx", "--dir", "c", "no"], "neither a file nor the id of a transaction");
}

#[test]
fn accounts_transactions_and_contributions_are_proved() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let made = json(directory, 0, &["chain", "init", "--dir", "c", "--wallet", "w", "--json"]);
    let chain = made["chain"].as_str().unwrap();
    expect(directory, 0, &["wallet", "new", "friend", "--wallet", "w"]);
    let send = ["wallet", "send", "--chain", "c", "--wallet", "w", "--to", "friend"];
    let sent = json(directory, 0, &[&send[..], &["--amount", "2", "--json"]].concat());
    json(directory, 0, &[&send[..], &["--amount", "3", "--json"]].concat());
    let verify = ["chain", "verify", "p", "--trust", chain, "--json"];

    let account = ["chain", "account", "--dir", "c", "--wallet", "w", "friend", "--prove", "p"];
    expect(directory, 0, &account);
    let verified = json(directory, 0, &verify);
    assert_eq!(verified["facts"][0]["value"]["balance"], "5000000000000000000");

    let id = sent["id"].as_str().unwrap();
    expect(directory, 0, &["chain", "tx", "--dir", "c", id, "--prove", "p"]);
    let verified = json(directory, 0, &verify);
    assert_eq!((&verified["height"], &verified["facts"][0]["id"]), (&json!(1), &json!(id)));
    assert_eq!(verified["facts"][1]["receipt"]["refusal"], Value::Null);

    let contribution = ["chain", "contribution", "--dir", "c", "--prove", "p", "--json"];
    let listed = json(directory, 0, &contribution);
    assert_eq!(listed["nodes"].as_array().unwrap().len(), 1);
    let verified = json(directory, 0, &verify);
    assert_eq!(verified["facts"][0]["kind"], "parameters");
    assert_eq!(verified["facts"][3]["kind"], "validator");

    // Somebody who has nothing is proved to have nothing.
    expect(directory, 0, &["wallet", "new", "nobody", "--wallet", "w"]);
    let account = ["chain", "account", "--dir", "c", "--wallet", "w", "nobody", "--prove", "p"];
    expect(directory, 0, &account);
    assert_eq!(json(directory, 0, &verify)["facts"][0]["value"], Value::Null);
}

#[test]
fn sealing_and_anchoring_are_one_command() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let fleet = source("testdata/ingest/fleet.lp").display().to_string();
    expect(directory, 0, &["ingest", "--db", "db", &fleet]);
    let seal = ["seal", "--db", "db", "--all", "--chain", "c", "--wallet", "w", "--json"];
    // Without a chain nothing is sealed either.
    let output = chronolith(directory, &seal);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("chronolith chain init"));
    assert!(chunks(directory).is_empty());
    json(directory, 0, &["chain", "init", "--dir", "c", "--wallet", "w", "--json"]);
    let sealed = json(directory, 0, &seal);
    let anchored = sealed["anchors"]["anchored"].as_array().unwrap();
    assert_eq!(anchored.len(), sealed["batches"].as_array().unwrap().len());
    assert_eq!(anchored[0]["root"], sealed["batches"][0]["root"]);
    let again = json(directory, 0, &seal);
    assert_eq!((&again["anchors"]["anchored"], &again["chunks"]), (&json!([]), &json!(0)));
}

#[test]
fn a_batch_of_more_devices_than_an_anchor_holds_takes_several_and_goes_on_where_it_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let lines = |time: u64| -> String {
        (0..700).map(|car| format!("speed,device=car{car:03} value={car} {time}\n")).collect()
    };
    fs::write(directory.join("many.lp"), lines(1_767_225_600_000_000_000)).unwrap();
    expect(directory, 0, &["ingest", "--db", "db", "many.lp"]);
    expect(directory, 0, &["seal", "--db", "db", "--all"]);
    let made = json(directory, 0, &["chain", "init", "--dir", "c", "--wallet", "w", "--json"]);

    // Anchoring is stopped after the first of two anchors.
    {
        let db = Db::open(directory.join("db"), Options::read_only()).unwrap();
        let account = Wallet::at(directory.join("w")).load("main").unwrap();
        let mut chain = Chain::open(&directory.join("c")).unwrap();
        let (height, state) = (chain.height().unwrap(), chain.state().unwrap());
        let ground = Ground { chain: chain.id(), height, state };
        let mut planned = Anchoring::plan(ground, &db, &account).unwrap().take_transactions();
        assert_eq!(planned.len(), 700 + 2);
        planned.pop();
        chain.commit(planned).unwrap();
    }
    let rest = anchor(directory, &[]);
    let anchored = &rest["anchored"][0];
    assert_eq!((&anchored["devices"], &rest["registered"]), (&json!(700 - 512), &json!([])));
    assert_eq!(anchored["transactions"].as_array().unwrap().len(), 1);
    assert_eq!(anchor(directory, &[])["anchored"], json!([]));

    // The next batch goes on from there, whole.
    fs::write(directory.join("more.lp"), lines(1_767_312_000_000_000_000)).unwrap();
    expect(directory, 0, &["ingest", "--db", "db", "more.lp"]);
    expect(directory, 0, &["seal", "--db", "db", "--all"]);
    let next = anchor(directory, &[]);
    assert_eq!(next["anchored"][0]["transactions"].as_array().unwrap().len(), 2);
    let audit = json(directory, 0, &["chain", "audit", "--dir", "c", "--json"]);
    assert_eq!((&audit["holds"], &audit["refused"]), (&json!(true), &json!(0)));
    // A chunk of each is proved from the root that both anchors share.
    let chain = made["chain"].as_str().unwrap();
    let cids = chunks(directory);
    for cid in [&cids[0], &cids[cids.len() - 1]] {
        anchor(directory, &["--chunk", cid, "--prove", "proof"]);
        let verify = ["chain", "verify", "proof", "--trust", chain, "--chunk", cid, "--json"];
        assert_eq!(json(directory, 0, &verify)["holds"], true);
    }
}

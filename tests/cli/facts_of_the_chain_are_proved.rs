//! Whatever is shown of a chain is proved, to who trusts its genesis or one of its blocks.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::run::{chronolith, expect, json};

/// A chain of four validators with a few transfers; its id.
fn chain(directory: &Path) -> String {
    let init = ["chain", "init", "--dir", "c", "--wallet", "w", "--validators", "4", "--json"];
    let made = json(directory, 0, &init);
    expect(directory, 0, &["wallet", "new", "friend", "--wallet", "w"]);
    for _ in 0..4 {
        send(directory);
    }
    made["chain"].as_str().unwrap().to_owned()
}

fn send(directory: &Path) -> Value {
    let send = ["wallet", "send", "--chain", "c", "--wallet", "w", "--to", "friend"];
    json(directory, 0, &[&send[..], &["--amount", "1", "--json"]].concat())
}

/// The facts of a proof by their kinds, checked from the chain's id.
fn facts(directory: &Path, chain: &str) -> Vec<(String, Value)> {
    let verified = json(directory, 0, &["chain", "verify", "p", "--trust", chain, "--json"]);
    assert_eq!(verified["holds"], true);
    let facts = verified["facts"].as_array().unwrap().iter();
    facts.map(|fact| (fact["kind"].as_str().unwrap().to_owned(), fact["value"].clone())).collect()
}

#[test]
fn status_blocks_and_validators_are_proved() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let chain = chain(directory);
    let prove = |what: &[&str]| {
        let command = [&["chain"], what, &["--dir", "c", "--prove", "p", "--json"]].concat();
        json(directory, 0, &command)
    };
    let status = prove(&["status"]);
    let of_status = facts(directory, &chain);
    assert_eq!(of_status.iter().map(|(kind, _)| kind).collect::<Vec<_>>(), ["supply", "seats"]);
    assert_eq!(of_status[1].1.as_array().unwrap().len(), 4);
    let coins = of_status[0].1["minted"].as_str().unwrap();
    assert!(coins.starts_with(status["minted"].as_str().unwrap().split('.').next().unwrap()));

    let listed = prove(&["validators"]);
    let of_validators = facts(directory, &chain);
    assert_eq!(of_validators.len(), 1 + 4);
    for (shown, (kind, value)) in
        listed["validators"].as_array().unwrap().iter().zip(&of_validators[1..])
    {
        assert_eq!(
            (kind.as_str(), &value["consensus_key"]),
            ("validator", &shown["consensus_key"])
        );
    }

    let block = prove(&["block", "2"]);
    let verified = json(directory, 0, &["chain", "verify", "p", "--trust", &chain, "--json"]);
    for field in ["block", "state_root", "time"] {
        assert_eq!(verified[field], block[field], "{field}");
    }
    assert_eq!((&verified["height"], &verified["transactions"]), (&json!(2), &json!(1)));
    assert_eq!(verified["trusted_height"], 4);
}

#[test]
fn one_trusted_block_is_enough_to_verify_by() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let chain = chain(directory);
    let sent = send(directory);
    let id = sent["id"].as_str().unwrap();
    send(directory);
    let trusted = json(directory, 0, &["chain", "block", "3", "--dir", "c", "--json"]);
    let trusted = trusted["block"].as_str().unwrap();
    let tx = ["chain", "tx", "--dir", "c", id, "--prove", "p", "--since", "3"];
    expect(directory, 0, &tx);
    let verified = json(directory, 0, &["chain", "verify", "p", "--block", trusted, "--json"]);
    assert_eq!((&verified["height"], &verified["facts"][0]["id"]), (&json!(5), &json!(id)));
    assert_eq!((&verified["chain"], &verified["trusted_height"]), (&json!(chain), &json!(6)));
    // What it ends at may be trusted from then on.
    let next = verified["trusted_block"].as_str().unwrap().to_owned();
    send(directory);
    let account = ["chain", "account", "--dir", "c", "--wallet", "w", "friend"];
    expect(directory, 0, &[&account[..], &["--prove", "q", "--since", "6"]].concat());
    let verified = json(directory, 0, &["chain", "verify", "q", "--block", &next, "--json"]);
    assert_eq!(verified["facts"][0]["value"]["balance"], "7000000000000000000");

    // Neither a block that is not there nor any other byte of the proof will do.
    let refused = |arguments: &[&str]| {
        let output = chronolith(directory, arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let other = "00".repeat(32);
    let problem = refused(&["chain", "verify", "p", "--block", &other]);
    assert!(problem.contains("--since"), "{problem}");
    let whole = fs::read(directory.join("p")).unwrap();
    for at in (0..whole.len()).step_by(41) {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        fs::write(directory.join("x"), &changed).unwrap();
        refused(&["chain", "verify", "x", "--block", trusted]);
    }
    // A proof that begins at a block holds no genesis, and says so.
    let problem = refused(&["chain", "verify", "p", "--trust", &chain]);
    assert!(problem.contains("--genesis FILE"), "{problem}");
    let beyond = refused(&["chain", "status", "--dir", "c", "--prove", "x", "--since", "99"]);
    assert!(beyond.contains("99"), "{beyond}");
}

/// Of a proof, 64 MiB were read and the rest was cut off, which was told as damage, and a genesis was
/// read whatever its size. Both have a bound that is told, and that all that is written keeps.
#[test]
fn what_is_too_long_to_be_a_proof_or_a_genesis_is_not_read_to_its_end() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let chain = chain(directory);
    expect(directory, 0, &["chain", "status", "--dir", "c", "--prove", "p"]);
    let refused = |arguments: &[&str], reason: &str| {
        let output = chronolith(directory, &[&["chain", "verify"], arguments].concat());
        let problem = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {problem}");
        assert!(problem.contains(reason), "{arguments:?}: {problem}");
    };
    // Files with a hole, as large as no memory is.
    let lengthen = |name: &str| {
        let file = fs::File::options().append(true).create(true).open(directory.join(name));
        file.unwrap().set_len(1 << 40).unwrap();
    };
    lengthen("p");
    refused(&["p", "--trust", &chain], "bytes, which no proof is");
    lengthen("zeros");
    refused(&["zeros", "--trust", &chain], "neither a proof nor an export");
    expect(directory, 0, &["chain", "status", "--dir", "c", "--prove", "p"]);
    refused(&["p", "--genesis", "zeros"], "zeros is longer than 16777216 bytes");
    refused(&["p", "--genesis", "p"], "p is no genesis");
    refused(&["p", "--genesis", "nothing"], "cannot open nothing");
    refused(&["p", "--genesis", "w"], "there is no chain in w");
    expect(directory, 0, &["chain", "verify", "p", "--genesis", "c/genesis"]);
}

/// `--trusting-days` was not looked at where the file is an export: it holds for both now.
#[test]
fn trust_that_ended_is_refused_for_proofs_and_for_exports() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let chain = chain(directory);
    expect(directory, 0, &["chain", "status", "--dir", "c", "--prove", "p"]);
    expect(directory, 0, &["chain", "export", "--dir", "c", "e"]);
    for file in ["p", "e"] {
        let verify = ["chain", "verify", file, "--trust", &chain, "--trusting-days"];
        for days in ["1", "18446744073709551615"] {
            expect(directory, 0, &[&verify[..], &[days]].concat());
        }
        let output = chronolith(directory, &[&verify[..], &["0"]].concat());
        let problem = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{file}: {problem}");
        assert!(problem.contains("trusted"), "{file}: {problem}");
    }
}

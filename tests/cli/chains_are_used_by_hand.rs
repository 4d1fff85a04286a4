//! A chain is made, used, looked at and checked from the command line.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::run::{chronolith, expect, json, kills, program};

fn init(directory: &Path, validators: &str) -> Value {
    let arguments =
        ["chain", "init", "--dir", "c", "--wallet", "w", "--validators", validators, "--json"];
    json(directory, 0, &arguments)
}

/// Signs JSON with the account `main`.
fn sign(directory: &Path, transaction: &Value) -> String {
    fs::write(directory.join("unsigned.json"), transaction.to_string()).unwrap();
    let arguments = ["wallet", "sign", "--wallet", "w", "--chain", "c", "unsigned.json"];
    let signed = expect(directory, 0, &arguments);
    fs::write(directory.join("signed.json"), &signed).unwrap();
    signed
}

fn refused(directory: &Path, arguments: &[&str]) -> String {
    let output = chronolith(directory, arguments);
    let problem = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {problem}");
    problem
}

#[test]
fn coin_is_sent_and_counted_by_one_and_by_four_validators() {
    for validators in ["1", "4"] {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path();
        init(directory, validators);
        expect(directory, 0, &["wallet", "new", "friend", "--wallet", "w"]);
        let send = ["wallet", "send", "--chain", "c", "--wallet", "w", "--to", "friend"];
        for height in 1..=3 {
            let sent = json(directory, 0, &[&send[..], &["--amount", "1.25", "--json"]].concat());
            assert_eq!((&sent["height"], &sent["refusal"]), (&json!(height), &Value::Null));
        }
        let account = ["chain", "account", "--dir", "c", "--wallet", "w", "friend", "--json"];
        assert_eq!(json(directory, 0, &account)["balance"], "3.75");
        let status = json(directory, 0, &["chain", "status", "--dir", "c", "--json"]);
        assert_eq!(status["height"], 3);
        let block = json(directory, 0, &["chain", "block", "--dir", "c", "2", "--json"]);
        assert_eq!(block["transactions"][0]["action"], "Transfer");
        let audit = json(directory, 0, &["chain", "audit", "--dir", "c", "--json"]);
        assert_eq!((&audit["holds"], &audit["transactions"]), (&json!(true), &json!(3)));
        assert_eq!(audit["state_root"], status["state_root"]);
        let listed = json(directory, 0, &["chain", "validators", "--dir", "c", "--json"]);
        assert_eq!(listed["validators"].as_array().unwrap().len().to_string(), validators);
        let lot = json(directory, 0, &["chain", "lot", "--dir", "c", "--json"]);
        assert_eq!(lot["term"], 0);
    }
}

#[test]
fn a_transaction_as_json_is_signed_handed_in_and_found_again() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    init(directory, "1");
    let issue = json!({"action": {"IssueCoin": {
        "symbol": "MILE", "decimals": 2, "cap": "1000000", "supply": "500",
    }}});
    let signed: Value = serde_json::from_str(&sign(directory, &issue)).unwrap();
    assert_eq!(signed["body"]["nonce"], 0);
    let receipt = json(directory, 0, &["chain", "tx", "--dir", "c", "signed.json", "--json"]);
    let id = receipt["id"].as_str().unwrap();
    let found = json(directory, 0, &["chain", "tx", "--dir", "c", id, "--json"]);
    assert_eq!(found["transaction"], signed);
    assert_eq!((&found["height"], &found["refusal"]), (&json!(1), &Value::Null));
    let account = ["chain", "account", "--dir", "c", "--wallet", "w", "main", "--json"];
    assert_eq!(json(directory, 0, &account)["issued_coin"][0]["amount"], "500");
    // The same once more cannot be.
    let problem = refused(directory, &["chain", "tx", "--dir", "c", "signed.json"]);
    assert!(problem.contains("nonce 0") && problem.contains("next is 1"), "{problem}");
    // Who was stopped before he was told sees that it was done.
    assert!(problem.contains("block 1 holds this transaction already"), "{problem}");
}

#[test]
fn an_action_that_is_refused_says_why_and_ends_with_one() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    init(directory, "1");
    let coin = "11".repeat(32);
    sign(directory, &json!({"action": {"LockCoin": {"coin": coin}}}));
    let arguments = ["chain", "tx", "--dir", "c", "signed.json", "--json"];
    let output = chronolith(directory, &arguments);
    assert_eq!(output.status.code(), Some(1));
    let receipt: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(receipt["refusal"], json!({"Missing": "Coin"}));
    assert_eq!(receipt["height"], 1);
    let problem = String::from_utf8(output.stderr).unwrap();
    assert!(problem.contains("there is no such coin"), "{problem}");
}

#[test]
fn what_is_no_transaction_is_refused_with_a_reason() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    init(directory, "1");
    let to = init_other(directory);
    let transfer = json!({"action": {"Transfer": {"to": to, "coin": "Native", "amount": "5"}}});
    let signed: Value = serde_json::from_str(&sign(directory, &transfer)).unwrap();
    type Change = fn(&mut Value);
    let changes: [(Change, &str); 8] = [
        (|tx| tx["body"]["fee"] = json!("7"), "not signed by its sender"),
        (|tx| tx["body"]["nonce"] = json!(9), "not signed by its sender"),
        (|tx| tx["signature"] = json!("00".repeat(64)), "not signed by its sender"),
        (|tx| tx["signature"] = json!("00"), "128 hexadecimal digits"),
        (|tx| tx["body"]["fee"] = json!(7), "decimal digits in a text"),
        (|tx| tx["body"]["sender"] = json!("chron1qqq"), "typing error"),
        (|tx| tx["body"]["action"] = json!({"Fly": {}}), "unknown variant `Fly`"),
        (|tx| tx["body"]["more"] = json!(1), "unknown field `more`"),
    ];
    for (change, reason) in changes {
        let mut changed = signed.clone();
        change(&mut changed);
        fs::write(directory.join("wrong.json"), changed.to_string()).unwrap();
        let problem = refused(directory, &["chain", "tx", "--dir", "c", "wrong.json"]);
        assert!(problem.contains(reason) && !problem.contains("already"), "{problem}");
    }
    let problem = refused(directory, &["chain", "tx", "--dir", "c", "nothing.json"]);
    assert!(problem.contains("nothing.json"), "{problem}");
    // Nothing of it came to be.
    let status = json(directory, 0, &["chain", "status", "--dir", "c", "--json"]);
    assert_eq!(status["height"], 0);
    // One that is ahead of its sender's next would be waited for in vain.
    let mut ahead = transfer;
    ahead["nonce"] = json!(3);
    sign(directory, &ahead);
    let problem = refused(directory, &["chain", "tx", "--dir", "c", "signed.json"]);
    assert!(problem.contains("nonce 3") && problem.contains("next is 0"), "{problem}");
}

fn init_other(directory: &Path) -> Value {
    json(directory, 0, &["wallet", "new", "friend", "--wallet", "w", "--json"])["address"].clone()
}

#[test]
fn chains_begin_in_empty_directories_and_one_process_uses_one_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let problem = refused(directory, &["chain", "status", "--dir", "c"]);
    assert!(problem.contains("chronolith chain init"), "{problem}");
    init(directory, "1");
    let again = ["chain", "init", "--dir", "c", "--wallet", "w"];
    assert!(refused(directory, &again).contains("not empty"));

    // A process that waits for its input after it opened nothing yet does not hold the chain; one
    // that holds the lock does.
    let lock = fs::File::open(directory.join("c/lock"));
    let lock = lock.or_else(|_| fs::File::create(directory.join("c/lock"))).unwrap();
    lock.try_lock().unwrap();
    let problem = refused(directory, &["chain", "status", "--dir", "c"]);
    assert!(problem.contains("in use by another process"), "{problem}");
    drop(lock);
    expect(directory, 0, &["chain", "status", "--dir", "c"]);
}

#[test]
fn an_export_is_checked_from_the_genesis_alone() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let made = init(directory, "4");
    let chain = made["chain"].as_str().unwrap();
    let to = init_other(directory);
    for _ in 0..3 {
        let to = to.as_str().unwrap();
        let send = ["wallet", "send", "--chain", "c", "--wallet", "w", "--to", to, "--amount", "1"];
        expect(directory, 0, &send);
    }
    let exported = json(directory, 0, &["chain", "export", "--dir", "c", "e", "--json"]);
    assert_eq!(exported["blocks"], 3);
    let verify = ["chain", "verify", "e", "--trust", chain, "--json"];
    let verified = json(directory, 0, &verify);
    let status = json(directory, 0, &["chain", "status", "--dir", "c", "--json"]);
    assert_eq!(verified["state_root"], status["state_root"]);
    assert_eq!(verified["height"], 3);
    let other = "00".repeat(32);
    assert!(refused(directory, &["chain", "verify", "e", "--trust", &other]).contains("trusted"));

    // No byte of it can be another: a sample of all, with the magic and the lengths.
    let whole = fs::read(directory.join("e")).unwrap();
    for at in (0..12).chain((12..whole.len()).step_by(211)) {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        fs::write(directory.join("x"), &changed).unwrap();
        refused(directory, &["chain", "verify", "x", "--trust", chain]);
    }
    // Cut anywhere but between blocks, it is seen.
    for cut in [4, 9, 500, whole.len() / 2, whole.len() - 1] {
        fs::write(directory.join("x"), &whole[..cut]).unwrap();
        refused(directory, &["chain", "verify", "x", "--trust", chain]);
    }
}

/// An export was written under its own name: one that was stopped left a file cut off, and the next
/// said that it was there already. Now it gets its name when it is whole, and a file that is there
/// stays as it is.
#[test]
fn an_export_that_is_killed_is_done_again() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let chain = init(directory, "1")["chain"].as_str().unwrap().to_owned();
    let to = init_other(directory);
    let to = to.as_str().unwrap();
    let send = ["wallet", "send", "--chain", "c", "--wallet", "w", "--to", to, "--amount", "1"];
    expect(directory, 0, &send);
    let export = ["chain", "export", "--dir", "c", "e"];
    for round in 0..kills(6) {
        let mut child =
            Command::new(program()).args(export).current_dir(directory).spawn().unwrap();
        // Killed at some moment of its life.
        std::thread::sleep(Duration::from_millis(round * 7 % 40));
        child.kill().unwrap();
        child.wait().unwrap();
        if !directory.join("e").exists() {
            expect(directory, 0, &export);
        }
        expect(directory, 0, &["chain", "verify", "e", "--trust", &chain]);
        let left = fs::read_dir(directory).unwrap();
        let left = left.filter(|entry| entry.as_ref().unwrap().file_name() == ".e.new").count();
        assert_eq!(left, 0, "what a killed one left is used up");
        fs::remove_file(directory.join("e")).unwrap();
    }
    fs::write(directory.join("e"), "mine").unwrap();
    assert!(refused(directory, &export).contains("is there already"));
    assert_eq!(fs::read(directory.join("e")).unwrap(), b"mine");
}

/// Who sent more than he had paid a fee to be told so, and for nothing at all, or to himself, as well:
/// the ledger alone looked. What it would refuse is not handed in.
#[test]
fn what_cannot_be_sent_costs_no_fee() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    init(directory, "1");
    let to = init_other(directory);
    let to = to.as_str().unwrap();
    let (coin, memo) = ("11".repeat(32), "m".repeat(65));
    let send = |to, amount, more: &[&str]| {
        let send = ["wallet", "send", "--chain", "c", "--wallet", "w"];
        chronolith(directory, &[&send[..], &["--to", to, "--amount", amount], more].concat())
    };
    let none: &[&str] = &[];
    for (to, amount, more, code, told) in [
        (to, "0", none, 2, "nothing would be sent"),
        (to, "0motes", none, 2, "nothing would be sent"),
        ("main", "1", none, 2, "the account that sends"),
        (to, "1", &["--memo", &memo], 2, "65 bytes"),
        (to, "340282366920938463464", none, 2, "more than there can be"),
        (to, "5000000", none, 1, "main has 1000000 coin, and 5000000 with a fee of 0.0"),
        (to, "1000000", none, 1, "main has 1000000 coin"),
        (to, "340282366920938463463", none, 1, "main has 1000000 coin"),
        (to, "1", &["--coin", &coin], 1, "there is no coin 1111"),
    ] {
        let output = send(to, amount, more);
        let problem = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{amount} {more:?}: {problem}");
        assert!(problem.contains(told), "{amount} {more:?}: {problem}");
    }
    let status = json(directory, 0, &["chain", "status", "--dir", "c", "--json"]);
    assert_eq!(status["height"], 0);
    let issue = json!({"action": {"IssueCoin": {
        "symbol": "MILE", "decimals": 2, "cap": "1000000", "supply": "500",
    }}});
    sign(directory, &issue);
    expect(directory, 0, &["chain", "tx", "--dir", "c", "signed.json"]);
    let account = ["chain", "account", "--dir", "c", "--wallet", "w", "main", "--json"];
    let held = json(directory, 0, &account)["issued_coin"][0]["coin"].clone();
    let issued = ["--coin", held.as_str().unwrap()];
    let problem = send(to, "501", &issued).stderr;
    let problem = String::from_utf8(problem).unwrap();
    assert!(problem.contains("main has 500 of that coin"), "{problem}");
    assert!(send(to, "500", &issued).status.success());
}

/// The keys of validators were read whatever their size, and though others could read them, too:
/// only those of wallets were looked at first. Both are read by one rule now.
#[test]
#[cfg(unix)]
fn keys_of_validators_are_private_and_small() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    init(directory, "1");
    let key = directory.join("c/validators/0/key");
    let mode = |mode| fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
    let status = ["chain", "status", "--dir", "c"];
    mode(0o640);
    assert!(refused(directory, &status).contains("chmod 600 c/validators/0/key"));
    mode(0o600);
    expect(directory, 0, &status);
    let whole = fs::read(&key).unwrap();
    // A file without bytes, as large as no memory is.
    fs::File::create(&key).unwrap().set_len(1 << 40).unwrap();
    assert!(refused(directory, &status).contains("it is too large"));
    fs::write(&key, [0xff; 100]).unwrap();
    assert!(refused(directory, &status).contains("it is no text"));
    fs::write(&key, &whole[..whole.len() / 2]).unwrap();
    assert!(refused(directory, &status).contains("is no key of a validator"));
    fs::remove_file(&key).unwrap();
    assert!(refused(directory, &status).contains("c/validators/0/key: No such file"));
    fs::create_dir(&key).unwrap();
    assert!(refused(directory, &status).contains("it is no file"));
}

#[test]
fn a_killed_process_loses_no_block_that_it_told() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    init(directory, "4");
    let to = init_other(directory);
    let to = to.as_str().unwrap();
    let mut told = 0;
    for round in 0..kills(6) {
        let mut child = Command::new(program())
            .args(["wallet", "send", "--chain", "c", "--wallet", "w", "--to", to])
            .args(["--amount", "1", "--json"])
            .current_dir(directory)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // Killed at some moment of its life, and sometimes not before it told.
        if round % 3 != 0 {
            std::thread::sleep(Duration::from_millis(round * 7 % 90));
            child.kill().unwrap();
        }
        let output = child.wait_with_output().unwrap();
        if let Ok(sent) = serde_json::from_slice::<Value>(&output.stdout) {
            told = sent["height"].as_u64().unwrap();
        }
        let status = json(directory, 0, &["chain", "status", "--dir", "c", "--json"]);
        assert!(status["height"].as_u64().unwrap() >= told);
    }
    assert!(told > 0);
    let audit = json(directory, 0, &["chain", "audit", "--dir", "c", "--json"]);
    assert_eq!(audit["holds"], true);
}

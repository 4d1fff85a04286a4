//! What others have, from their files and from a chain: imported, confirmed, found, closed, forgotten,
//! and kept when a process is killed.
//!
//! `CHRONOLITH_KILLS=100 cargo test --test cli others` runs the long campaign.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::run::{chronolith, expect, json, program, source};

fn ingest(directory: &Path, db: &str, device: &str, file: &str) {
    let path = source("testdata/drives").join(file).display().to_string();
    let arguments = ["ingest", "--db", db, "--device", device, "--zone", "America/Chicago", &path];
    expect(directory, 0, &arguments);
    expect(directory, 0, &["seal", "--db", db, "--all"]);
}

/// A database with a drive, and one of somebody else with another.
fn databases(directory: &Path) {
    ingest(directory, "db", "4111928", "4111928_1_2007-05-22.csv.gz");
    ingest(directory, "other", "4112082", "4112082_1_2007-07-03.csv.gz");
}

fn search(directory: &Path, arguments: &[&str]) -> Value {
    json(directory, 0, &[&["search", "--db", "db", "--json"], arguments].concat())
}

fn column(answer: &Value, name: &str) -> BTreeSet<String> {
    let hits = answer["hits"].as_array().unwrap().iter();
    hits.map(|hit| hit[name].as_str().unwrap().to_owned()).collect()
}

fn cids(directory: &Path, db: &str) -> BTreeSet<String> {
    let listed = json(directory, 0, &["chunks", "--db", db, "--json"]);
    let cids = listed.as_array().unwrap().iter().map(|chunk| chunk["cid"].as_str().unwrap());
    cids.map(ToOwned::to_owned).collect()
}

fn import(directory: &Path, code: i32, arguments: &[&str]) -> Value {
    json(directory, code, &[&["remote", "import", "--db", "db", "--json"], arguments].concat())
}

const CHUNKS: [&str; 4] = ["--kind", "chunk", "--limit", "1000"];

#[test]
fn headers_of_a_real_drive_are_found_beside_those_of_the_database() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    databases(at);
    let (own, others) = (cids(at, "db"), cids(at, "other"));
    for file in ["headers.car", "headers.ndjson"] {
        let arguments = ["chunks", "--db", "other", "--metric", "speed_mph", "--headers", file];
        expect(at, 0, &arguments);
    }
    expect(at, 0, &["chunks", "--db", "other", "--headers", "all.car"]);
    // A part of them, the same as lines, and then all.
    let some = import(at, 0, &["headers.car"])["headers_new"].as_u64().unwrap();
    assert!(some > 0 && some < others.len() as u64);
    assert_eq!(import(at, 0, &["headers.ndjson"])["headers_known"], some);
    let rest = import(at, 0, &["all.car", "--from", "peer 12D3"]);
    assert_eq!(rest["headers_new"].as_u64().unwrap() + some, others.len() as u64);
    let found = |more: &[&str]| column(&search(at, &[&CHUNKS[..], more].concat()), "cid");
    assert_eq!(found(&["--remote"]), others);
    assert_eq!(found(&["--local"]), own);
    assert_eq!(found(&[]), own.union(&others).cloned().collect());
    // By text, label and time as those of the database.
    let july = ["--from", "2007-07-01", "--to", "2007-08-01", "speed"];
    let speeds = search(at, &july);
    assert_eq!(column(&speeds, "device"), ["4112082".to_owned()].into());
    assert_eq!(speeds["hits"][0]["records"], 1853);
    assert_eq!(speeds["hits"][0]["of"].as_str().unwrap().len(), 64, "the key of who made it");
    let counts = search(at, &["--kind", "chunk", "--counts", "device"]);
    assert_eq!(counts["counts"]["device"].as_array().unwrap().len(), 2);
    // Who told what is said, and can be taken out.
    let told = search(at, &[&CHUNKS[..], &["--remote"]].concat());
    let tellers = ["file headers.car", "peer 12D3"].map(str::to_owned);
    assert_eq!(column(&told, "told_by"), tellers.into());
    assert_eq!(column(&told, "trust"), ["told".to_owned()].into());
    let status = json(at, 0, &["remote", "status", "--db", "db", "--json"]);
    assert_eq!(status["headers"], others.len());
    let gone = json(at, 0, &["remote", "forget", "--db", "db", "--from", "peer 12D3", "--json"]);
    assert_eq!(gone["headers"], others.len() - some as usize);
    let one = found(&["--remote"]).into_iter().next().unwrap();
    expect(at, 0, &["remote", "forget", "--db", "db", &one]);
    expect(at, 1, &["remote", "forget", "--db", "db", &one]);
    assert_eq!(found(&["--remote"]).len() as u64, some - 1);
    // A database's own headers are not others'.
    expect(at, 0, &["chunks", "--db", "db", "--headers", "own.car"]);
    assert_eq!(import(at, 0, &["own.car"])["headers_own"], own.len());
    // It is part of a backup and nothing that a verification wonders at.
    expect(at, 0, &["backup", "--db", "db", "--to", "copy"]);
    expect(at, 0, &["restore", "--from", "copy", "--db", "back"]);
    for db in ["db", "copy", "back"] {
        let report = json(at, 0, &["verify", "--db", db, "--json"]);
        assert_eq!((&report["extra"], &report["faults"]), (&json!([]), &json!([])), "{db}");
    }
    let restored =
        json(at, 0, &["search", "--db", "back", "--json", "--kind", "chunk", "--remote"]);
    assert_eq!(restored["total"].as_u64(), Some(some - 1));
}

#[test]
fn what_is_not_a_header_is_refused_and_the_rest_is_taken() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    databases(at);
    expect(at, 0, &["chunks", "--db", "other", "--headers", "all.ndjson"]);
    let lines = fs::read_to_string(at.join("all.ndjson")).unwrap();
    let count = lines.lines().count();
    let mut spoilt: Vec<String> = lines.lines().map(str::to_owned).collect();
    spoilt[0] = spoilt[0].replacen("a", "b", 3).replace("cib", "cid").replace("hebder", "header");
    spoilt[1] = "{\"cid\": 7}".to_owned();
    spoilt.push("x".repeat(100));
    spoilt.push(json!({"close": "00"}).to_string());
    fs::write(at.join("spoilt.ndjson"), spoilt.join("\n")).unwrap();
    let output = chronolith(at, &["remote", "import", "--db", "db", "spoilt.ndjson"]);
    let problem = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{problem}");
    for line in [1, 2, count + 1, count + 2] {
        assert!(problem.contains(&format!("spoilt.ndjson, line {line}:")), "{problem}");
    }
    let kept = json(at, 0, &["remote", "status", "--db", "db", "--json"]);
    assert_eq!(kept["headers"], count - 2);
    for (file, bytes, part) in [
        ("cut.car", &b"\x11\xa2eroots\x80gversion\x01\x80"[..], "at byte 18"),
        ("other.car", b"\x11\xa2eroots\x80gversion\x02", "version 1 has"),
        ("proof", b"CLPROOF\x02nonsense", "proof"),
    ] {
        fs::write(at.join(file), bytes).unwrap();
        let output = chronolith(at, &["remote", "import", "--db", "db", file]);
        let problem = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && problem.contains(part), "{file}: {problem}");
    }
    let wrong = chronolith(at, &["remote", "forget", "--db", "db", "no-cid"]);
    assert_eq!(wrong.status.code(), Some(2));
    let nowhere = chronolith(at, &["remote", "status", "--db", "nowhere"]);
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(!at.join("nowhere").exists() && !at.join("other/remote").exists());
}

/// Signs an action with the account `main`, and puts it on the chain.
fn act(directory: &Path, action: &Value) {
    fs::write(directory.join("unsigned.json"), json!({"action": action}).to_string()).unwrap();
    let sign = ["wallet", "sign", "--wallet", "w", "--chain", "c", "unsigned.json"];
    fs::write(directory.join("signed.json"), expect(directory, 0, &sign)).unwrap();
    expect(directory, 0, &["chain", "tx", "--dir", "c", "signed.json"]);
}

#[test]
fn a_chain_confirms_headers_and_opens_and_closes_offers() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    databases(at);
    let made = json(at, 0, &["chain", "init", "--dir", "c", "--wallet", "w", "--json"]);
    let chain = json(at, 0, &["chain", "status", "--dir", "c", "--json"])["chain"].clone();
    let chain = chain.as_str().unwrap();
    let chunk = cids(at, "other").into_iter().next().unwrap();
    let anchor = ["chain", "anchor", "--db", "other", "--chain", "c", "--wallet", "w", "--json"];
    let proof = ["--chunk", &chunk, "--prove", "chunk.proof"];
    let anchored = json(at, 0, &[&anchor[..], &proof].concat());
    let device = anchored["registered"][0]["key"].as_str().unwrap();
    expect(at, 0, &["chunks", "--db", "other", "--headers", "all.car"]);
    // Nothing is believed without saying what is trusted, and no proof is of use without its header.
    assert_eq!(
        chronolith(at, &["remote", "import", "--db", "db", "chunk.proof"]).status.code(),
        Some(2)
    );
    import(at, 3, &["chunk.proof", "--trust", chain]);
    import(at, 0, &["all.car", "chunk.proof", "--genesis", "c"]);
    let proved = search(at, &["--kind", "chunk", "--trust", "proved", "--remote"]);
    assert_eq!(column(&proved, "cid"), [chunk].into());
    assert_eq!(column(&proved, "trust"), ["proved".to_owned()].into());
    let other = "00".repeat(32);
    assert_eq!(
        chronolith(at, &["remote", "import", "--db", "db", "chunk.proof", "--trust", &other])
            .status
            .code(),
        Some(1)
    );

    let terms = json!({
        "level": 3, "check_blocks": 100, "is_revocable": true, "revocation_fee": 0,
        "auto_grant": null,
    });
    let metrics = json!({"device": device, "tree": 0, "metrics": ["speed_mph"]});
    // From the year 2100 on, since a device is offered by who owns it then.
    let scope = json!({"subject": {"Metrics": metrics}, "from_ms": 4_102_444_800_000_u64, "until_ms": null});
    let offer = |fixed: &str| {
        json!({"Offer": {
            "scope": scope, "coin": "Native", "fixed": fixed, "per_hour": "7", "terms": terms,
        }})
    };
    act(at, &offer("340282366920938463463374607431768211000"));
    act(at, &offer("5"));
    let offers = import(at, 0, &["--chain", "c"]);
    assert_eq!(offers["offers_new"], 2);
    assert_eq!(import(at, 0, &["--chain", "c"])["offers_known"], 2);
    let found =
        search(at, &["--offers", "--sort", "price", "--counts", "coin", "metric:speed_mph"]);
    let prices: Vec<&Value> =
        found["hits"].as_array().unwrap().iter().map(|hit| &hit["fixed"]).collect();
    assert_eq!(prices, ["5", "340282366920938463463374607431768211000"]);
    assert_eq!(found["counts"]["coin"], json!([{"value": "coin", "count": 2}]));
    assert_eq!(column(&found, "trust"), ["anchored".to_owned()].into());
    assert_eq!(found["hits"][0]["until"], "");
    let cheap = ["--offers", "--min-price", "12", "--max-price", "12"];
    assert_eq!(search(at, &cheap)["total"], 1);
    assert_eq!(search(at, &["--offers", "--to", "2099-12-31"])["total"], 0);
    assert_eq!(search(at, &["--offers", "--from", "2150-01-01"])["total"], 2);
    // The owner's words beside it, and somebody who says that it is cheaper.
    let id = found["hits"][0]["id"].as_str().unwrap();
    let listed = |per_hour: &str| {
        let owner = &found["hits"][0]["owner"];
        let listing = json!({"offer": {
            "id": id, "owner": owner, "device": device, "metrics": ["speed_mph"],
            "from": "2100-01-01T00:00:00Z", "coin": "coin", "fixed": "5", "per_hour": per_hour,
            "level": 3, "region": "Illinois", "description": "Speeds of a delivery van",
        }});
        fs::write(at.join("listing.ndjson"), listing.to_string()).unwrap();
        ["listing.ndjson"]
    };
    import(at, 3, &listed("1"));
    assert_eq!(import(at, 0, &listed("7"))["offers_changed"], 1);
    let by_words = search(at, &["--offers", "delivery vans region:illinois"]);
    assert_eq!(column(&by_words, "id"), [id.to_owned()].into());
    assert_eq!(column(&by_words, "trust"), ["anchored".to_owned()].into());
    // An export says the same to who trusts the genesis alone.
    expect(at, 0, &["chain", "export", "--dir", "c", "blocks"]);
    assert_eq!(import(at, 0, &["blocks", "--trust", chain])["offers_changed"], 2);
    assert_eq!(search(at, &["--offers", "--trust", "proved"])["total"], 2);
    act(at, &json!({"CloseOffer": {"offer": id}}));
    assert_eq!(import(at, 0, &["--chain", "c"])["offers_closed"], 1);
    assert_eq!(search(at, &["--offers"])["total"], 1);
    import(at, 3, &listed("7"));
    assert_eq!(search(at, &["--offers"])["total"], 1, "what is closed does not open again");
    assert!(made["height"].is_number() || made.is_object());
}

#[test]
fn what_others_write_does_not_steer_the_terminal() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    databases(at);
    let offers = fs::read_to_string(source("testdata/search/offers.ndjson")).unwrap();
    let hostile = offers.replace("delivery", "\\u001b[2Jdelivery").replace("bench", "\\u0007bench");
    fs::write(
        at.join("hostile.ndjson"),
        hostile + "{\"\\u001b[2J\": 1}\n{\"offer\": {\"\\u001b\": 1}}",
    )
    .unwrap();
    let output = chronolith(at, &["remote", "import", "--db", "db", "hostile.ndjson"]);
    assert_eq!(output.status.code(), Some(3));
    let shown = chronolith(at, &["search", "--db", "db", "--offers"]);
    for text in [&output.stderr, &output.stdout, &shown.stdout] {
        assert!(!text.iter().any(|byte| [7, 27].contains(byte)));
    }
    assert!(String::from_utf8_lossy(&shown.stdout).contains("delivery"));
}

#[test]
fn damage_is_told_and_leaves_the_rest_to_be_searched() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    databases(at);
    let offers = source("testdata/search/offers.ndjson").display().to_string();
    import(at, 0, &[&offers]);
    expect(at, 0, &["chunks", "--db", "other", "--headers", "all.car"]);
    import(at, 0, &["all.car"]);
    let whole = fs::read(at.join("db/remote/log")).unwrap();
    let mut damaged = whole.clone();
    damaged[100] ^= 1;
    fs::write(at.join("db/remote/log"), &damaged).unwrap();
    expect(at, 1, &["remote", "status", "--db", "db"]);
    fs::remove_dir_all(at.join("db/search")).unwrap();
    let output = chronolith(at, &["search", "--db", "db", "--json", "speed"]);
    let problem = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && problem.contains("remote repair"), "{problem}");
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(column(&found, "device"), ["4111928".to_owned()].into());
    let repaired = json(at, 1, &["remote", "repair", "--db", "db", "--json"]);
    assert_eq!(
        (&repaired["offers"], &repaired["headers"]),
        (&json!(0), &json!(cids(at, "other").len()))
    );
    assert_eq!(column(&search(at, &["speed"]), "device").len(), 2);
    // What was being written when the power went is gone, and that is said.
    fs::write(at.join("db/remote/log"), &whole[..whole.len() - 3]).unwrap();
    let output = chronolith(at, &["remote", "status", "--db", "db", "--json"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("were not finished"));
}

#[test]
fn a_killed_import_keeps_what_it_told_of_and_goes_on() {
    let kills: u64 =
        std::env::var("CHRONOLITH_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(6);
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    databases(at);
    let fleet = ["bench", "fleet", "--out", "fleet.lp", "--vehicles", "60", "--seconds", "40"];
    expect(at, 0, &fleet);
    expect(at, 0, &["ingest", "--db", "fleet", "fleet.lp"]);
    expect(at, 0, &["seal", "--db", "fleet", "--all"]);
    expect(at, 0, &["chunks", "--db", "fleet", "--headers", "fleet.car"]);
    let all = cids(at, "fleet");
    let mut kept = 0;
    for kill in 0..kills {
        let mut child = Command::new(program())
            .args(["remote", "import", "--db", "db", "fleet.car"])
            .current_dir(at)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // How far it came is what differs: so long the log has grown, or so many looks were taken.
        let looks = 20 * kill * kill;
        for _ in 0..looks {
            if child.try_wait().unwrap().is_some() {
                break;
            }
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let found = search(at, &[&CHUNKS[..], &["--remote"]].concat());
        let now = found["total"].as_u64().unwrap();
        assert!(now >= kept && now <= all.len() as u64, "kill {kill}");
        kept = now;
        let rebuilt = search(at, &[&CHUNKS[..], &["--remote", "--rebuild"]].concat());
        assert_eq!(rebuilt["total"], now);
    }
    let last = import(at, 0, &["fleet.car"]);
    assert_eq!(last["headers_new"].as_u64().unwrap() + kept, all.len() as u64);
    let request = ["--kind", "chunk", "--limit", "10000", "--remote"];
    assert_eq!(column(&search(at, &request), "cid"), all);
}

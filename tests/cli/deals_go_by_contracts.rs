//! A deal on the ledger goes by a data contract: real data decides who is paid, and anybody finds the same.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::{Value, json as value};

use crate::rights_are_bought::PARTIES;
use crate::run::{chronolith, expect, json, recordings, source};

/// A chain with accounts that have some coin.
fn chain(accounts: &[&str]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    expect(place, 0, &["chain", "init", "--dir", "c", "--wallet", "w"]);
    for account in accounts {
        expect(place, 0, &["wallet", "new", account, "--wallet", "w"]);
        let send = ["wallet", "send", "--to", account, "--amount", "100"];
        expect(place, 0, &[&send[..], &PARTIES].concat());
    }
    directory
}

/// Runs a command as an account.
fn run(place: &Path, account: &str, arguments: &[&str]) -> Value {
    json(place, 0, &[arguments, &PARTIES, &["--account", account, "--json"]].concat())
}

fn balance(place: &Path, account: &str) -> f64 {
    let account = ["chain", "account", "--dir", "c", "--wallet", "w", account, "--json"];
    json(place, 0, &account)["balance"].as_str().unwrap().parse().unwrap()
}

/// Writes the plan of a contract, opens it and has all parties join.
fn open(place: &Path, parties: &[(&str, &str)], more: &[&str]) -> (String, Value) {
    let height = json(place, 0, &["chain", "status", "--dir", "c", "--json"])["height"].clone();
    let until = (height.as_u64().unwrap() + 50).to_string();
    let named: Vec<String> = parties.iter().map(|(name, who)| format!("{name}={who}")).collect();
    let mut plan = vec!["contract", "plan", "c.toml", "-o", "plan.json", "--wallet", "w", "--json"];
    plan.extend(["--join-until", &until, "--block-time", "1h"]);
    plan.extend(named.iter().flat_map(|named| ["--party", named]));
    plan.extend(more);
    let planned = json(place, 0, &plan);
    let opened = run(place, parties[0].1, &["market", "deal", "open", "plan.json"]);
    let deal = opened["deal"].as_str().unwrap().to_owned();
    for (_, who) in &parties[1..] {
        run(place, who, &["market", "deal", "join", &deal]);
    }
    fs::remove_file(place.join("plan.json")).unwrap();
    (deal, planned)
}

fn said(place: &Path, who: &str, what: &str, deal: &str, step: &str) {
    run(place, who, &["market", "deal", what, deal, "--step", step]);
}

fn follow(place: &Path, deal: &str, more: &[&str]) -> Value {
    run(place, "main", &[&["contract", "follow", deal, "c.toml"][..], more].concat())
}

#[test]
fn a_dispute_is_decided_by_what_the_data_shows_and_by_an_arbiter_where_it_does_not() {
    let directory = chain(&["buyer", "arbiter"]);
    let place = directory.path();
    let drive = source("testdata/drives/4111928_1_2007-05-22.csv.gz");
    let ingest = ["ingest", "--db", "car", "--device", "car", drive.to_str().unwrap()];
    expect(place, 0, &ingest);
    let new = ["contract", "new", "arbitrated-deal", "--set", "metric=speed_mph", "-o", "c.toml"];
    expect(place, 0, &[&new[..], &["--set", "price=5"]].concat());
    let parties = [("owner", "main"), ("buyer", "buyer"), ("arbiter", "arbiter")];
    let disputed = || {
        let (deal, planned) = open(place, &parties, &["--arbiter", "arbiter"]);
        assert_eq!(planned["steps"], "0 requested, 1 delivering, 2 checking, 3 disputed");
        assert_eq!(follow(place, &deal, &[])["at"], "requested");
        said(place, "main", "done", &deal, "0");
        said(place, "main", "done", &deal, "1");
        let due = follow(place, &deal, &[]);
        assert_eq!((&due["at"], &due["ended"]), (&value!("checking"), &value!(false)));
        assert!(due["due"].as_str().unwrap().starts_with("buyer: check"), "{due}");
        said(place, "buyer", "object", &deal, "2");
        said(place, "main", "done", &deal, "3");
        deal
    };
    let deal = disputed();
    // The promised 900 records are there, so nobody's word is needed.
    let shown = follow(place, &deal, &["--db", "car"]);
    let records = shown["answers"]["records"].as_i64().unwrap();
    assert!(records >= 900, "{shown}");
    assert_eq!((&shown["at"], &shown["pays_bp"]), (&value!("proved"), &value!("owner 10000")));
    let decide = ["contract", "follow", &deal, "c.toml", "--db", "car", "--record", "why.json"];
    let told =
        chronolith(place, &[&decide[..], &["--decide", "--account", "buyer"], &PARTIES].concat());
    let told = String::from_utf8(told.stderr).unwrap();
    assert!(told.contains("the ledger refuses to decide a deal"), "{told}");
    fs::remove_file(place.join("why.json")).unwrap();
    let before = balance(place, "main");
    let decided = run(place, "arbiter", &[&decide[..], &["--decide"]].concat());
    assert!((5.0 - (balance(place, "main") - before)).abs() < 1e-9, "all of it is the owner's");
    let show = ["market", "deal", "show", &deal, "--chain", "c", "--json"];
    let verdict = &json(place, 0, &show)["verdict"];
    assert_eq!(verdict["reasons"], decided["record"], "{verdict}");
    let record: Value = serde_json::from_slice(&fs::read(place.join("why.json")).unwrap()).unwrap();
    assert_eq!((&record["deal"], &record["at"]), (&value!(deal), &value!("proved")));
    // Anybody finds the same, byte by byte, and what was decided is not decided again.
    follow(place, &deal, &["--db", "car", "--record", "again.json"]);
    let bytes = |name: &str| fs::read(place.join(name)).unwrap();
    assert_eq!(bytes("why.json"), bytes("again.json"));
    let again = [&decide[..5], &["car", "--record", "x.json", "--decide"], &PARTIES].concat();
    let told = String::from_utf8(chronolith(place, &again).stderr).unwrap();
    assert!(told.contains("decided by the arbiter"), "{told}");

    // Of the first five minutes too few records are there: the arbiter divides, and has his fee.
    let deal = disputed();
    let few = ["--db", "car", "--device", "car", "--to", "2007-05-22T16:41:50Z"];
    let shown = follow(place, &deal, &few);
    assert_eq!((&shown["at"], &shown["answers"]["records"]), (&value!("ruling"), &value!(300)));
    let decide = [&["contract", "follow", &deal, "c.toml", "--record", "half.json"][..], &few];
    let early = [&decide.concat()[..], &["--decide", "--account", "arbiter"], &PARTIES].concat();
    let told = String::from_utf8(chronolith(place, &early).stderr).unwrap();
    assert!(told.contains("the contract is at ruling and says nothing yet"), "{told}");
    assert!(!place.join("half.json").exists(), "nothing was decided");
    let before = [balance(place, "main"), balance(place, "buyer")];
    let ruled = [&decide.concat()[..], &["--ruling-bp", "5000", "--decide"]].concat();
    let decided = run(place, "arbiter", &ruled);
    assert_eq!(decided["pays_bp"], "owner 4850, arbiter 300, buyer 4850");
    for (account, before) in ["main", "buyer"].iter().zip(before) {
        let got = balance(place, account) - before;
        assert!((got - 5.0 * 0.485).abs() < 1e-9, "{account} got {got}");
    }
}

#[test]
fn a_deal_that_says_another_plan_than_its_contract_is_told() {
    let directory = chain(&["buyer", "judge"]);
    let place = directory.path();
    expect(place, 0, &["contract", "new", "cold-chain", "-o", "c.toml"]);
    let parties = [("owner", "main"), ("buyer", "buyer")];
    let refused = |arguments: &[&str], said: &str| {
        let output = chronolith(place, arguments);
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && told.contains(said), "{told}");
    };
    let plan = ["contract", "plan", "c.toml", "-o", "p.json", "--wallet", "w", "--join-until", "9"];
    let with = |more: &[&'static str]| [&plan[..], more].concat();
    refused(&with(&["--party", "owner=main"]), "the contract's party \"buyer\" is missing");
    let both = ["--party", "owner=main", "--party", "buyer=buyer"];
    refused(&with(&both), "name an arbiter");
    let judged = [&both[..], &["--arbiter", "judge"]].concat();
    refused(&with(&judged), "say how long a block takes");
    refused(&with(&["--party", "driver=main"]), "it has owner, buyer");
    refused(&with(&["--party", "owner"]), "write NAME=ACCOUNT");
    let (deal, planned) = open(place, &parties, &["--arbiter", "judge"]);
    assert_eq!(planned["steps"], "0 ordered, 1 under_way");
    assert_eq!(follow(place, &deal, &[])["at"], "ordered");
    // Somebody names the contract, and something else: pays the carrier for nothing, sets less aside, has a coin of his
    // own, has more outcomes.
    let height = json(place, 0, &["chain", "status", "--dir", "c", "--json"])["height"].clone();
    let until = (height.as_u64().unwrap() + 50).to_string();
    let written = [&plan[..7], &["--join-until", &until, "--block-time", "1h"], &judged].concat();
    expect(place, 0, &written);
    let text = fs::read_to_string(place.join("p.json")).unwrap();
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 3] = [
        ("steps", |plan| plan["steps"][0]["on_timeout"] = plan["steps"][0]["on_done"].clone()),
        ("amounts", |plan| plan["parties"][1]["amount"] = "1".into()),
        ("outcomes", |plan| plan["outcomes"][0]["shares"][0]["to"] = 0.into()),
    ];
    for (what, change) in changes {
        let mut changed: Value = serde_json::from_str(&text).unwrap();
        change(&mut changed);
        assert_ne!(changed, serde_json::from_str::<Value>(&text).unwrap(), "{what}");
        fs::write(place.join("plan.json"), changed.to_string()).unwrap();
        let opened = run(place, "main", &["market", "deal", "open", "plan.json"]);
        let other = opened["deal"].as_str().unwrap();
        let followed = [&["contract", "follow", other, "c.toml"][..], &PARTIES].concat();
        refused(&followed, &format!("its {what} are not what the contract says: do not join it"));
    }
    expect(place, 0, &["contract", "new", "cold-chain", "--set", "freight=9", "-o", "d.toml"]);
    let followed = [&["contract", "follow", &deal, "d.toml"][..], &PARTIES].concat();
    refused(&followed, "the deal is of the contract");
}

/// Two days of ten-minute means of the air at a wind turbine, as the logger of a truck without cooling would
/// record them.
fn journey(place: &Path, first_day: usize) -> bool {
    let Some(recordings) = recordings() else { return false };
    let data = recordings.join("wind-lahauteborne/R80711_2014-2015.csv.gz");
    let mut text = String::new();
    use std::io::Read as _;
    flate2::read::GzDecoder::new(fs::File::open(data).unwrap()).read_to_string(&mut text).unwrap();
    let mut lines = text.trim_start_matches('\u{feff}').lines();
    let column = lines.next().unwrap().split(',').position(|name| name == "Ot_avg").unwrap();
    let degrees = lines.filter_map(|line| line.split(',').nth(column)?.parse::<f64>().ok());
    let mut csv = "time,temperature\n".to_owned();
    for (number, degree) in degrees.skip(first_day * 144).take(288).enumerate() {
        writeln!(csv, "{},{degree}", 1_767_600_000 + number * 600).unwrap();
    }
    fs::write(place.join("logger.csv"), csv).unwrap();
    let ingest = ["ingest", "--db", "truck", "--device", "truck", "--time-format", "s"];
    expect(place, 0, &[&ingest[..], &["logger.csv"]].concat());
    true
}

#[test]
fn the_record_of_the_temperature_decides_the_freight() {
    // A January and a July of 2014.
    for (first_day, limit, allowed, expected) in
        [(10, "150", "120", "owner 10000"), (195, "80", "120", "buyer 10000")]
    {
        let directory = chain(&["buyer", "judge"]);
        let place = directory.path();
        if !journey(place, first_day) {
            return;
        }
        let (limit, allowed) =
            (format!("limit_tenths={limit}"), format!("allowed_degree_minutes={allowed}"));
        let new = ["contract", "new", "cold-chain", "-o", "c.toml", "--set", &limit, "--set"];
        expect(place, 0, &[&new[..], &[&allowed]].concat());
        let parties = [("owner", "main"), ("buyer", "buyer")];
        let (deal, _) = open(place, &parties, &["--arbiter", "judge"]);
        said(place, "main", "done", &deal, "0");
        said(place, "main", "done", &deal, "1");
        let decide = ["contract", "follow", &deal, "c.toml", "--db", "truck", "--device", "truck"];
        let decide = [&decide[..], &["--record", "why.json", "--decide"]].concat();
        let decided = run(place, "judge", &decide);
        assert_eq!(decided["pays_bp"], expected, "{decided}");
        assert_eq!(decided["answers"]["gaps"], 0, "{decided}");
    }
}

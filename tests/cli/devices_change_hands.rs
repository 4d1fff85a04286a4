//! A car is sold: what it produced stays its first owner's to sell, and what it produces from then on is the second
//! owner's, anchored for the same device under key trees of his.

use std::fs;
use std::path::Path;

use serde_json::{Value, json as value};

use crate::rights_are_bought::{PARTIES, market};
use crate::run::{chronolith, expect, json, source};

fn refused(place: &Path, arguments: &[&str], said: &str) {
    let output = chronolith(place, arguments);
    let problem = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && problem.contains(said), "{problem}");
}

fn devices(place: &Path, account: &str) -> Value {
    let list = ["identity", "device", "list", "--account", account, "--json"];
    json(place, 0, &[&list[..], &PARTIES].concat())
}

fn ingest(place: &Path, db: &str, start: &str) {
    let drive = source("testdata/drives/udds.csv");
    let ingest = ["ingest", "--db", db, "--device", "udds", "--time", "cycSecs", "--time-format"];
    let more = ["s", "--start", start, "--window", "5m", drive.to_str().unwrap()];
    expect(place, 0, &[&ingest[..], &more].concat());
}

fn seal(place: &Path, db: &str, account: &str) -> Value {
    let seal = ["seal", "--db", db, "--all", "--account", account, "--json"];
    json(place, 0, &[&seal[..], &PARTIES].concat())
}

/// Sells the ten minutes from 8:05 of a day to the buyer, who gets these records.
fn sell(place: &Path, db: &str, owner: &str, day: &str) {
    let offer = ["market", "offer", "--db", db, "--device", "udds", "--metric", "cycMps"];
    let more = ["--fixed", "1", "--account", owner, "--json"];
    let offer = json(place, 0, &[&offer[..], &more, &PARTIES].concat());
    let (from, until) = (format!("{day}T08:05:00Z"), format!("{day}T08:15:00Z"));
    let buy = ["market", "buy", offer["offer"].as_str().unwrap(), "--account", "buyer", "--json"];
    let range = ["--from", &from, "--until", &until];
    let bought = json(place, 0, &[&buy[..], &range, &PARTIES].concat());
    let request = bought["request"].as_str().unwrap();
    let by_owner = ["--db", db, "--account", owner];
    expect(place, 0, &[&["market", "grant", request][..], &by_owner, &PARTIES].concat());
    let deliver = ["market", "deliver", request, "--note", "note", "--car", "chunks.car"];
    expect(place, 0, &[&deliver[..], &by_owner, &PARTIES].concat());
    let into = format!("bought-of-{owner}");
    let receive = ["market", "receive", request, "--account", "buyer", "--db", &into, "--json"];
    let files = ["--note", "note", "--car", "chunks.car"];
    let received = json(place, 0, &[&receive[..], &files, &PARTIES].concat());
    assert_eq!((&received["chunks"], &received["records"]), (&value!(2), &value!(600)));
    let export = |db: &str| {
        let range = ["--from", &from, "--to", &until, "--format", "csv"];
        expect(place, 0, &[&["export", "--db", db, "--metric", "cycMps"][..], &range].concat())
    };
    assert_eq!(export(&into), export(db));
}

#[test]
fn a_car_that_is_sold_goes_on_under_its_new_owner() {
    let directory = market();
    let place = directory.path();
    expect(place, 0, &["wallet", "new", "next", "--wallet", "w"]);
    let send = ["wallet", "send", "--to", "next", "--amount", "100"];
    expect(place, 0, &[&send[..], &PARTIES].concat());
    let before = devices(place, "main");
    let device = before[0]["device"].as_str().unwrap();
    let batches = before[0]["batches"].as_u64().unwrap();
    // What it is already it may be told to be.
    let same = ["identity", "device", "take", device, "--db", "car", "--name", "udds"];
    expect(place, 0, &[&same[..], &["--chain", "c"]].concat());
    let other = ["identity", "device", "take", device, "--db", "car", "--name", "other"];
    refused(place, &[&other[..], &["--chain", "c"]].concat(), "one device has one name");
    // The second owner's database, which cannot take what is not his yet.
    expect(place, 0, &["init", "second"]);
    let keys = ["keys", "init", "--db", "second", "--wallet", "w", "--account", "next"];
    expect(place, 0, &[&keys[..], &["--no-passphrase"]].concat());
    let take = |device: &str, db: &str| {
        ["identity", "device", "take", device, "--db", db, "--name", "udds", "--chain", "c"]
            .map(str::to_owned)
    };
    let taken = take(device, "second");
    let taken: Vec<&str> = taken.iter().map(String::as_str).collect();
    refused(place, &taken, "its owner is chron1");
    let accept = ["identity", "device", "accept", device, "--account", "next", "--out", "c.json"];
    expect(place, 0, &[&accept[..], &PARTIES].concat());
    expect(place, 0, &[&["identity", "device", "transfer", "c.json"][..], &PARTIES].concat());
    refused(place, &[&["identity", "device", "transfer", "c.json"][..], &PARTIES].concat(), "");
    assert_eq!(
        (devices(place, "main"), &devices(place, "next")[0]["owners"]),
        (value!([]), &value!(2))
    );
    assert_eq!(json(place, 0, &[&taken[..], &["--json"]].concat())["owners"], 2);
    // Again, and of a database that has chunks of the name already.
    expect(place, 0, &taken);
    let keys = fs::read_to_string(place.join("second/keys.toml")).unwrap();
    assert!(keys.contains("[devices.udds]") && keys.contains(device), "{keys}");
    let first = take(device, "car");
    refused(place, &first.iter().map(String::as_str).collect::<Vec<_>>(), "its owner is chron1");
    // What the first owner's database still gets of the car is not anchored, and nothing is paid for that.
    ingest(place, "car", "2026-01-06T08:00:00Z");
    let sealed = seal(place, "car", "main");
    let anchors = sealed.to_string();
    let why = "its owner is chron1";
    assert!(anchors.contains(why) && anchors.contains(device), "{anchors}");
    assert_eq!(devices(place, "next")[0]["batches"].as_u64(), Some(batches));
    // And what the second owner's gets is anchored for it.
    ingest(place, "second", "2100-02-05T08:00:00Z");
    seal(place, "second", "next");
    let after = devices(place, "next");
    assert_eq!(after.as_array().unwrap().len(), 1, "{after}");
    assert_eq!(
        (after[0]["device"].as_str(), after[0]["batches"].as_u64()),
        (Some(device), Some(batches + 1))
    );
    // Both sell what is theirs: he what is of later than the transfer.
    sell(place, "second", "next", "2100-02-05");
    sell(place, "car", "main", "2026-01-05");
}

//! Data is offered, bought, granted, received and disputed from the command line, on a real drive.

use std::fs;
use std::path::Path;

use chronolith_chain::coin::MOTES_PER_COIN;
use chronolith_contract::price::History;
use serde_json::{Value, json as value};

use crate::run::{chronolith, expect, json, source};

pub(crate) const PARTIES: [&str; 4] = ["--chain", "c", "--wallet", "w"];

/// A chain, an owner with a car that has a drive of 23 minutes in windows of five, and a buyer.
pub(crate) fn market() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    expect(place, 0, &["chain", "init", "--dir", "c", "--wallet", "w"]);
    expect(place, 0, &["wallet", "new", "buyer", "--wallet", "w"]);
    let send = ["wallet", "send", "--to", "buyer", "--amount", "1000"];
    expect(place, 0, &[&send[..], &PARTIES].concat());
    expect(place, 0, &["init", "car"]);
    expect(place, 0, &["privacy", "set", "--db", "car", "--metric", "cycMps", "--level", "3"]);
    expect(place, 0, &["privacy", "set", "--db", "car", "--metric", "cycGrade", "--level", "1"]);
    let keys = ["keys", "init", "--db", "car", "--wallet", "w", "--no-passphrase", "--json"];
    let words = json(place, 0, &keys)["recovery_words"].as_str().unwrap().to_owned();
    assert_eq!(words.split_whitespace().count(), 24);
    let drive = source("testdata/drives/udds.csv");
    let ingest = [
        &["ingest", "--db", "car", "--device", "udds", "--time", "cycSecs", "--time-format", "s"][..],
        &["--start", "2026-01-05T08:00:00Z", "--window", "5m", drive.to_str().unwrap()],
    ];
    expect(place, 0, &ingest.concat());
    expect(place, 0, &[&["seal", "--db", "car", "--all"][..], &PARTIES].concat());
    directory
}

pub(crate) fn offer(place: &Path, metric: &str, more: &[&str]) -> Value {
    let offer =
        ["market", "offer", "--db", "car", "--device", "udds", "--metric", metric, "--json"];
    json(place, 0, &[&offer[..], &PARTIES, more].concat())
}

/// What asks for ten minutes, two whole windows.
fn buying<'a>(offer: &'a Value, account: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let offer = offer["offer"].as_str().unwrap();
    let range = ["--from", "2026-01-05T08:05:00Z", "--until", "2026-01-05T08:15:00Z"];
    let buy = ["market", "buy", offer, "--account", account, "--json"];
    [&buy[..], &range, &PARTIES, more].concat()
}

/// Asks for them as the buyer.
fn buy(place: &Path, offer: &Value, more: &[&str]) -> String {
    let bought = json(place, 0, &buying(offer, "buyer", more));
    bought["request"].as_str().unwrap().to_owned()
}

pub(crate) fn grant(place: &Path, request: &str) {
    expect(place, 0, &[&["market", "grant", request, "--db", "car"][..], &PARTIES].concat());
}

fn deliver(place: &Path, request: &str) -> Value {
    let deliver =
        ["market", "deliver", request, "--db", "car", "--note", "note", "--car", "chunks.car"];
    json(place, 0, &[&deliver[..], &["--json"], &PARTIES].concat())
}

fn receive(place: &Path, code: i32, request: &str, into: &str) -> Value {
    let receive =
        ["market", "receive", request, "--account", "buyer", "--db", into, "--note", "note"];
    let more = ["--car", "chunks.car", "--dispute", "--json"];
    json(place, code, &[&receive[..], &more, &PARTIES].concat())
}

fn status(place: &Path, request: &str) -> String {
    let list = ["rights", "list", "--side", "bought", "--account", "buyer", "--json"];
    let rights = json(place, 0, &[&list[..], &PARTIES].concat());
    let rights = rights.as_array().unwrap();
    let found = rights.iter().find(|right| right["request"] == request).unwrap();
    found["status"].as_str().unwrap().to_owned()
}

pub(crate) fn records(place: &Path, db: &str, metric: &str) -> String {
    let range = ["--from", "2026-01-05T08:05:00Z", "--to", "2026-01-05T08:15:00Z"];
    let export = ["export", "--db", db, "--metric", metric, "--format", "csv"];
    expect(place, 0, &[&export[..], &range].concat())
}

pub(crate) fn balance(place: &Path) -> f64 {
    let account = ["chain", "account", "--dir", "c", "--wallet", "w", "buyer", "--json"];
    json(place, 0, &account)["balance"].as_str().unwrap().parse().unwrap()
}

/// Whether some file below a folder holds some bytes; but for the rules, which name metrics.
fn holds(folder: &Path, wanted: &[u8]) -> bool {
    fs::read_dir(folder).unwrap().any(|entry| {
        let place = entry.unwrap().path();
        if place.is_dir() {
            return holds(&place, wanted);
        }
        place.file_name().is_none_or(|name| name != "privacy.toml")
            && fs::read(&place).unwrap().windows(wanted.len()).any(|window| window == wanted)
    })
}

#[test]
fn a_policy_grants_and_the_buyer_gets_what_he_paid_for_and_no_more() {
    let directory = market();
    let place = directory.path();
    let offer = offer(place, "cycMps", &["--per-hour", "6", "--fixed", "1"]);
    assert_eq!((&offer["level"], &offer["hidden"]), (&value!(3), &value!(false)));
    let before = balance(place);
    let request = buy(place, &offer, &[]);
    let paid = before - balance(place);
    assert!((7.0..7.1).contains(&paid), "an hour is begun: {paid}");
    let queue = [&["market", "queue", "--json"][..], &PARTIES].concat();
    assert_eq!(json(place, 0, &queue)[0]["request"], request.as_str());
    // Nothing is there before the owner granted it.
    let early =
        ["market", "receive", &request, "--account", "buyer", "--db", "bought", "--car", "x"];
    let output = chronolith(place, &[&early[..], &["--note", "note"], &PARTIES].concat());
    let problem = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && problem.contains("is open"), "{problem}");
    fs::write(place.join("policy.toml"), "levels = [3, 4]\n").unwrap();
    let decide = ["market", "decide", "--db", "car", "--policy", "policy.toml", "--json"];
    let decided = json(place, 0, &[&decide[..], &PARTIES].concat());
    assert_eq!(decided[0]["became"], "granted", "{decided}");
    assert_eq!(status(place, &request), "granted");
    let delivered = deliver(place, &request);
    assert_eq!(delivered["chunks"], 2, "two windows of one metric");
    let received = receive(place, 0, &request, "bought");
    assert_eq!((&received["chunks"], &received["records"]), (&value!(2), &value!(600)));
    assert_eq!(records(place, "bought", "cycMps"), records(place, "car", "cycMps"));
    let all = ["export", "--db", "bought", "--format", "csv"];
    assert_eq!(expect(place, 0, &all).lines().count(), 1 + 600, "no other window is open to him");
    // Once more changes nothing.
    receive(place, 0, &request, "bought");
    assert_eq!(records(place, "bought", "cycMps"), records(place, "car", "cycMps"));
    // The owner sees who has what.
    let sold =
        json(place, 0, &[&["rights", "list", "--side", "sold", "--json"][..], &PARTIES].concat());
    assert_eq!((&sold[0]["status"], &sold[0]["request"]), (&value!("granted"), &value!(request)));
}

#[test]
fn what_is_hidden_is_sold_to_those_who_were_told_and_granted_by_hand() {
    let directory = market();
    let place = directory.path();
    assert!(!holds(&place.join("car"), b"cycGrade"), "a name of level 1 is on the disk");
    let offer = offer(place, "cycGrade", &["--per-hour", "50"]);
    assert_eq!((&offer["level"], &offer["hidden"]), (&value!(1), &value!(true)));
    assert!(!holds(&place.join("c"), b"cycGrade"), "a name of level 1 is on the ledger");
    let offers = json(place, 0, &["market", "offers", "--chain", "c", "--json"]);
    assert_eq!(offers[0]["metrics"], "hidden");
    let disclosure = offer["disclosure"].as_str().unwrap();
    // Who was told nothing, or something else, would pay for what he can neither check nor open.
    let told = fs::read_to_string(place.join(disclosure)).unwrap();
    let mut changed: Value = serde_json::from_str(&told).unwrap();
    changed["scope"]["salt"] = value!("07".repeat(32));
    fs::write(place.join("changed.json"), changed.to_string()).unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(place.join("changed.json"), private).unwrap();
    let wrong: [(&[&str], &str); 2] = [
        (&[], "hides what it is of"),
        (&["--disclosure", "changed.json"], "is not what the offer"),
    ];
    for (told, said) in wrong {
        let output = chronolith(place, &buying(&offer, "buyer", told));
        let problem = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && problem.contains(said), "{problem}");
    }
    let request = buy(place, &offer, &["--disclosure", disclosure]);
    // No policy grants level 1.
    fs::write(place.join("policy.toml"), "levels = [2, 3, 4]\n").unwrap();
    let decide = ["market", "decide", "--db", "car", "--policy", "policy.toml", "--json"];
    let decided = json(place, 0, &[&decide[..], &PARTIES].concat());
    assert_eq!(decided[0]["became"], "waits", "{decided}");
    grant(place, &request);
    assert_eq!(deliver(place, &request)["chunks"], 2);
    let received = receive(place, 0, &request, "bought");
    assert_eq!(received["records"], 600);
    assert_eq!(records(place, "bought", "cycGrade"), records(place, "car", "cycGrade"));
}

/// Grants a request, as its owner, by bytes that are no keys.
fn lie(place: &Path, request: &str) {
    let wrapped = "ab".repeat(200);
    let lie = value!({"action": {"Grant": {"request": request, "wrapped": wrapped}}});
    fs::write(place.join("lie.json"), lie.to_string()).unwrap();
    let signed = expect(place, 0, &[&["wallet", "sign", "lie.json"][..], &PARTIES].concat());
    fs::write(place.join("signed.json"), signed).unwrap();
    expect(place, 0, &["chain", "tx", "--dir", "c", "signed.json"]);
    assert_eq!(status(place, request), "granted");
}

/// What showed a wrong key was gone when the command had ended: an owner who took his note away then was paid.
#[test]
fn a_wrong_key_that_was_seen_is_disputed_whatever_its_owner_does_then() {
    let directory = market();
    let place = directory.path();
    let offer = offer(place, "cycMps", &["--fixed", "100"]);
    let before = balance(place);
    let request = buy(place, &offer, &[]);
    lie(place, &request);
    deliver(place, &request);
    let receive = ["market", "receive", &request, "--db", "bought", "--json"];
    let files = ["--account", "buyer", "--note", "note", "--car", "chunks.car"];
    let seen = json(place, 3, &[&receive[..], &files, &PARTIES].concat());
    assert_eq!(seen["refused"].as_array().unwrap().len(), 2, "{seen}");
    assert!(seen["disputed"].is_null(), "{seen}");
    for file in ["note", "chunks.car"] {
        fs::remove_file(place.join(file)).unwrap();
    }
    let dispute = [&receive[..], &["--dispute"], &PARTIES].concat();
    // Another account's dispute would be refused, and its secret be there for everybody.
    let output = chronolith(place, &dispute);
    let problem = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && problem.contains("another account's"), "{problem}");
    assert_eq!(status(place, &request), "granted");
    let disputed = json(place, 3, &[&dispute[..], &["--account", "buyer"]].concat());
    assert!(disputed["disputed"]["height"].as_u64() > Some(0), "{disputed}");
    assert_eq!(status(place, &request), "faulty");
    let lost = before - balance(place);
    assert!((0.0..0.1).contains(&lost), "fees alone: {lost}");
    let kept = fs::read_dir(place.join("w/market/disputes")).unwrap();
    let ending = |path: &Path| path.extension().is_some_and(|ending| ending == "dispute");
    assert_eq!(kept.filter(|one| ending(&one.as_ref().unwrap().path())).count(), 0);
}

#[test]
fn a_wrong_key_is_shown_to_the_ledger_and_the_payment_comes_back() {
    let directory = market();
    let place = directory.path();
    let offer = offer(place, "cycMps", &["--fixed", "100"]);
    let before = balance(place);
    let request = buy(place, &offer, &[]);
    lie(place, &request);
    deliver(place, &request);
    let received = receive(place, 3, &request, "bought");
    assert_eq!((&received["records"], received["disputed"].is_null()), (&value!(0), false));
    assert_eq!(status(place, &request), "faulty");
    let lost = before - balance(place);
    assert!((0.0..0.1).contains(&lost), "fees alone: {lost}");
}

/// A grant was made by the request's status alone. One that came late was refused, the payment went back, and its keys
/// stood in the block for the buyer to open.
#[test]
fn keys_that_would_come_too_late_are_not_given() {
    let directory = market();
    let place = directory.path();
    let offer = offer(place, "cycMps", &["--fixed", "1"]);
    let request = buy(place, &offer, &["--deadline", "2"]);
    let height = || json(place, 0, &["chain", "status", "--dir", "c", "--json"])["height"].clone();
    let before = height();
    let grant = ["market", "grant", &request, "--db", "car"];
    let output = chronolith(place, &[&grant[..], &PARTIES].concat());
    let problem = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && problem.contains("it is too late"), "{problem}");
    assert_eq!((height(), status(place, &request).as_str()), (before, "open"), "nothing was sent");
}

#[test]
fn an_honest_grant_cannot_be_disputed_and_a_foreign_note_gives_nothing() {
    let directory = market();
    let place = directory.path();
    let offer = offer(place, "cycMps", &["--fixed", "1"]);
    let (first, second) = (buy(place, &offer, &[]), buy(place, &offer, &[]));
    grant(place, &first);
    grant(place, &second);
    deliver(place, &first);
    let foreign = ["market", "receive", &second, "--account", "buyer", "--db", "bought"];
    let more = ["--note", "note", "--car", "chunks.car"];
    let output = chronolith(place, &[&foreign[..], &more, &PARTIES].concat());
    let problem = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && problem.contains("does not open"), "{problem}");
    let received = receive(place, 0, &first, "bought");
    assert!(received["disputed"].is_null(), "{received}");
}

#[test]
fn who_declines_or_cancels_gives_the_payment_back() {
    let directory = market();
    let place = directory.path();
    let offer = offer(place, "cycMps", &["--fixed", "10"]);
    let before = balance(place);
    let request = buy(place, &offer, &[]);
    expect(place, 0, &[&["market", "decline", &request][..], &PARTIES].concat());
    assert_eq!(status(place, &request), "declined");
    let request = buy(place, &offer, &[]);
    let cancel = ["market", "cancel", &request, "--account", "buyer"];
    expect(place, 0, &[&cancel[..], &PARTIES].concat());
    assert_eq!(status(place, &request), "cancelling");
    // A grant that was on its way still counts: he has the keys, and pays.
    grant(place, &request);
    assert_eq!(status(place, &request), "granted");
    let revoke = ["rights", "revoke", &request];
    expect(place, 0, &[&revoke[..], &PARTIES].concat());
    assert_eq!(status(place, &request), "revoked");
    assert!((0.0..0.1).contains(&(before - balance(place))));
    expect(
        place,
        0,
        &[&["market", "close", offer["offer"].as_str().unwrap()][..], &PARTIES].concat(),
    );
    assert_eq!(json(place, 0, &["market", "offers", "--chain", "c", "--json"]), value!([]));
}

/// Two parties that the contract's rule tells apart, and the decision can be made again.
#[test]
fn a_contracts_rule_grants_those_whom_it_names_and_keeps_what_it_decided_from() {
    let directory = market();
    let place = directory.path();
    expect(place, 0, &["wallet", "new", "stranger", "--wallet", "w"]);
    let send = ["wallet", "send", "--to", "stranger", "--amount", "100"];
    expect(place, 0, &[&send[..], &PARTIES].concat());
    let templates = json(place, 0, &["contract", "templates", "--json"]);
    assert_eq!(templates.as_array().unwrap().len(), 11, "{templates}");
    let new = ["contract", "new", "sale", "-o", "sale.toml", "--set", "metric=cycMps", "--json"];
    let parameters = ["--set", "per_hour=6", "--set", "check_blocks=100"];
    let made = json(place, 0, &[&new[..], &parameters].concat());
    let checked = json(place, 0, &["contract", "check", "sale.toml", "--json"]);
    assert_eq!((&checked["cid"], &checked["contract"]), (&made["cid"], &value!("sale")));
    let applied = json(place, 0, &["contract", "apply", "sale.toml", "--db", "car", "--json"]);
    // The rule of cycMps that is there rounds nothing, and the records that are there stay as they are.
    assert_eq!((&applied["added"], &applied["other_policies"]), (&value!(1), &value!(1)));
    let offer = offer(place, "cycMps", &["--contract", "sale.toml"]);
    let (known, unknown) = (buy(place, &offer, &[]), buy_as(place, &offer, "stranger"));
    let buyer = ["chain", "account", "--dir", "c", "--wallet", "w", "buyer", "--json"];
    let address = json(place, 0, &buyer)["account"].as_str().unwrap().to_owned();
    fs::write(place.join("known"), format!("{address}\n")).unwrap();
    // Where the contract is not here its owner is asked, and the policy does not grant instead.
    fs::write(place.join("policy.toml"), "levels = [3, 4]\n").unwrap();
    let policy = ["market", "decide", "--db", "car", "--policy", "policy.toml", "--json"];
    for one in json(place, 0, &[&policy[..], &PARTIES].concat()).as_array().unwrap() {
        assert_eq!(one["became"], "waits", "{one}");
        assert!(one["why"].as_str().unwrap().contains("is not here"), "{one}");
    }
    let decide = ["market", "decide", "--db", "car", "--contract", "sale.toml", "--json"];
    let missing = chronolith(place, &[&decide[..], &PARTIES].concat());
    let problem = String::from_utf8_lossy(&missing.stderr).into_owned();
    assert!(missing.status.code() == Some(1) && problem.contains("\"known\""), "{problem}");
    let decided = json(place, 0, &[&decide[..], &["--list", "known=known"], &PARTIES].concat());
    let became = |request: &str| {
        let decided = decided.as_array().unwrap();
        decided.iter().find(|one| one["request"] == request).unwrap().clone()
    };
    assert_eq!(became(&known)["became"], "granted");
    assert_eq!(became(&known)["why"], "sale/known");
    assert_eq!(became(&unknown)["became"], "waits");
    let kept = place.join("w/market/decisions").join(&known).join("grants-known.cbor");
    let evaluation = fs::read(kept).unwrap();
    let holds = |text: &[u8]| evaluation.windows(text.len()).any(|window| window == text);
    assert!(holds(address.as_bytes()), "what it decided from names the buyer");
    deliver(place, &known);
    assert_eq!(receive(place, 0, &known, "bought")["records"], 600);
}

fn buy_as(place: &Path, offer: &Value, account: &str) -> String {
    let bought = json(place, 0, &buying(offer, account, &[]));
    bought["request"].as_str().unwrap().to_owned()
}

#[test]
fn a_price_is_named_from_what_was_sold_or_not_at_all() {
    let directory = market();
    let place = directory.path();
    let offer = offer(place, "cycMps", &["--fixed", "1"]);
    let request = buy(place, &offer, &[]);
    grant(place, &request);
    let price = ["contract", "price", "--dir", "c", "--metric", "cycMps", "--history", "history"];
    let output = chronolith(place, &price);
    let problem = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{problem}");
    assert!(problem.contains("not enough sales") && problem.contains("1 sales"), "{problem}");
    let history = History::from_bytes(&fs::read(place.join("history")).unwrap()).unwrap();
    let sold = history.sales().first().unwrap();
    assert!(sold.volume > 0, "chunks of the device were anchored before: {sold:?}");
    let coin = history.circulation(sold.at_ms).0;
    // A development chain begins with 1,010,000 coin, and burns a part of its fees.
    assert!(coin < 1_010_000 * MOTES_PER_COIN && coin > 1_009_000 * MOTES_PER_COIN, "{coin}");
}

#[test]
fn what_is_wrong_with_a_contract_is_told_with_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    let text = "contract = 1\nname = \"x\"\n\n[[metric]]\nname = \"speed\"\nkind = \"boolean\"\nlevel = 9\n";
    fs::write(place.join("bad.toml"), text).unwrap();
    let output = chronolith(place, &["contract", "check", "bad.toml"]);
    let problem = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{problem}");
    assert!(problem.contains("line 6") && problem.contains("did you mean bool"), "{problem}");
    let wrong = ["contract", "new", "sale", "-o", "x.toml", "--set", "metrik=a"];
    let output = chronolith(place, &wrong);
    let problem = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.code() == Some(1) && problem.contains("did you mean metric"),
        "{problem}"
    );
    assert!(!place.join("x.toml").exists());
}

//! Subscriptions, answers, bounties and deals from the command line, on a real drive.

use std::fs;
use std::path::Path;

use serde_json::{Value, json as value};

use crate::rights_are_bought::{PARTIES, balance, grant, market, offer, records};
use crate::run::{chronolith, expect, json};

/// Runs a command of `chronolith market` as an account; what it printed.
fn deal(place: &Path, account: &str, arguments: &[&str]) -> Value {
    let more = ["--account", account, "--json"];
    json(place, 0, &[&["market"][..], arguments, &PARTIES, &more].concat())
}

/// What a command says that fails.
fn refused(place: &Path, account: &str, arguments: &[&str]) -> String {
    let arguments = [&["market"][..], arguments, &PARTIES, &["--account", account]].concat();
    let output = chronolith(place, &arguments);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn text(found: &Value) -> &str {
    found.as_str().unwrap()
}

#[test]
fn a_subscription_is_paid_by_the_periods_whose_keys_are_there() {
    let directory = market();
    let place = directory.path();
    let offer = offer(place, "cycMps", &["--per-hour", "6", "--fixed", "1"]);
    let before = balance(place);
    let subscribe = ["subscribe", text(&offer["offer"]), "--hours", "1", "--periods", "3"];
    let from = ["--from", "2026-01-05T08:00:00Z"];
    let made = deal(place, "buyer", &[&subscribe[..], &from].concat());
    let subscription = text(&made["subscription"]).to_owned();
    assert_eq!(made["payment"], "19", "three periods of an hour, and one coin on top");
    assert!((19.0..19.1).contains(&(before - balance(place))));
    // Nothing was sealed of the second hour, so that one period is drawn.
    let drawn = deal(place, "main", &["draw", "--db", "car"]);
    let numbers: Vec<_> = drawn.as_array().unwrap().iter().map(|one| &one["period"]).collect();
    assert_eq!((numbers, &drawn[0]["price"]), (vec![&value!(0)], &value!("7")));
    assert_eq!(deal(place, "main", &["draw", "--db", "car"]), value!([]), "it is drawn once");
    let listed = deal(place, "buyer", &["subscriptions"]);
    assert_eq!((&listed[0]["escrow"], &listed[0]["drawn"]), (&value!("12"), &value!(1)));
    let periods = json(place, 0, &["market", "periods", &subscription, "--chain", "c", "--json"]);
    assert_eq!(periods[0]["status"], "drawn", "{periods}");
    // It is received as what was bought is.
    let deliver = ["deliver", &subscription, "--period", "0", "--db", "car"];
    let files = ["--note", "note", "--car", "chunks.car"];
    assert_eq!(deal(place, "main", &[&deliver[..], &files].concat())["chunks"], 5);
    let receive = ["receive", &subscription, "--period", "0", "--db", "bought"];
    let received = deal(place, "buyer", &[&receive[..], &files].concat());
    assert_eq!((&received["chunks"], &received["refused"]), (&value!(5), &value!([])));
    assert_eq!(records(place, "bought", "cycMps"), records(place, "car", "cycMps"));
    let early = ["receive", &subscription, "--period", "1", "--db", "bought"];
    let told = refused(place, "buyer", &[&early[..], &files].concat());
    let period = format!("no keys of the period 1 of the subscription {subscription}");
    assert!(told.contains(&period), "{told}");
    // More is paid for, and its owner ends it: what is not drawn comes back.
    assert_eq!(deal(place, "buyer", &["top-up", &subscription, "--periods", "2"])["payment"], "12");
    let before = balance(place);
    deal(place, "main", &["end", &subscription]);
    assert!((23.9..24.1).contains(&(balance(place) - before)), "two and two periods");
    assert_eq!(deal(place, "buyer", &["subscriptions"])[0]["status"], "ended");
}

const QUESTION: &str = "format = 'chronolith question 1'\n\
    sql = '''SELECT count(*) AS records, round(avg(value)) AS mean FROM \"cycMps\"\n\
    WHERE time >= $from AND time < $until'''\n\
    least = { column = 'records', count = 60 }\n";
const NOISE: &str =
    "noise = [{ column = 'mean', step = '1', scale = '5/1', changes = 2 }]\nbudget = '1'\n";

#[test]
fn answers_are_sold_instead_of_data_within_a_budget() {
    let directory = market();
    let place = directory.path();
    fs::write(place.join("plain.toml"), QUESTION).unwrap();
    fs::write(place.join("noisy.toml"), format!("{QUESTION}{NOISE}")).unwrap();
    let offered =
        |question: &str| offer(place, "cycMps", &["--fixed", "2", "--question", question]);
    let buy = |offer: &Value, from: &str, until: &str| {
        let buy = ["buy", text(&offer["offer"]), "--from", from, "--until", until];
        text(&deal(place, "buyer", &buy)["request"]).to_owned()
    };
    let (from, until) = ("2026-01-05T08:05:00Z", "2026-01-05T08:15:00Z");
    let plain = offered("plain.toml");
    let request = buy(&plain, from, until);
    let answer = |request: &str, question: &str| -> [String; 6] {
        let words = ["answer", request, "--db", "car", "--question", question];
        words.map(str::to_owned)
    };
    let words = |all: &[String; 6]| -> Vec<String> { all.to_vec() };
    let run = |request: &str, question: &str| {
        let all = words(&answer(request, question));
        deal(place, "main", &all.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let fails = |request: &str, question: &str| {
        let all = words(&answer(request, question));
        refused(place, "main", &all.iter().map(String::as_str).collect::<Vec<_>>())
    };
    assert!(refused(place, "buyer", &["read", &request]).contains("only an answered one"));
    assert!(fails(&request, "noisy.toml").contains("the offer is of the question"));
    let made = run(&request, "plain.toml");
    assert_eq!(made["batches"], 1);
    let read = deal(place, "buyer", &["read", &request]);
    let count = &read["answer"]["rows"][0][0];
    assert_eq!((count, &read["id"]), (&value!(600), &made["answer"]), "{read}");
    assert_eq!(read["answer"]["from"], "2026-01-05T08:05:00Z");
    assert!(fails(&request, "plain.toml").contains("only an open one"));
    // Too little stands behind a row: it is left out.
    let few = buy(&plain, "2026-01-05T08:20:00Z", "2026-01-05T08:25:00Z");
    fs::write(place.join("many.toml"), QUESTION.replace("count = 60", "count = 100000")).unwrap();
    assert!(fails(&few, "many.toml").contains("the offer is of the question"));
    let many = offered("many.toml");
    let request = buy(&many, from, until);
    run(&request, "many.toml");
    let read = deal(place, "buyer", &["read", &request]);
    assert_eq!((&read["answer"]["rows"], &read["answer"]["left_out"]), (&value!([]), &value!(1)));
    // Noise costs 0.4 each, of 1 for all who ask, by whichever offer.
    let noisy = [offered("noisy.toml"), offered("noisy.toml")];
    let requests = [0, 1, 0].map(|which: usize| buy(&noisy[which], from, until));
    run(&requests[0], "noisy.toml");
    run(&requests[1], "noisy.toml");
    let told = fails(&requests[2], "noisy.toml");
    assert!(told.contains("200000 are left"), "{told}");
    // What is on the ledger is not kept to be handed in again.
    let kept = fs::read_dir(place.join("w/market/answers")).unwrap();
    assert_eq!(
        kept.filter(|one| one
            .as_ref()
            .unwrap()
            .path()
            .extension()
            .is_some_and(|end| end == "answer"))
            .count(),
        0
    );
    // One that would come too late costs nothing.
    let budgets = || {
        let all = fs::read_dir(place.join("w/market/budgets")).unwrap();
        let all = all.map(|one| one.unwrap().path()).filter(|one| one.extension().is_some());
        all.map(|one| fs::read(one).unwrap()).collect::<Vec<_>>()
    };
    let before = budgets();
    fs::write(place.join("once.toml"), format!("{QUESTION}{NOISE}").replace("'5/1'", "'20/1'"))
        .unwrap();
    let once = offered("once.toml");
    let range = ["--from", from, "--until", until];
    let buy_late = ["buy", text(&once["offer"]), "--deadline", "2"];
    let late = deal(place, "buyer", &[&buy_late[..], &range].concat());
    let told = fails(text(&late["request"]), "once.toml");
    assert!(told.contains("it is too late"), "{told}");
    assert_eq!(budgets(), before);
    run(&buy(&once, from, until), "once.toml");
    assert_ne!(budgets(), before, "one in time costs");
    // A policy grants what is asked of a question that is given along; all else waits.
    fs::write(place.join("policy.toml"), "levels = [3]\n").unwrap();
    let known = buy(&plain, from, until);
    let decide = ["decide", "--db", "car", "--policy", "policy.toml", "--question", "plain.toml"];
    let decided = deal(place, "main", &decide);
    let became = |request: &str| {
        let all = decided.as_array().unwrap();
        all.iter().find(|one| one["request"] == request).unwrap().clone()
    };
    assert_eq!(became(&known)["became"], "answered", "{decided}");
    assert_eq!(became(&requests[2])["became"], "waits", "{decided}");
    assert!(text(&became(&requests[2])["why"]).contains("its question is none"), "{decided}");
    let read = deal(place, "buyer", &["read", &known]);
    assert_eq!((&read["holds"], &read["answer"]["rows"][0][0]), (&value!(true), &value!(600)));
    // The owner signs one answer and seals another: the ledger is shown, and the payment comes back.
    let before = balance(place);
    let lied = buy(&plain, from, until);
    let action = value!({"AnswerRequest": {
        "request": lied, "answer": read["id"], "batches": read["batches"], "wrapped": "ab".repeat(200),
    }});
    fs::write(place.join("lie.json"), value!({"action": action}).to_string()).unwrap();
    let signed = expect(place, 0, &[&["wallet", "sign", "lie.json"][..], &PARTIES].concat());
    fs::write(place.join("signed.json"), signed).unwrap();
    expect(place, 0, &["chain", "tx", "--dir", "c", "signed.json"]);
    let told = refused(place, "buyer", &["read", &lied, "--dispute"]);
    assert!(told.contains("is not the answer") && told.contains("was shown"), "{told}");
    assert!((0.0..0.1).contains(&(before - balance(place))), "fees alone");
}

/// Rules of a contract were told no purpose and a budget of nothing, so that `pay-per-answer` granted nobody.
#[test]
fn a_contract_sells_answers_for_a_purpose_until_the_budget_is_spent() {
    let directory = market();
    let place = directory.path();
    let noise = NOISE.replace("budget = '1'", "budget = '0.8'");
    fs::write(place.join("q.toml"), format!("{QUESTION}{noise}")).unwrap();
    let new = ["contract", "new", "pay-per-answer", "--set", "metric=cycMps", "-o", "c.toml"];
    expect(place, 0, &new);
    let under = ["--question", "q.toml", "--contract", "c.toml"];
    let offer = offer(place, "cycMps", &under);
    let buy = |until: &str| {
        let buy = ["buy", text(&offer["offer"]), "--from", "2026-01-05T08:05:00Z"];
        text(&deal(place, "buyer", &[&buy[..], &["--until", until]].concat())["request"]).to_owned()
    };
    let decide = |more: &[&str]| {
        let decide = ["decide", "--db", "car", "--contract", "c.toml", "--question", "q.toml"];
        deal(place, "main", &[&decide[..], more].concat())[0].clone()
    };
    let request = buy("2026-01-05T08:10:00Z");
    for purpose in [&[][..], &["--purpose", "buyer=advertising"]] {
        let waits = decide(purpose);
        assert_eq!((&waits["request"], &waits["became"]), (&value!(request), &value!("waits")));
        assert!(text(&waits["why"]).contains("no rule of the contract grants it"), "{waits}");
    }
    let research = ["--purpose", "buyer=research"];
    let answered = decide(&research);
    assert_eq!(answered["became"], "answered", "{answered}");
    assert_eq!(answered["why"], "pay-per-answer/within_budget");
    buy("2026-01-05T08:15:00Z");
    assert_eq!(decide(&research)["became"], "answered", "0.4 of 0.8 was left");
    buy("2026-01-05T08:20:00Z");
    let waits = decide(&research);
    assert_eq!(waits["became"], "waits", "nothing is left: {waits}");
}

const TEN_MINUTES: [&str; 4] =
    ["--from", "2026-01-05T08:05:00Z", "--until", "2026-01-05T08:15:00Z"];

/// A bounty of the buyer's, and what the owner submitted to it: ten minutes of a metric, by an offer of it.
fn submitted(place: &Path, metric: &str) -> (String, Value) {
    let chunks = json(place, 0, &["chunks", "--db", "car", "--format", "json"]);
    let content = text(&chunks[0]["cid"]);
    let post = ["bounty", "post", "--text", content, "--reward", "10"];
    let posted = deal(place, "buyer", &[&post[..], &["--submit", "50", "--award", "50"]].concat());
    let offer = offer(place, metric, &["--per-hour", "1"]);
    let bounty = text(&posted["bounty"]).to_owned();
    let submit = ["bounty", "submit", &bounty, "--content", content, "--offer"];
    deal(place, "main", &[&submit[..], &[text(&offer["offer"])], &TEN_MINUTES].concat());
    (bounty, offer)
}

/// Grants what was awarded, and has the buyer receive the ten minutes.
fn is_received(place: &Path, request: &str) {
    grant(place, request);
    let files = ["--note", "note", "--car", "chunks.car"];
    deal(place, "main", &[&["deliver", request, "--db", "car"][..], &files].concat());
    let received =
        deal(place, "buyer", &[&["receive", request, "--db", "bought"][..], &files].concat());
    assert_eq!((&received["records"], &received["refused"]), (&value!(600), &value!([])));
}

#[test]
fn a_bounty_is_paid_for_keys_that_open_what_was_submitted() {
    let directory = market();
    let place = directory.path();
    let (bounty, offer) = submitted(place, "cycMps");
    let listed = ["market", "bounty", "submissions", &bounty, "--chain", "c", "--json"];
    assert_eq!(json(place, 0, &listed)[0]["offer"], offer["offer"]);
    let awarded = deal(place, "buyer", &["bounty", "award", &bounty, "--share", "0=10000"]);
    let request = text(&awarded["requests"][0]).to_owned();
    assert_eq!(json(place, 0, &["market", "bounty", "list", "--chain", "c", "--json"]), value!([]));
    is_received(place, &request);
}

/// Who awarded what is hidden had keys that he could neither check nor open, and paid for them.
#[test]
fn what_is_hidden_is_awarded_to_who_was_told_and_answered_to_everybody() {
    let directory = market();
    let place = directory.path();
    let (bounty, hidden) = submitted(place, "cycGrade");
    let award = ["bounty", "award", &bounty, "--share", "0=10000"];
    let told = refused(place, "buyer", &award);
    assert!(told.contains("hides what it is of"), "{told}");
    let disclosure = ["--disclosure", text(&hidden["disclosure"])];
    let awarded = deal(place, "buyer", &[&award[..], &disclosure].concat());
    let request = text(&awarded["requests"][0]).to_owned();
    is_received(place, &request);
    // An answer over it is bought by whoever was told nothing.
    fs::write(place.join("q.toml"), QUESTION.replace("cycMps", "cycGrade")).unwrap();
    let answers = offer(place, "cycGrade", &["--fixed", "2", "--question", "q.toml"]);
    assert_eq!(answers["hidden"], true, "{answers}");
    let buy = ["buy", text(&answers["offer"])];
    let bought = deal(place, "buyer", &[&buy[..], &TEN_MINUTES].concat());
    let request = text(&bought["request"]).to_owned();
    deal(place, "main", &["answer", &request, "--db", "car", "--question", "q.toml"]);
    let read = deal(place, "buyer", &["read", &request]);
    assert_eq!((&read["holds"], &read["answer"]["rows"][0][0]), (&value!(true), &value!(600)));
}

#[test]
fn a_deal_goes_forward_and_its_arbiter_decides() {
    let directory = market();
    let place = directory.path();
    expect(place, 0, &["wallet", "new", "arbiter", "--wallet", "w"]);
    let send = ["wallet", "send", "--to", "arbiter", "--amount", "5"];
    expect(place, 0, &[&send[..], &PARTIES].concat());
    let address = |name: &str| {
        let account = ["chain", "account", "--dir", "c", "--wallet", "w", name, "--json"];
        json(place, 0, &account)["account"].clone()
    };
    let contract = json(place, 0, &["chunks", "--db", "car", "--format", "json"])[0]["cid"].clone();
    let height = json(place, 0, &["chain", "status", "--dir", "c", "--json"])["height"].clone();
    let arbiter = value!({"Arbiter": {"blocks": 100, "otherwise": 0}});
    let plan = value!({
        "contract": contract,
        "parties": [
            {"account": address("main"), "coin": "Native", "amount": "10000000000000"},
            {"account": address("buyer"), "coin": "Native", "amount": "0"},
        ],
        "arbiter": address("arbiter"),
        "join_until": height.as_u64().unwrap() + 50,
        "steps": [
            {"done_by": 2, "objected_by": 1, "blocks": 100, "on_done": {"Outcome": 0},
             "on_timeout": {"Outcome": 1}, "on_objection": arbiter},
        ],
        "outcomes": [
            {"shares": [{"of": 0, "to": 1, "share": 10_000}]},
            {"shares": [{"of": 0, "to": 0, "share": 10_000}]},
        ],
    });
    fs::write(place.join("plan.json"), plan.to_string()).unwrap();
    let opened = deal(place, "main", &["deal", "open", "plan.json"]);
    let id = text(&opened["deal"]).to_owned();
    deal(place, "buyer", &["deal", "join", &id]);
    let told = refused(place, "main", &["deal", "done", &id, "--step", "0"]);
    assert!(told.contains("refuses"), "{told}");
    deal(place, "main", &["deal", "object", &id, "--step", "0", "--evidence", text(&contract)]);
    let show = ["market", "deal", "show", &id, "--chain", "c", "--json"];
    let shown = json(place, 0, &show);
    assert!(text(&shown["status"]).starts_with("disputed at step 0"), "{shown}");
    assert_eq!(shown["steps"][0]["said"]["evidence"], contract);
    assert_eq!(deal(place, "arbiter", &["deal", "list"])[0]["as"], "arbiter");
    let shares = value!([
        {"of": 0, "to": 0, "share": 5_000}, {"of": 0, "to": 1, "share": 5_000},
    ]);
    fs::write(place.join("shares.json"), shares.to_string()).unwrap();
    deal(place, "arbiter", &["deal", "arbitrate", &id, "--shares", "shares.json"]);
    assert_eq!(text(&json(place, 0, &show)["status"]), "decided by the arbiter");
    let told = refused(place, "buyer", &["deal", "open", "shares.json"]);
    assert!(told.contains("is not the JSON of the plan of a deal"), "{told}");
}

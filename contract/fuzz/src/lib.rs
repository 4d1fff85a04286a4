//! What the fuzz targets do, and a bound on what a decoder allocates. A broken promise panics, which a
//! fuzzer takes for a find.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use chronolith_contract::price::{Asked, History, reference};
use chronolith_contract::rule::{
    Evaluation, Fields, Gives, Outcome, Rule, STEPS_MAX, Shape, Value, of_deal, of_request,
};
use chronolith_contract::steps::{Forward, Lead, Told};
use chronolith_contract::template::{BUILTIN, Template};
use chronolith_contract::webhook::{Headers, Receiver, Secret};
use chronolith_contract::{Amount, Compiled};

#[path = "../../../engine/fuzz/src/allocation.rs"]
mod allocation;

/// A contract that rules are of: one with lists, queries, grants and shares by rule.
static CONTRACT: LazyLock<Compiled> = LazyLock::new(|| example("usage-insurance"));

/// Runs a target. The parser of CEL keeps tables of its grammar, whatever it reads; what is beyond them
/// stays in proportion to the input, and values of rules within what a rule may copy.
pub fn bounded(data: &[u8], target: fn(&[u8])) {
    let _ = &*CONTRACT;
    allocation::within(256 * data.len() + (64 << 20), || target(data));
}

/// A template that comes with the program, with its examples.
///
/// # Panics
/// Where there is none of that name.
#[must_use]
pub fn example(name: &str) -> Compiled {
    let (_, text) = BUILTIN.iter().find(|(other, _)| *other == name).expect("a template");
    let template = Template::read(text).expect("a template");
    template.instantiate(&examples(&template)).expect("a contract")
}

/// The examples of a template's parameters.
#[must_use]
pub fn examples(template: &Template) -> BTreeMap<String, String> {
    let parameters = template.parameters().iter();
    parameters.map(|one| (one.name.clone(), one.example.clone())).collect()
}

/// A contract's file: what is read has one canonical form, which reads back. Steps that lead forward only lead where
/// the contract leads when nobody says anything.
pub fn contract_file(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Compiled::read(text) {
        Ok(read) => {
            let again = Compiled::from_bytes(&read.to_bytes()).expect("its own canonical form");
            assert_eq!(again.contract(), read.contract());
            assert_eq!(again.cid(), read.cid());
            silence(&read);
        }
        Err(problems) => {
            assert!(!problems.0.is_empty() && problems.0.iter().all(|one| one.line > 0));
        }
    }
}

/// Follows a contract's steps on a ledger on which nobody says anything.
fn silence(read: &Compiled) {
    let Ok(forward) = Forward::of(read) else { return };
    let (mut told, mut row) = (Vec::new(), 0);
    loop {
        let followed = forward.follow(read, Amount(7), &told, &BTreeMap::new(), None);
        let followed = followed.expect("what a ledger says");
        assert_eq!(followed.deal.place(), forward.rows[row].name);
        told.push(Told { row, by: None, objects: false });
        match &forward.rows[row].late {
            Lead::Row(next) => {
                assert!(*next > row, "steps lead on");
                row = *next;
            }
            Lead::End(end) => {
                let followed = forward.follow(read, Amount(7), &told, &BTreeMap::new(), None);
                let followed = followed.expect("what a ledger says");
                assert!(followed.deal.is_ended() && followed.deal.place() == end);
                return;
            }
            Lead::Arbiter { .. } => return,
        }
    }
}

/// Canonical bytes: what is read is written as the same bytes.
pub fn canonical_contract(data: &[u8]) {
    if let Ok(read) = Compiled::from_bytes(data) {
        assert!(read.to_bytes() == data, "two canonical forms");
    }
}

/// A rule: within its bound of steps, and with one outcome.
pub fn rule(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let contract = CONTRACT.contract();
    for (names, gives) in [
        (of_request(contract), Gives::Condition),
        (of_deal(contract), Gives::Condition),
        (of_deal(contract), Gives::Share),
    ] {
        let Ok(rule) = Rule::compile(text, &names, gives, 18) else { continue };
        assert!(rule.steps() <= STEPS_MAX);
        let inputs = small(&Shape::Record(names.clone()), &names);
        let outcome = rule.evaluate(&inputs);
        assert_eq!(outcome, rule.evaluate(&inputs));
        assert_eq!(
            matches!(outcome, Outcome::Share(_)),
            gives == Gives::Share && !matches!(outcome, Outcome::Failed(_))
        );
    }
}

/// Inputs of a shape: everything there, lists of two.
fn small(shape: &Shape, names: &Fields) -> Value {
    match shape {
        Shape::Boolean => Value::Boolean(true),
        Shape::Integer => Value::Integer(7),
        Shape::Text => Value::Text("insurer".to_owned()),
        Shape::Amount => Value::Amount(Amount(10_u128.pow(18))),
        Shape::List(shape) => Value::List(vec![small(shape, names), small(shape, names)]),
        Shape::Record(fields) => {
            let field = |name: &str| Some((name.to_owned(), small(fields.get(name)?, names)));
            Value::Record(fields.names().filter_map(field).collect())
        }
    }
}

/// The record of an evaluation.
pub fn evaluation(data: &[u8]) {
    let Ok(read) = Evaluation::from_bytes(data) else { return };
    assert!(read.to_bytes() == data, "two canonical forms");
    if let Ok(decision) = read.run(&CONTRACT) {
        decision.replay(data, &CONTRACT).expect("the same again");
    }
}

/// A market's history.
pub fn price_history(data: &[u8]) {
    let Ok(history) = History::from_bytes(data) else { return };
    assert!(history.to_bytes() == data, "two canonical forms");
    let asked = Asked { at_ms: u64::MAX, age_hours: 3, volume: 3_600 };
    if let Ok(found) = reference(&history, &asked) {
        assert!(found.model.bounds.0 <= found.per_hour && found.per_hour <= found.model.bounds.1);
        assert_eq!(found.model.history, history.cid());
    }
}

/// A template.
pub fn template(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(template) = Template::read(text) else { return };
    let given = examples(&template);
    let made = template.instantiate(&given).expect("its examples make a contract");
    // The file that is written is that contract.
    if let Ok(filled) = template.fill(&given) {
        let read = Compiled::read(&filled).expect("a file that was written is one");
        assert_eq!(read.cid(), made.cid());
    }
}

/// A message: three headers and a body, a line each.
pub fn webhook(data: &[u8]) {
    let mut parts = data.splitn(4, |byte| *byte == b'\n');
    let mut text = || parts.next().and_then(|part| std::str::from_utf8(part).ok());
    let (Some(id), Some(timestamp), Some(signature)) = (text(), text(), text()) else { return };
    let body = parts.next().unwrap_or_default();
    let Ok(secret) = Secret::from_bytes(&[7; 32]) else { return };
    let mut receiver = Receiver::new(vec![secret.clone()], 1);
    let headers = Headers { id, timestamp, signature };
    let now = timestamp.parse().unwrap_or(1_700_000_000);
    if receiver.take(headers, body, now).is_ok() {
        assert!(signature.contains(secret.sign(id, now, body).trim_end_matches('=')));
        assert!(receiver.take(headers, body, now).is_err(), "taken twice");
    }
}

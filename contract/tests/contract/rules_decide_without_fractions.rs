//! Rules decide by whole numbers and amounts, and what fails never grants.

use std::collections::BTreeMap;

use chronolith_contract::Compiled;
use chronolith_contract::rule::{Failure, Gives, Outcome, Rule, Value, of_deal, of_request};
use proptest::prelude::*;

use crate::example::{contract, request, with};

fn rule(text: &str) -> Result<Rule, String> {
    let names = of_request(contract().contract());
    Rule::compile(text, &names, Gives::Condition, 18).map_err(|error| error.to_string())
}

fn outcome(text: &str) -> Outcome {
    rule(text).unwrap().evaluate(&request("alice", 2_500_000_000_000_000_000, "insurer"))
}

#[test]
fn fractions_are_refused_with_what_to_write_instead() {
    for text in ["request.hours > 1.5", "1.0 == 1.0", "1e3 > 2.0", "request.hours * 0.1 > 1"] {
        let error = rule(text).unwrap_err();
        assert!(error.contains("coin(\"2.5\")"), "{text}: {error}");
    }
    // There is no way to make one, either.
    for text in [
        "double(1) > 2",
        "request.paid / 3 > request.paid",
        "request.paid * request.paid > coin('1')",
    ] {
        assert!(rule(text).is_err(), "{text}");
    }
}

#[test]
fn amounts_are_exact() {
    assert_eq!(outcome("request.paid == coin('2.5')"), Outcome::Yes);
    assert_eq!(outcome("request.paid >= coin('2.500000000000000001')"), Outcome::No);
    assert_eq!(outcome("coin('0.1') + coin('0.2') == coin('0.3')"), Outcome::Yes);
    assert_eq!(
        outcome("share(coin('0.000000000000000003'), 5000) == coin('0.000000000000000001')"),
        Outcome::Yes
    );
    assert_eq!(outcome("coin('10000000000000000000') > request.paid * 4"), Outcome::Yes);
    assert!(
        rule("coin('0.0000000000000000001') > request.paid").unwrap_err().contains("18 digits")
    );
    assert!(rule("coin(request.buyer) > request.paid").is_err());
}

#[test]
fn what_fails_never_grants() {
    for (text, failure) in [
        ("request.hours / (request.hours - 1) > 0", Failure::Zero),
        ("request.hours % (request.hours - 1) > 0", Failure::Zero),
        ("request.hours + 9223372036854775807 > 0", Failure::Range),
        ("coin('1') - coin('2') < coin('1')", Failure::Range),
        ("request.metrics[5] == 'speed'", Failure::Missing),
        ("share(coin('1'), 10001) > coin('0')", Failure::Range),
        ("request.paid * (0 - 1) < coin('1')", Failure::Range),
    ] {
        assert_eq!(outcome(text), Outcome::Failed(failure), "{text}");
        let granting = with("request.buyer in lists.known && request.paid >= coin('2.5')", text);
        let compiled = Compiled::read(&granting).unwrap();
        let grant = compiled.decide(&request("mallory", 1, "")).unwrap();
        assert_eq!(grant.by, None, "{text}");
    }
}

#[test]
fn names_and_kinds_that_are_wrong_are_refused_with_a_hint() {
    for (text, hint) in [
        ("requst.hours > 1", "did you mean request?"),
        ("request.hour > 1", "did you mean hours?"),
        ("lists.kown.size() > 0", "did you mean known?"),
        ("request.buyer.startWith('a')", "did you mean startsWith?"),
        ("request.hours > '1'", "> is not for a whole number and a text"),
        ("request.hours", "should give a condition"),
        ("request.hours == 1u", "leave out the u"),
        ("request == request", "== is not for a record and a record"),
        ("{'a': 1}.a == 1", "no maps"),
        ("request.metrics.all(request, true)", "name it otherwise"),
        ("has(request.nothing)", "no field nothing"),
        ("request.metrics.exists(m, m)", "condition"),
        (
            "timestamp('2024-01-01T00:00:00Z') > timestamp('2023-01-01T00:00:00Z')",
            "no function timestamp",
        ),
        ("request.buyer.matches('.*')", "no function matches"),
        ("true &&", "no CEL"),
    ] {
        let error = rule(text).unwrap_err();
        assert!(error.contains(hint), "{text}: {error}");
    }
}

#[test]
fn the_place_of_an_error_is_in_the_rule() {
    let names = of_request(contract().contract());
    let error =
        Rule::compile("request.hours > 1 &&\n  request.hous > 2", &names, Gives::Condition, 18);
    let error = error.unwrap_err();
    // Where the field is chosen, in the second line.
    assert_eq!(error.line, 2, "{error}");
    assert!(error.column >= 3, "{error}");
}

#[test]
fn grants_name_the_first_rule_and_record_all() {
    let compiled = contract();
    let all = |buyer: &str, paid, role: &str| compiled.decide(&request(buyer, paid, role)).unwrap();
    let coin = 1_000_000_000_000_000_000;
    // In the order of their names, whatever the file's.
    assert_eq!(all("alice", 3 * coin, "insurer").by.as_deref(), Some("certified"));
    assert_eq!(all("alice", 3 * coin, "").by.as_deref(), Some("known"));
    assert_eq!(all("alice", 2 * coin, "").by, None);
    assert_eq!(all("bob", 0, "insurer").by.as_deref(), Some("certified"));
    assert_eq!(all("mallory", 9 * coin, "insurer").by, None);
    assert_eq!(all("alice", coin, "").decisions.len(), 2);
}

#[test]
fn answers_that_are_missing_can_be_asked_for() {
    let names = of_deal(contract().contract());
    let inputs = |answers: &[(&str, i64)]| {
        let answers = answers.iter().map(|(name, answer)| (*name, Value::Integer(*answer)));
        Value::record([
            ("answers", Value::record(answers)),
            (
                "deal",
                Value::record([
                    ("entered", 1.into()),
                    ("escrow", chronolith_contract::Amount(10).into()),
                    ("left", chronolith_contract::Amount(10).into()),
                    ("opened", 1.into()),
                    ("step", "checking".into()),
                ]),
            ),
            (
                "event",
                Value::record([
                    ("by", "buyer".into()),
                    ("kind", "objected".into()),
                    ("ruling", "".into()),
                    ("ruling_bp", 0.into()),
                    ("units", 1.into()),
                ]),
            ),
            ("now", Value::record([("height", 1.into()), ("time_s", 1.into())])),
        ])
    };
    let compile = |text| Rule::compile(text, &names, Gives::Condition, 18).unwrap();
    let bare = compile("answers.records < 10");
    assert_eq!(bare.evaluate(&inputs(&[])), Outcome::Failed(Failure::Missing));
    assert_eq!(bare.evaluate(&inputs(&[("records", 3)])), Outcome::Yes);
    let asked = compile("has(answers.records) && answers.records < 10");
    assert_eq!(asked.evaluate(&inputs(&[])), Outcome::No);
    let Value::Record(mut more) = inputs(&[]) else { panic!() };
    more.insert("more".into(), Value::Record(BTreeMap::new()));
    assert_eq!(asked.evaluate(&Value::Record(more)), Outcome::Failed(Failure::Inputs));
}

proptest! {
    #[test]
    fn the_same_inputs_have_the_same_outcome(paid: u128, hours: i64, role in "[a-z]{0,8}") {
        let text = "request.paid > coin('1') && request.hours * 3 < 1000 || request.certificates.exists(c, c.role == 'x')";
        let (one, other) = (rule(text).unwrap(), rule(text).unwrap());
        let Value::Record(mut inputs) = request("b", paid, &role) else { panic!() };
        let Some(Value::Record(fields)) = inputs.get_mut("request") else { panic!() };
        fields.insert("hours".into(), hours.into());
        let inputs = Value::Record(inputs);
        let expected = if role == "x" || paid > 10_u128.pow(18) && hours.checked_mul(3).is_some_and(|h| h < 1_000) {
            Outcome::Yes
        } else if paid > 10_u128.pow(18) && hours.checked_mul(3).is_none() {
            Outcome::Failed(Failure::Range)
        } else {
            Outcome::No
        };
        prop_assert_eq!(one.evaluate(&inputs), expected);
        prop_assert_eq!(other.evaluate(&inputs), expected);
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,120}") {
        let _ = rule(&text);
    }

    #[test]
    fn no_mixture_of_words_panics(words in prop::collection::vec(prop::sample::select(vec![
        "request", ".", "buyer", "(", ")", "[", "]", "{", "}", "&&", "||", "!", "-", "+", "*", "/", "%", "in",
        "all", "map", "exists_one", "filter", ",", "x", "1", "'a'", "coin", "share", "?", ":", "has", "metrics",
        "==", "<", "size", "lists", "known", " ", "true", "9223372036854775808", "b'x'", "r'\\'", "null", "@result",
    ]), 0..60)) {
        if let Ok(rule) = rule(&words.concat()) {
            let _ = rule.evaluate(&request("alice", 1, ""));
        }
    }
}

//! Every deal ends by its deadlines, pays exactly its escrow, and is the same whoever follows it and how
//! often somebody looks.

use std::collections::BTreeMap;

use chronolith_contract::rule::Value;
use chronolith_contract::steps::{Deal, Effect, Event, Moment, Refusal};
use chronolith_contract::template::{BUILTIN, Template};
use chronolith_contract::{Amount, Clock, Compiled, EventKind};
use proptest::prelude::*;

use crate::example::{contract, with};

fn at(height: u64) -> Moment {
    Moment { height, time_ms: height * 1_000 }
}

/// All templates with their examples.
fn contracts() -> Vec<Compiled> {
    let read = |(_, text): &(&str, &str)| {
        let template = Template::read(text).unwrap();
        let parameters = template.parameters().iter();
        let given: BTreeMap<_, _> =
            parameters.map(|one| (one.name.clone(), one.example.clone())).collect();
        template.instantiate(&given).unwrap()
    };
    BUILTIN.iter().map(read).chain([contract()]).collect()
}

/// What somebody may hand in, fitting or not.
#[derive(Debug, Clone)]
struct Doing {
    kind: prop::sample::Index,
    by: prop::sample::Index,
    wait: u64,
    units: u64,
    ruling_bp: u16,
    answers: Vec<(prop::sample::Index, i64)>,
    /// Whether it is one of those that the step waits for.
    is_fitting: bool,
}

fn doing() -> impl Strategy<Value = Doing> {
    let wait = prop_oneof![4 => 0..100_000_u64, 2 => 0..90_000_000_u64, 1 => 0..40_000_000_000_u64];
    let units = prop_oneof![0..20_u64, any::<u64>()];
    let answers = prop::collection::vec((any::<prop::sample::Index>(), -10..20_000_i64), 0..4);
    let of = (any::<prop::sample::Index>(), any::<prop::sample::Index>());
    (of, wait, units, 0..12_000_u16, answers, prop::bool::weighted(0.8)).prop_map(
        |((kind, by), wait, units, ruling_bp, answers, is_fitting)| Doing {
            kind,
            by,
            wait,
            units,
            ruling_bp,
            answers,
            is_fitting,
        },
    )
}

/// The event that a doing is for a deal.
fn event(doing: &Doing, deal: &Deal, contract: &Compiled, now: Moment) -> Event {
    let parties = ["owner", "buyer", "arbiter", "workshop", "expert", "nobody"];
    let waits = deal.due(contract).map(|due| due.waits).unwrap_or_default();
    let (kind, by) = if doing.is_fitting && !waits.is_empty() {
        doing.kind.get(&waits).clone()
    } else {
        (*doing.kind.get(&EventKind::ALL), (*doing.by.get(&parties)).to_owned())
    };
    let queries = &contract.contract().queries;
    let mut event = Event::new(kind, &by, now);
    event.units = doing.units;
    event.ruling_bp = doing.ruling_bp;
    event.ruling = ["", "faulty", "unclear"][usize::from(doing.ruling_bp) % 3].to_owned();
    if !queries.is_empty() && matches!(kind, EventKind::Evidence | EventKind::Delivered) {
        for (query, answer) in &doing.answers {
            let query = query.get(queries);
            let value = match query.answer {
                chronolith_contract::AnswerKind::Integer => Value::Integer(*answer),
                chronolith_contract::AnswerKind::Boolean => Value::Boolean(answer % 2 == 0),
                chronolith_contract::AnswerKind::Text => Value::Text(answer.to_string()),
            };
            event.answers.insert(query.name.clone(), value);
        }
    }
    event
}

fn is_whole(deal: &Deal, escrow: u128) {
    let paid = deal.paid().values().try_fold(0_u128, |sum, amount| sum.checked_add(amount.0));
    assert_eq!(paid.and_then(|paid| paid.checked_add(deal.left().0)), Some(escrow));
    assert!(!deal.is_ended() || deal.left() == Amount::ZERO);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_happens_a_deal_ends_and_pays_its_escrow(
        which: prop::sample::Index,
        escrow: u128,
        doings in prop::collection::vec(doing(), 0..24),
    ) {
        let contracts = contracts();
        let contract = which.get(&contracts);
        let opened = at(1_000);
        let mut deal = Deal::open(contract, Amount(escrow), opened);
        let mut looked_at = deal.clone();
        let (mut now, mut events) = (opened, Vec::new());
        for doing in &doings {
            let last = now;
            now = Moment { height: now.height + doing.wait / 1_000, time_ms: now.time_ms + doing.wait };
            let event = event(doing, &deal, contract, now);
            let before = deal.clone();
            match deal.apply(contract, &event) {
                Ok(effects) => {
                    events.push(event.clone());
                    let paid: u128 = effects.iter().map(|effect| match effect {
                        Effect::Paid { amount, .. } => amount.0,
                        _ => 0,
                    }).sum();
                    prop_assert_eq!(before.left().0 - paid, deal.left().0);
                    for effect in &effects {
                        if let Effect::Decided { decision, inputs } = effect {
                            decision.replay(inputs, contract).unwrap();
                        }
                    }
                    // The other one looks again and again, and at the last moment.
                    for quarter in 1..=4 {
                        let on_the_way = |from: u64, to: u64| from + (to - from) * quarter / 4;
                        let between = Moment {
                            height: on_the_way(last.height, now.height),
                            time_ms: on_the_way(last.time_ms, now.time_ms),
                        };
                        let _ = looked_at.advance(contract, between);
                    }
                    looked_at.apply(contract, &event).unwrap();
                }
                Err(_) => prop_assert_eq!(&before, &deal),
            }
            is_whole(&deal, escrow);
        }
        let (clock, longest) = contract.ends_within();
        let last = match clock {
            Clock::Blocks => at(opened.height + longest),
            Clock::Time => Moment { height: now.height, time_ms: opened.time_ms + longest },
        };
        let last = Moment { height: last.height.max(now.height), time_ms: last.time_ms.max(now.time_ms) };
        let _ = deal.advance(contract, last);
        let _ = looked_at.advance(contract, last);
        prop_assert!(deal.is_ended(), "{} is still at {}", contract.contract().name, deal.place());
        prop_assert!(deal.due(contract).is_none());
        is_whole(&deal, escrow);
        prop_assert_eq!(looked_at.place(), deal.place());
        prop_assert_eq!(looked_at.paid(), deal.paid());
        let again = Deal::replay(contract, Amount(escrow), opened, &events, last).unwrap();
        prop_assert_eq!(again.place(), deal.place());
        prop_assert_eq!(again.paid(), deal.paid());
        let late = Event::new(EventKind::Accepted, "buyer", last);
        let is_refused = matches!(deal.apply(contract, &late), Err(Refusal::Ended { .. }));
        prop_assert!(is_refused);
    }
}

#[test]
fn the_last_moment_of_a_deadline_still_counts() {
    let contract = contract();
    let granted = |height| Event::new(EventKind::Granted, "owner", at(height));
    let mut deal = Deal::open(&contract, Amount(10), at(100));
    assert_eq!(deal.due(&contract).unwrap().until, 120);
    deal.apply(&contract, &granted(120)).unwrap();
    assert_eq!(deal.place(), "checking");
    let mut deal = Deal::open(&contract, Amount(10), at(100));
    let refused = deal.apply(&contract, &granted(121)).unwrap_err();
    assert_eq!(refused, Refusal::Ended { end: "refunded".into() });
    let effects = deal.advance(&contract, at(121)).unwrap();
    assert_eq!(effects[0], Effect::Late { step: "requested".into() });
    assert_eq!(deal.paid()["buyer"], Amount(10));
}

#[test]
fn a_step_begins_when_the_one_before_was_over_and_not_when_somebody_looks() {
    let contract = Compiled::read(&with("then = \"refunded\"", "then = \"checking\"")).unwrap();
    let open = || Deal::open(&contract, Amount(10), at(100));
    // Until 120 the owner may grant; then the buyer has the blocks from 121 to 181.
    let (mut once, mut often) = (open(), open());
    for height in 101..=182 {
        often.advance(&contract, at(height)).unwrap();
        let is_over = height > 181;
        assert_eq!(often.is_ended(), is_over, "at {height}");
    }
    once.advance(&contract, at(182)).unwrap();
    assert_eq!((once.place(), once.paid()), (often.place(), often.paid()));
    let mut late = open();
    late.advance(&contract, at(150)).unwrap();
    assert_eq!(late.due(&contract).unwrap().until, 181);
}

#[test]
fn shares_are_rounded_down_and_the_rest_gets_what_is_left() {
    let contract = contract();
    let mut deal = Deal::open(&contract, Amount(199), at(1));
    deal.apply(&contract, &Event::new(EventKind::Granted, "owner", at(2))).unwrap();
    deal.advance(&contract, at(1_000)).unwrap();
    // One hundredth of 199 is 1.99.
    assert_eq!(deal.paid()["arbiter"], Amount(1));
    assert_eq!(deal.paid()["owner"], Amount(198));
}

#[test]
fn what_does_not_fit_is_refused_with_what_would() {
    let contract = contract();
    let mut deal = Deal::open(&contract, Amount(1), at(100));
    let mut told = |event: Event| deal.apply(&contract, &event).unwrap_err().to_string();
    let by_buyer = told(Event::new(EventKind::Granted, "buyer", at(101)));
    assert!(by_buyer.contains("it waits for granted by owner"), "{by_buyer}");
    assert!(told(Event::new(EventKind::Granted, "owner", at(99))).contains("as they happen"));
    let mut event = Event::new(EventKind::Evidence, "owner", at(101));
    event.answers.insert("speed".into(), 1.into());
    assert!(told(event.clone()).contains("it asks records"));
    event.answers = BTreeMap::from([("records".into(), "many".into())]);
    assert!(told(event).contains("not a whole number"));
    let other = Compiled::read(&with("check_blocks = 60", "check_blocks = 61")).unwrap();
    let event = Event::new(EventKind::Granted, "owner", at(101));
    assert_eq!(deal.apply(&other, &event), Err(Refusal::Contract));
}

#[test]
fn a_rule_of_shares_that_fails_pays_nothing() {
    // The escrow is not enough for the difference.
    let rule = "{ to = \"arbiter\", rule = \"deal.left - coin('1') > coin('0') ? 10000 : 0\" }";
    let text = with("{ to = \"arbiter\", bp = 100 }", rule);
    let contract = Compiled::read(&text).unwrap();
    for (escrow, arbiter) in [(10, 0), (2_000_000_000_000_000_000, 2_000_000_000_000_000_000)] {
        let mut deal = Deal::open(&contract, Amount(escrow), at(1));
        deal.apply(&contract, &Event::new(EventKind::Granted, "owner", at(2))).unwrap();
        deal.advance(&contract, at(1_000)).unwrap();
        let paid = deal.paid().get("arbiter").copied().unwrap_or_default();
        assert_eq!(paid, Amount(arbiter));
        is_whole(&deal, escrow);
    }
}

#[test]
fn webhooks_are_called_for_what_they_name() {
    let contract = contract();
    let mut deal = Deal::open(&contract, Amount(1), at(1));
    let mut effects =
        deal.apply(&contract, &Event::new(EventKind::Granted, "owner", at(2))).unwrap();
    effects.extend(deal.advance(&contract, at(1_000)).unwrap());
    let called: Vec<_> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Called { webhook, on } => Some((webhook.as_str(), on.as_str())),
            _ => None,
        })
        .collect();
    assert_eq!(called, [("office", "granted"), ("office", "settled")]);
}

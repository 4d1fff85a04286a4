//! Steps that a ledger can hold lead on the ledger where the contract leads, whatever is said and in time or not.

use std::collections::BTreeMap;

use chronolith_contract::rule::Value;
use chronolith_contract::steps::{Forward, ForwardError, Lead, Ruling, Told};
use chronolith_contract::template::builtin;
use chronolith_contract::{Amount, Compiled};
use proptest::prelude::*;

/// A template, with the example of each parameter.
fn contract(name: &str) -> Compiled {
    let template = builtin(name).unwrap().unwrap();
    let given = template.parameters().iter().map(|one| (one.name.clone(), one.example.clone()));
    template.instantiate(&given.collect()).unwrap()
}

/// Templates that a deal on the ledger can go by.
const HELD: [&str; 5] =
    ["accident-evidence", "arbitrated-deal", "cold-chain", "sale", "usage-insurance"];

#[test]
fn what_a_ledger_cannot_hold_is_said() {
    for name in HELD {
        let forward = Forward::of(&contract(name)).unwrap();
        assert!(forward.needs_arbiter(), "{name}: data decides");
    }
    for (name, said) in [
        ("maintenance-history", "a condition leads from the step inspecting"),
        ("bounty", "lead back"),
        ("pay-per-answer", "lead back"),
        ("subscription", "lead back"),
        ("charging-session", "lead back"),
        ("service-directory", "lead back"),
    ] {
        let refused = Forward::of(&contract(name)).unwrap_err().to_string();
        assert!(refused.contains(said), "{name}: {refused}");
    }
    let sale = builtin("sale").unwrap().unwrap();
    let text = sale.fill(&[("metric".to_owned(), "speed".to_owned())].into()).unwrap();
    let declined = "event = \"declined\"\nby = \"owner\"\nto = \"refunded\"";
    let both = text.replace(declined, "event = \"declined\"\nby = \"owner\"\nto = \"settled\"");
    assert_ne!(text, both);
    let refused = Forward::of(&Compiled::read(&both).unwrap()).unwrap_err().to_string();
    assert!(refused.contains("the step requested has several answers of owner"), "{refused}");
    let text = builtin("arbitrated-deal").unwrap().unwrap();
    let text = text.fill(&[("metric".to_owned(), "speed".to_owned())].into()).unwrap();
    let again = text.replace("to = \"ruled\"", "to = \"checking\"");
    assert_ne!(text, again);
    // Whoever rules would send the parties back, or on.
    assert!(
        Compiled::read(&again).is_err(),
        "without a time for the whole deal no step comes again"
    );
    let on = text.replace("then = \"divided_evenly\"", "then = \"delivering\"");
    if let Ok(on) = Compiled::read(&on) {
        assert!(Forward::of(&on).is_err());
    }
    let text = builtin("cold-chain").unwrap().unwrap().fill(&BTreeMap::new()).unwrap();
    let timed = text.replace("answers.gaps == 0 &&", "answers.gaps == 0 && now.height < 7 &&");
    let timed = Compiled::read(&timed).unwrap();
    assert_eq!(
        Forward::of(&timed),
        Err(ForwardError::Time("steps/under_way/0".to_owned())),
        "the ledger keeps no times"
    );
}

#[test]
fn steps_are_numbered_as_they_follow() {
    let forward = Forward::of(&contract("arbitrated-deal")).unwrap();
    let names: Vec<&str> = forward.rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names, ["requested", "delivering", "checking", "disputed"]);
    let disputed = &forward.rows[3];
    let Lead::Arbiter { within: Some(week), otherwise } = &disputed.late else {
        panic!("{disputed:?}")
    };
    assert_eq!((*week, otherwise.as_deref()), (7 * 86_400_000, Some("divided_evenly")));
    let evidence = disputed.done.as_ref().unwrap();
    assert!(matches!(evidence.to, Lead::Arbiter { within: None, .. }), "data decides");
    // Saying no and saying nothing lead to the same.
    assert_eq!(forward.rows[0].objected, None);
    assert_eq!(forward.rows[2].done, None);
}

/// What is said of a step, by which party, or nothing.
fn word() -> impl Strategy<Value = (u8, usize)> {
    (0..3_u8, 0..3_usize)
}

proptest! {
    #[test]
    fn the_contract_is_where_the_ledger_is(
        which in 0..HELD.len(),
        words in prop::collection::vec(word(), 1..12),
        (number, is_true, points) in (0..2_000_i64, any::<bool>(), 0..=10_000_u16),
        escrow in 0..u128::MAX / 10_000,
    ) {
        let compiled = contract(HELD[which]);
        let forward = Forward::of(&compiled).unwrap();
        let answers = compiled.contract().queries.iter().map(|query| {
            let answer = match query.answer {
                chronolith_contract::AnswerKind::Boolean => Value::Boolean(is_true),
                _ => Value::Integer(number),
            };
            (query.name.clone(), answer)
        });
        let answers = answers.collect();
        let ruling = Ruling { word: "unclear".to_owned(), points };
        let (mut told, mut row) = (Vec::new(), 0);
        let reached = words.iter().find_map(|(what, who)| {
            let here = &forward.rows[row];
            let said = match what {
                0 => None,
                1 => here.done.as_ref(),
                _ => here.objected.as_ref(),
            };
            let by = said.map(|said| said.by.keys().nth(who % said.by.len()).unwrap().clone());
            let lead = said.map_or(&here.late, |said| &said.to);
            told.push(Told { row, objects: by.is_some() && *what == 2, by });
            match lead {
                Lead::Row(next) => {
                    assert!(*next > row, "steps lead on");
                    row = *next;
                    None
                }
                end => Some(end.clone()),
            }
        });
        let follow = |ruling| forward.follow(&compiled, Amount(escrow), &told, &answers, ruling).unwrap();
        let is_judged = matches!(reached, Some(Lead::Arbiter { .. }));
        let followed = follow(is_judged.then_some(&ruling));
        match reached {
            None => prop_assert_eq!(followed.deal.place(), &forward.rows[row].name),
            Some(Lead::End(end)) => {
                prop_assert_eq!(followed.deal.place(), &end);
                let fixed = compiled.contract().steps.end(&end).unwrap().fixed();
                prop_assert_eq!(fixed.as_deref(), Some(followed.deal.shares()));
            }
            Some(_) => {
                // With his word, where the contract asks for it, everything that is judged ends.
                prop_assert!(followed.deal.is_ended(), "{}", followed.deal.place());
                for (decision, inputs) in &followed.decisions {
                    prop_assert!(decision.replay(inputs, &compiled).is_ok());
                }
            }
        }
        // Shares say of an escrow what the contract pays of it, to the smallest unit; but for what is rounded away where
        // they are the whole, which the contract gives to who gets the rest, and the ledger to who is first.
        let shares = followed.deal.shares();
        if followed.deal.is_ended() {
            prop_assert_eq!(shares.iter().map(|(_, points)| u32::from(*points)).sum::<u32>(), 10_000);
            let parts = shares.iter().map(|(_, points)| Amount(escrow).share(*points).0);
            let parts: Vec<u128> = parts.collect();
            let rounded = escrow - parts.iter().sum::<u128>();
            prop_assert!(rounded < shares.len() as u128);
            for ((party, _), part) in shares.iter().zip(parts) {
                let paid = followed.deal.paid().get(party).map_or(0, |amount| amount.0);
                prop_assert!(paid >= part && paid - part <= rounded, "{} got {}", party, paid);
            }
        }
        // What is not of this deal is refused.
        told.insert(0, Told { row: forward.rows.len() - 1, by: Some("stranger".to_owned()), objects: false });
        prop_assert!(forward.follow(&compiled, Amount(escrow), &told, &answers, None).is_err());
    }
}

//! What a contract says of a deal, as JSON.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chronolith_chain::hash::DealId;
use chronolith_chain::ledger::Next;
use chronolith_contract::Compiled;
use chronolith_contract::data::Extent;
use chronolith_contract::rule::Value as Answer;
use chronolith_contract::steps::Ruling;
use serde_json::{Value, json};

use super::table::name_of;
use super::{Answers, Course};
use crate::chain::{coins, shown};
use crate::market::deal::{self, Found};

fn answer(answer: &Answer) -> Value {
    match answer {
        Answer::Boolean(value) => json!(value),
        Answer::Integer(value) => json!(value),
        Answer::Text(text) => json!(text),
        // Answers to queries are none of these.
        Answer::Amount(_) | Answer::List(_) | Answer::Record(_) => Value::Null,
    }
}

fn told(answers: &Answers) -> Value {
    answers.given.iter().map(|(name, one)| (name.clone(), answer(one))).collect()
}

/// Where a deal is by its contract, what is due and by whom, and who gets what.
#[must_use]
pub fn summary(
    id: DealId,
    compiled: &Compiled,
    found: &Found,
    answers: &Answers,
    course: &Course,
) -> Value {
    let deal = &course.followed.deal;
    let due = deal.due(compiled).map(|due| match due.about.as_str() {
        "" => due.who,
        about => format!("{}: {about}", due.who),
    });
    let contract = compiled.contract();
    let plan = &found.deal.plan;
    let parties = contract.party_names().zip(plan.parties.iter());
    let parties = parties.map(|(name, party)| format!("{name} {}", coins(party.amount)));
    let steps = course.forward.rows.iter().zip(plan.steps.iter());
    let steps = steps.map(|(row, step)| format!("{} {} blocks", row.name, step.blocks));
    let of_arbiter: BTreeSet<u32> = plan
        .steps
        .iter()
        .flat_map(|step| [step.on_done, step.on_timeout, step.on_objection])
        .filter_map(|next| match next {
            Next::Arbiter { blocks, .. } => Some(blocks),
            Next::Step(_) | Next::Outcome(_) => None,
        })
        .collect();
    let arbiter = plan.arbiter.map(|account| {
        let name = name_of(contract, &plan.parties, Some(account));
        if name.is_empty() { account.to_string() } else { name }
    });
    let pays = deal.shares().iter().map(|(party, points)| format!("{party} {points}"));
    let decided = course.followed.decisions.iter();
    let decided = decided.map(|(decision, _)| decision.to_string());
    json!({
        "deal": id,
        "contract": contract.name,
        "parties": parties.collect::<Vec<_>>().join(", "),
        "arbiter": arbiter,
        "arbiter_blocks": of_arbiter,
        "steps": steps.collect::<Vec<_>>().join(", "),
        "ledger": deal::status(&found.deal.status),
        "at": deal.place(),
        "ended": deal.is_ended(),
        "due": due,
        "answers": told(answers),
        "decided": decided.collect::<Vec<_>>(),
        "unanswered": answers.failed,
        "unmet": course.followed.unmet,
        "pays_bp": pays.collect::<Vec<_>>().join(", "),
    })
}

/// What everything was decided from, so that it can be decided again: the same for everybody who has the same.
#[must_use]
pub fn record(
    id: DealId,
    compiled: &Compiled,
    found: &Found,
    (extent, answers): (&Extent, &Answers),
    (course, ruling): (&Course, Option<&Ruling>),
) -> String {
    let decisions = course.followed.decisions.iter().map(|(decision, inputs)| {
        json!({
            "rule": decision.rule,
            "outcome": decision.outcome,
            "inputs": STANDARD.encode(inputs),
        })
    });
    let shares = course.shares.as_ref().map(|shares| shares.to_vec());
    let record = json!({
        "format": "chronolith decision 1",
        "deal": id,
        "contract": compiled.cid().to_string(),
        "said": shown::deal(id, found)["steps"],
        "devices": extent.devices,
        "from": extent.from,
        "until": extent.until,
        "answers": told(answers),
        "decisions": decisions.collect::<Vec<_>>(),
        // Which, and not why: the reason may name a record, and others' tables.
        "unanswered": answers.failed.keys().collect::<Vec<_>>(),
        "ruling": ruling.map(|ruling| json!({"word": ruling.word, "points": ruling.points})),
        "unmet": course.followed.unmet,
        "at": course.followed.deal.place(),
        "shares": shares,
    });
    format!("{record:#}\n")
}

//! What a contract says of a deal, as JSON.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chronolith_chain::hash::DealId;
use chronolith_contract::Compiled;
use chronolith_contract::data::Extent;
use chronolith_contract::rule::Value as Answer;
use serde_json::{Value, json};

use super::Course;
use crate::chain::shown;
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

fn told(answers: &BTreeMap<String, Answer>) -> Value {
    answers.iter().map(|(name, one)| (name.clone(), answer(one))).collect()
}

/// Where a deal is by its contract, what is due and by whom, and who gets what.
#[must_use]
pub fn summary(
    id: DealId,
    compiled: &Compiled,
    found: &Found,
    answers: &BTreeMap<String, Answer>,
    course: &Course,
) -> Value {
    let deal = &course.followed.deal;
    let due = deal.due(compiled).map(|due| match due.about.as_str() {
        "" => due.who,
        about => format!("{}: {about}", due.who),
    });
    let pays = deal.shares().iter().map(|(party, points)| format!("{party} {points}"));
    let decided = course.followed.decisions.iter();
    let decided = decided.map(|(decision, _)| decision.to_string());
    json!({
        "deal": id,
        "contract": compiled.contract().name,
        "ledger": deal::status(&found.deal.status),
        "at": deal.place(),
        "ended": deal.is_ended(),
        "due": due,
        "answers": told(answers),
        "decided": decided.collect::<Vec<_>>(),
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
    (extent, answers): (&Extent, &BTreeMap<String, Answer>),
    course: &Course,
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
        "unmet": course.followed.unmet,
        "at": course.followed.deal.place(),
        "shares": shares,
    });
    format!("{record:#}\n")
}

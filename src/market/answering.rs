//! Answering instead of giving data: the question that the offer names, asked of the owner's database.

use std::collections::BTreeSet;

use chronolith_chain::address::Address;
use chronolith_chain::content::ContentId;
use chronolith_chain::encoding::{Bytes, Rising, TooLong};
use chronolith_chain::hash::RequestId;
use chronolith_chain::ledger::{
    AnswerRequest, BATCHES_MOST, Batch, Delivery, HiddenScope, OpenOffer, Right,
};
use chronolith_engine::{KeyRandom, window_end, window_start};
use chronolith_keys::{GRANT_BYTES_MAX, GrantError, seal_answer};
use serde_json::Value;

use super::grant::{Stock, context, ensure_waits};
use super::purse::Purse;
use super::question::{AnswerText, Question, QuestionError};
use super::scope::{Metrics, windows};
use super::{MarketError, Venue, note, offer};
use crate::node::submit::Done;
use crate::wallet::AccountKey;

/// Whether this program has what questions are asked by.
pub const HAS_SQL: bool = cfg!(feature = "sql");
/// The most rows that an answer is made of.
#[cfg(feature = "sql")]
const ROWS_MOST: u64 = 10_000;
/// The longest that the database may take to answer.
#[cfg(feature = "sql")]
const TIME_MOST: std::time::Duration = std::time::Duration::from_secs(60);

/// An answer that is made and paid for from the budget, and not yet on the ledger. Where it does not get there it
/// is handed in again: another one would cost again, and tell more by its other noise.
#[derive(Debug, Clone)]
pub struct Made {
    answer: AnswerText,
    action: AnswerRequest,
}

/// An answer that is on the ledger.
#[derive(Debug, Clone)]
pub struct Answered {
    /// The answer.
    pub answer: AnswerText,
    /// How many batches it comes from.
    pub batches: usize,
    /// Its block.
    pub done: Done,
}

/// Makes the answer to a request: asks the database, leaves out and changes what the question says, pays from the
/// scope's budget, and seals the answer to the buyer. What the answer costs is spent when this returns, and stays
/// spent where it does not go out.
///
/// # Errors
/// Where the offer sells something else, the budget is spent, or nothing of the scope is anchored.
pub fn make(
    venue: &Venue,
    (stock, purse): (Stock<'_>, &Purse),
    owner: &AccountKey,
    request: RequestId,
    (right, open): (&Right, &OpenOffer),
    hidden: Option<&HiddenScope>,
    question: &Question,
) -> Result<Made, MarketError> {
    ensure_waits(owner, request, right)?;
    let asked = asked(venue, request, right)?;
    if asked != question.id {
        return Err(QuestionError::Other { expected: asked, found: question.id }.into());
    }
    let metrics = Metrics::of_subject(stock.db, stock.keys, &open.offer.scope.subject, hidden)?;
    let wanted = note::chunks_of_metrics(stock.db, &metrics, right)?.into_keys().collect();
    let paths = note::anchored_paths(venue, stock.db, owner.address, &wanted)?;
    let batches: BTreeSet<_> = paths.iter().map(|path| (path.producer, path.root)).collect();
    let batches: Vec<Batch> =
        batches.into_iter().map(|(producer, root)| Batch { producer, root }).collect();
    if batches.is_empty() {
        return Err(MarketError::Missing { what: "anchored chunk for", id: request.to_string() });
    }
    let batches: Rising<Batch, BATCHES_MOST> = Rising::new(batches).map_err(|error| {
        QuestionError::Sql(format!("the answer comes from too many batches: {error}"))
    })?;
    let range = widened(&metrics, right)?;
    let (columns, rows) = ask(stock, &metrics, &question.sql(range.0, range.1))?;
    let mut random = KeyRandom::new()?;
    let (answer, rows) = question.answer(range, &columns, rows, GRANT_BYTES_MAX, &mut random)?;
    let context = context(venue.id()?, request);
    if let Some((cost_micro, limit_micro)) = question.budget(rows) {
        let account = Address(stock.keys.account(&metrics.device).key);
        purse.spend(account, cost_micro, limit_micro)?;
    }
    let sealed = seal_answer(&answer.bytes, &right.key, &context, &mut random)?;
    let found = sealed.len();
    let too_long = |_: TooLong| GrantError::TooLong { found };
    let wrapped = Bytes::new(sealed).map_err(too_long)?;
    let action = AnswerRequest { request, answer: answer.id, wrapped, batches };
    Ok(Made { answer, action })
}

/// Hands in an answer that was made.
///
/// # Errors
/// Where the ledger refuses.
pub fn hand_in(
    venue: &mut Venue,
    owner: &AccountKey,
    made: &Made,
) -> Result<Answered, MarketError> {
    let (answer, action) = (made.answer.clone(), made.action.clone());
    let batches = action.batches.len();
    let done = venue.commit("answer a request", &owner.signer(), action)?;
    Ok(Answered { answer, batches, done })
}

/// The question that a request is of.
///
/// # Errors
/// Where its offer sells keys.
pub fn asked(venue: &Venue, request: RequestId, right: &Right) -> Result<ContentId, MarketError> {
    match offer::delivery(venue, right.offer)? {
        Delivery::Answers { query } => Ok(query),
        Delivery::Keys => {
            let what = "the offer sells keys: chronolith market grant gives them";
            let status = super::queue::status(right);
            Err(MarketError::Status { id: request.to_string(), status, what })
        }
    }
}

/// The time of a right, widened to whole windows of its metrics, in milliseconds since the epoch: two answers
/// never differ by a few records.
fn widened(metrics: &Metrics, right: &Right) -> Result<(u64, u64), MarketError> {
    let (mut from_ms, mut until_ms) = (right.from_ms, right.until_ms);
    for (_, definition) in &metrics.metrics {
        let numbers = windows(definition, right.from_ms, right.until_ms)?;
        let ms = |time_ns: i64| u64::try_from(time_ns.div_euclid(1_000_000)).unwrap_or_default();
        from_ms = from_ms.min(ms(window_start(*numbers.start(), definition.window_ns)));
        // The last nanosecond of the window.
        let last_ms = ms(window_end(*numbers.end(), definition.window_ns));
        until_ms = until_ms.max(last_ms.saturating_add(1));
    }
    Ok((from_ms, until_ms))
}

/// The names of the columns of an answer, and its rows.
type Table = (Vec<String>, Vec<Vec<Value>>);

/// Asks the database. The SQL may read the metrics of the scope, and no others.
#[cfg(feature = "sql")]
fn ask(stock: Stock<'_>, metrics: &Metrics, sql: &str) -> Result<Table, MarketError> {
    use chronolith_query::{Limits, Sql};

    let failed = |error: &dyn std::fmt::Display| QuestionError::Sql(error.to_string());
    let session = Sql::new(stock.db.clone()).map_err(|error| failed(&error))?;
    let limits = Limits { rows: Some(ROWS_MOST), time: Some(TIME_MOST), ..Limits::default() };
    let reads = session.reads(sql, &limits).map_err(|error| failed(&error))?;
    let is_of_scope = |id| metrics.metrics.iter().any(|(known, _)| *known == id);
    if let Some(other) = reads.metrics.iter().find(|read| !is_of_scope(read.metric)) {
        let known = stock.db.definition(other.metric);
        let name = known.map(|known| known.metric.to_string()).unwrap_or_default();
        return Err(QuestionError::Scope(name).into());
    }
    let answer = session.query(sql, &limits).map_err(|error| failed(&error))?;
    let schema = answer.schema();
    let columns: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
    let mut text = Vec::new();
    let written = crate::rows::write_answer(answer, crate::rows::Format::Ndjson, &mut text);
    written.map_err(|error| failed(&error))?;
    let mut rows = Vec::new();
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let mut row: serde_json::Map<String, Value> =
            serde_json::from_slice(line).map_err(|error| failed(&error))?;
        let cells = columns.iter().map(|name| row.remove(name).unwrap_or_default());
        rows.push(cells.collect());
    }
    Ok((columns, rows))
}

/// There is nothing to ask by.
#[cfg(not(feature = "sql"))]
fn ask(_: Stock<'_>, _: &Metrics, _: &str) -> Result<Table, MarketError> {
    Err(QuestionError::NoSql.into())
}

//! Answering instead of giving data: the question that the offer names, asked of the owner's database.

use std::collections::BTreeSet;

use chronolith_chain::address::Address;
use chronolith_chain::content::ContentId;
use chronolith_chain::encoding::{Bytes, DecodeError, Rising, TooLong, decode, encode};
use chronolith_chain::hash::RequestId;
use chronolith_chain::ledger::{
    AnswerRequest, BATCHES_MOST, Batch, Delivery, HiddenScope, OpenOffer, Right,
};
use chronolith_engine::{KeyRandom, window_end, window_start};
use chronolith_keys::{GRANT_BYTES_MAX, GrantError, seal_answer};

use super::asking::{TIME_MOST, ask};
use super::bought::Bought;
use super::grant::{Stock, context, in_time};
use super::purse::Purse;
use super::question::{Question, QuestionError};
use super::scope::{Metrics, windows};
use super::{MarketError, Venue, note, offer};
use crate::node::submit::Done;
use crate::wallet::AccountKey;

/// An answer that is made and paid for from the budget, and not yet on the ledger. Where it does not get there it
/// is handed in again: another one would cost again, and tell more by its other noise. It is in the purse until then.
#[derive(Debug, Clone, PartialEq)]
pub struct Made {
    size_bytes: u64,
    action: AnswerRequest,
}

impl Made {
    fn to_bytes(&self) -> Vec<u8> {
        encode(&(self.size_bytes, self.action.clone()))
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (size_bytes, action) = decode("answer", bytes, usize::MAX)?;
        Ok(Self { size_bytes, action })
    }
}

/// An answer that is on the ledger.
#[derive(Debug, Clone)]
pub struct Answered {
    /// The content id of the answer.
    pub answer: ContentId,
    /// How long it is, before it is sealed.
    pub size_bytes: u64,
    /// How many batches it comes from.
    pub batches: usize,
    /// Its block.
    pub done: Done,
}

/// Makes the answer to a request: asks the database, leaves out and changes what the question says, pays from the
/// scope's budget, and seals the answer to the buyer. One that was made before, and did not get onto the ledger, is
/// taken as it is. What the answer costs is spent when this returns, and the answer is in the purse.
///
/// # Errors
/// Where the offer sells something else, it is too late, the budget is spent, or nothing of the scope is anchored.
pub fn make(
    venue: &Venue,
    (stock, purse): (Stock<'_>, &Purse),
    owner: &AccountKey,
    request: RequestId,
    (right, open): (&Right, &OpenOffer),
    hidden: Option<&HiddenScope>,
    question: &Question,
) -> Result<Made, MarketError> {
    in_time(venue, owner, request)?;
    let asked = asked(venue, request, right)?;
    if asked != question.id {
        return Err(QuestionError::Other { expected: asked, found: question.id }.into());
    }
    if let Some(bytes) = purse.answer(request)? {
        let made = Made::from_bytes(&bytes).map_err(|error| purse.no_answer(request, &error))?;
        return match made.action.request == request {
            true => Ok(made),
            false => Err(purse.no_answer(request, &"it is to another request").into()),
        };
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
    let is_of_scope = |id| metrics.metrics.iter().any(|(known, _)| *known == id);
    let (columns, rows) = ask(stock.db, is_of_scope, &question.sql(range.0, range.1), TIME_MOST)?;
    let mut random = KeyRandom::new()?;
    let (answer, rows) = question.answer(range, &columns, rows, GRANT_BYTES_MAX, &mut random)?;
    let context = context(venue.id()?, request);
    let sealed = seal_answer(&answer.bytes, &right.key, &context, &mut random)?;
    let found = sealed.len();
    let too_long = |_: TooLong| GrantError::TooLong { found };
    let wrapped = Bytes::new(sealed).map_err(too_long)?;
    let action = AnswerRequest { request, answer: answer.id, wrapped, batches };
    let made = Made { size_bytes: answer.bytes.len() as u64, action };
    // The database may have taken its time; what comes too late is not spent for.
    in_time(venue, owner, request)?;
    if let Some((cost_micro, limit_micro)) = question.budget(rows) {
        let account = Address(stock.keys.account(&metrics.device).key);
        purse.spend(account, cost_micro, limit_micro)?;
    }
    // Paid for first: an answer in the purse is handed in without paying.
    purse.keep_answer(request, &made.to_bytes())?;
    Ok(made)
}

/// Hands in an answer that was made, while it is in time.
///
/// # Errors
/// Where it would come too late, or the ledger refuses.
pub fn hand_in(
    venue: &mut Venue,
    purse: &Purse,
    owner: &AccountKey,
    made: &Made,
) -> Result<Answered, MarketError> {
    let Made { size_bytes, action } = made.clone();
    let AnswerRequest { request, answer, .. } = action;
    let (batches, until) = (action.batches.len(), in_time(venue, owner, request)?);
    let done = venue.commit_until("answer a request", &owner.signer(), action, until)?;
    // Where it stays it is forgotten when it is seen that the request waits no more.
    drop(purse.forget_answer(request));
    Ok(Answered { answer, size_bytes, batches, done })
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
            Err(Bought::Request(request).wrong_status(right, what))
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use chronolith_chain::address::Address;
    use chronolith_chain::hash::Hash;

    use super::*;

    #[test]
    fn an_answer_that_was_made_is_the_same_after_a_restart() {
        let batch = Batch { producer: Address([1; 32]), root: Hash([2; 32]) };
        let action = AnswerRequest {
            request: RequestId([3; 32]),
            answer: super::super::question::cid(b"an answer").unwrap(),
            wrapped: Bytes::new(vec![7; 300]).unwrap(),
            batches: Rising::new(vec![batch]).unwrap(),
        };
        let made = Made { size_bytes: 9, action };
        assert_eq!(Made::from_bytes(&made.to_bytes()).unwrap(), made);
        for length in 0..made.to_bytes().len() {
            let cut = made.to_bytes().get(..length).unwrap().to_vec();
            assert!(Made::from_bytes(&cut).is_err(), "{length} bytes are no answer");
        }
    }
}

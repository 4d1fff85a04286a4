//! Answers that are sold and bought instead of data.

use std::collections::BTreeSet;

use chronolith_chain::hash::RequestId;

use super::Desk;
use crate::buyer::BuyerError;
use crate::buyer::answer::{self, Opened};
use crate::market::answering::{Answered, Made, asked, hand_in, make};
use crate::market::purse::Requested;
use crate::market::question::{Question, Questions};
use crate::market::queue::right;
use crate::market::{MarketError, Venue};
use crate::node::submit::Done;

impl Desk {
    /// The questions of the configuration.
    #[must_use]
    pub fn questions(&self) -> &Questions {
        &self.trade().questions
    }

    /// Answers a request: by the question that is given, or by the one of the configuration that its offer names.
    /// An answer that was made, and did not get onto the ledger, is handed in again as it is.
    ///
    /// # Errors
    /// Where the request is another's or not open, its question is not known, its budget is spent, or the ledger
    /// refuses.
    pub fn answer(
        &self,
        request: RequestId,
        question: Option<&Question>,
    ) -> Result<Answered, MarketError> {
        let (trade, answers) = (self.trade(), &self.0.answers);
        let anew = |venue: &Venue| -> Result<Made, MarketError> {
            let (right, open, _) = right(venue, request)?;
            let question = match question {
                Some(question) => question,
                None => trade.questions.get(asked(venue, request, &right)?)?,
            };
            let hidden = trade.purse.offer(right.offer)?;
            let (from, of) = ((trade.stock(), &trade.purse), (&right, &open));
            make(venue, from, &trade.account, request, of, hidden.as_ref(), question)
        };
        let answered = self.with_venue(|venue| {
            let known = answers.lock().get(&request).cloned();
            let made = match known {
                Some(made) => made,
                None => {
                    let made = anew(&*venue)?;
                    answers.lock().insert(request, made.clone());
                    made
                }
            };
            let answered = hand_in(venue, &trade.account, &made)?;
            answers.lock().remove(&request);
            Ok(answered)
        })?;
        let mut status = self.0.status.lock();
        status.answered += 1;
        status.waiting.remove(&request);
        Ok(answered)
    }

    /// Forgets answers that were made to requests that wait no more.
    pub(in crate::node::selling) fn forget_answers(&self, waiting: &BTreeSet<RequestId>) {
        self.0.answers.lock().retain(|request, _| waiting.contains(request));
    }

    /// Opens the answer to a request of the account.
    ///
    /// # Errors
    /// Where the request was made elsewhere, is not answered, or its block is not here.
    pub fn opened(&self, request: RequestId) -> Result<Opened, BuyerError> {
        let requested = self.requested(request)?;
        // What fails by the connection makes a new one.
        self.with_venue(|venue| match answer::open(venue, &requested) {
            Err(BuyerError::Market(error)) => Err(error),
            opened => Ok(opened),
        })?
    }

    /// Shows the ledger an answer that is not what its owner signed: the payment comes back.
    ///
    /// # Errors
    /// As [`Desk::opened`]; where the answer holds, or the ledger refuses.
    pub fn dispute_answer(&self, request: RequestId) -> Result<Done, BuyerError> {
        let (requested, opened) = (self.requested(request)?, self.opened(request)?);
        let account = &self.trade().account;
        let done = self.with_venue(|venue| answer::dispute(venue, account, &requested, &opened))?;
        Ok(done)
    }

    fn requested(&self, request: RequestId) -> Result<Requested, MarketError> {
        let known = self.trade().purse.known(request)?;
        let (what, id) = ("request of the node's wallet", request.to_string());
        known.ok_or(MarketError::NotHere { what, id })
    }
}

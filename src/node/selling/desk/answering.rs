//! Answers that are sold and bought instead of data.

use std::collections::BTreeSet;

use chronolith_chain::hash::RequestId;

use super::{Desk, Trade};
use crate::buyer::BuyerError;
use crate::buyer::answer::{self, Opened};
use crate::market::MarketError;
use crate::market::answering::{Answered, Made, asked, hand_in, make};
use crate::market::bought::Bought;
use crate::market::grant::waits;
use crate::market::question::{Question, Questions};
use crate::market::queue::right;
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
    /// The database is asked without holding up deals, which wait for the last step alone.
    ///
    /// # Errors
    /// Where the request is another's or not open, somebody is answering it, it is too late, its question is not
    /// known, its budget is spent, or the ledger refuses.
    pub fn answer(
        &self,
        request: RequestId,
        question: Option<&Question>,
    ) -> Result<Answered, MarketError> {
        // Two answers would cost twice, and tell more by their noise.
        let _claim = self.0.answering.claim(Bought::Request(request))?;
        let made = self.make(request, question)?;
        let Trade { purse, account, .. } = self.trade();
        let answered = self.with_venue(|venue| hand_in(venue, purse, account, &made))?;
        let mut status = self.0.status.lock();
        status.answered += 1;
        status.waiting.remove(&request);
        Ok(answered)
    }

    fn make(&self, request: RequestId, question: Option<&Question>) -> Result<Made, MarketError> {
        let (trade, venue) = (self.trade(), self.connect()?);
        let (right, open, _) = right(&venue, request)?;
        let question = match question {
            Some(question) => question,
            None => trade.questions.get(asked(&venue, request, &right)?)?,
        };
        let hidden = trade.purse.offer(right.offer)?;
        let (from, of) = ((trade.stock(), &trade.purse), (&right, &open));
        make(&venue, from, &trade.account, request, of, hidden.as_ref(), question)
    }

    /// Forgets answers that were made to requests that wait no more. `waiting` may be of before an answer was made,
    /// so that what is not in it is looked at by itself.
    pub(in crate::node::selling) fn forget_answers(
        &self,
        waiting: &BTreeSet<RequestId>,
    ) -> Result<(), MarketError> {
        let (purse, account) = (&self.trade().purse, self.account());
        for request in purse.answers()?.into_iter().filter(|request| !waiting.contains(request)) {
            let looked = self.with_venue(|venue| match right(venue, request) {
                // One of another chain, or of another account of the wallet.
                Err(MarketError::Missing { .. }) => Ok(false),
                looked => looked.map(|(right, _, _)| right.owner == account && !waits(&right)),
            });
            if looked? {
                purse.forget_answer(request)?;
            }
        }
        Ok(())
    }

    /// Opens the answer to a request of the account.
    ///
    /// # Errors
    /// Where the request was made elsewhere or by another account of the wallet, is not answered, or its block is
    /// not here.
    pub fn opened(&self, request: RequestId) -> Result<Opened, BuyerError> {
        let bought = Bought::Request(request);
        let requested = self.requested(bought)?;
        // Many blocks may be looked at, and deals need not wait for that.
        let venue = self.connect()?;
        self.bought_right(&venue, bought)?;
        answer::open(&venue, &requested)
    }

    /// Shows the ledger an answer that is not what its owner signed: the payment comes back.
    ///
    /// # Errors
    /// As [`Desk::opened`]; where somebody disputes it already, the answer holds, the time to check is over, or the
    /// ledger refuses.
    pub fn dispute_answer(&self, request: RequestId) -> Result<Done, BuyerError> {
        let _claim = self.0.disputing.claim(Bought::Request(request))?;
        let requested = self.requested(Bought::Request(request))?;
        let opened = self.opened(request)?;
        let account = &self.trade().account;
        let done = self.with_venue(|venue| answer::dispute(venue, account, &requested, &opened))?;
        Ok(done)
    }
}

//! What the account bought: its note and its chunks, from those who have them, and disputes of its keys.

use std::time::Instant;

use chronolith_chain::content::ContentId;
use chronolith_chain::hash::RequestId;
use chronolith_chain::ledger::Right;
use futures::executor::block_on;

use super::Desk;
use super::claim::Claim;
use crate::buyer::check::names_anchored;
use crate::buyer::dispute::{self, Evidence, ensure_disputable, hand_in, is_open};
use crate::buyer::peers::{Peers, Way, note_of};
use crate::buyer::{BuyerError, Keys, LOOK_TIME_MOST, Received, keys, receive};
use crate::market::bought::Bought;
use crate::market::note::Note;
use crate::market::notes::key;
use crate::market::purse::Requested;
use crate::market::{MarketError, Venue};
use crate::node::submit::Done;

/// Somebody who disputes what was bought: nobody else disputes the same as long as this lives.
#[must_use]
pub struct Disputing {
    desk: Desk,
    bought: Bought,
    _claim: Claim,
}

impl Disputing {
    /// Shows the ledger a key that is wrong: the payment comes back. With a period its subscription ends. What was
    /// seen before is shown without asking anybody; else it is looked for, in a bounded time.
    ///
    /// # Errors
    /// Where it was asked for elsewhere or by another account of the wallet, has no keys yet, the time to check is over,
    /// its note cannot be had, no key is seen to be wrong, or the ledger refuses.
    pub fn settle(self) -> Result<Done, BuyerError> {
        self.desk.dispute(self.bought)
    }
}

impl Desk {
    /// Begins to dispute what was bought.
    ///
    /// # Errors
    /// Where somebody does already.
    pub fn disputing(&self, bought: Bought) -> Result<Disputing, MarketError> {
        let claim = self.0.disputing.claim(bought)?;
        Ok(Disputing { desk: self.clone(), bought, _claim: claim })
    }

    fn dispute(&self, bought: Bought) -> Result<Done, BuyerError> {
        let requested = self.requested(bought)?;
        let (purse, account) = (&self.trade().purse, &self.trade().account);
        // Peers may take their time, and deals by hand need not wait for them.
        let venue = self.connect()?;
        ensure_disputable(&venue, bought, account.address)?;
        let evidence = match Evidence::kept(purse, requested.request)? {
            Some(kept) => kept,
            None => {
                let found = self.look(&venue, bought, &requested)?;
                found.keep(purse)?;
                found
            }
        };
        let done = self.with_venue(|venue| hand_in(venue, purse, account, &requested, evidence))?;
        Ok(done)
    }

    /// Looks for a wrong key.
    fn look(
        &self,
        venue: &Venue,
        bought: Bought,
        requested: &Requested,
    ) -> Result<Evidence, BuyerError> {
        let until = Instant::now() + LOOK_TIME_MOST;
        let keys = keys(venue, bought, requested)?;
        let note = self.note_of(bought, requested, until).ok_or(BuyerError::NoNote { bought })?;
        dispute::look(venue, requested, &keys, &note, &mut self.peers(Some(until)))
    }

    /// Forgets what shows the ledger wrong keys that it judges no more, of what the account bought. `over` may be of
    /// before one was seen, so that each is looked at by itself.
    pub(in crate::node::selling) fn forget_disputes(
        &self,
        over: impl IntoIterator<Item = RequestId>,
    ) -> Result<(), MarketError> {
        let mut first = Ok(());
        for request in over {
            first = first.and(self.forget_dispute(request));
        }
        first
    }

    fn forget_dispute(&self, request: RequestId) -> Result<(), MarketError> {
        let (purse, account) = (&self.trade().purse, self.account());
        let Some(evidence) = Evidence::kept(purse, request)? else { return Ok(()) };
        let is_over = self.with_venue(|venue| match evidence.bought.right(venue) {
            // One of another chain.
            Err(MarketError::Missing { .. }) => Ok(false),
            looked => {
                looked.map(|(right, _, height)| right.buyer == account && !is_open(&right, height))
            }
        })?;
        if is_over {
            purse.forget_dispute(request)?;
        }
        Ok(())
    }

    /// What opens something that was bought.
    pub(super) fn requested(&self, bought: Bought) -> Result<Requested, MarketError> {
        let known = bought.known(&self.trade().purse)?;
        let (what, id) = bought.name();
        known.ok_or(MarketError::NotHere { what, id })
    }

    /// What the ledger has of something that the account bought.
    pub(super) fn bought_right(&self, venue: &Venue, bought: Bought) -> Result<Right, MarketError> {
        let (right, _, _) = bought.right(venue)?;
        if right.buyer != self.account() {
            let (what, id) = bought.name();
            return Err(MarketError::Other { what, id });
        }
        Ok(right)
    }

    /// The note, from its owner or whoever announced that he has it; none where nobody has one that opens.
    pub(in crate::node::selling) fn note_of(
        &self,
        bought: Bought,
        requested: &Requested,
        until: Instant,
    ) -> Option<Note> {
        let network = self.trade().link.network()?;
        let peers = block_on(network.find(key(&requested.request))).peers;
        // The ledger is asked only where there is a choice.
        let is_alone = peers.len() == 1;
        let is_there = |note: &Note| is_alone || self.is_there(bought, requested, note);
        let peers = peers.into_iter().map(|peer| (peer, Vec::new()));
        note_of(&network, peers, requested, until, is_there)
    }

    /// Whether what a note names is there; what cannot be seen is not.
    fn is_there(&self, bought: Bought, requested: &Requested, note: &Note) -> bool {
        let looked = self.connect().and_then(|venue| {
            let (_, open, _) = bought.right(&venue)?;
            let (subject, hidden) = (&open.offer.scope.subject, requested.scope.as_ref());
            Ok(names_anchored(&venue, subject, hidden, note)?)
        });
        looked.unwrap_or(false)
    }

    /// Fetches what a note names from its peers, and writes into the node's database what holds.
    pub(in crate::node::selling) fn fetch(
        &self,
        venue: &Venue,
        keys: &Keys,
        requested: &Requested,
        note: &Note,
    ) -> Result<Received, BuyerError> {
        let (purse, db) = (&self.trade().purse, &self.trade().db);
        receive(venue, purse, requested, keys, note, &mut self.peers(None), db)
    }

    fn peers(&self, until: Option<Instant>) -> Peers<impl FnMut(ContentId) -> Result<Way, String>> {
        let network = self.trade().link.network();
        let way = move |_: ContentId| -> Result<Way, String> {
            let network = network.clone().ok_or("the node is beginning or ending")?;
            Ok(Way { network, holders: Vec::new(), kept: None })
        };
        Peers { way, until }
    }
}

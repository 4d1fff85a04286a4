//! What the account bought: its note and its chunks, from those who have them, and disputes of its keys.

use chronolith_chain::ledger::{Delivery, Right};
use futures::executor::block_on;

use super::Desk;
use crate::buyer::peers::{Peers, Way, note_from};
use crate::buyer::{BuyerError, Keys, Received, dispute, keys, receive};
use crate::market::bought::Bought;
use crate::market::note::Note;
use crate::market::notes::key;
use crate::market::purse::Requested;
use crate::market::queue::status;
use crate::market::{MarketError, Venue, offer};
use crate::node::submit::Done;

impl Desk {
    /// Looks at what was bought once more, and shows the ledger a key that is wrong: the payment comes back. With a
    /// period its subscription ends. What holds is in the node's database.
    ///
    /// # Errors
    /// Where it was asked for elsewhere or by another account of the wallet, has no keys yet, its note cannot be had,
    /// no key is seen to be wrong, the time to check is over, or the ledger refuses.
    pub fn dispute(&self, bought: Bought) -> Result<Done, BuyerError> {
        let requested = self.requested(bought)?;
        // Peers may take their time, and deals by hand need not wait for them.
        let venue = self.connect()?;
        let right = self.bought_right(&venue, bought)?;
        if offer::delivery(&venue, right.offer)? != Delivery::Keys {
            let what = "its offer sells answers, and an answer is what is disputed";
            let (id, status) = (requested.request.to_string(), status(&right));
            return Err(MarketError::Status { id, status, what }.into());
        }
        let keys = keys(&venue, bought, &requested)?;
        let request = requested.request;
        let note = self.note_of(&requested)?.ok_or(BuyerError::NoNote { request })?;
        let received = self.fetch(&venue, &keys, &requested, &note)?;
        let Some(dispute) = dispute::of(&requested, &keys, &note, &received) else {
            return Err(dispute::none(&requested, received));
        };
        let account = &self.trade().account;
        let done = self
            .with_venue(|venue| dispute::hand_in(venue, account, bought, &keys.right, dispute))?;
        Ok(done)
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

    /// The note, from its owner or whoever announced that he has it; none where nobody does yet.
    pub(in crate::node::selling) fn note_of(
        &self,
        requested: &Requested,
    ) -> Result<Option<Note>, MarketError> {
        let request = requested.request;
        let Some(network) = self.trade().link.network() else { return Ok(None) };
        let found = block_on(network.find(key(&request)));
        let mut sealed = found.peers.iter().map(|peer| note_from(&network, *peer, &[], request));
        let Some(sealed) = sealed.find_map(|note| note) else { return Ok(None) };
        Ok(Some(Note::open(&sealed, requested.chain, request, &requested.secret)?))
    }

    /// Fetches what a note names from its peers, and writes into the node's database what holds.
    pub(in crate::node::selling) fn fetch(
        &self,
        venue: &Venue,
        keys: &Keys,
        requested: &Requested,
        note: &Note,
    ) -> Result<Received, BuyerError> {
        let network = self.trade().link.network();
        let mut peers = Peers(|_| {
            let network = network.clone().ok_or("the node is beginning or ending")?;
            Ok(Way { network, holders: Vec::new(), kept: None })
        });
        receive(venue, requested, keys, note, &mut peers, &self.trade().db)
    }
}

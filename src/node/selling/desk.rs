//! Where deals are made by hand in a node that runs: one at a time, since each needs the account's next
//! nonce.
//!
//! Bounties and deals are in `desk/agreeing.rs`, answers in `desk/answering.rs`, disputes of keys in `desk/bought.rs`;
//! who does something that nobody may do at the same time is in `desk/claim.rs`.

mod agreeing;
mod answering;
mod bought;
mod claim;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chronolith_chain::address::Address;
use chronolith_chain::coin::Amount;
use chronolith_chain::content::ContentId;
use chronolith_chain::hash::{OfferId, RequestId, SubscriptionId};
use chronolith_contract::Compiled;
use chronolith_engine::{ChunkKeys, Db};
use parking_lot::{Mutex, MutexGuard};

use super::SellingStatus;
use super::incoming::Incoming;
use crate::buyer;
use crate::market::grant::{self, Stock};
use crate::market::offer::{self, Offered};
use crate::market::purse::{Disclosure, Purse};
use crate::market::question::Questions;
use crate::market::queue::{Entry, Side, right, rights};
use crate::market::subscription::{self, Subscribed};
use crate::market::{MarketError, Venue, VenueError};
use crate::node::submit::Done;
use crate::node::{Client, NodeLink, NodeSettings};
use crate::wallet::AccountKey;
pub use bought::Disputing;
use claim::Claims;

/// What deals are made with.
pub(super) struct Trade {
    pub(super) purse: Purse,
    pub(super) account: AccountKey,
    pub(super) db: Db,
    pub(super) keys: ChunkKeys,
    pub(super) questions: Questions,
    /// By their content ids.
    pub(super) contracts: BTreeMap<ContentId, Compiled>,
    pub(super) incoming: Incoming,
    pub(super) node: NodeSettings,
    pub(super) link: NodeLink,
    pub(super) deadline: Duration,
}

impl Trade {
    pub(super) const fn stock(&self) -> Stock<'_> {
        Stock { db: &self.db, keys: &self.keys }
    }
}

struct Shared {
    trade: Trade,
    venue: Mutex<Option<Venue>>,
    status: Mutex<SellingStatus>,
    /// What is being answered.
    answering: Arc<Claims>,
    /// What is being disputed.
    disputing: Arc<Claims>,
}

/// Deals of the node's account; cloning is cheap.
#[derive(Clone)]
pub struct Desk(Arc<Shared>);

impl Desk {
    pub(super) fn new(trade: Trade) -> Self {
        let (venue, status) = (Mutex::new(None), Mutex::default());
        let (answering, disputing) = (Claims::new("answered"), Claims::new("disputed"));
        Self(Arc::new(Shared { trade, venue, status, answering, disputing }))
    }

    pub(super) fn trade(&self) -> &Trade {
        &self.0.trade
    }

    pub(super) fn status_mut(&self) -> MutexGuard<'_, SellingStatus> {
        self.0.status.lock()
    }

    /// How the role is doing.
    #[must_use]
    pub fn status(&self) -> SellingStatus {
        self.0.status.lock().clone()
    }

    /// The account.
    #[must_use]
    pub fn account(&self) -> Address {
        self.0.trade.account.address
    }

    /// Does something with the chain while nobody else of the node's account does. After a failure another
    /// connection is made: the old one may be what failed.
    pub(super) fn with_venue<T>(
        &self,
        work: impl FnOnce(&mut Venue) -> Result<T, MarketError>,
    ) -> Result<T, MarketError> {
        let mut kept = self.0.venue.lock();
        let mut venue = kept.take().map_or_else(|| self.connect(), Ok)?;
        let done = work(&mut venue)?;
        *kept = Some(venue);
        Ok(done)
    }

    /// The chain by a connection of its own: for what only looks and takes long, so that it holds up no deals.
    pub(super) fn connect(&self) -> Result<Venue, MarketError> {
        let Trade { node, deadline, .. } = &self.0.trade;
        let client = Client::new(node, None).map_err(VenueError::from)?;
        Ok(Venue::Node { client: Box::new(client), deadline: *deadline })
    }

    /// Offers metrics of the node's database.
    ///
    /// # Errors
    /// Where there are no such metrics, or the ledger refuses.
    pub fn offer(&self, wish: offer::Wish) -> Result<Offered, MarketError> {
        let Trade { purse, account, db, keys, .. } = &self.0.trade;
        self.with_venue(|venue| offer::offer(venue, db, keys, account, purse, wish))
    }

    /// What a hidden offer of the account is of, for those who may buy.
    ///
    /// # Errors
    /// Where there is no such offer, it is another's, hides nothing, or was made elsewhere.
    pub fn disclosure(&self, offer: OfferId) -> Result<Disclosure, MarketError> {
        let open = self.with_venue(|venue| offer::find(venue, offer))?;
        let id = offer.to_string();
        if open.owner != self.account() {
            return Err(MarketError::Other { what: "offer", id });
        }
        let hidden = self.0.trade.purse.offer(offer)?;
        let missing = MarketError::NotHere { what: "disclosure of the offer", id };
        hidden.map(|scope| Disclosure::new(offer, scope)).ok_or(missing)
    }

    /// Takes an offer back.
    ///
    /// # Errors
    /// Where it is another's, or the ledger refuses.
    pub fn close(&self, offer: OfferId) -> Result<Done, MarketError> {
        self.with_venue(|venue| offer::close(venue, &self.0.trade.account, offer))
    }

    /// Asks for a right; what is granted is received into the node's database.
    ///
    /// # Errors
    /// Where there is no such offer, it hides what was not told or is something else, or the ledger refuses.
    pub fn buy(&self, wish: buyer::Wish) -> Result<buyer::Asked, MarketError> {
        let Trade { purse, account, .. } = &self.0.trade;
        self.with_venue(|venue| buyer::request(venue, account, purse, wish))
    }

    /// Takes a request back.
    ///
    /// # Errors
    /// Where the ledger refuses.
    pub fn cancel(&self, request: RequestId) -> Result<Done, MarketError> {
        self.with_venue(|venue| buyer::cancel(venue, &self.0.trade.account, request))
    }

    /// Grants a request by the owner's word.
    ///
    /// # Errors
    /// Where it is another's or not open, its keys are not here, or the ledger refuses.
    pub fn grant(&self, request: RequestId) -> Result<Done, MarketError> {
        let trade = &self.0.trade;
        let done = self.with_venue(|venue| {
            let (right, open, _) = right(venue, request)?;
            let hidden = trade.purse.offer(right.offer)?;
            let parts = (&right, &open);
            grant::grant(venue, trade.stock(), &trade.account, request, parts, hidden.as_ref())
        })?;
        let mut status = self.0.status.lock();
        status.granted += 1;
        status.waiting.remove(&request);
        Ok(done)
    }

    /// Declines a request by the owner's word; the payment goes back.
    ///
    /// # Errors
    /// Where it is another's or not open, or the ledger refuses.
    pub fn decline(&self, request: RequestId) -> Result<Done, MarketError> {
        let account = &self.0.trade.account;
        let done = self.with_venue(|venue| {
            let (right, _, _) = right(venue, request)?;
            grant::decline(venue, account, request, &right)
        })?;
        let mut status = self.0.status.lock();
        status.declined += 1;
        status.waiting.remove(&request);
        Ok(done)
    }

    /// Takes a granted right back, with the refund that its terms say.
    ///
    /// # Errors
    /// Where it is another's, or the ledger refuses.
    pub fn revoke(&self, request: RequestId) -> Result<Done, MarketError> {
        self.with_venue(|venue| grant::revoke(venue, &self.0.trade.account, request))
    }

    /// The contracts of the configuration, by their content ids.
    #[must_use]
    pub fn contracts(&self) -> &BTreeMap<ContentId, Compiled> {
        &self.0.trade.contracts
    }

    /// Subscribes to an offer; the keys of each period are received into the node's database.
    ///
    /// # Errors
    /// Where there is no such offer, or the ledger refuses.
    pub fn subscribe(&self, wish: subscription::Wish) -> Result<Subscribed, MarketError> {
        let Trade { purse, account, .. } = &self.0.trade;
        self.with_venue(|venue| subscription::subscribe(venue, account, purse, wish))
    }

    /// Pays for more periods of a subscription; what is set aside.
    ///
    /// # Errors
    /// Where there is no such subscription, or the ledger refuses.
    pub fn top_up(
        &self,
        wanted: SubscriptionId,
        periods: u32,
    ) -> Result<(Amount, Done), MarketError> {
        let account = &self.0.trade.account;
        self.with_venue(|venue| subscription::top_up(venue, account, wanted, periods))
    }

    /// Ends a subscription.
    ///
    /// # Errors
    /// Where the ledger refuses.
    pub fn end(&self, wanted: SubscriptionId) -> Result<Done, MarketError> {
        self.with_venue(|venue| subscription::end(venue, &self.0.trade.account, wanted))
    }

    /// The rights of the account on one side.
    ///
    /// # Errors
    /// Where the state cannot be read.
    pub fn rights(&self, side: Side) -> Result<Vec<Entry>, MarketError> {
        let account = self.account();
        self.with_venue(|venue| Ok(rights(venue, account, side, |_| true)?))
    }
}

//! Bounties and deals of several steps, as the node's account has a part in them.

use std::time::Duration;

use chronolith_chain::content::ContentId;
use chronolith_chain::hash::{BountyId, DealId};
use chronolith_chain::ledger::{Advance, Arbitrate, Plan, SubmittedRight};
use chronolith_contract::data::Extent;
use chronolith_contract::steps::Ruling;
use serde_json::Value;

use super::Desk;
use crate::market::MarketError;
use crate::market::agreement;
use crate::market::bounty::{self, Awarded, Awards, Posted};
use crate::market::deal::{self, Found};
use crate::node::submit::Done;

impl Desk {
    /// Posts a bounty, with its reward set aside.
    ///
    /// # Errors
    /// Where the ledger refuses.
    pub fn post_bounty(&self, wish: bounty::Wish) -> Result<Posted, MarketError> {
        self.with_venue(|venue| bounty::post(venue, &self.trade().account, wish))
    }

    /// Submits to a bounty, and agrees to its terms.
    ///
    /// # Errors
    /// Where the ledger refuses.
    pub fn submit(
        &self,
        bounty: BountyId,
        content: ContentId,
        right: Option<SubmittedRight>,
    ) -> Result<Done, MarketError> {
        let account = &self.trade().account;
        self.with_venue(|venue| bounty::submit(venue, account, bounty, content, right))
    }

    /// Awards shares of a bounty's reward; what is granted for them is received into the node's database.
    ///
    /// # Errors
    /// Where there is no such submission, one is named twice, its offer hides what was not told or is something else,
    /// or the ledger refuses.
    pub fn award(&self, bounty: BountyId, awards: &Awards) -> Result<Awarded, MarketError> {
        let (account, purse) = (&self.trade().account, &self.trade().purse);
        self.with_venue(|venue| bounty::award(venue, account, purse, bounty, awards))
    }

    /// Opens a deal by its plan, and sets the account's part aside.
    ///
    /// # Errors
    /// Where the ledger refuses.
    pub fn open_deal(&self, plan: Plan) -> Result<(DealId, Done), MarketError> {
        self.with_venue(|venue| deal::open(venue, &self.trade().account, plan))
    }

    /// Joins a deal as it is, and sets the account's part aside.
    ///
    /// # Errors
    /// Where the ledger refuses.
    pub fn join_deal(&self, deal: DealId) -> Result<Done, MarketError> {
        self.with_venue(|venue| deal::join(venue, &self.trade().account, deal))
    }

    /// Says that the step that a deal is at is done, or objects to it.
    ///
    /// # Errors
    /// Where the ledger refuses.
    pub fn advance(&self, said: Advance) -> Result<Done, MarketError> {
        self.with_venue(|venue| deal::advance(venue, &self.trade().account, said))
    }

    /// Where a deal is by its contract, as JSON: the contract's queries are asked of the node's database, all of them
    /// within a time.
    ///
    /// # Errors
    /// Where there is no such deal, its contract is none of the configuration, or the database does not answer.
    pub fn course(
        &self,
        deal: DealId,
        extent: &Extent,
        ruling: Option<&Ruling>,
        within: Duration,
    ) -> Result<Value, MarketError> {
        let found = self.deal(deal)?;
        let contract = found.deal.plan.contract;
        let compiled = self.contracts().get(&contract);
        let compiled = compiled.ok_or_else(|| missing_here(&contract))?;
        let answers = agreement::answers(&self.trade().db, compiled, extent, within)?;
        let course = agreement::follow(compiled, &found, &answers, ruling)?;
        Ok(agreement::summary(deal, compiled, &found, &answers, &course))
    }

    /// A deal of the ledger.
    ///
    /// # Errors
    /// Where there is none of that id.
    pub(in crate::node::selling) fn deal(&self, deal: DealId) -> Result<Found, MarketError> {
        self.with_venue(|venue| deal::of(venue, deal))
    }

    /// Decides a disputed deal, as its arbiter.
    ///
    /// # Errors
    /// Where the ledger refuses.
    pub fn arbitrate(&self, decision: Arbitrate) -> Result<Done, MarketError> {
        self.with_venue(|venue| deal::arbitrate(venue, &self.trade().account, decision))
    }
}

fn missing_here(contract: &ContentId) -> MarketError {
    MarketError::NotHere { what: "contract", id: contract.to_string() }
}

//! What was sold on a chain, for reference prices.

use std::collections::BTreeMap;

use chronolith_chain::hash::{OfferId, RequestId};
use chronolith_chain::ledger::{
    Action, Offer, OfferKey, OpenOffer, RequestKey, Right, RightStatus, Subject,
};
use chronolith_chain::state::Overlay;
use chronolith_contract::Amount;
use chronolith_contract::price::{History, HistoryError, Offered, Sold};

use super::MarketError;
use crate::chain::{Chain, ChainError};

/// Which data prices are asked of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Market {
    /// The metric's name.
    pub metric: String,
    /// Its level.
    pub level: u8,
}

impl Market {
    /// Its name in a history.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{} of level {}", self.metric, self.level)
    }

    fn is_of(&self, offer: &Offer) -> bool {
        let Subject::Metrics { metrics, .. } = &offer.scope.subject else { return false };
        // An offer of everything says nothing of one metric's price.
        offer.terms.level == self.level
            && metrics.len() == 1
            && metrics.iter().any(|metric| *metric.0 == *self.metric)
    }
}

/// Why there is no history.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoHistory {
    /// The chain cannot be read.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The market.
    #[error(transparent)]
    Market(#[from] MarketError),
    /// There is more than a model is learnt from.
    #[error(transparent)]
    History(#[from] HistoryError),
}

/// The sales and offers of a market, from all blocks of a chain: what was granted and paid, or is about to be,
/// and was not shown to be faulty or given back. How many records an hour had is not on the ledger, and is 0.
///
/// # Errors
/// Where the chain cannot be read.
pub fn of_chain(chain: &Chain, market: &Market) -> Result<History, NoHistory> {
    let state = chain.state()?;
    let overlay = Overlay::new(state);
    let offer = |offer: OfferId| -> Result<Option<OpenOffer>, NoHistory> {
        Ok(overlay.get(&OfferKey { offer }).map_err(ChainError::from)?)
    };
    let right = |request: RequestId| -> Result<Option<Right>, NoHistory> {
        Ok(overlay.get(&RequestKey { request }).map_err(ChainError::from)?)
    };
    let (mut sales, mut offers) = (Vec::new(), BTreeMap::new());
    let blocks = chain.blocks()?;
    for height in blocks.oldest().max(1)..=blocks.tip().height {
        let block = chain.block(height)?.block;
        let time_ms = block.header.time_ns / 1_000_000;
        for transaction in block.transactions.iter() {
            match &transaction.body.action {
                Action::Offer(action) if market.is_of(action) => {
                    let id = OfferId::made_by(transaction.body.id());
                    // One that was refused is not there.
                    if let Some(found) = offer(id)? {
                        let owner = found.owner.to_string();
                        offers.insert(id, Offered { from_ms: time_ms, until_ms: None, owner });
                    }
                }
                Action::CloseOffer(action) => {
                    if let Some(known) = offers.get_mut(&action.offer) {
                        known.until_ms.get_or_insert(time_ms);
                    }
                }
                Action::Grant(action) => {
                    let Some(right) = right(action.request)? else { continue };
                    let is_sold = matches!(
                        right.status,
                        RightStatus::Granted { .. } | RightStatus::Settled { .. }
                    );
                    if is_sold && offers.contains_key(&right.offer) {
                        sales.push(sold(&right, time_ms));
                    }
                }
                _ => {}
            }
        }
    }
    let offers = offers.into_values().collect();
    // The supply of the chain's own coin is what it began with and was minted by rewards; the ledger has no
    // history of it, so that it counts as unknown.
    Ok(History::new(&market.name(), sales, offers, Vec::new())?)
}

fn sold(right: &Right, at_ms: u64) -> Sold {
    let hours = right.until_ms.saturating_sub(right.from_ms).div_ceil(3_600_000).max(1);
    Sold {
        at_ms,
        owner: right.owner.to_string(),
        buyer: right.buyer.to_string(),
        paid: Amount(right.price.0),
        hours,
        age_hours: at_ms.saturating_sub(right.until_ms) / 3_600_000,
        records: 0,
    }
}

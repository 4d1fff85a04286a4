//! What was sold on a chain, for reference prices.

use std::collections::{BTreeMap, HashMap, VecDeque};

use chronolith_chain::address::Address;
use chronolith_chain::hash::{OfferId, RequestId};
use chronolith_chain::ledger::{
    Action, Anchor, Offer, OfferKey, OpenOffer, RequestKey, Right, RightStatus, Subject, SupplyKey,
};
use chronolith_chain::state::Overlay;
use chronolith_contract::Amount;
use chronolith_contract::price::{History, HistoryError, Offered, Sold};

use super::MarketError;
use crate::chain::{Chain, ChainError, Replay};

/// How long before a sale anchored chunks count as volume: 30 days in milliseconds.
pub const VOLUME_MS: u64 = 30 * 86_400_000;

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
/// and was not shown to be faulty or given back.
///
/// The ledger does not count records: the volume of a sale is how many chunks of its device were anchored in the
/// [`VOLUME_MS`] before it, each batch's shared equally among its devices. The coin in circulation is what was
/// minted and not burnt, and is found by executing the chain once more: it is unknown where the blocks do not
/// reach back to the first.
///
/// # Errors
/// Where the chain cannot be read, or its blocks do not follow from its genesis.
pub fn of_chain(chain: &Chain, market: &Market) -> Result<History, NoHistory> {
    let state = chain.state()?;
    let overlay = Overlay::new(state);
    let offer = |offer: OfferId| -> Result<Option<OpenOffer>, NoHistory> {
        Ok(overlay.get(&OfferKey { offer }).map_err(ChainError::from)?)
    };
    let right = |request: RequestId| -> Result<Option<Right>, NoHistory> {
        Ok(overlay.get(&RequestKey { request }).map_err(ChainError::from)?)
    };
    let (mut sales, mut offers, mut circulation) = (Vec::new(), BTreeMap::new(), Vec::new());
    let mut anchored = Anchored::default();
    let blocks = chain.blocks()?;
    let mut replay = match blocks.oldest() {
        0 | 1 => Some(Replay::new(chain.genesis())?),
        _ => None,
    };
    let tip = blocks.tip().height;
    for height in blocks.oldest().max(1)..=tip {
        let decided = chain.block(height)?;
        let receipts = replay.as_mut().map(|replay| replay.apply(&decided)).transpose()?;
        let is_refused = |index: usize| {
            let receipt = receipts.as_ref().and_then(|receipts| receipts.get(index));
            receipt.is_some_and(|receipt| receipt.refusal.is_some())
        };
        let time_ms = decided.block.header.time_ns / 1_000_000;
        let known = sales.len();
        for (index, transaction) in decided.block.transactions.iter().enumerate() {
            match &transaction.body.action {
                Action::Anchor(action) if !is_refused(index) => anchored.add(time_ms, action),
                Action::Offer(action) if market.is_of(action) => {
                    let id = OfferId::made_by(transaction.body.id());
                    // One that was refused is not there.
                    if let Some(found) = offer(id)? {
                        let owner = found.owner.to_string();
                        let device = device_of(action);
                        let offered = Offered { from_ms: time_ms, until_ms: None, owner };
                        offers.insert(id, (offered, device));
                    }
                }
                Action::CloseOffer(action) => {
                    if let Some((known, _)) = offers.get_mut(&action.offer) {
                        known.until_ms.get_or_insert(time_ms);
                    }
                }
                Action::Grant(action) => {
                    let Some(right) = right(action.request)? else { continue };
                    let is_sold = matches!(
                        right.status,
                        RightStatus::Granted { .. } | RightStatus::Settled { .. }
                    );
                    if let Some((_, device)) = offers.get(&right.offer).filter(|_| is_sold) {
                        let chunks = device.map_or(0, |device| anchored.before(device, time_ms));
                        sales.push(sold(&right, time_ms, chunks));
                    }
                }
                _ => {}
            }
        }
        if let Some(replay) = &replay
            && (sales.len() > known || height == tip)
        {
            circulation.push((time_ms, in_circulation(replay)?));
        }
    }
    let offers = offers.into_values().map(|(offered, _)| offered).collect();
    Ok(History::new(&market.name(), sales, offers, circulation)?)
}

fn device_of(offer: &Offer) -> Option<Address> {
    match &offer.scope.subject {
        Subject::Metrics { device, .. } => Some(*device),
        Subject::Hidden(_) => None,
    }
}

/// The native coin that was minted and not burnt.
fn in_circulation(replay: &Replay) -> Result<Amount, NoHistory> {
    let supply = Overlay::new(replay.state()).get(&SupplyKey {}).map_err(ChainError::from)?;
    Ok(Amount(supply.map_or(0, |supply| supply.minted.0.saturating_sub(supply.burnt.0))))
}

/// How many chunks devices had anchored, and when.
#[derive(Default)]
struct Anchored(HashMap<Address, VecDeque<(u64, u64)>>);

impl Anchored {
    fn add(&mut self, at_ms: u64, anchor: &Anchor) {
        let count = anchor.devices.len().max(1) as u64;
        let share = u64::from(anchor.chunks).div_ceil(count);
        for device in anchor.devices.iter() {
            let of_device = self.0.entry(device.device).or_default();
            while of_device
                .front()
                .is_some_and(|(then_ms, _)| at_ms.saturating_sub(*then_ms) > VOLUME_MS)
            {
                of_device.pop_front();
            }
            of_device.push_back((at_ms, share));
        }
    }

    /// Those of a device in the time before a moment.
    fn before(&self, device: Address, at_ms: u64) -> u64 {
        let of_device = self.0.get(&device).into_iter().flatten();
        let recent = of_device.filter(|(then_ms, _)| at_ms.saturating_sub(*then_ms) <= VOLUME_MS);
        recent.map(|(_, chunks)| *chunks).fold(0, u64::saturating_add)
    }
}

fn sold(right: &Right, at_ms: u64, chunks: u64) -> Sold {
    let hours = right.until_ms.saturating_sub(right.from_ms).div_ceil(3_600_000).max(1);
    Sold {
        at_ms,
        owner: right.owner.to_string(),
        buyer: right.buyer.to_string(),
        paid: Amount(right.price.0),
        hours,
        age_hours: at_ms.saturating_sub(right.until_ms) / 3_600_000,
        // The model divides by the hours.
        records: chunks.saturating_mul(hours),
    }
}

/// The volume that half of a history's sales have no more than, where nothing else is known of what is priced.
#[must_use]
pub fn usual_volume(history: &History) -> u64 {
    let of_sale = |sold: &Sold| sold.records.checked_div(sold.hours).unwrap_or_default();
    let mut volumes: Vec<u64> = history.sales().iter().map(of_sale).collect();
    volumes.sort_unstable();
    volumes.get(volumes.len() / 2).copied().unwrap_or_default()
}

//! What was sold on a chain, for reference prices.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use chronolith_chain::address::Address;
use chronolith_chain::hash::{Hash, OfferId, RequestId};
use chronolith_chain::ledger::{
    Action, Anchor, DeviceCatalogue, Offer, OfferKey, OpenOffer, RequestKey, Right, RightStatus,
    Subject, SupplyKey,
};
use chronolith_chain::state::Overlay;
use chronolith_contract::Amount;
use chronolith_contract::price::{History, HistoryError, OFFERS_MAX, Offered, SALES_MAX, Sold};

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
/// [`VOLUME_MS`] before it, as its owner says, each batch's shared equally among its devices. The coin in
/// circulation is what was minted and not burnt, and is found by executing the chain once more: it is unknown
/// where the blocks do not reach back to the first. Of more sales or offers than a model is learnt from, the
/// latest are taken.
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
        let receipts = match &mut replay {
            Some(replay) => replay.apply(&decided)?,
            None => blocks.receipts(height).map_err(ChainError::from)?.unwrap_or_default(),
        };
        let time_ms = decided.block.header.time_ns / 1_000_000;
        let known = sales.len();
        for (transaction, receipt) in decided.block.transactions.iter().zip(&receipts) {
            if receipt.refusal.is_some() {
                continue;
            }
            let body = &transaction.body;
            match &body.action {
                Action::Anchor(action) => anchored.add(time_ms, body.sender, action),
                Action::Offer(action) if market.is_of(action) => {
                    let id = OfferId::made_by(body.id());
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
    let mut offers: Vec<Offered> = offers.into_values().map(|(offered, _)| offered).collect();
    offers.sort_by_key(|offered| offered.from_ms);
    latest(&mut offers, OFFERS_MAX);
    latest(&mut sales, SALES_MAX);
    latest(&mut circulation, OFFERS_MAX);
    Ok(History::new(&market.name(), sales, offers, circulation)?)
}

/// Keeps no more than the last of what is in the order of time.
fn latest<T>(all: &mut Vec<T>, most: usize) {
    all.drain(..all.len().saturating_sub(most));
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

/// The batches that were anchored: by whom, and their root. A batch of many devices comes in several anchors.
type BatchKey = (Address, Hash);

/// Which batches devices had anchored in the last [`VOLUME_MS`].
#[derive(Default)]
struct Anchored {
    batches: HashMap<BatchKey, (u32, HashSet<Address>)>,
    of_device: HashMap<Address, VecDeque<(u64, BatchKey)>>,
    in_order: VecDeque<(u64, BatchKey)>,
}

impl Anchored {
    fn add(&mut self, at_ms: u64, sender: Address, anchor: &Anchor) {
        let is_old = |(then_ms, _): &(u64, BatchKey)| at_ms.saturating_sub(*then_ms) > VOLUME_MS;
        while let Some((_, old)) = self.in_order.pop_front_if(|batch| is_old(batch)) {
            for device in self.batches.remove(&old).into_iter().flat_map(|(_, devices)| devices) {
                if let Some(batches) = self.of_device.get_mut(&device) {
                    batches.retain(|(_, batch)| *batch != old);
                }
            }
        }
        let key = (sender, anchor.root);
        let (_, devices) = self.batches.entry(key).or_insert_with(|| {
            self.in_order.push_back((at_ms, key));
            (anchor.chunks, HashSet::new())
        });
        for DeviceCatalogue { device, .. } in anchor.devices.iter() {
            if devices.insert(*device) {
                self.of_device.entry(*device).or_default().push_back((at_ms, key));
            }
        }
    }

    /// The chunks of a device in the time before a moment.
    fn before(&self, device: Address, at_ms: u64) -> u64 {
        let of_device = self.of_device.get(&device).into_iter().flatten();
        let recent = of_device.filter(|(then_ms, _)| at_ms.saturating_sub(*then_ms) <= VOLUME_MS);
        let shares = recent.filter_map(|(_, batch)| {
            let (chunks, devices) = self.batches.get(batch)?;
            Some(u64::from(*chunks).div_ceil(devices.len().max(1) as u64))
        });
        shares.fold(0, u64::saturating_add)
    }
}

fn sold(right: &Right, at_ms: u64, volume: u64) -> Sold {
    let hours = right.until_ms.saturating_sub(right.from_ms).div_ceil(3_600_000).max(1);
    Sold {
        at_ms,
        owner: right.owner.to_string(),
        buyer: right.buyer.to_string(),
        paid: Amount(right.price.0),
        hours,
        age_hours: at_ms.saturating_sub(right.until_ms) / 3_600_000,
        volume,
    }
}

/// The volume that half of a history's sales have no more than, where nothing else is known of what is priced.
#[must_use]
pub fn usual_volume(history: &History) -> u64 {
    let mut volumes: Vec<u64> = history.sales().iter().map(|sold| sold.volume).collect();
    volumes.sort_unstable();
    volumes.get(volumes.len() / 2).copied().unwrap_or_default()
}

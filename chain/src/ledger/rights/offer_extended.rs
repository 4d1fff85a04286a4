//! Offering answers, or data that was made of others' data.

use borsh::{BorshDeserialize, BorshSerialize};

use super::{Offer, OfferKey};
use crate::address::Address;
use crate::coin::BasisPoints;
use crate::content::ContentId;
use crate::encoding::{Keyed, Rising};
use crate::hash::OfferId;
use crate::ledger::action::Rules;
use crate::ledger::call::{Call, Halt, Ledger, ensure_within};
use crate::ledger::refusal::{Refusal, Thing};
use crate::ledger::tables::tables;

tables! {
    /// What else an offer says. Most say nothing else.
    0x3B ExtensionKey { offer: OfferId } => Extension;
}

/// The most offers that data can be made of.
pub const SOURCES_MOST: usize = 8;
/// The most offers whose royalties a sale pays.
pub const ROYALTIES_MOST: usize = 16;

/// Offers the right to use data, as `Offer` does, and says what else is agreed: what a buyer gets, which offers
/// the data was made of, and what the sender asks of sales of what is made of it.
///
/// - What `Offer` demands.
/// - The sources are offers that are there already, at most 8; so what is made of what has no cycle.
/// - A sale pays royalties to the owners of the sources, each the share that his offer asks, and to whom the
///   sources themselves pay, each once: at most 16, of at most the whole price together. They are worked out
///   now, and what they are is for ever.
/// - When a sale is settled the royalties are paid out of the price, each rounded down; the rest is the
///   sender's. A refund is his alone.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct OfferExtended {
    /// The offer.
    pub offer: Offer,
    /// What a buyer gets.
    pub delivery: Delivery,
    /// The share that is asked of sales of what is made of this data.
    pub royalty: BasisPoints,
    /// The offers that the data was made of.
    pub sources: Rising<Source, SOURCES_MOST>,
}

/// What a buyer gets.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
pub enum Delivery {
    /// The keys of the data.
    Keys,
    /// The answer to a query, and no data.
    Answers {
        /// The content id of the query that the owner's node runs, with all that it does to hide single
        /// records.
        query: ContentId,
    },
}

/// Data that other data was made of.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The offer of it.
    pub offer: OfferId,
    /// The content id of what was taken from it: a batch's root or a list of chunks, say.
    pub content: Option<ContentId>,
}

impl Keyed for Source {
    type Key = OfferId;

    fn key(&self) -> OfferId {
        self.offer
    }
}

/// What else an offer says.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct Extension {
    /// What a buyer gets.
    pub delivery: Delivery,
    /// The share that is asked of sales of what is made of this data.
    pub royalty: BasisPoints,
    /// The offers that the data was made of.
    pub sources: Rising<Source, SOURCES_MOST>,
    /// Who gets a share of each sale.
    pub royalties: Rising<Royalty, ROYALTIES_MOST>,
}

/// A share of each sale.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct Royalty {
    /// The offer that asks for it.
    pub offer: OfferId,
    /// Who gets it.
    pub owner: Address,
    /// How much of the price.
    pub share: BasisPoints,
}

impl Keyed for Royalty {
    type Key = OfferId;

    fn key(&self) -> OfferId {
        self.offer
    }
}

impl Rules for OfferExtended {
    fn weight(&self) -> u64 {
        3 + self.sources.len() as u64
    }

    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        self.offer.apply(ledger, call)?;
        ensure_within(self.royalty.0, 0_u16, BasisPoints::WHOLE.0)?;
        let extension = Extension {
            delivery: self.delivery,
            royalty: self.royalty,
            sources: self.sources.clone(),
            royalties: self.royalties(ledger)?,
        };
        let offer = OfferId::made_by(call.transaction);
        ledger.put(&ExtensionKey { offer }, &extension);
        Ok(())
    }
}

impl OfferExtended {
    /// Who gets a share of each sale: the sources' owners, and whom these pay.
    fn royalties(&self, ledger: &Ledger<'_>) -> Result<Rising<Royalty, ROYALTIES_MOST>, Halt> {
        let mut all: Vec<Royalty> = Vec::new();
        let mut add = |royalty: Royalty| {
            let is_new = all.iter().all(|other| other.offer != royalty.offer);
            if is_new && royalty.share > BasisPoints(0) {
                all.push(royalty);
            }
        };
        for source in self.sources.iter() {
            let offer = source.offer;
            let owner = ledger.find(&OfferKey { offer }, Thing::Offer)?.owner;
            if let Some(found) = ledger.get(&ExtensionKey { offer })? {
                add(Royalty { offer, owner, share: found.royalty });
                found.royalties.iter().copied().for_each(&mut add);
            }
        }
        let sum: u32 = all.iter().map(|royalty| u32::from(royalty.share.0)).sum();
        ensure_within(sum, 0_u32, BasisPoints::WHOLE.0)?;
        let limit = ROYALTIES_MOST as u64;
        Rising::new(all).map_err(|_| Halt::Refused(Refusal::Limit { limit }))
    }
}

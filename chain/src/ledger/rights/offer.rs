//! Offering data.

use borsh::{BorshDeserialize, BorshSerialize};

use super::{OfferKey, OpenOffer, ensure_owned};
use crate::address::Address;
use crate::coin::{Amount, BasisPoints, Coin};
use crate::encoding::{Keyed, Rising, Text};
use crate::hash::{Domain, Hash, OfferId};
use crate::ledger::action::Rules;
use crate::ledger::call::{Call, Halt, Ledger, ensure, ensure_within};
use crate::ledger::coin::ensure_coin;
use crate::ledger::parameters::ParameterName;
use crate::ledger::refusal::Refusal;

/// Offers the right to use data; its id follows from the transaction's.
///
/// - The scope's time range is not empty. An end that is not given means: whatever will come.
/// - Data that is named lies in the time in which the device was the sender's, by the number of the
///   key tree. Hidden data (levels 1 and 2) is a salted hash, of which the ledger can check nothing.
/// - The price is `fixed` and so much for each hour that is begun, in one coin that exists.
/// - A buyer has at least `check_blocks_least` blocks to check what he was given.
/// - The level is 1 to 4.
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
pub struct Offer {
    /// What is offered.
    pub scope: Scope,
    /// The coin of the price.
    pub coin: Coin,
    /// What a right costs, whatever its length.
    pub fixed: Amount,
    /// What it costs for each hour of data.
    pub per_hour: Amount,
    /// What else is agreed.
    pub terms: Terms,
}

/// What a right covers.
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
pub struct Scope {
    /// Which data.
    pub subject: Subject,
    /// Its beginning, in milliseconds since the epoch.
    pub from_ms: u64,
    /// Its end, if it has one.
    pub until_ms: Option<u64>,
}

/// Which data.
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
pub enum Subject {
    /// Metrics of a device; none means all.
    Metrics {
        /// The device.
        device: Address,
        /// The number of the key tree, which tells whose time it is of.
        tree: u32,
        /// The names of the metrics, at most 32.
        metrics: Rising<MetricName, 32>,
    },
    /// Something that only those know who know the salt: the hash of a [`HiddenScope`].
    Hidden(Hash),
}

/// What an offer of hidden data is of. The offer has its hash; the owner tells it to those who may
/// buy, and who disputes a grant reveals it.
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
pub struct HiddenScope {
    /// 32 random bytes, without which the rest could be guessed from the hash.
    #[serde(with = "crate::json::hex")]
    pub salt: [u8; 32],
    /// The device.
    pub device: Address,
    /// The number of its key tree, which tells whose time it is of.
    pub tree: u32,
    /// The key trees of the metrics, as headers name them.
    pub trees: Rising<TreeName, 32>,
}

/// The id of a metric's key tree.
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
pub struct TreeName(
    /// The id.
    pub Hash,
);

impl Keyed for TreeName {
    type Key = Hash;

    fn key(&self) -> Hash {
        self.0
    }
}

impl HiddenScope {
    /// What the offer says in its place.
    #[must_use]
    pub fn subject(&self) -> Subject {
        Subject::Hidden(Domain::HiddenScope.hash_of(self))
    }
}

/// The name of a metric.
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
pub struct MetricName(
    /// The name.
    pub Text<128>,
);

impl Keyed for MetricName {
    type Key = Text<128>;

    fn key(&self) -> Text<128> {
        self.0.clone()
    }
}

/// What is agreed beside scope and price.
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
pub struct Terms {
    /// The privacy level of the data, 1 to 4.
    pub level: u8,
    /// How many blocks a buyer has to check a grant before the owner is paid.
    pub check_blocks: u32,
    /// Whether the owner may revoke after he was paid, for a refund of the time that is left.
    pub is_revocable: bool,
    /// What a revocation costs the owner on top, in basis points of the price.
    pub revocation_fee: BasisPoints,
    /// The hash of the policy by which the owner's node grants by itself, if it does.
    pub auto_grant: Option<Hash>,
}

impl Rules for Offer {
    fn weight(&self) -> u64 {
        2
    }

    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        let Scope { subject, from_ms, until_ms } = &self.scope;
        ensure(until_ms.is_none_or(|until| until > *from_ms), Refusal::Range)?;
        ensure_owned(ledger, call.sender, subject, *from_ms, *until_ms)?;
        ensure_within(self.terms.level, 1_u8, 4_u8)?;
        let least = ledger.parameters.count(ParameterName::CheckBlocksLeast);
        ensure_within(self.terms.check_blocks, least, u32::MAX)?;
        ensure_within(self.terms.revocation_fee.0, 0_u16, BasisPoints::WHOLE.0)?;
        ensure_coin(ledger, self.coin)?;
        let key = OfferKey { offer: OfferId::made_by(call.transaction) };
        let offer = OpenOffer { owner: call.sender, offer: self.clone(), is_open: true };
        ledger.put(&key, &offer);
        Ok(())
    }
}

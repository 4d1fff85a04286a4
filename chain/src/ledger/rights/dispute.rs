//! Showing that a grant's keys are wrong.

use borsh::{BorshDeserialize, BorshSerialize};

use super::{
    HiddenScope, OfferKey, RequestKey, RightStatus, Shown, blame, ensure_sells_keys, give_back,
    gives_key,
};
use crate::address::Address;
use crate::encoding::Bytes;
use crate::hash::{Hash, RequestId};
use crate::ledger::action::Rules;
use crate::ledger::call::{Call, Halt, Ledger, ensure};
use crate::ledger::refusal::{Refusal, Thing};
use crate::list::ListProof;

/// Disputes a grant: reveals the one-time secret, the sealed roots, one chunk's header and its path to
/// an anchor, so that the ledger can open the message, derive the key commitment of that chunk, and
/// compare it with the header's.
///
/// - The sender is the buyer. The request is granted, and the time to check is not over: the block in
///   which the owner would be paid is the last one.
/// - The secret is that of the request's one-time key, and the sealed roots are those that were
///   granted.
/// - The header is that of an encrypted chunk, in the canonical form of version 1. Its content id, by
///   SHA-256 or BLAKE3, is at the place in the anchored batch, by the path.
/// - The batch was anchored in the time of the scope's key tree, by the owner of that time, by the
///   producer of that time or by the device itself: nobody else's header counts against the owner.
/// - The right covers the chunk. Of data that is named: the header shows its metric, which is one of
///   the scope's, and its key tree is the one that follows from the device, the number of the device's
///   key tree, the rotation that is given, the length of windows and the metric. Of hidden data: what
///   the offer is of is revealed, hashes to the offer's subject, and has the header's key tree. The
///   header's window touches the right's time range.
/// - If the roots give the chunk's key, by the header's commitment, the dispute is refused as
///   `KeysHold`.
/// - Otherwise the buyer gets all of the payment back and the grant is one more that is held against
///   the owner: the message does not open, or is no grant, has no such tree, does not cover the
///   window, or gives another key.
///
/// Whatever comes of it, everybody who reads the block can open the grant from then on.
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
pub struct Dispute {
    /// The request that was granted.
    pub request: RequestId,
    /// The secret half of the request's one-time key.
    #[serde(with = "crate::json::hex")]
    pub secret: [u8; 32],
    /// The sealed key-tree roots, as they were granted.
    pub wrapped: Bytes<16384>,
    /// The header of a chunk that the right covers.
    pub header: Bytes<16384>,
    /// The root of the batch it is anchored in, and the producer who anchored it.
    pub anchor: (Address, Hash),
    /// The chunk's place in the batch.
    pub index: u32,
    /// The way from the header to the batch's root.
    pub path: ListProof,
    /// Why the chunk's key tree is one of the scope's.
    pub tree: ChunkTree,
}

/// Why a chunk's key tree is one of a scope's.
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
pub enum ChunkTree {
    /// Its id follows from what the scope and the header show.
    Named {
        /// How many trees the metric had before under this owner.
        rotation: u32,
    },
    /// It is one of the trees of a hidden scope.
    Hidden(HiddenScope),
}

impl Rules for Dispute {
    fn weight(&self) -> u64 {
        20
    }

    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        let key = RequestKey { request: self.request };
        let right = ledger.find(&key, Thing::Request)?;
        ensure(right.buyer == call.sender, Refusal::NotAllowed(Thing::Request))?;
        ensure_sells_keys(ledger, right.offer)?;
        let contested = right.contested(self.request)?;
        let secret = contested.check(ledger, self.secret, &self.wrapped)?;
        let offer = ledger.find(&OfferKey { offer: right.offer }, Thing::Offer)?.offer;
        let shown = Shown {
            header: &self.header,
            anchor: self.anchor,
            index: self.index,
            path: &self.path,
            tree: self.tree.clone(),
        };
        let header = shown.check(ledger, &offer.scope.subject, right.from_ms, right.until_ms)?;
        let holds = gives_key(ledger.chain, &self.wrapped, &secret, contested.context, &header);
        ensure(!holds, Refusal::KeysHold)?;
        blame(ledger, right.owner)?;
        give_back(ledger, key, right, RightStatus::Faulty)
    }
}

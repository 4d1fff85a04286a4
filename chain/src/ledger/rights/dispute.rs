//! Showing that a grant's keys are wrong.

use borsh::{BorshDeserialize, BorshSerialize};

use super::{RequestKey, RightStatus};
use crate::encoding::{Bytes, List};
use crate::hash::{Domain, Hash, RequestId};
use crate::ledger::action::Rules;
use crate::ledger::call::{Call, Halt, Ledger, ensure};
use crate::ledger::refusal::{Refusal, Thing};

/// Disputes a grant: reveals the one-time secret, the sealed roots, one chunk header and its path to
/// an anchor, so that the ledger can open the message, derive that window's key commitment, and
/// compare it with the header's.
///
/// - The sender is the buyer, and the owner was not paid yet.
/// - The sealed roots are those that were granted.
/// - **Not yet**: opening the message needs the key trees and headers of encrypted chunks, which this
///   version does not have. Until then a dispute that is well-formed is refused as `Unavailable`, and
///   the payment is settled as if there were none.
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
    pub header: Bytes<4096>,
    /// The root of the batch it is anchored in, and the producer who anchored it.
    pub anchor: (crate::address::Address, Hash),
    /// The chunk's place in the batch.
    pub index: u32,
    /// The way from the header to the batch's root.
    pub path: List<Hash, 32>,
}

impl Rules for Dispute {
    fn weight(&self) -> u64 {
        20
    }

    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        let right = ledger.find(&RequestKey { request: self.request }, Thing::Request)?;
        ensure(right.buyer == call.sender, Refusal::NotAllowed(Thing::Request))?;
        let RightStatus::Granted { wrapped, .. } = right.status else {
            return Err(Refusal::Status(Thing::Request).into());
        };
        ensure(Domain::Grant.hash(&self.wrapped) == wrapped, Refusal::Entries)?;
        Err(Refusal::Unavailable.into())
    }
}

//! Leaving as a storage peer.

use borsh::{BorshDeserialize, BorshSerialize};

use super::PeerKey;
use crate::ledger::action::Rules;
use crate::ledger::agenda::Task;
use crate::ledger::call::{Call, Halt, Ledger, ensure};
use crate::ledger::parameters::ParameterName;
use crate::ledger::refusal::{Refusal, Thing};

/// Closes storage: the sender takes no more leases, and those it has are not prolonged. It keeps what
/// it is paid for until a lease is over, or the lease's owner or a repairer moved it to another peer.
///
/// - The sender is a peer, and not closing yet.
/// - What is left of its bond comes back after `unbonding_blocks`, when nothing is assigned to it any
///   more and its last audit is past dispute. Leases that it lost do not hold it up.
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
pub struct CloseStorage;

impl Rules for CloseStorage {
    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        let key = PeerKey { peer: call.sender };
        let mut peer = ledger.find(&key, Thing::Peer)?;
        ensure(peer.closing_since.is_none(), Refusal::NoChange)?;
        peer.closing_since = Some(ledger.height);
        ledger.put(&key, &peer);
        let wait = ledger.parameters.count(ParameterName::UnbondingBlocks);
        ledger.schedule(ledger.height.saturating_add(wait), Task::ClosePeer(call.sender))
    }
}

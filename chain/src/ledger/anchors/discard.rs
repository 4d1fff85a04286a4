//! Giving a pack up.

use borsh::{BorshDeserialize, BorshSerialize};

use super::{PackKey, close_pack};
use crate::content::ContentId;
use crate::ledger::action::Rules;
use crate::ledger::call::{Call, Halt, Ledger};
use crate::ledger::refusal::Thing;

/// Gives a pack up: no more leases of its fragments, no repairs, and what is set aside for them
/// comes back at once.
///
/// - The sender placed it.
/// - Leases that run go on to their end: what peers were promised they are paid.
/// - It can be placed again.
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
pub struct Discard {
    /// The pack.
    pub pack: ContentId,
}

impl Rules for Discard {
    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        let key = PackKey { pack: self.pack, owner: call.sender };
        let pack = ledger.find(&key, Thing::Pack)?;
        close_pack(ledger, key, &pack)
    }
}

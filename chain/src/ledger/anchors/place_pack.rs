//! Having a pack kept.

use borsh::{BorshDeserialize, BorshSerialize};
use chronolith_fragment::{BODY_BYTES_MAX, FRAGMENTS_MAX, Shape};

use super::{Pack, PackKey, Repairer};
use crate::coin::{Amount, Coin};
use crate::content::ContentId;
use crate::encoding::Rising;
use crate::hash::Hash;
use crate::ledger::action::Rules;
use crate::ledger::agenda::Task;
use crate::ledger::call::{Call, Halt, Ledger, ensure, ensure_within};
use crate::ledger::parameters::ParameterName;
use crate::ledger::refusal::{Refusal, Thing};

/// Places a pack: says what its fragments are, what keeping them is worth, and sets that aside.
///
/// - The sender has not placed the pack yet. Others may have: each pays for fragments of his own, and
///   nobody can take a place away. (Who placed a pack is not thereby its author; a buyer checks chunks
///   against anchors, not against packs.)
/// - It has 2 to 128 fragments, of which at least one and not all are needed. A pack is at most 2 MiB:
///   that many bytes, filled up to whole blocks, are in as many fragments as are needed.
/// - It is kept from the next epoch until `until_epoch`, at most `lease_longest` epochs ahead.
/// - The sender sets aside the price of every fragment for every epoch, and the fees of as many
///   repairs as he wants to pay for. What is not used comes back when the time is over, or by `Discard`.
/// - Up to 4 repairers, strictly rising, other than the sender.
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
pub struct PlacePack {
    /// The pack.
    pub pack: ContentId,
    /// How many fragments restore it.
    pub needed: u8,
    /// How many fragments there are.
    pub fragments: u8,
    /// How many blocks of 256 bytes each fragment has.
    pub blocks: u32,
    /// The root over (index, fragment root, length) of all fragments.
    pub fragments_root: Hash,
    /// The commitment to the secret that the fragments are masked by.
    pub mask: Hash,
    /// What a peer gets for a fragment and an epoch, in motes.
    pub price: Amount,
    /// The first epoch in which it need not be kept any more.
    pub until_epoch: u64,
    /// Who may repair it.
    pub repairers: Rising<Repairer, 4>,
    /// What a repairer gets for each fragment.
    pub repair_fee: Amount,
    /// How many repaired fragments are paid for.
    pub repairs: u16,
}

impl Rules for PlacePack {
    fn weight(&self) -> u64 {
        3
    }

    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        let key = PackKey { pack: self.pack, owner: call.sender };
        ensure(ledger.get(&key)?.is_none(), Refusal::Exists(Thing::Pack))?;
        ensure_within(self.fragments, 2_u8, FRAGMENTS_MAX)?;
        ensure_within(self.needed, 1_u8, self.fragments - 1)?;
        ensure(self.blocks > 0, Refusal::Zero)?;
        let shape = Shape::new(self.needed, self.fragments, self.blocks);
        ensure(shape.is_ok(), Refusal::Limit { limit: BODY_BYTES_MAX as u64 })?;
        let is_own = self.repairers.iter().any(|repairer| repairer.0 == call.sender);
        ensure(!is_own, Refusal::NotAllowed(Thing::Pack))?;
        let placed_epoch = ledger.epoch();
        let next = placed_epoch.saturating_add(1);
        let longest = ledger.parameters.count(ParameterName::LeaseLongest);
        ensure_within(self.until_epoch, next.saturating_add(1), next.saturating_add(longest))?;
        let epochs = self.until_epoch - next;
        let escrow = self.price.times(u64::from(self.fragments))?.times(epochs)?;
        let repair_escrow = self.repair_fee.times(u64::from(self.repairs))?;
        ledger.take(call.sender, Coin::Native, escrow.plus(repair_escrow)?)?;
        let pack = Pack {
            owner: call.sender,
            needed: self.needed,
            fragments: self.fragments,
            blocks: self.blocks,
            fragments_root: self.fragments_root,
            mask: self.mask,
            price: self.price,
            placed_epoch,
            until_epoch: self.until_epoch,
            repairers: self.repairers.clone(),
            repair_fee: self.repair_fee,
            escrow,
            repair_escrow,
            leased: 0,
        };
        ledger.put(&key, &pack);
        let PackKey { pack, owner } = key;
        ledger.schedule(ledger.epoch_end(self.until_epoch), Task::ExpirePack { pack, owner })
    }
}

//! Showing that an owner's fragments do not belong together.

use borsh::{BorshDeserialize, BorshSerialize};
use chronolith_fragment::{
    Committed, MaskSecret, RowError, RowVerdict, Shape, ShownRow, judge_row,
};

use crate::address::Address;
use crate::coin::Coin;
use crate::content::ContentId;
use crate::encoding::{Bytes, Keyed, List, Rising};
use crate::hash::Hash;
use crate::ledger::action::Rules;
use crate::ledger::anchors::PackKey;
use crate::ledger::call::{Call, Halt, Ledger, ensure};
use crate::ledger::parameters::ParameterName;
use crate::ledger::refusal::{Refusal, Thing};

/// Shows that the fragments of a pack were not encoded from anything: blocks of one place from as many
/// fragments as restore it, and one more that is not what these give. Who can unmask fragments can
/// report: a repairer, or a buyer who was granted every mask.
///
/// - The owner placed the pack, and the secret is the one that its masks were committed to.
/// - One block more than the pack needs, of different fragments; each leads to the root over all
///   fragments.
/// - Unmasked, the block of the last fragment is not the one that those of the others determine.
/// - The pack is gone. Of what was set aside for its leases and repairs to come the sender gets
///   `reporter_share`; the rest is burnt.
/// - Leases that run go on to their end: peers kept what they were given.
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
pub struct ReportWrongEncoding {
    /// The pack.
    pub pack: ContentId,
    /// Who placed it.
    pub owner: Address,
    /// The secret that its fragments are masked by; it is public from now on.
    pub secret: Hash,
    /// The place of the blocks in their fragments.
    pub block: u32,
    /// The blocks, with their ways to the root over all fragments.
    pub shown: Rising<ShownBlock, 97>,
}

/// A block of a fragment, with its way to the root over all fragments.
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
pub struct ShownBlock {
    /// Which fragment.
    pub fragment: u8,
    /// The block.
    pub block: Bytes<256>,
    /// The hashes beside its way.
    pub path: List<Hash, 40>,
}

impl Keyed for ShownBlock {
    type Key = u8;

    fn key(&self) -> u8 {
        self.fragment
    }
}

impl Rules for ReportWrongEncoding {
    fn weight(&self) -> u64 {
        4 + self.shown.len() as u64
    }

    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        let key = PackKey { pack: self.pack, owner: self.owner };
        let pack = ledger.find(&key, Thing::Pack)?;
        let shape = Shape::new(pack.needed, pack.fragments, pack.blocks);
        let shape = shape.map_err(|_| Refusal::Status(Thing::Pack))?;
        ensure(self.shown.len() == usize::from(pack.needed) + 1, Refusal::Entries)?;
        let committed = Committed { shape, root: &pack.fragments_root.0, mask: &pack.mask.0 };
        let paths: Vec<Vec<[u8; 32]>> = self.shown.iter().map(ShownBlock::path).collect();
        let shown: Vec<ShownRow<'_>> = self
            .shown
            .iter()
            .zip(&paths)
            .map(|(shown, path)| ShownRow { fragment: shown.fragment, block: &shown.block, path })
            .collect();
        match judge_row(committed, &MaskSecret::new(self.secret.0), self.block, &shown) {
            Ok(RowVerdict::Wrong) => {}
            Ok(RowVerdict::Sound) => return Err(Refusal::Sound.into()),
            Err(RowError::Secret) => return Err(Refusal::MaskSecret.into()),
            Err(RowError::Block { fragment }) => return Err(Refusal::Block { fragment }.into()),
            Err(_) => return Err(Refusal::Entries.into()),
        }
        let forfeited = pack.escrow.plus(pack.repair_escrow)?;
        let share = ledger.parameters.share(ParameterName::ReporterShare);
        let reward = forfeited.basis_points(share)?;
        ledger.remove(&key);
        ledger.pay(call.sender, Coin::Native, reward)?;
        ledger.burn(forfeited.minus(reward)?)
    }
}

impl ShownBlock {
    fn path(&self) -> Vec<[u8; 32]> {
        self.path.iter().map(|hash| hash.0).collect()
    }
}

//! Showing that an owner's fragments do not belong together.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::content::ContentId;
use crate::encoding::Keyed;
use crate::encoding::{Bytes, Rising};
use crate::hash::Hash;
use crate::ledger::action::Rules;
use crate::ledger::anchors::PackKey;
use crate::ledger::call::{Call, Halt, Ledger, ensure};
use crate::ledger::refusal::{Refusal, Thing};

/// Shows that the fragments of a pack do not come from one pack: blocks of one place from as many
/// fragments as restore it, and one more that is not what these give.
///
/// - The pack is placed.
/// - One block more than the pack needs, of different fragments.
/// - **Not yet**: recomputing the block needs the code that makes fragments, which this version does
///   not have. Until then a report that is well-formed is refused as `Unavailable`.
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
    pub path: crate::encoding::List<Hash, 40>,
}

impl Keyed for ShownBlock {
    type Key = u8;

    fn key(&self) -> u8 {
        self.fragment
    }
}

impl Rules for ReportWrongEncoding {
    fn weight(&self) -> u64 {
        20
    }

    fn apply(&self, ledger: &mut Ledger<'_>, _: &Call) -> Result<(), Halt> {
        let pack = ledger.find(&PackKey { pack: self.pack }, Thing::Pack)?;
        ensure(self.shown.len() == usize::from(pack.needed) + 1, Refusal::Entries)?;
        Err(Refusal::Unavailable.into())
    }
}

//! The peers of a simulation, and what they keep.

use std::collections::BTreeMap;

use chronolith_chain::address::Address;
use chronolith_chain::content::ContentId;
use chronolith_chain::hash::{ChainId, Hash};
use chronolith_chain::keys::SecretKey;
use chronolith_chain::ledger::{AssignedFragment, Fragment as Named};
use chronolith_chain::simulate::Random;
use chronolith_fragment::{BLOCK_BYTES, Fragment, FragmentTree, MaskSecret, Profile, Shape};
use chronolith_merkle::Proof;

use super::{AuditError, bytes, digest};
use crate::audit::{Answer, Assigned, Question, Sample};
use crate::pack::{Item, PACK_BYTES, Pack, Packer};

/// The profile of the packs: a peer for each fragment.
pub(super) const PROFILE: Profile = Profile::Lab;
const CHAIN: ChainId = ChainId([7; 32]);

/// A fragment as it is kept, with its tree.
pub(super) struct Kept {
    pub(super) fragment: Fragment,
    pub(super) tree: FragmentTree,
}

/// Fragments by their packs and indices.
pub(super) type Fragments = BTreeMap<(ContentId, u8), Kept>;

/// A peer with what it was assigned.
pub(super) struct Keeper {
    pub(super) address: Address,
    pub(super) key: SecretKey,
    pub(super) assigned: Assigned,
    pub(super) kept: Fragments,
}

/// A pack whose fragments are kept.
pub(super) struct Placed {
    pub(super) id: ContentId,
    pub(super) shape: Shape,
    pub(super) secret: MaskSecret,
}

/// Peers, one for each fragment, and packs. The first peer cheats.
pub(super) struct World {
    pub(super) keepers: Vec<Keeper>,
    pub(super) packs: Vec<Placed>,
}

impl Keeper {
    /// The block of a number with its way, by what the peer keeps.
    pub(super) fn sample(&self, number: u64) -> Option<Sample> {
        self.sample_of(&self.kept, number)
    }

    /// The same by other fragments than the peer keeps.
    pub(super) fn sample_of(&self, kept: &Fragments, number: u64) -> Option<Sample> {
        let located = self.assigned.locate(number).ok()?;
        let (block, path) = kept_block(kept, &located.fragment, located.row)?;
        Sample::new(located, block, &path)
    }

    /// An honest answer: nothing rather than something wrong.
    pub(super) fn answer(&self, question: &Question) -> Option<Answer> {
        let block = |fragment: &AssignedFragment, row| kept_block(&self.kept, fragment, row);
        Answer::make(question, &self.assigned, &self.key, block).ok()
    }
}

fn kept_block(
    kept: &Fragments,
    of: &AssignedFragment,
    row: u32,
) -> Option<([u8; BLOCK_BYTES], Proof)> {
    let Named { pack, index } = of.fragment;
    let kept = kept.get(&(pack, index))?;
    let row = row as usize;
    let block = kept.fragment.bytes.chunks(BLOCK_BYTES).nth(row)?.try_into().ok()?;
    Some((block, kept.tree.prove(&[row]).ok()?))
}

impl World {
    /// Peers with packs of a megabyte of random bytes.
    pub(super) fn new(packs: usize, seed: u64) -> Result<Self, AuditError> {
        let mut random = Random::new(seed);
        let mut keepers: Vec<Keeper> = (0..PROFILE.fragments())
            .map(|_| {
                let key = SecretKey::from_seed(&digest(&mut random).0);
                let address = key.public().into();
                Keeper { address, key, assigned: Assigned::new(), kept: BTreeMap::new() }
            })
            .collect();
        let mut placed = Vec::with_capacity(packs);
        for _ in 0..packs {
            // With its entry of the index it is a pack of exactly a megabyte.
            let block = bytes(&mut random, PACK_BYTES - 48);
            let mut packer = Packer::default();
            packer.add(Item::block(ContentId::of_raw(&block), block)?);
            let Some(body) = packer.finish() else { continue };
            let secret = MaskSecret::new(digest(&mut random).0);
            let (pack, encoded) = Pack::make(body, PROFILE, &secret)?;
            let (id, shape) = (pack.content_id(), pack.header().shape);
            for (keeper, fragment) in keepers.iter_mut().zip(encoded.into_fragments()) {
                let (index, tree) = (fragment.index, fragment.tree());
                let named = Named { pack: id, index };
                let (root, blocks) = (Hash(tree.root()), shape.blocks());
                let fragment_of = AssignedFragment { fragment: named, root, blocks };
                keeper.assigned.set(placed.len() as u32, vec![fragment_of])?;
                keeper.kept.insert((id, index), Kept { fragment, tree });
            }
            placed.push(Placed { id, shape, secret });
        }
        Ok(Self { keepers, packs: placed })
    }

    /// What each peer is asked in an epoch.
    pub(super) fn questions(&self, epoch: u64, beacon: Hash, samples: usize) -> Vec<Question> {
        let question = |keeper: &Keeper| {
            let assigned = keeper.assigned.root()?;
            Some(Question::new(CHAIN, epoch, beacon, keeper.address, assigned, samples))
        };
        self.keepers.iter().filter_map(question).collect()
    }

    /// All but the cheater.
    pub(super) fn honest(&self) -> impl Iterator<Item = &Keeper> {
        self.keepers.iter().skip(1)
    }
}

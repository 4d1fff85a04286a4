//! The cheaters, each a named actor.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use chronolith_chain::encoding::List;
use chronolith_chain::ledger::{Beside, audited_blocks};
use chronolith_chain::simulate::Random;
use chronolith_fragment::{BLOCK_BYTES, Fragment, fastest, restore_rows};

use super::store::{Fragments, Keeper, Kept, PROFILE, World};
use super::{AuditError, bytes, digest};
use crate::audit::{Answer, Question, Sample};

/// What a cheater does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum CheaterKind {
    /// Drops this share of its blocks, and says nothing where it is asked for one of them.
    Drop(f64),
    /// Keeps nothing but its first answer, and sends it again: as it was, and signed anew.
    Replay,
    /// Keeps nothing but the trees, and makes up blocks and ways.
    Forge,
    /// Sends the answer of another peer: as it is, and signed by itself.
    Other,
    /// Keeps nothing and decodes its fragments from those of others, without knowing the masks.
    Regenerate,
    /// The same with the masks, which leaked. It cannot be told from an honest peer.
    RegenerateWithMask,
    /// Keeps nothing and has somebody else keep its fragments, whom it asks. It cannot be told from an
    /// honest peer.
    Outsource,
}

/// No cheater is called like this.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no cheater {name:?}; there are drop=SHARE (a share of blocks such as 0.1), replay, \
     forge, other, regenerate, regenerate-with-mask and outsource"
)]
pub struct UnknownCheater {
    /// What was asked for.
    pub name: String,
}

impl CheaterKind {
    /// The chance that it does not pass an audit of so many samples.
    #[must_use]
    pub fn expected_rate(&self, samples: usize) -> f64 {
        match self {
            Self::Drop(share) => 1.0 - (1.0 - share).powi(samples as i32),
            Self::Replay | Self::Forge | Self::Other | Self::Regenerate => 1.0,
            Self::RegenerateWithMask | Self::Outsource => 0.0,
        }
    }

    /// Whether audits can see it at all.
    #[must_use]
    pub const fn is_detectable(&self) -> bool {
        !matches!(self, Self::RegenerateWithMask | Self::Outsource)
    }
}

impl fmt::Display for CheaterKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drop(share) => write!(f, "drop={share}"),
            Self::Replay => f.write_str("replay"),
            Self::Forge => f.write_str("forge"),
            Self::Other => f.write_str("other"),
            Self::Regenerate => f.write_str("regenerate"),
            Self::RegenerateWithMask => f.write_str("regenerate-with-mask"),
            Self::Outsource => f.write_str("outsource"),
        }
    }
}

impl FromStr for CheaterKind {
    type Err = UnknownCheater;

    fn from_str(text: &str) -> Result<Self, UnknownCheater> {
        let unknown = || UnknownCheater { name: text.chars().take(40).collect() };
        match text {
            "replay" => Ok(Self::Replay),
            "forge" => Ok(Self::Forge),
            "other" => Ok(Self::Other),
            "regenerate" => Ok(Self::Regenerate),
            "regenerate-with-mask" => Ok(Self::RegenerateWithMask),
            "outsource" => Ok(Self::Outsource),
            _ => {
                let share = text.strip_prefix("drop=").and_then(|share| share.parse().ok());
                share
                    .filter(|share| (0.0..=1.0).contains(share))
                    .map(Self::Drop)
                    .ok_or_else(unknown)
            }
        }
    }
}

/// A peer that cheats.
pub(super) trait Cheater {
    /// What it sends, if anything.
    fn answer(&mut self, world: &World, to: &Question, random: &mut Random) -> Option<Vec<u8>>;
}

/// The cheater of a kind, who is the first peer of a world.
pub(super) fn make(
    kind: CheaterKind,
    world: &World,
    random: &mut Random,
) -> Result<Box<dyn Cheater>, AuditError> {
    Ok(match kind {
        CheaterKind::Drop(share) => Box::new(Dropper::new(share, world, random)),
        CheaterKind::Replay => Box::new(Replayer { first: None }),
        CheaterKind::Forge => Box::new(Forger),
        CheaterKind::Other => Box::new(Copier),
        CheaterKind::Regenerate => Box::new(Regenerator::new(world, false)?),
        CheaterKind::RegenerateWithMask => Box::new(Regenerator::new(world, true)?),
        CheaterKind::Outsource => Box::new(Outsourcer),
    })
}

fn itself(world: &World) -> Option<&Keeper> {
    world.keepers.first()
}

/// Signs samples that it knows to be wrong, as an honest peer never would.
fn sign(world: &World, to: &Question, samples: Vec<Sample>) -> Option<Vec<u8>> {
    Some(Answer::sign(to, samples, &itself(world)?.key)?.to_bytes())
}

struct Dropper {
    dropped: BTreeSet<u64>,
}

impl Dropper {
    fn new(share: f64, world: &World, random: &mut Random) -> Self {
        let blocks = itself(world).map_or(0, |keeper| keeper.assigned.blocks());
        // Exactly this share of them: the first of a shuffle.
        let mut numbers: Vec<u64> = (0..blocks).collect();
        let count = (share * blocks as f64).round() as usize;
        for place in 0..count.min(numbers.len()) {
            let other = place + random.below((numbers.len() - place) as u64) as usize;
            numbers.swap(place, other);
        }
        numbers.truncate(count);
        Self { dropped: numbers.into_iter().collect() }
    }
}

impl Cheater for Dropper {
    fn answer(&mut self, world: &World, to: &Question, _: &mut Random) -> Option<Vec<u8>> {
        if to.blocks.iter().any(|number| self.dropped.contains(number)) {
            return None;
        }
        Some(itself(world)?.answer(to)?.to_bytes())
    }
}

struct Replayer {
    first: Option<Answer>,
}

impl Cheater for Replayer {
    fn answer(&mut self, world: &World, to: &Question, random: &mut Random) -> Option<Vec<u8>> {
        let Some(first) = &self.first else {
            self.first = itself(world)?.answer(to);
            return None;
        };
        match random.below(3) {
            0 => Some(first.to_bytes()),
            1 => Some(Answer { epoch: to.epoch, ..first.clone() }.to_bytes()),
            _ => sign(world, to, first.samples.to_vec()),
        }
    }
}

struct Forger;

impl Cheater for Forger {
    fn answer(&mut self, world: &World, to: &Question, random: &mut Random) -> Option<Vec<u8>> {
        let keeper = itself(world)?;
        let mut samples: Vec<Sample> =
            to.blocks.iter().filter_map(|number| keeper.sample(*number)).collect();
        let trick = random.below(6);
        for sample in &mut samples {
            match trick {
                // A block that is made up, below the right way.
                0 => sample.block.copy_from_slice(&bytes(random, BLOCK_BYTES)),
                // A fragment of its own making: one block, and no way within it.
                1 => {
                    sample.fragment.root.0 = chronolith_merkle::leaf_hash(&sample.block);
                    sample.path = List::default();
                }
                // No way to the root at all.
                2 => sample.place = Default::default(),
                // Sizes that make another number of this block.
                3 => sample.place.beside = shifted(&sample.place.beside),
                // A way of random hashes.
                4 => sample.path = List::new(vec![digest(random); sample.path.len()]).ok()?,
                _ => {}
            }
        }
        match trick {
            // Blocks that it has, in another order, or fewer of them.
            5 if samples.len() > 1 && random.happens(5_000) => samples.rotate_left(1),
            5 => samples.truncate(samples.len() / 2),
            _ => {}
        }
        sign(world, to, samples)
    }
}

/// The same way with other sums.
fn shifted<const MAX: usize>(beside: &List<Beside, MAX>) -> List<Beside, MAX> {
    let mut beside = beside.to_vec();
    if let Some(first) = beside.first_mut() {
        first.blocks = first.blocks.saturating_add(1);
        first.is_left = !first.is_left;
    }
    List::new(beside).unwrap_or_default()
}

struct Copier;

impl Cheater for Copier {
    fn answer(&mut self, world: &World, to: &Question, random: &mut Random) -> Option<Vec<u8>> {
        let other = world.keepers.get(1)?;
        let assigned = other.assigned.root()?;
        let count = to.blocks.len();
        let blocks = audited_blocks(&to.seed, other.address, assigned.blocks, count);
        let question = Question { peer: other.address, assigned, blocks, ..to.clone() };
        let theirs = other.answer(&question)?;
        match random.below(3) {
            0 => Some(theirs.to_bytes()),
            1 => Some(Answer { peer: to.peer, ..theirs }.to_bytes()),
            _ => sign(world, to, theirs.samples.to_vec()),
        }
    }
}

/// Has fragments that were decoded from those of others.
struct Regenerator {
    made: Fragments,
}

impl Regenerator {
    fn new(world: &World, has_masks: bool) -> Result<Self, AuditError> {
        let code = fastest(PROFILE.needed(), PROFILE.fragments())?;
        let mut made = BTreeMap::new();
        for pack in &world.packs {
            let mask = |index: u8, bytes: &mut [u8]| {
                if has_masks {
                    pack.secret.key(index).apply(0, bytes);
                }
            };
            let mut known = BTreeMap::new();
            for (index, keeper) in (0..).zip(&world.keepers).skip(1) {
                let Some(kept) = keeper.kept.get(&(pack.id, index)) else { continue };
                let mut bytes = kept.fragment.bytes.clone();
                mask(index, &mut bytes);
                known.insert(index, bytes);
            }
            let mut bytes = restore_rows(&*code, pack.shape, &known, 0)?;
            mask(0, &mut bytes);
            let path = chronolith_merkle::Proof { hashes: Vec::new() };
            let fragment = Fragment { index: 0, bytes, path };
            let tree = fragment.tree();
            made.insert((pack.id, 0), Kept { fragment, tree });
        }
        Ok(Self { made })
    }
}

impl Cheater for Regenerator {
    fn answer(&mut self, world: &World, to: &Question, _: &mut Random) -> Option<Vec<u8>> {
        let keeper = itself(world)?;
        let sample = |number: &u64| keeper.sample_of(&self.made, *number);
        let samples = to.blocks.iter().filter_map(sample).collect();
        sign(world, to, samples)
    }
}

struct Outsourcer;

impl Cheater for Outsourcer {
    fn answer(&mut self, world: &World, to: &Question, _: &mut Random) -> Option<Vec<u8>> {
        // Whoever keeps its fragments answers whatever it asks.
        let helper = itself(world)?;
        let samples = to.blocks.iter().filter_map(|number| helper.sample(*number)).collect();
        sign(world, to, samples)
    }
}

//! What this validator signed last, so that it never signs anything else for the same step.
//!
//! A file of its own, apart from the chain's data: whoever puts an old copy of the data back does
//! not put back what was signed since. It has two slots that are written in turn; a write that is
//! torn harms the older one only.
//!
//! ```text
//! slot (512 bytes, at 0 and at 512)
//! +--------+--------+----------------------------------------------+--------+
//! | crc u32| len u32| sequence u64, key 32, chain 32, last message  | zeros  |
//! +--------+--------+----------------------------------------------+--------+
//! ```
//!
//! What holds: steps are signed in rising order of height, round and step (a proposal before the
//! prevote before the precommit); for one step the same content only. This survives a power cut at
//! any time and a restore of anything but this file. It does not survive a copy of this file: two
//! machines with one key, or a machine that is put back as a whole, are beyond what a file can see.
//! [`SignGuard::replace`] is for a lost file: it signs nothing up to a height that the operator
//! names.

use borsh::{BorshDeserialize, BorshSerialize};
use chronolith_disk::{Disk, DiskFile};

use crate::encoding::{decode, encode};
use crate::hash::{ChainId, Hash};
use crate::keys::PublicKey;
use crate::vote::{Message as _, Proposal, Step, Vote};

const SLOT_BYTES: usize = 512;
const FRAME_BYTES: usize = 8;

/// A step that is signed for once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub struct SignedStep {
    /// The height.
    pub height: u64,
    /// The round.
    pub round: u32,
    /// 0 for a proposal, 1 for a prevote, 2 for a precommit.
    pub step: u8,
}

impl SignedStep {
    fn of_vote(vote: &Vote) -> Self {
        let step = match vote.step {
            Step::Prevote => 1,
            Step::Precommit => 2,
        };
        Self { height: vote.height, round: vote.round, step }
    }

    fn of_proposal(proposal: &Proposal) -> Self {
        Self { height: proposal.height, round: proposal.round, step: 0 }
    }
}

/// What was signed last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct LastSigned {
    /// The step.
    pub step: SignedStep,
    /// The hash of what was signed; none where an operator forbade everything up to the step.
    pub message: Option<Hash>,
}

impl LastSigned {
    /// Whether a vote is for a later step.
    pub(super) fn is_before_vote(&self, vote: &Vote) -> bool {
        self.step < SignedStep::of_vote(vote)
    }

    /// Whether a proposal is for a later step.
    pub(super) fn is_before_proposal(&self, proposal: &Proposal) -> bool {
        self.step < SignedStep::of_proposal(proposal)
    }
}

#[derive(Debug, Clone, Copy, BorshSerialize, BorshDeserialize)]
struct Slot {
    sequence: u64,
    key: PublicKey,
    chain: ChainId,
    last: Option<LastSigned>,
}

/// Why the guard cannot work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GuardError {
    /// The file cannot be read or written.
    #[error("{place}: {source}")]
    Disk {
        /// Which file.
        place: String,
        /// What the disk said.
        source: std::io::Error,
    },
    /// There is no file.
    #[error(
        "{place} is missing: it says what this validator signed last. Put it back; if it is lost, \
         replace it and name a height that is surely above everything that was signed"
    )]
    Missing {
        /// Which file.
        place: String,
    },
    /// There is one already.
    #[error("{place} exists already; a guard is never made over another")]
    Exists {
        /// Which file.
        place: String,
    },
    /// Neither slot can be read.
    #[error("{place} is damaged; put a copy of its last state back, or replace it as if lost")]
    Damaged {
        /// Which file.
        place: String,
    },
    /// It guards another key or chain.
    #[error("{place} guards another key or another chain")]
    Other {
        /// Which file.
        place: String,
    },
}

/// Decides what may be signed, and remembers it.
pub struct SignGuard {
    file: Box<dyn DiskFile>,
    place: String,
    slot: Slot,
    is_written: bool,
}

impl SignGuard {
    /// Makes the guard of a key that has never signed anything.
    pub fn create(
        disk: &dyn Disk,
        path: &str,
        key: PublicKey,
        chain: ChainId,
    ) -> Result<Self, GuardError> {
        Self::make(disk, path, Slot { sequence: 1, key, chain, last: None })
    }

    /// Makes the guard of a key whose guard was lost: it signs nothing up to and at `height`.
    pub fn replace(
        disk: &dyn Disk,
        path: &str,
        key: PublicKey,
        chain: ChainId,
        height: u64,
    ) -> Result<Self, GuardError> {
        let step = SignedStep { height, round: u32::MAX, step: 2 };
        let last = Some(LastSigned { step, message: None });
        Self::make(disk, path, Slot { sequence: 1, key, chain, last })
    }

    fn make(disk: &dyn Disk, path: &str, slot: Slot) -> Result<Self, GuardError> {
        let place = disk.describe(path);
        let failed = |source| GuardError::Disk { place: place.clone(), source };
        if disk.exists(path).map_err(failed)? {
            return Err(GuardError::Exists { place });
        }
        // It gets its name when it is complete, so that a half made one is not taken for damaged.
        let unfinished = format!("{path}.new");
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let file = disk.open_private(&unfinished).map_err(failed)?;
        let mut guard = Self { file, place: place.clone(), slot, is_written: false };
        guard.save()?;
        disk.rename(&unfinished, path).map_err(failed)?;
        disk.sync_dir(folder).map_err(failed)?;
        Ok(guard)
    }

    /// Opens a guard.
    pub fn open(
        disk: &dyn Disk,
        path: &str,
        key: PublicKey,
        chain: ChainId,
    ) -> Result<Self, GuardError> {
        let place = disk.describe(path);
        let failed = |source| GuardError::Disk { place: place.clone(), source };
        if !disk.exists(path).map_err(failed)? {
            return Err(GuardError::Missing { place });
        }
        let file = disk.open_private(path).map_err(failed)?;
        let slots = [read_slot(file.as_ref(), 0), read_slot(file.as_ref(), 1)];
        let newest = slots.into_iter().flatten().max_by_key(|slot| slot.sequence);
        let Some(slot) = newest else { return Err(GuardError::Damaged { place }) };
        if (slot.key, slot.chain) != (key, chain) {
            return Err(GuardError::Other { place });
        }
        Ok(Self { file, place, slot, is_written: true })
    }

    /// What was signed last.
    #[must_use]
    pub fn last(&self) -> Option<LastSigned> {
        self.slot.last
    }

    /// Whether a vote may be signed; if so, it counts as signed from now on.
    pub(super) fn admit_vote(&mut self, vote: &Vote) -> bool {
        self.admit(SignedStep::of_vote(vote), vote.signing_hash())
    }

    /// Whether a proposal may be signed; if so, it counts as signed from now on.
    pub(super) fn admit_proposal(&mut self, proposal: &Proposal) -> bool {
        self.admit(SignedStep::of_proposal(proposal), proposal.signing_hash())
    }

    fn admit(&mut self, step: SignedStep, message: Hash) -> bool {
        let next = LastSigned { step, message: Some(message) };
        match self.slot.last {
            Some(last) if last == next => true,
            Some(last) if last.step >= step => false,
            _ => {
                self.slot.last = Some(next);
                self.is_written = false;
                true
            }
        }
    }

    /// Returns when everything admitted so far is on stable storage. Nothing that was signed may
    /// leave before.
    pub(super) fn save(&mut self) -> Result<(), GuardError> {
        if self.is_written {
            return Ok(());
        }
        self.slot.sequence += 1;
        let payload = encode(&self.slot);
        let mut bytes = vec![0; FRAME_BYTES];
        bytes.extend_from_slice(&payload);
        let length = payload.len() as u32;
        if let Some(place) = bytes.get_mut(4..8) {
            place.copy_from_slice(&length.to_le_bytes());
        }
        let sum = crc32fast::hash(bytes.get(4..).unwrap_or_default());
        if let Some(place) = bytes.get_mut(..4) {
            place.copy_from_slice(&sum.to_le_bytes());
        }
        let offset = (self.slot.sequence % 2) * SLOT_BYTES as u64;
        let written = self.file.write_at(offset, &bytes).and_then(|()| self.file.sync());
        let failed = |source| GuardError::Disk { place: self.place.clone(), source };
        written.map_err(failed)?;
        self.is_written = true;
        Ok(())
    }
}

const _: () = assert!(FRAME_BYTES + 8 + 32 + 32 + 1 + 13 + 1 + 32 <= SLOT_BYTES);

fn read_slot(file: &dyn DiskFile, index: u64) -> Option<Slot> {
    let mut frame = [0; FRAME_BYTES];
    let offset = index * SLOT_BYTES as u64;
    file.read_at(offset, &mut frame).ok()?;
    let sum = u32::from_le_bytes(*frame.first_chunk()?);
    let length = u32::from_le_bytes(*frame.last_chunk()?) as usize;
    if length > SLOT_BYTES - FRAME_BYTES {
        return None;
    }
    let mut payload = vec![0; length];
    file.read_at(offset + FRAME_BYTES as u64, &mut payload).ok()?;
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(frame.get(4..)?);
    hasher.update(&payload);
    (hasher.finalize() == sum).then_some(())?;
    decode("what was signed last", &payload, SLOT_BYTES).ok()
}

#[cfg(test)]
mod tests {
    use chronolith_disk::SimDisk;

    use super::*;
    use crate::hash::BlockId;

    const KEY: PublicKey = PublicKey([1; 32]);
    const CHAIN: ChainId = ChainId([2; 32]);

    fn vote(height: u64, round: u32, step: Step, block: u8) -> Vote {
        Vote { chain: CHAIN, height, round, step, block: Some(BlockId([block; 32])) }
    }

    fn proposal(height: u64, round: u32, block: u8) -> Proposal {
        let block = BlockId([block; 32]);
        Proposal { chain: CHAIN, height, round, valid_round: None, block }
    }

    #[test]
    fn a_guard_admits_later_steps_and_the_last_one_as_it_was() -> Result<(), GuardError> {
        let disk = SimDisk::new();
        let mut guard = SignGuard::create(&disk, "signed", KEY, CHAIN)?;
        assert!(guard.admit_vote(&vote(5, 2, Step::Prevote, 1)));
        guard.save()?;
        for mut guard in [guard, SignGuard::open(&disk, "signed", KEY, CHAIN)?] {
            assert!(guard.admit_vote(&vote(5, 2, Step::Prevote, 1)), "the same again");
            for other in [
                vote(5, 2, Step::Prevote, 2),
                Vote { block: None, ..vote(5, 2, Step::Prevote, 1) },
                vote(5, 1, Step::Precommit, 1),
                vote(4, 9, Step::Precommit, 1),
            ] {
                assert!(!guard.admit_vote(&other), "{other:?}");
            }
            assert!(!guard.admit_proposal(&proposal(5, 2, 1)), "a proposal comes before");
            assert!(guard.admit_vote(&vote(5, 2, Step::Precommit, 2)));
            assert!(!guard.admit_vote(&vote(5, 2, Step::Prevote, 1)), "it is over");
            assert!(guard.admit_proposal(&proposal(5, 3, 2)));
            assert!(!guard.admit_proposal(&proposal(5, 3, 3)), "two proposals");
            assert!(guard.admit_vote(&vote(6, 0, Step::Prevote, 1)));
        }
        Ok(())
    }

    #[test]
    fn a_guard_that_was_replaced_signs_nothing_up_to_its_height() -> Result<(), GuardError> {
        let mut guard = SignGuard::replace(&SimDisk::new(), "signed", KEY, CHAIN, 9)?;
        assert!(!guard.admit_vote(&vote(9, u32::MAX, Step::Precommit, 1)));
        assert!(!guard.admit_proposal(&proposal(3, 0, 1)));
        assert!(guard.admit_proposal(&proposal(10, 0, 1)));
        Ok(())
    }
}

//! Why something cannot be kept or had.

use std::io;

use chronolith_chain::address::Address;
use chronolith_chain::content::ContentId;
use chronolith_chain::encoding::DecodeError;
use chronolith_chain::ledger::Fragment;
use chronolith_disk::Disk;
use chronolith_fragment::FragmentFault;

use crate::stored::StoredError;

/// Why the store does not do what it is asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The disk failed.
    #[error("cannot {action} {place}: {source}")]
    Disk {
        /// What was to be done.
        action: &'static str,
        /// With which file or folder.
        place: String,
        /// What the disk said.
        source: io::Error,
    },
    /// Another process, or another store of this one, has the folder.
    #[error("{place} is locked: another process keeps fragments in this folder; end it first")]
    Locked {
        /// The lock's file.
        place: String,
    },
    /// The fragment is of another pack than the header.
    #[error("the header is that of pack {header}, the fragment is one of pack {fragment}")]
    OtherPack {
        /// The pack that the header is of.
        header: ContentId,
        /// The pack that the fragment says it is of.
        fragment: ContentId,
    },
    /// The fragment is not what the header commits to.
    #[error("fragment {} of pack {} is refused: {fault}", fragment.index, fragment.pack)]
    Refused {
        /// Which.
        fragment: Fragment,
        /// What is wrong with it.
        fault: FragmentFault,
    },
    /// Blocks are asked for that the fragment does not have.
    #[error("fragment {} of pack {} has no such blocks: {fault}", fragment.index, fragment.pack)]
    Rows {
        /// Of which fragment.
        fragment: Fragment,
        /// What is wrong with the question.
        fault: FragmentFault,
    },
    /// There is no room.
    #[error(
        "a fragment takes {needed} bytes on disk, and {used} of {quota} are taken; raise the quota or end leases"
    )]
    Quota {
        /// What the fragment takes.
        needed: u64,
        /// What is taken, writes that are under way included.
        used: u64,
        /// How much may be.
        quota: u64,
    },
    /// It is kept for as many owners as a fragment may be.
    #[error(
        "fragment {} of pack {} is kept for {most} owners, which are as many as may be",
        fragment.index,
        fragment.pack
    )]
    TooManyOwners {
        /// Which.
        fragment: Fragment,
        /// How many there may be.
        most: usize,
    },
    /// The fragment was here and is damaged. It is not any more: it was moved aside.
    #[error("{0}")]
    Damaged(Box<Damage>),
    /// A record is damaged.
    #[error("{place} is damaged: {kind}; remove it, and ask again for what it held")]
    Record {
        /// Its file.
        place: String,
        /// What is wrong with it.
        kind: RecordDamage,
    },
    /// There are as many records of a kind as may be.
    #[error("{most} records are in {place}, which are as many as may be; remove old ones")]
    TooManyRecords {
        /// Their folder.
        place: String,
        /// How many there may be.
        most: usize,
    },
}

/// A fragment that was damaged, and is not held any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("fragment {} of pack {} is damaged: {kind}; fetch it again", fragment.index, fragment.pack)]
pub struct Damage {
    /// Which.
    pub fragment: Fragment,
    /// For whom it was kept, and since which height.
    pub owners: Vec<(Address, u64)>,
    /// What is wrong with it.
    pub kind: DamageKind,
}

/// What is wrong with a fragment's file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DamageKind {
    /// It is not there any more.
    #[error("its file is gone")]
    Gone,
    /// It has another length than when it was written.
    #[error("its file has {found} bytes where {expected} were written")]
    Length {
        /// What its name says.
        expected: u64,
        /// What it has.
        found: u64,
    },
    /// It does not begin as such a file does.
    #[error("its file does not begin with CLKEEP, version 1 and the length of a header")]
    Head,
    /// The pack's header is not the one that the pack is named by.
    #[error("the header in its file is not the pack's")]
    Header,
    /// What follows the header is no fragment.
    #[error(transparent)]
    Stored(#[from] StoredError),
    /// It is another fragment than its name says.
    #[error("its file holds another fragment")]
    Other,
    /// The bytes are not those that the pack's header commits to.
    #[error(transparent)]
    Fault(#[from] FragmentFault),
}

/// What is wrong with a record's file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordDamage {
    /// It is not a file of this kind, or its checksum does not hold.
    #[error("its beginning, length or checksum does not hold")]
    Checksum,
    /// It does not decode.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// It is another record than its name says.
    #[error("it is another record than its name says")]
    Other,
}

/// Adds what was tried, and on what, to an error of the disk.
pub(super) trait DiskContext<T> {
    fn at(self, disk: &dyn Disk, action: &'static str, path: &str) -> Result<T, StoreError>;
}

impl<T> DiskContext<T> for io::Result<T> {
    fn at(self, disk: &dyn Disk, action: &'static str, path: &str) -> Result<T, StoreError> {
        self.map_err(|source| StoreError::Disk { action, place: disk.describe(path), source })
    }
}

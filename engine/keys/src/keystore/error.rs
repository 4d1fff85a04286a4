//! Why a keystore cannot be made, opened or changed.

use crate::encoding::{EncodingProblem, Malformed};
use crate::id::{MetricId, TreeId};
use crate::keystore::{Cost, KEYSTORE_BYTES_MAX};
use crate::tree::NotHeld;

/// Why a keystore cannot be made, opened or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeystoreError {
    /// There is a tree of that id already.
    #[error("the keystore has the tree {tree} already")]
    Exists {
        /// The tree.
        tree: TreeId,
    },
    /// There is no such tree.
    #[error("the keystore has no tree {tree}")]
    Missing {
        /// The tree.
        tree: TreeId,
    },
    /// The metric has trees already.
    #[error("the keystore has trees of the metric {metric} already: rotate to begin another one")]
    MetricExists {
        /// The metric.
        metric: MetricId,
    },
    /// The metric has no trees.
    #[error("the keystore has no tree of the metric {metric}")]
    MetricMissing {
        /// The metric.
        metric: MetricId,
    },
    /// A rotation that would take windows from the tree before.
    #[error(
        "a new tree from window {from} on, where one begins with {last} already: rotate from a later \
         window"
    )]
    Rotation {
        /// Where the new tree would begin.
        from: i64,
        /// Where the newest tree begins.
        last: i64,
    },
    /// Keys that were destroyed or never there.
    #[error(transparent)]
    NotHeld(#[from] NotHeld),
    /// Bytes are not a keystore.
    #[error("not a keystore, at byte {offset}: {problem}")]
    Malformed {
        /// Where.
        offset: usize,
        /// What is wrong there.
        problem: EncodingProblem,
    },
    /// The checksum does not hold.
    #[error("the keystore is damaged: its checksum does not hold; put it back from a backup")]
    Damaged,
    /// A cost that no passphrase needs.
    #[error(
        "{} KiB and {} passes for a passphrase: from 8 to 1,048,576 and from 1 to 64 are allowed",
        cost.memory_kib, cost.passes
    )]
    Cost {
        /// The cost.
        cost: Cost,
    },
    /// There is not enough memory for the passphrase's cost.
    #[error("there are no {memory_kib} KiB of memory to check the passphrase with")]
    Memory {
        /// How much it needs: KiB.
        memory_kib: u32,
    },
    /// It is under a passphrase, and none was given.
    #[error("the keystore is under a passphrase: give it, or the recovery words")]
    NeedsPassphrase,
    /// A passphrase was given, and there is none.
    #[error("the keystore is under no passphrase: open it without one, and then set it")]
    NoPassphrase,
    /// It does not open.
    #[error("the keystore does not open: the passphrase is another")]
    Closed,
    /// The trees do not open with the wrapping key.
    #[error(
        "the trees in the keystore do not open: the key or the recovery words are of another one"
    )]
    TreesClosed,
    /// It would be larger than what is read.
    #[error("{found} bytes of keys where {KEYSTORE_BYTES_MAX} fit: keep them in several keystores")]
    TooLarge {
        /// How many there are: bytes.
        found: usize,
    },
}

pub(super) fn malformed((offset, problem): Malformed) -> KeystoreError {
    KeystoreError::Malformed { offset, problem }
}

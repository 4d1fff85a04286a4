//! What a node tells whoever runs it.

use chronolith_chain::address::Address;
use chronolith_chain::content::ContentId;
use chronolith_net::snapshot::{Made, SnapshotEvent};
use chronolith_net::validator::Told;

/// Something that happened in a node.
#[derive(Debug)]
pub enum NodeEvent {
    /// The chain or the network told something.
    Chain(Told),
    /// The node joins by a snapshot.
    Snapshot(SnapshotEvent),
    /// No snapshot is to be had: the node executes every block.
    BlockByBlock {
        /// Why.
        reason: String,
    },
    /// What became of a snapshot that was to be made for others.
    Made(Made),
    /// The node keeps a fragment for somebody.
    Kept {
        /// Who placed the pack.
        owner: Address,
        /// Which.
        pack: ContentId,
        /// Which of its fragments.
        index: u8,
    },
    /// The node consented to a lease.
    Consented {
        /// With whom.
        owner: Address,
        /// Of how many fragments.
        fragments: usize,
    },
    /// The node answered the audit of an epoch.
    Answered {
        /// Which.
        epoch: u64,
        /// How many blocks it showed.
        samples: usize,
    },
    /// The node says nothing to the audit of an epoch: silence costs its pay, a wrong answer its bond.
    Abstained {
        /// Which.
        epoch: u64,
        /// Why.
        reason: String,
    },
    /// The node attested which peers passed the audits of an epoch.
    Attested {
        /// Which.
        epoch: u64,
        /// How many passed.
        passed: usize,
    },
    /// A peer signed a wrong answer, and the node reported it.
    Reported {
        /// Who.
        peer: Address,
        /// In which epoch.
        epoch: u64,
        /// What is wrong with the answer.
        lie: String,
    },
    /// Fragments that nobody leases any more were dropped.
    Dropped {
        /// How many.
        fragments: usize,
    },
    /// A fragment was found damaged, and moved aside.
    Damaged {
        /// Which, and what is wrong with it.
        damage: String,
    },
    /// The node rebuilt what a peer lost, and gave it to another.
    Repaired {
        /// Who lost it.
        from: Address,
        /// Who keeps it now.
        to: Address,
        /// How many fragments.
        fragments: usize,
    },
    /// Something that a role wanted to do did not work; it is tried again.
    Failed {
        /// What.
        what: &'static str,
        /// Why.
        reason: String,
    },
}

/// Who is told.
pub(super) type Listener = std::sync::Arc<dyn Fn(NodeEvent) + Send + Sync>;

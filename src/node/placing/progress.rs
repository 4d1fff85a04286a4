//! What happens while packs are placed.

use chronolith_chain::address::Address;
use chronolith_chain::content::ContentId;
use chronolith_chain::ledger::Fragments;

/// What happened while packs were placed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Progress {
    /// The packs are placed on the ledger; their peers are drawn after the end of an epoch.
    Placed {
        /// How many.
        packs: usize,
        /// The first height at which peers are drawn.
        drawn_at: u64,
    },
    /// A peer consents to lease fragments; the lease is not on the ledger yet.
    Consented {
        /// Who.
        peer: Address,
        /// Which.
        fragments: Fragments,
    },
    /// A peer leased fragments.
    Leased {
        /// Who.
        peer: Address,
        /// How many.
        fragments: usize,
        /// Their bytes.
        bytes: u64,
    },
    /// A peer did not take what it was drawn for; others are drawn.
    Failed {
        /// Who.
        peer: Address,
        /// Why.
        reason: String,
    },
    /// What a peer lost, or leaves behind, is kept by another.
    Moved {
        /// Who had it.
        from: Address,
        /// Who has it.
        to: Address,
        /// How many fragments.
        fragments: usize,
    },
    /// A repairer has a pack's secret, or why it has not.
    Entrusted {
        /// Who.
        repairer: Address,
        /// Of which pack.
        pack: ContentId,
        /// What went wrong.
        error: Option<String>,
    },
}

impl std::fmt::Display for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Placed { packs, drawn_at } => {
                write!(f, "{packs} packs are placed; peers are drawn after height {drawn_at}")
            }
            Self::Consented { peer, fragments } => {
                write!(f, "{peer} consents to lease {} fragments", fragments.len())
            }
            Self::Moved { from, to, fragments } => {
                write!(f, "{to} leased {fragments} fragments in the place of {from}")
            }
            Self::Leased { peer, fragments, bytes } => {
                write!(f, "{peer} leased {fragments} fragments of {bytes} bytes")
            }
            Self::Failed { peer, reason } => write!(f, "{peer} takes nothing: {reason}"),
            Self::Entrusted { repairer, pack, error: None } => {
                write!(f, "{repairer} may repair {pack}")
            }
            Self::Entrusted { repairer, pack, error: Some(error) } => {
                write!(f, "{repairer} cannot repair {pack}: {error}")
            }
        }
    }
}

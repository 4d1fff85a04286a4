//! Why packs are not kept.

use chronolith_chain::coin::CoinError;
use chronolith_chain::content::ContentId;
use chronolith_chain::state::StateError;
use chronolith_net::exchange::FRAGMENT_BYTES_MAX;
use chronolith_net::placement::NotEnough;

use crate::node::NodeError;
use crate::node::submit::SubmitError;

/// Why packs are not kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlacingError {
    /// A transaction has no effect.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// The node does not answer.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The state cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// Too few peers.
    #[error("pack {pack}: {source}; {failed} peers failed meanwhile")]
    NotEnough {
        /// Which pack.
        pack: ContentId,
        /// How many that were drawn did not take what they were drawn for.
        failed: usize,
        /// How many there are.
        source: NotEnough,
    },
    /// An amount is too large.
    #[error(transparent)]
    Coin(#[from] CoinError),
    /// Some fragments have no lease.
    #[error(
        "{left} fragments have no lease yet: the peers that were drawn for them failed; run it again to draw anew"
    )]
    Unleased {
        /// How many.
        left: usize,
    },
    /// The pack cannot be cut.
    #[error("pack {pack}: {reason}")]
    Pack {
        /// Which.
        pack: ContentId,
        /// Why not.
        reason: String,
    },
    /// Its fragments are larger than what peers can be handed.
    #[error(
        "pack {pack}: each of its fragments has {bytes} bytes as it is sent, and {FRAGMENT_BYTES_MAX} can be \
         sent; make it anew so that more fragments restore it"
    )]
    TooLarge {
        /// Which.
        pack: ContentId,
        /// The bytes of a fragment.
        bytes: usize,
    },
    /// The pack was placed with another secret, or is not what was placed.
    #[error("pack {0} is placed already, with other fragments")]
    Other(ContentId),
    /// A pack that must stay in regions names repairers.
    #[error(
        "pack {pack} is to stay in {}, and who repairs draws from peers anywhere: name no repairers, \
         `chronolith produce` moves what is lost",
        regions.join(", ")
    )]
    Repaired {
        /// Which.
        pack: ContentId,
        /// Where its fragments may be.
        regions: Vec<String>,
    },
    /// More repairers than a pack can name, or one twice.
    #[error("a pack names up to 4 different repairers")]
    Repairers,
    /// The beacon that draws the peers is kept no more.
    #[error(
        "pack {pack} was placed in epoch {epoch}, whose beacon is kept no more; discard it and place it again"
    )]
    NoBeacon {
        /// Which.
        pack: ContentId,
        /// When.
        epoch: u64,
    },
}

//! Having packs kept: they are placed on the ledger, peers are drawn for their fragments, and each
//! peer is handed its own and leases them.
//!
//! Every step leaves its mark on the ledger, so that placing again goes on where it was broken off.
//!
//! | file | |
//! |---|---|
//! | `register.rs` | packs on the ledger, and what is paid |
//! | `entrust.rs` | their secrets, for who may repair them |
//! | `draw.rs` | whom fragments go to |
//! | `disperse.rs` | handing them over, and the leases |
//! | `lost.rs` | giving what a peer lost to another |
//! | `progress.rs`, `error.rs` | what is told meanwhile, and why it fails |

mod disperse;
mod draw;
mod entrust;
mod error;
mod lost;
mod progress;
mod register;

use std::collections::BTreeSet;

use chronolith_chain::address::Address;
use chronolith_chain::coin::Amount;
use chronolith_chain::ledger::{Peer, PeerKey};
use chronolith_chain::state::{Overlay, StateError};
use chronolith_fragment::MaskSecret;
use chronolith_net::pack::Pack;

use super::submit::Submitter;
pub use error::PlacingError;
pub use lost::LostLease;
pub use progress::Progress;

/// For how many blocks a consent is to count.
const CONSENT_BLOCKS: u64 = 1_000;
/// How often peers are drawn anew for fragments that nobody took.
const DRAWS: usize = 4;
/// The most peers that are looked at.
const PEERS_MOST: usize = 1 << 16;

/// A pack that is to be kept, with the secret of its mask.
pub struct ToPlace {
    /// The pack.
    pub pack: Pack,
    /// The secret that its fragments are masked by.
    pub secret: MaskSecret,
    /// Where the peers of its fragments may say they are; empty for anywhere.
    pub regions: Vec<String>,
}

/// On which terms packs are kept.
#[derive(Debug, Clone)]
pub struct Terms {
    /// For how many epochs.
    pub epochs: u64,
    /// What is paid for a fragment and an epoch; none for what as many peers ask as there are
    /// fragments, and two more.
    pub price: Option<Amount>,
    /// Who may repair it.
    pub repairers: Vec<Address>,
    /// What a repairer gets for a fragment.
    pub repair_fee: Amount,
    /// For how many fragments a repairer is paid.
    pub repairs: u16,
}

/// Places packs through a node.
pub struct Placer<'a> {
    submitter: Submitter<'a>,
    tell: &'a mut dyn FnMut(Progress),
}

impl<'a> Placer<'a> {
    /// Places packs of the account that a submitter hands in for.
    pub fn new(submitter: Submitter<'a>, tell: &'a mut dyn FnMut(Progress)) -> Self {
        Self { submitter, tell }
    }

    /// Places packs and has all their fragments leased. A pack that is placed already keeps its terms.
    ///
    /// # Errors
    /// Why not; what was done stays done, and placing again goes on from there.
    pub fn place(&mut self, packs: &[ToPlace], terms: &Terms) -> Result<(), PlacingError> {
        self.register(packs, terms)?;
        // Whoever repairs is entrusted first: what is leased can then be repaired, whatever comes.
        self.entrust(packs)?;
        let mut failed = BTreeSet::new();
        for _ in 0..DRAWS {
            let groups = self.draw(packs, &failed)?;
            if groups.is_empty() {
                return Ok(());
            }
            let before = failed.len();
            self.disperse(packs, groups, &mut failed)?;
            if failed.len() == before {
                break;
            }
        }
        match self.draw(packs, &failed)?.values().map(Vec::len).sum() {
            0 => Ok(()),
            left => Err(PlacingError::Unleased { left }),
        }
    }
}

/// All storage peers.
pub(crate) fn peers(state: &Overlay<'_>) -> Result<Vec<(Address, Peer)>, StateError> {
    let rows = state.scan::<PeerKey>(&[], PEERS_MOST)?;
    Ok(rows.into_iter().map(|(key, peer)| (key.peer, peer)).collect())
}

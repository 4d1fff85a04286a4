//! Who a node is to its peers.

use std::fmt;

use libp2p::PeerId;
use libp2p::identity::Keypair;

/// The ed25519 key that connections are authenticated with. It is not an account's key: an account
/// is bound to it on the ledger.
#[derive(Clone)]
pub struct NetworkKey(Keypair);

impl NetworkKey {
    /// The key that follows from 32 secret bytes.
    #[must_use]
    pub fn from_seed(mut seed: [u8; 32]) -> Self {
        match Keypair::ed25519_from_bytes(&mut seed) {
            Ok(key) => Self(key),
            // Any 32 bytes are a secret of ed25519; the error is for other lengths.
            Err(_) => unreachable!("32 bytes are an ed25519 secret"),
        }
    }

    /// What others know it by.
    #[must_use]
    pub fn peer(&self) -> PeerId {
        self.0.public().to_peer_id()
    }

    pub(super) fn keypair(&self) -> &Keypair {
        &self.0
    }
}

impl fmt::Debug for NetworkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NetworkKey of {}", self.peer())
    }
}

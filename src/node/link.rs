//! Asking a node from its own process.

use std::sync::Arc;

use chronolith_chain::address::Address;
use chronolith_net::exchange::{Question, Reply};
use chronolith_net::network::NetworkHandle;
use chronolith_net::validator::ChainHandle;

use super::service::NodeService;
use crate::market::notes::Notes;

/// What others of the process ask a node by; cloning is cheap.
#[derive(Clone)]
pub struct NodeLink {
    chain: ChainHandle,
    service: Arc<NodeService>,
    storage: Option<Address>,
}

impl NodeLink {
    pub(super) const fn new(
        chain: ChainHandle,
        service: Arc<NodeService>,
        storage: Option<Address>,
    ) -> Self {
        Self { chain, service, storage }
    }

    /// The account of the storage role, where the node has one.
    #[must_use]
    pub const fn storage(&self) -> Option<Address> {
        self.storage
    }

    /// The chain that the node follows.
    #[must_use]
    pub const fn chain(&self) -> &ChainHandle {
        &self.chain
    }

    /// Has the node give the notes of a folder to whoever asks for one.
    pub(super) fn serve_notes(&self, notes: Notes) {
        self.service.serve_notes(notes);
    }

    /// The network, once the node has one.
    pub(super) fn network(&self) -> Option<NetworkHandle> {
        self.service.network()
    }

    /// Announces that the node has what a key names.
    pub(super) fn announce(&self, key: Vec<u8>) {
        self.service.announce(key);
    }

    /// What the node answers to a question, as it does to its peers.
    #[must_use]
    pub fn answer(&self, question: Question) -> Reply {
        self.service.reply(question)
    }
}

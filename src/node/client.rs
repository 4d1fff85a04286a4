//! Asking a node from another process.

use std::sync::Arc;

use chronolith_net::exchange::{Question, Reply, ask};
use chronolith_net::network::{
    KnownPeer, Network, NetworkKey, NetworkSettings, PeerId, Service, Unanswerable,
};
use futures::executor::block_on;

use super::run::{genesis, network_key};
use super::{NodeError, NodeSettings};
use crate::wallet;

/// Somebody who asks and is not asked.
struct Silent;

impl Service for Silent {
    fn answer(&self, _: PeerId, _: &[u8]) -> Result<Vec<u8>, Unanswerable> {
        Ok(Reply::refused("this is a client").to_bytes())
    }
}

/// A passing peer that asks one node.
pub struct Client {
    network: Network,
    node: KnownPeer,
}

impl Client {
    /// A client of a node: the one at `address`, or else the one that the configuration is of.
    ///
    /// # Errors
    /// What is missing or wrong in the configuration.
    pub fn new(settings: &NodeSettings, address: Option<&str>) -> Result<Self, NodeError> {
        let node = match address {
            Some(address) => address.parse()?,
            None => {
                let deaf = || NodeError::Deaf { place: settings.place.clone() };
                let listen = settings.network.listen.first().ok_or_else(deaf)?;
                format!("{listen}/p2p/{}", network_key(settings)?.peer()).parse()?
            }
        };
        let key = NetworkKey::from_seed(wallet::random()?);
        let mut own = NetworkSettings::new(key, genesis(settings)?.chain_id());
        own.serves_lookups = false;
        Ok(Self { network: Network::start(own, Arc::new(Silent), |_| {})?, node })
    }

    /// The node that is asked.
    #[must_use]
    pub fn node(&self) -> &KnownPeer {
        &self.node
    }

    /// Asks.
    ///
    /// # Errors
    /// Why there is no answer.
    pub fn ask<T>(
        &self,
        question: &Question,
        wanted: impl FnOnce(Reply) -> Option<T>,
    ) -> Result<T, NodeError> {
        let (handle, node) = (self.network.handle(), self.node.clone());
        let addresses = vec![node.address];
        Ok(block_on(ask(&handle, node.peer, addresses, question, wanted))?)
    }
}

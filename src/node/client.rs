//! Asking a node from another process.

use std::sync::Arc;

use chronolith_chain::encoding::List;
use chronolith_chain::hash::{Hash, TransactionId};
use chronolith_chain::ledger::Receipt;
use chronolith_chain::transaction::Transaction;
use chronolith_net::exchange::{NodeStatus, Question, Reply, Submitted, ask};
use chronolith_net::network::{
    KnownPeer, Network, NetworkHandle, NetworkKey, NetworkSettings, PeerId, Service, Unanswerable,
};
use futures::executor::block_on;

use super::run::{genesis, network_key};
use super::{NodeError, NodeSettings};
use crate::wallet;

/// Somebody who asks and is not asked.
pub(super) struct Silent;

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
            None => Self::own_address(settings)?.parse()?,
        };
        let key = NetworkKey::from_seed(wallet::random()?);
        let mut own = NetworkSettings::new(key, genesis(settings)?.chain_id());
        own.serves_lookups = false;
        Ok(Self { network: Network::start(own, Arc::new(Silent), |_| {})?, node })
    }

    /// The first address that a node listens on, with its identity.
    ///
    /// # Errors
    /// [`NodeError::Deaf`] where it listens nowhere; a key that cannot be read.
    pub fn own_address(settings: &NodeSettings) -> Result<String, NodeError> {
        let deaf = || NodeError::Deaf { place: settings.place.clone() };
        let listen = settings.network.listen.first().ok_or_else(deaf)?;
        Ok(format!("{listen}/p2p/{}", network_key(settings)?.peer()))
    }

    /// The node that is asked.
    #[must_use]
    pub fn node(&self) -> &KnownPeer {
        &self.node
    }

    /// The network that the client is a passing peer of.
    #[must_use]
    pub fn network(&self) -> NetworkHandle {
        self.network.handle()
    }

    /// Where the node is.
    ///
    /// # Errors
    /// Why there is no answer.
    pub fn status(&self) -> Result<NodeStatus, NodeError> {
        self.ask(&Question::Status, |reply| match reply {
            Reply::Status(status) => Some(status),
            _ => None,
        })
    }

    /// Hands in transactions; what became of each, in their order.
    ///
    /// # Errors
    /// Why there is no answer.
    pub fn submit(&self, transactions: Vec<Transaction>) -> Result<Vec<Submitted>, NodeError> {
        let transactions = List::new(transactions).map_err(NodeError::TooMany)?;
        self.ask(&Question::Submit(transactions), |reply| match reply {
            Reply::Submitted(told) => Some(told.to_vec()),
            _ => None,
        })
    }

    /// What became of a transaction, where it is in a block from a height on; and the first height
    /// that was not looked at.
    ///
    /// # Errors
    /// Why there is no answer.
    pub fn receipt(
        &self,
        transaction: TransactionId,
        since: u64,
    ) -> Result<(Option<(u64, Receipt)>, u64), NodeError> {
        self.ask(&Question::Receipt { transaction, since }, |reply| match reply {
            Reply::Receipt { found, next } => Some((found, next)),
            _ => None,
        })
    }

    /// What was sealed to a buyer, by its hash, where it is in a block from a height on; and the first height that was
    /// not looked at.
    ///
    /// # Errors
    /// Why there is no answer.
    pub fn sealed_keys(
        &self,
        wrapped: Hash,
        since: u64,
    ) -> Result<(Option<Vec<u8>>, u64), NodeError> {
        self.ask(&Question::Sealed { wrapped, since }, |reply| match reply {
            Reply::Sealed { found, next } => Some((found.map(|(_, sealed)| sealed.to_vec()), next)),
            _ => None,
        })
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

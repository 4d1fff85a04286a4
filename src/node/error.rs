//! Why a node cannot run.

use std::path::PathBuf;

use chronolith_chain::consensus::ConsensusError;
use chronolith_chain::consensus::snapshot::ShelfError;
use chronolith_chain::encoding::{DecodeError, TooLong};
use chronolith_net::exchange::AskError;
use chronolith_net::network::{AddressError, NetworkError};
use chronolith_net::store::StoreError;

use crate::chain::ChainError;
use crate::wallet::WalletError;

/// Why a node cannot run, or cannot be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// The disk failed.
    #[error("cannot {what} {}: {source}", place.display())]
    Disk {
        /// What was to be done.
        what: &'static str,
        /// With which file.
        place: PathBuf,
        /// What the disk said.
        source: std::io::Error,
    },
    /// The configuration is not as it should be.
    #[error("{}: {reason}", place.display())]
    Settings {
        /// Its file.
        place: PathBuf,
        /// What is wrong, with line and column.
        reason: String,
    },
    /// A key file is not as it should be.
    #[error("{} is no key: {reason}", place.display())]
    Key {
        /// Its file.
        place: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Another process uses the node's files.
    #[error("{} is in use by another process", place.display())]
    InUse {
        /// Its folder.
        place: PathBuf,
    },
    /// The folder of a network is not empty.
    #[error("{} is not empty; networks are made in empty directories", place.display())]
    Exists {
        /// Which.
        place: PathBuf,
    },
    /// Too many nodes, or none.
    #[error("a network has 1 to {most} nodes; {found} are asked for")]
    Count {
        /// The bound.
        most: usize,
        /// What was asked for.
        found: usize,
    },
    /// An address is none.
    #[error("{0:?} is no address to listen on: write one like /ip4/127.0.0.1/tcp/4100")]
    Listen(String),
    /// A peer's address is none.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The configuration has no storage role.
    #[error("{} has no [storage] section: the node keeps nothing for others", place.display())]
    NoStorage {
        /// Its file.
        place: PathBuf,
    },
    /// The fragments that the node keeps cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The snapshots that the node serves cannot be opened.
    #[error(transparent)]
    Snapshots(#[from] ShelfError),
    /// More is handed in than fits into one message.
    #[error("too many transactions at once: {0}")]
    TooMany(TooLong),
    /// The node listens nowhere, so that it cannot be asked.
    #[error("the node of {} listens nowhere; give the address of a peer", place.display())]
    Deaf {
        /// Its configuration.
        place: PathBuf,
    },
    /// The chain cannot begin or go on.
    #[error(transparent)]
    Consensus(#[from] ConsensusError),
    /// The genesis is none.
    #[error(transparent)]
    Genesis(#[from] DecodeError),
    /// Making the genesis failed.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// Keys cannot be made or read.
    #[error(transparent)]
    Wallet(#[from] WalletError),
    /// The network cannot begin.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// A peer gave no answer.
    #[error(transparent)]
    Ask(#[from] AskError),
}

impl NodeError {
    pub(crate) fn disk(
        what: &'static str,
        place: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let place = place.into();
        move |source| Self::Disk { what, place, source }
    }
}

//! Opening a node's storage for others on the ledger.

use std::path::PathBuf;
use std::time::Duration;

use chronolith_chain::coin::Amount;
use chronolith_chain::encoding::Text;
use chronolith_chain::ledger::{
    Action, OpenStorage, ParameterName, Parameters, ParametersKey, Peer, PeerKey,
};
use chronolith_chain::state::{Overlay, StateError};
use chronolith_net::network::KnownPeer;

use super::submit::{Done, SubmitError, Submitter};
use super::{Client, NodeError, NodeSettings, NodeState, StorageRole};
use crate::chain::amount;

/// Why storage is not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpeningError {
    /// The configuration cannot be used, or the node does not answer.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The state cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// The transaction has no effect.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// Nobody could reach the node.
    #[error(
        "nobody can reach {address}: write where the node is reached to [storage] address in {}",
        place.display()
    )]
    Unreachable {
        /// Where it says that it is.
        address: String,
        /// Its configuration.
        place: PathBuf,
    },
    /// A setting that the ledger takes in no such form.
    #[error("{}: storage.{key} is {value:?}: {reason}", place.display())]
    Setting {
        /// The configuration.
        place: PathBuf,
        /// Which.
        key: &'static str,
        /// What it says.
        value: String,
        /// What is wrong.
        reason: String,
    },
}

/// Whether the ledger has a node's storage.
///
/// # Errors
/// Where the node does not answer.
pub fn is_open(settings: &NodeSettings, client: &Client) -> Result<bool, OpeningError> {
    let peer = StorageRole::of(settings)?.address();
    let state = NodeState::new(client);
    let known: Option<Peer> = Overlay::new(&state).get(&PeerKey { peer })?;
    Ok(known.is_some())
}

/// Opens a node's storage, or changes what it offers to what its configuration says. `bond` is added
/// to its bond; where it is not said, a new peer gives the least that there may be.
///
/// # Errors
/// Why it is not open.
pub fn open_storage(
    settings: &NodeSettings,
    client: &Client,
    bond: Option<Amount>,
    deadline: Duration,
) -> Result<Option<Done>, OpeningError> {
    let role = StorageRole::of(settings)?;
    let missing = || NodeError::NoStorage { place: settings.place.clone() };
    let storage = settings.storage.as_ref().ok_or_else(missing)?;
    let place = || settings.place.clone();
    let wrong = |key, value: &str, reason: String| OpeningError::Setting {
        place: place(),
        key,
        value: value.to_owned(),
        reason,
    };
    let bond = match bond {
        Some(bond) => bond,
        None if is_open(settings, client)? => Amount::ZERO,
        None => {
            let state = NodeState::new(client);
            let parameters: Option<Parameters> = Overlay::new(&state).get(&ParametersKey {})?;
            Amount(parameters.unwrap_or_default().get(ParameterName::StorageBond))
        }
    };
    let address = match &storage.address {
        Some(address) => address.clone(),
        None => Client::own_address(settings)?,
    };
    let reached: KnownPeer = address.parse().map_err(NodeError::from)?;
    if reached.is_unspecified() {
        return Err(OpeningError::Unreachable { address, place: place() });
    }
    let price = &storage.price_per_gib;
    let action = OpenStorage {
        capacity_bytes: storage.capacity_bytes,
        price_per_gib: amount(price).map_err(|reason| wrong("price_per_gib", price, reason))?,
        address: Text::new(reached.to_string())
            .map_err(|error| wrong("address", &address, error.to_string()))?,
        region: Text::new(storage.region.as_str())
            .map_err(|error| wrong("region", &storage.region, error.to_string()))?,
        bond,
    };
    let submitter = Submitter::new(client, role.key(), deadline)?;
    let mut done = submitter.commit("open storage", vec![Action::from(action)])?;
    Ok(done.pop())
}

//! Joining by a snapshot, before the chain begins on this node.

use std::sync::Arc;

use chronolith_chain::consensus::ConsensusError;
use chronolith_chain::consensus::snapshot::{Joining, Present};
use chronolith_chain::genesis::Genesis;
use chronolith_chain::{light, state};
use chronolith_disk::Disk;
use chronolith_net::network::{Network, NetworkKey, NetworkSettings};
use chronolith_net::snapshot::{SnapshotEvent, SnapshotFetch, Trust, fetch_snapshot};
use futures::executor::block_on;

use super::client::Silent;
use super::event::{Listener, NodeEvent};
use super::{NodeError, NodeSettings};
use crate::wallet;

/// A chain that is in the folder is exchanged for a snapshot only where that is so many blocks ahead.
const FAR_BLOCKS: u64 = 1_000;

/// Fetches a snapshot where there is no chain in the folder yet, or where the configuration wants one and
/// peers are far ahead. Where none can be had the node goes on block by block, and says why.
///
/// # Errors
/// What is wrong with the configuration, or the disk.
pub(super) fn join(
    settings: &NodeSettings,
    genesis: &Genesis,
    disk: &Arc<dyn Disk>,
    tell: &Listener,
) -> Result<(), NodeError> {
    let chain = genesis.chain_id();
    let (trusted, peers) = (settings.trusted_block()?, settings.known()?);
    let begun = Joining::resume(disk, chain).map_err(ConsensusError::from)?;
    let present = Joining::present(&**disk, chain).map_err(ConsensusError::from)?;
    let is_wanted = match (&present, settings.chain.snapshot) {
        (_, Some(false)) | (Some(_), None) => false,
        (None, _) | (Some(_), Some(true)) => !peers.is_empty(),
    };
    if !is_wanted {
        drop(begun);
        return Ok(Joining::abandon(disk.as_ref()).map_err(ConsensusError::from)?);
    }
    let mut own = NetworkSettings::new(NetworkKey::from_seed(wallet::random()?), chain);
    own.serves_lookups = false;
    own.allows_private_addresses = settings.network.private_addresses;
    let network = Network::start(own, Arc::new(Silent), |_| {})?;
    let above = present.as_ref().map_or(0, |Present { height, .. }| height + FAR_BLOCKS);
    let trust = match (trusted, present.and_then(|present| present.trusted)) {
        (Some((height, id)), _) => Trust::Block { height, id },
        (None, Some(known)) => Trust::Header(Box::new(known)),
        (None, None) => Trust::Genesis,
    };
    let fetch = SnapshotFetch {
        network: &network.handle(),
        peers,
        disk: Arc::clone(disk),
        begun,
        genesis,
        trust,
        options: light::Options::default(),
        above,
        state: state::Options::default(),
    };
    let listener = Arc::clone(tell);
    let mut told = move |event: SnapshotEvent| listener(NodeEvent::Snapshot(event));
    if let Err(error) = block_on(fetch_snapshot(fetch, &mut told)) {
        Joining::abandon(disk.as_ref()).map_err(ConsensusError::from)?;
        tell(NodeEvent::BlockByBlock { reason: error.to_string() });
    }
    Ok(())
}

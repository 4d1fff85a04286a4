//! A passing peer that seeks a pack, and whom it may ask.

use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use chronolith_chain::content::ContentId;
use chronolith_chain::encoding::Bytes;
use chronolith_chain::genesis::Genesis;
use chronolith_chain::hash::ChainId;
use chronolith_net::exchange::{Question, Reply};
use chronolith_net::fetch::Source;
use chronolith_net::network::{
    KnownPeer, Multiaddr, Network, NetworkEvent, NetworkHandle, NetworkKey, NetworkSettings,
    PeerId, Service, Unanswerable,
};

use crate::cli::usage::Usage;
use crate::node::{Client, NodeError, NodeSettings};
use crate::wallet::{random, secret_of};

/// The largest genesis that is read: bytes.
const GENESIS_MOST: u64 = 64 << 20;
/// How long it is waited for the first peer by whom others are found.
const GREETING: Duration = Duration::from_secs(5);

/// Somebody who asks and is not asked.
struct Passing;

impl Service for Passing {
    fn answer(&self, _: PeerId, _: &[u8]) -> Result<Vec<u8>, Unanswerable> {
        Ok(Reply::refused("this is a client").to_bytes())
    }
}

/// A passing peer that seeks a pack.
pub(in crate::cli) struct Seeker {
    network: Network,
    sources: Vec<Source>,
}

impl Seeker {
    /// One that knows the peers that are named, and those of a node's configuration.
    pub(in crate::cli) fn new(
        config: Option<&Path>,
        peers: &[String],
        chain: Option<&str>,
        pack: ContentId,
    ) -> Result<Self> {
        let mut known = Vec::new();
        for text in peers {
            let peer = text.parse::<KnownPeer>();
            known.push(peer.map_err(|error| Usage(error.to_string()))?);
        }
        let mut sources: Vec<Source> = known.iter().cloned().map(Source::from).collect();
        let (chain, private) = match config {
            Some(place) => {
                let settings = NodeSettings::read(place)?;
                let told = ask_node(&settings, pack, &mut known)?;
                sources.extend(told);
                (genesis(&settings)?.chain_id(), settings.network.private_addresses)
            }
            None => (chain_id(chain.unwrap_or_default())?, known.iter().any(is_private)),
        };
        let mut own = NetworkSettings::new(NetworkKey::from_seed(random()?), chain);
        own.serves_lookups = false;
        own.allows_private_addresses = private;
        own.known = known;
        let (told, events) = channel();
        // What is told later is told in vain.
        let network = Network::start(own, Arc::new(Passing), move |event| drop(told.send(event)))?;
        // Lookups go by the first peer that is there.
        let until = Instant::now() + GREETING;
        while let Ok(event) = events.recv_timeout(until.saturating_duration_since(Instant::now())) {
            if matches!(event, NetworkEvent::Connected(_)) {
                break;
            }
        }
        Ok(Self { network, sources })
    }

    pub(in crate::cli) fn network(&self) -> NetworkHandle {
        self.network.handle()
    }

    /// Who may have the pack, as far as it is known beforehand.
    pub(in crate::cli) fn sources(&self) -> &[Source] {
        &self.sources
    }
}

fn chain_id(text: &str) -> Result<ChainId> {
    let problem = || Usage(format!("{text} is no chain's id: 64 hexadecimal digits are one"));
    Ok(ChainId(secret_of(text).map_err(|_| problem())?))
}

fn genesis(settings: &NodeSettings) -> Result<Genesis> {
    let place = settings.path(&settings.chain.genesis);
    let read = || format!("cannot read {}", place.display());
    let length = fs::metadata(&place).with_context(read)?.len();
    if length > GENESIS_MOST {
        bail!("{} has {length} bytes, which is no genesis", place.display());
    }
    let bytes = fs::read(&place).with_context(read)?;
    Genesis::decode(&bytes).with_context(|| place.display().to_string())
}

/// Asks the node of a configuration who has a pack. The node and those that it knows are added to `known`.
/// Where it cannot be asked, it is said, and others may help.
fn ask_node(
    settings: &NodeSettings,
    pack: ContentId,
    known: &mut Vec<KnownPeer>,
) -> Result<Vec<Source>> {
    for text in &settings.network.known {
        known.push(text.parse()?);
    }
    let client = match Client::new(settings, None) {
        Err(NodeError::Deaf { .. }) if !known.is_empty() => return Ok(Vec::new()),
        client => client?,
    };
    let mut sources = vec![Source::from(client.node().clone())];
    let key = Bytes::new(cid::Cid::from(pack).hash().to_bytes())?;
    let found = client.ask(&Question::Find(key), |reply| match reply {
        Reply::Found(peers, _) => Some(peers),
        _ => None,
    });
    let neighbours = client.ask(&Question::Neighbours, |reply| match reply {
        Reply::Neighbours(told) => Some(told),
        _ => None,
    });
    known.push(client.node().clone());
    match (found, neighbours) {
        (Ok(found), Ok(neighbours)) => {
            let found = found.iter().filter_map(|peer| peer.parse::<PeerId>().ok());
            sources.extend(found.map(Source::from));
            let neighbours = neighbours.iter().filter_map(|told| {
                let addresses = told.address.parse::<Multiaddr>().into_iter().collect();
                Some(Source { peer: told.peer.parse().ok()?, addresses })
            });
            sources.extend(neighbours);
        }
        (Err(error), _) | (_, Err(error)) => eprintln!("chronolith: {error}"),
    }
    Ok(sources)
}

/// Whether a peer is in a private network, or on this machine: then so are others that it tells of.
fn is_private(known: &KnownPeer) -> bool {
    let text = known.address.to_string();
    text.split('/').filter_map(|part| part.parse::<IpAddr>().ok()).any(|address| match address {
        IpAddr::V4(address) => {
            address.is_private() || address.is_loopback() || address.is_link_local()
        }
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local(),
    })
}

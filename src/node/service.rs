//! What a node answers to others.

use std::sync::OnceLock;

use chronolith_chain::encoding::{List, Text};
use chronolith_net::exchange::{
    MAX_NEIGHBOURS, NodeStatus, Question, Reply, Submitted, ToldNeighbour,
};
use chronolith_net::network::{NetworkHandle, PeerId, Service, Unanswerable};
use chronolith_net::validator::ChainHandle;
use futures::executor::block_on;

/// Answers questions from the chain and the network.
pub(super) struct NodeService {
    chain: ChainHandle,
    network: OnceLock<NetworkHandle>,
}

const ENDING: &str = "the node is beginning or ending";

impl NodeService {
    pub(super) fn new(chain: ChainHandle) -> Self {
        Self { chain, network: OnceLock::new() }
    }

    /// Tells it the network, which exists only once there is a service.
    pub(super) fn connect(&self, network: NetworkHandle) {
        // It is told once.
        drop(self.network.set(network));
    }

    fn status(&self) -> Option<Reply> {
        self.chain.look(|validator| {
            let (tip, position) = (validator.blocks().tip(), validator.position());
            Reply::Status(NodeStatus {
                chain: validator.chain(),
                height: tip.height,
                block: tip.block,
                state_root: validator.state().head().root,
                waiting: validator.mempool().len() as u64,
                round: position.round,
                is_voting: position.is_voting,
            })
        })
    }

    fn neighbours(&self) -> Option<Reply> {
        let neighbours = block_on(self.network.get()?.neighbours());
        let told = neighbours.into_iter().take(MAX_NEIGHBOURS).map(|neighbour| ToldNeighbour {
            peer: text(&neighbour.peer.to_string()),
            address: neighbour
                .addresses
                .first()
                .map(|one| text(&one.to_string()))
                .unwrap_or_default(),
            agent: neighbour.agent.as_deref().map(text).unwrap_or_default(),
            round_trip_us: neighbour.round_trip.map(|time| time.as_micros() as u64),
            points: neighbour.points,
        });
        List::new(told.collect::<Vec<_>>()).ok().map(Reply::Neighbours)
    }

    fn find(&self, key: Vec<u8>) -> Option<Reply> {
        let found = block_on(self.network.get()?.find(key));
        let peers = found.peers.iter().take(MAX_NEIGHBOURS).map(|peer| text(&peer.to_string()));
        let peers = List::new(peers.collect::<Vec<_>>()).ok()?;
        Some(Reply::Found(peers, found.requests))
    }
}

/// A text, or nothing where it is too long.
fn text<const MOST: usize>(text: &str) -> Text<MOST> {
    Text::new(text).unwrap_or_default()
}

impl Service for NodeService {
    fn answer(&self, _: PeerId, request: &[u8]) -> Result<Vec<u8>, Unanswerable> {
        let question = Question::from_bytes(request).map_err(|_| Unanswerable)?;
        let reply = match question {
            Question::Status => self.status(),
            Question::Submit(transactions) => {
                self.chain.submit(transactions.to_vec()).and_then(|results| {
                    let told = results.into_iter().map(|result| match result {
                        Ok(id) => Submitted::Waits(id),
                        Err(refused) => Submitted::refused(&refused.to_string()),
                    });
                    List::new(told.collect::<Vec<_>>()).ok().map(Reply::Submitted)
                })
            }
            Question::Neighbours => self.neighbours(),
            Question::Find(key) => self.find(key.to_vec()),
            Question::Header(_)
            | Question::Held(_)
            | Question::Fragment { .. }
            | Question::Blocks { .. }
            | Question::Keep { .. }
            | Question::Consent { .. }
            | Question::Entrust { .. }
            | Question::Answer { .. } => Some(Reply::refused("this node keeps nothing for others")),
        };
        Ok(reply.unwrap_or_else(|| Reply::refused(ENDING)).to_bytes())
    }
}

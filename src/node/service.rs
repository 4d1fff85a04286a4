//! What a node answers to others.

use std::sync::{Arc, OnceLock};

use chronolith_chain::address::Address;
use chronolith_chain::consensus::{BlockStore, StoreError};
use chronolith_chain::encoding::{Bytes, List, Text};
use chronolith_chain::hash::{Hash, RequestId, TransactionId};
use chronolith_chain::state::{StateError, View as _};
use chronolith_net::audit::KeptAnswers;
use chronolith_net::exchange::{
    MAX_NEIGHBOURS, MAX_ROWS, NodeStatus, Question, ROWS_BYTES, Reply, Rows, Submitted,
    ToldNeighbour,
};
use chronolith_net::network::{NetworkHandle, PeerId, Service, Unanswerable};
use chronolith_net::snapshot::SnapshotServer;
use chronolith_net::store::serve;
use chronolith_net::validator::ChainHandle;
use futures::executor::block_on;

use super::intake::{Intake, Wanted};
use crate::market::grant::sealed_in;
use crate::market::notes::Notes;

/// Answers questions from the chain and the network.
pub(super) struct NodeService {
    chain: ChainHandle,
    answers: Arc<KeptAnswers>,
    snapshots: Option<SnapshotServer>,
    network: OnceLock<NetworkHandle>,
    intake: OnceLock<Option<Intake>>,
    notes: OnceLock<Notes>,
}

/// How many blocks are looked through for a transaction at once.
const RECEIPT_BLOCKS: u64 = 16;

const ENDING: &str = "the node is beginning or ending";

impl NodeService {
    pub(super) fn new(
        chain: ChainHandle,
        answers: Arc<KeptAnswers>,
        snapshots: Option<SnapshotServer>,
    ) -> Self {
        let (network, intake, notes) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        Self { chain, answers, snapshots, network, intake, notes }
    }

    /// Tells it the network, which exists only once there is a service, and the storage role.
    pub(super) fn connect(&self, network: NetworkHandle, intake: Option<Intake>) {
        // Both are told once.
        drop(self.network.set(network));
        drop(self.intake.set(intake));
    }

    /// Tells it the notes to buyers, where there are some.
    pub(super) fn serve_notes(&self, notes: Notes) {
        drop(self.notes.set(notes));
    }

    /// The network, once there is one.
    pub(super) fn network(&self) -> Option<NetworkHandle> {
        self.network.get().cloned()
    }

    /// Announces that the node has what a key names.
    pub(super) fn announce(&self, key: Vec<u8>) {
        if let Some(network) = self.network.get() {
            network.announce(key);
        }
    }

    /// What the storage role answers; a node without one says so.
    fn storage(&self, answer: impl FnOnce(&Intake) -> Reply) -> Option<Reply> {
        Some(match self.intake.get()? {
            Some(intake) => answer(intake),
            None => Reply::refused("this node keeps nothing for others"),
        })
    }

    fn audit_answer(&self, epoch: u64, peer: &Address) -> Reply {
        match self.answers.answer(epoch, peer) {
            Ok(Some(bytes)) => Bytes::new(bytes).map_or(Reply::Absent, Reply::Answer),
            Ok(None) => Reply::Absent,
            Err(error) => Reply::refused(&error.to_string()),
        }
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

    fn rows(&self, from: Vec<u8>, until: Option<Vec<u8>>, most: usize) -> Option<Reply> {
        let read = self.chain.look(move |validator| {
            let state = validator.state();
            let (mut rows, mut bytes, mut is_end) = (Vec::new(), 0, true);
            state.scan_bytes(&from, until.as_deref(), &mut |key, value| {
                bytes += key.len() + value.len();
                if rows.len() >= most || (bytes > ROWS_BYTES / 2 && !rows.is_empty()) {
                    is_end = false;
                    return false;
                }
                rows.push((key.to_vec(), value.to_vec()));
                true
            })?;
            Ok::<_, StateError>((state.head().version, rows, is_end))
        })?;
        let told = read.ok().and_then(|(height, rows, is_end)| {
            let rows = rows
                .into_iter()
                .map(|(key, value)| Some((Bytes::new(key).ok()?, Bytes::new(value).ok()?)));
            let rows = List::new(rows.collect::<Option<Vec<_>>>()?).ok()?;
            Some(Reply::Rows(Rows { height, rows, is_end }))
        });
        Some(told.unwrap_or_else(|| Reply::refused("these rows cannot be read")))
    }

    fn receipt(&self, wanted: TransactionId, since: u64) -> Option<Reply> {
        let (found, next) = self.search_blocks(since, move |blocks, height| {
            let receipts = blocks.receipts(height)?.unwrap_or_default();
            Ok(receipts.into_iter().find(|receipt| receipt.transaction == wanted))
        })?;
        Some(match found {
            Ok(found) => Reply::Receipt { found, next },
            Err(error) => Reply::refused(&error.to_string()),
        })
    }

    /// Looks for something in the blocks from a height on, in some of them; with its height, and the first
    /// height that was not looked at.
    #[expect(clippy::type_complexity, reason = "it is taken apart at once")]
    fn search_blocks<T: Send + 'static>(
        &self,
        since: u64,
        look: impl Fn(&BlockStore, u64) -> Result<Option<T>, StoreError> + Clone + Send + 'static,
    ) -> Option<(Result<Option<(u64, T)>, StoreError>, u64)> {
        let (oldest, tip) = self
            .chain
            .look(|validator| (validator.blocks().oldest(), validator.blocks().tip().height))?;
        let mut next = since.max(oldest);
        let end = next.saturating_add(RECEIPT_BLOCKS).min(tip.saturating_add(1));
        // One block at a time, so that consensus does not wait for all of them.
        while next < end {
            let look = look.clone();
            match self.chain.look(move |validator| look(validator.blocks(), next))? {
                Ok(Some(found)) => return Some((Ok(Some((next, found))), next)),
                Ok(None) => next += 1,
                Err(error) => return Some((Err(error), next)),
            }
        }
        Some((Ok(None), next))
    }

    fn sealed_keys(&self, wrapped: Hash, since: u64) -> Option<Reply> {
        let (found, next) = self.search_blocks(since, move |blocks, height| {
            let block = blocks.block(height)?.map(|decided| decided.block);
            Ok(block.and_then(|block| sealed_in(&block, wrapped)))
        })?;
        Some(match found {
            Ok(found) => Reply::Sealed { found, next },
            Err(error) => Reply::refused(&error.to_string()),
        })
    }

    fn note(&self, request: RequestId, index: u32) -> Option<Reply> {
        let Some(notes) = self.notes.get() else { return Some(Reply::Absent) };
        Some(match notes.piece(&request, index) {
            Ok(Some((piece, pieces))) => match Bytes::new(piece) {
                Ok(piece) => Reply::Note { piece, pieces },
                Err(_) => Reply::Absent,
            },
            Ok(None) => Reply::Absent,
            Err(error) => Reply::refused(&error.to_string()),
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

    /// The answer to a question.
    pub(super) fn reply(&self, question: Question) -> Reply {
        let reply = match question {
            Question::Status => self.status(),
            Question::Submit(transactions) => {
                self.chain.submit(transactions.to_vec()).and_then(|results| {
                    let told: Vec<_> = results.iter().map(Submitted::of).collect();
                    List::new(told).ok().map(Reply::Submitted)
                })
            }
            Question::Neighbours => self.neighbours(),
            Question::Find(key) => self.find(key.to_vec()),
            Question::Rows { from, until, most } => {
                let most = usize::from(most).clamp(1, MAX_ROWS);
                self.rows(from.to_vec(), until.map(|key| key.to_vec()), most)
            }
            Question::Receipt { transaction, since } => self.receipt(transaction, since),
            Question::Sealed { wrapped, since } => self.sealed_keys(wrapped, since),
            Question::Note { request, index } => self.note(request, index),
            question @ (Question::Header(_)
            | Question::Held(_)
            | Question::Fragment { .. }
            | Question::Blocks { .. }) => {
                self.storage(|intake| serve(&intake.store, &question).unwrap_or(Reply::Absent))
            }
            Question::Keep { owner, by, header, fragment } => {
                self.storage(|intake| intake.keep(owner, &by, &header, &fragment))
            }
            Question::Consent { owner, by, fragments, price, until_epoch, valid_until } => {
                let (by, fragments) = (&by, &fragments);
                let wanted = Wanted { owner, by, fragments, price, until_epoch, valid_until };
                self.storage(|intake| intake.consent(&wanted))
            }
            Question::Entrust { owner, pack, secret } => {
                self.storage(|intake| intake.entrust(owner, pack, &secret))
            }
            Question::Answer { epoch, peer } => Some(self.audit_answer(epoch, &peer)),
            question @ (Question::SnapshotHead
            | Question::SnapshotChunk { .. }
            | Question::Steps { .. }) => match &self.snapshots {
                Some(snapshots) => snapshots.answer(&question),
                None => Some(Reply::refused("this node serves no snapshots")),
            },
        };
        reply.unwrap_or_else(|| Reply::refused(ENDING))
    }
}

/// A text, or nothing where it is too long.
fn text<const MOST: usize>(text: &str) -> Text<MOST> {
    Text::new(text).unwrap_or_default()
}

impl Service for NodeService {
    fn answer(&self, _: PeerId, request: &[u8]) -> Result<Vec<u8>, Unanswerable> {
        let question = Question::from_bytes(request).map_err(|_| Unanswerable)?;
        Ok(self.reply(question).to_bytes())
    }
}

//! Answering those who join by a snapshot.

use std::sync::Arc;

use chronolith_chain::consensus::snapshot::SnapshotShelf;
use chronolith_chain::encoding::{Bytes, List};
use chronolith_chain::light::{ProveError, Prover};

use crate::exchange::{MAX_STEPS, Question, Reply};
use crate::validator::ChainHandle;

/// Answers from the snapshots of a node, and from its chain.
pub struct SnapshotServer {
    shelf: Arc<SnapshotShelf>,
    chain: ChainHandle,
}

impl SnapshotServer {
    /// For the snapshots of a node.
    #[must_use]
    pub fn new(shelf: Arc<SnapshotShelf>, chain: ChainHandle) -> Self {
        Self { shelf, chain }
    }

    /// The answer to a question for a snapshot, a piece of one, or headers; none for every other, and after
    /// the validator has stopped.
    ///
    /// A question costs at most one piece that is read, or [`MAX_STEPS`] headers; nothing is kept for it.
    #[must_use]
    pub fn answer(&self, question: &Question) -> Option<Reply> {
        match question {
            Question::SnapshotHead => {
                let newest = self.shelf.newest();
                Some(newest.map_or(Reply::Absent, |head| Reply::SnapshotHead(Box::new(head))))
            }
            Question::SnapshotChunk { height, index } => {
                Some(match self.shelf.piece(*height, *index) {
                    Ok(Some(bytes)) => {
                        Bytes::new(bytes).map_or(Reply::Absent, Reply::SnapshotChunk)
                    }
                    // A damaged one is gone, and is made anew in its time.
                    Ok(None) | Err(_) => Reply::Absent,
                })
            }
            Question::Steps { since, until } => self.steps(*since, *until),
            _ => None,
        }
    }

    fn steps(&self, since: u64, until: u64) -> Option<Reply> {
        let steps = self.chain.look(move |validator| {
            Prover::new(validator.blocks(), validator.state()).steps_to(since, until, MAX_STEPS)
        })?;
        Some(match steps {
            Ok(steps) => List::new(steps).map_or(Reply::Absent, Reply::Steps),
            Err(ProveError::Missing { .. } | ProveError::NoBlock) => Reply::Absent,
            Err(_) => Reply::refused("these headers cannot be read"),
        })
    }
}

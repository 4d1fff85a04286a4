//! Making a decided block part of the chain.

use super::{ConsensusError, Output, Phase, Validator};
use crate::certificate::{Certificate, CertificateError};
use crate::consensus::core::CoreFailure;
use crate::consensus::event::Decision;
use crate::consensus::message::{Decided, Message};
use crate::ledger::Executed;
use crate::transaction::Verified;
use crate::validator_set::ValidatorSet;

/// The most transactions that are sent once more after a block.
const MOST_OVERDUE: usize = 256;

impl Validator {
    /// Commits what the core decided.
    pub(super) fn commit_decision(&mut self, decision: Decision) -> Result<(), ConsensusError> {
        let Decision { height, round, block, precommits } = decision;
        let stuck = |what: &str| CoreFailure::Stuck(format!("height {height}: {what}"));
        let (block, executed) =
            self.candidates.take(&block).ok_or_else(|| stuck("decided a block nobody has"))?;
        let id = block.header.id();
        let certificate = Certificate::new(height, round, id, &self.set, precommits)
            .and_then(|certificate| {
                let found = certificate.voters(&self.set).len();
                if found == 0 {
                    Err(CertificateError::Members { expected: 1, found })
                } else {
                    Ok(certificate)
                }
            })
            .map_err(|error| stuck(&error.to_string()))?;
        self.commit(Decided { block, certificate }, executed)
    }

    /// Commits a block: the blocks first, then the state, then what follows from both.
    pub(super) fn commit(
        &mut self,
        decided: Decided,
        executed: Executed,
    ) -> Result<(), ConsensusError> {
        let seen = self.core.take_evidence();
        self.note_evidence(seen);
        let set = ValidatorSet::from_seats(&executed.next_seats)?;
        self.store.append(&decided, &executed, &set)?;
        self.state.commit(executed.prepared)?;
        self.tip = self.store.tip().clone();
        self.set = set;
        self.last_certificate = Some(decided.certificate.clone());

        self.phase = Phase::Waiting;
        self.since_ns = Some(self.now.elapsed_ns);
        self.timers.clear();
        self.candidates = Default::default();
        self.future.forget_below(self.height());
        (self.wanted_round, self.own_proposal, self.lock) = (None, None, None);
        self.neighbours.told_all(self.now.elapsed_ns);
        self.log.begin(self.height())?;

        self.evidence.retain(|evidence| !decided.block.evidence.contains(evidence));
        let senders = decided.block.transactions.iter().map(|transaction| transaction.body.sender);
        self.mempool.after_block(senders, &self.state, self.tip.height.saturating_add(1))?;
        let overdue = self.mempool.overdue(self.tip.height, MOST_OVERDUE);
        self.pass_on(overdue.into_iter().map(Verified::into_transaction).collect());
        // What was promised in this height must not leave before the guard knows of it.
        self.must_sync = true;
        let receipts = executed.receipts;
        self.outputs.push(Output::Committed { decided: Box::new(decided), receipts });
        let status = self.status();
        self.broadcast(Message::Status(status));
        Ok(())
    }
}

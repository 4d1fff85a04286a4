//! When a height begins, and how it is taken up again after a restart.

use super::config::ns;
use super::{ConsensusError, Output, Phase, Validator};
use crate::consensus::core::Sign;
use crate::consensus::event::Event;
use crate::consensus::guard::SignGuard;
use crate::consensus::log::Entry;
use crate::hash::Hash;
use crate::keys::{SecretKey, Signature};
use crate::vote::{Message as _, Proposal, Vote};

/// Signs what the guard admits.
pub(super) struct Pen<'a> {
    pub(super) key: Option<&'a SecretKey>,
    pub(super) guard: Option<&'a mut SignGuard>,
    /// Whether the guard refused something.
    pub(super) was_refused: bool,
}

impl Pen<'_> {
    fn sign(
        &mut self,
        hash: &Hash,
        admit: impl FnOnce(&mut SignGuard) -> bool,
    ) -> Option<Signature> {
        let (Some(key), Some(guard)) = (self.key, self.guard.as_deref_mut()) else {
            self.was_refused = true;
            return None;
        };
        if !admit(guard) {
            self.was_refused = true;
            return None;
        }
        Some(key.sign(hash))
    }
}

impl Sign for Pen<'_> {
    fn vote(&mut self, vote: &Vote) -> Option<Signature> {
        self.sign(&vote.signing_hash(), |guard| guard.admit_vote(vote))
    }

    fn proposal(&mut self, proposal: &Proposal) -> Option<Signature> {
        self.sign(&proposal.signing_hash(), |guard| guard.admit_proposal(proposal))
    }
}

impl Validator {
    /// Whether there is something that a block would be made for.
    fn has_work(&self) -> bool {
        // A state that cannot be read shows itself as soon as the block is made.
        !self.evidence.is_empty() || self.mempool.has_ready(&self.state).unwrap_or(true)
    }

    /// When the height begins by itself.
    pub(super) fn begins_at(&self) -> Option<u64> {
        if self.phase == Phase::Running {
            return None;
        }
        let since = self.since_ns?;
        let wait_ms = if self.has_work() {
            Some(self.config.interval_ms)
        } else {
            // A heartbeat of nothing would be blocks without end.
            self.config.heartbeat_ms.map(|ms| ms.max(self.config.interval_ms).max(1))
        };
        Some(since.saturating_add(ns(wait_ms?)))
    }

    pub(super) fn begin_if_due(&mut self) -> Result<(), ConsensusError> {
        // What came early shows whether others began already; it may decide the height, and what
        // came for the next one shows the same of that.
        while self.phase == Phase::Waiting && self.future.has(self.height()) {
            self.take_early()?;
        }
        match self.begins_at() {
            Some(at) if at <= self.now.elapsed_ns => self.begin(),
            _ => Ok(()),
        }
    }

    /// Begins the height, and takes in what came early for it.
    pub(super) fn begin(&mut self) -> Result<(), ConsensusError> {
        self.start_core()?;
        self.take_early()
    }

    fn take_early(&mut self) -> Result<(), ConsensusError> {
        for (from, message) in self.future.take(self.height()) {
            self.receive(from, message)?;
        }
        Ok(())
    }

    pub(super) fn start_core(&mut self) -> Result<(), ConsensusError> {
        self.phase = Phase::Running;
        let (height, is_voting) = (self.height(), self.is_voting());
        self.core.set_voting(is_voting);
        self.with_core(|core, set, pen, actions| core.start(height, set, pen, actions))
    }

    /// Takes up the height that the log holds: the core is told everything once more, in the same
    /// order, and comes to the same votes, which are sent again.
    pub(super) fn replay(&mut self) -> Result<(), ConsensusError> {
        if self.since_ns.is_some() {
            return Ok(());
        }
        self.since_ns = Some(self.now.elapsed_ns);
        let entries = std::mem::take(&mut self.unreplayed);
        self.reconcile(&entries);
        if entries.is_empty() {
            return Ok(());
        }
        let height = self.height();
        let recorded = entries.iter().filter_map(|entry| match entry {
            Entry::Event(event) => Some(event.clone()),
            Entry::Height(_) | Entry::Block(_) => None,
        });
        self.recorded = recorded.collect();
        self.core.begin_replay(self.recorded.iter());
        self.start_core()?;
        for entry in entries {
            if self.height() != height || self.phase != Phase::Running {
                break;
            }
            match entry {
                Entry::Height(_) => {}
                Entry::Block(block) => self.take_logged_block(*block)?,
                Entry::Event(event) => {
                    if let Event::Proposal(proposal) = &event {
                        self.candidates.note_proposal(*proposal, self.now.time_ns);
                        if proposal.key == self.key {
                            self.wanted_round = None;
                            self.own_proposal = Some(*proposal);
                        }
                    }
                    self.tell(event)?;
                }
            }
        }
        self.core.end_replay();
        self.recorded.clear();
        Ok(())
    }

    /// Compares the guard with the log. Whatever was sent is in both, so if the last thing signed is
    /// not in the log, the log is not the one it was signed by: its locks are lost, and this
    /// validator must not vote until that height is over.
    fn reconcile(&mut self, entries: &[Entry]) {
        let (height, Some(guard)) = (self.tip.height.saturating_add(1), &mut self.guard) else {
            return;
        };
        let before = guard.last();
        let mut is_known = before.is_none_or(|last| last.step.height < height);
        let mut is_admitted = true;
        for entry in entries {
            let hash = match entry {
                Entry::Event(Event::Vote(vote)) if vote.key == self.key => {
                    let vote = &vote.signed.message;
                    // What the guard has is at or above it; what it has not is admitted now.
                    let is_older = guard.last().is_some_and(|last| !last.is_before_vote(vote));
                    is_admitted &= is_older || guard.admit_vote(vote);
                    vote.signing_hash()
                }
                Entry::Event(Event::Proposal(proposal)) if proposal.key == self.key => {
                    let proposal = &proposal.signed.message;
                    let is_older =
                        guard.last().is_some_and(|last| !last.is_before_proposal(proposal));
                    is_admitted &= is_older || guard.admit_proposal(proposal);
                    proposal.signing_hash()
                }
                _ => continue,
            };
            is_known |= before.is_some_and(|last| last.message == Some(hash));
        }
        if let Some(last) = before
            && !(is_known && is_admitted)
        {
            self.stand_aside(last.step.height.max(height));
        }
    }

    /// Signs nothing up to a height.
    pub(super) fn stand_aside(&mut self, until: u64) {
        self.stands_aside_until = self.stands_aside_until.max(until);
        self.outputs.push(Output::StandsAside { until });
    }
}

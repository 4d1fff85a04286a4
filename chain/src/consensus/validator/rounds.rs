//! Telling the core what happened, and doing what it wants done.

use super::begin::Pen;
use super::config::ns;
use super::{ConsensusError, MOST_EVIDENCE, Output, Phase, Validator};
use crate::consensus::core::{Core, CoreFailure};
use crate::consensus::event::{Action, Decision, Event, Timer, TimerKind};
use crate::consensus::log::Entry;
use crate::consensus::message::Message;
use crate::ledger::Evidence;
use crate::validator_set::ValidatorSet;

impl Validator {
    /// Tells the core something of the present height that was checked.
    pub(super) fn tell(&mut self, event: Event) -> Result<(), ConsensusError> {
        if self.phase != Phase::Running {
            return Ok(());
        }
        self.with_core(|core, _, pen, actions| core.tell(&event, pen, actions))
    }

    /// Lets the core run, and does what it wants.
    pub(super) fn with_core(
        &mut self,
        run: impl FnOnce(
            &mut Core,
            &ValidatorSet,
            &mut Pen<'_>,
            &mut Vec<Action>,
        ) -> Result<(), CoreFailure>,
    ) -> Result<(), ConsensusError> {
        let mut actions = Vec::new();
        let mut pen = Pen {
            key: self.identity.as_ref().map(|identity| &identity.key),
            guard: self.guard.as_mut(),
            was_refused: false,
        };
        let done = run(&mut self.core, &self.set, &mut pen, &mut actions);
        let was_refused = pen.was_refused;
        let decision = self.act(actions);
        match done {
            Ok(()) => {}
            Err(CoreFailure::Diverged(_)) => self.give_up_voting()?,
            Err(CoreFailure::Stuck(_)) if was_refused => self.give_up_voting()?,
            Err(failure) => return Err(failure.into()),
        }
        match decision {
            Some(decision) => self.commit_decision(decision),
            None => Ok(()),
        }
    }

    /// Follows the rest of the height without voting: what this validator would sign contradicts
    /// what it signed.
    fn give_up_voting(&mut self) -> Result<(), ConsensusError> {
        self.stand_aside(self.height());
        self.core = Core::new(self.chain, self.key, &self.set);
        self.timers.clear();
        (self.wanted_round, self.own_proposal, self.lock) = (None, None, None);
        self.start_core()
    }

    fn act(&mut self, actions: Vec<Action>) -> Option<Decision> {
        let mut decision = None;
        for action in actions {
            match action {
                // What a replay comes to is in the log already, but for what a crash cut off.
                Action::Log(event) if self.recorded.contains(&event) => {}
                Action::Log(event) => self.log.append(&Entry::Event(event)),
                Action::Publish(message) => self.publish(message),
                Action::GetValue { round } => self.wanted_round = Some(round),
                // The block goes out with its proposal.
                Action::Restream { .. } => {}
                Action::Schedule(timer) => {
                    // Two thirds precommitted, and not for one block.
                    if timer.kind == TimerKind::Precommit {
                        self.tell_lock();
                    }
                    let at = self.now.elapsed_ns.saturating_add(self.duration(timer));
                    self.timers.insert(timer, at);
                }
                Action::Cancel(timer) => {
                    self.timers.remove(&timer);
                }
                Action::CancelAll => self.timers.clear(),
                Action::StartRound { .. } => {
                    (self.wanted_round, self.own_proposal, self.lock) = (None, None, None);
                }
                Action::Decide(decided) => decision = Some(decided),
                Action::Evidence(all) => self.note_evidence(all),
            }
        }
        decision
    }

    fn publish(&mut self, message: Message) {
        self.must_sync = true;
        if let Message::Vote(vote) = &message {
            self.note_lock(vote);
        }
        let Message::Proposal(proposal) = message else { return self.broadcast(message) };
        if proposal.key == self.key {
            self.own_proposal = Some(proposal);
        }
        self.candidates.note_proposal(proposal, self.now.time_ns);
        self.broadcast(message);
        let block = self.candidate_block(&proposal.signed.message.block).cloned();
        if let Some(block) = block {
            self.broadcast(Message::Block(Box::new(block)));
        }
    }

    /// Says again what may have been lost, and asks for what is missing. The core repeats its votes.
    pub(super) fn repeat(&mut self) {
        self.must_sync = true;
        if let Some(proposal) = self.own_proposal {
            let message = proposal.signed.message;
            let polka = message.valid_round.and_then(|round| self.core.polka(round, message.block));
            if let Some(polka) = polka {
                self.broadcast(Message::Polka(polka));
            }
            self.broadcast(Message::Proposal(proposal));
        }
        self.repeat_lock();
        let height = self.height();
        for (block, peer) in self.candidates.missing() {
            self.send(peer, Message::GetProposal { height, block });
        }
    }

    fn duration(&self, timer: Timer) -> u64 {
        let times = &self.config.timeouts;
        let rounds = times.round_ms.saturating_mul(u64::from(timer.round));
        let ms = match timer.kind {
            TimerKind::Propose => times.propose_ms.saturating_add(rounds),
            TimerKind::Prevote | TimerKind::Precommit => times.vote_ms.saturating_add(rounds),
            TimerKind::Rebroadcast => times.repeat_ms,
        };
        ns(ms.clamp(1, times.longest_ms.max(1)))
    }

    /// Keeps evidence for the next block.
    pub(super) fn note_evidence(&mut self, all: Vec<Evidence>) {
        for evidence in all {
            if self.evidence.len() < MOST_EVIDENCE && !self.evidence.contains(&evidence) {
                self.evidence.push(evidence.clone());
                self.outputs.push(Output::Evidence(Box::new(evidence)));
            }
        }
    }
}

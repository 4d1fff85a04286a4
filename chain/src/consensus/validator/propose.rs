//! Blocks that are voted on: making them, judging them.

use std::collections::{BTreeMap, BTreeSet};

use super::config::ns;
use super::{ConsensusError, Phase, Refusal, Validator};
use crate::block::{Block, Draft, InvalidBlock, MAX_EVIDENCE, MAX_TRANSACTIONS};
use crate::consensus::event::{Event, ProposedBlock};
use crate::consensus::log::Entry;
use crate::consensus::message::{FromValidator, PeerId};
use crate::encoding::List;
use crate::hash::{BlockId, Hash};
use crate::ledger::{BlockError, Executed, ParameterName, Schedule, ScheduleKey, ValidatorKey};
use crate::mempool;
use crate::state::Overlay;
use crate::transaction::{SignatureError, Transaction, Verified};
use crate::vote::Proposal;

/// How often a block is tried to be made without what was in its way, before an empty one is made.
const ATTEMPTS: usize = 32;
/// The most blocks that are kept without a proposal, of all neighbours and of one.
const MOST_LOOSE: usize = 8;
const MOST_LOOSE_OF_ONE: usize = 2;
/// The most proposals of a round: the second one already proves that its proposer signed twice.
const MOST_OF_ROUND: usize = 2;
/// The most blocks that are asked for because of votes.
const MOST_WANTED: usize = 64;

struct Candidate {
    block: Block,
    /// What it makes of the state; none where it could not follow.
    executed: Option<Executed>,
}

struct Proposed {
    proposal: FromValidator<Proposal>,
    arrived_ns: u64,
    /// Whether the core was told that its block may be voted for.
    is_valid: bool,
}

impl Proposed {
    fn round(&self) -> u32 {
        self.proposal.signed.message.round
    }
}

/// The blocks that are voted on at a height.
#[derive(Default)]
pub(super) struct Candidates {
    blocks: BTreeMap<BlockId, Candidate>,
    proposals: Vec<Proposed>,
    /// Blocks that somebody voted for or proposed, and who may have them.
    wanted: BTreeMap<BlockId, PeerId>,
    /// Who was asked for a block as soon as he told of its prevotes.
    asked: BTreeMap<BlockId, BTreeSet<PeerId>>,
    /// Blocks that came before their proposals.
    loose: Vec<(PeerId, Block)>,
}

impl Candidates {
    /// A block that could follow.
    pub(super) fn block(&self, id: &BlockId) -> Option<&Block> {
        let candidate = self.blocks.get(id).filter(|candidate| candidate.executed.is_some());
        candidate.map(|candidate| &candidate.block)
    }

    /// Takes a block out, with what it makes of the state.
    pub(super) fn take(&mut self, id: &BlockId) -> Option<(Block, Executed)> {
        let Candidate { block, executed } = self.blocks.remove(id)?;
        Some((block, executed?))
    }

    /// Remembers a proposal that was checked; whether it is one of the first of its round.
    pub(super) fn note_proposal(
        &mut self,
        proposal: FromValidator<Proposal>,
        arrived_ns: u64,
    ) -> bool {
        if self.proposals.iter().any(|known| known.proposal == proposal) {
            return true;
        }
        let round = proposal.signed.message.round;
        let of_round = self.proposals.iter().filter(|known| known.round() == round).count();
        let has_room = of_round < MOST_OF_ROUND;
        if has_room {
            self.proposals.push(Proposed { proposal, arrived_ns, is_valid: false });
        }
        has_room
    }

    /// The latest proposal of a block.
    pub(super) fn proposal_of(&self, id: &BlockId) -> Option<FromValidator<Proposal>> {
        let of = self.proposals.iter().map(|known| known.proposal);
        of.filter(|proposal| proposal.signed.message.block == *id)
            .max_by_key(|proposal| proposal.signed.message.round)
    }

    fn is_proposed(&self, id: &BlockId) -> bool {
        self.proposal_of(id).is_some()
    }

    /// Remembers who may have a block that somebody voted for.
    pub(super) fn want(&mut self, id: BlockId, from: PeerId) {
        if !self.blocks.contains_key(&id) && self.wanted.len() < MOST_WANTED {
            self.wanted.insert(id, from);
        }
    }

    /// The blocks that are missing, and who may have them.
    pub(super) fn missing(&self) -> Vec<(BlockId, PeerId)> {
        self.wanted.iter().map(|(id, peer)| (*id, *peer)).collect()
    }

    /// Whether a block is here, and its proposal in a round.
    pub(super) fn is_complete(&self, round: u32, id: &BlockId) -> bool {
        let is_of =
            |known: &Proposed| known.round() == round && known.proposal.signed.message.block == *id;
        self.blocks.contains_key(id) && self.proposals.iter().any(is_of)
    }

    /// Whether a neighbour who has a block is to be asked for it at once, which some of them are,
    /// each once. Later ones are asked where those do not answer.
    pub(super) fn may_ask(&mut self, id: BlockId, from: PeerId, most: usize) -> bool {
        self.want(id, from);
        if self.asked.len() >= MOST_WANTED && !self.asked.contains_key(&id) {
            return false;
        }
        let asked = self.asked.entry(id).or_default();
        asked.len() < most && asked.insert(from)
    }

    fn keep_loose(&mut self, from: PeerId, block: Block) -> bool {
        let of_one = self.loose.iter().filter(|(peer, _)| *peer == from).count();
        let has_room = self.loose.len() < MOST_LOOSE && of_one < MOST_LOOSE_OF_ONE;
        if has_room {
            self.loose.push((from, block));
        }
        has_room
    }

    fn take_loose(&mut self, id: &BlockId) -> Vec<(PeerId, Block)> {
        let (taken, left) = self.loose.drain(..).partition(|(_, block)| block.header.id() == *id);
        self.loose = left;
        taken
    }
}

impl Validator {
    /// When the block is made that the core waits for.
    pub(super) fn proposes_at(&self) -> Option<u64> {
        let round = self.wanted_round?;
        let since = self.since_ns.unwrap_or(0);
        // Somebody may have begun the height early; only the first round keeps the interval.
        let wait_ms = if round == 0 { self.config.interval_ms } else { 0 };
        Some(since.saturating_add(ns(wait_ms)))
    }

    pub(super) fn propose_if_due(&mut self) -> Result<(), ConsensusError> {
        let is_due = self.proposes_at().is_some_and(|at| at <= self.now.elapsed_ns);
        let Some(round) = self.wanted_round.filter(|_| is_due) else { return Ok(()) };
        self.wanted_round = None;
        let Some((block, executed)) = self.build()? else { return Ok(()) };
        let id = block.header.id();
        self.log.append(&Entry::Block(Box::new(block.clone())));
        self.candidates.blocks.insert(id, Candidate { block, executed: Some(executed) });
        self.tell(Event::Propose { round, block: id })
    }

    /// Makes a block of what waits.
    fn build(&mut self) -> Result<Option<(Block, Executed)>, ConsensusError> {
        let Some(index) = self.set.index_of_key(&self.key) else { return Ok(None) };
        let proposer = self.set.get(index).map(|seat| seat.validator).unwrap_or_default();
        let parameters = mempool::parameters(&self.state)?;
        let (bytes, weight) = (
            parameters.count(ParameterName::BlockBytes),
            parameters.count(ParameterName::BlockWeight),
        );
        let mut beacon = self.next_beacon(proposer)?;
        for attempt in 0..=ATTEMPTS {
            let most = if attempt < ATTEMPTS { MAX_TRANSACTIONS } else { 0 };
            let transactions = self.mempool.select(&self.state, bytes, weight, most)?;
            let ids: Vec<_> = transactions.iter().map(Verified::id).collect();
            let evidence: Vec<_> = self.evidence.iter().take(MAX_EVIDENCE).cloned().collect();
            let draft = Draft {
                // Later than the block before, even where this clock is behind.
                time_ns: self.now.time_ns.max(self.tip.time_ns.saturating_add(1)),
                proposer,
                beacon,
                certificate: self.last_certificate.clone(),
                evidence: List::new(evidence).unwrap_or_default(),
                transactions,
            };
            match draft.build_after(&self.tip, &self.state, self.last_certificate.as_ref()) {
                Ok(built) => return Ok(Some(built)),
                Err(InvalidBlock::Execution(BlockError::Transaction { index, .. })) => {
                    if let Some(id) = ids.get(index) {
                        self.mempool.drop_with_followers(id);
                    }
                }
                Err(InvalidBlock::Execution(BlockError::Evidence { index, .. })) => {
                    // Punished already, or too long ago.
                    if index < self.evidence.len() {
                        self.evidence.remove(index);
                    }
                }
                Err(InvalidBlock::Execution(BlockError::Beacon)) => beacon = None,
                Err(reason) if reason.is_local() => {
                    let height = self.height();
                    let reason = Box::new(reason);
                    return Err(ConsensusError::Committed { height, reason });
                }
                // Nothing is proposed, and the next round has another proposer.
                Err(_) => return Ok(None),
            }
        }
        Ok(None)
    }

    /// What the next block reveals of the own beacon chain; none where the chain that counts in the
    /// running lot is another, or at its beginning.
    fn next_beacon(
        &self,
        account: crate::address::Address,
    ) -> Result<Option<Hash>, ConsensusError> {
        let Some(identity) = &self.identity else { return Ok(None) };
        let state = Overlay::new(&self.state);
        let Some(validator) = state.get(&ValidatorKey { validator: account })? else {
            return Ok(None);
        };
        let Schedule { lot, .. } = state.get(&ScheduleKey {})?.unwrap_or_default();
        Ok(identity.beacon.after(&validator.beacon_in(lot)))
    }

    /// A block of this height arrived.
    pub(super) fn receive_block(
        &mut self,
        from: PeerId,
        block: Block,
    ) -> Result<(), ConsensusError> {
        let id = block.header.id();
        let is_over = block.header.height != self.height();
        if is_over || self.candidates.blocks.contains_key(&id) {
            return Ok(());
        }
        if !self.candidates.is_proposed(&id) {
            if !self.candidates.keep_loose(from, block) {
                self.refuse(from, Refusal::NotProposed { block: id });
            }
            return Ok(());
        }
        match self.check_block(&block) {
            Ok(executed) => self.add_candidate(id, block, Some(executed)),
            Err(reason) if reason.is_local() => {
                let height = self.height();
                Err(ConsensusError::Committed { height, reason: Box::new(reason) })
            }
            Err(reason) if reason.is_of_copy() => {
                self.refuse(from, Refusal::Block { block: id, reason: Box::new(reason) });
                Ok(())
            }
            Err(reason) => {
                self.refuse(from, Refusal::Block { block: id, reason: Box::new(reason) });
                self.add_candidate(id, block, None)
            }
        }
    }

    fn add_candidate(
        &mut self,
        id: BlockId,
        block: Block,
        executed: Option<Executed>,
    ) -> Result<(), ConsensusError> {
        self.candidates.wanted.remove(&id);
        self.log.append(&Entry::Block(Box::new(block.clone())));
        self.candidates.blocks.insert(id, Candidate { block, executed });
        let proposals = self.candidates.proposals.iter();
        let of: Vec<_> = proposals
            .filter(|known| known.proposal.signed.message.block == id)
            .map(|known| (known.proposal, known.arrived_ns))
            .collect();
        for (proposal, arrived_ns) in of {
            self.judge(proposal, arrived_ns)?;
        }
        Ok(())
    }

    /// A block that the log holds: it was checked when it was put there, and what it makes of the
    /// state is needed again.
    pub(super) fn take_logged_block(&mut self, block: Block) -> Result<(), ConsensusError> {
        let id = block.header.id();
        match self.check_block(&block) {
            Ok(executed) => {
                let candidate = Candidate { block, executed: Some(executed) };
                self.candidates.blocks.insert(id, candidate);
                Ok(())
            }
            Err(reason) if reason.is_local() => {
                let height = self.height();
                Err(ConsensusError::Committed { height, reason: Box::new(reason) })
            }
            Err(_) => {
                self.candidates.blocks.insert(id, Candidate { block, executed: None });
                Ok(())
            }
        }
    }

    /// A proposal that was checked: its block is judged as soon as it is there.
    pub(super) fn take_proposal(
        &mut self,
        from: PeerId,
        proposal: FromValidator<Proposal>,
    ) -> Result<(), ConsensusError> {
        let id = proposal.signed.message.block;
        let arrived_ns = self.now.time_ns;
        let is_noted = self.candidates.note_proposal(proposal, arrived_ns);
        self.tell(Event::Proposal(proposal))?;
        if self.phase != Phase::Running || !is_noted {
            return Ok(());
        }
        if self.candidates.blocks.contains_key(&id) {
            return self.judge(proposal, arrived_ns);
        }
        self.candidates.wanted.insert(id, from);
        for (from, block) in self.candidates.take_loose(&id) {
            self.receive_block(from, block)?;
        }
        Ok(())
    }

    /// Tells the core whether a block may be voted for as proposed.
    ///
    /// Who proposes a block first must be in its header, at a time near to that of this node. Who
    /// proposes it again refers to a round in which two thirds found that so already.
    fn judge(
        &mut self,
        proposal: FromValidator<Proposal>,
        arrived_ns: u64,
    ) -> Result<(), ConsensusError> {
        let Proposal { height, round, valid_round, block, .. } = proposal.signed.message;
        let Some(candidate) = self.candidates.blocks.get(&block) else { return Ok(()) };
        if height != self.height() {
            return Ok(());
        }
        let header = &candidate.block.header;
        let index = self.set.index_of_key(&proposal.key);
        let account = index.and_then(|index| self.set.get(index)).map(|seat| seat.validator);
        let is_first =
            account == Some(header.proposer) && self.is_timely(header.time_ns, arrived_ns, round);
        // Two thirds who found it near are enough, in this round or in the one it refers to.
        let is_near = is_first || valid_round.is_some() || self.core.polka(round, block).is_some();
        let is_valid = candidate.executed.is_some() && is_near;
        for known in self.candidates.proposals.iter_mut() {
            known.is_valid |= is_valid && known.proposal == proposal;
        }
        let proposer = proposal.key;
        self.tell(Event::Value(ProposedBlock {
            height,
            round,
            valid_round,
            proposer,
            block,
            is_valid,
        }))
    }

    /// Tells the core of a block that it was told not to vote for, now that two thirds did.
    pub(super) fn judge_again(&mut self, round: u32, block: BlockId) -> Result<(), ConsensusError> {
        let candidate = self.candidates.blocks.get(&block);
        if candidate.is_none_or(|candidate| candidate.executed.is_none()) {
            return Ok(());
        }
        let proposals = self.candidates.proposals.iter();
        let of: Vec<_> = proposals
            .filter(|known| known.round() == round && !known.is_valid)
            .filter(|known| known.proposal.signed.message.block == block)
            .map(|known| (known.proposal, known.arrived_ns))
            .collect();
        of.into_iter().try_for_each(|(proposal, arrived_ns)| self.judge(proposal, arrived_ns))
    }

    /// Whether a block's time is near to the one at which its proposal arrived (proposer-based
    /// timestamps, "timely" in the specification of CometBFT's PBTS).
    fn is_timely(&self, time_ns: u64, arrived_ns: u64, round: u32) -> bool {
        let precision = ns(self.config.precision_ms);
        let delay = self.config.delay_ms.saturating_mul(u64::from(round).saturating_add(2)) / 2;
        let earliest = time_ns.saturating_sub(precision);
        let latest = time_ns.saturating_add(ns(delay)).saturating_add(precision);
        (earliest..=latest).contains(&arrived_ns)
    }

    /// Checks a block that should follow; transactions that wait here, and the certificate by
    /// which the block before was committed here, are not verified again.
    pub(super) fn check_block(&self, block: &Block) -> Result<Executed, InvalidBlock> {
        let framed = block.check_frame(&self.tip, &self.state, self.last_certificate.as_ref())?;
        let mut verified: Vec<Option<Verified>> = Vec::with_capacity(block.transactions.len());
        let (mut unknown, mut places) = (Vec::new(), Vec::new());
        for (place, transaction) in block.transactions.iter().enumerate() {
            let known = self.mempool.get(&transaction.body.id());
            let known = known.filter(|known| known.transaction() == transaction);
            if known.is_none() {
                unknown.push(transaction.clone());
                places.push(place);
            }
            verified.push(known.cloned());
        }
        let fresh = Transaction::verify_all(unknown).map_err(|SignatureError { index }| {
            SignatureError { index: places.get(index).copied().unwrap_or_default() }
        })?;
        for (place, transaction) in places.into_iter().zip(fresh) {
            if let Some(slot) = verified.get_mut(place) {
                *slot = Some(transaction);
            }
        }
        let verified: Vec<Verified> = verified.into_iter().flatten().collect();
        framed.execute(&verified)
    }
}

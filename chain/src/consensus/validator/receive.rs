//! What neighbours say: checked before anything of it reaches the core.

use std::collections::BTreeSet;

use super::config::ns;
use super::future::HEIGHTS_AHEAD;
use super::{ConsensusError, Output, Phase, Refusal, Validator};
use crate::consensus::core::proposer;
use crate::consensus::event::Event;
use crate::consensus::message::{
    FromValidator, MAX_TRANSACTIONS, Message, PeerId, Polka, RoundCertificate,
    RoundCertificateKind, Status,
};
use crate::encoding::List;
use crate::hash::Hash;
use crate::keys::{PublicKey, Signature};
use crate::mempool::Refused;
use crate::transaction::{SignatureError, Transaction, Verified};
use crate::vote::{self, Message as _, Proposal, Step, Vote};

/// How many rounds ahead of the present one votes and proposals are taken from. The core has the
/// same bound.
const ROUNDS_AHEAD: u32 = 10;

impl Validator {
    /// Takes in a message. What is wrong with it becomes an output, not an error.
    pub(super) fn receive(&mut self, from: PeerId, message: Message) -> Result<(), ConsensusError> {
        let height = match &message {
            Message::Proposal(proposal) => proposal.signed.message.height,
            Message::Vote(vote) => vote.signed.message.height,
            Message::Block(block) => block.header.height,
            Message::Polka(polka) => polka.height,
            Message::Round(certificate) => certificate.height,
            Message::GetProposal { height, block } => {
                return self.answer_proposal(from, *height, *block);
            }
            Message::Status(_) | Message::GetBlocks { .. } | Message::Blocks(_) => {
                return self.receive_catching_up(from, message);
            }
            Message::Transactions(_) => {
                let Message::Transactions(transactions) = message else { return Ok(()) };
                return self.receive_transactions(from, &transactions);
            }
        };
        let present = self.height();
        if height < present {
            self.tell_status(from);
            let committed = self.tip.height;
            // The last votes of a height always come after its decision.
            if height < committed {
                self.refuse(from, Refusal::Stale { found: height, committed });
            }
            return Ok(());
        }
        if height > present {
            self.neighbours.note(from, height - 1, self.now.elapsed_ns);
            let is_near = height <= present.saturating_add(HEIGHTS_AHEAD);
            if !is_near || !self.future.keep(height, from, message) {
                self.refuse(from, Refusal::Early { found: height, present });
            }
            return Ok(());
        }
        match self.take(from, message) {
            Err(Stop::Refused(reason)) => {
                self.refuse(from, reason);
                Ok(())
            }
            Err(Stop::Ended(error)) => Err(error),
            Ok(()) => Ok(()),
        }
    }

    /// Checks a message of the present height, and tells the core.
    fn take(&mut self, from: PeerId, message: Message) -> Result<(), Stop> {
        match message {
            Message::Proposal(proposal) => {
                self.check_proposal(&proposal)?;
                self.wake()?;
                Ok(self.take_proposal(from, proposal)?)
            }
            Message::Block(block) => Ok(self.receive_block(from, *block)?),
            Message::Vote(vote) => {
                self.check_round(vote.signed.message.round)?;
                self.check_signed(&vote, vote.signed.message.chain)?;
                self.wake()?;
                if let Some(block) = vote.signed.message.block {
                    self.candidates.want(block, from);
                }
                Ok(self.tell(Event::Vote(vote))?)
            }
            Message::Polka(polka) => {
                self.check_round(polka.round)?;
                self.check_polka(&polka)?;
                self.wake()?;
                let (round, block) = (polka.round, polka.block);
                self.tell(Event::Polka(polka))?;
                Ok(self.take_lock(from, round, block)?)
            }
            Message::Round(certificate) => {
                let is_over = self.core.round().is_some_and(|round| certificate.round < round);
                if self.phase == Phase::Running && is_over {
                    return Ok(());
                }
                self.check_round_certificate(&certificate)?;
                self.wake()?;
                Ok(self.tell(Event::Round(certificate))?)
            }
            _ => Ok(()),
        }
    }

    /// A validator began the height, so there is something to decide.
    fn wake(&mut self) -> Result<(), ConsensusError> {
        if self.phase == Phase::Waiting { self.begin() } else { Ok(()) }
    }

    fn check_round(&self, found: u32) -> Result<(), Refusal> {
        let present = self.core.round().filter(|_| self.phase == Phase::Running).unwrap_or(0);
        if found > present.saturating_add(ROUNDS_AHEAD) {
            return Err(Refusal::Round { found, present, most: ROUNDS_AHEAD });
        }
        Ok(())
    }

    fn check_member(&self, key: PublicKey) -> Result<u64, Refusal> {
        let index = self.set.index_of_key(&key);
        let seat = index.and_then(|index| self.set.get(index));
        seat.map(|seat| seat.power).ok_or(Refusal::NotValidator { key })
    }

    fn check_signed<T: vote::Message>(
        &mut self,
        message: &FromValidator<T>,
        chain: crate::hash::ChainId,
    ) -> Result<(), Refusal> {
        if chain != self.chain {
            return Err(Refusal::Chain { found: chain });
        }
        let key = message.key;
        self.check_member(key)?;
        let hash = message.signed.message.signing_hash();
        if !self.signatures.verify(&key, &hash, &message.signed.signature) {
            return Err(Refusal::Signature { key });
        }
        Ok(())
    }

    fn check_proposal(&mut self, proposal: &FromValidator<Proposal>) -> Result<(), Refusal> {
        let Proposal { chain, height, round, valid_round, .. } = proposal.signed.message;
        self.check_round(round)?;
        self.check_signed(proposal, chain)?;
        if proposer(&self.set, height, round) != proposal.key {
            return Err(Refusal::NotProposer { key: proposal.key, round });
        }
        match valid_round {
            Some(valid_round) if valid_round >= round => {
                Err(Refusal::ValidRound { round, valid_round })
            }
            _ => Ok(()),
        }
    }

    fn check_polka(&mut self, polka: &Polka) -> Result<(), Refusal> {
        let Polka { height, round, block, .. } = *polka;
        let (chain, step, block) = (self.chain, Step::Prevote, Some(block));
        let hash = Vote { chain, height, round, step, block }.signing_hash();
        let votes: Vec<(PublicKey, Hash, Signature)> =
            polka.prevotes.iter().map(|vote| (vote.key, hash, vote.signature)).collect();
        let found = self.check_power(votes.iter().map(|(key, ..)| *key))?;
        if !self.set.is_quorum(found) {
            return Err(Refusal::Power { found, total: self.set.total_power() });
        }
        self.signatures.verify_all(&votes).map_err(|key| Refusal::Signature { key })
    }

    /// The power of validators, each of whom may be there once.
    fn check_power(&self, keys: impl Iterator<Item = PublicKey>) -> Result<u64, Refusal> {
        let (mut seen, mut found) = (BTreeSet::new(), 0_u64);
        for key in keys {
            let power = self.check_member(key)?;
            if !seen.insert(key) {
                return Err(Refusal::Power { found, total: self.set.total_power() });
            }
            found = found.saturating_add(power);
        }
        Ok(found)
    }

    fn check_round_certificate(&mut self, certificate: &RoundCertificate) -> Result<(), Refusal> {
        let RoundCertificate { height, round, kind, .. } = *certificate;
        let votes = &certificate.votes;
        let found = self.check_power(votes.iter().map(|vote| vote.vote.key))?;
        let is_enough = match kind {
            RoundCertificateKind::Skip => self.set.is_third(found),
            RoundCertificateKind::Precommit => {
                if votes.iter().any(|vote| vote.step != Step::Precommit) {
                    return Err(Refusal::Kind);
                }
                self.set.is_quorum(found)
            }
        };
        if !is_enough {
            return Err(Refusal::Power { found, total: self.set.total_power() });
        }
        let chain = self.chain;
        let votes: Vec<(PublicKey, Hash, Signature)> = votes
            .iter()
            .map(|vote| {
                let message = Vote { chain, height, round, step: vote.step, block: vote.block };
                (vote.vote.key, message.signing_hash(), vote.vote.signature)
            })
            .collect();
        self.signatures.verify_all(&votes).map_err(|key| Refusal::Signature { key })
    }

    /// Sends what is known of a block that is voted on.
    fn answer_proposal(
        &mut self,
        to: PeerId,
        height: u64,
        block: crate::hash::BlockId,
    ) -> Result<(), ConsensusError> {
        if height < self.height() {
            self.tell_status(to);
            return Ok(());
        }
        let proposal = self.candidates.proposal_of(&block).filter(|_| height == self.height());
        let Some(proposal) = proposal else { return Ok(()) };
        // A short question for a large block: one at a time.
        let a_while = ns(self.config.timeouts.repeat_ms / 2);
        if !self.neighbours.may_answer(to, self.now.elapsed_ns, a_while) {
            return Ok(());
        }
        let valid_round = proposal.signed.message.valid_round;
        if let Some(polka) = valid_round.and_then(|round| self.core.polka(round, block)) {
            self.send(to, Message::Polka(polka));
        }
        self.send(to, Message::Proposal(proposal));
        if let Some(block) = self.candidate_block(&block).cloned() {
            self.send(to, Message::Block(Box::new(block)));
        }
        Ok(())
    }

    /// Tells a neighbour who seems to be behind what there is, if he was not told lately.
    fn tell_status(&mut self, to: PeerId) {
        if self.neighbours.may_tell(to, self.now.elapsed_ns, ns(self.config.timeouts.repeat_ms)) {
            let status = self.status();
            self.send(to, Message::Status(status));
        }
    }

    pub(super) fn status(&self) -> Status {
        Status { chain: self.chain, height: self.tip.height, oldest: self.store.oldest() }
    }

    /// Transactions handed in at this node: taken, and sent on.
    pub(super) fn submit(&mut self, transactions: Vec<Transaction>) -> Result<(), ConsensusError> {
        let mut fresh = Vec::new();
        for verified in verify_each(transactions) {
            let admitted = verified.map_err(Refused::from).and_then(|verified| {
                let transaction = verified.transaction().clone();
                let next = self.height();
                let id = self.mempool.admit(verified, &self.state, next, true)?;
                fresh.push(transaction);
                Ok(id)
            });
            self.outputs.push(Output::Submitted(admitted));
        }
        self.pass_on(fresh);
        Ok(())
    }

    pub(super) fn pass_on(&mut self, transactions: Vec<Transaction>) {
        for some in chunks_by_bytes(transactions) {
            if let Ok(some) = List::new(some) {
                self.broadcast(Message::Transactions(some));
            }
        }
    }

    fn receive_transactions(
        &mut self,
        from: PeerId,
        transactions: &[Transaction],
    ) -> Result<(), ConsensusError> {
        // What waits already is not verified again.
        let fresh = transactions.iter().filter(|transaction| {
            let known = self.mempool.get(&transaction.body.id());
            known.is_none()
        });
        for verified in verify_each(fresh.cloned().collect()) {
            let admitted = verified.map_err(Refused::from).and_then(|verified| {
                self.mempool.admit(verified, &self.state, self.tip.height.saturating_add(1), false)
            });
            if let Err(refused) = admitted {
                self.refuse(from, Refusal::Transaction(refused));
            }
        }
        Ok(())
    }

    /// A neighbour can be reached: it is told what there is.
    pub(super) fn connect(&mut self, peer: PeerId) {
        self.neighbours.add(peer);
        let status = self.status();
        self.send(peer, Message::Status(status));
    }
}

/// Verifies transactions together, and one by one where one of them is bad.
fn verify_each(transactions: Vec<Transaction>) -> Vec<Result<Verified, SignatureError>> {
    match Transaction::verify_all(transactions.clone()) {
        Ok(verified) => verified.into_iter().map(Ok).collect(),
        Err(_) => transactions.into_iter().map(Transaction::verify).collect(),
    }
}

/// Messages of a size that is sent quickly.
fn chunks_by_bytes(transactions: Vec<Transaction>) -> Vec<Vec<Transaction>> {
    const BYTES: usize = 1 << 20;
    let (mut chunks, mut bytes) = (Vec::<Vec<Transaction>>::new(), 0);
    for transaction in transactions {
        let size = crate::encoding::encode(&transaction).len();
        match chunks.last_mut() {
            Some(last) if bytes + size <= BYTES && last.len() < MAX_TRANSACTIONS => {
                bytes += size;
                last.push(transaction);
            }
            _ => {
                bytes = size;
                chunks.push(vec![transaction]);
            }
        }
    }
    chunks
}

/// Why a message goes no further.
enum Stop {
    Refused(Refusal),
    Ended(ConsensusError),
}

impl From<Refusal> for Stop {
    fn from(reason: Refusal) -> Self {
        Self::Refused(reason)
    }
}

impl From<ConsensusError> for Stop {
    fn from(error: ConsensusError) -> Self {
        Self::Ended(error)
    }
}

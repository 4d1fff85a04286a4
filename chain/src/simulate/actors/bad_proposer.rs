//! Proposes blocks that break a rule, and votes for them; passes on others' blocks with another
//! body.

use super::puppet::{Puppet, phantom};
use super::{Actor, Turn};
use crate::block::Block;
use crate::certificate::Certificate;
use crate::consensus::Input;
use crate::consensus::message::{Endorsement, Message, Polka};
use crate::encoding::List;
use crate::hash::{BlockId, Hash};
use crate::keys::Signature;
use crate::list::ListRoot;
use crate::simulate::random::Random;
use crate::transaction::Transaction;
use crate::validator_set::ValidatorSet;
use crate::vote::{Proposal, Step};

/// More payments than there is room for in a block of the simulated chain.
const TOO_MANY: u64 = 400;

/// A rule that a block breaks.
#[derive(Debug, Clone, Copy)]
enum Fault {
    StateRoot,
    ReceiptsRoot,
    TransactionsRoot,
    HistoryRoot,
    Validators,
    NextValidators,
    Previous,
    LongAgo,
    InFuture,
    Beacon,
    Proposer,
    NoCertificate,
    ShortCertificate,
    ForgedCertificate,
    Signature,
    Nonce,
    Oversized,
    /// A good block with a polka that nobody voted for.
    Polka,
    /// A good block that is proposed by another than whose turn it is.
    Turn,
}

const FAULTS: [Fault; 19] = [
    Fault::StateRoot,
    Fault::ReceiptsRoot,
    Fault::TransactionsRoot,
    Fault::HistoryRoot,
    Fault::Validators,
    Fault::NextValidators,
    Fault::Previous,
    Fault::LongAgo,
    Fault::InFuture,
    Fault::Beacon,
    Fault::Proposer,
    Fault::NoCertificate,
    Fault::ShortCertificate,
    Fault::ForgedCertificate,
    Fault::Signature,
    Fault::Nonce,
    Fault::Oversized,
    Fault::Polka,
    Fault::Turn,
];

pub(super) struct BadProposer {
    puppet: Puppet,
    /// The last bad proposal, to say it again.
    last: Option<(Proposal, Proposal)>,
}

impl BadProposer {
    pub(super) fn new(puppet: Puppet) -> Self {
        Self { puppet, last: None }
    }

    fn propose(&mut self, turn: &mut Turn<'_>, proposal: Proposal, block: Block) {
        let Some(fault) = turn.random.pick(&FAULTS).copied() else { return };
        let block = self.break_rule(block, fault, turn.random);
        let mut bad = Proposal { block: block.header.id(), ..proposal };
        match fault {
            Fault::Polka => {
                bad.valid_round = bad.round.checked_sub(1);
                let polka = self.polka(&bad);
                turn.send_all(self.puppet.node, &polka);
            }
            Fault::Turn => bad.round += 1,
            _ => {}
        }
        self.last = Some((proposal, bad));
        let node = self.puppet.node;
        let signed = self.puppet.proposal(bad);
        turn.send_all(node, &signed);
        turn.send_all(node, &Message::Block(Box::new(block)));
        for step in [Step::Prevote, Step::Precommit] {
            let vote = self.puppet.vote(bad.height, bad.round, step, Some(bad.block));
            turn.send_all(node, &vote);
        }
        turn.byzantine += 4;
    }

    /// Passes on a copy of another's block with another body, which may be there before the block.
    fn spoil(&self, turn: &mut Turn<'_>, block: &Block) {
        let mut copy = block.clone();
        match turn.random.below(3) {
            0 => copy.certificate = None,
            1 => {
                let own = vec![self.payment(block, 0)];
                copy.transactions = List::new(own).unwrap_or_default();
            }
            _ => return,
        }
        turn.send_all(self.puppet.node, &Message::Block(Box::new(copy)));
        turn.byzantine += 1;
    }

    /// Two thirds of prevotes, all by this validator.
    fn polka(&self, proposal: &Proposal) -> Message {
        let Proposal { height, valid_round, block, .. } = *proposal;
        let round = valid_round.unwrap_or(0);
        let vote = self.puppet.vote(height, round, Step::Prevote, Some(block));
        let own = match vote {
            Message::Vote(vote) => vote.signed.signature,
            _ => Signature([0; 64]),
        };
        let members = self.puppet.setup.genesis.validators.iter();
        let prevotes: Vec<_> = members
            .map(|member| Endorsement { key: member.consensus_key, signature: own })
            .collect();
        let prevotes = List::new(prevotes).unwrap_or_default();
        Message::Polka(Polka { height, round, block, prevotes })
    }

    fn break_rule(&self, mut block: Block, fault: Fault, random: &mut Random) -> Block {
        let any = Hash(phantom(random.next()).0);
        let header = &mut block.header;
        match fault {
            Fault::StateRoot => header.state_root = any,
            Fault::ReceiptsRoot => header.receipts = ListRoot::of([any]),
            Fault::TransactionsRoot => header.transactions = ListRoot::of([any]),
            Fault::HistoryRoot => header.history_root = any,
            Fault::Validators => header.validators = any,
            Fault::NextValidators => header.next_validators = any,
            Fault::Previous => header.previous = BlockId(any.0),
            Fault::LongAgo => header.time_ns = header.time_ns.saturating_sub(3_600_000_000_000),
            Fault::InFuture => header.time_ns += 3_600_000_000_000,
            Fault::Beacon => header.beacon = Some(any),
            Fault::Proposer => header.proposer = self.puppet.setup.payer(0),
            Fault::NoCertificate => {
                block.certificate = None;
                block.header.certificate = Certificate::hash_of(None);
            }
            Fault::ShortCertificate => self.forge(&mut block, 1),
            Fault::ForgedCertificate => self.forge(&mut block, usize::MAX),
            Fault::Signature => {
                let mut forged = self.payment(&block, 0);
                forged.signature = Signature([7; 64]);
                self.replace(&mut block, vec![forged]);
            }
            Fault::Nonce => {
                let skipped = self.payment(&block, 1_000);
                self.replace(&mut block, vec![skipped]);
            }
            Fault::Oversized => {
                let many = (0..TOO_MANY).map(|ahead| self.payment(&block, ahead)).collect();
                self.replace(&mut block, many);
            }
            Fault::Polka | Fault::Turn => {}
        }
        block
    }

    /// A payment, so many after the next one of its sender.
    fn payment(&self, block: &Block, ahead: u64) -> Transaction {
        let nonce = self.puppet.nonce(self.puppet.setup.payer(0)) + ahead;
        self.puppet.setup.payment(0, nonce, block.header.height)
    }

    fn replace(&self, block: &mut Block, transactions: Vec<Transaction>) {
        let ids = transactions.iter().map(|transaction| transaction.body.id());
        block.header.transactions = ListRoot::of(ids);
        block.transactions = List::new(transactions).unwrap_or_default();
    }

    /// Puts a certificate into the block that holds signatures of its own in the names of the
    /// first members.
    fn forge(&self, block: &mut Block, most: usize) {
        let Some(certificate) = &block.certificate else { return };
        let (height, round, id) = (certificate.height(), certificate.round(), certificate.block());
        let vote = self.puppet.vote(height, round, Step::Precommit, Some(id));
        let Message::Vote(vote) = vote else { return };
        let members: Vec<_> = self
            .puppet
            .setup
            .genesis
            .validators
            .iter()
            .map(|first| crate::ledger::Seat {
                validator: first.validator,
                consensus_key: first.consensus_key,
                power: first.power,
            })
            .collect();
        let own = self.puppet.public;
        let keys: Vec<_> = members.iter().map(|seat| seat.consensus_key).collect();
        let keys = std::iter::once(own).chain(keys.into_iter().filter(|key| *key != own));
        let votes: Vec<_> = keys.take(most).map(|key| (key, vote.signed.signature)).collect();
        let Ok(set) = ValidatorSet::new(members) else { return };
        let forged = Certificate::new(height, round, id, &set, votes).ok();
        block.header.certificate = Certificate::hash_of(forged.as_ref());
        block.certificate = forged;
    }
}

impl Actor for BadProposer {
    fn handle(&mut self, turn: &mut Turn<'_>, input: Input) {
        if let Input::Message { message: Message::Block(block), .. } = &input {
            self.spoil(turn, block);
        }
        let said = self.puppet.handle(turn.now, input);
        let blocks: Vec<_> = said.letters.iter().map(|letter| letter.message().clone()).collect();
        for letter in said.letters {
            let message = letter.message();
            if let Some(proposal) = self.puppet.own_proposal(message) {
                let block = blocks.iter().find_map(|message| match message {
                    Message::Block(block) if block.header.id() == proposal.block => {
                        Some((**block).clone())
                    }
                    _ => None,
                });
                match (block, self.last) {
                    (Some(block), _) => self.propose(turn, proposal, block),
                    (None, Some((good, bad))) if good == proposal => {
                        let again = self.puppet.proposal(bad);
                        turn.send_all(self.puppet.node, &again);
                        turn.byzantine += 1;
                    }
                    _ => {}
                }
            } else if let Message::Block(block) = message {
                // A block of somebody else is passed on, its own is not.
                let is_own = self.last.is_some_and(|(good, _)| good.block == block.header.id());
                if !is_own {
                    turn.pass(self.puppet.node, letter);
                }
            } else {
                turn.pass(self.puppet.node, letter);
            }
        }
    }

    fn wake_at(&self) -> Option<u64> {
        self.puppet.wake_at()
    }
}

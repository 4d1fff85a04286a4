//! Signs two proposals and two votes where it may sign one, each for another half.
//!
//! Together with others of its kind it completes what each half needs: where one of them proposes
//! two blocks, all of them prevote and precommit each block to the half that got it. With more than
//! a third of the power this commits both.

use std::collections::{BTreeMap, BTreeSet};

use super::puppet::{Letter, Puppet, phantom};
use super::{Actor, Turn};
use crate::block::Block;
use crate::consensus::Input;
use crate::consensus::message::{FromValidator, Message};
use crate::vote::{Proposal, Step, Vote};

/// How often both halves are told both votes, so that both can prove it.
const CLUMSY: u16 = 2_000;

pub(super) struct Equivocator {
    puppet: Puppet,
    /// Its own two proposals with their blocks, for each height and round.
    own: BTreeMap<(u64, u32), [(Proposal, Block); 2]>,
    /// The pairs it voted for both of.
    voted: BTreeSet<(u64, u32)>,
}

impl Equivocator {
    pub(super) fn new(puppet: Puppet) -> Self {
        Self { puppet, own: BTreeMap::new(), voted: BTreeSet::new() }
    }

    /// Proposes two blocks where the real validator proposes one.
    fn propose(&mut self, turn: &mut Turn<'_>, proposal: Proposal, block: Block) {
        let place = (proposal.height, proposal.round);
        let Some(other) = self.puppet.other_block(&block) else { return };
        let second = Proposal { block: other.header.id(), ..proposal };
        turn.cabal.pairs.insert(place, [proposal.block, second.block]);
        self.own.insert(place, [(proposal, block), (second, other)]);
        self.say_pair(turn, place);
    }

    fn say_pair(&self, turn: &mut Turn<'_>, place: (u64, u32)) {
        for (group, (proposal, block)) in self.own.get(&place).into_iter().flatten().enumerate() {
            let proposal = self.puppet.proposal(*proposal);
            turn.send_group(self.puppet.node, group, &proposal);
            turn.send_group(self.puppet.node, group, &Message::Block(Box::new(block.clone())));
            turn.byzantine += 2;
        }
    }

    /// Votes for both blocks of every pair of the height, once.
    fn vote_for_pairs(&mut self, turn: &mut Turn<'_>) {
        let height = self.puppet.height();
        let pairs: Vec<_> = turn
            .cabal
            .pairs
            .range((height, 0)..=(height, u32::MAX))
            .map(|(place, pair)| (*place, *pair))
            .collect();
        for ((height, round), pair) in pairs {
            if !self.voted.insert((height, round)) {
                continue;
            }
            for (group, block) in pair.into_iter().enumerate() {
                for step in [Step::Prevote, Step::Precommit] {
                    let vote = self.puppet.vote(height, round, step, Some(block));
                    turn.send_group(self.puppet.node, group, &vote);
                    turn.byzantine += 1;
                    self.vote_as_others(turn, group, &vote);
                }
            }
        }
    }

    /// Casts its vote in everybody's name, by its own signature.
    fn vote_as_others(&self, turn: &mut Turn<'_>, group: usize, vote: &Message) {
        let Message::Vote(own) = vote else { return };
        for member in self.puppet.setup.genesis.validators.iter() {
            if member.consensus_key != self.puppet.public {
                let forged = FromValidator { key: member.consensus_key, ..*own };
                turn.send_group(self.puppet.node, group, &Message::Vote(forged));
                turn.byzantine += 1;
            }
        }
    }

    /// Tells one half a vote, and the other half another.
    fn vote_twice(&self, turn: &mut Turn<'_>, vote: Vote) {
        let contrary = match vote.block {
            Some(_) => None,
            None => Some(phantom(turn.random.next())),
        };
        let Vote { height, round, step, block, .. } = vote;
        let both = [
            self.puppet.vote(height, round, step, block),
            self.puppet.vote(height, round, step, contrary),
        ];
        turn.byzantine += 1;
        if turn.random.happens(CLUMSY) {
            both.iter().for_each(|vote| turn.send_all(self.puppet.node, vote));
            return;
        }
        let first = turn.random.below(2) as usize;
        for (at, vote) in both.iter().enumerate() {
            turn.send_group(self.puppet.node, (first + at) % 2, vote);
        }
    }
}

impl Actor for Equivocator {
    fn handle(&mut self, turn: &mut Turn<'_>, input: Input) {
        let said = self.puppet.handle(turn.now, input);
        for letter in &said.letters {
            let message = letter.message();
            if let Some(proposal) = self.puppet.own_proposal(message) {
                let place = (proposal.height, proposal.round);
                if self.own.contains_key(&place) {
                    self.say_pair(turn, place);
                } else if let Some(block) = Puppet::find_block(&said.letters, proposal.block) {
                    self.propose(turn, proposal, block);
                } else {
                    turn.send_all(self.puppet.node, message);
                }
            } else if let Some(vote) = self.puppet.own_vote(message) {
                if !turn.cabal.pairs.contains_key(&(vote.height, vote.round)) {
                    self.vote_twice(turn, vote);
                }
            } else if !matches!((letter, message), (Letter::ToAll(_), Message::Block(_))) {
                match letter {
                    Letter::ToAll(message) => turn.send_all(self.puppet.node, message),
                    Letter::ToOne(to, message) => turn.send(*to, message.clone()),
                }
            }
        }
        self.vote_for_pairs(turn);
        let present = self.puppet.height();
        self.own.retain(|(height, _), _| *height >= present);
    }

    fn wake_at(&self) -> Option<u64> {
        self.puppet.wake_at()
    }
}

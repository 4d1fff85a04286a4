//! Votes nil for everything, in all rounds ahead, and at the next height.

use super::puppet::Puppet;
use super::{Actor, Turn};
use crate::consensus::Input;
use crate::consensus::message::{
    Endorsement, Message, RoundCertificate, RoundCertificateKind, RoundVote,
};
use crate::encoding::List;
use crate::vote::{Step, Vote};

/// How many rounds ahead it votes.
const ROUNDS_AHEAD: u32 = 12;

pub(super) struct NilSpammer {
    puppet: Puppet,
    /// The height and the round that it spammed last.
    done: (u64, u32),
}

impl NilSpammer {
    pub(super) fn new(puppet: Puppet) -> Self {
        Self { puppet, done: (0, 0) }
    }

    fn spam(&mut self, turn: &mut Turn<'_>) {
        let (height, round) = (self.puppet.height(), self.puppet.round());
        if self.done == (height, round) {
            return;
        }
        self.done = (height, round);
        for ahead in 0..=ROUNDS_AHEAD {
            for step in [Step::Prevote, Step::Precommit] {
                let vote = self.puppet.vote(height, round + ahead, step, None);
                turn.send_all(self.puppet.node, &vote);
                turn.byzantine += 1;
            }
        }
        let next = self.puppet.vote(height + 1, 0, Step::Precommit, None);
        turn.send_all(self.puppet.node, &next);
        let alone = self.certificate(height, round + 1);
        turn.send_all(self.puppet.node, &alone);
        turn.byzantine += 2;
    }

    /// Claims that a round may begin, by its own votes alone.
    fn certificate(&self, height: u64, round: u32) -> Message {
        let vote = |step| {
            let message = self.puppet.vote(height, round, step, None);
            let Message::Vote(vote) = message else { return None };
            let vote = Endorsement { key: vote.key, signature: vote.signed.signature };
            Some(RoundVote { step, block: None, vote })
        };
        let votes: Vec<_> = [Step::Prevote, Step::Precommit].into_iter().filter_map(vote).collect();
        let votes = List::new(votes).unwrap_or_default();
        Message::Round(RoundCertificate { height, round, kind: RoundCertificateKind::Skip, votes })
    }
}

impl Actor for NilSpammer {
    fn handle(&mut self, turn: &mut Turn<'_>, input: Input) {
        let said = self.puppet.handle(turn.now, input);
        for letter in said.letters {
            match self.puppet.own_vote(letter.message()) {
                Some(Vote { height, round, step, .. }) => {
                    let nil = self.puppet.vote(height, round, step, None);
                    turn.send_all(self.puppet.node, &nil);
                    turn.byzantine += 1;
                }
                None => turn.pass(self.puppet.node, letter),
            }
        }
        self.spam(turn);
    }

    fn wake_at(&self) -> Option<u64> {
        self.puppet.wake_at()
    }
}

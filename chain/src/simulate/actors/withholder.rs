//! Keeps proposals, blocks, votes and answers from some or from all, and claims what it has not.

use super::puppet::{Letter, Puppet};
use super::{Actor, Turn};
use crate::consensus::Input;
use crate::consensus::message::Message;
use crate::simulate::random::Random;

/// What is kept back at a height, and from whom.
struct Habit {
    height: u64,
    proposals: u64,
    blocks: u64,
    votes: u64,
    answers: u64,
    /// How many heights more than it has it claims to have.
    boast: u64,
}

impl Habit {
    /// A bit for each node from which something is kept: mostly some, sometimes all or none.
    fn of(height: u64, random: &mut Random) -> Self {
        let mut mask = || match random.below(4) {
            0 => 0,
            1 => u64::MAX,
            _ => random.next(),
        };
        let (proposals, blocks, votes, answers) = (mask(), mask(), mask(), mask());
        let boast = if random.below(4) == 0 { random.below(5) } else { 0 };
        Self { height, proposals, blocks, votes, answers, boast }
    }

    fn keeps(&self, to: usize, message: &Message) -> bool {
        let mask = match message {
            Message::Proposal(_) => self.proposals,
            Message::Block(_) => self.blocks,
            Message::Vote(_) => self.votes,
            Message::Blocks(_) | Message::Polka(_) | Message::Round(_) => self.answers,
            _ => 0,
        };
        (mask >> (to % 64)) & 1 == 1
    }
}

pub(super) struct Withholder {
    puppet: Puppet,
    habit: Option<Habit>,
}

impl Withholder {
    pub(super) fn new(puppet: Puppet) -> Self {
        Self { puppet, habit: None }
    }
}

impl Actor for Withholder {
    fn handle(&mut self, turn: &mut Turn<'_>, input: Input) {
        let said = self.puppet.handle(turn.now, input);
        let height = self.puppet.height();
        let habit = self.habit.take().filter(|habit| habit.height == height);
        let habit = habit.unwrap_or_else(|| Habit::of(height, turn.random));
        for letter in said.letters {
            let (receivers, mut message) = match letter {
                Letter::ToAll(message) => (0..turn.cabal.nodes, message),
                Letter::ToOne(to, message) => (to..to + 1, message),
            };
            if let Message::Status(status) = &mut message
                && habit.boast > 0
            {
                status.height += habit.boast;
                turn.byzantine += 1;
            }
            for to in receivers.filter(|to| *to != self.puppet.node) {
                if habit.keeps(to, &message) {
                    turn.byzantine += 1;
                } else {
                    turn.send(to, message.clone());
                }
            }
        }
        self.habit = Some(habit);
    }

    fn wake_at(&self) -> Option<u64> {
        self.puppet.wake_at()
    }
}

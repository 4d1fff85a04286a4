//! Says again what was said long ago, by whomever, and what was said on another chain.

use super::puppet::Puppet;
use super::{Actor, Turn};
use crate::consensus::Input;
use crate::consensus::message::{FromValidator, Message};
use crate::hash::ChainId;

/// How many messages it remembers.
const MEMORY: usize = 400;
/// How often it says something again when something happens, in basis points.
const AGAIN: u16 = 2_500;
/// How often it says something for another chain, in basis points.
const OTHER_CHAIN: u16 = 500;

pub(super) struct Replayer {
    puppet: Puppet,
    heard: Vec<Message>,
}

impl Replayer {
    pub(super) fn new(puppet: Puppet) -> Self {
        Self { puppet, heard: Vec::new() }
    }

    fn hear(&mut self, turn: &mut Turn<'_>, message: &Message) {
        if self.heard.len() < MEMORY {
            self.heard.push(message.clone());
        } else {
            let at = turn.random.below(MEMORY as u64) as usize;
            if let Some(place) = self.heard.get_mut(at) {
                *place = message.clone();
            }
        }
    }

    fn say_again(&self, turn: &mut Turn<'_>) {
        if turn.random.happens(AGAIN)
            && let Some(message) = turn.random.pick(&self.heard)
        {
            let to = turn.random.below(turn.cabal.nodes as u64) as usize;
            if to != self.puppet.node {
                turn.send(to, message.clone());
                turn.byzantine += 1;
            }
        }
    }

    /// Its own vote, as it would be on another chain; or somebody's vote, with the chain changed.
    fn say_for_another_chain(&self, turn: &mut Turn<'_>) {
        let Some(Message::Vote(vote)) = turn.random.pick(&self.heard) else { return };
        let mut message = vote.signed.message;
        message.chain = ChainId([9; 32]);
        message.height = self.puppet.height();
        let vote = if turn.random.below(2) == 0 {
            FromValidator::new(message, &self.puppet.key)
        } else {
            let mut vote = *vote;
            vote.signed.message = message;
            vote
        };
        turn.send_all(self.puppet.node, &Message::Vote(vote));
        turn.byzantine += 1;
    }
}

impl Actor for Replayer {
    fn handle(&mut self, turn: &mut Turn<'_>, input: Input) {
        if let Input::Message { message, .. } = &input {
            self.hear(turn, message);
        }
        let said = self.puppet.handle(turn.now, input);
        for letter in said.letters {
            self.hear(turn, letter.message());
            turn.pass(self.puppet.node, letter);
        }
        self.say_again(turn);
        if turn.random.happens(OTHER_CHAIN) {
            self.say_for_another_chain(turn);
        }
    }

    fn wake_at(&self) -> Option<u64> {
        self.puppet.wake_at()
    }
}

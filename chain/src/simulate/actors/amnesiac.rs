//! Is put back to an earlier copy of all its files, sign guard included, and signs again.
//!
//! All amnesiacs of a run forget together, to the height that an honest validator still works on:
//! to help him decide it once more, without knowing, or wanting to know, that it is decided.

use std::collections::{BTreeMap, HashMap};

use chronolith_disk::SimDisk;

use super::puppet::Puppet;
use super::{Actor, Forgotten, Turn};
use crate::consensus::Input;
use crate::consensus::message::{Message, PeerId};
use crate::hash::Hash;
use crate::vote::{Message as _, Step};

/// How many copies are kept.
const COPIES: usize = 8;
/// How often an honest validator who is behind makes them forget, in basis points.
const FORGET: u16 = 6_000;
/// How long they listen to him only, in nanoseconds.
const DEAF_NS: u64 = 12_000_000_000;
/// How often they forget the height they are at without any reason, in basis points.
const LAPSE: u16 = 100;

pub(super) struct Amnesiac {
    puppet: Puppet,
    /// Its disk at the beginning of heights.
    copies: BTreeMap<u64, SimDisk>,
    /// How often it forgot.
    forgot: u64,
    /// What it signed for each height, round and step, and how often it had forgotten then.
    signed: HashMap<(u64, u32, u8), (Hash, u64)>,
    /// The only honest node that it listens to, until a time.
    listens_to: Option<(usize, u64)>,
}

impl Amnesiac {
    pub(super) fn new(puppet: Puppet) -> Self {
        let copies = BTreeMap::from([(1, puppet.disk.deep_clone())]);
        Self { puppet, copies, forgot: 0, signed: HashMap::new(), listens_to: None }
    }

    /// Which honest validator an input shows to work on an earlier height, and on which.
    fn behind(&self, turn: &Turn<'_>, input: &Input) -> Option<(u64, usize)> {
        let Input::Message { from: PeerId(from), message } = input else { return None };
        let from = *from as usize;
        turn.cabal.group(from)?;
        let height = match message {
            Message::Vote(vote) => vote.signed.message.height,
            Message::Status(status) => status.height + 1,
            Message::GetBlocks { from, .. } => *from,
            _ => return None,
        };
        (height < self.puppet.height()).then_some((height, from))
    }

    /// Makes everybody forget, where there is a reason or by chance.
    fn decide(&self, turn: &mut Turn<'_>, input: &Input) {
        // One thing at a time.
        if self.listens_to.is_some_and(|(_, until)| turn.now.elapsed_ns < until) {
            return;
        }
        let (height, for_node) = match self.behind(turn, input) {
            Some((height, node)) if turn.random.happens(FORGET) => (height, Some(node)),
            _ if turn.random.happens(LAPSE) => (self.puppet.height(), None),
            _ => return,
        };
        if self.copies.contains_key(&height) {
            let times = turn.cabal.forgotten.times + 1;
            turn.cabal.forgotten = Forgotten { times, height, for_node };
        }
    }

    /// Forgets what all of them forget.
    fn forget(&mut self, turn: &mut Turn<'_>) {
        let Forgotten { times, height, for_node } = turn.cabal.forgotten;
        if times == self.forgot {
            return;
        }
        self.forgot = times;
        let (present, round) = (self.puppet.height(), self.puppet.round());
        self.copies.retain(|copy, _| *copy <= height);
        let Some(disk) = self.copies.get(&height) else { return };
        self.puppet.put_on(disk.deep_clone());
        match for_node {
            Some(node) => {
                let until = turn.now.elapsed_ns.saturating_add(DEAF_NS);
                self.listens_to = Some((node, until));
            }
            // All it knows of the round is that it saw no proposal.
            None if present == height => {
                for step in [Step::Prevote, Step::Precommit] {
                    let vote = self.puppet.vote(height, round, step, None);
                    self.count(turn, &vote);
                    turn.send_all(self.puppet.node, &vote);
                }
            }
            None => {}
        }
    }

    /// Whether it does not want to know what arrives.
    fn is_deaf_to(&self, turn: &Turn<'_>, input: &Input) -> bool {
        let Some((node, until)) = self.listens_to else { return false };
        match input {
            Input::Message { from: PeerId(from), .. } => {
                let from = *from as usize;
                turn.now.elapsed_ns < until && from != node && turn.cabal.group(from).is_some()
            }
            _ => false,
        }
    }

    /// Counts what it signs for a step that it signed for and forgot.
    fn count(&mut self, turn: &mut Turn<'_>, message: &Message) {
        let (place, hash) = if let Some(vote) = self.puppet.own_vote(message) {
            let step = if vote.step == Step::Prevote { 1 } else { 2 };
            ((vote.height, vote.round, step), vote.signing_hash())
        } else if let Some(proposal) = self.puppet.own_proposal(message) {
            ((proposal.height, proposal.round, 0), proposal.signing_hash())
        } else {
            return;
        };
        let signed = (hash, self.forgot);
        if *self.signed.entry(place).or_insert(signed) != signed {
            turn.byzantine += 1;
        }
    }
}

impl Actor for Amnesiac {
    fn handle(&mut self, turn: &mut Turn<'_>, input: Input) {
        if self.is_deaf_to(turn, &input) {
            return;
        }
        self.decide(turn, &input);
        self.forget(turn);
        let said = self.puppet.handle(turn.now, input);
        if said.committed.is_some() {
            self.copies.insert(self.puppet.height(), self.puppet.disk.deep_clone());
            if self.copies.len() > COPIES {
                self.copies.pop_first();
            }
        }
        for letter in said.letters {
            self.count(turn, letter.message());
            turn.pass(self.puppet.node, letter);
        }
    }

    fn wake_at(&self) -> Option<u64> {
        self.puppet.wake_at()
    }
}

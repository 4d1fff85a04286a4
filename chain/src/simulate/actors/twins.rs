//! Runs twice with one key (Bano and others: *Twins: BFT Systems Made Robust*, 2021). The two do not
//! know of each other. Mostly each talks with one half of the honest validators, and with those
//! twins of others that do.

use std::collections::HashMap;

use super::puppet::{Letter, Puppet};
use super::{Actor, Turn};
use crate::consensus::message::{Message, PeerId};
use crate::consensus::{Input, Now};
use crate::hash::Hash;
use crate::keys::Signature;
use crate::simulate::random::Random;
use crate::vote::Message as _;

/// How far the clock of the second is ahead, in nanoseconds.
const CLOCKS_APART_NS: u64 = 1_000_000;

pub(super) struct Twins {
    twins: [Puppet; 2],
    /// Whether each talks with one half only, or both with everybody.
    are_apart: bool,
    /// What was signed first for each height, round and step.
    signed: HashMap<(u64, u32, u8), Hash>,
}

impl Twins {
    pub(super) fn new(twins: [Puppet; 2], random: &mut Random) -> Self {
        Self { twins, are_apart: random.below(3) > 0, signed: HashMap::new() }
    }

    fn contradicts(&mut self, puppet: usize, message: &Message) -> bool {
        let Some(puppet) = self.twins.get(puppet) else { return false };
        let (place, hash) = if let Some(vote) = puppet.own_vote(message) {
            ((vote.height, vote.round, vote.step as u8 + 1), vote.signing_hash())
        } else if let Some(proposal) = puppet.own_proposal(message) {
            ((proposal.height, proposal.round, 0), proposal.signing_hash())
        } else {
            return false;
        };
        *self.signed.entry(place).or_insert(hash) != hash
    }
}

/// What tells the votes and proposals of two twins apart.
fn signature(message: &Message) -> Option<Signature> {
    match message {
        Message::Vote(vote) => Some(vote.signed.signature),
        Message::Proposal(proposal) => Some(proposal.signed.signature),
        _ => None,
    }
}

impl Actor for Twins {
    fn handle(&mut self, turn: &mut Turn<'_>, input: Input) {
        let from = match &input {
            Input::Message { from: PeerId(from), message } => {
                let of_twin = || turn.cabal.twins.get(&signature(message)?).copied().flatten();
                turn.cabal.group(*from as usize).or_else(of_twin)
            }
            _ => None,
        };
        for group in 0..2 {
            if self.are_apart && from.is_some_and(|from| from != group) {
                continue;
            }
            let Some(twin) = self.twins.get_mut(group) else { continue };
            let node = twin.node;
            // Two machines have two clocks, so their blocks differ.
            let time_ns = turn.now.time_ns.saturating_add(CLOCKS_APART_NS * group as u64);
            let said = twin.handle(Now { time_ns, ..turn.now }, input.clone());
            for letter in said.letters {
                if self.contradicts(group, letter.message()) {
                    turn.byzantine += 1;
                }
                if let Some(signature) = signature(letter.message()) {
                    // What both sign alike is for both.
                    let of = turn.cabal.twins.entry(signature).or_insert(Some(group));
                    *of = of.filter(|of| *of == group);
                }
                match letter {
                    Letter::ToAll(message) if self.are_apart => {
                        turn.send_group(node, group, &message);
                    }
                    letter => turn.pass(node, letter),
                }
            }
        }
    }

    fn wake_at(&self) -> Option<u64> {
        self.twins.iter().filter_map(Puppet::wake_at).min()
    }
}

//! Byzantine validators.
//!
//! Each is an actor in a file of its own: it wraps a real validator, whose key it has, and says
//! other things than that. [`Cabal`] is what the Byzantine ones know together: who is of them, and
//! how they divide the honest ones in two groups to tell each something else. What an actor does is
//! counted where it is something that no honest validator would do.

mod amnesiac;
mod bad_proposer;
mod equivocator;
mod nil_spammer;
mod puppet;
mod replayer;
mod twins;
mod withholder;

use std::collections::BTreeMap;
use std::rc::Rc;

use self::puppet::{Letter, Puppet};
use super::config::ActorKind;
use super::random::Random;
use super::setup::{Setup, SetupError};
use crate::consensus::message::Message;
use crate::consensus::{Input, Now};
use crate::hash::BlockId;
use crate::keys::Signature;

/// A Byzantine validator.
pub(super) trait Actor {
    /// Takes in what happened, and says what it wants said.
    fn handle(&mut self, turn: &mut Turn<'_>, input: Input);

    /// When it wants to be woken, by [`Now::elapsed_ns`].
    fn wake_at(&self) -> Option<u64>;
}

/// One call of an actor.
pub(super) struct Turn<'a> {
    pub(super) now: Now,
    pub(super) random: &'a mut Random,
    pub(super) cabal: &'a mut Cabal,
    /// What is sent, in order: to whom, and what.
    pub(super) outbox: Vec<(usize, Message)>,
    /// How many of the messages no honest validator would send, or keep back.
    pub(super) byzantine: u64,
}

impl Turn<'_> {
    /// Sends a message to a node.
    fn send(&mut self, to: usize, message: Message) {
        self.outbox.push((to, message));
    }

    /// Sends a message to everybody.
    fn send_all(&mut self, from: usize, message: &Message) {
        for to in (0..self.cabal.nodes).filter(|to| *to != from) {
            self.send(to, message.clone());
        }
    }

    /// Sends what a real validator wants to send, as it is.
    fn pass(&mut self, from: usize, letter: Letter) {
        match letter {
            Letter::ToAll(message) => self.send_all(from, &message),
            Letter::ToOne(to, message) => self.send(to, message),
        }
    }

    /// Sends a message to the honest of a group and to all other Byzantine ones.
    fn send_group(&mut self, from: usize, group: usize, message: &Message) {
        for to in (0..self.cabal.nodes).filter(|to| *to != from) {
            if self.cabal.group(to).is_none_or(|of| of == group) {
                self.send(to, message.clone());
            }
        }
    }
}

/// What all amnesiacs of a run forgot last.
#[derive(Debug, Clone, Copy, Default)]
struct Forgotten {
    /// How often they forgot by now.
    times: u64,
    /// The height that they are at again.
    height: u64,
    /// The honest node that is still there; none where they forgot without a reason.
    for_node: Option<usize>,
}

/// What the Byzantine validators of a run know together.
#[derive(Debug)]
pub(super) struct Cabal {
    /// How many nodes there are.
    nodes: usize,
    /// The group of each honest node; none of a Byzantine one.
    groups: Vec<Option<usize>>,
    /// Two blocks that one of them proposed for a height and a round, one for each group.
    pairs: BTreeMap<(u64, u32), [BlockId; 2]>,
    /// What all of them forgot last.
    forgotten: Forgotten,
    /// Which of two twins signed a vote or a proposal; none where both did.
    twins: BTreeMap<Signature, Option<usize>>,
}

impl Cabal {
    /// Byzantine validators that divide the honest ones in two halves.
    pub(super) fn new(byzantine: &[bool], random: &mut Random) -> Self {
        let mut group = random.below(2) as usize;
        let groups = byzantine.iter().map(|is_byzantine| {
            (!is_byzantine).then(|| {
                group = 1 - group;
                group
            })
        });
        Self {
            nodes: byzantine.len(),
            groups: groups.collect(),
            pairs: BTreeMap::new(),
            forgotten: Forgotten::default(),
            twins: BTreeMap::new(),
        }
    }

    /// The group of an honest node; none of a Byzantine one.
    fn group(&self, node: usize) -> Option<usize> {
        self.groups.get(node).copied().flatten()
    }
}

/// Makes the actor of a kind at a node.
pub(super) fn actor(
    kind: ActorKind,
    node: usize,
    setup: &Rc<Setup>,
    random: &mut Random,
) -> Result<Box<dyn Actor>, SetupError> {
    let puppet = Puppet::new(node, setup)?;
    Ok(match kind {
        ActorKind::Equivocator => Box::new(equivocator::Equivocator::new(puppet)),
        ActorKind::Withholder => Box::new(withholder::Withholder::new(puppet)),
        ActorKind::BadProposer => Box::new(bad_proposer::BadProposer::new(puppet)),
        ActorKind::NilSpammer => Box::new(nil_spammer::NilSpammer::new(puppet)),
        ActorKind::Amnesiac => Box::new(amnesiac::Amnesiac::new(puppet)),
        ActorKind::Twins => {
            Box::new(twins::Twins::new([puppet, Puppet::new(node, setup)?], random))
        }
        ActorKind::Replayer => Box::new(replayer::Replayer::new(puppet)),
    })
}

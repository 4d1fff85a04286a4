//! The time of trouble: splits of the network, power cuts, and the end of both.

use super::super::invariants::{Broken, Invariant};
use super::super::queue::Event;
use super::watch::Healed;
use super::{LOAD_MS, Node, Run};
use crate::consensus::Input;
use crate::consensus::message::PeerId;

/// How long the network stays as it is split or whole, in milliseconds.
const SPLIT_MS: (u64, u64) = (1_000, 8_000);
/// How long a node is down, in milliseconds.
const DOWN_MS: (u64, u64) = (10, 6_000);
/// How long a node goes on at most after its power was ordered to be cut, in milliseconds.
const LINGER_MS: u64 = 2_000;

impl Run {
    pub(super) fn plan_trouble(&mut self) {
        let config = &self.setup.config;
        let trouble = self.random.between(config.trouble_ms / 4, config.trouble_ms);
        self.queue.plan_in_ms(trouble, Event::Heal);
        self.queue.plan_in_ms(LOAD_MS, Event::Load);
        // Not every run has every kind of trouble.
        if config.partitions && self.random.below(4) > 0 {
            self.queue.plan_in_ms(self.random.between(0, SPLIT_MS.1), Event::Split);
        }
        if config.crashes && self.random.below(4) > 0 {
            for _ in 0..self.random.between(1, 2 * self.nodes.len() as u64) {
                let node = self.random.below(self.nodes.len() as u64) as usize;
                let at = self.random.below(trouble.max(1));
                self.queue.plan_in_ms(at, Event::Cut { node });
            }
        }
    }

    /// Has a node's power cut at one of its next writes.
    pub(super) fn cut(&mut self, node: usize) {
        if let Some(Node::Honest(honest)) = self.nodes.get(node)
            && self.healed.is_none()
            && honest.validator().is_some()
        {
            honest.cut_soon(&mut self.random);
            self.queue.plan_in_ms(LINGER_MS, Event::Stop { node, life: honest.life });
        }
    }

    pub(super) fn stop(&mut self, node: usize) -> Result<(), Broken> {
        let Some(Node::Honest(honest)) = self.nodes.get_mut(node) else { return Ok(()) };
        honest.stop(&mut self.random);
        self.outcome.crashes += 1;
        let down = self.random.between(DOWN_MS.0, DOWN_MS.1);
        self.queue.plan_in_ms(down, Event::Start { node });
        for other in (0..self.nodes.len()).filter(|other| *other != node) {
            self.give(other, Input::Disconnected(PeerId(node as u64)))?;
        }
        Ok(())
    }

    pub(super) fn start(&mut self, node: usize) -> Result<(), Broken> {
        let may_be_cut = self.healed.is_none() && self.random.below(4) == 0;
        let Some(Node::Honest(honest)) = self.nodes.get_mut(node) else { return Ok(()) };
        if honest.validator().is_some() {
            return Ok(());
        }
        if let Err(error) = honest.start(&self.setup, may_be_cut, &mut self.random) {
            let what = format!("node {node} does not start again: {error}");
            return Err(Broken::new(Invariant::Health, what));
        }
        if honest.validator().is_none() {
            // The power was cut while it opened.
            return self.stop(node);
        }
        if may_be_cut {
            self.queue.plan_in_ms(LINGER_MS, Event::Stop { node, life: honest.life });
        }
        self.check_restarted(node)?;
        self.connect(node)
    }

    pub(super) fn split(&mut self) -> Result<(), Broken> {
        if self.healed.is_some() {
            return Ok(());
        }
        self.queue.plan_in_ms(self.random.between(SPLIT_MS.0, SPLIT_MS.1), Event::Split);
        if self.network.is_split() && self.random.below(2) == 0 {
            self.network.join();
            return self.connect_all();
        }
        let is_byzantine = self.nodes.iter().map(|node| matches!(node, Node::Byzantine(_)));
        self.network.split(is_byzantine);
        if self.random.below(2) == 0 {
            return Ok(());
        }
        // Sometimes nodes notice.
        for node in 0..self.nodes.len() {
            for other in (0..self.nodes.len()).filter(|other| *other != node) {
                let input = if self.network.is_connected(node, other) {
                    Input::Connected(PeerId(other as u64))
                } else {
                    Input::Disconnected(PeerId(other as u64))
                };
                self.give(node, input)?;
            }
        }
        Ok(())
    }

    pub(super) fn heal(&mut self) -> Result<(), Broken> {
        self.network.heal();
        let height = self.checker.height();
        let mut round = 0;
        for node in &self.nodes {
            let Node::Honest(honest) = node else { continue };
            honest.spare();
            if let Some(validator) = honest.validator() {
                let position = validator.position();
                if position.height == height + 1 {
                    round = round.max(position.round.unwrap_or(0));
                }
            }
        }
        self.healed = Some(Healed { height, round, since_ns: self.queue.now_ns() });
        for node in 0..self.nodes.len() {
            self.start(node)?;
        }
        self.connect_all()
    }
}

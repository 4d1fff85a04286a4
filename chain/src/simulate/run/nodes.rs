//! Giving nodes what happened, and doing what they want done.

use std::sync::Arc;

use super::super::actors::Turn;
use super::super::invariants::{Broken, Invariant};
use super::super::load;
use super::super::node::Called;
use super::super::queue::Event;
use super::super::setup::Setup;
use super::{LOAD_MS, Node, Run};
use crate::consensus::message::{Message, PeerId};
use crate::consensus::{Input, Now, Output};

impl Run {
    pub(super) fn life(&self, node: usize) -> u32 {
        match self.nodes.get(node) {
            Some(Node::Honest(honest)) => honest.life,
            _ => 0,
        }
    }

    pub(super) fn deliver(
        &mut self,
        from: usize,
        to: usize,
        life: u32,
        bytes: &[u8],
    ) -> Result<(), Broken> {
        if self.life(to) != life {
            return Ok(());
        }
        match Message::decode(bytes) {
            Ok(message) => self.give(to, Input::Message { from: PeerId(from as u64), message }),
            Err(why) => Err(Broken::new(Invariant::Health, format!("a message of {from}: {why}"))),
        }
    }

    pub(super) fn wake(&mut self, node: usize) -> Result<(), Broken> {
        let now = self.queue.now_ns();
        if self.wakes_ns.get(node).copied().flatten().is_some_and(|at| at <= now) {
            self.wakes_ns[node] = None;
        }
        if self.wake_at(node).is_some_and(|at| at <= now) {
            return self.give(node, Input::Tick);
        }
        self.plan_wake(node);
        Ok(())
    }

    fn wake_at(&self, node: usize) -> Option<u64> {
        match self.nodes.get(node)? {
            Node::Honest(honest) => honest.validator()?.wake_at(),
            Node::Byzantine(actor) => actor.wake_at(),
        }
    }

    /// Plans the next wake of a node, unless one is planned that is not later.
    fn plan_wake(&mut self, node: usize) {
        // A node that wants to be woken at once must not stop the clock.
        let soonest = self.queue.now_ns().saturating_add(1);
        let Some(at) = self.wake_at(node).map(|at| at.max(soonest)) else { return };
        if self.wakes_ns[node].is_none_or(|planned| at < planned) {
            self.wakes_ns[node] = Some(at);
            self.queue.plan(at, Event::Wake { node });
        }
    }

    /// Gives a node an input, and does what it wants done.
    pub(super) fn give(&mut self, node: usize, input: Input) -> Result<(), Broken> {
        let elapsed_ns = self.queue.now_ns();
        match self.nodes.get_mut(node) {
            Some(Node::Honest(honest)) => {
                let called = honest.call(elapsed_ns, input);
                self.after_call(node, called)?;
                self.check_round(node)?;
            }
            Some(Node::Byzantine(actor)) => {
                let now = Now { elapsed_ns, time_ns: Setup::time_ns(elapsed_ns) };
                let mut turn = Turn {
                    now,
                    random: &mut self.random,
                    cabal: &mut self.cabal,
                    outbox: Vec::new(),
                    byzantine: 0,
                };
                actor.handle(&mut turn, input);
                let Turn { outbox, byzantine, .. } = turn;
                self.outcome.byzantine_messages += byzantine;
                for (to, message) in outbox {
                    self.send(node, to, &message.encode().into());
                }
            }
            None => {}
        }
        self.plan_wake(node);
        Ok(())
    }

    pub(super) fn after_call(&mut self, node: usize, called: Called) -> Result<(), Broken> {
        match called {
            Called::Outputs(outputs) => {
                outputs.into_iter().try_for_each(|output| self.act(node, output))
            }
            Called::Down => Ok(()),
            Called::Cut => self.stop(node),
            Called::Failed(error) => {
                Err(Broken::new(Invariant::Health, format!("node {node} stopped: {error}")))
            }
        }
    }

    pub(super) fn act(&mut self, node: usize, output: Output) -> Result<(), Broken> {
        match output {
            Output::Broadcast(message) => {
                self.check_sent(node, &message)?;
                let bytes: Arc<[u8]> = message.encode().into();
                for to in (0..self.nodes.len()).filter(|to| *to != node) {
                    self.send(node, to, &bytes);
                }
                Ok(())
            }
            Output::Send { to, message } => {
                self.check_sent(node, &message)?;
                self.send(node, to.0 as usize, &message.encode().into());
                Ok(())
            }
            Output::Committed { decided, .. } => {
                let Some(Node::Honest(honest)) = self.nodes.get(node) else { return Ok(()) };
                let head = honest.validator().map(|validator| validator.state().head());
                // Several blocks may be committed in one call; the state is that after the last.
                let height = decided.block.header.height;
                let root = head.filter(|head| head.version == height).map(|head| head.root);
                let before = self.checker.height();
                self.checker.committed(node, &decided, root)?;
                if self.checker.height() > before {
                    self.note_height(&decided)?;
                }
                Ok(())
            }
            Output::Refused { from, reason } => {
                let is_honest = matches!(self.nodes.get(from.0 as usize), Some(Node::Honest(_)));
                if is_honest && reason.is_fault() {
                    let what = format!("node {node} blames node {}: {reason}", from.0);
                    return Err(Broken::new(Invariant::Health, what));
                }
                Ok(())
            }
            Output::StandsAside { until } => {
                let what = format!("node {node} does not vote until height {until}");
                Err(Broken::new(Invariant::Health, what))
            }
            _ => Ok(()),
        }
    }

    fn send(&mut self, from: usize, to: usize, bytes: &Arc<[u8]>) {
        let life = self.life(to);
        for way in self.network.route(from, to).into_iter().flatten() {
            let at = self.queue.now_ns().saturating_add(way);
            let bytes = Arc::clone(bytes);
            self.queue.plan(at, Event::Deliver { from, to, life, bytes });
        }
    }

    /// Tells a node of all that it can reach, and them of it.
    pub(super) fn connect(&mut self, node: usize) -> Result<(), Broken> {
        for other in 0..self.nodes.len() {
            if other != node && self.network.is_connected(node, other) {
                self.give(node, Input::Connected(PeerId(other as u64)))?;
                self.give(other, Input::Connected(PeerId(node as u64)))?;
            }
        }
        Ok(())
    }

    pub(super) fn connect_all(&mut self) -> Result<(), Broken> {
        (0..self.nodes.len()).try_for_each(|node| self.connect(node))
    }

    /// Hands a payment in at an honest node, and what keeps validators in their seats.
    pub(super) fn load(&mut self) -> Result<(), Broken> {
        self.queue.plan_in_ms(LOAD_MS, Event::Load);
        let node = self.random.below(self.nodes.len() as u64) as usize;
        let payer = self.random.below(64) as usize;
        let Some(Node::Honest(honest)) = self.nodes.get(node) else { return Ok(()) };
        let Some(validator) = honest.validator() else { return Ok(()) };
        let mut transactions = vec![load::payment(&self.setup, validator.state(), payer)];
        // Somebody does it sooner or later; all of them each time would be the same many times.
        if self.random.below(3) == 0 {
            transactions.extend(load::duties(&self.setup, validator.state()));
        }
        self.give(node, Input::Submit(transactions))
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::super::super::Config;
    use super::*;
    use crate::consensus::Refusal;

    fn health(output: Output) -> Option<Invariant> {
        let config = Config::new(4, None);
        let setup = Rc::new(Setup::new(&config).ok()?);
        let mut run = Run::new(&setup, 1).ok()?;
        run.act(0, output).err().map(|broken| broken.invariant)
    }

    #[test]
    fn a_node_that_stands_aside_or_is_blamed_breaks_health() {
        assert_eq!(health(Output::StandsAside { until: 1 }), Some(Invariant::Health));
        let chain = crate::hash::ChainId([1; 32]);
        let blame = Output::Refused { from: PeerId(1), reason: Refusal::Chain { found: chain } };
        assert_eq!(health(blame), Some(Invariant::Health));
        let late = Refusal::Stale { found: 1, committed: 2 };
        assert_eq!(health(Output::Refused { from: PeerId(1), reason: late }), None);
    }
}

//! What will happen, by the virtual clock.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

/// Something that happens at a time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Event {
    /// A message arrives.
    Deliver {
        /// Where from.
        from: usize,
        /// Where.
        to: usize,
        /// For which life of the receiver: a crash loses what was on its way.
        life: u32,
        /// The encoding.
        bytes: Arc<[u8]>,
    },
    /// A node wants to be woken.
    Wake {
        /// Which.
        node: usize,
    },
    /// A node's power is cut at one of its next writes.
    Cut {
        /// Which.
        node: usize,
    },
    /// A node stops, if it has not yet.
    Stop {
        /// Which.
        node: usize,
        /// Which of its lives.
        life: u32,
    },
    /// A node starts again.
    Start {
        /// Which.
        node: usize,
    },
    /// The network is split another way, or whole again.
    Split,
    /// Somebody pays somebody.
    Load,
    /// The time of trouble is over.
    Heal,
}

/// What will happen, the earliest first; of two things at one time, what was planned first.
#[derive(Debug, Default)]
pub(super) struct Queue {
    now_ns: u64,
    planned: u64,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
}

impl Queue {
    /// The present, in nanoseconds since the run began.
    pub(super) fn now_ns(&self) -> u64 {
        self.now_ns
    }

    /// Plans an event for a time, or for now if that is over.
    pub(super) fn plan(&mut self, at_ns: u64, event: Event) {
        self.planned += 1;
        self.events.push(Reverse((at_ns.max(self.now_ns), self.planned, event)));
    }

    /// Plans an event for after a while.
    pub(super) fn plan_in_ms(&mut self, ms: u64, event: Event) {
        self.plan(self.now_ns.saturating_add(ms.saturating_mul(1_000_000)), event);
    }

    /// Goes on to the next event.
    pub(super) fn next(&mut self) -> Option<Event> {
        let Reverse((at_ns, _, event)) = self.events.pop()?;
        self.now_ns = at_ns;
        Some(event)
    }
}

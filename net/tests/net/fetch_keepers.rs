//! Peers that keep fragments in memory, honest ones and others, each named by what it does.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use chronolith_chain::encoding::{Bytes, List};
use chronolith_fragment::Shown;
use chronolith_net::exchange::{Question, Reply};
use chronolith_net::fetch::{FetchEvent, FetchSettings, PackFetch, Source};
use chronolith_net::network::{NetworkSettings, PeerId, Service, Unanswerable};

use crate::fixture::Made;
use crate::peers::{Node, settings};

/// What a keeper does when it is asked for a fragment or blocks of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    Honest,
    /// Answers once the gate is open.
    Waits,
    /// Says what it keeps once the gate is open.
    SaysLate,
    /// Sends all but the last bytes.
    Truncates,
    /// Changes a byte.
    Spoils,
    /// Sends another fragment of the pack, which holds.
    SendsAnother,
    /// Sends an answer to another question.
    Rambles,
    /// Says that it is not there.
    IsAbsent,
    Refuses,
    /// Sends another header; its fragments hold.
    SendsAnotherHeader,
    /// Says in a false order what it keeps.
    ListsInDisorder,
}

impl Deed {
    pub(crate) const LIES: [Self; 4] =
        [Self::Truncates, Self::Spoils, Self::SendsAnother, Self::Rambles];
}

/// Something to wait at.
#[derive(Default)]
pub(crate) struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    pub(crate) fn open(&self) {
        *self.is_open.lock().unwrap() = true;
        self.opened.notify_all();
    }

    fn pass(&self) {
        let is_open = self.is_open.lock().unwrap();
        drop(self.opened.wait_while(is_open, |is_open| !*is_open).unwrap());
    }
}

/// Who keeps some fragments.
pub(crate) struct Keeper {
    made: Arc<Made>,
    holds: Vec<u8>,
    deed: Deed,
    gate: Arc<Gate>,
    /// The fragments that it was asked for, in their order.
    pub(crate) asked: Mutex<Vec<u8>>,
    /// The bytes of all its answers.
    pub(crate) bytes: AtomicU64,
    pub(crate) has_lied: AtomicBool,
}

impl Keeper {
    fn deal(&self, index: u8, bytes: Vec<u8>, reply: impl Fn(Vec<u8>) -> Reply) -> Reply {
        self.asked.lock().unwrap().push(index);
        if Deed::LIES.contains(&self.deed) {
            self.has_lied.store(true, Ordering::Release);
        }
        match self.deed {
            Deed::Waits => {
                self.gate.pass();
                reply(bytes)
            }
            Deed::Truncates => reply(bytes[..bytes.len() - 5].to_vec()),
            Deed::Spoils => {
                let mut bytes = bytes;
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                reply(bytes)
            }
            Deed::SendsAnother => {
                let other = (usize::from(index) + 1) % self.made.sent.len();
                Reply::Fragment(Bytes::new(self.made.sent[other].clone()).unwrap())
            }
            Deed::Rambles => Reply::Held(List::new([index]).unwrap()),
            Deed::IsAbsent => Reply::Absent,
            Deed::Refuses => Reply::refused("not today"),
            Deed::Honest | Deed::SaysLate | Deed::SendsAnotherHeader | Deed::ListsInDisorder => {
                reply(bytes)
            }
        }
    }

    fn reply(&self, question: &Question) -> Reply {
        let header = self.made.pack.header();
        match question {
            Question::Header(_) if self.deed == Deed::SendsAnotherHeader => {
                self.has_lied.store(true, Ordering::Release);
                let mut other = header.clone();
                other.items += 1;
                Reply::Header(Bytes::new(other.to_bytes()).unwrap())
            }
            Question::Header(_) => Reply::Header(Bytes::new(header.to_bytes()).unwrap()),
            Question::Held(_) if self.deed == Deed::ListsInDisorder => {
                self.has_lied.store(true, Ordering::Release);
                Reply::Held(List::new([3, 1]).unwrap())
            }
            Question::Held(_) => {
                if self.deed == Deed::SaysLate {
                    self.gate.pass();
                }
                Reply::Held(List::new(self.holds.clone()).unwrap())
            }
            Question::Fragment { index, .. } if self.holds.contains(index) => {
                let bytes = self.made.sent[usize::from(*index)].clone();
                self.deal(*index, bytes, |bytes| Reply::Fragment(Bytes::new(bytes).unwrap()))
            }
            Question::Blocks { index, first, count, .. } if self.holds.contains(index) => {
                let fragment = &self.made.fragments[usize::from(*index)];
                let (shape, rows) = (header.shape, *first..first + count);
                let shown = Shown::of(shape, fragment, &fragment.tree(), rows).unwrap();
                let bytes = shown.to_bytes();
                self.deal(*index, bytes, |bytes| Reply::Blocks(Bytes::new(bytes).unwrap()))
            }
            _ => Reply::Absent,
        }
    }
}

impl Service for Keeper {
    fn answer(&self, _: PeerId, request: &[u8]) -> Result<Vec<u8>, Unanswerable> {
        let question = Question::from_bytes(request).map_err(|_| Unanswerable)?;
        let asks_for_this = match question {
            Question::Header(pack)
            | Question::Held(pack)
            | Question::Fragment { pack, .. }
            | Question::Blocks { pack, .. } => pack == self.made.pack.content_id(),
            _ => false,
        };
        let reply = if asks_for_this { self.reply(&question) } else { Reply::Absent };
        let bytes = reply.to_bytes();
        self.bytes.fetch_add(bytes.len() as u64, Ordering::AcqRel);
        Ok(bytes)
    }
}

/// Keepers of one pack, as nodes, and somebody who seeks it. The gate opens when they go.
pub(crate) struct World {
    pub(crate) made: Arc<Made>,
    pub(crate) keepers: Vec<(Node, Arc<Keeper>)>,
    pub(crate) seeker: Node,
    pub(crate) gate: Arc<Gate>,
}

impl World {
    /// Keepers of these fragments, each with what it does.
    pub(crate) fn new(
        made: &Arc<Made>,
        keepers: impl IntoIterator<Item = (Vec<u8>, Deed)>,
    ) -> Self {
        Self::with(made, keepers, settings)
    }

    /// The same, where the nodes begin with settings by their numbers; the seeker has the number 1,000.
    pub(crate) fn with(
        made: &Arc<Made>,
        keepers: impl IntoIterator<Item = (Vec<u8>, Deed)>,
        settings: impl Fn(u16) -> NetworkSettings,
    ) -> Self {
        let gate = Arc::new(Gate::default());
        let start = |(number, (holds, deed)): (u16, (Vec<u8>, Deed))| {
            let (made, gate) = (Arc::clone(made), Arc::clone(&gate));
            let (asked, bytes, has_lied) = Default::default();
            let keeper = Arc::new(Keeper { made, holds, deed, gate, asked, bytes, has_lied });
            let node = Node::serve(settings(number), Arc::clone(&keeper) as Arc<dyn Service>);
            (node, keeper)
        };
        let keepers = (0..).zip(keepers).map(start).collect();
        Self { made: Arc::clone(made), keepers, seeker: Node::start(settings(1_000)), gate }
    }

    /// One keeper for each fragment, that does what `deed` says.
    pub(crate) fn of(made: &Arc<Made>, deed: impl Fn(u8) -> Deed) -> Self {
        let all = 0..made.pack.header().shape.fragments();
        Self::new(made, all.map(|index| (vec![index], deed(index))))
    }

    pub(crate) fn sources(&self) -> Vec<Source> {
        self.keepers.iter().map(|(node, _)| node.known.clone().into()).collect()
    }

    pub(crate) fn peer(&self, number: usize) -> PeerId {
        self.keepers[number].0.known.peer
    }

    /// The fetch of the pack from all keepers.
    pub(crate) fn fetch(&self, settings: FetchSettings) -> PackFetch {
        let (pack, sources) = (self.made.pack.content_id(), self.sources());
        PackFetch { pack, sources, settings, folder: None }
    }

    /// Who sent what does not hold.
    pub(crate) fn liars(&self) -> BTreeSet<PeerId> {
        let liars =
            self.keepers.iter().filter(|(_, keeper)| keeper.has_lied.load(Ordering::Acquire));
        liars.map(|(node, _)| node.known.peer).collect()
    }

    /// The bytes of all answers.
    pub(crate) fn bytes(&self) -> u64 {
        self.keepers.iter().map(|(_, keeper)| keeper.bytes.load(Ordering::Acquire)).sum()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.gate.open();
    }
}

/// Who is named as a liar by what happened.
pub(crate) fn named(events: &[FetchEvent]) -> BTreeSet<PeerId> {
    let liars = events.iter().filter_map(|event| match event {
        FetchEvent::Liar { peer, .. } => Some(*peer),
        _ => None,
    });
    liars.collect()
}

/// Settings by which nobody is ever late, so that every answer is waited for, and nothing is looked up.
pub(crate) fn patient() -> FetchSettings {
    let hour = std::time::Duration::from_secs(3_600);
    FetchSettings {
        late_at_least: hour,
        late_at_first: hour,
        looks_up: false,
        ..FetchSettings::default()
    }
}

/// Settings by which everybody is late at once.
pub(crate) fn hasty() -> FetchSettings {
    let none = std::time::Duration::ZERO;
    FetchSettings { late_at_least: none, late_at_first: none, late_factor: 0, ..given() }
}

/// Settings that look nothing up.
pub(crate) fn given() -> FetchSettings {
    FetchSettings { looks_up: false, ..FetchSettings::default() }
}

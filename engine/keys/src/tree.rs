//! Key trees: one secret from which the keys of all windows follow, and parts of it.

use std::fmt;
use std::ops::RangeInclusive;

use sha2::Digest as _;

use crate::at_rest::AtRestKey;
use crate::body::{BodyKey, ChunkSlot};
use crate::cover::{Place, cover, cover_positions, position};
use crate::encoding::{Range, range_bytes};
use crate::hasher;
use crate::id::TreeId;
use crate::secret::Secret;

/// The keys of a set of windows of one metric.
///
/// The tree is that of Goldreich, Goldwasser and Micali ("How to construct random functions", JACM
/// 1986) over the numbers of windows, as TimeCrypt uses it for ranges of time (Burkhalter et al., NSDI
/// 2020, section 4.2): each node is a secret, its children are `SHA-256(domain ‖ 0 ‖ node)` and
/// `SHA-256(domain ‖ 1 ‖ node)`, and the leaves, 64 levels below the root, are the windows. From a node
/// follows all that is below it and nothing else.
///
/// What is held are the fewest nodes that cover the windows: one for a whole tree, a few for the range
/// that somebody bought ([`KeyTree::cover`]), a few dozen for a tree of which a window was destroyed
/// ([`KeyTree::puncture`]).
#[derive(Clone)]
pub struct KeyTree {
    id: TreeId,
    /// Rising, apart, and never both children of one node.
    subtrees: Vec<Subtree>,
}

/// A node, and with it all that is below.
#[derive(Clone)]
pub(crate) struct Subtree {
    pub(crate) place: Place,
    pub(crate) secret: Secret,
}

/// A window whose key is not held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the key of window {window} of the tree {tree} is not held: it was destroyed or never given"
)]
pub struct NotHeld {
    /// The tree.
    pub tree: TreeId,
    /// The first such window.
    pub window: i64,
}

impl Subtree {
    /// The child on the way to a place below.
    fn child(&self, below: Place) -> Self {
        let (place, is_right) = self.place.child(below);
        // 55 bytes: one block of SHA-256.
        let hasher = hasher("chronolith/key-node/1");
        let child = hasher.chain_update([u8::from(is_right)]).chain_update(self.secret.bytes());
        Self { place, secret: Secret::new(child.finalize().into()) }
    }
}

/// A way down from a node. The next place is looked for from where the ways part, so that a run of
/// places costs little more than the nodes above them.
struct Way<'a> {
    top: &'a Subtree,
    /// Each the child of the one before. It never grows beyond its room, and what is left is
    /// overwritten where it stands, so no copies stay behind.
    nodes: Vec<Subtree>,
}

impl<'a> Way<'a> {
    fn new(top: &'a Subtree) -> Self {
        Self { top, nodes: Vec::with_capacity(64) }
    }

    /// What follows for a place below the top.
    fn derive(&mut self, below: Place) -> Subtree {
        debug_assert!(self.top.place.contains(&below), "the way would not end");
        let shared = self.nodes.iter().take_while(|node| node.place.contains(&below)).count();
        self.nodes.truncate(shared);
        loop {
            let last = self.nodes.last().unwrap_or(self.top);
            if last.place == below {
                return last.clone();
            }
            let child = last.child(below);
            self.nodes.push(child);
        }
    }
}

/// Appends nodes. Where there is no room for them, all are copied into a larger one and the old ones
/// overwritten, which growing by itself does not do.
fn append(nodes: &mut Vec<Subtree>, more: &[Subtree]) {
    if nodes.capacity() - nodes.len() < more.len() {
        let room = (nodes.len() + more.len()).max(2 * nodes.len());
        let mut larger = Vec::with_capacity(room);
        larger.extend_from_slice(nodes);
        *nodes = larger;
    }
    nodes.extend_from_slice(more);
}

impl KeyTree {
    /// The whole tree of a root.
    #[must_use]
    pub fn new(id: TreeId, root: Secret) -> Self {
        Self { id, subtrees: vec![Subtree { place: Place::ROOT, secret: root }] }
    }

    /// A tree of which nothing is left.
    pub(crate) fn destroyed(id: TreeId) -> Self {
        Self { id, subtrees: Vec::new() }
    }

    /// The name of the tree.
    #[must_use]
    pub fn id(&self) -> TreeId {
        self.id
    }

    /// Whether no window's key is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.subtrees.is_empty()
    }

    /// The windows whose keys are held: as few ranges as there can be, in order.
    #[must_use]
    pub fn windows(&self) -> Vec<RangeInclusive<i64>> {
        let mut ranges: Vec<RangeInclusive<i64>> = Vec::new();
        for subtree in &self.subtrees {
            let windows = subtree.place.windows();
            match ranges.last_mut() {
                Some(last) if last.end().checked_add(1) == Some(*windows.start()) => {
                    *last = *last.start()..=*windows.end();
                }
                _ => ranges.push(windows),
            }
        }
        ranges
    }

    /// The keys of a range of windows and of no others.
    ///
    /// # Errors
    /// Where the key of a window in the range is not held.
    pub fn cover(&self, windows: RangeInclusive<i64>) -> Result<Self, NotHeld> {
        let places = cover(windows);
        // With all the room at once, here and below, so that growing leaves no copies behind.
        let mut subtrees = Vec::with_capacity(places.len());
        let mut way: Option<Way<'_>> = None;
        for place in places {
            let is_below = |way: &Way<'_>| way.top.place.contains(&place);
            if !way.as_ref().is_some_and(is_below) {
                way = self.above(place).map(Way::new);
            }
            match &mut way {
                Some(way) => subtrees.push(way.derive(place)),
                None => return Err(NotHeld { tree: self.id, window: self.first_missing(place) }),
            }
        }
        Ok(Self { id: self.id, subtrees })
    }

    /// The subtree that a place lies in. Since the subtrees are the fewest, a place all of whose
    /// windows are held lies in one.
    fn above(&self, place: Place) -> Option<&Subtree> {
        let after = self.subtrees.partition_point(|one| one.place.first() <= place.first());
        let found = self.subtrees.get(after.checked_sub(1)?)?;
        found.place.contains(&place).then_some(found)
    }

    /// The first window of a place that does not lie in one subtree.
    fn first_missing(&self, place: Place) -> i64 {
        let windows = place.windows();
        let held = self.windows().into_iter().find(|held| held.contains(windows.start()));
        held.map_or(*windows.start(), |held| held.end().saturating_add(1))
    }

    /// Destroys the keys of a range of windows: each node above them is replaced by the nodes that
    /// cover what remains below it. The windows that were not held stay so.
    ///
    /// What is left must replace every copy of the tree that was stored; copies elsewhere, and what
    /// was granted before, still have the keys.
    pub fn puncture(&mut self, windows: RangeInclusive<i64>) {
        if windows.is_empty() {
            return;
        }
        let (first, last) = (position(*windows.start()), position(*windows.end()));
        // At most two of them are cut, at one end of the range each.
        let mut remaining = Vec::with_capacity(self.subtrees.len() + 2 * 64);
        for subtree in &self.subtrees {
            let (begin, end) = (subtree.place.first(), subtree.place.last());
            if end < first || last < begin {
                remaining.push(subtree.clone());
                continue;
            }
            let mut way = Way::new(subtree);
            let mut keep = |from: u64, to: u64| {
                remaining.extend(cover_positions(from, to).into_iter().map(|p| way.derive(p)));
            };
            if begin < first {
                keep(begin, first - 1);
            }
            if last < end {
                keep(last + 1, end);
            }
        }
        // The old nodes are overwritten where they stand.
        self.subtrees = remaining;
    }

    fn leaf(&self, window: i64) -> Option<Subtree> {
        let leaf = Place::leaf(window);
        Some(Way::new(self.above(leaf)?).derive(leaf))
    }

    /// Whether the key of a window is held.
    #[must_use]
    pub fn holds(&self, window: i64) -> bool {
        self.above(Place::leaf(window)).is_some()
    }

    /// The key of a chunk's body; none where its window's is not held.
    #[must_use]
    pub fn body_key(&self, slot: ChunkSlot) -> Option<BodyKey> {
        Some(BodyKey::derive(&self.leaf(slot.window)?.secret, self.id, slot))
    }

    /// The key at rest of a number, where the tree is one of these.
    pub(crate) fn at_rest_key(&self, number: u32) -> Option<AtRestKey> {
        Some(AtRestKey::derive(&self.leaf(number.into())?.secret, number))
    }

    /// The secrets of its nodes, in order.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &[u8; 32]> {
        self.subtrees.iter().map(|subtree| subtree.secret.bytes())
    }

    /// How long the encoding of its ranges is: bytes.
    pub(crate) fn encoded_bytes(&self) -> usize {
        self.windows().len() * range_bytes(0) + self.subtrees.len() * 32
    }

    /// Appends the encoding of its ranges.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        let mut subtrees = self.subtrees.iter().peekable();
        for windows in self.windows() {
            out.extend_from_slice(&self.id.0);
            out.extend_from_slice(&windows.start().to_le_bytes());
            out.extend_from_slice(&windows.end().to_le_bytes());
            let end = position(*windows.end());
            while let Some(subtree) = subtrees.next_if(|subtree| subtree.place.last() <= end) {
                out.extend_from_slice(subtree.secret.bytes());
            }
        }
    }

    /// Takes a further range of the tree; whether it is behind the others and touches none.
    pub(crate) fn push(&mut self, range: Range) -> bool {
        let next = range.windows.start().checked_sub(2);
        let last = self.subtrees.last().map(|last| *last.place.windows().end());
        let is_apart = last.is_none_or(|last| next.is_some_and(|next| last <= next));
        if is_apart {
            append(&mut self.subtrees, &range.nodes);
        }
        is_apart
    }
}

impl From<Range> for KeyTree {
    fn from(range: Range) -> Self {
        Self { id: range.id, subtrees: range.nodes }
    }
}

impl fmt::Debug for KeyTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyTree")
            .field("id", &self.id)
            .field("windows", &self.windows())
            .finish_non_exhaustive()
    }
}

//! Rings: the keys that a buyer was given, by whoever gave them.

use std::cmp::Ordering;
use std::fmt;
use std::ops::RangeInclusive;

use crate::body::{BodyKey, ChunkSlot};
use crate::encoding::Range;
use crate::grant::Grant;
use crate::header::Encryption;
use crate::id::TreeId;
use crate::tree::KeyTree;

/// The keys of several grants: the union of what each of them opens, and no more.
///
/// Grants of one tree may touch and overlap. All are kept, since a seller may have given keys that do
/// not open what he sold: which of them is the key of a chunk, its header says.
#[derive(Clone, Default)]
pub struct Keyring {
    /// Each of one range; rising by [`order`], none twice.
    parts: Vec<KeyTree>,
}

/// By tree, first window, last window, and the secrets: two parts are equal where all of it is.
fn order(one: &KeyTree, other: &KeyTree) -> Ordering {
    let bounds = |tree: &KeyTree| {
        (tree.id(), tree.windows().into_iter().next().map(RangeInclusive::into_inner))
    };
    let order = bounds(one).cmp(&bounds(other));
    order.then_with(|| one.secrets().cmp(other.secrets()))
}

impl Keyring {
    /// A ring without keys.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether there are no keys.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Takes the keys of a grant; how many of its ranges were not there yet.
    pub fn add(&mut self, grant: &Grant) -> usize {
        let before = self.parts.len();
        for part in grant.parts() {
            if let Err(at) = self.parts.binary_search_by(|held| order(held, part)) {
                self.parts.insert(at, part.clone());
            }
        }
        self.parts.len() - before
    }

    /// Forgets all keys of a tree; whether there were any.
    pub fn remove(&mut self, tree: &TreeId) -> bool {
        let before = self.parts.len();
        self.parts.retain(|part| part.id() != *tree);
        self.parts.len() < before
    }

    /// The trees it has keys of, in order.
    pub fn trees(&self) -> impl Iterator<Item = TreeId> {
        self.parts
            .chunk_by(|one, other| one.id() == other.id())
            .filter_map(|parts| Some(parts.first()?.id()))
    }

    /// The parts that are of a tree.
    fn of(&self, tree: &TreeId) -> &[KeyTree] {
        let begin = self.parts.partition_point(|part| part.id() < *tree);
        let end = self.parts.partition_point(|part| part.id() <= *tree);
        self.parts.get(begin..end).unwrap_or_default()
    }

    /// The windows of a tree that there are keys for: as few ranges as there can be, in order.
    #[must_use]
    pub fn windows(&self, tree: &TreeId) -> Vec<RangeInclusive<i64>> {
        let mut ranges: Vec<RangeInclusive<i64>> = Vec::new();
        for windows in self.of(tree).iter().flat_map(KeyTree::windows) {
            match ranges.last_mut() {
                Some(last) if *windows.start() <= last.end().saturating_add(1) => {
                    *last = *last.start()..=*last.end().max(windows.end());
                }
                _ => ranges.push(windows),
            }
        }
        ranges
    }

    /// The key of a chunk's body, by what its header says: none where no grant has it, or those that
    /// cover its window have others.
    #[must_use]
    pub fn body_key(&self, chunk: &Encryption, slot: ChunkSlot) -> Option<BodyKey> {
        let mut keys = self.of(&chunk.tree).iter().filter_map(|part| part.body_key(slot));
        keys.find(|key| key.is_committed(&chunk.commitment))
    }

    /// How long the encoding of its ranges is: bytes.
    pub(crate) fn encoded_bytes(&self) -> usize {
        self.parts.iter().map(KeyTree::encoded_bytes).sum()
    }

    /// Appends the encoding of its ranges.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        self.parts.iter().for_each(|part| part.put(out));
    }

    /// Takes a further range; whether it is behind the others.
    pub(crate) fn push(&mut self, range: Range) -> bool {
        let part = KeyTree::from(range);
        let is_behind = self.parts.last().is_none_or(|last| order(last, &part).is_lt());
        if is_behind {
            self.parts.push(part);
        }
        is_behind
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.trees().map(|tree| (tree, self.windows(&tree)))).finish()
    }
}

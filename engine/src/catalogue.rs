//! Catalogues: all chunks of a device as one Merkle DAG.
//!
//! The chunks, sorted by metric, window, generation and part, are the leaves of a tree whose nodes
//! are canonical DAG-CBOR blocks, so that any IPLD tool can walk from the root to every header.
//! Where a node ends is decided by the content ids in it (as in a prolly tree, Gustafsson et al.,
//! Noms, 2015), so that the tree depends on the set of chunks alone, and a new chunk changes only
//! the nodes on its path. Two neighbouring leaves prove that nothing lies between them: see [`proof`].

mod node;
mod proof;

use std::collections::BTreeMap;

use chronolith_merkle::HashFunction;
use cid::Cid;

use crate::chunk::ChunkKey;
use crate::model::Metric;
use crate::registry::codec::metric_bytes;

use node::{Below, Node, NodeEntry};
pub use proof::{CatalogueError, CatalogueProof, CatalogueScope, CatalogueSpan, Listed};

/// A node ends behind an entry whose content id ends in as many zero bits: 1 in 64.
const BOUNDARY_MASK: u8 = 0x3f;
/// A node ends here at the latest.
const NODE_ENTRIES_MAX: usize = 256;

/// A chunk of a catalogue: which metric (by a digest of its identity, or its pseudonym), which
/// chunk of it, and the header's content id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CatalogueEntry {
    /// Names the metric; zeros where only a lost key and a dropped body could say how.
    pub metric: [u8; 32],
    /// The window.
    pub window: i64,
    /// The generation.
    pub generation: u32,
    /// The part.
    pub part: u32,
    /// The header's content id.
    pub header: Cid,
}

impl CatalogueEntry {
    pub(crate) const fn new(metric: [u8; 32], key: ChunkKey, header: Cid) -> Self {
        let ChunkKey { window, generation, part, .. } = key;
        Self { metric, window, generation, part, header }
    }

    const fn order(&self) -> ([u8; 32], i64, u32, u32) {
        (self.metric, self.window, self.generation, self.part)
    }
}

impl Metric {
    /// What names the metric in catalogues, where its privacy level hides nothing: a digest of its identity.
    #[must_use]
    pub fn catalogue_name(&self) -> [u8; 32] {
        HashFunction::Sha256.digest(&metric_bytes(self))
    }
}

/// All chunks of a device: the root of the tree, and its nodes by content id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalogue {
    /// The root's content id.
    pub root: Cid,
    /// The blocks of all nodes.
    pub nodes: BTreeMap<Cid, Vec<u8>>,
    /// How many chunks it lists.
    pub chunks: u64,
}

/// A node on the level below: its first entry, how many chunks it covers, and its content id.
struct Child {
    first: CatalogueEntry,
    chunks: u64,
    cid: Cid,
}

fn ends_node(cid: &Cid, entries: usize) -> bool {
    let last = cid.hash().digest().last().copied().unwrap_or(0);
    last & BOUNDARY_MASK == 0 || entries >= NODE_ENTRIES_MAX
}

impl Catalogue {
    /// The catalogue of some chunks, in any order.
    pub(crate) fn build(mut entries: Vec<CatalogueEntry>, function: HashFunction) -> Self {
        entries.sort_unstable_by_key(CatalogueEntry::order);
        let chunks = entries.len() as u64;
        let mut nodes = BTreeMap::new();
        if entries.is_empty() {
            let (root, block) = Node::default().identified(function);
            return Self { root, nodes: [(root, block)].into(), chunks };
        }
        let leaves = entries.into_iter().map(|first| Child { cid: first.header, chunks: 1, first });
        let mut level: Vec<Child> = leaves.collect();
        let mut height = 0;
        loop {
            level = Self::raise(&level, height, function, &mut nodes);
            height += 1;
            if let [root] = &level[..] {
                return Self { root: root.cid, nodes, chunks };
            }
        }
    }

    /// Groups a level, which is not empty, into nodes.
    fn raise(
        level: &[Child],
        height: u32,
        function: HashFunction,
        nodes: &mut BTreeMap<Cid, Vec<u8>>,
    ) -> Vec<Child> {
        let mut raised = Vec::new();
        let mut start = 0;
        for (index, child) in level.iter().enumerate() {
            if index + 1 == level.len() || ends_node(&child.cid, index + 1 - start) {
                raised.extend(Self::node(&level[start..=index], height, function, nodes));
                start = index + 1;
            }
        }
        // Nodes that all end behind one entry would never become fewer: the rest is one node.
        if raised.len() == level.len() && level.len() > 1 {
            raised = Self::node(level, height, function, nodes).into_iter().collect();
        }
        raised
    }

    /// A node over some entries, of which there is one at least.
    fn node(
        children: &[Child],
        height: u32,
        function: HashFunction,
        nodes: &mut BTreeMap<Cid, Vec<u8>>,
    ) -> Option<Child> {
        let entry = |child: &Child| {
            let below = Below { chunks: child.chunks, node: child.cid };
            NodeEntry { first: child.first, below: (height > 0).then_some(below) }
        };
        let node = Node { height, entries: children.iter().map(entry).collect() };
        let (cid, block) = node.identified(function);
        nodes.insert(cid, block);
        let first = children.first()?.first;
        Some(Child { first, chunks: children.iter().map(|child| child.chunks).sum(), cid })
    }
}

#[cfg(test)]
mod tests {
    use chronolith_merkle::{DAG_CBOR, content_id};
    use ipld_core::ipld::Ipld;

    use super::*;

    pub(super) fn entries(count: u64) -> Vec<CatalogueEntry> {
        let entry = |number: u64| {
            let header = content_id(DAG_CBOR, HashFunction::Sha256, &number.to_le_bytes());
            let window = (number / 3) as i64 - 50;
            let key = ChunkKey { metric: 0, window, generation: (number % 3) as u32, part: 0 };
            CatalogueEntry::new([(number % 7) as u8; 32], key, header)
        };
        (0..count).map(entry).collect()
    }

    /// The headers that walking from the root finds, in order.
    fn walk(catalogue: &Catalogue, node: &Cid, found: &mut Vec<Cid>) {
        let block = catalogue.nodes.get(node).map(Vec::as_slice).unwrap_or_default();
        assert!(chronolith_merkle::matches(node, block));
        let Ok(Ipld::Map(fields)) = serde_ipld_dagcbor::from_slice(block) else { return };
        let Some(Ipld::List(entries)) = fields.get("entries") else { return };
        for entry in entries {
            let Ipld::List(parts) = entry else { continue };
            let Some(Ipld::Link(link)) = parts.last() else { continue };
            match fields.get("height") {
                Some(Ipld::Integer(0)) => found.push(*link),
                _ => walk(catalogue, link, found),
            }
        }
    }

    #[test]
    fn walking_from_the_root_finds_every_chunk_once_and_in_order() {
        for count in [0, 1, 2, 63, 64, 65, 1000, 20_000] {
            let mut expected = entries(count);
            let catalogue = Catalogue::build(expected.clone(), HashFunction::Sha256);
            expected.sort_unstable_by_key(CatalogueEntry::order);
            let mut found = Vec::new();
            walk(&catalogue, &catalogue.root, &mut found);
            let expected: Vec<Cid> = expected.into_iter().map(|entry| entry.header).collect();
            assert_eq!(found, expected);
            assert_eq!(catalogue.chunks, count);
        }
    }

    #[test]
    fn the_order_of_sealing_does_not_matter_and_a_new_chunk_changes_few_nodes() {
        let all = entries(20_000);
        let whole = Catalogue::build(all.clone(), HashFunction::Sha256);
        let mut reversed = all.clone();
        reversed.reverse();
        assert_eq!(Catalogue::build(reversed, HashFunction::Sha256), whole);
        let mut fewer = all;
        fewer.remove(7_777);
        let before = Catalogue::build(fewer, HashFunction::Sha256);
        assert_ne!(before.root, whole.root);
        let new = whole.nodes.keys().filter(|cid| !before.nodes.contains_key(cid)).count();
        assert!(new <= 8, "{new} of {} nodes are new", whole.nodes.len());
    }
}

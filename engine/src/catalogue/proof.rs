//! Proofs of what a catalogue lists of some spans of windows: the chunks there, and that there are no
//! others; and of which metrics it lists at all.
//!
//! A proof is the nodes that a walk from the root visits, in the walk's order. It goes below an entry where
//! the chunks under it may lie in a span: they come from the entry's first chunk on, and before the first of
//! the entry behind. So the nodes have all neighbours of a span in them, what is between two neighbours
//! follows from nothing but the root, and a proof has one form: a node less is missing, a node more is
//! refused. Where all metrics are asked for, it also goes below entries under which one metric may follow on
//! another: the first chunk behind is of another metric, or there is none. The size and time of a proof grow
//! with the chunks of the spans, the number of metrics and the height of the tree.

use std::collections::BTreeMap;

use chronolith_merkle::{DAG_CBOR, HashFunction, content_id};
use cid::Cid;

use super::node::{Node, NodeEntry};
use super::{Catalogue, CatalogueEntry};
use crate::encoding::{Malformed, Reader, put_varint};
use crate::model::Window;

/// The highest tree that is walked: a height more makes it some 64 times larger.
const HEIGHT_MAX: u32 = 24;
/// The most nodes of a proof.
const NODES_MAX: usize = 1 << 20;

/// Some windows of a metric, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CatalogueSpan {
    /// What names the metric: [`CatalogueEntry::metric`].
    pub metric: [u8; 32],
    /// The first window.
    pub first: Window,
    /// The last window.
    pub last: Window,
}

/// What is asked of a catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CatalogueScope<'a> {
    /// The chunks of these spans, which rise and do not overlap.
    pub spans: &'a [CatalogueSpan],
    /// And which metrics there are.
    pub metrics: bool,
}

/// What a catalogue lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed {
    /// The chunks of each span, in order.
    pub spans: Vec<Vec<CatalogueEntry>>,
    /// Where it was asked for, all metrics, each with the headers of some of its chunks, in order.
    pub metrics: BTreeMap<[u8; 32], Vec<Cid>>,
}

/// The proof of what a catalogue lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CatalogueProof {
    nodes: Vec<Node>,
}

/// Why a proof does not show what a catalogue lists.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogueError {
    /// The bytes are no proof.
    #[error("not a proof of a catalogue: at byte {at}, {what}")]
    Malformed {
        /// Where.
        at: usize,
        /// What was expected there.
        what: &'static str,
    },
    /// The spans are none, end before they begin, or are not in order.
    #[error("the spans of a proof must not be empty or overlap, and be in order")]
    Spans,
    /// A node that may list chunks of a span is not there.
    #[error("a part of the catalogue that may list chunks of the range is left out")]
    Missing,
    /// There is a node that the spans need not.
    #[error("the proof has a part of the catalogue that the range has nothing to do with")]
    Surplus,
    /// The first node is not the root.
    #[error("the catalogue has another root: it is of another device or another time")]
    OtherRoot,
    /// A node is not the one that the node above it names.
    #[error("a part of the catalogue is another than its root commits to")]
    OtherNode,
    /// A node's entries are not in order, or not where the node above says.
    #[error("the catalogue is not in order where it lists window {window}")]
    Order {
        /// The window of the first entry that is out of order.
        window: Window,
    },
    /// A node lists another number of chunks than the node above says, or is of another height.
    #[error("a part of the catalogue has another height or number of chunks than its root says")]
    Shape,
    /// A node that a proof is to be made of is not in the catalogue.
    #[error("the catalogue has no node {node}")]
    NoNode {
        /// Its content id.
        node: String,
    },
}

impl From<Malformed> for CatalogueError {
    fn from(Malformed { at, what }: Malformed) -> Self {
        Self::Malformed { at, what }
    }
}

impl CatalogueSpan {
    /// Whether chunks from `first` on, and before `end` where there is one, may be of the span.
    fn meets(&self, first: &CatalogueEntry, end: Option<&CatalogueEntry>) -> bool {
        let begins = (self.metric, self.first, 0, 0);
        let ends = (self.metric, self.last, u32::MAX, u32::MAX);
        first.order() <= ends && end.is_none_or(|end| begins < end.order())
    }

    fn holds(&self, entry: &CatalogueEntry) -> bool {
        entry.metric == self.metric && (self.first..=self.last).contains(&entry.window)
    }
}

impl CatalogueScope<'_> {
    fn check(&self) -> Result<(), CatalogueError> {
        let Self { spans, metrics } = self;
        let are_whole = spans.iter().all(|span| span.first <= span.last);
        let rises = |a: &CatalogueSpan, b: &CatalogueSpan| (a.metric, a.last) < (b.metric, b.first);
        if (spans.is_empty() && !metrics) || !are_whole || !spans.is_sorted_by(rises) {
            return Err(CatalogueError::Spans);
        }
        Ok(())
    }

    /// Whether what is asked for may be under an entry: chunks from `first` on, and before `end` where there
    /// is one.
    fn meets(&self, first: &CatalogueEntry, end: Option<&CatalogueEntry>) -> bool {
        // The spans that end before the entry come first.
        let from = self
            .spans
            .partition_point(|span| (span.metric, span.last, u32::MAX, u32::MAX) < first.order());
        self.spans.get(from).is_some_and(|span| span.meets(first, end))
            || (self.metrics && end.is_none_or(|end| end.metric != first.metric))
    }

    /// The entries of a node under which there may be what is asked for, each with the first chunk behind
    /// it.
    fn children(
        &self,
        node: &Node,
        end: Option<CatalogueEntry>,
    ) -> Vec<(NodeEntry, Option<CatalogueEntry>)> {
        let ends = node.entries.iter().skip(1).map(|entry| Some(entry.first)).chain([end]);
        let all = node.entries.iter().copied().zip(ends);
        all.filter(|(entry, end)| self.meets(&entry.first, end.as_ref())).collect()
    }
}

impl Catalogue {
    /// Proves what the catalogue lists of what is asked for.
    ///
    /// # Errors
    /// [`CatalogueError::Spans`]; [`CatalogueError::NoNode`] where nodes were taken out.
    pub fn prove(&self, scope: CatalogueScope<'_>) -> Result<CatalogueProof, CatalogueError> {
        scope.check()?;
        let mut proof = CatalogueProof::default();
        let mut open = vec![(self.root, None)];
        while let Some((cid, end)) = open.pop() {
            let node = self.nodes.get(&cid).and_then(|block| Node::from_block(block));
            let node = node.ok_or_else(|| CatalogueError::NoNode { node: cid.to_string() })?;
            // The first one is walked first.
            for (child, end) in scope.children(&node, end).into_iter().rev() {
                if let Some(below) = child.below {
                    open.push((below.node, end));
                }
            }
            proof.nodes.push(node);
        }
        Ok(proof)
    }

    /// The entries, in order; what is damaged is left out.
    #[must_use]
    pub fn entries(&self) -> Vec<CatalogueEntry> {
        let leaves = self.nodes.values().filter_map(|block| Node::from_block(block));
        let leaves = leaves.filter(|node| node.height == 0);
        let entries = leaves.flat_map(|node| node.entries).map(|entry| entry.first);
        let ordered: BTreeMap<_, _> = entries.map(|entry| (entry.order(), entry)).collect();
        ordered.into_values().collect()
    }
}

/// A node that is to come, and what is known of it.
struct Expected {
    node: Cid,
    height: u32,
    chunks: u64,
    first: CatalogueEntry,
    end: Option<CatalogueEntry>,
}

impl CatalogueProof {
    /// Checks the proof against the digest of a catalogue's root, and gives what it lists.
    ///
    /// # Errors
    /// Why it does not show all of them, and nothing else.
    pub fn listed(
        &self,
        root: &[u8; 32],
        scope: CatalogueScope<'_>,
    ) -> Result<Listed, CatalogueError> {
        scope.check()?;
        let mut found = Listed { spans: vec![Vec::new(); scope.spans.len()], ..Listed::default() };
        let mut nodes = self.nodes.iter();
        let mut open: Vec<Expected> = Vec::new();
        let first = nodes.next().ok_or(CatalogueError::Missing)?;
        is_root(first, root)?;
        visit(first, None, scope, &mut open, &mut found)?;
        while let Some(expected) = open.pop() {
            let node = nodes.next().ok_or(CatalogueError::Missing)?;
            expected.check(node)?;
            visit(node, expected.end, scope, &mut open, &mut found)?;
        }
        match nodes.next() {
            None => Ok(found),
            Some(_) => Err(CatalogueError::Surplus),
        }
    }

    /// The digest of the first node, as if it were the root.
    #[cfg(fuzzing)]
    pub(crate) fn first_digest(&self) -> Option<[u8; 32]> {
        Some(HashFunction::Sha256.digest(&self.nodes.first()?.block()))
    }

    /// How many nodes the walk visits.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether it visits none, which is a proof of nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The encoding.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, self.nodes.len() as u64);
        self.nodes.iter().for_each(|node| node.put(&mut out));
        out
    }

    /// Reads an encoding; anything that [`CatalogueProof::to_bytes`] would not write is refused.
    ///
    /// # Errors
    /// [`CatalogueError::Malformed`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CatalogueError> {
        let mut reader = Reader::new(bytes);
        let count = reader.varint_usize(NODES_MAX.min(reader.remaining()))?;
        let mut nodes = Vec::new();
        for _ in 0..count {
            nodes.push(Node::read(&mut reader)?);
        }
        reader.finish()?;
        let proof = Self { nodes };
        if proof.to_bytes() != bytes {
            return Err(CatalogueError::Malformed { at: 0, what: "a shorter form of the same" });
        }
        Ok(proof)
    }
}

fn is_root(node: &Node, root: &[u8; 32]) -> Result<(), CatalogueError> {
    let block = node.block();
    let is_it = [HashFunction::Sha256, HashFunction::Blake3]
        .into_iter()
        .any(|function| function.digest(&block) == *root);
    if !is_it {
        return Err(CatalogueError::OtherRoot);
    }
    if node.height > HEIGHT_MAX {
        return Err(CatalogueError::Shape);
    }
    Ok(())
}

impl Expected {
    fn check(&self, node: &Node) -> Result<(), CatalogueError> {
        let function = HashFunction::from_code(self.node.hash().code());
        let named = function.map(|function| content_id(DAG_CBOR, function, &node.block()));
        if named != Some(self.node) {
            return Err(CatalogueError::OtherNode);
        }
        let chunks = node.entries.iter().try_fold(0_u64, |sum, e| sum.checked_add(e.chunks()));
        if node.height != self.height || chunks != Some(self.chunks) {
            return Err(CatalogueError::Shape);
        }
        let first = node.entries.first().map(|entry| entry.first);
        if first != Some(self.first) {
            return Err(CatalogueError::Order { window: self.first.window });
        }
        Ok(())
    }
}

/// Takes what is asked for from a node, and says which nodes must come.
fn visit(
    node: &Node,
    end: Option<CatalogueEntry>,
    scope: CatalogueScope<'_>,
    open: &mut Vec<Expected>,
    found: &mut Listed,
) -> Result<(), CatalogueError> {
    let firsts = node.entries.iter().map(|entry| entry.first);
    for (one, next) in firsts.clone().zip(firsts.skip(1).map(Some).chain([end])) {
        if next.is_some_and(|next| one.order() >= next.order()) {
            return Err(CatalogueError::Order { window: one.window });
        }
    }
    for (entry, end) in scope.children(node, end).into_iter().rev() {
        if let Some(below) = entry.below {
            let height = node.height.checked_sub(1).ok_or(CatalogueError::Shape)?;
            let (first, chunks) = (entry.first, below.chunks);
            open.push(Expected { node: below.node, height, chunks, first, end });
        }
    }
    for NodeEntry { first, .. } in &node.entries {
        // The chunks under an entry that is not visited are all of one metric: that of its first one.
        if scope.metrics {
            let headers = found.metrics.entry(first.metric).or_default();
            if headers.last() != Some(&first.header) {
                headers.push(first.header);
            }
        }
        if node.height == 0 {
            let at = scope.spans.iter().position(|span| span.holds(first));
            if let Some(found) = at.and_then(|at| found.spans.get_mut(at)) {
                found.push(*first);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::super::tests::entries;
    use super::*;

    fn span(metric: u8, first: Window, last: Window) -> CatalogueSpan {
        CatalogueSpan { metric: [metric; 32], first, last }
    }

    fn digest(catalogue: &Catalogue) -> [u8; 32] {
        catalogue.root.hash().digest().try_into().unwrap()
    }

    fn listed(count: u64, span: &CatalogueSpan) -> Vec<CatalogueEntry> {
        let mut all: Vec<_> = entries(count).into_iter().filter(|e| span.holds(e)).collect();
        all.sort_by_key(CatalogueEntry::order);
        all
    }

    fn of(spans: &[CatalogueSpan]) -> CatalogueScope<'_> {
        CatalogueScope { spans, metrics: false }
    }

    const SPANS: [(u8, Window, Window); 6] = [
        (0, -50, -40),
        (0, 100, 100),
        (1, Window::MIN, -60),
        (3, 7, 1_000),
        (5, 5_000, 6_000),
        (7, Window::MIN, Window::MAX),
    ];

    #[test]
    fn a_proof_shows_what_is_in_the_spans_and_nothing_else() {
        for function in [HashFunction::Sha256, HashFunction::Blake3] {
            for count in [0, 1, 2, 64, 1_000, 20_000] {
                let catalogue = Catalogue::build(entries(count), function);
                let spans = SPANS.map(|(metric, first, last)| span(metric, first, last));
                let sets = spans.iter().map(std::slice::from_ref).chain([&spans[..]]);
                for spans in sets {
                    for metrics in [false, true] {
                        let scope = CatalogueScope { spans, metrics };
                        let proof = catalogue.prove(scope).unwrap();
                        assert_eq!(
                            CatalogueProof::from_bytes(&proof.to_bytes()).as_ref(),
                            Ok(&proof)
                        );
                        let found = proof.listed(&digest(&catalogue), scope).unwrap();
                        let expected: Vec<_> =
                            spans.iter().map(|span| listed(count, span)).collect();
                        assert_eq!(found.spans, expected);
                        let all = if metrics { count.min(7) } else { 0 };
                        assert_eq!(found.metrics.len() as u64, all);
                    }
                }
            }
            let all = Catalogue::build(entries(500), function).entries();
            assert_eq!(all.len(), 500);
        }
    }

    #[test]
    fn a_proof_of_a_few_windows_has_few_nodes() {
        let catalogue = Catalogue::build(entries(20_000), HashFunction::Sha256);
        let proof = catalogue.prove(of(&[span(3, 100, 110)])).unwrap();
        assert!(proof.len() <= 6, "{} of {} nodes", proof.len(), catalogue.nodes.len());
        let proof = catalogue.prove(CatalogueScope { spans: &[], metrics: true }).unwrap();
        assert!(proof.len() <= 24, "{} of {} nodes", proof.len(), catalogue.nodes.len());
    }

    #[test]
    fn what_is_left_out_put_in_or_changed_is_refused() {
        let count = 5_000;
        let catalogue = Catalogue::build(entries(count), HashFunction::Sha256);
        let (root, spans) = (digest(&catalogue), [span(2, 10, 400)]);
        for metrics in [false, true] {
            refuses_changes(&catalogue, &root, CatalogueScope { spans: &spans, metrics });
        }
        let proof = catalogue.prove(of(&spans)).unwrap();
        let wider = [span(2, 10, 1_000)];
        let wider = catalogue.prove(of(&wider)).unwrap();
        assert_eq!(wider.listed(&root, of(&[span(2, 10, 11)])), Err(CatalogueError::Surplus));
        assert_eq!(proof.listed(&[0; 32], of(&spans)), Err(CatalogueError::OtherRoot));
        let all = CatalogueScope { spans: &spans, metrics: true };
        assert_ne!(proof.listed(&root, all).map(drop), Ok(()), "metrics were left out");
        let other = Catalogue::build(entries(count - 1), HashFunction::Sha256);
        assert!(proof.listed(&digest(&other), of(&spans)).is_err());
    }

    fn refuses_changes(catalogue: &Catalogue, root: &[u8; 32], scope: CatalogueScope<'_>) {
        let proof = catalogue.prove(scope).unwrap();
        assert!(proof.len() > 3);
        for at in 0..proof.len() {
            let mut less = proof.clone();
            less.nodes.remove(at);
            assert!(less.listed(root, scope).is_err(), "without node {at}");
            let mut more = proof.clone();
            more.nodes.insert(at, proof.nodes[at].clone());
            assert!(more.listed(root, scope).is_err(), "node {at} twice");
            for entry in 0..proof.nodes[at].entries.len() {
                let mut less = proof.clone();
                less.nodes[at].entries.remove(entry);
                let other = [CatalogueError::OtherNode, CatalogueError::OtherRoot];
                assert!(other.contains(&less.listed(root, scope).unwrap_err()));
            }
        }
        let cut = CatalogueProof { nodes: proof.nodes[..proof.len() - 1].to_vec() };
        assert_eq!(cut.listed(root, scope), Err(CatalogueError::Missing));
    }

    /// Whoever anchors a tree could put chunks where nobody looks for them: a walk must see that.
    #[test]
    fn trees_that_are_not_in_order_are_refused() {
        let leaf = |window: Window| {
            let header = content_id(DAG_CBOR, HashFunction::Sha256, &window.to_le_bytes());
            CatalogueEntry { metric: [2; 32], window, generation: 0, part: 0, header }
        };
        let node = |windows: &[Window]| Node {
            height: 0,
            entries: windows
                .iter()
                .map(|window| NodeEntry { first: leaf(*window), below: None })
                .collect(),
        };
        let above = |nodes: &[(&Node, CatalogueEntry, u64)]| {
            let entry = |(node, first, chunks): &(&Node, CatalogueEntry, u64)| {
                let (cid, _) = node.identified(HashFunction::Sha256);
                let below = super::super::node::Below { chunks: *chunks, node: cid };
                NodeEntry { first: *first, below: Some(below) }
            };
            Node { height: 1, entries: nodes.iter().map(entry).collect() }
        };
        let spans = [span(2, 0, 100)];
        let verdict = |nodes: Vec<Node>| {
            let root = HashFunction::Sha256.digest(&nodes[0].block());
            CatalogueProof { nodes }.listed(&root, of(&spans)).map(drop)
        };
        let (low, high) = (node(&[1, 2]), node(&[5, 6]));
        let right = above(&[(&low, leaf(1), 2), (&high, leaf(5), 2)]);
        assert_eq!(verdict(vec![right, low.clone(), high.clone()]), Ok(()));
        // A chunk behind the beginning of the next node.
        let over = node(&[1, 5]);
        let tree = above(&[(&over, leaf(1), 2), (&high, leaf(5), 2)]);
        let order = |window| Err(CatalogueError::Order { window });
        assert_eq!(verdict(vec![tree, over, high.clone()]), order(5));
        // Two that do not rise.
        let falling = node(&[2, 1]);
        let tree = above(&[(&falling, leaf(2), 2), (&high, leaf(5), 2)]);
        assert_eq!(verdict(vec![tree, falling, high.clone()]), order(2));
        // Another first chunk than is said, and other numbers.
        let tree = above(&[(&low, leaf(0), 2), (&high, leaf(5), 2)]);
        assert_eq!(verdict(vec![tree, low.clone(), high.clone()]), order(0));
        let tree = above(&[(&low, leaf(1), 3), (&high, leaf(5), 2)]);
        assert_eq!(verdict(vec![tree, low, high]), Err(CatalogueError::Shape));
    }
}

//! What is encrypted in a keystore: which metric has which trees, the trees, and what was bought.
//!
//! ```text
//! metrics u32 · for each: id [u8; 32] · trees u32 · for each: first window i64 · id [u8; 32]
//! · ranges of trees u32 · the ranges
//! · bought ranges, up to the end
//! ```

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use crate::encoding::{EncodingProblem, Malformed, Reader};
use crate::id::{MetricId, TreeId};
use crate::keyring::Keyring;
use crate::tree::KeyTree;

/// A tree of a metric, and the window that it begins with: it is the metric's until the next begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeFrom {
    /// The first window whose chunks are sealed under the tree.
    pub from: i64,
    /// The tree.
    pub tree: TreeId,
}

#[derive(Clone, Default)]
pub(crate) struct Contents {
    /// The first tree of a metric begins with the first window of all, the others rise.
    pub(crate) metrics: BTreeMap<MetricId, Vec<TreeFrom>>,
    /// Each under its id; those of metrics are here when nothing is left of them, too, so that none of
    /// them begins again.
    pub(crate) trees: BTreeMap<TreeId, KeyTree>,
    pub(crate) bought: Keyring,
}

impl Contents {
    pub(crate) fn encoded_bytes(&self) -> usize {
        let metrics: usize = self.metrics.values().map(|trees| 36 + 40 * trees.len()).sum();
        let trees: usize = self.trees.values().map(KeyTree::encoded_bytes).sum();
        4 + metrics + 4 + trees + self.bought.encoded_bytes()
    }

    pub(crate) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        // With all the room at once, so that growing leaves no copies behind. No count is above what
        // a u32 holds where the whole is below `KEYSTORE_BYTES_MAX`.
        let mut out = Zeroizing::new(Vec::with_capacity(self.encoded_bytes()));
        out.extend_from_slice(&(self.metrics.len() as u32).to_le_bytes());
        for (metric, trees) in &self.metrics {
            out.extend_from_slice(&metric.0);
            out.extend_from_slice(&(trees.len() as u32).to_le_bytes());
            for tree in trees {
                out.extend_from_slice(&tree.from.to_le_bytes());
                out.extend_from_slice(&tree.tree.0);
            }
        }
        let ranges: usize = self.trees.values().map(|tree| tree.windows().len()).sum();
        out.extend_from_slice(&(ranges as u32).to_le_bytes());
        self.trees.values().for_each(|tree| tree.put(&mut out));
        self.bought.put(&mut out);
        out
    }

    /// Reads what [`Contents::to_bytes`] wrote; anything else is refused. Nothing is allocated by a
    /// count: each item is read before there is room for it.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let mut contents = Self::default();
        let count = |reader: &mut Reader<'_>| Ok(u32::from_le_bytes(*reader.take()?));
        for _ in 0..count(&mut reader)? {
            contents.read_metric(&mut reader)?;
        }
        for _ in 0..count(&mut reader)? {
            contents.read_range(&mut reader)?;
        }
        for TreeFrom { tree, .. } in contents.metrics.values().flatten() {
            contents.trees.entry(*tree).or_insert_with(|| KeyTree::destroyed(*tree));
        }
        while !reader.is_empty() {
            let start = reader.offset();
            if !contents.bought.push(reader.range()?) {
                return Err((start, EncodingProblem::Order));
            }
        }
        Ok(contents)
    }

    fn read_metric(&mut self, reader: &mut Reader<'_>) -> Result<(), Malformed> {
        let start = reader.offset();
        let metric = MetricId(*reader.take()?);
        let is_behind = self.metrics.last_key_value().is_none_or(|(last, _)| *last < metric);
        let mut trees: Vec<TreeFrom> = Vec::new();
        let mut is_rising = true;
        for _ in 0..u32::from_le_bytes(*reader.take()?) {
            let from = i64::from_le_bytes(*reader.take()?);
            let tree = TreeId(*reader.take()?);
            is_rising &= match trees.last() {
                Some(last) => last.from < from,
                None => from == i64::MIN,
            };
            trees.push(TreeFrom { from, tree });
        }
        if !is_behind || !is_rising || trees.is_empty() {
            return Err((start, EncodingProblem::Order));
        }
        self.metrics.insert(metric, trees);
        Ok(())
    }

    fn read_range(&mut self, reader: &mut Reader<'_>) -> Result<(), Malformed> {
        let start = reader.offset();
        let range = reader.range()?;
        let is_in_order = match self.trees.last_entry() {
            Some(mut last) if *last.key() == range.id => last.get_mut().push(range),
            Some(last) if *last.key() > range.id => false,
            _ => {
                self.trees.insert(range.id, range.into());
                true
            }
        };
        if is_in_order { Ok(()) } else { Err((start, EncodingProblem::Order)) }
    }
}

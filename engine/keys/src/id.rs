//! The names of key trees.

use std::fmt;

use sha2::Digest as _;

use crate::hasher;

/// Names a key tree.
///
/// A metric that is named openly (levels 3 and 4) has trees whose ids follow from what everybody can
/// see, so that a ledger which knows the device can tell that a header is of it: [`TreeId::named`]. A
/// metric that hides (levels 1 and 2) has trees with random ids, which say nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreeId(pub [u8; 32]);

/// A metric as a header names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricIdentity<'a> {
    /// The device's name.
    pub device: &'a str,
    /// The metric's name.
    pub name: &'a str,
    /// The tags, in any order.
    pub tags: Vec<(&'a str, &'a str)>,
}

impl TreeId {
    /// The id of an openly named metric's tree.
    ///
    /// - `account`: the device's key on the ledger.
    /// - `era`: which of the device's owners it is, counted by the ledger from 0.
    /// - `rotation`: how many trees the metric had before under this owner.
    /// - `window_ns`: the length of the windows that the tree counts, in nanoseconds.
    #[must_use]
    pub fn named(
        account: &[u8; 32],
        era: u32,
        rotation: u32,
        window_ns: i64,
        metric: &MetricIdentity<'_>,
    ) -> Self {
        let mut tags = metric.tags.clone();
        tags.sort_unstable();
        let mut hasher = hasher("chronolith/key-tree/1");
        hasher.update(account);
        hasher.update(era.to_le_bytes());
        hasher.update(rotation.to_le_bytes());
        hasher.update(window_ns.to_le_bytes());
        let tags = tags.into_iter().flat_map(|(key, value)| [key, value]);
        // With the length before each text, no two metrics give the same bytes.
        for text in [metric.device, metric.name].into_iter().chain(tags) {
            hasher.update((text.len() as u64).to_le_bytes());
            hasher.update(text);
        }
        Self(hasher.finalize().into())
    }
}

impl fmt::Display for TreeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TreeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TreeId({self})")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn everything_that_a_tree_is_of_is_in_its_id() {
        let metric = |device, name, tags: &[(&'static str, &'static str)]| MetricIdentity {
            device,
            name,
            tags: tags.to_vec(),
        };
        let speed = metric("car", "speed", &[("axle", "1"), ("side", "left")]);
        let turned = metric("car", "speed", &[("side", "left"), ("axle", "1")]);
        let id = TreeId::named(&[1; 32], 2, 3, 4, &speed);
        assert_eq!(id, TreeId::named(&[1; 32], 2, 3, 4, &turned));
        let others = [
            TreeId::named(&[0; 32], 2, 3, 4, &speed),
            TreeId::named(&[1; 32], 3, 3, 4, &speed),
            TreeId::named(&[1; 32], 2, 2, 4, &speed),
            TreeId::named(&[1; 32], 2, 3, 5, &speed),
            TreeId::named(&[1; 32], 2, 3, 4, &metric("cars", "peed", &speed.tags)),
            TreeId::named(&[1; 32], 2, 3, 4, &metric("car", "speed", &[])),
            TreeId::named(&[1; 32], 2, 3, 4, &metric("car", "speed", &[("axle", "1")])),
        ];
        let all: HashSet<TreeId> = others.into_iter().chain([id]).collect();
        assert_eq!(all.len(), 8);
    }
}

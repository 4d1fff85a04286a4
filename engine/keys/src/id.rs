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

/// Names a metric of one owner in his keystore: what its key trees are found by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MetricId(pub [u8; 32]);

/// Takes what a metric is of into a hash. With the length before each text, no two metrics give the same
/// bytes.
fn update(hasher: &mut sha2::Sha256, metric: &MetricIdentity<'_>) {
    let mut tags = metric.tags.clone();
    tags.sort_unstable();
    let tags = tags.into_iter().flat_map(|(key, value)| [key, value]);
    for text in [metric.device, metric.name].into_iter().chain(tags) {
        hasher.update((text.len() as u64).to_le_bytes());
        hasher.update(text);
    }
}

impl MetricId {
    /// The id of a metric. It is shown to nobody, so metrics that hide have one, too.
    ///
    /// The arguments are those of [`TreeId::named`]: under another owner, or with windows of another
    /// length, it is another metric, whose first tree is a new one.
    #[must_use]
    pub fn of(account: &[u8; 32], era: u32, window_ns: i64, metric: &MetricIdentity<'_>) -> Self {
        let mut hasher = hasher("chronolith/metric/1");
        hasher.update(account);
        hasher.update(era.to_le_bytes());
        hasher.update(window_ns.to_le_bytes());
        update(&mut hasher, metric);
        Self(hasher.finalize().into())
    }

    /// What the trees of the metric's hidden time (levels 1 and 2) are found by. It has trees of its own
    /// then: the id of one from its open time follows from its name, and would give the name away.
    #[must_use]
    pub fn hidden(self) -> Self {
        Self(hasher("chronolith/metric-hidden/1").chain_update(self.0).finalize().into())
    }

    /// What the metric's trees are found by once more: since keys of windows were destroyed, and these
    /// windows have records again, which need other keys. 0 is the metric itself.
    #[must_use]
    pub fn again(self, times: u32) -> Self {
        if times == 0 {
            return self;
        }
        let hasher = hasher("chronolith/metric-again/1").chain_update(self.0);
        Self(hasher.chain_update(times.to_le_bytes()).finalize().into())
    }

    /// What a keystore's [keys at rest](crate::AtRestKey) are found by: its tree has key `n` at window `n`.
    #[must_use]
    pub fn at_rest() -> Self {
        Self(hasher("chronolith/keys-at-rest/1").finalize().into())
    }
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
        let mut hasher = hasher("chronolith/key-tree/1");
        hasher.update(account);
        hasher.update(era.to_le_bytes());
        hasher.update(rotation.to_le_bytes());
        hasher.update(window_ns.to_le_bytes());
        update(&mut hasher, metric);
        Self(hasher.finalize().into())
    }
}

fn show(bytes: &[u8; 32], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

impl fmt::Display for TreeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(&self.0, f)
    }
}

impl fmt::Display for MetricId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(&self.0, f)
    }
}

impl fmt::Debug for MetricId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MetricId({self})")
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

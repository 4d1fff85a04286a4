//! A tree of which windows were destroyed has the keys of all others, in few nodes.

use std::collections::BTreeSet;

use chronolith_keys::{Grant, TreeId};
use proptest::prelude::*;

use crate::random::{commitment, tree};

proptest! {
    #[test]
    fn what_remains_is_what_was_not_destroyed(
        holes in prop::collection::vec((-40_i64..40, 0_i64..8), 1..8),
    ) {
        let whole = tree(1);
        let mut tree = whole.clone();
        let mut destroyed = BTreeSet::new();
        for (first, length) in holes {
            tree.puncture(first..=first + length);
            destroyed.extend(first..=first + length);
        }
        for window in -60..60 {
            let expected = commitment(&whole, window).filter(|_| !destroyed.contains(&window));
            prop_assert_eq!(commitment(&tree, window), expected);
        }
        // What remains can be given on as if nothing had happened beside it.
        let kept = tree.windows();
        for range in kept {
            let part = tree.cover(range.clone()).unwrap();
            let again = whole.cover(range).unwrap();
            let bytes = |tree| Grant::new([tree]).unwrap().to_bytes();
            prop_assert_eq!(bytes(part), bytes(again));
        }
    }
}

#[test]
fn a_window_costs_at_most_a_node_for_each_level() {
    let mut tree = tree(1);
    tree.puncture(490_000..=490_000);
    assert_eq!(tree.windows(), [i64::MIN..=489_999, 490_001..=i64::MAX]);
    assert_eq!(tree.cover(489_000..=491_000).unwrap_err().window, 490_000);
    tree.puncture(490_000..=490_000);
    assert_eq!(tree.windows().len(), 2, "a second time changes nothing");
    #[expect(clippy::reversed_empty_ranges, reason = "no windows at all")]
    tree.puncture(5..=4);
    assert_eq!(tree.windows().len(), 2);
    tree.puncture(i64::MIN..=i64::MAX);
    assert!(tree.is_empty());
    assert_eq!(tree.cover(0..=0).unwrap_err().tree, TreeId([1; 32]));
}

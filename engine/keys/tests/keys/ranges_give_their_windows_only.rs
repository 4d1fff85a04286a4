//! Whoever has the keys of a range of windows has the keys of these windows and of no others.

use chronolith_keys::{ChunkSlot, NotHeld, TreeId};
use proptest::prelude::*;

use crate::random::{commitment, slot, tree};

proptest! {
    #[test]
    fn a_range_has_the_whole_trees_keys_inside_and_none_outside(
        first: i64, span: u64, shift in 0_u32..64, at: u64,
    ) {
        let whole = tree(1);
        let last = first.saturating_add_unsigned(span >> shift);
        let part = whole.cover(first..=last).unwrap();
        prop_assert_eq!(part.windows(), [first..=last]);
        let inside = first.saturating_add_unsigned(at % (span >> shift).max(1)).min(last);
        for window in [first, inside, last] {
            prop_assert_eq!(commitment(&part, window), commitment(&whole, window));
        }
        for outside in [first.checked_sub(1), last.checked_add(1)].into_iter().flatten() {
            prop_assert_eq!(commitment(&part, outside), None);
        }
        // A part of a part is a part of the whole.
        let again = part.cover(inside..=last).unwrap();
        prop_assert_eq!(commitment(&again, last), commitment(&whole, last));
    }
}

#[test]
fn what_is_not_held_is_not_given_on_and_the_first_such_window_is_named() {
    let tree = tree(2);
    let part = tree.cover(10..=20).unwrap();
    let missing = |window| NotHeld { tree: TreeId([2; 32]), window };
    assert_eq!(part.cover(9..=12).unwrap_err(), missing(9));
    assert_eq!(part.cover(15..=21).unwrap_err(), missing(21));
    assert_eq!(part.cover(30..=31).unwrap_err(), missing(30));
    assert_eq!(part.cover(16..=23).unwrap_err(), missing(21));
}

#[test]
fn no_two_chunks_share_a_key() {
    let mut seen = std::collections::HashSet::new();
    for number in 0..3 {
        let tree = tree(number);
        for window in -20..20 {
            for generation in 0..3 {
                for part in 0..3 {
                    let key = tree.body_key(ChunkSlot { window, generation, part }).unwrap();
                    assert!(seen.insert(*key.commitment()));
                }
            }
        }
    }
    // The id is in the key, too: one secret in two trees gives two keys.
    let secret = || chronolith_keys::Secret::new([5; 32]);
    let [one, two] = [1, 2].map(|id| chronolith_keys::KeyTree::new(TreeId([id; 32]), secret()));
    let keys = [one, two].map(|tree| *tree.body_key(slot(0)).unwrap().commitment());
    assert_ne!(keys[0], keys[1]);
}

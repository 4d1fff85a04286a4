//! Whatever buyers put together opens what one of them bought, and nothing else.

use std::collections::BTreeSet;

use chronolith_keys::{Encryption, Grant, KeyTree, Keyring, Secret, TreeId};
use proptest::prelude::*;

use crate::random::{commitment, slot, tree};

fn grant(tree: &KeyTree, first: i64, last: i64) -> Grant {
    Grant::new([tree.cover(first..=last).unwrap()]).unwrap()
}

/// What a header of the tree's first chunk of a window says.
fn header(tree: &KeyTree, window: i64) -> Encryption {
    Encryption { tree: tree.id(), commitment: commitment(tree, window).unwrap() }
}

proptest! {
    #[test]
    fn a_ring_opens_the_union_of_its_grants(
        bought in prop::collection::vec((1_u8..3, -40_i64..40, 0_i64..20), 1..8),
    ) {
        let mut ring = Keyring::new();
        let mut union = BTreeSet::new();
        for (number, first, length) in bought {
            ring.add(&grant(&tree(number), first, first + length));
            union.extend((first..=first + length).map(|window| (number, window)));
        }
        for number in 1..3 {
            let whole = tree(number);
            for window in -70..70 {
                let key = ring.body_key(&header(&whole, window), slot(window));
                prop_assert_eq!(key.is_some(), union.contains(&(number, window)), "{}", window);
            }
            let said = ring.windows(&whole.id());
            let apart = said.windows(2).all(|pair| pair[0].end() + 1 < *pair[1].start());
            prop_assert!(apart, "{:?} could be fewer", said);
            let said: BTreeSet<_> = said.into_iter().flatten().map(|at| (number, at)).collect();
            prop_assert!(said.into_iter().eq(union.iter().copied().filter(|at| at.0 == number)));
        }
    }

    /// From the nodes that they have, by the rule of the tree: not by what this crate offers.
    #[test]
    fn no_secret_of_theirs_is_above_what_they_did_not_buy(
        bought in prop::collection::vec((-40_i64..40, 0_i64..20), 1..6), at in -60_i64..60,
    ) {
        use sha2::{Digest, Sha256};
        let whole = tree(1);
        let union: BTreeSet<_> =
            bought.iter().flat_map(|(first, length)| *first..=first + length).collect();
        prop_assume!(!union.contains(&at));
        let held: BTreeSet<[u8; 32]> = bought
            .iter()
            .flat_map(|(first, length)| {
                let bytes = grant(&whole, *first, first + length).to_bytes();
                bytes[49..].chunks(32).map(|node| node.try_into().unwrap()).collect::<Vec<_>>()
            })
            .collect();
        // All secrets on the way to the leaf that nobody bought.
        let mut node = *Secret::generate(&mut crate::random::Random(1)).bytes();
        let position = (at as u64) ^ (1 << 63);
        for height in (0..64).rev() {
            prop_assert!(!held.contains(&node));
            let bit = (position >> height & 1) as u8;
            let domain = b"\x15chronolith/key-node/1";
            node = Sha256::new().chain_update(domain).chain_update([bit]).chain_update(node).finalize().into();
        }
        prop_assert!(!held.contains(&node));
        let leaf = grant(&whole, at, at).to_bytes();
        prop_assert_eq!(&leaf[49..], node.as_slice(), "the way ends at that leaf");
    }
}

#[test]
fn a_seller_of_wrong_keys_takes_nothing_from_a_buyer() {
    let (right, wrong) = (tree(1), KeyTree::new(TreeId([1; 32]), Secret::new([9; 32])));
    for order in [[&wrong, &right], [&right, &wrong]] {
        let mut ring = Keyring::new();
        for tree in order {
            assert_eq!(ring.add(&grant(tree, 0, 9)), 1);
            assert_eq!(ring.add(&grant(tree, 0, 9)), 0, "the same grant again");
        }
        assert!(ring.body_key(&header(&right, 5), slot(5)).is_some());
        let unknown = Encryption { commitment: [0; 32], ..header(&right, 5) };
        assert!(ring.body_key(&unknown, slot(5)).is_none());
    }
}

#[test]
fn keys_are_forgotten_by_their_tree() {
    let mut ring = Keyring::new();
    ring.add(&grant(&tree(1), i64::MIN, -5));
    ring.add(&grant(&tree(1), 5, i64::MAX));
    ring.add(&grant(&tree(2), 0, 0));
    assert_eq!(ring.windows(&tree(1).id()), [i64::MIN..=-5, 5..=i64::MAX]);
    assert_eq!(ring.trees().collect::<Vec<_>>(), [TreeId([1; 32]), TreeId([2; 32])]);
    assert!(ring.remove(&tree(1).id()) && !ring.remove(&tree(1).id()));
    assert!(ring.windows(&tree(1).id()).is_empty() && !ring.is_empty());
}

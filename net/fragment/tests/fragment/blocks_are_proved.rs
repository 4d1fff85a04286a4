//! Blocks are those that the root commits to, or they are refused.

use chronolith_fragment::{Encoder, FragmentFault, MaskSecret, Profile, Shape, Shown};

use crate::bytes;

#[test]
fn every_range_of_every_fragment_is_provable() {
    let shape = Shape::new(2, 5, 7).unwrap();
    let body = bytes(shape.data_bytes(), 1);
    let encoded = Encoder::new(shape).unwrap().encode(&body, &MaskSecret::new([1; 32])).unwrap();
    for fragment in encoded.fragments() {
        let tree = fragment.tree();
        for first in 0..7 {
            for end in first + 1..=7 {
                let rows = first..end;
                let shown = Shown::of(shape, fragment, &tree, rows.clone()).unwrap().to_bytes();
                let expected = Shown::encoded_bytes(shape, fragment.index, &rows).unwrap();
                assert_eq!(shown.len(), expected);
                let root = encoded.root();
                let found = Shown::check(shape, &root, fragment.index, &rows, &shown).unwrap();
                let range = first as usize * 256..end as usize * 256;
                assert_eq!(found.blocks(), &fragment.bytes[range]);
            }
        }
    }
}

#[test]
fn no_other_bytes_index_rows_or_root_hold() {
    let shape = Shape::of(Profile::Lab, 9_000).unwrap();
    let body = bytes(9_000, 1);
    let encoded = Encoder::new(shape).unwrap().encode(&body, &MaskSecret::new([1; 32])).unwrap();
    let (root, fragment) = (encoded.root(), &encoded.fragments()[3]);
    let good = Shown::of(shape, fragment, &fragment.tree(), 2..4).unwrap().to_bytes();
    let check = |index, rows, bytes: &[u8]| Shown::check(shape, &root, index, &rows, bytes);
    assert!(check(3, 2..4, &good).is_ok());
    for place in 0..good.len() {
        let mut flipped = good.clone();
        flipped[place] ^= 1 << (place % 8);
        assert_eq!(check(3, 2..4, &flipped), Err(FragmentFault::Root), "byte {place}");
        let short = check(3, 2..4, &good[..place]);
        assert!(matches!(short, Err(FragmentFault::Length { .. })));
    }
    for index in [0, 2, 4, 5] {
        assert!(check(index, 2..4, &good).is_err());
    }
    for rows in [0..2, 3..5, 2..5, 7..9] {
        assert!(check(3, rows, &good).is_err());
    }
    assert!(matches!(check(6, 2..4, &good), Err(FragmentFault::Index { .. })));
    for rows in [0..0, 8..10, 9..10, u32::MAX - 1..u32::MAX] {
        assert!(matches!(check(3, rows, &good), Err(FragmentFault::Rows { .. })));
    }
    assert!(Shown::check(shape, &[0; 32], 3, &(2..4), &good).is_err());
    // The other lengths that a tree of the same root cannot have.
    let other = Shape::new(4, 6, shape.blocks() + 1).unwrap();
    assert!(Shown::check(other, &root, 3, &(2..4), &good).is_err());
}

#[test]
fn whole_fragments_are_checked_in_every_byte() {
    let shape = Shape::new(2, 5, 3).unwrap();
    let body = bytes(shape.data_bytes(), 1);
    let encoded = Encoder::new(shape).unwrap().encode(&body, &MaskSecret::new([1; 32])).unwrap();
    let (root, good) = (encoded.root(), encoded.fragments()[1].clone());
    assert_eq!(good.check(shape, &root), Ok(()));
    for place in 0..good.bytes.len() {
        let mut wrong = good.clone();
        wrong.bytes[place] ^= 1;
        assert_eq!(wrong.check(shape, &root), Err(FragmentFault::Root));
    }
    let mut wrong = good.clone();
    wrong.bytes.pop();
    assert!(matches!(wrong.check(shape, &root), Err(FragmentFault::Length { .. })));
    for index in [0, 2, 3, 4] {
        let wrong = chronolith_fragment::Fragment { index, ..good.clone() };
        assert_eq!(wrong.check(shape, &root), Err(FragmentFault::Root));
    }
    let beyond = chronolith_fragment::Fragment { index: 5, ..good.clone() };
    assert!(matches!(beyond.check(shape, &root), Err(FragmentFault::Index { .. })));
    let mut wrong = good;
    wrong.path.hashes.push([0; 32]);
    assert_eq!(wrong.check(shape, &root), Err(FragmentFault::Root));
}

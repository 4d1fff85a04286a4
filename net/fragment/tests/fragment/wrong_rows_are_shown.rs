//! A wrong encoding shows in any `needed + 1` blocks of a wrong row, and nothing else passes for one.

use chronolith_fragment::{
    Committed, Encoded, Encoder, MaskSecret, RowError, RowVerdict, Shape, Shown, ShownRow,
    judge_row,
};

use crate::bytes;

const SECRET: [u8; 32] = [6; 32];

fn encoded(shape: Shape, wrong: Option<(usize, usize)>) -> Encoded {
    let body = bytes(shape.data_bytes(), 2);
    let mut pieces = Encoder::new(shape).unwrap().pieces(&body, &MaskSecret::new(SECRET)).unwrap();
    if let Some((fragment, byte)) = wrong {
        pieces[fragment][byte] ^= 0x40;
    }
    Encoded::of_pieces(shape, pieces).unwrap()
}

fn judge(shape: Shape, encoded: &Encoded, row: u32, of: &[u8]) -> Result<RowVerdict, RowError> {
    let secret = MaskSecret::new(SECRET);
    let shown: Vec<(u8, Vec<u8>, Vec<[u8; 32]>)> = of
        .iter()
        .map(|index| {
            let fragment = &encoded.fragments()[usize::from(*index)];
            let shown = Shown::of(shape, fragment, &fragment.tree(), row..row + 1).unwrap();
            (*index, shown.blocks().to_vec(), shown.hashes().copied().collect())
        })
        .collect();
    let rows: Vec<ShownRow<'_>> = shown
        .iter()
        .map(|(fragment, block, path)| ShownRow { fragment: *fragment, block, path })
        .collect();
    let (root, mask) = (encoded.root(), secret.commitment());
    judge_row(Committed { shape, root: &root, mask: &mask }, &secret, row, &rows)
}

/// All sets of `count` numbers below `all`, rising.
fn sets(all: u8, count: usize) -> Vec<Vec<u8>> {
    let is_set = |bits: &u32| bits.count_ones() as usize == count;
    let members = |bits: u32| (0..all).filter(|index| bits >> index & 1 == 1).collect();
    (0..1_u32 << all).filter(is_set).map(members).collect()
}

#[test]
fn every_set_of_blocks_of_a_wrong_row_shows_it() {
    let shape = Shape::new(4, 6, 3).unwrap();
    for wrong in 0..6_u8 {
        let encoded = encoded(shape, Some((wrong.into(), 300)));
        for of in sets(6, 5) {
            // One wrong fragment among the five is enough; without it they belong together.
            let expected = if of.contains(&wrong) { RowVerdict::Wrong } else { RowVerdict::Sound };
            assert_eq!(judge(shape, &encoded, 1, &of), Ok(expected), "{wrong} {of:?}");
            assert_eq!(judge(shape, &encoded, 0, &of), Ok(RowVerdict::Sound));
        }
    }
}

#[test]
fn honest_encodings_are_never_condemned() {
    for (needed, fragments) in [(1, 2), (4, 6), (10, 30), (32, 96), (127, 128)] {
        let shape = Shape::new(needed, fragments, 2).unwrap();
        let encoded = encoded(shape, None);
        let first: Vec<u8> = (0..=needed).collect();
        let last: Vec<u8> = (fragments - needed - 1..fragments).collect();
        for of in [first, last] {
            for row in 0..2 {
                assert_eq!(judge(shape, &encoded, row, &of), Ok(RowVerdict::Sound));
            }
        }
    }
}

#[test]
fn blocks_that_say_nothing_are_told_apart() {
    let shape = Shape::new(2, 4, 3).unwrap();
    let encoded = encoded(shape, Some((3, 0)));
    for of in [&[0_u8, 1][..], &[0, 1, 2, 3], &[1, 0, 2], &[0, 0, 1]] {
        assert!(matches!(judge(shape, &encoded, 0, of), Err(RowError::Count { .. })), "{of:?}");
    }
    let (root, secret) = (encoded.root(), MaskSecret::new(SECRET));
    let mask = MaskSecret::new([7; 32]).commitment();
    let committed = Committed { shape, root: &root, mask: &mask };
    assert_eq!(judge_row(committed, &secret, 0, &[]), Err(RowError::Secret));
}

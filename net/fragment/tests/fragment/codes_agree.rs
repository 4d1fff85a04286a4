//! The fast code, the portable one and the definition give the same bytes.

use std::collections::BTreeMap;

use chronolith_fragment::{
    CodeError, Encoder, ErasureCode, Fragment, MaskSecret, PortableReedSolomon, Profile,
    ReedSolomon, Shape, fastest, restore, restore_rows,
};

use crate::{bytes, oracle};

fn shapes() -> Vec<Shape> {
    let mut shapes: Vec<Shape> =
        Profile::ALL.iter().map(|profile| Shape::of(*profile, 70_000).unwrap()).collect();
    shapes.extend(
        [(1, 2, 1), (1, 128, 3), (127, 128, 2), (3, 5, 17)]
            .map(|(needed, fragments, blocks)| Shape::new(needed, fragments, blocks).unwrap()),
    );
    shapes
}

fn codes(shape: Shape) -> [Box<dyn ErasureCode>; 2] {
    let (needed, fragments) = (shape.needed(), shape.fragments());
    [
        fastest(needed, fragments).unwrap(),
        Box::new(PortableReedSolomon::new(needed, fragments).unwrap()),
    ]
}

#[test]
fn fragments_are_those_of_the_definition() {
    for shape in shapes() {
        let body = bytes(shape.data_bytes() - 5, 3);
        let secret = MaskSecret::new([8; 32]);
        let mut padded = body.clone();
        padded.resize(shape.data_bytes(), 0);
        let data: Vec<Vec<u8>> =
            padded.chunks(shape.fragment_bytes()).map(<[u8]>::to_vec).collect();
        let expected = oracle::encode(&data, shape.fragments().into());
        for code in codes(shape) {
            let pieces = Encoder::with(shape, code).pieces(&body, &secret).unwrap();
            for (index, mut piece) in pieces.into_iter().enumerate() {
                secret.key(index as u8).apply(0, &mut piece);
                assert!(piece == expected[index], "{shape:?}, fragment {index}");
            }
        }
    }
}

#[test]
fn any_fragments_restore_any_other_block() {
    for shape in shapes() {
        let secret = MaskSecret::new([8; 32]);
        let body = bytes(shape.data_bytes(), 4);
        let encoded = Encoder::new(shape).unwrap().encode(&body, &secret).unwrap();
        let unmasked = |index: u8| {
            let mut bytes = encoded.fragments()[usize::from(index)].bytes[..256].to_vec();
            secret.key(index).apply(0, &mut bytes);
            bytes
        };
        let last: BTreeMap<u8, Vec<u8>> = (shape.fragments() - shape.needed()..shape.fragments())
            .map(|index| (index, unmasked(index)))
            .collect();
        for code in codes(shape) {
            for wanted in 0..shape.fragments() {
                let found = restore_rows(&*code, shape, &last, wanted).unwrap();
                assert_eq!(found, unmasked(wanted), "{shape:?}, fragment {wanted}");
            }
            let mut few = last.clone();
            few.pop_first();
            let wanted = (0..shape.fragments()).find(|index| !few.contains_key(index)).unwrap();
            let refused = restore_rows(&*code, shape, &few, wanted);
            assert!(matches!(refused, Err(CodeError::TooFew { .. })), "{refused:?}");
            assert!(restore_rows(&*code, shape, &last, shape.fragments()).is_err());
        }
    }
}

#[test]
fn what_cannot_be_coded_is_refused() {
    let shape = Shape::new(4, 6, 2).unwrap();
    let secret = MaskSecret::new([8; 32]);
    let encoder = Encoder::new(shape).unwrap();
    let long = encoder.encode(&vec![0; shape.data_bytes() + 1], &secret);
    assert_eq!(long.unwrap_err(), CodeError::Body { found: 2_049, room: 2_048 });
    let encoded = encoder.encode(b"short", &secret).unwrap();
    let all: Vec<&Fragment> = encoded.fragments().iter().collect();
    let doubled = [all[0], all[0], all[1], all[2], all[2]];
    let refused = restore(shape, &doubled, |index| Some(secret.key(index)));
    assert_eq!(refused, Err(CodeError::TooFew { needed: 4, found: 3 }));
    let keyless = restore(shape, &all[1..], |index| (index != 4).then(|| secret.key(index)));
    assert_eq!(keyless, Err(CodeError::MissingKey { fragment: 4 }));
    let mut other = all[5].clone();
    other.index = 9;
    let mut cut = all[4].clone();
    cut.bytes.truncate(256);
    let refused =
        restore(shape, &[&other, &cut, all[0], all[1], all[2]], |index| Some(secret.key(index)));
    assert_eq!(refused, Err(CodeError::TooFew { needed: 4, found: 3 }));
    assert!(ReedSolomon::new(4, 4).is_err() && PortableReedSolomon::new(0, 4).is_err());
}

//! What the fuzz targets do: decode within a bound on what is allocated, check that nothing has two
//! encodings, and that nothing passes that was not made by the seeds.

#[path = "../../../engine/fuzz/src/allocation.rs"]
mod allocation;
mod seed;

use std::collections::BTreeMap;

use allocation::within;
use chronolith_fragment::{Committed, MaskSecret, RowVerdict, Shape, ShownRow, Shown, judge_row};
use chronolith_net::audit::Answer;
use chronolith_net::car::{CarReader, read_items, read_pack, write_pack};
use chronolith_net::pack::{PackBody, PackHeader};
use chronolith_net::partial::{ItemRead, Step};
use chronolith_net::stored::StoredFragment;
pub use seed::{SECRET, Seed, row, seed};

/// What decoders promise to allocate at most.
const fn promised(input: usize) -> usize {
    8 * input + (1 << 20)
}

pub fn answer(data: &[u8]) {
    let Ok(found) = within(promised(data.len()), || Answer::from_bytes(data)) else { return };
    assert!(found.to_bytes() == data, "the answer has another encoding");
    if found.check(&seed().question).is_ok() {
        assert!(found == seed().answer, "another answer holds");
    }
}

pub fn car(data: &[u8]) {
    within(promised(data.len()), || {
        let Ok(mut reader) = CarReader::new(data) else { return };
        while let Ok(Some((cid, block))) = reader.next_block() {
            assert!(cid.matches(&block));
        }
    });
    if let Ok(pack) = read_pack(data) {
        // Lengths have several encodings in a CAR file, so the file itself may differ.
        let written = write_pack(Vec::new(), &pack).expect("memory");
        assert!(read_pack(&written[..]).expect("what was written") == pack);
    }
    if let Ok(items) = read_items(data, 1 << 20) {
        for item in items {
            assert!(item.cid().matches(item.lead()));
            assert!(item.body_cid().is_none_or(|body| body.matches(item.body())));
        }
    }
}

pub fn fragment(data: &[u8]) {
    let found = within(promised(data.len()), || StoredFragment::from_bytes(data));
    let Ok(found) = found else { return };
    assert!(found.to_bytes() == data, "the fragment has another encoding");
    if found.check(seed().pack.header()).is_ok() {
        let index = usize::from(found.fragment.index);
        assert!(found.fragment == seed().fragments[index], "another fragment holds");
    }
}

/// The first byte says which items there are to be; the rest is the body.
pub fn pack(data: &[u8]) {
    let Some((items, body)) = data.split_first() else { return };
    let read = || PackBody::from_bytes(body.to_vec(), u32::from(*items));
    let Ok(found) = within(promised(data.len()), read) else { return };
    assert!(found.items().len() == usize::from(*items) && found.bytes() == body);
    for item in found.items() {
        assert!(found.item(item.cid()) == Some(item));
    }
}

pub fn pack_header(data: &[u8]) {
    let Ok(found) = within(promised(data.len()), || PackHeader::from_bytes(data)) else { return };
    assert!(found.to_bytes() == data, "the header has another encoding");
}

/// Three bytes of a question, then an answer.
pub fn shown(data: &[u8]) {
    let Some(([index, first, count], answer)) = data.split_first_chunk::<3>() else { return };
    let header = seed().pack.header();
    let (shape, root) = (header.shape, &header.fragments_root);
    let rows = u32::from(*first)..u32::from(*first) + u32::from(*count);
    let check = || Shown::check(shape, root, *index, &rows, answer);
    let Ok(found) = within(promised(data.len()), check) else { return };
    let fragment = &seed().fragments[usize::from(*index)];
    let range = rows.start as usize * 256..rows.end as usize * 256;
    assert!(found.blocks() == &fragment.bytes[range], "other blocks hold");
    assert!(found.to_bytes() == answer, "the answer has another encoding");
}

/// A byte that says which item, then a byte for each answer: 0 is the truth, 1 that it cannot be had,
/// and others where it is changed.
pub fn item_read(data: &[u8]) {
    let Some((which, mut tricks)) = data.split_first() else { return };
    let Seed { pack, fragments, .. } = seed();
    let items = pack.body().items();
    let item = &items[usize::from(*which) % items.len()];
    let secret = MaskSecret::new(SECRET);
    let header = pack.header().clone();
    let shape = header.shape;
    let keys: BTreeMap<_, _> = (0..shape.fragments()).map(|index| (index, secret.key(index))).collect();
    let mut read = ItemRead::new(header, item.cid(), keys).expect("a shape");
    for _ in 0..100 {
        let wants = match read.step() {
            Ok(Step::Fetch(wants)) => wants,
            Ok(Step::Done(found)) => {
                assert!(found == *item);
                return;
            }
            Ok(Step::Absent) => panic!("it is there"),
            Err(_) => return,
        };
        for want in wants {
            let (trick, rest) = tricks.split_first().unwrap_or((&0, &[]));
            tricks = rest;
            if *trick == 1 {
                read.tell_missing(want.fragment);
                continue;
            }
            let fragment = &fragments[usize::from(want.fragment)];
            let shown = Shown::of(shape, fragment, &fragment.tree(), want.rows.clone());
            let mut bytes = shown.expect("rows of the fragment").to_bytes();
            if *trick != 0 {
                let place = usize::from(*trick) * 7 % bytes.len();
                bytes[place] ^= 1 << (trick % 8);
            }
            assert!(read.tell(&want, &bytes).is_ok() == (*trick == 0), "a lie is believed");
        }
    }
    panic!("the read does not end");
}

/// A row, then a fragment, a block and a way, three times.
pub fn wrong_row(data: &[u8]) {
    let Some((row, rest)) = data.split_first() else { return };
    let shape = Shape::new(2, 4, 3).expect("sound");
    let (root, _) = seed::row();
    let parts: Vec<(u8, &[u8], Vec<[u8; 32]>)> = rest
        .chunks(1 + 256 + 4 * 32)
        .map(|part| {
            let (fragment, part) = part.split_first().unwrap_or((&0, &[]));
            let (block, path) = part.split_at_checked(256).unwrap_or((part, &[]));
            (*fragment, block, path.as_chunks::<32>().0.to_vec())
        })
        .collect();
    let shown: Vec<ShownRow<'_>> = parts
        .iter()
        .map(|(fragment, block, path)| ShownRow { fragment: *fragment, block, path })
        .collect();
    let secret = MaskSecret::new(SECRET);
    let mask = secret.commitment();
    let committed = Committed { shape, root, mask: &mask };
    let verdict = within(promised(data.len()), || judge_row(committed, &secret, (*row).into(), &shown));
    assert!(!matches!(verdict, Ok(RowVerdict::Wrong)), "an honest encoding is condemned");
}

//! CAR files of packs and of their items come back; anything else is refused with its place.

use chronolith_chain::content::ContentId;
use chronolith_chain::simulate::Random;
use chronolith_fragment::Profile;
use chronolith_net::car::{
    CarError, CarReader, CarWriter, read_items, read_pack, write_items, write_pack,
};
use chronolith_net::pack::Item;

use crate::fixture::{chunk, make, small_body};

#[test]
fn a_pack_comes_back_from_its_file_and_every_flipped_byte_is_seen() {
    let mut random = Random::new(1);
    let body = small_body(&mut random, 4, 200);
    let made = make(&mut random, body, Profile::Lab);
    let file = write_pack(Vec::new(), &made.pack).unwrap();
    assert_eq!(read_pack(&file[..]).unwrap(), made.pack);
    for place in 0..file.len() {
        let mut wrong = file.clone();
        wrong[place] ^= 1 << (place % 8);
        assert!(read_pack(&wrong[..]).is_err(), "byte {place}");
        assert!(read_pack(&file[..place]).is_err());
    }
}

#[test]
fn items_come_back_from_a_file_of_blocks() {
    let mut random = Random::new(2);
    let body = small_body(&mut random, 30, 700);
    let made = make(&mut random, body, Profile::Lab);
    let file = write_items(Vec::new(), &made.pack).unwrap();
    let mut reader = CarReader::new(&file[..]).unwrap();
    let items = made.pack.body().items();
    assert_eq!(reader.roots(), items.iter().map(Item::cid).collect::<Vec<_>>());
    let mut blocks = 0;
    while let Some((cid, block)) = reader.next_block().unwrap() {
        assert!(cid.matches(&block));
        blocks += 1;
    }
    assert_eq!(blocks, 60);
    assert_eq!(read_items(&file[..], 1 << 20).unwrap(), items);
    assert!(matches!(read_items(&file[..], 1_000), Err(CarError::Malformed { .. })));
}

#[test]
fn blocks_that_are_linked_by_several_come_back_with_each() {
    let mut random = Random::new(3);
    let one = chunk(&mut random, 500);
    let block = Item::block(ContentId::of_raw(b"a photo"), b"a photo".to_vec()).unwrap();
    let mut car = CarWriter::new(Vec::new(), &[one.cid(), block.cid()]).unwrap();
    for (cid, bytes) in [
        (ContentId::of_raw(one.body()), one.body()),
        (one.cid(), one.lead()),
        (block.cid(), block.lead()),
        (block.cid(), block.lead()),
    ] {
        car.block(cid, bytes).unwrap();
    }
    let file = car.finish().unwrap();
    assert_eq!(read_items(&file[..], 1 << 20).unwrap(), [one, block]);
}

#[test]
fn what_is_no_car_file_is_told_with_its_place() {
    let place = |bytes: &[u8]| match CarReader::new(bytes) {
        Err(CarError::Malformed { offset, .. }) => offset,
        other => panic!("{:?}", other.err()),
    };
    assert_eq!(place(b""), 0);
    assert_eq!(place(&[0x80]), 1);
    assert_eq!(place(&[0xff; 20]), 9);
    assert_eq!(place(&[0xff, 0xff, 0xff, 0x7f]), 4);
    assert_eq!(place(&[5, 1, 2, 3]), 4);
    let version_two = {
        let good = CarWriter::new(Vec::new(), &[]).unwrap().finish().unwrap();
        let last = good.len() - 1;
        let mut wrong = good;
        wrong[last] = 2;
        wrong
    };
    assert_eq!(place(&version_two), version_two.len() as u64);
}

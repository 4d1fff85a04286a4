//! What goes into packs comes out again, whole and in order; anything else is refused.

use chronolith_chain::content::ContentId;
use chronolith_chain::simulate::Random;
use chronolith_fragment::{BODY_BYTES_MAX, Cut, Profile, Shape};
use chronolith_merkle::HashFunction;
use chronolith_net::exchange::FRAGMENT_BYTES_MAX;
use chronolith_net::pack::{
    FragmentsError, Item, PACK_BYTES, Pack, PackBody, PackError, PackHeader, Packer,
};
use chronolith_net::stored::{StoredFragment, can_be_handed, stored_bytes};

use crate::fixture::{body, bytes, chunk, make, secret, small_body};

#[test]
fn items_come_back_in_the_order_in_which_they_were_added() {
    let mut random = Random::new(1);
    let items: Vec<Item> = (0..900).map(|number| chunk(&mut random, 500 + 7 * number)).collect();
    let mut packer = Packer::default();
    let mut bodies: Vec<PackBody> =
        items.iter().filter_map(|item| packer.add(item.clone())).collect();
    bodies.extend(packer.finish());
    assert_eq!(packer.finish(), None);
    let found: Vec<Item> = bodies.iter().flat_map(PackBody::items).collect();
    assert!(found == items);
    let (last, full) = bodies.split_last().unwrap();
    for body in full {
        let size = body.bytes().len();
        assert!(size <= PACK_BYTES && size > PACK_BYTES - 10_000, "{size}");
    }
    assert!(!last.bytes().is_empty());
    for body in &bodies {
        let count = body.entries().len() as u32;
        assert_eq!(PackBody::from_bytes(body.bytes().to_vec(), count).as_ref(), Ok(body));
        for item in body.items() {
            assert_eq!(body.item(item.cid()), Some(item));
        }
        assert_eq!(body.item(ContentId::of_raw(b"something else")), None);
    }
}

#[test]
fn a_blob_larger_than_a_pack_lies_in_several() {
    let mut random = Random::new(2);
    let blob = bytes(&mut random, 5 << 20);
    let mut packer = Packer::default();
    let mut bodies = Vec::new();
    for block in blob.chunks(1 << 20) {
        let item = Item::block(ContentId::of_raw(block), block.to_vec()).unwrap();
        bodies.extend(packer.add(item));
    }
    bodies.extend(packer.finish());
    assert_eq!(bodies.len(), 5);
    let back: Vec<u8> = bodies.iter().flat_map(|body| body.items()[0].lead().to_vec()).collect();
    assert!(back == blob);
}

#[test]
fn an_item_is_packed_once() {
    let mut random = Random::new(3);
    let item = chunk(&mut random, 100);
    let mut packer = Packer::default();
    packer.add(item.clone());
    packer.add(item.clone());
    assert_eq!(packer.finish().unwrap().items(), [item]);
}

#[test]
fn an_item_must_be_what_its_ids_name() {
    let mut random = Random::new(4);
    let good = chunk(&mut random, 100);
    let (cid, lead, body) = (good.cid(), good.lead().to_vec(), good.body().to_vec());
    let refused = |cid, lead: &[u8], body: &[u8]| {
        matches!(Item::chunk(cid, lead.to_vec(), body.to_vec()), Err(PackError::Item { .. }))
    };
    assert!(!refused(cid, &lead, &body) && !refused(cid, &lead, &[]));
    assert!(refused(cid, &lead, b"another body"));
    assert!(refused(cid, &body, &lead) && refused(cid, &[], &body));
    let raw = ContentId::of_raw(&lead);
    assert!(refused(raw, &lead, &body), "a raw block has no body");
    assert!(!refused(raw, &lead, &[]));
    let blake3 = ContentId::of_dag_cbor(HashFunction::Blake3, &lead);
    assert!(!refused(blake3, &lead, &body));
    let large = vec![0; BODY_BYTES_MAX - 47];
    assert!(refused(ContentId::of_raw(&large), &large, &[]));
    assert!(!refused(ContentId::of_raw(&large[1..]), &large[1..], &[]));
}

#[test]
fn headers_have_one_encoding() {
    let mut random = Random::new(5);
    let body = small_body(&mut random, 3, 900);
    let made = make(&mut random, body, Profile::Standard);
    let header = made.pack.header();
    let good = header.to_bytes();
    assert_eq!(PackHeader::from_bytes(&good).as_ref(), Ok(header));
    for place in 0..good.len() {
        assert!(PackHeader::from_bytes(&good[..place]).is_err());
        for bit in 0..8 {
            let mut flipped = good.clone();
            flipped[place] ^= 1 << bit;
            if let Ok(other) = PackHeader::from_bytes(&flipped) {
                assert!(other != *header && other.to_bytes() == flipped);
            }
        }
    }
    assert!(PackHeader::from_bytes(&[&good[..], &[0]].concat()).is_err());
    assert!(PackHeader::from_bytes(&[0; 2_000]).is_err());
}

#[test]
fn every_flipped_byte_of_a_pack_is_seen() {
    let mut random = Random::new(6);
    let body = small_body(&mut random, 5, 120);
    let made = make(&mut random, body, Profile::Lab);
    let (header, good) = (made.pack.header(), made.pack.body().bytes().to_vec());
    assert_eq!(Pack::of_parts(header.clone(), good.clone()), Ok(made.pack.clone()));
    for place in 0..good.len() {
        let mut wrong = good.clone();
        wrong[place] ^= 1 << (place % 8);
        // By the header's id of the body, and by the items' own.
        let refused = Pack::of_parts(header.clone(), wrong.clone());
        assert!(matches!(refused, Err(PackError::OtherBody { .. })));
        assert!(PackBody::from_bytes(wrong, header.items).is_err(), "byte {place}");
    }
    for items in [0, 1, 4, 6, u32::MAX] {
        assert!(PackBody::from_bytes(good.clone(), items).is_err(), "{items} items");
    }
}

/// A contract may say that one fragment restores a pack. That of a large chunk was larger than what goes over the
/// network: coin was set aside for it, and no peer could ever be handed it.
#[test]
fn no_pack_has_fragments_that_cannot_be_handed_over() {
    let mut random = Random::new(11);
    let (one, two) = (Cut::new(1, 2).unwrap(), Cut::new(2, 3).unwrap());
    let large = chunk(&mut random, PACK_BYTES + 4_096);
    assert!(matches!(large.ensure_cut(one), Err(PackError::Fragment { needed: 1, .. })));
    assert_eq!(large.ensure_cut(two), Ok(()));
    let mut packer = Packer::default();
    packer.add(large);
    let (body, secret) = (packer.finish().unwrap(), secret(&mut random));
    let refused = Pack::make(body.clone(), one, &secret).unwrap_err();
    assert!(refused.to_string().contains("any 1 of 2 fragments"), "{refused}");
    // What is not refused goes over: as large a body as there is, cut so, and a full pack of small chunks.
    let (pack, encoded) = Pack::make(body, two, &secret).unwrap();
    let largest = Shape::of(two, BODY_BYTES_MAX).unwrap();
    assert!(can_be_handed(largest) && stored_bytes(largest) <= FRAGMENT_BYTES_MAX);
    let shape = pack.header().shape;
    for fragment in encoded.into_fragments() {
        let stored = StoredFragment { pack: pack.content_id(), shape, fragment };
        assert!(stored.to_bytes().len() <= stored_bytes(shape));
    }
    let full = crate::fixture::body(&mut random, 4_000);
    assert!(Pack::make(full, one, &secret).is_ok());
    let most = Shape::of(one, PACK_BYTES).unwrap();
    assert!(can_be_handed(most), "whatever is gathered from several items");
}

#[test]
fn the_same_body_profile_and_secret_make_the_same_pack() {
    let mut random = Random::new(7);
    let body = body(&mut random, 4_000);
    let secret = secret(&mut random);
    let (pack, encoded) = Pack::make(body.clone(), Profile::Lab, &secret).unwrap();
    let (again, _) = Pack::make(body.clone(), Profile::Lab, &secret).unwrap();
    assert_eq!(pack.content_id(), again.content_id());
    assert_eq!(pack.fragments(&secret).unwrap().fragments(), encoded.fragments());
    let other = crate::fixture::secret(&mut random);
    assert_eq!(pack.fragments(&other).unwrap_err(), FragmentsError::OtherSecret);
    let (masked, _) = Pack::make(body, Profile::Lab, &other).unwrap();
    assert_eq!(masked.header().body, pack.header().body);
    assert_ne!(masked.content_id(), pack.content_id());
}

//! One chunk is read without the pack: few bytes, all of them checked.

use std::collections::BTreeMap;

use chronolith_chain::content::ContentId;
use chronolith_chain::simulate::Random;
use chronolith_fragment::{MaskKey, Profile, Shown};
use chronolith_net::pack::Item;
use chronolith_net::partial::{ItemRead, ReadError, Step, Want};

use crate::fixture::{Made, body, make, small_body};

fn keys(made: &Made, of: impl IntoIterator<Item = u8>) -> BTreeMap<u8, MaskKey> {
    of.into_iter().map(|index| (index, made.secret.key(index))).collect()
}

fn answer(made: &Made, want: &Want) -> Vec<u8> {
    let fragment = &made.fragments[usize::from(want.fragment)];
    let shape = made.pack.header().shape;
    Shown::of(shape, fragment, &fragment.tree(), want.rows.clone()).unwrap().to_bytes()
}

/// Reads with peers that do not have the fragments in `gone`, and lie about those in `lying`; what was
/// read, how many bytes that took and how many rounds, and about which fragments a lie was seen.
fn read(
    made: &Made,
    cid: ContentId,
    keys: BTreeMap<u8, MaskKey>,
    gone: &[u8],
    lying: &[u8],
) -> Result<(Option<Item>, u64, u32, Vec<u8>), ReadError> {
    let mut read = ItemRead::new(made.pack.header().clone(), cid, keys)?;
    let (mut rounds, mut lies) = (0, Vec::new());
    loop {
        let item = match read.step()? {
            Step::Done(item) => Some(item),
            Step::Absent => None,
            Step::Fetch(wants) => {
                rounds += 1;
                assert!(rounds < 40, "it does not end");
                for want in wants {
                    if gone.contains(&want.fragment) {
                        read.tell_missing(want.fragment);
                        continue;
                    }
                    let mut bytes = answer(made, &want);
                    if lying.contains(&want.fragment) {
                        bytes[7] ^= 1;
                    }
                    if read.tell(&want, &bytes).is_err() {
                        lies.push(want.fragment);
                    }
                }
                continue;
            }
        };
        return Ok((item, read.bytes_read(), rounds, lies));
    }
}

#[test]
fn a_chunk_of_four_kilobytes_costs_less_than_three_times_its_bytes() {
    let mut random = Random::new(1);
    for profile in Profile::ALL {
        let body = body(&mut random, 4_096);
        let made = make(&mut random, body, profile);
        let (mut worst, mut all, mut bytes, mut most_rounds) = (0.0_f64, 0, 0, 0);
        for item in made.pack.body().items() {
            let size = (item.lead().len() + item.body().len()) as u64;
            let keys = keys(&made, 0..profile.needed());
            let (found, read, rounds, _) = read(&made, item.cid(), keys, &[], &[]).unwrap();
            assert_eq!(found, Some(item));
            worst = worst.max(read as f64 / size as f64);
            (all, bytes) = (all + read, bytes + size);
            most_rounds = most_rounds.max(rounds);
        }
        let mean = all as f64 / bytes as f64;
        println!("{profile}: {mean:.2} on average, {worst:.2} at most, {most_rounds} rounds");
        assert!(worst < 3.0 && most_rounds <= 8);
    }
}

#[test]
fn any_size_comes_back_wherever_it_lies() {
    let mut random = Random::new(2);
    for size in [1, 200, 256, 1_000, 60_000, 300_000] {
        let chunks = (400_000 / size).clamp(1, 60);
        let body = small_body(&mut random, chunks, size);
        let made = make(&mut random, body, Profile::Lab);
        for item in made.pack.body().items() {
            let found = read(&made, item.cid(), keys(&made, 0..4), &[], &[]).unwrap().0;
            assert_eq!(found, Some(item));
        }
    }
}

#[test]
fn a_chunk_that_is_not_there_is_absent() {
    let mut random = Random::new(3);
    let body = body(&mut random, 3_000);
    let made = make(&mut random, body, Profile::Standard);
    for number in 0..200_u32 {
        let other = ContentId::of_raw(&number.to_le_bytes());
        let (found, bytes, ..) = read(&made, other, keys(&made, 0..10), &[], &[]).unwrap();
        assert!(found.is_none() && bytes < 20_000, "{bytes}");
    }
}

#[test]
fn missing_and_lying_fragments_are_decoded_around() {
    let mut random = Random::new(4);
    let body = body(&mut random, 20_000);
    let made = make(&mut random, body, Profile::Lab);
    for item in made.pack.body().items().into_iter().step_by(5) {
        for (gone, lying) in [(&[0_u8][..], &[][..]), (&[], &[1]), (&[0], &[2]), (&[2, 5], &[])] {
            let all = keys(&made, 0..6);
            let (found, _, _, lies) = read(&made, item.cid(), all, gone, lying).unwrap();
            assert_eq!(found.as_ref(), Some(&item));
            assert!(lies.iter().all(|fragment| lying.contains(fragment)));
        }
    }
}

#[test]
fn too_few_fragments_or_keys_are_told() {
    let mut random = Random::new(5);
    let body = body(&mut random, 20_000);
    let made = make(&mut random, body, Profile::Lab);
    let cid = made.pack.body().items()[0].cid();
    let gone = read(&made, cid, keys(&made, 0..6), &[0, 1, 2], &[]);
    assert!(matches!(gone, Err(ReadError::Unreadable { needed: 4, found: 3, .. })), "{gone:?}");
    let keyless = read(&made, cid, keys(&made, 1..4), &[], &[]);
    assert!(matches!(keyless, Err(ReadError::Unreadable { fragment: 0, found: 3, .. })));
}

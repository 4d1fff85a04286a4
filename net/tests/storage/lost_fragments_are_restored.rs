//! Any n − k fragments may be missing or wrong: the pack comes back, and who lied is named.

use std::collections::BTreeSet;

use chronolith_chain::simulate::Random;
use chronolith_fragment::{CodeError, Profile};
use chronolith_net::join::{Collector, JoinError, Lie};
use chronolith_net::stored::StoredFragment;

use crate::fixture::{Made, body, count, make, small_body};

/// What a liar sends for a fragment: damage of every kind.
fn lie(random: &mut Random, made: &Made, other: &Made, index: usize) -> Vec<u8> {
    let mut bytes = made.sent[index].clone();
    match random.below(8) {
        0 => {
            let place = random.below(bytes.len() as u64) as usize;
            bytes[place] ^= 1 << random.below(8);
        }
        1 => bytes.truncate(random.below(bytes.len() as u64) as usize),
        2 => bytes.push(0),
        3 => bytes = other.sent[index].clone(),
        4 => {
            // The right bytes under another index.
            let mut stored = StoredFragment::from_bytes(&bytes).unwrap();
            let shape = stored.shape;
            stored.fragment.index = (stored.fragment.index + 1) % shape.fragments();
            bytes = stored.to_bytes();
        }
        5 => {
            // Another body under the right name.
            let mut stored = StoredFragment::from_bytes(&other.sent[index]).unwrap();
            stored.pack = made.pack.content_id();
            bytes = stored.to_bytes();
        }
        6 => bytes.iter_mut().skip(51).for_each(|byte| *byte = 0),
        _ => bytes.clear(),
    }
    bytes
}

/// Joins what is left when some are lost and the peers in `lying` lie; checks that all is as it was.
fn join(random: &mut Random, made: &Made, other: &Made, gone: &[usize], lying: &[usize]) {
    let mut collector = Collector::new(made.pack.header().clone());
    for index in 0..made.sent.len() {
        if lying.contains(&index) {
            let bytes = lie(random, made, other, index);
            assert!(!collector.offer(index, &bytes));
        } else if !gone.contains(&index) {
            assert!(collector.offer(index, &made.sent[index]));
        }
    }
    let named: Vec<usize> = collector.liars().iter().map(|liar| liar.peer).collect();
    assert!(named == lying, "{named:?} for {lying:?}");
    let pack = collector.join(|index| Some(made.secret.key(index))).unwrap();
    assert!(pack.content_id() == made.pack.content_id() && pack == made.pack);
}

#[test]
fn every_pattern_of_two_lost_of_six_is_restored_with_liars_named() {
    let mut random = Random::new(1);
    let body_of_it = body(&mut random, 4_000);
    let made = make(&mut random, body_of_it, Profile::Lab);
    let body_of_other = body(&mut random, 4_000);
    let other = make(&mut random, body_of_other, Profile::Lab);
    let mut patterns = 0;
    for lost in (0..1_u32 << 6).filter(|lost| lost.count_ones() <= 2) {
        let lost: Vec<usize> = (0..6).filter(|index| lost >> index & 1 == 1).collect();
        // Each of the lost may be missing, or a lie.
        for lying in 0..1_usize << lost.len() {
            let is_lying = |place: &usize| lying >> place & 1 == 1;
            let lying: Vec<usize> =
                (0..lost.len()).filter(is_lying).map(|place| lost[place]).collect();
            join(&mut random, &made, &other, &lost, &lying);
            patterns += 1;
        }
    }
    assert_eq!(patterns, 1 + 6 * 2 + 15 * 4);
}

/// Random patterns of as many lost as may be, of which up to all lie.
fn random_patterns(profile: Profile, patterns: u64) {
    let mut random = Random::new(u64::from(profile.needed()));
    // Small packs: what is tried are patterns; a megabyte would only take longer.
    let body_of_it = small_body(&mut random, 5, 1_200);
    let made = make(&mut random, body_of_it, profile);
    let body_of_other = small_body(&mut random, 5, 1_200);
    let other = make(&mut random, body_of_other, profile);
    let all = usize::from(profile.fragments());
    let spare = all - usize::from(profile.needed());
    let mut different = BTreeSet::new();
    for _ in 0..patterns {
        let mut lost: Vec<usize> = (0..all).collect();
        for place in 0..spare {
            lost.swap(place, place + random.below((all - place) as u64) as usize);
        }
        lost.truncate(spare);
        let mut lying: Vec<usize> = lost[..random.below(spare as u64 + 1) as usize].to_vec();
        lying.sort_unstable();
        join(&mut random, &made, &other, &lost, &lying);
        lost.sort_unstable();
        different.insert(lost);
    }
    println!("{profile}: {patterns} patterns, {} of them different", different.len());
    assert!(different.len() as u64 > patterns * 9 / 10);
}

#[test]
fn random_patterns_of_20_lost_of_30_are_restored_with_liars_named() {
    random_patterns(Profile::Standard, count("CHRONOLITH_PATTERNS", 300));
}

#[test]
fn random_patterns_of_64_lost_of_96_are_restored_with_liars_named() {
    random_patterns(Profile::Wide, count("CHRONOLITH_PATTERNS", 100));
}

#[test]
fn repaired_fragments_are_bit_identical() {
    let mut random = Random::new(3);
    for profile in Profile::ALL {
        let body = body(&mut random, 9_000);
        let made = make(&mut random, body, profile);
        let mut collector = Collector::new(made.pack.header().clone());
        let spare = usize::from(profile.fragments() - profile.needed());
        for sent in &made.sent[spare..] {
            assert!(collector.offer((), sent));
        }
        assert_eq!(collector.missing().collect::<Vec<_>>(), (0..spare as u8).collect::<Vec<_>>());
        let (pack, rebuilt) = collector.rebuild(&made.secret).unwrap();
        assert!(pack == made.pack && rebuilt == made.fragments, "{profile}");
    }
}

#[test]
fn one_fragment_too_few_says_so() {
    let mut random = Random::new(4);
    let body = small_body(&mut random, 2, 500);
    let made = make(&mut random, body, Profile::Lab);
    let mut collector = Collector::new(made.pack.header().clone());
    for index in [0, 2, 5, 5] {
        assert!(collector.offer(index, &made.sent[index]));
        assert!(!collector.is_enough());
    }
    let refused = collector.join(|index| Some(made.secret.key(index)));
    assert!(matches!(refused, Err(JoinError::Code(CodeError::TooFew { needed: 4, found: 3 }))));
    assert!(collector.offer(1, &made.sent[1]) && collector.is_enough());
    let keyless = collector.join(|index| (index < 4).then(|| made.secret.key(index)));
    assert!(matches!(keyless, Err(JoinError::Code(CodeError::MissingKey { fragment: 5 }))));
}

#[test]
fn a_fragment_of_another_pack_is_told_as_such() {
    let mut random = Random::new(5);
    let [made, other] = [1, 2].map(|chunks| {
        let body = small_body(&mut random, chunks, 500);
        make(&mut random, body, Profile::Lab)
    });
    let mut collector = Collector::new(made.pack.header().clone());
    collector.offer("b", &other.sent[0]);
    let found = other.pack.content_id();
    assert_eq!(collector.liars()[0].lie, Lie::OtherPack { found });
}

//! A pack comes back from any peers that are enough, and who lies is named.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chronolith_chain::simulate::Random;
use chronolith_fragment::Profile;
use chronolith_net::fetch::{
    Failure, FetchError, FetchEvent, FetchSettings, Fetched, PackFetch, fetch_pack,
};
use chronolith_net::network::PeerId;

use crate::fetch_keepers::{Deed, World, given, hasty, named, patient};
use crate::fixture::{Made, body, make, small_body};
use crate::peers::wait;

fn lab(seed: u64) -> Arc<Made> {
    let mut random = Random::new(seed);
    let body = small_body(&mut random, 9, 3_000);
    Arc::new(make(&mut random, body, Profile::Lab))
}

fn fetch(world: &World, fetch: PackFetch) -> (Result<Fetched, FetchError>, Vec<FetchEvent>) {
    let mut events = Vec::new();
    let network = world.seeker.network.handle();
    let fetched = wait(fetch_pack(&network, fetch, |event| events.push(event)));
    (fetched, events)
}

fn assert_whole(world: &World, fetched: &Fetched) {
    let secret = world.made.secret.clone();
    let pack = fetched.collector.join(|index| Some(secret.key(index))).unwrap();
    assert_eq!(pack.content_id(), world.made.pack.content_id());
    assert!(pack == world.made.pack);
}

#[test]
fn any_two_of_six_peers_may_be_gone() {
    let made = lab(1);
    for first in 0..6 {
        for second in first + 1..6 {
            let mut world = World::of(&made, |_| Deed::Honest);
            let wish = world.fetch(given());
            let gone = [world.peer(first), world.peer(second)];
            drop(world.keepers.remove(second));
            drop(world.keepers.remove(first));
            let (fetched, events) = fetch(&world, wish);
            let fetched = fetched.unwrap();
            assert_whole(&world, &fetched);
            assert_eq!(named(&events), BTreeSet::new());
            assert_eq!(fetched.report.liars().count(), 0);
            for peer in gone {
                let done = &fetched.report.peers[&peer];
                assert!(done.gave.is_empty(), "{first} {second}: {done}");
                assert!(matches!(done.failure, Some(Failure::Request(_))), "{done}");
            }
        }
    }
}

#[test]
fn twenty_of_thirty_may_be_gone_or_lie_and_every_lie_is_named() {
    let mut random = Random::new(2);
    let body = body(&mut random, 8_000);
    let made = Arc::new(make(&mut random, body, Profile::Standard));
    for pattern in 0..4 {
        // Ten are honest, wherever; of the others each is gone, lies or does not give what it has.
        let mut order: Vec<u8> = (0..30).collect();
        for at in (1..order.len()).rev() {
            order.swap(at, random.next() as usize % (at + 1));
        }
        let honest: BTreeSet<u8> = order[..10].iter().copied().collect();
        let others = [&Deed::LIES[..], &[Deed::IsAbsent, Deed::Refuses]].concat();
        let deeds: Vec<Deed> = (0..30_u8)
            .map(|index| match honest.contains(&index) {
                true => Deed::Honest,
                false => others[random.next() as usize % others.len()],
            })
            .collect();
        let mut world = World::of(&made, |index| deeds[usize::from(index)]);
        let wish = world.fetch(patient());
        let kept =
            |index: usize| honest.contains(&(index as u8)) || !(pattern + index).is_multiple_of(3);
        let mut index = 0;
        world.keepers.retain(|_| {
            index += 1;
            kept(index - 1)
        });
        let (fetched, events) = fetch(&world, wish);
        let fetched = fetched.unwrap();
        assert_whole(&world, &fetched);
        let liars = world.liars();
        assert!(!liars.is_empty(), "pattern {pattern} shows nothing");
        assert_eq!(named(&events), liars, "pattern {pattern}");
        let reported: BTreeSet<PeerId> = fetched.report.liars().map(|(peer, _)| *peer).collect();
        assert_eq!(reported, liars);
        let gave: BTreeSet<u8> =
            fetched.report.peers.values().flat_map(|done| done.gave.clone()).collect();
        assert_eq!(gave, honest, "pattern {pattern}");
    }
}

#[test]
fn too_few_fragments_are_told_with_who_gave_what() {
    let made = lab(3);
    let world = World::of(&made, |index| match index {
        0..3 => Deed::Honest,
        3 => Deed::Refuses,
        4 => Deed::IsAbsent,
        _ => Deed::Spoils,
    });
    let (fetched, _) = fetch(&world, world.fetch(patient()));
    let Err(error @ FetchError::TooFew { found: 3, needed: 4, .. }) = fetched else {
        panic!("{:?}", fetched.err());
    };
    let report = error.report().unwrap();
    let of = |number: usize| &report.peers[&world.peer(number)];
    assert_eq!((&of(0).gave[..], &of(2).gave[..]), (&[0][..], &[2][..]));
    assert_eq!((&of(3).withheld[..], &of(4).withheld[..]), (&[3][..], &[4][..]));
    assert!(of(5).lie.is_some() && of(3).lie.is_none() && of(4).lie.is_none());
    let text = error.to_string();
    let peer = world.peer(5);
    assert!(text.starts_with("3 of the 4 fragments") && text.contains(&format!("{peer} lied")));
}

#[test]
fn a_peer_that_never_answers_is_not_waited_for() {
    let made = lab(4);
    let world = World::of(&made, |index| if index == 1 { Deed::Waits } else { Deed::Honest });
    let (fetched, events) = fetch(&world, world.fetch(given()));
    let fetched = fetched.unwrap();
    assert_whole(&world, &fetched);
    let silent = world.peer(1);
    let instead = events.iter().find_map(|event| match event {
        FetchEvent::Hedged { late, fragment: 1, asked, instead } if *late == silent => {
            Some((asked.unwrap(), *instead))
        }
        _ => None,
    });
    let (asked, instead) = instead.unwrap();
    assert!(asked != silent && instead >= 4);
    let gave = &fetched.report.peers[&asked].gave;
    assert!(gave.contains(&instead), "{gave:?}");
    let done = &fetched.report.peers[&silent];
    assert!(done.is_silent() && done.gave.is_empty() && done.lie.is_none(), "{done}");
}

#[test]
fn half_of_the_peers_may_say_what_they_keep_and_then_nothing() {
    let mut random = Random::new(5);
    let body = small_body(&mut random, 9, 3_000);
    let made = Arc::new(make(&mut random, body, Profile::Standard));
    let world = World::of(&made, |index| match index % 2 {
        0 => Deed::Waits,
        _ => Deed::Honest,
    });
    let (fetched, events) = fetch(&world, world.fetch(given()));
    let fetched = fetched.unwrap();
    assert_whole(&world, &fetched);
    assert!(fetched.collector.fragments().all(|fragment| fragment.index % 2 == 1));
    assert_eq!(named(&events), BTreeSet::new());
}

#[test]
fn a_late_fragment_is_taken_if_it_comes_first_after_all() {
    let made = lab(6);
    let world = World::of(&made, |index| if index == 0 { Deed::Waits } else { Deed::Honest });
    let (mut events, gate) = (Vec::new(), Arc::clone(&world.gate));
    let network = world.seeker.network.handle();
    let fetched = wait(fetch_pack(&network, world.fetch(given()), |event| {
        if matches!(event, FetchEvent::Hedged { .. }) {
            gate.open();
        }
        events.push(event);
    }));
    assert_whole(&world, &fetched.unwrap());
    assert_eq!(named(&events), BTreeSet::new());
}

#[test]
fn where_all_are_late_at_once_the_pack_comes_back_all_the_same() {
    let made = lab(8);
    let world = World::of(&made, |index| match index {
        2 => Deed::Spoils,
        5 => Deed::SaysLate,
        _ => Deed::Honest,
    });
    let (fetched, events) = fetch(&world, world.fetch(hasty()));
    assert_whole(&world, &fetched.unwrap());
    assert!(named(&events).is_subset(&BTreeSet::from([world.peer(2)])));
}

#[test]
fn a_fetch_ends_at_its_deadline() {
    let made = lab(7);
    let world = World::of(&made, |index| if index < 3 { Deed::Honest } else { Deed::Waits });
    let settings = FetchSettings { deadline: Duration::from_secs(2), ..given() };
    let (fetched, _) = fetch(&world, world.fetch(settings));
    assert!(matches!(fetched, Err(FetchError::Late { .. })));
}

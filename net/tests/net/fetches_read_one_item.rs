//! One item is read over the network: few bytes, and around peers that lie or are silent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use chronolith_chain::content::ContentId;
use chronolith_chain::simulate::Random;
use chronolith_fragment::{MaskSecret, Profile};
use chronolith_net::fetch::{
    FetchError, FetchEvent, FetchSettings, FetchedItem, ItemFetch, Keys, fetch_item,
};
use chronolith_net::pack::Item;

use crate::fetch_keepers::{Deed, World, given, hasty, named, patient};
use crate::fixture::{Made, body, make};
use crate::peers::wait;

fn full(seed: u64, chunk_bytes: usize, profile: Profile) -> Arc<Made> {
    let mut random = Random::new(seed);
    let body = body(&mut random, chunk_bytes);
    Arc::new(make(&mut random, body, profile))
}

fn size(item: &Item) -> u64 {
    (item.lead().len() + item.body().len()) as u64
}

fn fetch(
    world: &World,
    item: ContentId,
    keys: Keys,
    settings: FetchSettings,
) -> (Result<FetchedItem, FetchError>, Vec<FetchEvent>) {
    let (pack, sources) = (world.made.pack.content_id(), world.sources());
    let fetch = ItemFetch { pack, item, keys, sources, settings };
    let (mut events, network) = (Vec::new(), world.seeker.network.handle());
    let fetched = wait(fetch_item(&network, fetch, |event| events.push(event)));
    (fetched, events)
}

/// The keys that a buyer of anything in the pack is granted at most: those of the data fragments.
fn granted(made: &Made) -> Keys {
    let data = 0..made.pack.header().shape.needed();
    Keys::Granted(data.map(|index| (index, made.secret.key(index))).collect())
}

/// The fragment in which an item begins.
fn place(made: &Made, item: &Item) -> u8 {
    let entries = made.pack.body().entries();
    let entry = entries.iter().find(|entry| entry.cid == item.cid()).unwrap();
    made.pack.header().shape.place(entry.offset as usize).0
}

#[test]
fn a_chunk_of_four_kilobytes_costs_less_than_three_times_its_bytes_on_the_wire() {
    for profile in [Profile::Lab, Profile::Standard] {
        let made = full(1, 4_096, profile);
        let world = World::of(&made, |_| Deed::Honest);
        let (mut worst, mut read, mut all) = (0.0_f64, 0, 0);
        for item in made.pack.body().items().iter().step_by(9) {
            let before = world.bytes();
            let (fetched, _) = fetch(&world, item.cid(), granted(&made), patient());
            let fetched = fetched.unwrap();
            assert_eq!(fetched.item.as_ref(), Some(item));
            let bytes = world.bytes() - before;
            worst = worst.max(bytes as f64 / size(item) as f64);
            (read, all) = (read + bytes, all + size(item));
        }
        println!("{profile}: {:.2} on average, {worst:.2} at most", read as f64 / all as f64);
        assert!(worst < 3.0);
    }
}

#[test]
fn a_liar_at_the_data_fragment_costs_little_where_another_peer_keeps_it_too() {
    let made = full(2, 4_096, Profile::Lab);
    let mut seen = 0;
    let (mut worst, mut read, mut all) = (0.0_f64, 0, 0);
    for item in made.pack.body().items().iter().step_by(25) {
        let lying = place(&made, item);
        // The liar comes first, and somebody else keeps the same fragment.
        let liar = (vec![lying], Deed::Spoils);
        let honest = (0..6).map(|index| (vec![index], Deed::Honest));
        let world = World::new(&made, std::iter::once(liar).chain(honest));
        let (fetched, events) = fetch(&world, item.cid(), granted(&made), patient());
        assert_eq!(fetched.unwrap().item.as_ref(), Some(item));
        assert_eq!(named(&events), world.liars());
        seen += world.liars().len();
        let bytes = world.bytes();
        worst = worst.max(bytes as f64 / size(item) as f64);
        (read, all) = (read + bytes, all + size(item));
    }
    println!("{seen} lies: {:.2} on average, {worst:.2} at most", read as f64 / all as f64);
    assert!(seen > 0, "no liar was ever asked");
    // A chunk whose blocks are cut badly may cost a little more than three times its bytes.
    assert!((read as f64) < 3.0 * all as f64 && worst < 3.2, "{worst}");
}

#[test]
fn a_liar_who_alone_has_the_data_fragment_is_decoded_around() {
    let made = full(3, 4_096, Profile::Lab);
    let (mut worst, mut read, mut all) = (0.0_f64, 0, 0);
    for item in made.pack.body().items().iter().step_by(40) {
        let lying = place(&made, item);
        let world = World::of(&made, |index| match index == lying {
            true => Deed::LIES[usize::from(index) % Deed::LIES.len()],
            false => Deed::Honest,
        });
        let secret = Keys::Secret(made.secret.clone());
        let (fetched, events) = fetch(&world, item.cid(), secret, patient());
        assert_eq!(fetched.unwrap().item.as_ref(), Some(item));
        assert_eq!(named(&events), BTreeSet::from([world.peer(lying.into())]));
        // What a liar sends is up to him.
        let of_liar = world.keepers[usize::from(lying)].1.bytes.load(Ordering::Acquire);
        let bytes = world.bytes() - of_liar;
        worst = worst.max(bytes as f64 / size(item) as f64);
        (read, all) = (read + bytes, all + size(item));
    }
    println!("decoded: {:.2} on average, {worst:.2} at most", read as f64 / all as f64);
    // The same blocks of four others.
    assert!(worst < 10.0, "{worst}");
}

#[test]
fn a_silent_peer_is_not_waited_for() {
    let made = full(4, 20_000, Profile::Lab);
    let item = made.pack.body().items().swap_remove(7);
    // The first data fragment has the index: it is needed in any case.
    let world = World::of(&made, |index| if index == 0 { Deed::Waits } else { Deed::Honest });
    let silent = world.peer(0);
    let secret = Keys::Secret(made.secret.clone());
    let (fetched, events) = fetch(&world, item.cid(), secret, given());
    let fetched = fetched.unwrap();
    assert_eq!(fetched.item, Some(item.clone()));
    let is_it = |event: &FetchEvent| matches!(event, FetchEvent::Hedged { late, fragment: 0, asked: None, .. } if *late == silent);
    assert!(events.iter().any(is_it), "{events:?}");
    assert!(fetched.report.peers[&silent].is_silent());
    // Where another keeps it too, he is asked, and nothing is decoded.
    let both =
        (0..6).map(|index| (vec![index], if index == 0 { Deed::Waits } else { Deed::Honest }));
    let world = World::new(&made, both.chain([(vec![0], Deed::Honest)]));
    let (fetched, events) = fetch(&world, item.cid(), granted(&made), given());
    let fetched = fetched.unwrap();
    assert_eq!(fetched.item, Some(item));
    // With the keys of the data fragments alone nothing could be decoded.
    let gave = &fetched.report.peers[&world.peer(6)].gave;
    assert!(gave.contains(&0), "{events:?}");
}

#[test]
fn a_peer_that_says_late_what_it_keeps_is_waited_for_where_nobody_else_can_help() {
    let made = full(6, 20_000, Profile::Lab);
    let item = made.pack.body().items().swap_remove(3);
    // Once the late one was thought to have nothing, and what it alone has to be lost.
    let world = World::of(&made, |index| if index == 0 { Deed::SaysLate } else { Deed::Honest });
    let (pack, sources, keys) = (made.pack.content_id(), world.sources(), granted(&made));
    let wish = ItemFetch { pack, item: item.cid(), keys, sources, settings: hasty() };
    let (mut heard, network) = (0, world.seeker.network.handle());
    let fetched = wait(fetch_item(&network, wish, |event| {
        heard += usize::from(matches!(event, FetchEvent::Holds { .. }));
        if heard == 5 {
            world.gate.open();
        }
    }));
    assert_eq!(fetched.unwrap().item, Some(item));
}

#[test]
fn what_is_not_there_or_cannot_be_read_is_told() {
    let made = full(5, 20_000, Profile::Lab);
    let world = World::of(&made, |index| if index < 3 { Deed::IsAbsent } else { Deed::Honest });
    let (cid, other) = (made.pack.body().items()[0].cid(), ContentId::of_raw(b"other"));
    let secret = || Keys::Secret(made.secret.clone());
    let (fetched, _) = fetch(&world, cid, secret(), patient());
    let error = fetched.unwrap_err();
    assert!(matches!(error, FetchError::Read { .. }), "{error}");
    assert_eq!(error.report().unwrap().peers[&world.peer(0)].withheld, [0]);
    let world = World::of(&made, |_| Deed::Honest);
    let (fetched, _) = fetch(&world, other, secret(), given());
    assert_eq!(fetched.unwrap().item, None);
    let (fetched, _) = fetch(&world, cid, Keys::Secret(MaskSecret::new([1; 32])), given());
    assert!(matches!(fetched, Err(FetchError::OtherSecret { .. })));
    let (fetched, _) = fetch(&world, cid, Keys::Granted(BTreeMap::new()), given());
    assert!(matches!(fetched, Err(FetchError::Read { .. })));
}

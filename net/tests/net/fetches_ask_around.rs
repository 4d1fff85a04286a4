//! Who has a pack is found, and the header is believed of nobody.

use std::collections::BTreeSet;
use std::sync::Arc;

use chronolith_chain::content::ContentId;
use chronolith_chain::simulate::Random;
use chronolith_fragment::Profile;
use chronolith_net::fetch::{FetchError, FetchEvent, FetchSettings, PackFetch, fetch_pack};

use crate::fetch_keepers::{Deed, World, given, named, patient};
use crate::fixture::{Made, make, small_body};
use crate::peers::{Node, PATIENCE, settings, wait};

fn lab(seed: u64) -> Arc<Made> {
    let mut random = Random::new(seed);
    let body = small_body(&mut random, 5, 2_000);
    Arc::new(make(&mut random, body, Profile::Lab))
}

fn key(pack: ContentId) -> Vec<u8> {
    cid::Cid::from(pack).hash().to_bytes()
}

#[test]
fn false_headers_and_lists_are_named_and_others_are_asked() {
    let made = lab(1);
    // The first two are asked for the header, and the next only once one of them has lied.
    let world = World::of(&made, |index| match index {
        0 | 1 => Deed::SendsAnotherHeader,
        4 => Deed::ListsInDisorder,
        _ => Deed::Honest,
    });
    let mut events = Vec::new();
    let network = world.seeker.network.handle();
    let fetched = wait(fetch_pack(&network, world.fetch(patient()), |event| events.push(event)));
    let (named, liars) = (named(&events), [0, 1, 4].map(|index| world.peer(index)));
    let liars = BTreeSet::from(liars);
    assert!(!named.is_empty() && named.is_subset(&liars), "{named:?}");
    match fetched {
        // With three liars of six there are three fragments.
        Err(FetchError::TooFew { found: 3, .. }) => assert_eq!(named, liars),
        // The other false header was late, and not looked at any more.
        Ok(fetched) => {
            let given: Vec<u8> = fetched.collector.fragments().map(|one| one.index).collect();
            assert!(given.len() == 4 && !given.contains(&4), "{given:?}");
        }
        Err(error) => panic!("{error}"),
    }
    assert!(events.iter().any(|event| matches!(event, FetchEvent::Header { .. })));
}

#[test]
fn nobody_and_those_who_have_nothing_are_told() {
    let made = lab(2);
    let world = World::of(&made, |_| Deed::Honest);
    let network = world.seeker.network.handle();
    let nobody = PackFetch { sources: Vec::new(), ..world.fetch(given()) };
    let error = wait(fetch_pack(&network, nobody, |_| {})).err().unwrap();
    assert!(error.to_string().contains("nobody to ask"), "{error}");
    let other = PackFetch { pack: ContentId::of_raw(b"other"), ..world.fetch(given()) };
    let error = wait(fetch_pack(&network, other, |_| {})).err().unwrap();
    assert!(matches!(error, FetchError::NoHeader { .. }), "{error}");
}

#[test]
fn one_peer_may_keep_all_fragments() {
    let made = lab(3);
    let world = World::new(&made, [((0..6).collect(), Deed::Honest)]);
    let network = world.seeker.network.handle();
    let fetched = wait(fetch_pack(&network, world.fetch(given()), |_| {})).unwrap();
    let data: Vec<u8> = fetched.collector.fragments().map(|one| one.index).collect();
    assert_eq!(data, [0, 1, 2, 3]);
}

#[test]
fn one_fragment_more_than_needed_is_fetched_where_that_is_asked() {
    let made = lab(4);
    let world = World::of(&made, |_| Deed::Honest);
    let network = world.seeker.network.handle();
    let wish = world.fetch(FetchSettings { extra: 1, ..given() });
    let fetched = wait(fetch_pack(&network, wish, |_| {})).unwrap();
    assert_eq!(fetched.collector.fragments().count(), 5);
    let (pack, fragments) = fetched.collector.rebuild(&made.secret).unwrap();
    assert!(pack == made.pack && fragments == made.fragments);
}

#[test]
fn who_announced_the_pack_is_found_without_being_known() {
    let made = lab(5);
    let world = World::of(&made, |_| Deed::Honest);
    let pack = made.pack.content_id();
    let (hub, _) = &world.keepers[0];
    for (node, _) in &world.keepers[1..] {
        node.network.handle().keep(hub.known.clone());
        hub.expect_connected(node.known.peer);
        node.expect_connected(hub.known.peer);
    }
    for (node, _) in &world.keepers {
        node.network.handle().announce(key(pack));
    }
    // The seeker knows the first alone.
    let mut seeker = settings(2_000);
    seeker.known = vec![hub.known.clone()];
    let seeker = Node::start(seeker);
    seeker.expect_connected(hub.known.peer);
    let begin = std::time::Instant::now();
    while wait(seeker.network.handle().find(key(pack))).peers.len() < world.keepers.len() {
        // An announcement takes its time to arrive.
        assert!(begin.elapsed() < PATIENCE, "it is never found");
    }
    let wish = PackFetch { sources: Vec::new(), ..world.fetch(FetchSettings::default()) };
    let mut events = Vec::new();
    let network = seeker.network.handle();
    let fetched = wait(fetch_pack(&network, wish, |event| events.push(event))).unwrap();
    assert!(events.contains(&FetchEvent::Found { peers: 6 }), "{events:?}");
    let joined = fetched.collector.join(|index| Some(made.secret.key(index))).unwrap();
    assert!(joined == made.pack);
}

//! Peers are drawn from what the ledger says, spread, and by anybody the same.

use std::collections::{BTreeMap, BTreeSet};

use chronolith_chain::address::Address;
use chronolith_chain::coin::Amount;
use chronolith_chain::encoding::Text;
use chronolith_chain::hash::Hash;
use chronolith_chain::keys::PublicKey;
use chronolith_chain::ledger::{Assignment, Parameters, Peer};
use chronolith_chain::simulate::Random;
use chronolith_net::placement::{Candidate, NotEnough, Request, place};

fn address(number: u64) -> Address {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&number.to_be_bytes());
    Address::from(PublicKey(key))
}

fn candidate(number: u64) -> Candidate {
    Candidate {
        peer: address(number),
        free_bytes: 1 << 30,
        price_per_gib: Amount(1 << 20),
        tickets: 1,
        network: format!("ip4/10.0.{}", number / 4),
        region: ["DE", "FR", "KR", "US", "BR"][number as usize % 5].to_owned(),
    }
}

fn request(seed: u8, fragments: usize, spare: usize) -> Request {
    Request {
        seed: Hash([seed; 32]),
        fragments,
        spare,
        fragment_bytes: 1 << 17,
        price: Amount(1_000),
        excluded: Vec::new(),
        regions: Vec::new(),
    }
}

#[test]
fn anybody_draws_the_same_different_peers() {
    let mut candidates: Vec<Candidate> = (0..200).map(candidate).collect();
    let chosen = place(&candidates, &request(1, 30, 20)).unwrap();
    assert_eq!(chosen.iter().collect::<BTreeSet<_>>().len(), 30);
    candidates.reverse();
    candidates.extend((0..10).map(candidate));
    assert_eq!(place(&candidates, &request(1, 30, 20)).unwrap(), chosen);
    assert_ne!(place(&candidates, &request(2, 30, 20)).unwrap(), chosen);
}

#[test]
fn one_network_or_region_keeps_no_more_than_may_be_missing() {
    let candidates: Vec<Candidate> = (0..200).map(candidate).collect();
    for seed in 0..50 {
        let chosen = place(&candidates, &request(seed, 6, 2)).unwrap();
        let (mut networks, mut regions) = (BTreeMap::new(), BTreeMap::new());
        for peer in chosen {
            let of = candidates.iter().find(|candidate| candidate.peer == peer).unwrap();
            *networks.entry(&of.network).or_insert(0) += 1;
            *regions.entry(&of.region).or_insert(0) += 1;
        }
        assert!(networks.values().chain(regions.values()).all(|count| *count <= 2));
    }
    // Where there is only one region, it has to do.
    let alike: Vec<Candidate> =
        (0..9).map(|number| Candidate { region: "DE".to_owned(), ..candidate(number) }).collect();
    assert_eq!(place(&alike, &request(1, 6, 2)).unwrap().len(), 6);
}

#[test]
fn full_dear_and_excluded_peers_take_no_part() {
    let mut candidates: Vec<Candidate> = (0..9).map(candidate).collect();
    candidates[0].free_bytes = (1 << 17) - 1;
    candidates[1].price_per_gib = Amount(1 << 24);
    let asked = Request { excluded: vec![address(2)], ..request(1, 6, 2) };
    let chosen = place(&candidates, &asked).unwrap();
    assert_eq!(
        chosen.iter().collect::<BTreeSet<_>>(),
        (3..9).map(address).collect::<Vec<_>>().iter().collect()
    );
    let refused = place(&candidates, &Request { fragments: 7, ..asked });
    assert_eq!(refused, Err(NotEnough { needed: 7, found: 6, regions: Vec::new() }));
}

#[test]
fn only_peers_of_the_named_regions_are_drawn_and_too_few_of_them_are_told() {
    let candidates: Vec<Candidate> = (0..40).map(candidate).collect();
    let regions = vec!["DE".to_owned(), "KR".to_owned()];
    let asked = Request { regions: regions.clone(), ..request(3, 6, 2) };
    let chosen = place(&candidates, &asked).unwrap();
    assert_eq!(chosen.len(), 6);
    for peer in chosen {
        let of = candidates.iter().find(|candidate| candidate.peer == peer).unwrap();
        assert!(regions.contains(&of.region), "{}", of.region);
    }
    let nowhere = Request { regions: vec!["JP".to_owned()], ..asked };
    let refused = place(&candidates, &nowhere).unwrap_err();
    assert_eq!((refused.needed, refused.found), (6, 0));
    assert!(refused.to_string().contains("0 peers of the region JP"), "{refused}");
}

#[test]
fn chances_follow_the_tickets() {
    let mut candidates: Vec<Candidate> = (0..20).map(candidate).collect();
    candidates[7].tickets = 10;
    let mut random = Random::new(5);
    let mut won = 0_u32;
    for _ in 0..4_000 {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&random.next().to_le_bytes());
        let asked = Request { seed: Hash(seed), ..request(0, 1, 1) };
        won += u32::from(place(&candidates, &asked).unwrap() == [address(7)]);
    }
    // 10 of 29 tickets: 1,379 with a standard deviation of 30.
    assert!((1_229..1_529).contains(&won), "{won}");
}

#[test]
fn the_ledgers_peers_become_candidates() {
    let peer = Peer {
        number: 3,
        capacity_bytes: 1_000,
        leased_bytes: 400,
        price_per_gib: Amount(5),
        address: Text::new("/ip4/192.0.2.7/tcp/4001").unwrap(),
        region: Text::new("DE").unwrap(),
        bond: Amount::coins(100),
        closing_since: None,
        lied_epoch: None,
        is_losing: false,
        leases: 2,
        assignment: Assignment::default(),
        audits_passed: 0,
        earned: Amount::ZERO,
        audits_missed: 0,
        missed_in_a_row: 0,
        audited_epoch: None,
    };
    let of = |peer: &Peer| Candidate::of(address(1), peer, &Parameters::default());
    let new = of(&peer).unwrap();
    assert_eq!((new.free_bytes, new.tickets), (600, 3));
    assert_eq!((new.network.as_str(), new.region.as_str()), ("ip4/192.0.2", "DE"));
    let proven = Peer { audits_passed: u64::MAX / 32, ..peer.clone() };
    assert_eq!(of(&proven).unwrap().tickets, 13);
    let unreliable = Peer { audits_missed: 1_000, audits_passed: 100, ..peer.clone() };
    assert_eq!(of(&unreliable).unwrap().tickets, 3);
    assert_eq!(of(&Peer { closing_since: Some(5), ..peer.clone() }), None);
    assert_eq!(of(&Peer { is_losing: true, ..peer.clone() }), None);
    assert_eq!(of(&Peer { bond: Amount::coins(99), ..peer }), None, "it was slashed");
}

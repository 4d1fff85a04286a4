//! The rules of packs, peers, leases and audits.

use chronolith_chain::coin::{Amount, Coin, CoinError};
use chronolith_chain::content::ContentId;
use chronolith_chain::encoding::{Bytes, List, Rising, Text};
use chronolith_chain::hash::{Hash, LeaseId};
use chronolith_chain::ledger::{
    AssignBatch, AttestAudits, BEACONS_KEPT, BeaconKey, CloseStorage, Discard, Fragment, Fragments,
    Lease, LeaseKey, LeaseStatus, LeaseTerms, NewLease, OpenStorage, Pack, PackKey, ParameterName,
    Peer, PeerKey, PlacePack, Reassign, Refusal, Renew, Repair, Repairer, ReportWrongEncoding,
    ScheduleKey, ShownBlock, SupplyKey, Thing,
};
use chronolith_fragment::{Encoded, Encoder, MaskSecret, Shape, Shown};

use crate::world::{EPOCH_BLOCKS, VALIDATOR, World, account, epoch_end, key};

const OWNER: u8 = 1;
const PEER: u8 = 2;
const OTHER: u8 = 3;
const REPAIRER: u8 = 4;
/// What a fragment costs for an epoch.
const PRICE: u128 = 1_000;

fn pack_id(number: u8) -> ContentId {
    ContentId::of_raw(&[number])
}

pub(crate) fn place(number: u8, until_epoch: u64) -> PlacePack {
    PlacePack {
        pack: pack_id(number),
        needed: 2,
        fragments: 4,
        blocks: 100,
        fragments_root: Hash([number; 32]),
        mask: Hash([number; 32]),
        price: Amount(PRICE),
        until_epoch,
        repairers: Rising::new([Repairer(account(REPAIRER))]).unwrap(),
        repair_fee: Amount(70),
        repairs: 3,
    }
}

pub(crate) fn open(bond: u64) -> OpenStorage {
    OpenStorage {
        capacity_bytes: 1 << 20,
        price_per_gib: Amount(5),
        address: Text::new("/ip4/127.0.0.1/tcp/4001").unwrap(),
        region: Text::new("DE").unwrap(),
        bond: Amount::coins(bond),
    }
}

pub(crate) fn fragments(all: &[(u8, u8)]) -> Fragments {
    let fragment = |(pack, index): &(u8, u8)| Fragment { pack: pack_id(*pack), index: *index };
    Rising::new(all.iter().map(fragment).collect::<Vec<_>>()).unwrap()
}

pub(crate) fn lease_with(world: &World, peer: u8, owner: u8, of: &Fragments) -> NewLease {
    consent_to(world, peer, owner, of, Hash([9; 32]), world.next() + 5)
}

/// A person's consent to keep fragments at the price and until the end that their packs are placed with.
pub(crate) fn consent_to(
    world: &World,
    peer: u8,
    owner: u8,
    of: &Fragments,
    root: Hash,
    valid_until: u64,
) -> NewLease {
    let (mut price, mut until_epoch) = (Amount::ZERO, 0);
    for fragment in of.iter() {
        let key = PackKey { pack: fragment.pack, owner: account(owner) };
        if let Some(pack) = world.get::<PackKey>(&key) {
            price = Amount(price.0.saturating_add(pack.price.0));
            until_epoch = pack.until_epoch;
        }
    }
    let terms = LeaseTerms { root, price, until_epoch, valid_until };
    let message = NewLease::consent(world.chain, account(owner), of, &terms);
    NewLease { peer: account(peer), root, valid_until, consent: key(peer).sign(&message) }
}

fn assign(world: &World, peer: u8, of: &[(u8, u8)]) -> AssignBatch {
    let fragments = fragments(of);
    AssignBatch { lease: lease_with(world, peer, OWNER, &fragments), fragments }
}

fn peer(world: &World, person: u8) -> Peer {
    world.get(&PeerKey { peer: account(person) }).unwrap()
}

fn pack(world: &World, number: u8) -> Pack {
    world.get(&PackKey { pack: pack_id(number), owner: account(OWNER) }).unwrap()
}

fn lease(world: &World, person: u8, id: LeaseId) -> Option<Lease> {
    world.get(&LeaseKey { peer: account(person), lease: id })
}

/// A chain with two peers, a pack until epoch 5, and two of its four fragments leased to the first.
fn leased() -> (World, LeaseId) {
    leased_in(World::new())
}

fn leased_in(mut world: World) -> (World, LeaseId) {
    for person in [PEER, OTHER] {
        world.done(person, open(100));
    }
    world.done(OWNER, place(1, 5));
    let batch = assign(&world, PEER, &[(1, 0), (1, 2)]);
    let id = LeaseId::made_by(world.done(OWNER, batch));
    (world, id)
}

/// Runs to the end of an epoch's audits; the validator attests that the peers of these numbers
/// passed, or nobody. Then the epoch is settled.
fn audit(world: &mut World, epoch: u64, passed: Option<u8>) {
    world.run_to(epoch_end(epoch + 1));
    let passed = Bytes::new(passed.into_iter().collect::<Vec<u8>>()).unwrap();
    world.done(VALIDATOR, AttestAudits { epoch, passed, answers: Hash([1; 32]) });
    world.run_to(epoch_end(epoch + 1) + 30);
}

/// An epoch that no validator says anything of, because the chain was crowded, say.
#[test]
fn nobody_misses_what_nobody_attests() {
    let (mut world, id) = leased();
    world.run_to(epoch_end(1));
    let (owner, of_peer) = (world.balance(OWNER, Coin::Native), world.balance(PEER, Coin::Native));
    world.run_to(epoch_end(4) + 30);
    let found = lease(&world, PEER, id).unwrap();
    assert_eq!((found.status, found.next_epoch), (LeaseStatus::Running, 4));
    assert_eq!(world.balance(OWNER, Coin::Native), owner.plus(Amount(3 * 2 * PRICE)).unwrap());
    assert_eq!(world.balance(PEER, Coin::Native), of_peer);
    let row = peer(&world, PEER);
    assert_eq!((row.audits_passed, row.audits_missed, row.earned), (0, 0, Amount::ZERO));
}

/// What a peer signed is one lease, at its price and until its end.
#[test]
fn a_consent_counts_once_and_for_what_it_says() {
    let mut world = World::new();
    world.done(PEER, open(100));
    world.done(OWNER, place(1, 5));
    let of = fragments(&[(1, 0)]);
    let lease = consent_to(&world, PEER, OWNER, &of, Hash([9; 32]), world.next() + 50);
    let batch = AssignBatch { lease, fragments: of };
    world.done(OWNER, batch.clone());
    // The pack is given up and placed again, at the same price or another, for as long or longer.
    for (price, until_epoch, expected) in [
        (PRICE, 5, Refusal::Exists(Thing::Lease)),
        (0, 5, Refusal::Consent(Thing::Lease)),
        (PRICE, 90, Refusal::Consent(Thing::Lease)),
    ] {
        world.done(OWNER, Discard { pack: pack_id(1) });
        world.done(OWNER, PlacePack { price: Amount(price), ..place(1, until_epoch) });
        assert_eq!(world.refused(OWNER, batch.clone()), expected);
    }
    let valid_until = batch.lease.valid_until;
    world.run_to(valid_until + 1);
    assert_eq!(world.refused(OWNER, batch), Refusal::Late { until: valid_until + 1 });
    // Who may repair a pack knows its masks, and keeps none of it.
    world.done(REPAIRER, open(100));
    let of = fragments(&[(1, 1)]);
    let lease = lease_with(&world, REPAIRER, OWNER, &of);
    let refused = world.refused(OWNER, AssignBatch { lease, fragments: of });
    assert_eq!(refused, Refusal::NotAllowed(Thing::Peer));
}

/// What audits and placements were drawn by can be recomputed from the head alone.
#[test]
fn the_beacon_of_every_epoch_that_is_over_is_kept() {
    let mut world = World::new();
    world.done(OWNER, place(1, 5));
    assert_eq!(pack(&world, 1).placed_epoch, 0);
    let mut expected = Vec::new();
    for epoch in 0..3 {
        world.run_to(epoch_end(epoch + 1) - 2);
        assert_eq!(world.get(&BeaconKey { epoch }), None);
        // The proposer reveals an element in the last block of the epoch: it is in.
        world.reveal();
        let seed = world.get(&ScheduleKey {}).unwrap().seed;
        world.run_to(epoch_end(epoch + 1) + 3);
        world.reveal();
        assert_ne!(world.get(&ScheduleKey {}).unwrap().seed, seed);
        expected.push(Some(seed));
    }
    let found = (0..3).map(|epoch| world.get(&BeaconKey { epoch }));
    assert_eq!(found.collect::<Vec<_>>(), expected);
}

/// Ten blocks an epoch, so that there are enough of them.
#[test]
fn beacons_are_forgotten_after_their_time() {
    let short = [(ParameterName::EpochBlocks, 10), (ParameterName::AuditBlocks, 3)];
    let mut world = World::with(&short);
    world.run_to(10 * (BEACONS_KEPT + 2) - 2);
    assert!(world.get(&BeaconKey { epoch: 0 }).is_none());
    assert!(world.get(&BeaconKey { epoch: 1 }).is_some());
    world.run_to(10 * (BEACONS_KEPT + 2));
    assert!(world.get(&BeaconKey { epoch: 1 }).is_none());
    assert!(world.get(&BeaconKey { epoch: 2 }).is_some());
    assert!(world.get(&BeaconKey { epoch: BEACONS_KEPT + 1 }).is_some());
}

#[test]
fn a_peer_bonds_and_offers_room() {
    let mut world = World::new();
    assert!(matches!(world.refused(PEER, open(99)), Refusal::Bounds { .. }));
    let nothing = OpenStorage { capacity_bytes: 0, ..open(100) };
    assert_eq!(world.refused(PEER, nothing), Refusal::Zero);
    world.done(PEER, open(100));
    world.done(OTHER, open(200));
    assert_eq!((peer(&world, PEER).number, peer(&world, OTHER).number), (0, 1));
    world.done(PEER, OpenStorage { capacity_bytes: 5, ..open(1) });
    assert_eq!(peer(&world, PEER).bond, Amount::coins(101));
    assert_eq!(peer(&world, PEER).number, 0);
}

#[test]
fn placing_a_pack_sets_its_keeping_aside() {
    let mut world = World::new();
    let good = place(1, 5);
    for fragments in [0, 1, 129, 255] {
        let wrong = PlacePack { fragments, ..good.clone() };
        assert!(matches!(world.refused(OWNER, wrong), Refusal::Bounds { .. }));
    }
    for needed in [0, 4, 5] {
        let wrong = PlacePack { needed, ..good.clone() };
        assert!(matches!(world.refused(OWNER, wrong), Refusal::Bounds { .. }));
    }
    assert_eq!(world.refused(OWNER, PlacePack { blocks: 0, ..good.clone() }), Refusal::Zero);
    let limit = 2 << 20;
    let large = PlacePack { blocks: 4_097, ..good.clone() };
    assert_eq!(world.refused(OWNER, large), Refusal::Limit { limit });
    let short = world.refused(OWNER, PlacePack { until_epoch: 1, ..good.clone() });
    assert!(matches!(short, Refusal::Bounds { minimum: 2, .. }));
    let far = PlacePack { until_epoch: u64::MAX, ..good.clone() };
    assert!(matches!(world.refused(OWNER, far), Refusal::Bounds { .. }));
    assert_eq!(world.refused(REPAIRER, good.clone()), Refusal::NotAllowed(Thing::Pack));
    let dear = PlacePack { price: Amount(u128::MAX), ..good.clone() };
    assert_eq!(world.refused(OWNER, dear), Refusal::Coin(CoinError::Overflow));
    world.done(OWNER, good.clone());
    // Four fragments for the epochs 1 to 4, and three repairs.
    let found = pack(&world, 1);
    assert_eq!((found.escrow, found.repair_escrow), (Amount(4 * 4 * PRICE), Amount(210)));
    assert_eq!(world.refused(OWNER, good), Refusal::Exists(Thing::Pack));
    // When its time is over, everything comes back.
    world.run_to(epoch_end(5) - 1);
    let before = world.balance(OWNER, Coin::Native);
    world.run_to(epoch_end(5));
    assert_eq!(world.balance(OWNER, Coin::Native), before.plus(Amount(16_210)).unwrap());
    assert!(world.get(&PackKey { pack: pack_id(1), owner: account(OWNER) }).is_none());
}

#[test]
fn leasing_needs_owner_and_peer() {
    let (mut world, id) = leased();
    let found = lease(&world, PEER, id).unwrap();
    assert_eq!((found.price, found.escrow), (Amount(2 * PRICE), Amount(8 * PRICE)));
    assert_eq!((found.next_epoch, found.until_epoch, found.bytes), (1, 5, 2 * 100 * 256));
    assert_eq!(pack(&world, 1).escrow, Amount(8 * PRICE));
    let of_peer = peer(&world, PEER);
    assert_eq!((of_peer.leases, of_peer.leased_bytes), (1, found.bytes));
    assert_eq!((of_peer.assignment.now.blocks, of_peer.assignment.now.slots), (200, 1));
    assert_eq!((found.slot, found.root), (Some(0), Hash([9; 32])));

    let again = assign(&world, PEER, &[(1, 0)]);
    assert_eq!(world.refused(OWNER, again), Refusal::Exists(Thing::Lease));
    let beyond = assign(&world, PEER, &[(1, 4)]);
    assert_eq!(world.refused(OWNER, beyond), Refusal::Missing(Thing::Fragment));
    let unknown = assign(&world, PEER, &[(7, 0)]);
    assert_eq!(world.refused(OWNER, unknown), Refusal::Missing(Thing::Pack));
    let free = assign(&world, PEER, &[(1, 1)]);
    assert_eq!(world.refused(OTHER, free.clone()), Refusal::Missing(Thing::Pack));
    let mut forged = free.clone();
    forged.lease.peer = account(OTHER);
    assert_eq!(world.refused(OWNER, forged), Refusal::Consent(Thing::Lease));
    let mut other_root = free.clone();
    other_root.lease.root = Hash([8; 32]);
    assert_eq!(world.refused(OWNER, other_root), Refusal::Consent(Thing::Lease));
    let none = AssignBatch { fragments: Fragments::default(), ..free.clone() };
    assert_eq!(world.refused(OWNER, none), Refusal::Zero);
    let nobody = assign(&world, 7, &[(1, 1)]);
    assert_eq!(world.refused(OWNER, nobody), Refusal::Missing(Thing::Peer));
    world.run_to(free.lease.valid_until);
    let until = free.lease.valid_until + 1;
    assert_eq!(world.refused(OWNER, free), Refusal::Late { until });
    world.done(PEER, OpenStorage { capacity_bytes: found.bytes, ..open(0) });
    let full = assign(&world, PEER, &[(1, 1)]);
    assert_eq!(world.refused(OWNER, full), Refusal::Limit { limit: 0 });
    let shrink = OpenStorage { capacity_bytes: 5, ..open(0) };
    assert!(matches!(world.refused(PEER, shrink), Refusal::Bounds { .. }));
}

/// Whoever placed a pack's id first had its owner locked out: the key was the id alone.
#[test]
fn nobody_blocks_an_owner_by_placing_his_pack_first() {
    let mut world = World::new();
    world.done(PEER, open(100));
    world.done(OTHER, place(1, 3));
    world.done(OWNER, place(1, 5));
    let of_other = PackKey { pack: pack_id(1), owner: account(OTHER) };
    assert_eq!((world.get(&of_other).unwrap().until_epoch, pack(&world, 1).until_epoch), (3, 5));
    // Each leases his own, the same fragment too, and gives up his own.
    let batch = assign(&world, PEER, &[(1, 0)]);
    world.done(OWNER, batch);
    let of = fragments(&[(1, 0)]);
    let lease = lease_with(&world, PEER, OTHER, &of);
    world.done(OTHER, AssignBatch { lease, fragments: of });
    assert_eq!(peer(&world, PEER).leases, 2);
    world.done(OTHER, Discard { pack: pack_id(1) });
    assert!(world.get(&of_other).is_none());
    assert_eq!(pack(&world, 1).leased, 1);
    world.run_to(epoch_end(3));
    assert_eq!(pack(&world, 1).until_epoch, 5, "it is not over with the other's");
}

#[test]
fn passed_audits_are_paid_and_missed_ones_are_not() {
    let (mut world, id) = leased();
    audit(&mut world, 0, None);
    assert_eq!(lease(&world, PEER, id).unwrap().next_epoch, 1, "it begins with epoch 1");
    let before = world.balance(PEER, Coin::Native);
    audit(&mut world, 1, Some(0b01));
    // 2 % are burnt.
    let paid = Amount(2 * PRICE * 98 / 100);
    assert_eq!(world.balance(PEER, Coin::Native), before.plus(paid).unwrap());
    let found = lease(&world, PEER, id).unwrap();
    assert_eq!((found.next_epoch, found.escrow), (2, Amount(6 * PRICE)));

    let before = world.balance(OWNER, Coin::Native);
    audit(&mut world, 2, Some(0b10));
    assert_eq!(world.balance(OWNER, Coin::Native), before.plus(Amount(2 * PRICE)).unwrap());
    assert_eq!(lease(&world, PEER, id).unwrap().status, LeaseStatus::Running);
    audit(&mut world, 3, None);
    let of_peer = peer(&world, PEER);
    // The audit of epoch 0 was missed, too: two in a row lose the leases, twice here.
    assert_eq!((of_peer.audits_passed, of_peer.audits_missed), (1, 3));
    assert_eq!(lease(&world, PEER, id).unwrap().status, LeaseStatus::Lost);
    assert_eq!(of_peer.leased_bytes, 0);
    audit(&mut world, 4, Some(0b01));
    assert_eq!(lease(&world, PEER, id), None, "it ends with the last epoch");
    assert_eq!(peer(&world, PEER).leases, 0);
}

/// One validator of three could have had any peer paid, or none: only more than a third counts.
#[test]
fn an_audit_is_passed_by_more_than_a_third_of_the_power() {
    const SECOND: u8 = 8;
    const THIRD: u8 = 9;
    let (mut world, id) = leased_in(World::of(&[VALIDATOR, SECOND, THIRD]));
    for (epoch, attesting, is_passed) in [
        (0, &[(VALIDATOR, 1), (SECOND, 1)][..], true),
        (1, &[(SECOND, 1)], false),
        (2, &[(SECOND, 1), (THIRD, 1)], true),
        // All attest, two of them that another passed: the word of one is not enough.
        (3, &[(VALIDATOR, 2), (SECOND, 1), (THIRD, 2)], false),
    ] {
        world.run_to(epoch_end(epoch + 1));
        for (validator, passed) in attesting {
            let passed = Bytes::new([*passed]).unwrap();
            world.done(*validator, AttestAudits { epoch, passed, answers: Hash([1; 32]) });
        }
        let before = (world.balance(PEER, Coin::Native), peer(&world, PEER).audits_passed);
        world.run_to(epoch_end(epoch + 1) + 30);
        let after = (world.balance(PEER, Coin::Native), peer(&world, PEER).audits_passed);
        assert_eq!(after.1 > before.1, is_passed, "epoch {epoch}");
        // Its lease begins with epoch 1.
        assert_eq!(after.0 > before.0, is_passed && epoch > 0, "epoch {epoch}");
    }
    assert_eq!(lease(&world, PEER, id).unwrap().next_epoch, 4);
}

#[test]
fn only_the_terms_validators_attest_and_only_in_time() {
    let (mut world, _) = leased();
    let attest = |epoch, passed: &[u8]| AttestAudits {
        epoch,
        passed: Bytes::new(passed).unwrap(),
        answers: Hash([1; 32]),
    };
    let from = EPOCH_BLOCKS;
    assert_eq!(world.refused(VALIDATOR, attest(0, &[1])), Refusal::Early { from });
    world.run_to(from);
    assert_eq!(world.refused(PEER, attest(0, &[1])), Refusal::NotAllowed(Thing::Attestation));
    assert_eq!(world.refused(VALIDATOR, attest(0, &[1, 0])), Refusal::Range);
    world.done(VALIDATOR, attest(0, &[1]));
    assert_eq!(world.refused(VALIDATOR, attest(0, &[1])), Refusal::Exists(Thing::Attestation));
    world.run_to(from + 29);
    assert_eq!(world.refused(VALIDATOR, attest(0, &[3])), Refusal::Late { until: from + 30 });
}

#[test]
fn an_owner_moves_a_lease_with_what_is_set_aside() {
    let (mut world, id) = leased();
    audit(&mut world, 1, Some(1));
    let of = fragments(&[(1, 0), (1, 2)]);
    let to = lease_with(&world, OTHER, OWNER, &of);
    let peer_address = account(PEER);
    let good = Reassign { peer: peer_address, lease: id, fragments: of, to };
    assert_eq!(world.refused(OTHER, good.clone()), Refusal::NotAllowed(Thing::Lease));
    let others = Reassign { fragments: fragments(&[(1, 0)]), ..good.clone() };
    assert_eq!(world.refused(OWNER, others), Refusal::Entries);
    let new = LeaseId::made_by(world.done(OWNER, good.clone()));
    // Epoch 2 is running and stays with the old peer; 3 and 4 move.
    let (old, moved) = (lease(&world, PEER, id).unwrap(), lease(&world, OTHER, new).unwrap());
    assert_eq!((old.next_epoch, old.until_epoch, old.escrow), (2, 3, Amount(2 * PRICE)));
    assert_eq!((moved.next_epoch, moved.until_epoch, moved.escrow), (3, 5, Amount(4 * PRICE)));
    audit(&mut world, 2, Some(0b11));
    assert_eq!(lease(&world, PEER, id), None);
    assert_eq!(peer(&world, PEER).leased_bytes, 0);
    let missing = world.refused(OWNER, good);
    assert_eq!(missing, Refusal::Missing(Thing::Lease));
}

#[test]
fn a_named_repairer_gives_a_lost_lease_to_another_peer() {
    let (mut world, id) = leased();
    let of = fragments(&[(1, 0), (1, 2)]);
    let to = lease_with(&world, OTHER, OWNER, &of);
    let repair = |to| Repair { peer: account(PEER), lease: id, fragments: of.clone(), to };
    assert_eq!(world.refused(REPAIRER, repair(to)), Refusal::Status(Thing::Lease));
    audit(&mut world, 0, None);
    audit(&mut world, 1, None);
    assert_eq!(lease(&world, PEER, id).unwrap().status, LeaseStatus::Lost);
    let to = lease_with(&world, OTHER, OWNER, &of);
    assert_eq!(world.refused(5, repair(to.clone())), Refusal::NotAllowed(Thing::Pack));
    world.done(REPAIRER, open(100));
    let himself = lease_with(&world, REPAIRER, OWNER, &of);
    assert_eq!(world.refused(REPAIRER, repair(himself)), Refusal::NotAllowed(Thing::Peer));
    let before = world.balance(REPAIRER, Coin::Native);
    let to = lease_with(&world, OTHER, OWNER, &of);
    let fee = world.body(REPAIRER, repair(to.clone()).into()).fee;
    let new = LeaseId::made_by(world.done(REPAIRER, repair(to)));
    let after = world.balance(REPAIRER, Coin::Native).plus(fee).unwrap();
    assert_eq!(after, before.plus(Amount(140)).unwrap());
    assert_eq!(pack(&world, 1).repair_escrow, Amount(70));
    assert_eq!(lease(&world, OTHER, new).unwrap().status, LeaseStatus::Running);
    let to = lease_with(&world, OTHER, OWNER, &of);
    let lost = Repair { peer: account(OTHER), lease: new, fragments: of.clone(), to };
    assert_eq!(world.refused(REPAIRER, lost), Refusal::Status(Thing::Lease));
}

#[test]
fn leases_are_prolonged_at_their_price() {
    let (mut world, id) = leased();
    let renew = |until_epoch| Renew {
        peer: account(PEER),
        lease: id,
        fragments: fragments(&[(1, 0), (1, 2)]),
        until_epoch,
    };
    assert!(matches!(world.refused(OWNER, renew(5)), Refusal::Bounds { minimum: 6, .. }));
    assert_eq!(world.refused(OTHER, renew(7)), Refusal::NotAllowed(Thing::Lease));
    world.done(OWNER, renew(7));
    let found = lease(&world, PEER, id).unwrap();
    assert_eq!((found.until_epoch, found.escrow), (7, Amount(12 * PRICE)));
    assert_eq!(pack(&world, 1).until_epoch, 7);
    world.run_to(epoch_end(5));
    assert_eq!(pack(&world, 1).until_epoch, 7, "it does not expire when it would have");
    world.done(PEER, CloseStorage);
    assert_eq!(world.refused(OWNER, renew(9)), Refusal::Status(Thing::Peer));
}

#[test]
fn a_discarded_pack_leaves_what_peers_were_promised() {
    let (mut world, id) = leased();
    let discard = Discard { pack: pack_id(1) };
    assert_eq!(world.refused(OTHER, discard.clone()), Refusal::Missing(Thing::Pack));
    world.done(OWNER, discard.clone());
    assert_eq!(world.refused(OWNER, discard), Refusal::Missing(Thing::Pack));
    assert_eq!(lease(&world, PEER, id).unwrap().escrow, Amount(8 * PRICE));
    world.done(OWNER, place(1, 6));
}

#[test]
fn a_peer_leaves_when_its_leases_are_over() {
    let (mut world, _) = leased();
    world.done(PEER, CloseStorage);
    assert_eq!(world.refused(PEER, CloseStorage), Refusal::NoChange);
    assert_eq!(world.refused(7, CloseStorage), Refusal::Missing(Thing::Peer));
    assert_eq!(world.refused(PEER, open(1)), Refusal::Status(Thing::Peer));
    let more = assign(&world, PEER, &[(1, 1)]);
    assert_eq!(world.refused(OWNER, more), Refusal::Status(Thing::Peer));
    world.run_to(200);
    assert_eq!(peer(&world, PEER).bond, Amount::coins(100));
    let before = world.balance(PEER, Coin::Native);
    world.run_to(epoch_end(6) + 100);
    assert!(world.get(&PeerKey { peer: account(PEER) }).is_none());
    assert_eq!(world.balance(PEER, Coin::Native), before.plus(Amount::coins(100)).unwrap());
}

/// A report of a row of the pack that `place_encoded` places, by the fragments in `of`.
fn report(encoded: &Encoded, of: &[u8], row: u32) -> ReportWrongEncoding {
    let shape = Shape::new(2, 4, 3).unwrap();
    let shown = of.iter().map(|index| {
        let fragment = &encoded.fragments()[usize::from(*index)];
        let shown = Shown::of(shape, fragment, &fragment.tree(), row..row + 1).unwrap();
        ShownBlock {
            fragment: *index,
            block: Bytes::new(shown.blocks()).unwrap(),
            path: List::new(shown.hashes().map(|hash| Hash(*hash)).collect::<Vec<_>>()).unwrap(),
        }
    });
    ReportWrongEncoding {
        pack: pack_id(1),
        owner: account(OWNER),
        secret: Hash([5; 32]),
        block: row,
        shown: Rising::new(shown.collect::<Vec<_>>()).unwrap(),
    }
}

/// A chain on which a pack is placed whose encoding is right, or wrong in one byte: the first of the
/// middle block of the last fragment.
fn encoded(is_wrong: bool) -> (World, Encoded) {
    let shape = Shape::new(2, 4, 3).unwrap();
    let secret = MaskSecret::new([5; 32]);
    let body: Vec<u8> = (0..1_500_u32).map(|byte| (byte * 7) as u8).collect();
    let mut pieces = Encoder::new(shape).unwrap().pieces(&body, &secret).unwrap();
    pieces[3][256] ^= u8::from(is_wrong);
    let encoded = Encoded::of_pieces(shape, pieces).unwrap();
    let mut world = World::new();
    world.done(PEER, open(100));
    let mask = Hash(secret.commitment());
    let root = Hash(encoded.root());
    let pack = PlacePack { blocks: 3, fragments_root: root, mask, ..place(1, 5) };
    world.done(OWNER, pack);
    (world, encoded)
}

#[test]
fn a_wrong_encoding_costs_what_was_set_aside() {
    let (mut world, encoded) = encoded(true);
    let batch = assign(&world, PEER, &[(1, 0), (1, 2)]);
    let lease_id = LeaseId::made_by(world.done(OWNER, batch));
    let set_aside = pack(&world, 1);
    let forfeited = set_aside.escrow.plus(set_aside.repair_escrow).unwrap();
    assert_eq!(forfeited, Amount(8 * PRICE + 210));
    let good = report(&encoded, &[0, 1, 3], 1);
    let supply = |world: &World| world.get(&SupplyKey {}).unwrap().burnt;
    let (before, burnt) = (world.balance(REPAIRER, Coin::Native), supply(&world));
    let fee = world.body(REPAIRER, good.clone().into()).fee;
    world.done(REPAIRER, good.clone());
    // 5 % go to the reporter.
    let reward = Amount(forfeited.0 / 20);
    let after = world.balance(REPAIRER, Coin::Native).plus(fee).unwrap();
    assert_eq!(after, before.plus(reward).unwrap());
    assert!(supply(&world) >= burnt.plus(forfeited.minus(reward).unwrap()).unwrap());
    assert_eq!(world.refused(REPAIRER, good), Refusal::Missing(Thing::Pack));
    assert_eq!(lease(&world, PEER, lease_id).unwrap().escrow, Amount(8 * PRICE));
}

#[test]
fn any_three_blocks_of_the_wrong_row_show_it_and_no_others() {
    for of in [[0, 1, 3], [0, 2, 3], [1, 2, 3]] {
        let (mut world, encoded) = encoded(true);
        world.done(OTHER, report(&encoded, &of, 1));
    }
    let (mut world, encoded) = encoded(true);
    for (of, row) in [([0, 1, 2], 1), ([0, 1, 3], 0), ([0, 1, 3], 2)] {
        assert_eq!(world.refused(OTHER, report(&encoded, &of, row)), Refusal::Sound);
    }
}

#[test]
fn a_report_must_show_what_was_committed_to() {
    let (mut world, encoded) = encoded(false);
    let good = report(&encoded, &[0, 1, 3], 1);
    assert_eq!(world.refused(OTHER, good.clone()), Refusal::Sound);
    let unknown = ReportWrongEncoding { pack: pack_id(9), ..good.clone() };
    assert_eq!(world.refused(OTHER, unknown), Refusal::Missing(Thing::Pack));
    let of_another = ReportWrongEncoding { owner: account(OTHER), ..good.clone() };
    assert_eq!(world.refused(OTHER, of_another), Refusal::Missing(Thing::Pack));
    let secret = ReportWrongEncoding { secret: Hash([6; 32]), ..good.clone() };
    assert_eq!(world.refused(OTHER, secret), Refusal::MaskSecret);
    for of in [&[0, 1][..], &[0, 1, 2, 3]] {
        assert_eq!(world.refused(OTHER, report(&encoded, of, 1)), Refusal::Entries);
    }
    for block in [0, 2, 3, u32::MAX] {
        let elsewhere = ReportWrongEncoding { block, ..good.clone() };
        assert_eq!(world.refused(OTHER, elsewhere), Refusal::Block { fragment: 0 });
    }
    let changed = |change: &dyn Fn(&mut ShownBlock)| {
        let mut shown = good.shown.to_vec();
        change(&mut shown[2]);
        ReportWrongEncoding { shown: Rising::new(shown).unwrap(), ..good.clone() }
    };
    let wrong = [
        changed(&|shown| shown.block = Bytes::new(vec![0; 256]).unwrap()),
        changed(&|shown| shown.block = Bytes::new(&shown.block[..255]).unwrap()),
        changed(&|shown| shown.path = List::new(&shown.path[1..]).unwrap()),
        changed(&|shown| shown.path.push(Hash([0; 32])).unwrap()),
    ];
    for report in wrong {
        assert_eq!(world.refused(OTHER, report), Refusal::Block { fragment: 3 });
    }
    let renamed = changed(&|shown| shown.fragment = 2);
    assert_eq!(world.refused(OTHER, renamed), Refusal::Block { fragment: 2 });
    let beyond = changed(&|shown| shown.fragment = 200);
    assert_eq!(world.refused(OTHER, beyond), Refusal::Block { fragment: 200 });
}

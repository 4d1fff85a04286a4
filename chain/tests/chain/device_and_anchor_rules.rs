//! The rules of devices, and of anchoring what they produced.

use chronolith_chain::address::Address;
use chronolith_chain::encoding::Rising;
use chronolith_chain::hash::Hash;
use chronolith_chain::ledger::{
    Anchor, AnchorKey, DeviceCatalogue, DeviceKey, EraKey, Refusal, RegisterDevice, RetireDevice,
    Thing, TransferDevice, empty_catalogue,
};

use crate::world::{World, account, key};

/// The secret key of a device.
pub(crate) fn device_key(number: u8) -> chronolith_chain::keys::SecretKey {
    chronolith_chain::keys::SecretKey::from_seed(&[200 + number; 32])
}

pub(crate) fn device(number: u8) -> Address {
    device_key(number).public().into()
}

pub(crate) fn register(world: &World, number: u8, owner: u8, producer: u8) -> RegisterDevice {
    let device = device(number);
    let message = RegisterDevice::consent(world.chain, device, account(owner));
    let consent = device_key(number).sign(&message);
    RegisterDevice { device, producer: account(producer), consent }
}

pub(crate) fn hand_over(world: &World, number: u8, from: u8, to: u8, tree: u32) -> TransferDevice {
    let device = device(number);
    let message = TransferDevice::consent(world.chain, device, account(from), account(to), tree);
    let consent = key(to).sign(&message);
    TransferDevice { device, to: account(to), producer: account(to), consent }
}

pub(crate) fn anchor(root: u8, devices: &[(u8, Hash, Hash)]) -> Anchor {
    let entry = |(number, before, after): &(u8, Hash, Hash)| DeviceCatalogue {
        device: device(*number),
        before: *before,
        after: *after,
    };
    let devices = Rising::new(devices.iter().map(entry).collect::<Vec<_>>()).unwrap();
    Anchor { root: Hash([root; 32]), chunks: 3, devices }
}

const FIRST: Hash = Hash([11; 32]);
const SECOND: Hash = Hash([22; 32]);

#[test]
fn a_device_is_registered_by_who_has_it() {
    let mut world = World::new();
    let stolen =
        RegisterDevice { consent: register(&world, 1, 2, 2).consent, ..register(&world, 1, 3, 3) };
    assert_eq!(world.refused(3, stolen), Refusal::Consent(Thing::Device));
    let registration = register(&world, 1, 1, 2);
    world.done(1, registration.clone());
    assert_eq!(world.refused(1, registration), Refusal::Exists(Thing::Device));
    let found = world.get(&DeviceKey { device: device(1) }).unwrap();
    assert_eq!((found.owner, found.producer), (account(1), account(2)));
    assert_eq!((found.catalogue, found.tree), (empty_catalogue(), 0));
}

#[test]
fn the_empty_catalogue_is_the_hash_of_nothing() {
    let expected = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(empty_catalogue().to_string(), expected);
}

#[test]
fn catalogues_chain() {
    let mut world = World::new();
    let registration = register(&world, 1, 1, 2);
    world.done(1, registration);
    let empty = empty_catalogue();
    assert_eq!(world.refused(1, anchor(1, &[])), Refusal::Zero);
    let none = Anchor { chunks: 0, ..anchor(1, &[(1, empty, FIRST)]) };
    assert_eq!(world.refused(1, none), Refusal::Zero);
    let unknown = anchor(1, &[(9, empty, FIRST)]);
    assert_eq!(world.refused(1, unknown), Refusal::Missing(Thing::Device));
    let stranger = anchor(1, &[(1, empty, FIRST)]);
    assert_eq!(world.refused(3, stranger), Refusal::NotAllowed(Thing::Device));
    let skipping = anchor(1, &[(1, FIRST, SECOND)]);
    let refusal = Refusal::Catalogue { expected: empty, found: FIRST };
    assert_eq!(world.refused(1, skipping), refusal);
    assert_eq!(world.refused(1, anchor(1, &[(1, empty, empty)])), Refusal::NoChange);

    world.done(1, anchor(1, &[(1, empty, FIRST)]));
    let found = world.get(&AnchorKey { producer: account(1), root: [1; 32] }).unwrap();
    assert_eq!((found.height, found.chunks, found.time_ms), (world.next() - 1, 3, world.time_ms));
    let other = Anchor { chunks: 4, ..anchor(1, &[(1, FIRST, SECOND)]) };
    assert_eq!(world.refused(1, other), Refusal::Exists(Thing::Anchor));
    world.done(2, anchor(2, &[(1, FIRST, SECOND)]));
    assert_eq!(world.get(&DeviceKey { device: device(1) }).unwrap().catalogue, SECOND);
}

#[test]
fn a_batch_of_many_devices_takes_several_anchors_and_is_as_old_as_the_first() {
    let mut world = World::new();
    for number in 1..=2 {
        let registration = register(&world, number, 1, 1);
        world.done(1, registration);
    }
    let empty = empty_catalogue();
    world.done(1, anchor(1, &[(1, empty, FIRST)]));
    let key = AnchorKey { producer: account(1), root: [1; 32] };
    let first = world.get(&key).unwrap();
    world.done(1, anchor(1, &[(2, empty, FIRST)]));
    assert_eq!(world.get(&key).unwrap(), first);
    assert_eq!(world.get(&DeviceKey { device: device(2) }).unwrap().catalogue, FIRST);
    // The same once more says nothing new.
    let again = anchor(1, &[(2, FIRST, FIRST)]);
    assert_eq!(world.refused(1, again), Refusal::NoChange);
    let stale = anchor(1, &[(2, empty, FIRST)]);
    let refusal = Refusal::Catalogue { expected: FIRST, found: empty };
    assert_eq!(world.refused(1, stale), refusal);
}

#[test]
fn a_batch_is_anchored_for_all_of_its_devices_or_none() {
    let mut world = World::new();
    for (number, owner) in [(1, 1), (2, 2)] {
        let registration = register(&world, number, owner, 1);
        world.done(owner, registration);
    }
    let empty = empty_catalogue();
    let half = anchor(1, &[(1, empty, FIRST), (2, SECOND, FIRST)]);
    assert!(matches!(world.refused(1, half), Refusal::Catalogue { .. }));
    assert_eq!(world.get(&DeviceKey { device: device(1) }).unwrap().catalogue, empty);
    world.done(1, anchor(1, &[(1, empty, FIRST), (2, empty, FIRST)]));
    assert_eq!(world.get(&DeviceKey { device: device(2) }).unwrap().catalogue, FIRST);
}

#[test]
fn a_used_car_changes_hands() {
    let mut world = World::new();
    let registration = register(&world, 1, 1, 1);
    world.done(1, registration);
    world.done(1, anchor(1, &[(1, empty_catalogue(), FIRST)]));
    let forced = TransferDevice { to: account(3), ..hand_over(&world, 1, 1, 2, 0) };
    assert_eq!(world.refused(1, forced), Refusal::Consent(Thing::Device));
    let stolen = hand_over(&world, 1, 3, 2, 0);
    assert_eq!(world.refused(3, stolen), Refusal::NotAllowed(Thing::Device));
    let to_himself = hand_over(&world, 1, 1, 1, 0);
    assert_eq!(world.refused(1, to_himself), Refusal::NoChange);
    let sale = hand_over(&world, 1, 1, 2, 0);
    world.done(1, sale.clone());
    let at = world.time_ms;
    let era = |tree| world.get(&EraKey { device: device(1), tree }).unwrap();
    assert_eq!((era(0).owner, era(0).from_ms, era(0).until_ms), (account(1), 0, Some(at)));
    assert_eq!((era(1).owner, era(1).from_ms, era(1).until_ms), (account(2), at, None));
    let old_owner = anchor(2, &[(1, FIRST, SECOND)]);
    assert_eq!(world.refused(1, old_owner.clone()), Refusal::NotAllowed(Thing::Device));
    world.done(2, old_owner);
    // Back and forth: the old consent is good for one transfer.
    let back = hand_over(&world, 1, 2, 1, 1);
    world.done(2, back);
    assert_eq!(world.refused(1, sale), Refusal::Consent(Thing::Device));
}

#[test]
fn a_retired_device_anchors_no_more() {
    let mut world = World::new();
    let registration = register(&world, 1, 1, 1);
    world.done(1, registration);
    let retire = RetireDevice { device: device(1) };
    assert_eq!(world.refused(2, retire.clone()), Refusal::NotAllowed(Thing::Device));
    world.done(1, retire.clone());
    assert_eq!(world.refused(1, retire), Refusal::NoChange);
    let late = anchor(1, &[(1, empty_catalogue(), FIRST)]);
    assert_eq!(world.refused(1, late), Refusal::Status(Thing::Device));
    let sale = hand_over(&world, 1, 1, 2, 0);
    assert_eq!(world.refused(1, sale), Refusal::Status(Thing::Device));
}

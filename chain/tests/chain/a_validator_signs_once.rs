//! Whatever is cut, lost or put back: no validator signs two things for one step, and nothing that
//! was committed is lost. Every network here watches all that is sent ([`Network::send`]).

use chronolith_chain::consensus::{ConsensusError, GuardError, Input, SignGuard};
use chronolith_chain::keys::PublicKey;
use chronolith_disk::{CrashMode, SimDisk};

use crate::network::{GUARD, Network, config};
use crate::world::consensus_key;

/// Runs a network whose node 1 loses power after an operation of its disk, and comes back.
/// Whether the power was cut at all.
fn cut(validators: u8, operation: u64, mode: CrashMode) -> bool {
    let node = usize::from(validators > 1);
    // One disk for both, so that one count goes over all operations.
    let shared = SimDisk::new();
    let mut network = Network::on(validators, 0, config(), |number| {
        if usize::from(number) == node {
            (shared.clone(), shared.clone())
        } else {
            (SimDisk::new(), SimDisk::new())
        }
    });
    let created = shared.operations();
    shared.cut_after(created + operation);
    for person in 0..3 {
        let transaction = network.transfer(person, 0);
        let _ = network.try_give(node, Input::Submit(vec![transaction]));
    }
    let mut is_cut = false;
    for _ in 0..100_000 {
        if network.nodes.iter().all(|node| node.height().is_none_or(|(height, _)| height > 3)) {
            break;
        }
        if network.try_step().is_err() {
            is_cut = true;
            break;
        }
    }
    let acknowledged = network.nodes[node].committed.keys().max().copied().unwrap_or(0);
    network.stop(node);
    let survivor = shared.crash(mode, operation);
    network.nodes[node].data = survivor.clone();
    network.nodes[node].guard = survivor;
    let context = format!("{validators} validators, cut after {operation}, {mode:?}");
    network.restart(node).unwrap_or_else(|error| panic!("{context}: {error}"));
    let height = network.nodes[node].height().unwrap().0 - 1;
    assert!(height >= acknowledged, "{context}: {height} of {acknowledged}");
    network.run_to(acknowledged + 3);
    assert!(!network.nodes[node].stands_aside, "{context}: a power cut is no reason");
    is_cut
}

fn cut_everywhere(validators: u8, modes: &[CrashMode]) -> u64 {
    let mut operation = 0;
    loop {
        let mut is_cut = false;
        for mode in modes {
            is_cut |= cut(validators, operation, *mode);
        }
        if !is_cut {
            return operation;
        }
        operation += 1;
    }
}

#[test]
fn a_power_cut_at_every_operation_of_a_lone_validator_loses_nothing() {
    let operations = cut_everywhere(1, &CrashMode::ALL);
    println!("{operations} operations");
    assert!(operations > 30);
}

#[test]
fn a_power_cut_at_every_operation_of_one_of_four_makes_it_sign_nothing_twice() {
    let operations = cut_everywhere(4, &[CrashMode::DropUnsynced, CrashMode::Torn]);
    println!("{operations} operations");
    assert!(operations > 50);
}

#[test]
fn power_cuts_of_all_at_once_lose_no_height() {
    for steps in (20..400).step_by(23) {
        let mut network = Network::new(4, 0, config());
        network.run(steps);
        let acknowledged = network.nodes.iter().flat_map(|node| node.committed.keys()).max();
        let acknowledged = acknowledged.copied().unwrap_or(0);
        for node in 0..4 {
            network.stop(node);
            let Some(up) = network.nodes.get_mut(node) else { continue };
            up.data = up.data.crash(CrashMode::DropUnsynced, 1);
            up.guard = up.guard.crash(CrashMode::DropUnsynced, 1);
        }
        for node in 0..4 {
            network.restart(node).unwrap();
        }
        network.run_to(acknowledged + 2);
        assert!(network.nodes.iter().all(|node| !node.stands_aside));
    }
}

#[test]
fn old_data_with_the_present_guard_stands_aside_and_votes_again_later() {
    let mut network = Network::new(4, 0, config());
    network.run_to(2);
    let old = network.nodes[1].data.deep_clone();
    network.run_to(5);
    network.stop(1);
    network.nodes[1].data = old;
    network.restart(1).unwrap();
    network.run_to(9);
    assert!(network.nodes[1].stands_aside);
    let votes = |height: u64| {
        let validator = network.nodes[0].validator.as_ref().unwrap();
        let index = validator.validators().index_of_key(&consensus_key(1).public()).unwrap();
        network.nodes[0].committed[&height].certificate.bitmap()[index]
    };
    assert!((7..=9).any(votes), "it votes again once that is over");
}

#[test]
fn a_log_that_lost_its_votes_stands_aside_for_the_height() {
    for steps in 30..70 {
        let mut network = Network::new(4, 0, config());
        network.run(steps);
        network.stop(1);
        // The log begins with zeros, as after a restore of a file from before the height.
        let disk = network.nodes[1].data.clone();
        if disk.read_file("height.log").is_ok_and(|log| !log.is_empty()) {
            disk.flip("height.log", 0, 0xff).unwrap();
        }
        network.restart(1).unwrap();
        network.run_to(4);
    }
}

#[test]
fn a_guard_is_never_missing_never_another_and_never_made_again() {
    let mut network = Network::new(4, 0, config());
    network.run_to(3);
    network.stop(1);
    let kept = std::mem::replace(&mut network.nodes[1].guard, SimDisk::new());
    let missing = network.restart(1).unwrap_err();
    assert!(matches!(missing, ConsensusError::Guard(GuardError::Missing { .. })), "{missing}");

    let (key, chain) = (consensus_key(1).public(), network.genesis.chain_id());
    let again = SignGuard::create(&kept, GUARD, key, chain);
    assert!(matches!(again, Err(GuardError::Exists { .. })));
    let other = SignGuard::open(&kept, GUARD, PublicKey([9; 32]), chain);
    assert!(matches!(other, Err(GuardError::Other { .. })));
    let last = SignGuard::open(&kept, GUARD, key, chain).unwrap().last().unwrap();
    assert!(last.step.height >= 3);
    for offset in [0, 512] {
        kept.flip(GUARD, offset + 20, 1).unwrap();
    }
    let damaged = SignGuard::open(&kept, GUARD, key, chain);
    assert!(matches!(damaged, Err(GuardError::Damaged { .. })));

    let fresh = SimDisk::new();
    drop(SignGuard::replace(&fresh, GUARD, key, chain, 8).unwrap());
    network.nodes[1].guard = fresh;
    network.restart(1).unwrap();
    network.run_to(11);
    assert!(network.nodes[1].stands_aside);
    let validator = network.nodes[0].validator.as_ref().unwrap();
    let index = validator.validators().index_of_key(&key).unwrap();
    let votes = |height: u64| network.nodes[0].committed[&height].certificate.bitmap()[index];
    assert!((4..=8).all(|height| !votes(height)));
    assert!((9..=11).any(votes));
}

#[test]
fn one_damaged_slot_of_the_guard_is_survived() {
    let mut network = Network::new(1, 0, config());
    network.run_to(3);
    network.stop(0);
    let (key, chain) = (consensus_key(0).public(), network.genesis.chain_id());
    let disk = network.nodes[0].guard.clone();
    let before = SignGuard::open(&disk, GUARD, key, chain).unwrap().last().unwrap();
    disk.flip(GUARD, 20, 1).unwrap();
    let first = SignGuard::open(&disk, GUARD, key, chain).unwrap().last().unwrap();
    disk.flip(GUARD, 20, 1).unwrap();
    disk.flip(GUARD, 532, 1).unwrap();
    let second = SignGuard::open(&disk, GUARD, key, chain).unwrap().last().unwrap();
    assert!(first == before || second == before);
    assert!(first.step <= before.step && second.step <= before.step);
}

//! A node that begins at a snapshot of the state goes on like all others, believes nobody, and can be
//! killed at any time while it joins.

use std::sync::Arc;

use chronolith_chain::certificate::CertificateError;
use chronolith_chain::consensus::snapshot::{
    Approach, Approved, JoinError, Joining, OfferError, ShelfError, SnapshotHead, SnapshotShelf,
};
use chronolith_chain::consensus::{ConsensusError, Validator};
use chronolith_chain::encoding::encode;
use chronolith_chain::hash::Hash;
use chronolith_chain::history::HistoryProof;
use chronolith_chain::light::{Options, ProveError, Prover, Step, StepError, Trusted};
use chronolith_chain::state::SnapshotError;
use chronolith_disk::{CrashMode, Disk, SimDisk};

use crate::light_clients_cross_terms::{CANDIDATES, hand_in, quick_terms};
use crate::network::{Network, config, files};
use crate::world::account;

/// The size of pieces: so small that there are several.
const PIECE_BYTES: usize = 2_500;

fn folder(disk: &SimDisk) -> Arc<dyn Disk> {
    Arc::new(disk.clone())
}

fn up(network: &Network, node: usize) -> &Validator {
    network.nodes[node].validator.as_ref().unwrap()
}

/// A node's snapshot of its last block.
fn snapshot(network: &Network, node: usize) -> (SnapshotShelf, SnapshotHead) {
    let shelf = SnapshotShelf::open(folder(&SimDisk::new())).unwrap();
    let height = up(network, node).blocks().tip().height;
    let source = up(network, node).snapshot_source(height).unwrap().unwrap();
    let head = shelf.make_in_pieces(source, PIECE_BYTES).unwrap();
    assert_eq!((head.height(), shelf.newest().as_ref()), (height, Some(&head)));
    (shelf, head)
}

fn steps(network: &Network, node: usize, since: u64, until: u64) -> Vec<Step> {
    let node = up(network, node);
    Prover::new(node.blocks(), node.state()).steps_to(since, until, 1_000).unwrap()
}

/// Trusts the header of a node's snapshot, from the genesis.
fn approve(network: &Network, node: usize, head: &SnapshotHead) -> Result<Approved, OfferError> {
    let trusted = Trusted::genesis(&network.genesis).unwrap();
    let (mut approach, now) = (Approach::new(trusted), network.now.time_ns);
    for step in steps(network, node, 0, head.height()) {
        if step.header.height < head.height() {
            approach.step(step, now, &Options::default()).unwrap();
        }
    }
    approach.arrive(head.clone(), now, &Options::default())
}

/// Takes all pieces that are missing.
fn take_all(joining: &mut Joining, shelf: &SnapshotShelf) -> Result<(), JoinError> {
    let height = joining.head().height();
    for index in joining.missing().collect::<Vec<_>>() {
        joining.take(index, &shelf.piece(height, index).unwrap().unwrap())?;
    }
    Ok(())
}

/// Puts a snapshot into a folder.
fn join(disk: &SimDisk, approved: Approved, shelf: &SnapshotShelf) {
    let mut joining = Joining::begin(&folder(disk), approved).unwrap();
    take_all(&mut joining, shelf).unwrap();
    joining.finish(config().state).unwrap();
}

#[test]
fn who_joins_by_a_snapshot_has_the_same_roots_across_terms_and_votes_when_seated() {
    let (voter, follower) = (usize::from(CANDIDATES) - 1, usize::from(CANDIDATES));
    let config = chronolith_chain::consensus::Config { heartbeat_ms: Some(1_000), ..config() };
    let disks = |_| (SimDisk::new(), SimDisk::new());
    let mut network = Network::of(quick_terms(), CANDIDATES, 1, config, disks);
    network.stop(follower);
    let go_to = |network: &mut Network, until: u64| {
        let first = up(network, 0).blocks().tip().height + 1;
        for height in first..=until {
            network.run_to(height);
            (0..CANDIDATES).for_each(|person| hand_in(network, person));
        }
    };
    go_to(&mut network, 33);
    let (shelf, head) = snapshot(&network, 0);
    let begin = head.height();
    assert!(shelf.piece(begin, 3).unwrap().is_some(), "there are several pieces");
    assert!(shelf.piece(begin, 1 << head.bits).unwrap().is_none());
    for node in [voter, follower] {
        network.stop(node);
        // All but what was signed is lost.
        network.nodes[node].data = SimDisk::new();
        network.nodes[node].committed.clear();
        let approved = approve(&network, 0, &head).unwrap();
        assert!(approved.steps().len() >= 3, "terms were crossed");
        join(&network.nodes[node].data, approved, &shelf);
        network.restart(node).unwrap();
        let joined = up(&network, node);
        assert_eq!(joined.state().head(), head.state());
        assert_eq!(
            (joined.blocks().tip().block, joined.blocks().oldest()),
            (head.block(), begin + 1)
        );
    }
    network.run_to(begin + 1);
    go_to(&mut network, begin + 40);
    let last = network.nodes[0].committed.len() as u64;
    for node in [voter, follower] {
        let committed = &network.nodes[node].committed;
        assert!(committed.keys().copied().eq(begin + 1..=last), "none is missing");
        assert_eq!(network.nodes[node].root(), network.nodes[0].root());
    }
    // Everybody is seated once in three terms.
    let heights = up(&network, 0).blocks();
    let has_voted = (begin + 1..=last).any(|height| {
        let set = heights.validators(height).unwrap().unwrap();
        let certificate = heights.block(height).unwrap().unwrap().certificate;
        certificate.voters(&set).contains(&account(voter as u8))
    });
    assert!(has_voted, "it takes part");

    // What it has it can prove, and it can serve those who join next.
    let (first, joined) = (up(&network, 0), up(&network, voter));
    let headers = |steps: Vec<Step>| steps.into_iter().map(|step| step.header).collect::<Vec<_>>();
    assert_eq!(headers(steps(&network, voter, 0, last)), headers(steps(&network, 0, 0, last)));
    for height in begin..last {
        let block = first.blocks().block(height).unwrap().unwrap().block.header.id();
        let proof = HistoryProof::new(joined.blocks(), last, height).unwrap();
        let root = first.blocks().block(last).unwrap().unwrap().block.header.history_root;
        proof.verify(&root, last, height, block).unwrap();
    }
    let prover = Prover::new(joined.blocks(), joined.state());
    let old = prover.bundle(0, Some(begin - 1), Vec::new());
    assert!(matches!(old, Err(ProveError::Missing { oldest, .. }) if oldest == begin + 1));
    let (next_shelf, next) = snapshot(&network, voter);
    let disk = SimDisk::new();
    join(&disk, approve(&network, voter, &next).unwrap(), &next_shelf);
    let opened =
        Validator::create(&network.genesis, &files(&disk, &SimDisk::new()), None, config).unwrap();
    assert_eq!(opened.state().head(), next.state());
}

#[test]
fn a_snapshot_is_of_its_height_whatever_is_committed_while_it_is_made() {
    let mut network = Network::new(1, 0, config());
    network.run_to(8);
    let source = up(&network, 0).snapshot_source(7).unwrap().unwrap();
    for round in 0..20 {
        let transfer = network.transfer(1, 0);
        network.submit(0, transfer);
        network.run_to(9 + round);
    }
    assert!(up(&network, 0).snapshot_source(7).unwrap().is_none(), "its version is forgotten");
    let shelf = SnapshotShelf::open(folder(&SimDisk::new())).unwrap();
    let head = shelf.make_in_pieces(source, PIECE_BYTES).unwrap();
    assert_eq!(head.height(), 7);
    let disk = SimDisk::new();
    join(&disk, approve(&network, 0, &head).unwrap(), &shelf);
    let files = files(&disk, &SimDisk::new());
    let opened = Validator::create(&network.genesis, &files, None, config()).unwrap();
    assert_eq!(opened.state().head(), head.state());
}

#[test]
fn the_newest_two_are_kept_and_what_is_damaged_or_unfinished_is_dropped() {
    let mut network = Network::new(1, 0, config());
    let disk = SimDisk::new();
    let shelf = SnapshotShelf::open(folder(&disk)).unwrap();
    for height in 1..=4 {
        network.run_to(height);
        let source = up(&network, 0).snapshot_source(height).unwrap().unwrap();
        shelf.make_in_pieces(source, PIECE_BYTES).unwrap();
    }
    assert!(shelf.piece(2, 0).unwrap().is_none());
    assert!(shelf.piece(3, 0).unwrap().is_some());
    assert_eq!(disk.list("snapshots").unwrap(), ["3.snapshot", "4.snapshot"]);
    disk.open("snapshots/5.snapshot.new").unwrap().append(b"half").unwrap();
    // A piece that is damaged is not given away; nor is a file whose table is.
    disk.flip("snapshots/3.snapshot", 9, 1).unwrap();
    let length = disk.len("snapshots/4.snapshot").unwrap();
    disk.flip("snapshots/4.snapshot", length - 40, 1).unwrap();
    let shelf = SnapshotShelf::open(folder(&disk)).unwrap();
    assert_eq!(shelf.newest().unwrap().height(), 3);
    assert_eq!(disk.list("snapshots").unwrap(), ["3.snapshot"]);
    assert!(matches!(shelf.piece(3, 0), Err(ShelfError::Damaged { .. })));
    assert!(shelf.newest().is_none());
}

#[test]
fn heads_that_are_not_of_the_chain_are_refused() {
    let mut network = Network::new(4, 0, config());
    network.run_to(9);
    let (_, head) = snapshot(&network, 0);
    let now = network.now.time_ns;
    let genesis = || Approach::new(Trusted::genesis(&network.genesis).unwrap());
    let arrive = |head: &SnapshotHead| {
        genesis().arrive(head.clone(), now, &Options::default()).map(|_| ()).unwrap_err()
    };
    genesis().arrive(head.clone(), now, &Options::default()).unwrap();

    let with = |change: &dyn Fn(&mut SnapshotHead)| {
        let mut changed = head.clone();
        change(&mut changed);
        arrive(&changed)
    };
    let step = |error: OfferError| match error {
        OfferError::Step { reason, .. } => reason,
        error => panic!("{error}"),
    };
    let of = |height| steps(&network, 0, height - 1, height).remove(0);
    let root = step(with(&|head| head.step.header.state_root = Hash([1; 32])));
    assert!(matches!(root, StepError::OtherBlock { .. }));
    let older = step(with(&|head| head.step.certificate = of(8).certificate));
    assert!(matches!(older, StepError::OtherBlock { height: 8, .. }));
    let another = Network::new(3, 0, config());
    let set = up(&another, 0).validators().clone();
    assert!(matches!(
        step(with(&|head| head.step.validators = set.clone())),
        StepError::Set { .. }
    ));
    let hash = set.hash();
    assert!(matches!(
        step(with(&|head| head.step.header.validators = hash)),
        StepError::NextSet { .. }
    ));
    let short = with(&|head| {
        head.history = up(&network, 0).blocks().tip().history.clone();
    });
    assert!(matches!(short, OfferError::History { height: 9 }));
    assert!(short.is_fault());
    let deep = with(&|head| head.bits = 17);
    assert!(matches!(deep, OfferError::Cut(SnapshotError::Bits { found: 17 })));
    let late = genesis().arrive(head.clone(), now + 10 * 86_400_000_000_000, &Options::default());
    let late = late.unwrap_err();
    assert!(!late.is_fault(), "an honest node's header may be too old");
    assert!(matches!(step(late), StepError::Expired { .. }));
    let known = Trusted::header(head.step.header.clone(), head.step.validators.clone()).unwrap();
    let old = Approach::new(known).arrive(head.clone(), now, &Options::default()).unwrap_err();
    assert!(matches!(old, OfferError::Old { trusted: 9, found: 9 }));

    // Whatever bit is another, it is seen; but how the state is cut is everybody's own choice.
    let (bytes, mut signatures) = (encode(&head), 0);
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        let Ok(changed) = SnapshotHead::decode(&damaged) else { continue };
        if (SnapshotHead { bits: head.bits, ..changed.clone() }) == head {
            continue;
        }
        let refused = arrive(&changed);
        let is_signature =
            |reason| matches!(reason, StepError::Certificate(CertificateError::Signature { .. }));
        signatures +=
            usize::from(matches!(refused, OfferError::Step { reason, .. } if is_signature(reason)));
    }
    assert!(signatures > 3 * 60, "{signatures}");
}

#[test]
fn pieces_that_are_not_of_the_state_are_refused_and_good_ones_go_on() {
    let mut network = Network::new(4, 0, config());
    network.run_to(5);
    let (shelf, head) = snapshot(&network, 0);
    let disk = SimDisk::new();
    let mut joining = Joining::begin(&folder(&disk), approve(&network, 0, &head).unwrap()).unwrap();
    assert!(joining.count() > 3);
    let piece = |index| shelf.piece(5, index).unwrap().unwrap();
    let other = joining.take(1, &piece(2)).unwrap_err();
    assert!(matches!(other, JoinError::Other { asked: 1, found: 2 }));
    let good = piece(1);
    for at in (0..good.len()).step_by(5) {
        let mut damaged = good.clone();
        damaged[at] ^= 0x20;
        let refused = joining.take(1, &damaged).unwrap_err();
        assert!(refused.is_fault(), "byte {at}: {refused}");
        assert!(joining.take(1, &good[..at]).unwrap_err().is_fault());
    }
    take_all(&mut joining, &shelf).unwrap();
    let again = joining.take(1, &good).unwrap_err();
    assert!(matches!(again, JoinError::Piece(SnapshotError::Duplicate { index: 1 })));
    assert!(!again.is_fault());
    joining.finish(config().state).unwrap();

    let disk = SimDisk::new();
    let mut joining = Joining::begin(&folder(&disk), approve(&network, 0, &head).unwrap()).unwrap();
    joining.take(1, &good).unwrap();
    let early = joining.finish(config().state).unwrap_err();
    assert!(matches!(early, JoinError::Piece(SnapshotError::Incomplete { found: 1, .. })));
    // A chain does not begin beside a snapshot that is being fetched.
    let files = files(&disk, &SimDisk::new());
    let refused = Validator::create(&network.genesis, &files, None, config());
    assert!(matches!(refused, Err(ConsensusError::Joining)));
    Joining::abandon(&disk).unwrap();
    let begun = Validator::create(&network.genesis, &files, None, config()).unwrap();
    assert_eq!(begun.blocks().tip().height, 0);
}

/// How often a power cut left what.
#[derive(Debug, Default)]
struct Left {
    nothing: usize,
    resumable: usize,
    whole: usize,
}

/// Joins, as a node does when it begins.
fn script(disk: &SimDisk, approved: &Approved, shelf: &SnapshotShelf) -> Result<(), JoinError> {
    let chain = approved.head().step.header.chain;
    let disk = folder(disk);
    let begun = Joining::resume(&disk, chain)?;
    let is_there = Joining::present(disk.as_ref(), chain)?
        .is_some_and(|present| present.height >= approved.head().height());
    let mut joining = match begun {
        Some(joining) => joining,
        None if is_there => return Ok(()),
        None => Joining::begin(&disk, approved.clone())?,
    };
    take_all(&mut joining, shelf)?;
    joining.finish(config().state)
}

/// Cuts the power at every operation of joining into a folder, and looks at what is left.
fn cut_everywhere(old: &SimDisk, network: &Network) -> Left {
    let (shelf, head) = snapshot(network, 0);
    let approved = approve(network, 0, &head).unwrap();
    let chain = network.genesis.chain_id();
    let height_of = |disk: &SimDisk| {
        let present = Joining::present(disk, chain).unwrap();
        present.map_or(0, |present| present.height)
    };
    let (before, mut left) = (height_of(old), Left::default());
    let whole = old.deep_clone();
    let first = whole.operations();
    script(&whole, &approved, &shelf).unwrap();
    let operations = whole.operations() - first;
    for cut in 0..=operations {
        let disk = old.deep_clone();
        disk.cut_after(disk.operations() + cut);
        let done = script(&disk, &approved, &shelf);
        assert_eq!(done.is_ok(), cut == operations);
        for mode in CrashMode::ALL {
            let survivor = disk.crash(mode, cut);
            let context = format!("cut after {cut} of {operations}, {mode:?}");
            let begun = Joining::resume(&folder(&survivor), chain).unwrap();
            match &begun {
                Some(_) => left.resumable += 1,
                None if height_of(&survivor) == head.height() => left.whole += 1,
                None => left.nothing += 1,
            }
            if begun.is_some() || height_of(&survivor) < head.height() {
                assert!(done.is_err(), "{context}: what was done is lost");
                // Whatever was in the folder before is as it was.
                let abandoned = survivor.deep_clone();
                drop(begun);
                Joining::abandon(&abandoned).unwrap();
                assert_eq!(height_of(&abandoned), before, "{context}");
            }
            script(&survivor, &approved, &shelf)
                .unwrap_or_else(|error| panic!("{context}: {error}"));
            let files = files(&survivor, &SimDisk::new());
            let opened = Validator::create(&network.genesis, &files, None, config());
            let opened = opened.unwrap_or_else(|error| panic!("{context}: {error}"));
            assert_eq!(opened.state().head(), head.state(), "{context}");
            assert_eq!(opened.blocks().tip().block, head.block(), "{context}");
            let names: Vec<String> = survivor.files();
            assert!(!names.iter().any(|name| name.contains("join")), "{context}: {names:?}");
        }
    }
    println!("{operations} operations: {left:?}");
    left
}

#[test]
fn a_power_cut_at_every_operation_leaves_nothing_something_to_resume_or_the_whole() {
    let mut network = Network::new(1, 0, config());
    network.run_to(4);
    let left = cut_everywhere(&SimDisk::new(), &network);
    assert!(left.nothing > 0 && left.resumable > 0 && left.whole > 0, "{left:?}");
}

#[test]
fn a_power_cut_while_an_old_chain_is_exchanged_leaves_the_old_or_the_new_one() {
    let mut network = Network::new(1, 0, config());
    network.run_to(2);
    let old = network.nodes[0].data.deep_clone();
    network.run_to(5);
    let left = cut_everywhere(&old, &network);
    assert!(left.nothing > 0 && left.resumable > 0 && left.whole > 0, "{left:?}");
}

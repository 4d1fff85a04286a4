//! Who was away, or never votes, gets the blocks that others have, and checks them.

use std::cell::RefCell;
use std::rc::Rc;

use chronolith_chain::consensus::message::{Message, PeerId, Status};
use chronolith_chain::consensus::{Config, Input};

use crate::network::{Network, config};
use crate::world::account;

#[test]
fn a_validator_that_was_away_catches_up_and_votes_again() {
    let mut network = Network::new(4, 0, config());
    network.run_to(2);
    network.stop(3);
    network.run_to(80);
    network.restart(3).unwrap();
    network.run_to(84);
    assert_eq!(network.nodes[3].committed.len(), 84, "none is missing");
    assert_eq!(network.nodes[3].root(), network.nodes[0].root());
}

#[test]
fn a_node_that_only_follows_has_every_block_and_sends_no_vote() {
    let mut network = Network::new(4, 1, config());
    network.filter = Box::new(|from, _, message| {
        let is_signed = matches!(message, Message::Vote(_) | Message::Proposal(_));
        assert!(from != 4 || !is_signed);
        true
    });
    network.run_to(6);
    assert_eq!(network.nodes[4].committed.len(), 6);
    assert_eq!(network.nodes[4].root(), network.nodes[0].root());
}

#[test]
fn a_node_that_hears_no_votes_follows_by_asking() {
    let mut network = Network::new(4, 1, config());
    network.filter = Box::new(|_, to, message| {
        to != 4 || matches!(message, Message::Status(_) | Message::Blocks(_))
    });
    network.run_to(6);
    assert_eq!(network.nodes[4].root(), network.nodes[0].root());
}

#[test]
fn who_does_not_answer_is_not_asked_for_ever() {
    let mut network = Network::new(4, 1, config());
    network.filter = Box::new(|from, to, message| match message {
        Message::Blocks(_) => from != 0,
        Message::Vote(_) | Message::Proposal(_) | Message::Block(_) => to != 4,
        _ => true,
    });
    network.run_to(8);
}

/// The simulator found a chain of seven that stood still for ever (withholders, seed 50): a node that
/// was behind asked two Byzantine ones in turn, who said that they have more than anybody, did not
/// answer, and said it again before the next question. Who failed is asked after all others now.
#[test]
fn who_boasts_again_and_again_keeps_nobody_from_catching_up() {
    let mut network = Network::new(4, 1, config());
    network.filter = Box::new(|from, to, message| match message {
        Message::Blocks(_) => from > 1,
        _ => to != 4 || (from > 1 && matches!(message, Message::Status(_))),
    });
    let chain = network.genesis.chain_id();
    let caught_up = |network: &Network| network.nodes[4].height().is_some_and(|at| at.0 > 4);
    for _ in 0..20_000 {
        if caught_up(&network) {
            return;
        }
        for from in [0, 1].map(PeerId) {
            let message = Message::Status(Status { chain, height: 1_000, oldest: 1 });
            network.give(4, Input::Message { from, message });
        }
        assert!(network.step());
    }
    panic!("it asks who does not answer for ever: {:?}", network.nodes[4].height());
}

#[test]
fn pruned_blocks_are_got_from_another() {
    let mut network = Network::new(4, 0, config());
    network.run_to(2);
    network.stop(3);
    network.run_to(9);
    for node in 0..2 {
        network.nodes[node].validator.as_mut().unwrap().prune(8).unwrap();
        assert_eq!(network.nodes[node].validator.as_ref().unwrap().blocks().oldest(), 8);
    }
    network.restart(3).unwrap();
    network.run_to(11);
}

#[test]
fn an_older_state_is_brought_up_from_the_blocks() {
    let mut network = Network::new(1, 0, config());
    network.run_to(2);
    let old = network.nodes[0].data.read_file("state.redb").unwrap();
    network.run_to(5);
    network.stop(0);
    let disk = network.nodes[0].data.clone();
    {
        use chronolith_disk::Disk as _;
        disk.remove("state.redb").unwrap();
        let file = disk.open("state.redb").unwrap();
        file.append(&old).unwrap();
        file.sync().unwrap();
    }
    network.restart(0).unwrap();
    assert_eq!(network.nodes[0].height().unwrap().0, 6);
    network.run_to(7);
}

/// Each connection is read by itself, so what one neighbour says of two heights on can arrive before
/// what another says of the first of them. It used to be dropped: the node then had every message
/// it needed but those, waited for half a second, and asked for blocks that it had been sent. What is
/// said of the next four heights is kept now.
#[test]
fn neighbours_that_are_heard_one_after_the_other_are_enough() {
    let quick = Config { interval_ms: 50, heartbeat_ms: Some(50), ..config() };
    let mut network = Network::new(4, 0, quick);
    // Up to a block of the fourth's own, so that the next three are of the others.
    let mut last = 1;
    network.run_to(last);
    while network.nodes[0].committed[&last].block.header.proposer != account(3) {
        last += 1;
        network.run_to(last);
    }
    let held = Rc::new(RefCell::new(Vec::new()));
    let hold = Rc::clone(&held);
    network.filter = Box::new(move |from, to, message| {
        if to == 3 {
            hold.borrow_mut().push((from, message.clone()));
        }
        to != 3
    });
    while network.nodes[0].height().unwrap().0 <= last + 3 {
        assert!(network.step());
    }
    assert_eq!(network.nodes[3].height().unwrap().0, last + 1);
    let held = held.take();
    for neighbour in 0..3 {
        for (from, message) in held.iter().filter(|(from, _)| *from == neighbour) {
            let from = PeerId(*from as u64);
            network.give(3, Input::Message { from, message: message.clone() });
        }
    }
    // No time went by, and nobody was asked.
    assert_eq!(network.nodes[3].height().unwrap().0, last + 4);
    assert!(network.nodes[3].committed.keys().copied().eq(1..=last + 3));
}

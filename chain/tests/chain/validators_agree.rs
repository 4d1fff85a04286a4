//! Validators commit the same blocks, one, four and seven of them, with transactions and without,
//! and when some are away.

use chronolith_chain::consensus::message::Message;
use chronolith_chain::consensus::{Config, Input};
use chronolith_chain::state::Options;

use crate::network::{Network, config};

fn agree(validators: u8) {
    let mut network = Network::new(validators, 0, config());
    network.run_to(2);
    for person in 0..6 {
        let transaction = network.transfer(person, 0);
        network.submit(usize::from(person % validators), transaction);
    }
    network.run_to(6);
    let root = network.nodes[0].root();
    for node in &network.nodes {
        assert_eq!(node.root(), root);
        assert!(node.refused.is_empty(), "{:?}", node.refused);
    }
    let blocks = &network.nodes[0].committed;
    let carried: usize = blocks.values().map(|decided| decided.block.transactions.len()).sum();
    assert_eq!(carried, 6);
    for (height, decided) in blocks {
        let header = &decided.block.header;
        assert_eq!(decided.certificate.round(), 0, "height {height}");
        assert!(header.beacon.is_some());
        decided
            .certificate
            .verify(network.nodes[0].validator.as_ref().unwrap().validators(), header.chain)
            .unwrap();
    }
}

#[test]
fn one_validator_is_a_chain() {
    agree(1);
}

#[test]
fn four_validators_agree() {
    agree(4);
}

#[test]
fn seven_validators_agree() {
    agree(7);
}

#[test]
fn a_third_may_be_away_and_no_more() {
    let mut network = Network::new(4, 0, config());
    network.run_to(2);
    network.stop(3);
    network.run_to(8);
    let rounds = network.nodes[0].committed.values().map(|decided| decided.certificate.round());
    assert!(rounds.max() > Some(0), "the absent one's turn came");
    network.stop(2);
    for _ in 0..2_000 {
        network.step();
    }
    assert_eq!(network.nodes[0].height().unwrap().0, 9, "two of four decide nothing");
    network.restart(2).unwrap();
    network.run_to(12);
}

#[test]
fn empty_blocks_are_a_heartbeat_and_work_does_not_wait_for_it() {
    let mut network = Network::new(4, 0, config());
    network.run_to(3);
    let committed = &network.nodes[0].committed;
    let times: Vec<u64> =
        committed.values().map(|decided| decided.block.header.time_ns / 1_000_000).collect();
    assert!(times.windows(2).all(|two| two[1] - two[0] >= 5_000), "{times:?}");
    let transaction = network.transfer(1, 0);
    network.submit(2, transaction);
    network.run_to(4);
    let last = &network.nodes[0].committed[&4];
    assert_eq!(last.block.transactions.len(), 1);
    let waited = last.block.header.time_ns / 1_000_000 - times[2];
    assert!((1_000..2_000).contains(&waited), "{waited}");
}

#[test]
fn a_development_chain_makes_a_block_when_there_is_something_to_commit() {
    let config = Config {
        state: Options { keep_versions: 3, cache_bytes: 1 << 20 },
        ..Config::development()
    };
    let mut network = Network::new(1, 0, config);
    network.give(0, Input::Tick);
    assert_eq!(network.nodes[0].height().unwrap().0, 1);
    assert!(!network.step(), "nothing to do, nothing to wait for");
    for block in 1..=3 {
        let transaction = network.transfer(1, 0);
        network.submit(0, transaction);
        assert_eq!(network.nodes[0].committed[&block].block.transactions.len(), 1);
    }
    assert_eq!(network.nodes[0].submitted, [true; 3]);
}

#[test]
fn lost_messages_are_said_again() {
    let mut network = Network::new(4, 0, config());
    let mut random = crate::random::Random(11);
    network.filter = Box::new(move |_, _, message| {
        matches!(message, Message::Status(_)) || random.below(10) < 7
    });
    network.run_to(12);
}

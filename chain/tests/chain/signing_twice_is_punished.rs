//! Who signs two things for one step is seen, reported in a block, and barred.

use chronolith_chain::consensus::Input;
use chronolith_chain::consensus::message::{FromValidator, Message, PeerId};
use chronolith_chain::hash::BlockId;
use chronolith_chain::ledger::{Misdeed, Validator as Bonded, ValidatorKey};
use chronolith_chain::state::Overlay;
use chronolith_chain::vote::{Proposal, Step, Vote};

use crate::network::{Network, config};
use crate::world::{account, consensus_key};

fn bonded(network: &Network, person: u8) -> Bonded {
    let state = Overlay::new(network.nodes[0].validator.as_ref().unwrap().state());
    state.get(&ValidatorKey { validator: account(person) }).unwrap().unwrap()
}

/// Gives every node but the cheater two messages, and runs until a block reports it.
fn report(cheater: u8, network: &mut Network, messages: [Message; 2]) -> Misdeed {
    let before = bonded(network, cheater);
    network.stop(usize::from(cheater));
    for message in messages {
        for node in (0..4).filter(|node| *node != usize::from(cheater)) {
            let from = PeerId(u64::from(cheater));
            network.give(node, Input::Message { from, message: message.clone() });
        }
    }
    let height = network.nodes.iter().find_map(|node| node.height()).unwrap().0;
    network.run_to(height + 6);
    let reported: Vec<_> = network
        .nodes
        .iter()
        .find(|node| node.validator.is_some())
        .unwrap()
        .committed
        .values()
        .flat_map(|decided| decided.block.evidence.iter())
        .collect();
    assert_eq!(reported.len(), 1, "once, although all saw it");
    assert_eq!(reported[0].key, consensus_key(cheater).public());
    let after = bonded(network, cheater);
    assert!(after.is_barred && after.stake < before.stake);
    reported[0].misdeed.clone()
}

#[test]
fn two_votes() {
    let mut network = Network::new(4, 0, config());
    network.run_to(2);
    let (chain, height) = (network.genesis.chain_id(), 3);
    let vote = |byte| {
        let block = Some(BlockId([byte; 32]));
        let vote = Vote { chain, height, round: 0, step: Step::Prevote, block };
        Message::Vote(FromValidator::new(vote, &consensus_key(3)))
    };
    let misdeed = report(3, &mut network, [vote(1), vote(2)]);
    assert!(matches!(misdeed, Misdeed::Votes(..)));
}

#[test]
fn two_proposals() {
    let mut network = Network::new(4, 0, config());
    network.run_to(2);
    let (chain, height) = (network.genesis.chain_id(), 3);
    let mut order: Vec<u8> = (1..4).collect();
    order.push(0);
    order.sort_by_key(|validator| consensus_key(*validator).public());
    // The round in which it is somebody's turn whom the test can look past.
    let round = (0..4).find(|round| order[(height + round) as usize % 4] != 0).unwrap();
    let cheater = order[(height + round) as usize % 4];
    let proposal = |byte| {
        let block = BlockId([byte; 32]);
        let round = round as u32;
        let proposal = Proposal { chain, height, round, valid_round: None, block };
        Message::Proposal(FromValidator::new(proposal, &consensus_key(cheater)))
    };
    let misdeed = report(cheater, &mut network, [proposal(1), proposal(2)]);
    assert!(matches!(misdeed, Misdeed::Proposals(..)));
}

//! Who is locked on a block tells the others why, so that they can commit it with him.
//!
//! A Byzantine validator withheld a proposal from one honest validator and its prevote from all but
//! another. That one saw two thirds, was locked, and could vote for no block of the others until its
//! own turn came; each round could hide one more lock. A height took up to 10 rounds of 7
//! validators. The prevotes that lock are passed on now.

use chronolith_chain::consensus::message::Message;
use chronolith_chain::vote::Step;

use crate::network::{Network, config};
use crate::world::consensus_key;

/// The height of which the test is; the ones before are as usual.
const HEIGHT: u64 = 3;

/// The validators in the order of their turns at the height.
fn turns() -> Vec<usize> {
    let mut order: Vec<u8> = (0..4).collect();
    order.sort_by_key(|validator| consensus_key(*validator).public());
    order.rotate_left(HEIGHT as usize % 4);
    order.into_iter().map(usize::from).collect()
}

#[test]
fn a_block_on_which_one_is_locked_is_committed_in_that_round() {
    // The first proposes to the second and the last, and shows its prevote to the last only, whose
    // turn is far away. The third gets the block from nobody before it prevoted nil.
    let [byzantine, next, without, locked] = turns()[..] else { panic!("four validators") };
    let mut network = Network::new(4, 0, config());
    network.run_to(HEIGHT - 1);
    let mut has_prevoted = false;
    network.filter = Box::new(move |from, to, message| match message {
        Message::Vote(vote) if from == without => {
            has_prevoted |= vote.signed.message.height == HEIGHT;
            true
        }
        Message::GetProposal { .. } if from == without => has_prevoted,
        Message::Proposal(proposal) if from == byzantine => {
            proposal.signed.message.round > 0 || to != without
        }
        Message::Block(_) if from == byzantine => to != without,
        Message::Vote(vote) if from == byzantine => {
            let vote = vote.signed.message;
            vote.height != HEIGHT || (vote.step == Step::Prevote && to == locked)
        }
        // It knows of the lock, and keeps to itself what it could pass on.
        _ => from != byzantine || matches!(message, Message::Status(_)),
    });
    network.run_to(HEIGHT);
    let decided = &network.nodes[locked].committed[&HEIGHT];
    assert_eq!(decided.certificate.round(), 0, "the others were told of the lock");
    let proposer = decided.block.header.proposer;
    assert_eq!(proposer, crate::world::account(byzantine as u8), "the block that was locked");
    // Nobody blames anybody honest for it.
    for node in [next, without, locked] {
        let faults = network.nodes[node].refused.iter().filter(|reason| reason.is_fault());
        assert_eq!(faults.count(), 0);
    }
}

#[test]
fn a_chain_without_trouble_passes_nothing_on() {
    let mut network = Network::new(4, 0, config());
    network.filter = Box::new(|_, _, message| {
        assert!(!matches!(message, Message::Polka(_)), "a lock is told of that all have");
        true
    });
    network.run_to(5);
}

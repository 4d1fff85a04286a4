//! What a neighbour sends is refused with a reason where it is malformed, forged, out of place or
//! too large; the node goes on, and the chain as well.

use std::cell::RefCell;
use std::rc::Rc;

use chronolith_chain::block::{Block, InvalidBlock};
use chronolith_chain::certificate::CertificateError;
use chronolith_chain::consensus::message::{
    Endorsement, FromValidator, MAX_MESSAGE_BYTES, Message, PeerId, Polka, RoundCertificate,
    RoundCertificateKind, RoundVote, Status,
};
use chronolith_chain::consensus::{Input, Refusal};
use chronolith_chain::encoding::{DecodeReason, List};
use chronolith_chain::hash::{BlockId, ChainId};
use chronolith_chain::keys::{SecretKey, Signature};
use chronolith_chain::mempool::Refused;
use chronolith_chain::vote::{Message as _, Proposal, Step, Vote};

use crate::network::{Network, config};
use crate::world::consensus_key;

const BLOCK: BlockId = BlockId([7; 32]);

/// A network at rest before a height.
fn network() -> Network {
    let mut network = Network::new(4, 0, config());
    network.run_to(2);
    network
}

fn height(network: &Network) -> u64 {
    network.nodes[0].height().unwrap().0
}

fn vote(network: &Network, step: Step) -> Vote {
    let (chain, height) = (network.genesis.chain_id(), height(network));
    Vote { chain, height, round: 0, step, block: Some(BLOCK) }
}

fn proposal(network: &Network) -> Proposal {
    let (chain, height) = (network.genesis.chain_id(), height(network));
    Proposal { chain, height, round: 0, valid_round: None, block: BLOCK }
}

/// The one whose turn it is in a round of the present height.
fn proposer(network: &Network, round: u32) -> u8 {
    let mut order: Vec<u8> = (0..4).collect();
    order.sort_by_key(|validator| consensus_key(*validator).public());
    order[(height(network) + u64::from(round)) as usize % 4]
}

/// Gives node 0 a message, and takes why it refused it; none where it took it.
fn refusal(network: &mut Network, message: Message) -> Option<Refusal> {
    network.nodes[0].refused.clear();
    network.give(0, Input::Message { from: PeerId(3), message });
    network.nodes[0].refused.pop()
}

fn endorse(vote: &Vote, validators: impl IntoIterator<Item = u8>) -> Vec<Endorsement> {
    let by = |validator| {
        let key = consensus_key(validator);
        Endorsement { key: key.public(), signature: key.sign(&vote.signing_hash()) }
    };
    validators.into_iter().map(by).collect()
}

/// Every kind of message, as honest nodes send it.
fn every_kind(network: &Network) -> Vec<Message> {
    let (chain, height) = (network.genesis.chain_id(), height(network));
    let prevote = vote(network, Step::Prevote);
    let precommit = Vote { block: None, ..vote(network, Step::Precommit) };
    let decided = network.nodes[0].committed[&1].clone();
    let round_vote = |vote: Endorsement| RoundVote { step: Step::Precommit, block: None, vote };
    let votes: Vec<RoundVote> = endorse(&precommit, 0..3).into_iter().map(round_vote).collect();
    let prevotes = List::new(endorse(&prevote, 0..3)).unwrap();
    vec![
        Message::Status(Status { chain, height, oldest: 1 }),
        Message::Proposal(FromValidator::new(proposal(network), &consensus_key(0))),
        Message::Block(Box::new(decided.block.clone())),
        Message::Vote(FromValidator::new(prevote, &consensus_key(1))),
        Message::Polka(Polka { height, round: 0, block: BLOCK, prevotes }),
        Message::Round(RoundCertificate {
            height,
            round: 0,
            kind: RoundCertificateKind::Precommit,
            votes: List::new(votes).unwrap(),
        }),
        Message::GetProposal { height, block: BLOCK },
        Message::Transactions(List::new([network.transfer(1, 0)]).unwrap()),
        Message::GetBlocks { from: 1, count: 2 },
        Message::Blocks(List::new([decided]).unwrap()),
    ]
}

#[test]
fn bytes_that_are_no_message_do_not_decode() {
    let network = network();
    for message in every_kind(&network) {
        let bytes = message.encode();
        assert_eq!(Message::decode(&bytes).unwrap(), message);
        for cut in (0..bytes.len()).step_by(1 + bytes.len() / 97) {
            let error = Message::decode(&bytes[..cut]).unwrap_err();
            assert_eq!(error.reason, DecodeReason::Truncated, "{message:?} at {cut}");
        }
        let mut longer = bytes.clone();
        longer.push(0);
        let error = Message::decode(&longer).unwrap_err();
        assert_eq!(error.reason, DecodeReason::Trailing { count: 1 });
    }
    let large = vec![0; MAX_MESSAGE_BYTES + 1];
    let error = Message::decode(&large).unwrap_err();
    assert!(matches!(error.reason, DecodeReason::TooLarge { .. }));
    // Kind 9, blocks, and a count that no answer may have.
    let error = Message::decode(&[9, 0xff, 0xff, 0xff, 0xff]).unwrap_err();
    assert!(matches!(error.reason, DecodeReason::TooLong { .. }), "{error}");
    let error = Message::decode(&[99]).unwrap_err();
    assert_eq!(error.reason, DecodeReason::Invalid);
}

#[test]
fn votes_are_of_validators_signed_and_in_place() {
    let mut network = network();
    let good = vote(&network, Step::Prevote);
    let signed = |vote: Vote| FromValidator::new(vote, &consensus_key(1));
    assert!(refusal(&mut network, Message::Vote(signed(good))).is_none());

    let stranger = SecretKey::from_seed(&[77; 32]);
    let other = FromValidator::new(good, &stranger);
    let reason = refusal(&mut network, Message::Vote(other)).unwrap();
    assert!(matches!(reason, Refusal::NotValidator { .. }) && reason.is_fault());

    let mut forged = FromValidator::new(good, &stranger);
    forged.key = consensus_key(2).public();
    let reason = refusal(&mut network, Message::Vote(forged)).unwrap();
    assert!(matches!(reason, Refusal::Signature { .. }) && reason.is_fault());

    // The signature of another message of the same validator.
    let mut moved = signed(good);
    moved.signed.message.block = Some(BlockId([8; 32]));
    let reason = refusal(&mut network, Message::Vote(moved)).unwrap();
    assert!(matches!(reason, Refusal::Signature { .. }));

    let abroad = signed(Vote { chain: ChainId([1; 32]), ..good });
    let reason = refusal(&mut network, Message::Vote(abroad)).unwrap();
    assert!(matches!(reason, Refusal::Chain { .. }) && reason.is_fault());

    let far = signed(Vote { round: 11, ..good });
    let reason = refusal(&mut network, Message::Vote(far)).unwrap();
    assert!(matches!(reason, Refusal::Round { most: 10, .. }) && !reason.is_fault());

    let old = signed(Vote { height: 1, ..good });
    let reason = refusal(&mut network, Message::Vote(old)).unwrap();
    assert!(matches!(reason, Refusal::Stale { found: 1, .. }) && !reason.is_fault());

    // What is said of the next four heights waits for them.
    let near = signed(Vote { height: good.height + 4, ..good });
    assert!(refusal(&mut network, Message::Vote(near)).is_none());
    let early = signed(Vote { height: good.height + 5, ..good });
    let reason = refusal(&mut network, Message::Vote(early)).unwrap();
    assert!(matches!(reason, Refusal::Early { .. }) && !reason.is_fault());
    network.run_to(4);
}

#[test]
fn proposals_are_of_the_one_whose_turn_it_is() {
    let mut network = network();
    let good = proposal(&network);
    let turn = proposer(&network, 0);
    let other = FromValidator::new(good, &consensus_key((turn + 1) % 4));
    let reason = refusal(&mut network, Message::Proposal(other)).unwrap();
    assert!(matches!(reason, Refusal::NotProposer { round: 0, .. }) && reason.is_fault());

    let second = proposer(&network, 1);
    let own = Proposal { round: 1, valid_round: Some(1), ..good };
    let own = FromValidator::new(own, &consensus_key(second));
    let reason = refusal(&mut network, Message::Proposal(own)).unwrap();
    assert!(matches!(reason, Refusal::ValidRound { round: 1, valid_round: 1 }));

    let mut forged = FromValidator::new(good, &consensus_key(turn));
    forged.signed.signature = Signature([3; 64]);
    let reason = refusal(&mut network, Message::Proposal(forged)).unwrap();
    assert!(matches!(reason, Refusal::Signature { .. }));
    network.run_to(4);
}

#[test]
fn certificates_need_enough_different_validators() {
    let mut network = network();
    let (height, prevote) = (height(&network), vote(&network, Step::Prevote));
    let mut polka = |prevotes: Vec<Endorsement>| {
        let prevotes = List::new(prevotes).unwrap();
        let polka = Polka { height, round: 0, block: BLOCK, prevotes };
        refusal(&mut network, Message::Polka(polka))
    };
    let reason = polka(endorse(&prevote, 0..2)).unwrap();
    assert!(matches!(reason, Refusal::Power { found: 20, total: 40 }) && reason.is_fault());
    let reason = polka(endorse(&prevote, [0, 1, 1, 1])).unwrap();
    assert!(matches!(reason, Refusal::Power { .. }));
    let mut forged = endorse(&prevote, 0..3);
    forged[1].signature = forged[0].signature;
    assert!(matches!(polka(forged).unwrap(), Refusal::Signature { .. }));
    assert!(polka(endorse(&prevote, 0..3)).is_none());

    let nil = Vote { block: None, ..prevote };
    let mut round = |kind, step, votes: Vec<Endorsement>| {
        let votes: Vec<RoundVote> =
            votes.into_iter().map(|vote| RoundVote { step, block: None, vote }).collect();
        let votes = List::new(votes).unwrap();
        let certificate = RoundCertificate { height, round: 1, kind, votes };
        refusal(&mut network, Message::Round(certificate))
    };
    let kind = RoundCertificateKind::Precommit;
    let reason = round(kind, Step::Prevote, endorse(&nil, 0..3)).unwrap();
    assert!(matches!(reason, Refusal::Kind) && reason.is_fault());
    let reason = round(RoundCertificateKind::Skip, Step::Prevote, endorse(&nil, 0..1)).unwrap();
    assert!(matches!(reason, Refusal::Power { .. }));
    // Signed for round 0, shown for round 1.
    let reason = round(RoundCertificateKind::Skip, Step::Prevote, endorse(&nil, 0..2)).unwrap();
    assert!(matches!(reason, Refusal::Signature { .. }));
    network.run_to(4);
}

#[test]
fn a_proposed_block_that_cannot_follow_is_not_voted_for() {
    let mut network = network();
    let turn = proposer(&network, 0);
    network.stop(usize::from(turn));
    let target = (0..4).find(|node| *node != usize::from(turn)).unwrap();
    // A block of an honest node, spoilt in its root.
    let mut header = network.nodes[target].committed[&2].block.header.clone();
    header.height = 3;
    header.proposer = crate::world::account(turn);
    let block = Block { header, ..network.nodes[target].committed[&2].block.clone() };
    let id = block.header.id();
    let proposal = Proposal { block: id, ..proposal_of(&network, target) };
    let proposal = FromValidator::new(proposal, &consensus_key(turn));
    for node in (0..4).filter(|node| *node != usize::from(turn)) {
        network.nodes[node].refused.clear();
        let from = PeerId(u64::from(turn));
        network.give(node, Input::Message { from, message: Message::Proposal(proposal) });
        let message = Message::Block(Box::new(block.clone()));
        network.give(node, Input::Message { from, message });
        let reason = network.nodes[node].refused.pop().unwrap();
        assert!(reason.is_fault());
        let Refusal::Block { block, reason } = reason else { panic!("{reason}") };
        assert_eq!(block, id);
        assert!(matches!(*reason, InvalidBlock::Header(_)), "{reason}");
    }
    network.run_to(3);
    let committed = &network.nodes[target].committed[&3];
    assert_ne!(committed.block.header.id(), id);
    assert!(committed.certificate.round() > 0);
}

/// A header with another body was taken for a block that cannot follow, and the true one of that id
/// was not looked at any more: who was quick could keep a node from any block, by a copy with a
/// transaction less. The cause was that a body that does not fit its header counted against the id.
#[test]
fn a_false_copy_does_not_stand_for_the_block() {
    let mut network = network();
    network.submit(0, network.transfer(1, 0));
    network.submit(0, network.transfer(2, 0));
    let turn = usize::from(proposer(&network, 0));
    let target = (turn + 1) % 4;
    // The target gets no block, neither now nor when it is committed.
    let sent = Rc::new(RefCell::new(None));
    let kept = Rc::clone(&sent);
    network.filter = Box::new(move |_, to, message| match message {
        Message::Block(block) if to == target => {
            kept.borrow_mut().get_or_insert_with(|| (**block).clone());
            false
        }
        Message::Blocks(_) => to != target,
        _ => true,
    });
    while sent.borrow().is_none() {
        assert!(network.step());
    }
    let block = sent.borrow_mut().take().unwrap();
    assert!(block.transactions.len() == 2 && block.certificate.is_some());
    let mut fewer = block.clone();
    fewer.transactions.pop();
    let mut without = block.clone();
    without.certificate = None;
    let mut unsigned = block.clone();
    let mut forged = block.transactions.to_vec();
    forged[0].signature = forged[1].signature;
    unsigned.transactions = List::new(forged).unwrap();
    network.run(20);
    for copy in [fewer, without, unsigned] {
        network.nodes[target].refused.clear();
        let message = Message::Block(Box::new(copy));
        network.give(target, Input::Message { from: PeerId(9), message });
        let Some(Refusal::Block { reason, .. }) = network.nodes[target].refused.pop() else {
            panic!("a false copy is taken")
        };
        assert!(reason.is_of_copy(), "{reason}");
    }
    let before = network.nodes[target].height().unwrap().0;
    let message = Message::Block(Box::new(block.clone()));
    network.give(target, Input::Message { from: PeerId(9), message });
    network.run(20);
    assert_eq!(network.nodes[target].height().unwrap().0, before + 1);
    assert_eq!(network.nodes[target].committed[&before].block, block);
}

fn proposal_of(network: &Network, node: usize) -> Proposal {
    let height = network.nodes[node].height().unwrap().0;
    let chain = network.genesis.chain_id();
    Proposal { chain, height, round: 0, valid_round: None, block: BLOCK }
}

#[test]
fn blocks_nobody_proposed_take_bounded_room() {
    let mut network = network();
    let mut block = network.nodes[0].committed[&1].block.clone();
    block.header.height = height(&network);
    let mut refused = 0;
    for time_ns in 0..20 {
        block.header.time_ns = time_ns;
        let reason = refusal(&mut network, Message::Block(Box::new(block.clone())));
        refused += u32::from(matches!(reason, Some(Refusal::NotProposed { .. })));
    }
    assert_eq!(refused, 18);
    network.run_to(4);
}

#[test]
fn committed_blocks_are_taken_only_where_asked_for_and_certified() {
    let mut network = Network::new(4, 1, config());
    // The follower hears nothing but what it asks for.
    network.filter = Box::new(|_, to, message| to != 4 || matches!(message, Message::Status(_)));
    network.run(400);
    let decided = network.nodes[0].committed[&1].clone();
    let give = |network: &mut Network, message| {
        network.nodes[4].refused.clear();
        let from = PeerId(0);
        network.give(4, Input::Message { from, message });
        network.nodes[4].refused.pop()
    };
    let blocks = |decided| Message::Blocks(List::new([decided]).unwrap());
    let chain = network.genesis.chain_id();
    let ask = |network: &mut Network| {
        let from = PeerId(0);
        let message = Message::Status(Status { chain, height: 9, oldest: 1 });
        network.give(4, Input::Disconnected(PeerId(0)));
        for other in 1..4 {
            network.give(4, Input::Disconnected(PeerId(other)));
        }
        network.give(4, Input::Connected(PeerId(0)));
        network.give(4, Input::Message { from, message });
    };

    let mut changed = decided.clone();
    changed.block.header.time_ns += 1;
    ask(&mut network);
    let reason = give(&mut network, blocks(changed)).unwrap();
    assert!(matches!(reason, Refusal::OtherCertificate { .. }) && reason.is_fault());
    let reason = give(&mut network, blocks(decided.clone())).unwrap();
    assert!(matches!(reason, Refusal::Unasked) && !reason.is_fault());

    ask(&mut network);
    let second = network.nodes[0].committed[&2].clone();
    let reason = give(&mut network, blocks(second)).unwrap();
    assert!(matches!(reason, Refusal::Gap { expected: 1, found: 2 }));

    ask(&mut network);
    let mut unsigned = decided.clone();
    let set = network.nodes[0].validator.as_ref().unwrap().validators().clone();
    let id = unsigned.block.header.id();
    let one = [(consensus_key(0).public(), Signature([0; 64]))];
    unsigned.certificate =
        chronolith_chain::certificate::Certificate::new(1, 0, id, &set, one).unwrap();
    let reason = give(&mut network, blocks(unsigned)).unwrap();
    let Refusal::Certificate { reason, .. } = reason else { panic!("{reason}") };
    assert!(matches!(reason, CertificateError::Power { .. }));

    ask(&mut network);
    assert!(give(&mut network, blocks(decided)).is_none());
    assert_eq!(network.nodes[4].height().unwrap().0, 2);
}

#[test]
fn questions_and_transactions_are_checked() {
    let mut network = network();
    for (from, count) in [(1, 0), (1, 65), (0, 1)] {
        let reason = refusal(&mut network, Message::GetBlocks { from, count }).unwrap();
        assert!(matches!(reason, Refusal::Question { .. }) && reason.is_fault());
    }
    let status = Status { chain: ChainId([5; 32]), height: 9, oldest: 1 };
    let reason = refusal(&mut network, Message::Status(status)).unwrap();
    assert!(matches!(reason, Refusal::Chain { .. }));

    let good = network.transfer(1, 0);
    let mut forged = network.transfer(2, 0);
    forged.signature = good.signature;
    let both = Message::Transactions(List::new([forged, good]).unwrap());
    let reason = refusal(&mut network, both).unwrap();
    assert!(matches!(reason, Refusal::Transaction(Refused::Signature(_))) && reason.is_fault());
    assert_eq!(network.nodes[0].validator.as_ref().unwrap().mempool().len(), 1);
}

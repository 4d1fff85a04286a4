//! An answer to an audit holds for its peer, its epoch and its blocks, and for nothing else.

use chronolith_chain::content::ContentId;
use chronolith_chain::hash::{ChainId, Hash};
use chronolith_chain::keys::SecretKey;
use chronolith_chain::ledger::{
    AssignedFragment, AssignedRoot, Fragment as Named, Peak, audited_blocks, batch_root,
};
use chronolith_chain::simulate::Random;
use chronolith_fragment::{BLOCK_BYTES, Fragment, Profile};
use chronolith_net::audit::{Abstention, Answer, AnswerFault, Assigned, AssignedError, Question};

use crate::fixture::{make, small_body};

const CHAIN: ChainId = ChainId([1; 32]);

/// A peer with batches of one, three and two fragments, and the ledger's side of them.
struct Peer {
    key: SecretKey,
    assigned: Assigned,
    ledger: AssignedRoot,
    fragments: Vec<(ContentId, Fragment)>,
}

fn peer() -> Peer {
    let mut random = Random::new(9);
    let mut peer = Peer {
        key: SecretKey::from_seed(&[4; 32]),
        assigned: Assigned::new(),
        ledger: AssignedRoot::default(),
        fragments: Vec::new(),
    };
    let mut roots = Vec::new();
    // An empty slot is between the leases.
    for (batch, (slot, size)) in [(0, 1), (1, 3), (3, 2)].into_iter().enumerate() {
        let mut of_batch = Vec::new();
        for _ in 0..size {
            let body = small_body(&mut random, 2 + batch, 1_500);
            let made = make(&mut random, body, Profile::Lab);
            let fragment = made.fragments[batch].clone();
            let (pack, root) = (made.pack.content_id(), Hash(fragment.tree().root()));
            let named = Named { pack, index: fragment.index };
            let blocks = made.pack.header().shape.blocks();
            of_batch.push(AssignedFragment { fragment: named, root, blocks });
            peer.fragments.push((pack, fragment));
        }
        roots.push((slot, batch_root(&of_batch).unwrap().unwrap()));
        peer.assigned.set(slot, of_batch).unwrap();
    }
    peer.ledger = AssignedRoot::of(roots).unwrap();
    peer
}

impl Peer {
    fn question(&self, epoch: u64, count: usize) -> Question {
        let root = self.ledger.peak().unwrap();
        Question::new(CHAIN, epoch, Hash([3; 32]), self.key.public().into(), root, count)
    }

    fn answer(&self, question: &Question) -> Answer {
        let block = |of: &AssignedFragment, row: u32| {
            let is_it = |(pack, _): &&(ContentId, Fragment)| *pack == of.fragment.pack;
            let (_, fragment) = self.fragments.iter().find(is_it)?;
            let block = fragment.bytes.chunks(BLOCK_BYTES).nth(row as usize)?;
            Some((block.try_into().ok()?, fragment.tree().prove(&[row as usize]).ok()?))
        };
        Answer::make(question, &self.assigned, &self.key, block).unwrap()
    }
}

#[test]
fn the_peers_tree_is_the_ledgers_and_every_block_is_provable() {
    let peer = peer();
    assert_eq!(peer.assigned.ledger_root(), peer.ledger);
    let own = peer.assigned.root().unwrap();
    let mut question = peer.question(1, 20);
    for number in 0..own.blocks {
        question.blocks = vec![number];
        assert_eq!(peer.answer(&question).check(&question), Ok(()), "block {number}");
    }
    let blocks = own.blocks;
    assert_eq!(peer.assigned.locate(blocks), Err(AssignedError::Beyond { number: blocks, blocks }));
}

#[test]
fn trees_of_any_number_of_leases_are_the_ledgers() {
    let (mut assigned, mut roots) = (Assigned::new(), Vec::new());
    assert_eq!((assigned.root(), assigned.blocks()), (None, 0));
    for number in 0..70_u8 {
        let named = Named { pack: ContentId::of_raw(&[number]), index: number };
        let fragment = AssignedFragment {
            fragment: named,
            root: Hash([number; 32]),
            blocks: u32::from(number % 5) + 1,
        };
        let of_batch = vec![fragment; usize::from(number % 4) + 1];
        roots.push((u32::from(number), batch_root(&of_batch).unwrap().unwrap()));
        assigned.set(number.into(), of_batch).unwrap();
        let expected = AssignedRoot::of(roots.iter().copied()).unwrap();
        assert_eq!(assigned.ledger_root(), expected);
        let found: Peak = assigned.root().unwrap();
        for block in 0..found.blocks {
            let located = assigned.locate(block).unwrap();
            let (root, first) = located.place.root(&located.fragment.leaf()).unwrap();
            assert_eq!((root.hash, root.blocks), (expected.hash, expected.blocks));
            assert_eq!(first + u64::from(located.row), block);
        }
    }
    assert_eq!(assigned.set(0, Vec::new()), Err(AssignedError::Empty));
    let slot = 1 << 24;
    let one = assigned.get(0).unwrap().to_vec();
    assert_eq!(assigned.set(slot, one), Err(AssignedError::Slot { slot }));
}

#[test]
fn an_answer_is_for_its_question_only() {
    let peer = peer();
    let question = peer.question(5, 20);
    assert_eq!(question.blocks.len(), 20);
    let good = peer.answer(&question);
    assert_eq!(good.check(&question), Ok(()));
    assert_eq!(Answer::from_bytes(&good.to_bytes()).as_ref(), Ok(&good));
    let later = peer.question(6, 20);
    assert_eq!(good.check(&later), Err(AnswerFault::OtherQuestion));
    let renamed = Answer { epoch: 6, ..good.clone() };
    assert_eq!(renamed.check(&later), Err(AnswerFault::Signature));
    let signed = Answer::sign(&later, good.samples.to_vec(), &peer.key).unwrap();
    assert!(signed.check(&later).unwrap_err().is_lie());
    let other_chain = Question { chain: ChainId([2; 32]), ..question.clone() };
    assert_eq!(good.check(&other_chain), Err(AnswerFault::Signature));
    let thief = SecretKey::from_seed(&[5; 32]);
    let root = peer.ledger.peak().unwrap();
    let to_thief = Question::new(CHAIN, 5, Hash([3; 32]), thief.public().into(), root, 20);
    assert_ne!(to_thief.blocks, question.blocks);
    let stolen = Answer::sign(&to_thief, good.samples.to_vec(), &thief).unwrap();
    assert!(stolen.check(&to_thief).unwrap_err().is_lie());
    let few = Answer::sign(&question, good.samples[1..].to_vec(), &peer.key).unwrap();
    assert_eq!(few.check(&question), Err(AnswerFault::Count { expected: 20, found: 19 }));
}

#[test]
fn a_peer_says_nothing_rather_than_something_wrong() {
    let peer = peer();
    let question = peer.question(5, 20);
    let make = |block: &dyn Fn(u32) -> Option<[u8; BLOCK_BYTES]>| {
        let found = |_: &AssignedFragment, row: u32| {
            Some((block(row)?, chronolith_merkle::Proof { hashes: Vec::new() }))
        };
        Answer::make(&question, &peer.assigned, &peer.key, found)
    };
    assert!(matches!(make(&|_| None), Err(Abstention::Missing { .. })));
    assert!(matches!(make(&|_| Some([0; BLOCK_BYTES])), Err(Abstention::Wrong(_))));
    let beyond = Question { blocks: vec![1 << 40], ..question.clone() };
    let refused = Answer::make(&beyond, &peer.assigned, &peer.key, |_, _| None);
    assert!(matches!(refused, Err(Abstention::Assigned(AssignedError::Beyond { .. }))));
}

#[test]
fn every_changed_byte_of_an_answer_is_refused() {
    let peer = peer();
    let question = peer.question(5, 2);
    let good = peer.answer(&question).to_bytes();
    for place in 0..good.len() {
        let mut wrong = good.clone();
        wrong[place] ^= 1 << (place % 8);
        if let Ok(answer) = Answer::from_bytes(&wrong) {
            let fault = answer.check(&question).unwrap_err();
            // Nobody else can make the peer a liar.
            assert!(!fault.is_lie(), "byte {place}: {fault}");
            let samples = answer.samples.to_vec();
            if place < good.len() - 64 && answer.peer == question.peer && answer.epoch == 5 {
                let signed = Answer::sign(&question, samples, &peer.key).unwrap();
                assert!(signed.check(&question).unwrap_err().is_lie(), "byte {place}");
            }
        }
    }
}

#[test]
fn questions_are_the_chains() {
    let peer = peer();
    let question = peer.question(5, 20);
    let drawn = audited_blocks(&question.seed, question.peer, question.assigned.blocks, 20);
    assert_eq!(question.blocks, drawn);
}

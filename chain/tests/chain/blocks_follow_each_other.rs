//! What a proposer makes, everybody else accepts; and a block with anything changed is refused with
//! the field that is wrong.

use std::collections::BTreeSet;

use chronolith_chain::address::Address;
use chronolith_chain::block::{Block, Draft, InvalidBlock, Tip};
use chronolith_chain::certificate::{Certificate, CertificateError};
use chronolith_chain::coin::Coin;
use chronolith_chain::encoding::{List, decode, encode};
use chronolith_chain::hash::{BlockId, ChainId, Domain, Hash};
use chronolith_chain::header::Header;
use chronolith_chain::keys::Signature;
use chronolith_chain::ledger::{
    AccountKey, BlockError, Evidence, Misdeed, Receipt, Refusal, Thing, ValidatorKey,
};
use chronolith_chain::list::{ListProof, ListRoot};
use chronolith_chain::transaction::Transaction;
use chronolith_chain::validator_set::ValidatorSet;
use chronolith_chain::vote::{Signed, Step, Vote};

use crate::coin_rules::transfer;
use crate::committee::{Committee, genesis, precommits};
use crate::world::{account, consensus_key, key};

fn committee() -> Committee {
    Committee::new(genesis(4, 8, &[]), 8)
}

fn transfers(committee: &Committee, count: u8) -> Vec<Transaction> {
    (0..count).map(|person| committee.sign(person, 0, transfer(7, Coin::Native, 9))).collect()
}

#[test]
fn a_chain_of_blocks_is_accepted_and_says_what_happened() {
    let mut committee = committee();
    for height in 1..=12_u64 {
        let transactions = transfers(&committee, 3);
        let receipts = committee.block(transactions.clone());
        let header = committee.header(height).clone();
        assert_eq!((header.height, header.id()), (height, committee.last()));
        assert_eq!(header.transactions.count, 3);
        for (index, receipt) in (0..).zip(&receipts) {
            let id = transactions[index as usize].body.id();
            let all = transactions.iter().map(|transaction| transaction.body.id());
            let proof = ListProof::new(all, index).unwrap();
            assert_eq!(proof.verify(&header.transactions, index, &id), Ok(()));
            let proof = ListProof::new(&receipts, index).unwrap();
            assert_eq!(proof.verify(&header.receipts, index, receipt), Ok(()));
            let other = Receipt { fee: chronolith_chain::coin::Amount(1), ..receipt.clone() };
            assert!(proof.verify(&header.receipts, index, &other).is_err());
        }
    }
    let bytes = encode(committee.blocks.last().unwrap());
    assert_eq!(Block::decode(&bytes).unwrap(), *committee.blocks.last().unwrap());
    let tip: Tip = decode("a tip", &encode(&committee.tip), 9_999).unwrap();
    assert_eq!(tip, committee.tip);
}

/// Changes something in a block's header.
type Change = (&'static str, fn(&mut Header));

const CHANGES: [Change; 12] = [
    ("the version", |header| header.version = 2),
    ("the chain", |header| header.chain = ChainId([1; 32])),
    ("the height", |header| header.height += 1),
    ("the block before", |header| header.previous = BlockId([1; 32])),
    ("the hash of the certificate", |header| header.certificate = Hash([1; 32])),
    ("the root of the transactions", |header| header.transactions.count += 1),
    ("the root of the evidence", |header| header.evidence.root = Hash([1; 32])),
    ("the root of the state", |header| header.state_root = Hash([1; 32])),
    ("the root of the receipts", |header| header.receipts.count += 1),
    ("the hash of the validators", |header| header.validators = Hash([1; 32])),
    ("the hash of the next validators", |header| header.next_validators = Hash([1; 32])),
    ("the root of the history", |header| header.history_root = Hash([1; 32])),
];

/// What the header says of the body.
const BODY: [&str; 3] =
    ["the hash of the certificate", "the root of the transactions", "the root of the evidence"];

#[test]
fn every_field_that_is_changed_is_named() {
    let mut committee = committee();
    committee.block(Vec::new());
    let transactions = transfers(&committee, 4);
    let draft = committee.draft(&BTreeSet::new(), Vec::new(), transactions);
    let (block, _) = draft.build(&committee.tip, &committee.state).unwrap();
    let check = |block: &Block| block.check(&committee.tip, &committee.state).map(drop);
    check(&block).unwrap();
    for (field, change) in CHANGES {
        let mut changed = block.clone();
        change(&mut changed.header);
        let refused = check(&changed).unwrap_err();
        // Where header and body differ, either may be the changed one.
        let is_of_copy = refused.is_of_copy();
        assert_eq!(is_of_copy, BODY.contains(&field), "{field}");
        let (InvalidBlock::Header(mismatch) | InvalidBlock::Body(mismatch)) = refused else {
            panic!("{field}")
        };
        assert_eq!(mismatch.field, field);
    }
    let with = |change: fn(&mut Block)| {
        let mut changed = block.clone();
        change(&mut changed);
        check(&changed).unwrap_err()
    };
    let late = with(|block| block.header.time_ns -= 1_000_000_000);
    assert!(matches!(late, InvalidBlock::Time { .. }), "{late}");
    let stranger = with(|block| block.header.proposer = Address([9; 32]));
    assert!(matches!(stranger, InvalidBlock::Proposer { .. }), "{stranger}");
    let beacon = with(|block| block.header.beacon = Some(Hash([1; 32])));
    assert!(matches!(beacon, InvalidBlock::Execution(BlockError::Beacon)), "{beacon}");
    let hidden = with(|block| block.header.beacon = None);
    assert!(matches!(hidden, InvalidBlock::Header(_)), "without it the state is another");
}

/// A time that differs by less than a millisecond makes the same state, but another block.
#[test]
fn the_id_is_of_all_that_the_header_says() {
    let mut committee = committee();
    committee.block(Vec::new());
    let header = committee.header(1).clone();
    let mut ids = BTreeSet::from([header.id()]);
    for (_, change) in CHANGES {
        let mut changed = header.clone();
        change(&mut changed);
        assert!(ids.insert(changed.id()));
    }
    assert!(ids.insert(Header { time_ns: header.time_ns + 1, ..header.clone() }.id()));
    assert!(ids.insert(Header { beacon: None, ..header.clone() }.id()));
    assert!(ids.insert(Header { proposer: Address([7; 32]), ..header }.id()));
}

#[test]
fn a_body_that_is_changed_is_refused() {
    let mut committee = committee();
    committee.block(Vec::new());
    let transactions = transfers(&committee, 2);
    let draft = committee.draft(&BTreeSet::new(), Vec::new(), transactions);
    let (block, _) = draft.build(&committee.tip, &committee.state).unwrap();
    let check = |block: &Block| block.check(&committee.tip, &committee.state).map(drop);

    let mut fewer = block.clone();
    fewer.transactions.pop();
    assert!(matches!(check(&fewer), Err(InvalidBlock::Body(_))));
    let mut swapped = block.clone();
    let two: Vec<Transaction> = block.transactions.iter().rev().cloned().collect();
    swapped.transactions = List::new(two).unwrap();
    assert!(matches!(check(&swapped), Err(InvalidBlock::Body(_))));
    let mut forged = block.clone();
    let mut two = block.transactions.to_vec();
    two[1].signature = two[0].signature;
    forged.transactions = List::new(two).unwrap();
    let Err(InvalidBlock::Signature(error)) = check(&forged) else { panic!("a false signature") };
    assert_eq!(error.index, 1);
    assert!(check(&forged).unwrap_err().is_of_copy());
    // Verified transactions of one's own do not stand for those of the block.
    let own = Transaction::verify_all(block.transactions.to_vec()).unwrap();
    let framed = forged.check_frame(&committee.tip, &committee.state, None).unwrap();
    let refused = framed.execute(&own).map(drop);
    assert!(matches!(refused, Err(InvalidBlock::OtherTransaction { index: 1 })));
    assert!(refused.unwrap_err().is_local());

    let mut without = block.clone();
    without.certificate = None;
    without.header.certificate = Certificate::hash_of(None);
    assert!(matches!(check(&without), Err(InvalidBlock::NoCertificate)));
    let mut other = block.clone();
    let previous = committee.header(1);
    let votes = precommits(previous, 0, (0..4).map(consensus_key));
    let elsewhere = Certificate::new(1, 0, BlockId([3; 32]), committee.set(), votes).unwrap();
    other.header.certificate = Certificate::hash_of(Some(&elsewhere));
    other.certificate = Some(elsewhere);
    assert!(matches!(check(&other), Err(InvalidBlock::OtherBlock { height: 1, .. })));
    let mut weak = block;
    let votes = precommits(previous, 0, (0..2).map(consensus_key));
    let two = Certificate::new(1, 0, previous.id(), committee.set(), votes).unwrap();
    weak.header.certificate = Certificate::hash_of(Some(&two));
    weak.certificate = Some(two);
    assert!(matches!(
        check(&weak),
        Err(InvalidBlock::Certificate(CertificateError::Power { found: 20, total: 40, .. }))
    ));
}

/// A block of 17 MB may hold 80,000 transactions: nobody verifies them to find out that it is too
/// large, or that its certificate is false.
#[test]
fn signatures_are_verified_last() {
    let mut committee = committee();
    committee.block(Vec::new());
    let transactions = transfers(&committee, 1);
    let draft = committee.draft(&BTreeSet::new(), Vec::new(), transactions);
    let (block, _) = draft.build(&committee.tip, &committee.state).unwrap();
    let check = |block: &Block| block.check(&committee.tip, &committee.state).map(drop);
    let fill = |count: usize| {
        let mut unsigned = block.transactions[0].clone();
        unsigned.signature = Signature([7; 64]);
        let mut changed = block.clone();
        changed.transactions = List::new(vec![unsigned; count]).unwrap();
        let ids = changed.transactions.iter().map(|transaction| transaction.body.id());
        changed.header.transactions = ListRoot::of(ids);
        changed
    };
    assert!(matches!(check(&fill(1)), Err(InvalidBlock::Signature(_))));
    let bytes = encode(&block.transactions[0]).len();
    let (most, large) = (2_000_000, fill(2_000_000 / bytes + 1));
    let Err(InvalidBlock::Execution(BlockError::Bytes { found, .. })) = check(&large) else {
        panic!("its signatures were verified")
    };
    assert!(found > most && found <= most + bytes as u64);
    let mut weak = fill(1);
    let previous = committee.header(1);
    let votes = precommits(previous, 0, (0..2).map(consensus_key));
    let two = Certificate::new(1, 0, previous.id(), committee.set(), votes).unwrap();
    weak.header.certificate = Certificate::hash_of(Some(&two));
    weak.certificate = Some(two);
    assert!(matches!(check(&weak), Err(InvalidBlock::Certificate(_))));
}

#[test]
fn who_verified_a_certificate_does_not_verify_it_again_and_no_other_counts() {
    let mut committee = committee();
    committee.block(Vec::new());
    let draft = committee.draft(&BTreeSet::new(), Vec::new(), Vec::new());
    let (mut block, _) = draft.build(&committee.tip, &committee.state).unwrap();
    let good = block.certificate.clone().unwrap();
    let previous = committee.header(1);
    let mut votes = precommits(previous, 0, (0..3).map(consensus_key));
    votes[0].1 = Signature([7; 64]);
    let forged = Certificate::new(1, 0, previous.id(), committee.set(), votes).unwrap();
    block.header.certificate = Certificate::hash_of(Some(&forged));
    block.certificate = Some(forged.clone());
    let check = |own: Option<&Certificate>| {
        block.check_frame(&committee.tip, &committee.state, own).map(drop)
    };
    for own in [None, Some(&good)] {
        assert!(matches!(check(own), Err(InvalidBlock::Certificate(_))));
    }
    // Who says that he verified this very one is believed: he committed the block by it.
    assert!(check(Some(&forged)).is_ok());
}

#[test]
fn a_proposer_cannot_make_what_is_invalid() {
    let mut committee = committee();
    let draft = committee.draft(&BTreeSet::new(), Vec::new(), Vec::new());
    let build = |draft: Draft| draft.build(&committee.tip, &committee.state).map(drop);
    let early = Draft { time_ns: committee.tip.time_ns, ..draft.clone() };
    assert!(matches!(build(early), Err(InvalidBlock::Time { .. })));
    let stranger = Draft { proposer: account(6), ..draft.clone() };
    assert!(matches!(build(stranger), Err(InvalidBlock::Proposer { .. })));
    let mut next = committee.sign(5, 1, transfer(7, Coin::Native, 9));
    next.signature = next.body.clone().sign(&key(5)).signature;
    let gap = Draft { transactions: vec![next.verify().unwrap()], ..draft };
    assert!(matches!(
        build(gap),
        Err(InvalidBlock::Execution(BlockError::Transaction { index: 0, .. }))
    ));
}

#[test]
fn evidence_in_a_block_is_punished_and_false_evidence_makes_it_invalid() {
    let mut committee = committee();
    let vote = |chain, block: u8| {
        let block = Some(BlockId([block; 32]));
        Vote { chain, height: 1, round: 0, step: Step::Prevote, block }
    };
    let (chain, sign) = (committee.tip.chain, consensus_key(3));
    let twice = |first, second| Evidence {
        key: sign.public(),
        misdeed: Misdeed::Votes(
            Signed::new(vote(chain, first), &sign),
            Signed::new(vote(chain, second), &sign),
        ),
    };
    let draft = committee.draft(&BTreeSet::new(), vec![twice(1, 1)], Vec::new());
    let refused = draft.build(&committee.tip, &committee.state).map(drop);
    assert!(matches!(
        refused,
        Err(InvalidBlock::Execution(BlockError::Evidence { index: 0, refusal: Refusal::Harmless }))
    ));
    let draft = committee.draft(&BTreeSet::new(), vec![twice(1, 2)], Vec::new());
    let reporter = draft.proposer;
    let before = committee.get(&AccountKey { address: reporter }).unwrap().balance;
    let (block, _) = draft.build(&committee.tip, &committee.state).unwrap();
    let executed = block.check(&committee.tip, &committee.state).unwrap();
    committee.commit(&BTreeSet::new(), block, executed);
    assert!(committee.get(&ValidatorKey { validator: account(3) }).unwrap().is_barred);
    assert!(committee.get(&AccountKey { address: reporter }).unwrap().balance > before);
    let draft = committee.draft(&BTreeSet::new(), vec![twice(1, 2)], Vec::new());
    let again = draft.build(&committee.tip, &committee.state).map(drop);
    let Err(InvalidBlock::Execution(BlockError::Evidence { refusal, .. })) = again else {
        panic!("evidence counts once")
    };
    assert_eq!(refusal, Refusal::Exists(Thing::Evidence));
}

/// The values whose encodings are fixed for ever.
pub(crate) fn golden() -> (Header, ValidatorSet, Certificate) {
    let list = |byte| ListRoot { root: Hash([byte; 32]), count: u32::from(byte) };
    let header = Header {
        version: 1,
        chain: ChainId([1; 32]),
        height: 2,
        time_ns: 3,
        previous: BlockId([4; 32]),
        certificate: Hash([5; 32]),
        transactions: list(6),
        evidence: list(7),
        state_root: Hash([8; 32]),
        receipts: list(9),
        validators: Hash([10; 32]),
        next_validators: Hash([11; 32]),
        history_root: Hash([12; 32]),
        beacon: Some(Hash([13; 32])),
        proposer: account(0),
    };
    let set = crate::committee::genesis(11, 11, &[]);
    let seats = set.validators.iter().map(|first| chronolith_chain::ledger::Seat {
        validator: first.validator,
        consensus_key: first.consensus_key,
        power: first.power,
    });
    let set = ValidatorSet::new(seats.collect::<Vec<_>>()).unwrap();
    let votes = precommits(&header, 1, (0..8).map(consensus_key));
    let certificate = Certificate::new(2, 1, header.id(), &set, votes).unwrap();
    (header, set, certificate)
}

/// Header, set, certificate, none, block.
const GOLDEN: [&str; 5] = [
    "4306a397414b67e1c3c4d95dc0cd9efd672c4d552c288ae678b235dbb1987b3b",
    "47427cb2d5b0dc25c62f14c4300511fc168be1d1a86e971598f036eaff786f21",
    "962e10a50ad4dcc1d458c3a19225bc15df79df9b91e6dd9ca3d45d99e85c53b2",
    "7287def4ad67c7defc531f1d2188c0bfdaf5b1a0d9dc4771e71c835b4a723814",
    "214b2d76ce36d661150a3fd5e3d3efbe4f96fcf2f49a705aff7d0d0284377072",
];

#[test]
fn encodings_do_not_drift() {
    let (header, set, certificate) = golden();
    assert_eq!(encode(&header).len(), Header::MAX_BYTES);
    assert_eq!(encode(&certificate).len(), 8 + 4 + 32 + 2 + 2 + 8 * 64);
    let hashes = [
        Hash(header.id().0),
        set.hash(),
        Certificate::hash_of(Some(&certificate)),
        Certificate::hash_of(None),
    ];
    let block = Block {
        header,
        certificate: Some(certificate),
        evidence: List::default(),
        transactions: List::default(),
    };
    let of_block = Domain::Block.hash_of(&block);
    let found = hashes.into_iter().chain([of_block]).map(|hash| hash.to_string());
    assert_eq!(found.collect::<Vec<_>>(), GOLDEN);
}

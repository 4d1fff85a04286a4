//! The simulator sees what goes wrong: more than a third of Byzantine validators fork the chain or
//! stop it, and every invariant is shown to be able to fail.

use std::collections::BTreeSet;

use chronolith_chain::certificate::Certificate;
use chronolith_chain::coin::{Amount, Coin};
use chronolith_chain::consensus::message::{Decided, FromValidator, Message};
use chronolith_chain::encoding::{List, decode, encode};
use chronolith_chain::hash::{BlockId, Hash};
use chronolith_chain::ledger::{Supply, SupplyKey, Transfer};
use chronolith_chain::simulate::{
    ActorKind, Broken, Checker, Config, Invariant, Report, Simulator, simulate,
};
use chronolith_chain::state::{Key as _, Options, State};
use chronolith_chain::vote::{Proposal, Step, Vote};

use crate::committee::{Committee, genesis, precommits};
use crate::world::{account, consensus_key};

const VALIDATORS: u8 = 4;
const PEOPLE: u8 = 6;

/// Runs seeds until a fork is found.
fn forks(validators: usize, byzantine_count: usize, actor: ActorKind) -> Report {
    let config = Config { byzantine_count, ..Config::new(validators, Some(actor)) };
    let simulator = Simulator::new(&config).unwrap();
    let mut report = Report::default();
    for seed in 0..100 {
        report.add(simulator.run(seed).unwrap());
        if report.forks > 0 {
            println!("{byzantine_count} of {validators} {actor}: a fork with seed {seed}");
            return report;
        }
    }
    panic!("no fork: {report:?}");
}

#[test]
fn two_of_four_equivocators_fork() {
    forks(4, 2, ActorKind::Equivocator);
}

#[test]
fn two_of_four_amnesiacs_fork() {
    forks(4, 2, ActorKind::Amnesiac);
}

#[test]
fn two_of_four_twins_fork() {
    forks(4, 2, ActorKind::Twins);
}

#[test]
fn three_of_seven_equivocators_fork() {
    forks(7, 3, ActorKind::Equivocator);
}

#[test]
fn two_of_four_who_vote_nil_stop_the_chain_and_do_not_fork_it() {
    let config = Config { byzantine_count: 2, ..Config::new(4, Some(ActorKind::NilSpammer)) };
    let report = simulate(&config, 0..3).unwrap();
    assert_eq!(report.forks, 0);
    assert_eq!(report.broken.unwrap().broken.invariant, Invariant::Liveness);
}

fn committee() -> Committee {
    Committee::new(genesis(VALIDATORS, PEOPLE, &[]), PEOPLE)
}

fn checker() -> Checker {
    Checker::new(&genesis(VALIDATORS, PEOPLE, &[])).unwrap()
}

/// The committed block of a height.
fn decided(committee: &Committee, height: u64) -> Decided {
    let block = committee.blocks[height as usize - 1].clone();
    Decided { block, certificate: committee.certificate_of(height).clone() }
}

/// Has some of the validators commit a block, whatever it is.
fn commit_by(committee: &Committee, mut decided: Decided, voters: u8) -> Decided {
    let header = &decided.block.header;
    let members = committee.sets[0].members().iter().take(usize::from(voters));
    let keys = members.map(|seat| consensus_key(committee.person(seat.validator)));
    let votes = precommits(header, 0, keys);
    decided.certificate =
        Certificate::new(header.height, 0, header.id(), &committee.sets[0], votes).unwrap();
    decided
}

fn breaks(result: Result<(), Broken>, invariant: Invariant) {
    let Err(broken) = result else { panic!("nothing was noticed") };
    assert_eq!(broken.invariant, invariant, "{broken}");
    assert!(broken.to_string().starts_with(invariant.name()));
}

#[test]
fn a_good_chain_breaks_nothing() {
    let (mut committee, mut checker) = (committee(), checker());
    for _ in 0..3 {
        let transfer = committee.sign(1, 0, pay(2));
        committee.block(vec![transfer]);
    }
    for node in 0..3 {
        for height in 1..=3 {
            let decided = decided(&committee, height);
            let root = decided.block.header.state_root;
            checker.committed(node, &decided, Some(root)).unwrap();
        }
        checker.restarted(node, &committee.tip).unwrap();
    }
    assert_eq!(checker.height(), 3);
}

fn pay(to: u8) -> Transfer {
    let memo = Default::default();
    Transfer { to: account(to), coin: Coin::Native, amount: Amount(1), memo }
}

#[test]
fn another_block_at_a_height_breaks_agreement() {
    let (mut one, mut other, mut checker) = (committee(), committee(), checker());
    one.block(vec![]);
    let transfer = other.sign(1, 0, pay(2));
    other.block(vec![transfer]);
    checker.committed(0, &decided(&one, 1), None).unwrap();
    breaks(checker.committed(1, &decided(&other, 1), None), Invariant::Agreement);
    let mut checker = self::checker();
    checker.committed(0, &decided(&one, 1), None).unwrap();
    checker.committed(1, &decided(&one, 1), None).unwrap();
    breaks(checker.restarted(1, &other.tip), Invariant::Agreement);
}

#[test]
fn a_block_that_does_not_follow_breaks_validity() {
    let mut committee = committee();
    committee.block(vec![]);
    let good = decided(&committee, 1);
    let mut bad = good.clone();
    bad.block.header.state_root = Hash([1; 32]);
    breaks(checker().committed(0, &bad, None), Invariant::Validity);
    let bad = commit_by(&committee, bad, VALIDATORS);
    breaks(checker().committed(0, &bad, None), Invariant::Validity);
    // The block is good, and too few committed it; or this node has made something else of it.
    breaks(
        checker().committed(0, &commit_by(&committee, good.clone(), 2), None),
        Invariant::Validity,
    );
    let mut checker = checker();
    checker.committed(0, &good, None).unwrap();
    breaks(
        checker.committed(1, &commit_by(&committee, good.clone(), 2), None),
        Invariant::Validity,
    );
    breaks(checker.committed(2, &good, Some(Hash([1; 32]))), Invariant::Validity);
}

#[test]
fn a_lost_block_breaks_durability() {
    let (mut committee, mut checker) = (committee(), checker());
    let genesis_tip = committee.tip.clone();
    committee.block(vec![]);
    committee.block(vec![]);
    checker.committed(0, &decided(&committee, 1), None).unwrap();
    breaks(checker.restarted(0, &genesis_tip), Invariant::Durability);
    breaks(checker.committed(0, &decided(&committee, 1), None), Invariant::Durability);
}

#[test]
fn a_repeated_transaction_breaks_nonces() {
    let mut committee = committee();
    let transfer = committee.sign(1, 0, pay(2));
    committee.block(vec![transfer.clone()]);
    let mut twice = decided(&committee, 1);
    twice.block.transactions = List::new(vec![transfer.clone(), transfer]).unwrap();
    breaks(checker().committed(0, &twice, None), Invariant::Nonces);
}

#[test]
fn coin_from_nowhere_breaks_supply() {
    let genesis = genesis(VALIDATORS, PEOPLE, &[]);
    let mut values = genesis.values().unwrap();
    let key = SupplyKey {}.to_bytes();
    let bytes = values[&key].clone().unwrap();
    let mut supply: Supply = decode("a supply", &bytes, usize::MAX).unwrap();
    supply.minted = Amount(supply.minted.0 + 1);
    values.insert(key, Some(encode(&supply)));
    let state = || State::in_memory(0, values.clone(), Options::default()).unwrap();
    let mut committee = committee();
    committee.state = state();
    let mut checker = Checker::with_state(committee.tip.clone(), state());
    let draft = committee.draft(&BTreeSet::new(), vec![], vec![]);
    let (block, _) = draft.build(&committee.tip, &committee.state).unwrap();
    let set = &committee.sets[0];
    let certificate = Certificate::new(1, 0, block.header.id(), set, []).unwrap();
    let decided = commit_by(&committee, Decided { block, certificate }, VALIDATORS);
    breaks(checker.committed(0, &decided, None), Invariant::Supply);
}

#[test]
fn two_messages_for_one_step_break_sign_once() {
    let key = consensus_key(0);
    let chain = genesis(VALIDATORS, PEOPLE, &[]).chain_id();
    let vote = |round, step, block| {
        let vote = Vote { chain, height: 3, round, step, block };
        Message::Vote(FromValidator::new(vote, &key))
    };
    let proposal = |block| {
        let proposal = Proposal { chain, height: 3, round: 0, valid_round: None, block };
        Message::Proposal(FromValidator::new(proposal, &key))
    };
    let (one, other) = (BlockId([1; 32]), BlockId([2; 32]));
    let mut checker = checker();
    for message in [
        vote(0, Step::Prevote, Some(one)),
        vote(0, Step::Prevote, Some(one)),
        vote(0, Step::Precommit, None),
        vote(1, Step::Prevote, Some(other)),
        proposal(one),
    ] {
        checker.sent(&key.public(), &message).unwrap();
    }
    let public = key.public();
    breaks(checker.sent(&public, &vote(0, Step::Prevote, None)), Invariant::SignOnce);
    breaks(checker.sent(&public, &vote(0, Step::Precommit, Some(one))), Invariant::SignOnce);
    breaks(checker.sent(&public, &proposal(other)), Invariant::SignOnce);
    // What others signed is passed on by honest validators as well.
    checker.sent(&consensus_key(1).public(), &vote(0, Step::Prevote, None)).unwrap();
}

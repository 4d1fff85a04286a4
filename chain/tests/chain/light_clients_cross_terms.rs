//! A light client follows real validators, whose sets change by lots, from the genesis or from any
//! header that it trusts.

use std::collections::BTreeSet;

use chronolith_chain::coin::{Amount, BasisPoints};
use chronolith_chain::consensus::{Config, Input};
use chronolith_chain::encoding::{List, Rising};
use chronolith_chain::genesis::Genesis;
use chronolith_chain::ledger::{
    AccountKey, Action, Bond, Duties, ParameterChange, ParameterName, Parameters, Ready, least_fee,
};
use chronolith_chain::light::{Bundle, Options, Prover, Refused, StepError, Trusted};
use chronolith_chain::state::{Key as _, Overlay};
use chronolith_chain::transaction::Body;
use chronolith_chain::validator_set::ValidatorSet;
use chronolith_disk::SimDisk;

use crate::network::{Network, beacon, config, genesis, sign};
use crate::world::{account, consensus_key};

/// How many nodes there are for the four seats.
pub(crate) const CANDIDATES: u8 = 12;
/// How many blocks the chain has.
const HEIGHT: u64 = 75;

pub(crate) fn quick_terms() -> Genesis {
    let change = |(name, value)| ParameterChange { name, value };
    let parameters = [
        (ParameterName::TermBlocks, 10),
        (ParameterName::ReadyBlocks, 6),
        (ParameterName::PuzzleBits, 3),
        (ParameterName::Seats, 4),
    ];
    Genesis { parameters: Rising::new(parameters.map(change)).unwrap(), ..genesis(4) }
}

/// What a candidate has to hand in after the last block, handed in at its own node.
pub(crate) fn hand_in(network: &mut Network, person: u8) {
    let node = network.nodes[usize::from(person)].validator.as_ref().unwrap();
    let (state, height) = (node.state(), node.blocks().tip().height);
    let duties = Duties::of(state, height, account(person)).unwrap();
    let known = Overlay::new(state).get(&AccountKey { address: account(person) }).unwrap();
    let first_nonce = known.unwrap_or_default().nonce;
    let is_seated = node.validators().index_of(account(person)).is_some();
    let proposer = node.blocks().block(height).unwrap().unwrap().block.header.proposer;
    let mut actions: Vec<Action> = Vec::new();
    if let Some(puzzle) = duties.puzzle.filter(|_| !is_seated || proposer == account(person)) {
        let answer = puzzle.solve(0, 1_000);
        assert!(puzzle.solve(0, answer.unwrap()).is_none(), "the first answer is given");
        let (amount, beacon) = match &duties.validator {
            Some(known) => (Amount::ZERO, known.kept_beacon()),
            None => (Amount::coins(5_000), beacon(person).end()),
        };
        let (consensus_key, commission) = (consensus_key(person).public(), BasisPoints(0));
        actions.push(Bond { amount, consensus_key, beacon, commission, puzzle: answer }.into());
    }
    if duties.may_be_ready {
        actions.push(Ready.into());
    }
    for (nonce, action) in (first_nonce..).zip(actions) {
        let fee = least_fee(&Parameters::default(), 400, action.weight());
        let (chain, sender) = (network.genesis.chain_id(), account(person));
        let valid_until = height + 5;
        let body = Body { version: 1, chain, sender, nonce, valid_until, fee, action };
        network.give(usize::from(person), Input::Submit(vec![sign(body, person)]));
    }
}

pub(crate) fn chain_of_terms() -> Network {
    let config = Config { heartbeat_ms: Some(1_000), ..config() };
    let disks = |_| (SimDisk::new(), SimDisk::new());
    let mut network = Network::of(quick_terms(), CANDIDATES, 1, config, disks);
    for height in 1..=HEIGHT {
        network.run_to(height);
        (0..CANDIDATES).for_each(|person| hand_in(&mut network, person));
    }
    network
}

fn members(set: &ValidatorSet) -> BTreeSet<chronolith_chain::address::Address> {
    set.members().iter().map(|seat| seat.validator).collect()
}

#[test]
fn every_trusted_header_leads_over_all_later_terms_to_the_last_block() {
    let network = chain_of_terms();
    // Of one who only follows: what it proves was decided by others.
    let node = network.nodes[usize::from(CANDIDATES)].validator.as_ref().unwrap();
    let prover = Prover::new(node.blocks(), node.state());
    let tip = node.blocks().tip();
    let (last, now) = (tip.height, tip.time_ns);
    let sets: Vec<ValidatorSet> =
        (1..=last).map(|height| node.blocks().validators(height).unwrap().unwrap()).collect();
    let changes = sets.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert!(changes >= 3, "{changes} changes of the set");
    let disjoint = sets.windows(2).filter(|pair| members(&pair[0]).is_disjoint(&members(&pair[1])));
    assert!(disjoint.count() >= 1, "two sets of one lot share nobody");
    for (height, set) in (1..).zip(&sets) {
        let header = node.blocks().block(height).unwrap().unwrap().block.header;
        assert_eq!(header.validators, set.hash(), "height {height}");
    }

    let key = AccountKey { address: account(5) };
    let options = Options::default();
    for since in 0..=last {
        let trusted = match since {
            0 => Trusted::genesis(&network.genesis).unwrap(),
            _ => {
                let start = prover.step(since).unwrap();
                Trusted::header(start.header, start.validators).unwrap()
            }
        };
        let facts = prover.entries(&[key.to_bytes()]).unwrap();
        let bundle = prover.bundle(since, None, facts).unwrap();
        let proved = bundle.verify(&trusted, now, &options).unwrap();
        assert_eq!(proved.header.id(), tip.block);
        let balance = bundle.facts[0].value(&key).unwrap().unwrap().balance;
        let here = Overlay::new(node.state()).get(&key).unwrap().unwrap().balance;
        assert_eq!(balance, here);
        // A step for each set whose end is above the trusted header, and the last block.
        let over = sets.windows(2).skip(since as usize).filter(|pair| pair[0] != pair[1]).count();
        assert_eq!(bundle.steps.len(), over + usize::from(since < last), "since {since}");

        // An old block follows as well.
        let of_old = prover.bundle(since, Some(7), Vec::new()).unwrap();
        assert_eq!(of_old.verify(&trusted, now, &options).unwrap().header.height, 7);
    }
}

#[test]
fn no_boundary_can_be_left_out_where_the_sets_share_nobody() {
    let network = chain_of_terms();
    let node = network.nodes[usize::from(CANDIDATES)].validator.as_ref().unwrap();
    let prover = Prover::new(node.blocks(), node.state());
    let now = node.blocks().tip().time_ns;
    let trusted = Trusted::genesis(&network.genesis).unwrap();
    let whole = prover.bundle(0, None, Vec::new()).unwrap();
    whole.verify(&trusted, now, &Options::default()).unwrap();
    let mut refused = 0;
    for gap in 0..whole.steps.len() - 1 {
        let before = if gap == 0 { &prover.step(1).unwrap() } else { &whole.steps[gap - 1] };
        let is_disjoint =
            members(&before.validators).is_disjoint(&members(&whole.steps[gap + 1].validators));
        let mut steps = whole.steps.to_vec();
        steps.remove(gap);
        let bundle = Bundle { steps: List::new(steps).unwrap(), ..whole.clone() };
        let verdict = bundle.verify(&trusted, now, &Options::default());
        if is_disjoint {
            let Err(Refused::Step { index, reason }) = verdict else { panic!("{verdict:?}") };
            assert_eq!(index, gap);
            assert!(matches!(reason, StepError::Certificate(_)), "{reason}");
            refused += 1;
        }
    }
    assert!(refused > 0);
}

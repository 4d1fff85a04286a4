//! The rules of bonds, delegation, terms, evidence and rewards.

use chronolith_chain::coin::{Amount, BasisPoints, Coin, CoinError};
use chronolith_chain::hash::{BlockId, ChainId, Hash};
use chronolith_chain::ledger::{
    BlockError, Bond, BondedKey, Delegate, DelegationKey, Evidence, Input, Misdeed, Ready, Refusal,
    Retract, Schedule, ScheduleKey, Thing, Unbond, UnbondingKey, Validator, ValidatorKey, execute,
    puzzle_is_solved,
};
use chronolith_chain::vote::{Proposal, Signed, Step, Vote};

use crate::coin_rules::transfer;
use crate::world::{VALIDATOR, World, account, beacon, consensus_key, key};

pub(crate) fn bond(person: u8, coins: u64) -> Bond {
    Bond {
        amount: Amount::coins(coins),
        consensus_key: consensus_key(person).public(),
        beacon: beacon(person, 0),
        commission: BasisPoints(1_000),
        puzzle: None,
    }
}

fn validator(world: &World, person: u8) -> Validator {
    world.get(&ValidatorKey { validator: account(person) }).unwrap()
}

fn schedule(world: &World) -> Schedule {
    world.get(&ScheduleKey {}).unwrap()
}

#[test]
fn a_bond_makes_a_validator() {
    let mut world = World::new();
    assert!(matches!(world.refused(1, bond(1, 999)), Refusal::Bounds { .. }));
    let greedy = Bond { commission: BasisPoints(10_001), ..bond(1, 1_000) };
    assert!(matches!(world.refused(1, greedy), Refusal::Bounds { .. }));
    let taken = Bond { consensus_key: consensus_key(VALIDATOR).public(), ..bond(1, 1_000) };
    assert_eq!(world.refused(1, taken), Refusal::Exists(Thing::ConsensusKey));
    assert_eq!(world.refused(1, Unbond { amount: None }), Refusal::Missing(Thing::Validator));
    world.done(1, bond(1, 1_000));
    assert_eq!(validator(&world, 1).stake, Amount::coins(1_000));
    world.done(1, Bond { commission: BasisPoints(5), ..bond(1, 0) });
    assert_eq!(validator(&world, 1).commission, BasisPoints(5));
    world.done(1, bond(1, 500));
    assert_eq!(validator(&world, 1).stake, Amount::coins(1_500));
}

#[test]
fn the_puzzle_is_made_of_the_lots_seed() {
    let mut world = World::new();
    let seed = schedule(&world).lot_seed;
    let answers = |good: bool| {
        (0..).find(|answer| puzzle_is_solved(&seed, account(1), *answer, 4) == good).unwrap()
    };
    let wrong = Bond { puzzle: Some(answers(false)), ..bond(1, 1_000) };
    assert_eq!(world.refused(1, wrong), Refusal::Puzzle);
    world.done(1, Bond { puzzle: Some(answers(true)), ..bond(1, 1_000) });
    assert_eq!(validator(&world, 1).solved_lot, Some(0));
    assert!(!puzzle_is_solved(&Hash([0; 32]), account(1), 0, 257));
}

#[test]
fn delegators_share_rewards_less_the_commission() {
    let mut world = World::new();
    world.done(VALIDATOR, Bond { commission: BasisPoints(2_000), ..bond(VALIDATOR, 0) });
    assert!(matches!(
        world.refused(1, Delegate { validator: account(VALIDATOR), amount: Amount(5) }),
        Refusal::Bounds { .. }
    ));
    let nobody = Delegate { validator: account(9), amount: Amount::coins(5) };
    assert_eq!(world.refused(1, nobody), Refusal::Missing(Thing::Validator));
    world.done(1, Delegate { validator: account(VALIDATOR), amount: Amount::coins(5_000) });
    let before = validator(&world, VALIDATOR);
    let fee = world.body(2, transfer(3, Coin::Native, 1).into()).fee;
    world.done(2, transfer(3, Coin::Native, 1));
    let after = validator(&world, VALIDATOR);
    // Half of the fee is burnt; of it and the issuance 5 % go to the proposer, the rest to voters,
    // of which there is one; of his part a fifth is the commission.
    let reward = fee.0 - fee.0 / 2 + 1_000_003;
    let part = reward - reward * 5 / 100;
    assert_eq!(after.stake.0 - before.stake.0, part - part / 5);
    assert_eq!(after.shares, before.shares, "rewards make shares worth more");
}

#[test]
fn what_is_retracted_waits_and_is_paid_out() {
    let mut world = World::new();
    let behind = account(VALIDATOR);
    world.done(1, Delegate { validator: behind, amount: Amount::coins(100) });
    let too_much = Retract { validator: behind, amount: Some(Amount::coins(1_000)) };
    assert!(matches!(world.refused(1, too_much), Refusal::Coin(CoinError::Short { .. })));
    let nothing = Retract { validator: behind, amount: Some(Amount(0)) };
    assert_eq!(world.refused(1, nothing), Refusal::Zero);
    let own = Retract { validator: behind, amount: None };
    assert_eq!(world.refused(VALIDATOR, own.clone()), Refusal::NoChange);
    world.done(1, Retract { validator: behind, amount: Some(Amount::coins(40)) });
    let release = world.next() - 1 + 30;
    let waiting = UnbondingKey { validator: behind, release, owner: account(1) };
    assert_eq!(world.get(&waiting).unwrap().amount, Amount::coins(40));
    world.run_to(release - 1);
    let before = world.balance(1, Coin::Native);
    world.run_to(release);
    assert_eq!(world.balance(1, Coin::Native), before.plus(Amount::coins(40)).unwrap());
    assert_eq!(world.get(&waiting), None);
    world.done(1, own);
    assert_eq!(world.get(&DelegationKey { owner: account(1), validator: behind }), None);
    assert_eq!(
        world.refused(1, Retract { validator: behind, amount: None }),
        Refusal::Missing(Thing::Delegation)
    );
}

#[test]
fn all_stake_can_leave() {
    let mut world = World::new();
    world.run_to(10);
    world.done(VALIDATOR, Unbond { amount: None });
    let left = validator(&world, VALIDATOR);
    assert_eq!((left.stake, left.shares), (Amount::ZERO, 0));
    assert_eq!(world.get(&BondedKey {}), Some(Amount::ZERO));
    world.done(VALIDATOR, bond(VALIDATOR, 10));
    // With that block's reward, which makes the shares worth more.
    let back = validator(&world, VALIDATOR);
    assert_eq!(back.shares, Amount::coins(10).0);
    assert!(back.stake > Amount::coins(10));
}

#[test]
fn candidates_say_that_they_are_ready_at_the_end_of_a_term() {
    let mut world = World::new();
    world.done(1, bond(1, 1_000));
    assert_eq!(world.refused(1, Ready), Refusal::Early { from: 40 });
    assert_eq!(world.refused(2, Ready), Refusal::Missing(Thing::Validator));
    world.run_to(39);
    world.done(1, Ready);
    assert_eq!(world.refused(1, Ready), Refusal::NoChange);
    world.done(1, Unbond { amount: Some(Amount(1)) });
    world.run_to(98);
    assert_eq!(schedule(&world).term, 1);
    assert!(matches!(world.refused(1, Ready), Refusal::Bounds { .. } | Refusal::Early { .. }));
    world.run_to(500);
    // Without candidates every lot has one term, and the old set goes on.
    assert_eq!((schedule(&world).term, schedule(&world).lot), (10, 10));
}

#[test]
fn a_proposer_reveals_his_beacon_step_by_step() {
    let world = World::new();
    let try_beacon = |beacon| {
        let input = Input {
            chain: world.chain,
            height: 1,
            time_ms: 2_000,
            proposer: Some(account(VALIDATOR)),
            beacon: Some(beacon),
            voters: &[],
            evidence: &[],
            transactions: &[],
        };
        execute(&world.state, &input)
    };
    assert!(matches!(try_beacon(beacon(VALIDATOR, 0)), Err(BlockError::Beacon)));
    assert!(matches!(try_beacon(beacon(VALIDATOR, 2)), Err(BlockError::Beacon)));
    let seed = schedule(&world).seed;
    let executed = try_beacon(beacon(VALIDATOR, 1)).unwrap();
    let mut world = world;
    world.state.commit(executed.prepared).unwrap();
    assert_ne!(schedule(&world).seed, seed);
    assert_eq!(validator(&world, VALIDATOR).beacon, beacon(VALIDATOR, 1));
}

fn vote(chain: ChainId, height: u64, block: Option<u8>) -> Vote {
    let block = block.map(|block| BlockId([block; 32]));
    Vote { chain, height, round: 1, step: Step::Precommit, block }
}

fn evidence(person: u8, first: Vote, second: Vote) -> Evidence {
    let key = consensus_key(person);
    let misdeed = Misdeed::Votes(Signed::new(first, &key), Signed::new(second, &key));
    Evidence { key: key.public(), misdeed }
}

#[test]
fn who_signs_twice_is_slashed_and_barred() {
    let mut world = World::new();
    let chain = world.chain;
    world.done(1, bond(1, 1_000));
    world.done(2, Delegate { validator: account(1), amount: Amount::coins(1_000) });
    let before_misdeed = world.next() - 1;
    world.done(2, Retract { validator: account(1), amount: Some(Amount::coins(400)) });
    let height = before_misdeed;
    let before = world.balance(3, Coin::Native);
    let proof = evidence(1, vote(chain, height, Some(1)), vote(chain, height, None));
    let fee = world.body(3, proof.clone().into()).fee;
    world.done(3, proof.clone());
    // 5 % of 1,600 behind him, at once, and of 400 that left since, when they are paid out; of it
    // 5 % to the reporter.
    assert_eq!(validator(&world, 1).stake, Amount::coins(1_520));
    assert!(validator(&world, 1).is_barred);
    let gained = world.balance(3, Coin::Native).plus(fee).unwrap().minus(before).unwrap();
    assert_eq!(gained, Amount::coins(4));
    assert_eq!(world.refused(3, proof), Refusal::Exists(Thing::Evidence));
    assert_eq!(world.refused(1, bond(1, 1_000)), Refusal::Status(Thing::Validator));
    assert_eq!(world.refused(1, Ready), Refusal::Status(Thing::Validator));
    let more = Delegate { validator: account(1), amount: Amount::coins(5) };
    assert_eq!(world.refused(2, more), Refusal::Status(Thing::Validator));
    world.done(2, Retract { validator: account(1), amount: None });
    let release = height + 1 + 30;
    let leaving = UnbondingKey { validator: account(1), release, owner: account(2) };
    assert_eq!(world.get(&leaving).unwrap().amount, Amount::coins(400));
    let (owner, reporter) = (world.balance(2, Coin::Native), world.balance(3, Coin::Native));
    world.run_to(release);
    let paid = |person, before| world.balance(person, Coin::Native).minus(before).unwrap();
    assert_eq!(paid(2, owner), Amount::coins(380));
    assert_eq!(paid(3, reporter), Amount::coins(1));
}

#[test]
fn what_left_before_the_misdeed_is_not_slashed() {
    let mut world = World::new();
    let chain = world.chain;
    world.done(1, bond(1, 1_000));
    world.done(1, Unbond { amount: Some(Amount::coins(200)) });
    let release = world.next() - 1 + 30;
    let height = world.next();
    world.run_to(height);
    world.done(3, evidence(1, vote(chain, height, Some(1)), vote(chain, height, Some(2))));
    let key = UnbondingKey { validator: account(1), release, owner: account(1) };
    assert_eq!(world.get(&key).unwrap().amount, Amount::coins(200));
    assert_eq!(validator(&world, 1).stake, Amount::coins(760));
}

#[test]
fn two_proposals_of_one_round_are_a_misdeed() {
    let mut world = World::new();
    world.done(1, bond(1, 1_000));
    let proposal = |block| Proposal {
        chain: world.chain,
        height: 1,
        round: 0,
        valid_round: None,
        block: BlockId([block; 32]),
    };
    let sign = consensus_key(1);
    let misdeed =
        Misdeed::Proposals(Signed::new(proposal(1), &sign), Signed::new(proposal(2), &sign));
    let proof = Evidence { key: sign.public(), misdeed };
    world.done(2, proof);
    assert!(validator(&world, 1).is_barred);
}

#[test]
fn what_proves_nothing_is_refused() {
    let mut world = World::new();
    let chain = world.chain;
    world.done(1, bond(1, 1_000));
    let same = evidence(1, vote(chain, 1, Some(1)), vote(chain, 1, Some(1)));
    assert_eq!(world.refused(2, same), Refusal::Harmless);
    let heights = evidence(1, vote(chain, 1, Some(1)), vote(chain, 0, None));
    assert_eq!(world.refused(2, heights), Refusal::Harmless);
    let steps =
        evidence(1, vote(chain, 1, Some(1)), Vote { step: Step::Prevote, ..vote(chain, 1, None) });
    assert_eq!(world.refused(2, steps), Refusal::Harmless);
    let other = ChainId([9; 32]);
    let elsewhere = evidence(1, vote(other, 1, Some(1)), vote(other, 1, None));
    assert_eq!(world.refused(2, elsewhere), Refusal::Harmless);
    let future = evidence(1, vote(chain, 999, Some(1)), vote(chain, 999, None));
    assert_eq!(world.refused(2, future), Refusal::Harmless);
    let unknown = evidence(7, vote(chain, 1, Some(1)), vote(chain, 1, None));
    assert_eq!(world.refused(2, unknown), Refusal::Missing(Thing::ConsensusKey));
    let mut forged = evidence(1, vote(chain, 1, Some(1)), vote(chain, 1, None));
    if let Misdeed::Votes(_, second) = &mut forged.misdeed {
        *second = Signed::new(second.message, &key(1));
    }
    assert_eq!(world.refused(2, forged), Refusal::Harmless);
    world.run_to(40);
    let late = evidence(1, vote(chain, 2, Some(1)), vote(chain, 2, None));
    assert_eq!(world.refused(2, late), Refusal::Late { until: 32 });
    assert!(!validator(&world, 1).is_barred);
}
